"""One training step at one scale: the discriminators' update, then the generators' (docs/method.md, section 6)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from models.networks import Discriminator
from training.domains import Both, one_by_one
from training.state import ScaleState
from utils.measures import contrast_agreement

# Height times width of the largest images that share a call of a discriminator. One call is faster than several, but
# holds a larger graph, and from a side of about 100 pixels on it is no faster on a CPU. A GPU is kept busy by fewer and
# larger calls, so there images of all sizes of the paper's settings share them.
MOST_PIXELS_SHARED = {"cpu": 2**13, "gpu": 2**16}


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms; a term of weight 0 costs nothing.

    Args:
        alpha: reconstruction, in L_G.
        beta: cycle, in L_G.
        lambda_g: domain b's adversarial terms in L_G; a's have weight 1.
        lambda_grad: gradient penalty, in L_D.
        penalty_every: of each fake the penalty is taken only every so many steps, in turn, as many times as strong;
            not the paper's (section 15).
        lambda_self: the terms of the translated noisy real image self_x, in both (docs/method.md, section 12).
        lambda_layout: that a translation has contrast where its source has, in L_G; not the paper's (section 15).
    """

    alpha: float = 1.0
    beta: float = 1.0
    lambda_g: float = 1.0
    lambda_grad: float = 0.1
    penalty_every: int = 1
    lambda_self: float = 0.0
    lambda_layout: float = 0.0


@dataclass(frozen=True)
class DomainInputs:
    """What a step of one domain x starts from, besides its real image; symbols as in docs/method.md, section 6.

    Attributes:
        noisy: n_x, (1, 3, H, W), the input of the unconditional sample.
        prev: prev_x, (1, 3, H, W), its base; the real image in a step that starts from it (section 15).
        z_prev: z_prev_x, (1, 3, H, W), input and base of the reconstruction.
        mix: e of the gradient penalties: for the translation, the sample and, if used, the self term; (2,) or (3,).
        self_noise: sigma_x z, (1, 3, H_y, W_y), what the self term adds to the other domain's real image
            (section 12); None without it.
    """

    noisy: Tensor
    prev: Tensor
    z_prev: Tensor
    mix: Tensor
    self_noise: Tensor | None = None


