"""One training step at one scale: the discriminators' update, then the generators' (docs/method.md, section 6)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks import Discriminator, ScaleNetworks
from training.batching import batches_with, generate
from training.losses import LossWeights, gradient_penalty, layout_loss, scores
from training.optimisers import Optimisers


@dataclass(frozen=True)
class DomainInputs:
    """What a step of one domain x starts from, besides its real image; symbols as in docs/method.md, section 6.

    Attributes:
        noisy: n_x, (1, 3, H, W), the input of the unconditional sample.
        prev: prev_x, (1, 3, H, W), its base; the real image in a step that starts from it (section 15).
        z_prev: z_prev_x, (1, 3, H, W), input and base of the reconstruction.
        mix: e of the gradient penalty of the translation, of the sample and, with it, of the self term: (2,) or (3,).
        self_noise: sigma_x z, (1, 3, H_y, W_y), what the self term adds to the other domain's real image
            (section 12); None without it.
    """

    noisy: Tensor
    prev: Tensor
    z_prev: Tensor
    mix: Tensor
    self_noise: Tensor | None = None


StepInputs = tuple[DomainInputs, DomainInputs]


def training_step(
    networks: ScaleNetworks,
    optimisers: Optimisers,
    inputs: StepInputs,
    reals: tuple[Tensor, Tensor],
    weights: LossWeights,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Update both discriminators, then both generators, in place.

    For domain a, with b2a = G_a(fake_b); for b likewise, with a2b = G_b(fake_a):

        L_D_a = -2 mean D_a(real_a) + mean D_a(b2a) + mean D_a(fake_a) + GP(real_a, b2a) + GP(real_a, fake_a)

        L_G = -mean D_a(b2a) - mean D_a(fake_a) + lambda_g (-mean D_b(a2b) - mean D_b(fake_b))
            + alpha (mse(rec_a, real_a) + mse(rec_b, real_b)) + beta (mse(cyc_a, fake_a) + mse(cyc_b, fake_b))
            + lambda_layout (layout_loss(b2a, fake_b) + layout_loss(a2b, fake_a))                    (section 15)

    With lambda_self, the translated noisy real images self_a and self_b join as third fakes (section 12). A term of
    weight 0 costs nothing. `training.side_by_side` takes the same step in pieces: faster on a CPU of several threads,
    and in less memory.

    Args:
        reals: A and B at this scale, (1, 3, H, W) each, [-1, 1]; their shapes may differ.

    Returns:
        The weighted loss terms, detached scalars on the device, under slash-path names such as `D/penalty_a`, and the
        images made before the update, (1, 3, H, W) each: fake_a, fake_b, b2a, a2b.
    """
    (g_a, g_b), (d_a, d_b), (real_a, real_b), (a, b) = networks.generators, networks.discriminators, reals, inputs

    # Sample and reconstruct, translate, go back.
    fake_a, *rec_a = generate(g_a, *paired([a.noisy, a.z_prev], [a.prev, a.z_prev], weights.alpha))
    fake_b, *rec_b = generate(g_b, *paired([b.noisy, b.z_prev], [b.prev, b.z_prev], weights.alpha))
    from_b, from_a = [fake_b], [fake_a]
    if weights.lambda_self:
        from_b, from_a = [fake_b, a.self_noise + real_b], [fake_a, b.self_noise + real_a]
    b2a, *self_a = generate(g_a, from_b, from_b)
    a2b, *self_b = generate(g_b, from_a, from_a)
    fakes_a, fakes_b = [b2a, fake_a, *self_a], [a2b, fake_b, *self_b]
    fake_weights = [1.0, 1.0, weights.lambda_self][: len(fakes_a)]

    # Update the discriminators: L_D_a + L_D_b.
    losses = discriminator_loss("_a", d_a, real_a, fakes_a, fake_weights, a.mix, weights.lambda_grad)
    losses |= discriminator_loss("_b", d_b, real_b, fakes_b, fake_weights, b.mix, weights.lambda_grad)
    update(optimisers.discriminators, sum(losses.values()))

    # Update the generators: L_G.
    networks.discriminators_require_grad(False)
    losses_g = {
        "G/adversarial_a": adversarial_loss(d_a, fakes_a, fake_weights),
        "G/adversarial_b": weights.lambda_g * adversarial_loss(d_b, fakes_b, fake_weights),
    }
    if weights.alpha:
        losses_g["G/reconstruction_a"] = weights.alpha * F.mse_loss(rec_a[0], real_a)
        losses_g["G/reconstruction_b"] = weights.alpha * F.mse_loss(rec_b[0], real_b)
    if weights.beta:
        losses_g["G/cycle_a"] = weights.beta * F.mse_loss(generate(g_a, [a2b], [a2b])[0], fake_a)
        losses_g["G/cycle_b"] = weights.beta * F.mse_loss(generate(g_b, [b2a], [b2a])[0], fake_b)
    if weights.lambda_layout:
        losses_g["G/layout_a"] = weights.lambda_layout * layout_loss(b2a, fake_b)
        losses_g["G/layout_b"] = weights.lambda_layout * layout_loss(a2b, fake_a)
    update(optimisers.generators, sum(losses_g.values()))
    networks.discriminators_require_grad(True)

    terms = {name: term.detach() for name, term in (losses | losses_g).items()}
    images = {"fake_a": fake_a, "fake_b": fake_b, "b2a": b2a, "a2b": a2b}
    return terms, {name: image.detach() for name, image in images.items()}


