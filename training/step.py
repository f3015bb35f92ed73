"""One training step at one scale: the discriminators' update, then the generators' (METHOD section 6)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.architecture import ScaleNetworks
from models.discriminator import Discriminator
from training.batching import batches_with, generate, share_call
from training.domains import DomainThreads
from training.losses import LossWeights, gradient_penalty, scores
from training.optimisers import Optimisers


class DomainInputs(NamedTuple):
    """Everything random in a step of one domain. Images are (1, 3, H, W); symbols as in METHOD section 6.

    noisy: n, input of the unconditional sample; prev: its base; z_prev: start of the reconstruction;
    mix: (2,) in [0, 1], the penalty's mixing numbers with the translated image and with the sample; with the
    self term (3,); self_noise: what that adds to the other domain's real image, in its shape, else None.
    """

    noisy: Tensor
    prev: Tensor
    z_prev: Tensor
    mix: Tensor
    self_noise: Tensor | None = None


StepInputs = tuple[DomainInputs, DomainInputs]


def discriminator_backward(
    discriminator: Discriminator,
    real: Tensor,
    fakes: Sequence[Tensor],
    fake_weights: Sequence[float],
    mix: Tensor,
    lambda_grad: float,
) -> dict[str, Tensor]:
    """Add the gradient of one domain's L_D to its discriminator's weights; fakes are detached here.

    Args:
        real: (1, 3, H, W); fakes: N images (1, 3, H', W') with their weights; the real one counts as often
            as they do together.
        mix: (N,), see `gradient_penalty`.

    Returns:
        The terms of L_D, weighted, so that their sum is the loss.
    """
    fakes = [fake.detach() for fake in fakes]
    # Each part goes back before the next one's graph is there, too: the penalty's is a step's peak of memory.
    on_images: list[Tensor] = []
    for batch, weights in batches_with([real, *fakes], [-sum(fake_weights), *fake_weights]):
        on_images += weighted(weights, scores(discriminator, batch))
        sum(on_images[-len(batch) :]).backward()
    penalties: list[Tensor] = []
    for batch, weights, shares in batches_with(fakes, fake_weights, mix):
        penalties += weighted(weights, lambda_grad * gradient_penalty(discriminator, real, batch, shares))
        sum(penalties[-len(batch) :]).backward()
    return {"D/real": on_images[0], "D/fake": sum(on_images[1:]), "D/penalty": sum(penalties)}


def weighted(weights: Sequence[float], terms: Iterable[Tensor]) -> list[Tensor]:
    """Scalars, each times its weight."""
    return [weight * term for weight, term in zip(weights, terms, strict=True)]


class Cut:
    """An image cut out of the graph that made it.

    What uses the image starts from `leaf`, whose `grad` gathers what every later loss has to say of it;
    `backward_through` hands that back to the graph of `image`. It is ordinary backpropagation, in pieces that both
    domains can work on at the same time.
    """

    def __init__(self, image: Tensor) -> None:
        self.image, self.leaf = image, image.detach().requires_grad_()


def backward_through(cuts: Sequence[Cut], losses: Sequence[Tensor] = ()) -> None:
    """Go back from the gradients gathered at the cuts, and from losses that were kept for it."""
    gradients = [cut.leaf.grad for cut in cuts] + [None] * len(losses)
    torch.autograd.backward([cut.image for cut in cuts] + list(losses), gradients)


def training_step(
    networks: ScaleNetworks,
    optimisers: Optimisers,
    inputs: StepInputs,
    reals: tuple[Tensor, Tensor],
    weights: LossWeights,
    both: DomainThreads,
    recompute: bool = False,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Update both discriminators, then both generators, in place (METHOD section 6).

    Six stages. In each, domain x (a or b) works on its own networks only, and both domains at the same time; y is the
    other domain, fakes of x are y2x, fake_x and, with the self term, self_x.

    | stage        | computes                                                                                      |
    | ------------ | --------------------------------------------------------------------------------------------- |
    | sample       | fake_x = G_x(n_x, prev_x); rec_x = G_x(z_prev_x, z_prev_x); alpha mse(rec_x, real_x)          |
    | translate    | y2x = G_x(fake_y, fake_y); self_x = G_x(v_x, v_x) with v_x = sigma_x z + real_y               |
    | discriminate | L_D_x = sum over fakes of -mean D_x(real_x) + mean D_x(fake) + GP(real_x, fake); D_x's update |
    | judge        | sum over fakes of -mean D_x(fake), times lambda_g for b, by the updated discriminator         |
    | close_cycle  | cyc_x = G_x(x2y, x2y); beta mse(cyc_x, fake_x)                                                |
    | go_back      | L_G's gradient through y2x and self_x, then through fake_x; G_x's update                      |

    Args:
        reals: A and B at this scale, (1, 3, H, W) each, [-1, 1]; their shapes may differ.
        both: runs a stage for both domains.
        recompute: compute what the samples and translations were made with again on the way back instead of
            keeping it.

    Returns:
        The weighted loss terms, detached scalars on the device, under slash-path names such as `D/penalty_a`, and the
        images made before the update, (1, 3, H, W) each: fake_a, fake_b, b2a, a2b.
    """
    generators, discriminators = networks.generators, networks.discriminators
    fake_weights = [1.0, 1.0] + ([weights.lambda_self] if weights.lambda_self else [])
    losses: tuple[dict[str, Tensor], ...] = ({}, {})
    kept: tuple[list[Tensor], ...] = ([], [])  # losses that go back with the sample
    samples: list[Cut | None] = [None, None]
    translations: list[list[Cut]] = [[], []]  # of the other domain's sample; of its real image

    def fakes(x: int) -> list[Cut]:
        translated, *self_translated = translations[x]
        return [translated, samples[x], *self_translated]

    def sample(x: int) -> None:
        optimisers.generators[x].zero_grad()
        noisy, prev, z_prev = inputs[x][:3]
        starts, bases = [noisy], [prev]
        if weights.alpha and share_call([noisy, z_prev]):
            starts, bases = [noisy, z_prev], [prev, z_prev]
        elif weights.alpha:  # Large images have a call each; the reconstruction goes back before the sample is made.
            reconstruct(x, generators[x](z_prev, z_prev)).backward()
        fake, *rec = generate(generators[x], starts, bases, recompute)
        samples[x] = Cut(fake)
        kept[x].extend(reconstruct(x, image) for image in rec)

    def reconstruct(x: int, rec: Tensor) -> Tensor:
        losses[x]["G/reconstruction"] = loss = weights.alpha * F.mse_loss(rec, reals[x])
        return loss

    def translate(x: int) -> None:
        sources = [samples[1 - x].leaf]
        if weights.lambda_self:
            sources.append(inputs[x].self_noise + reals[1 - x])
        translations[x] = [Cut(image) for image in generate(generators[x], sources, sources, recompute)]

    def discriminate(x: int) -> None:
        optimisers.discriminators[x].zero_grad()
        images = [fake.image for fake in fakes(x)]
        losses[x].update(
            discriminator_backward(
                discriminators[x], reals[x], images, fake_weights, inputs[x].mix, weights.lambda_grad
            )
        )
        optimisers.discriminators[x].step()

    def judge(x: int) -> None:
        leaves = [fake.leaf for fake in fakes(x)]
        adversarial_weight = (1.0, weights.lambda_g)[x]
        terms: list[Tensor] = []
        for batch, own_leaves, own_weights in batches_with(leaves, leaves, fake_weights):
            own = weighted(own_weights, -adversarial_weight * scores(discriminators[x], batch))
            sum(own).backward(inputs=own_leaves)
            terms += own
        losses[x]["G/adversarial"] = sum(terms)

    def close_cycle(x: int) -> None:
        if weights.beta:
            translated = translations[1 - x][0].leaf
            cycle = generators[x](translated, translated)
            losses[x]["G/cycle"] = loss = weights.beta * F.mse_loss(cycle, samples[x].leaf)
            loss.backward()

    def go_back_through_translations(x: int) -> None:
        backward_through(translations[x])

    def go_back_through_sample(x: int) -> None:
        backward_through([samples[x]], kept[x])
        optimisers.generators[x].step()

    # Each call waits for both domains: the next stage needs what the other one made.
    both(sample)
    both(translate)
    both(discriminate, judge, close_cycle)
    both(go_back_through_translations)
    both(go_back_through_sample)

    terms = {f"{name}_{x}": term.detach() for x, own in zip("ab", losses, strict=True) for name, term in own.items()}
    images = {"fake_a": samples[0], "fake_b": samples[1], "b2a": translations[0][0], "a2b": translations[1][0]}
    return terms, {name: cut.image.detach() for name, cut in images.items()}
