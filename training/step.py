"""One training step at one scale: the discriminators' update, then the generators' (docs/method.md, section 6)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from models.networks import Discriminator, ScaleNetworks
from training.domains import Both, one_by_one
from training.losses import LossWeights, batches_with, gradient_penalty, layout_loss, scores
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
    both: Both = one_by_one,
    recompute: bool = False,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Update both discriminators, then both generators, in place.

    With x one domain and y the other, fake_x = G_x(n_x, prev_x), its translation x2y = G_y(fake_x, fake_x) and back
    cyc_x = G_x(x2y, x2y), the reconstruction rec_x = G_x(z_prev_x, z_prev_x):

        L_D_a = -2 mean D_a(real_a) + mean D_a(b2a) + mean D_a(fake_a) + GP(real_a, b2a) + GP(real_a, fake_a)

        L_G = -mean D_a(b2a) - mean D_a(fake_a) + lambda_g (-mean D_b(a2b) - mean D_b(fake_b))
            + alpha (mse(rec_a, real_a) + mse(rec_b, real_b)) + beta (mse(cyc_a, fake_a) + mse(cyc_b, fake_b))
            + lambda_layout (layout_loss(a2b, fake_a) + layout_loss(b2a, fake_b))                    (section 15)

    and L_D_b like L_D_a. With lambda_self, the translated noisy real images self_a and self_b join as third fakes
    (section 12). A term of weight 0 costs nothing.

    What is made of fake_a and what is made of fake_b have no image in common. So L_G is the sum of two losses whose
    backward passes need not wait for one another; they meet in the generators' gradients alone, where each adds once.

    Args:
        reals: A and B at this scale, (1, 3, H, W) each, [-1, 1]; their shapes may differ.
        both: does the work of both domains.
        recompute: save memory: keep nothing of a network's call but its input; the backward pass computes it again.

    Returns:
        The weighted loss terms, detached scalars on the device, under slash-path names such as `D/penalty_a`, and the
        images made before the update, (1, 3, H, W) each: fake_a, fake_b, b2a, a2b.
    """
    generators, discriminators = networks.generators, networks.discriminators
    fake_weights = [1.0, 1.0] + ([weights.lambda_self] if weights.lambda_self else [])

    def call(network: torch.nn.Module, *images: Tensor) -> Tensor:
        if not recompute:
            return network(*images)
        return checkpoint(network, *images, use_reentrant=False, preserve_rng_state=False)

    # Sample and translate.
    def sample_and_translate(x: int) -> tuple[Tensor, list[Tensor]]:
        y = 1 - x
        fake = call(generators[x], inputs[x].noisy, inputs[x].prev)
        sources = [fake] + ([inputs[y].self_noise + reals[x]] if weights.lambda_self else [])
        return fake, [call(generators[y], source, source) for source in sources]

    (fake_a, from_a), (fake_b, from_b) = both(sample_and_translate)
    samples, translations = (fake_a, fake_b), (from_a, from_b)  # of y: x2y and self_y

    # Update the discriminators.
    def update_d(x: int) -> dict[str, Tensor]:
        y2x, *self_x = translations[1 - x]
        fakes = [y2x, samples[x], *self_x]
        own = discriminators[x], optimisers.discriminators[x], reals[x]
        losses = update_discriminator(*own, fakes, fake_weights, inputs[x].mix, weights.lambda_grad)
        return {f"{name}_{'ab'[x]}": term for name, term in losses.items()}

    losses_d = both(update_d)

    # Update the generators: L_G of what is made of fake_x, then of both.
    networks.discriminators.requires_grad_(False)
    for optimiser in optimisers.generators:
        optimiser.zero_grad()

    def backward_g(x: int) -> dict[str, Tensor]:
        y = 1 - x
        own, other, domain_weights = "ab"[x], "ab"[y], (1.0, weights.lambda_g)
        fake, (x2y, *self_y) = samples[x], translations[x]
        judged = -domain_weights[y] * call(discriminators[y], x2y).mean()
        for image in self_y:
            judged = judged - domain_weights[y] * weights.lambda_self * call(discriminators[y], image).mean()
        terms = {
            f"G/adversarial_{own}": -domain_weights[x] * call(discriminators[x], fake).mean(),
            f"G/adversarial_{other}": judged,
        }
        if weights.alpha:
            rec = call(generators[x], inputs[x].z_prev, inputs[x].z_prev)
            terms[f"G/reconstruction_{own}"] = weights.alpha * F.mse_loss(rec, reals[x])
        if weights.beta:
            terms[f"G/cycle_{own}"] = weights.beta * F.mse_loss(call(generators[x], x2y, x2y), fake)
        if weights.lambda_layout:
            terms[f"G/layout_{other}"] = weights.lambda_layout * layout_loss(x2y, fake)
        sum(terms.values()).backward()
        return terms

    losses_g = both(backward_g)
    both(lambda x: optimisers.generators[x].step())
    networks.discriminators.requires_grad_(True)

    # Report.
    terms: dict[str, Tensor] = {}
    for name, term in (item for losses in (*losses_d, *losses_g) for item in losses.items()):
        terms[name] = terms[name] + term.detach() if name in terms else term.detach()
    images = {"fake_a": fake_a, "fake_b": fake_b, "b2a": from_b[0], "a2b": from_a[0]}
    return terms, {name: image.detach() for name, image in images.items()}


def update_discriminator(
    discriminator: Discriminator,
    optimiser: torch.optim.Adam,
    real: Tensor,
    fakes: Sequence[Tensor],
    fake_weights: Sequence[float],
    mix: Tensor,
    lambda_grad: float,
) -> dict[str, Tensor]:
    """One step on a domain's L_D. Each call of the network has a backward pass of its own: one graph is held at a time.

        L_D = sum over fakes f of weight w: w (-mean D(real) + mean D(f) + GP(real, f)), where GP includes lambda_grad

    Args:
        real: (1, 3, H, W).
        fakes: N images, (1, 3, H', W') each, detached here: the translation, the sample, the self term.
        fake_weights: N numbers w.
        mix: (N,), see `gradient_penalty`.

    Returns:
        The weighted terms, whose sum is the loss.
    """
    fakes = [fake.detach() for fake in fakes]
    optimiser.zero_grad()
    judged: list[Tensor] = []
    penalties: list[Tensor] = []
    for images, own in batches_with([real, *fakes], [-sum(fake_weights), *fake_weights]):
        judged += weighted_backward(own, scores(discriminator, images))
    for images, own, own_mix in batches_with(fakes, fake_weights, mix):
        penalty = gradient_penalty(discriminator, real, images, own_mix)
        penalties += weighted_backward(own, lambda_grad * penalty)
    optimiser.step()
    return {"D/real": judged[0], "D/fake": sum(judged[1:]), "D/penalty": sum(penalties)}


def weighted_backward(weights: Sequence[float], values: Tensor) -> list[Tensor]:
    """The N scalars of an (N,) tensor, each times its weight, after a backward pass from their sum."""
    terms = [weight * value for weight, value in zip(weights, values, strict=True)]
    sum(terms).backward()
    return terms