def discriminator_loss(
    suffix: str,
    discriminator: Discriminator,
    real: Tensor,
    fakes: Sequence[Tensor],
    fake_weights: Sequence[float],
    mix: Tensor,
    lambda_grad: float,
    each: Callable[[Tensor], object] | None = None,
) -> dict[str, Tensor]:
    """The terms of one domain's L_D, weighted, so that their sum is the loss; fakes are detached here.

        L_D = sum over fakes f of weight w: w (-mean D(real) + mean D(f) + GP(real, f)), where GP includes lambda_grad

    Args:
        suffix: of the terms' names.
        real: (1, 3, H, W).
        fakes: N images, (1, 3, H', W') each: the translation, the sample, the self term.
        fake_weights: N numbers w.
        mix: (N,), see `gradient_penalty`.
        each: done with the loss of each call of the network, a scalar, as soon as it is there: a backward pass, so that
            one call's graph is held at a time.
    """
    fakes = [fake.detach() for fake in fakes]
    on_images: list[Tensor] = []
    for batch, own in batches_with([real, *fakes], [-sum(fake_weights), *fake_weights]):
        on_images += called(weighted(own, scores(discriminator, batch)), each)
    penalties: list[Tensor] = []
    for batch, own, own_mix in batches_with(fakes, fake_weights, mix):
        penalties += called(weighted(own, lambda_grad * gradient_penalty(discriminator, real, batch, own_mix)), each)
    terms = {"D/real": on_images[0], "D/fake": sum(on_images[1:]), "D/penalty": sum(penalties)}
    return {name + suffix: term for name, term in terms.items()}


def called(terms: list[Tensor], each: Callable[[Tensor], object] | None) -> list[Tensor]:
    """Terms of one call of a network, after their sum was handed to `each`."""
    if each is not None:
        each(sum(terms))
    return terms


def adversarial_loss(discriminator: Discriminator, fakes: Sequence[Tensor], fake_weights: Sequence[float]) -> Tensor:
    """sum over fakes f of weight w: -w mean D(f); a scalar."""
    terms = [
        -term
        for batch, own in batches_with(fakes, fake_weights)
        for term in weighted(own, scores(discriminator, batch))
    ]
    return sum(terms)


def weighted(weights: Sequence[float], values: Tensor) -> list[Tensor]:
    """The N scalars of an (N,) tensor, each times its weight."""
    return [weight * value for weight, value in zip(weights, values, strict=True)]


def paired(images: list[Tensor], bases: list[Tensor], alpha: float) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and bases of the sample and, unless its weight is 0, of the reconstruction."""
    return (images, bases) if alpha else (images[:1], bases[:1])


def update(optimisers: Sequence[torch.optim.Adam], loss: Tensor) -> None:
    """One step of optimisers whose parameters a loss depends on."""
    for optimiser in optimisers:
        optimiser.zero_grad()
    loss.backward()
    for optimiser in optimisers:
        optimiser.step()