def training_step(
    state: ScaleState,
    inputs: tuple[DomainInputs, DomainInputs],
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
            + lambda_layout (2 - contrast_agreement(a2b, fake_a) - contrast_agreement(b2a, fake_b))

    and L_D_b like L_D_a. With lambda_self, the translated noisy real images self_a and self_b join as third fakes
    (section 12).

    What is made of fake_a and what is made of fake_b have no image in common. So L_G is the sum of two losses whose
    backward passes need not wait for one another; they meet in the generators' gradients alone, where each adds once.

    Args:
        reals: A and B at this scale, (1, 3, H, W) each, [-1, 1]; their shapes may differ.
        both: calls a function for both domains, in turn or in parallel.
        recompute: gradient checkpointing: keep only the inputs of each network call and recompute the rest.

    Returns:
        The weighted loss terms, detached scalars on the device, under slash-path names such as `D/penalty_a`, and the
        images made before the update, (1, 3, H, W) each: fake_a, fake_b, b2a, a2b.
    """
    generators, discriminators = state.networks.generators, state.networks.discriminators
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
    samples, translations = (fake_a, fake_b), (from_a, from_b)  # translations[x]: x2y and self_y, images of y

    # Update the discriminators.
    every, count = weights.penalty_every, len(fake_weights)
    due = [state.step % every == place * every // count for place in range(count)]
    penalty_weights = [weights.lambda_grad * every * own * now for own, now in zip(fake_weights, due, strict=True)]

    def backward_d(x: int) -> dict[str, Tensor]:
        y2x, *self_x = translations[1 - x]
        fakes = [y2x, samples[x], *self_x]
        given = fakes, fake_weights, inputs[x].mix, penalty_weights
        losses = discriminator_backward(discriminators[x], reals[x], *given)
        return {f"{name}_{'ab'[x]}": term for name, term in losses.items()}

    state.adam_d.zero_grad()
    losses_d = both(backward_d)
    state.adam_d.step()

    # Update the generators: L_G of what is made of fake_x, then of both.
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
        if weights.lambda_layout:  # only places count, neither colours nor how strong the contrast is
            terms[f"G/layout_{other}"] = weights.lambda_layout * (1 - contrast_agreement(x2y, fake.detach()))
        sum(terms.values()).backward()
        return terms

    discriminators.requires_grad_(False)
    state.adam_g.zero_grad()
    losses_g = both(backward_g)
    state.adam_g.step()
    discriminators.requires_grad_(True)

    # Report; what is made of fake_a and of fake_b each has a share of both adversarial terms.
    terms: dict[str, Tensor] = {}
    for name, term in (item for losses in (*losses_d, *losses_g) for item in losses.items()):
        terms[name] = terms[name] + term.detach() if name in terms else term.detach()
    images = {"fake_a": fake_a, "fake_b": fake_b, "b2a": from_b[0], "a2b": from_a[0]}
    return terms, {name: image.detach() for name, image in images.items()}


def discriminator_backward(
    discriminator: Discriminator,
    real: Tensor,
    fakes: Sequence[Tensor],
    fake_weights: Sequence[float],
    mix: Tensor,
    penalty_weights: Sequence[float],
) -> dict[str, Tensor]:
    """The gradients of a domain's L_D. Each call of the network has a backward pass of its own: one graph is held.

        L_D = sum over fakes f of weights w and p: w (-mean D(real) + mean D(f)) + p GP(real, f)

    Args:
        real: (1, 3, H, W).
        fakes: N images, (1, 3, H', W') each, detached here: the translation, the sample, the self term.
        fake_weights: N numbers w.
        mix: (N,), see `gradient_penalty`.
        penalty_weights: N numbers p; what is 0 costs nothing.

    Returns:
        The weighted terms, whose sum is the loss.
    """
    images, signs = [real, *(fake.detach() for fake in fakes)], [-sum(fake_weights), *fake_weights]
    # Images in one call do not influence one another, because the normalisation is per image.
    small = real.shape[-2:].numel() <= MOST_PIXELS_SHARED["cpu" if real.device.type == "cpu" else "gpu"]
    size = len(images) if small and len({image.shape for image in images}) == 1 else 1
    parts = [slice(first, first + size) for first in range(0, len(images), size)]  # one for each call
    judged: list[Tensor] = []
    penalties: list[Tensor] = []
    for part in parts:
        scores = discriminator(torch.cat(images[part])).mean(dim=(1, 2, 3))
        judged += [weight * score for weight, score in zip(signs[part], scores, strict=True)]
        sum(judged[part]).backward()
    due = [index for index, weight in enumerate(penalty_weights) if weight]
    for some in [due[first : first + size] for first in range(0, len(due), size)]:
        penalty = gradient_penalty(discriminator, real, torch.cat([images[1 + index] for index in some]), mix[some])
        penalties += [penalty_weights[index] * each for index, each in zip(some, penalty, strict=True)]
        sum(penalties[-len(some) :]).backward()
    penalty = sum(penalties, torch.zeros_like(judged[0]))
    return {"D/real": judged[0], "D/fake": sum(judged[1:]), "D/penalty": penalty}


def gradient_penalty(discriminator: Discriminator, real: Tensor, fakes: Tensor, mix: Tensor) -> Tensor:
    """WGAN-GP penalty, per pixel, of every fake: GP of docs/method.md, section 6 without its factor lambda_grad.

        x = e real + (1 - e) fake;  g = d(sum D(x)) / dx;  mean over pixels of (||g||_2 over channels - 1)^2

    Args:
        real: (1, 3, H, W).
        fakes: (N, 3, H', W'), detached. Where their shape is not the real image's, the middle that both have is
            used.
        mix: (N,) in [0, 1], e of every fake: the real image's share.

    Returns:
        (N,), differentiable in the discriminator's weights.
    """
    height, width = map(min, real.shape[-2:], fakes.shape[-2:])

    def middle(image: Tensor) -> Tensor:
        top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
        return image[..., top : top + height, left : left + width]

    e = mix.view(-1, 1, 1, 1)
    points = (e * middle(real) + (1 - e) * middle(fakes)).requires_grad_()
    (gradients,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
    return (torch.linalg.vector_norm(gradients, dim=1) - 1).square().mean(dim=(1, 2))
