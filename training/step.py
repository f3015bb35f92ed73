"""One training step at one scale: a discriminator update, then a generator update (METHOD section 6)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam

from models.architecture import ScaleNetworks
from models.discriminator import Discriminator
from models.generator import Generator
from training.batching import batches_with, generate, share_call
from training.domains import DomainThreads
from training.losses import LossWeights, gradient_penalty, scores
from training.optimisers import Optimisers


class DomainInputs(NamedTuple):
    """Everything random in a step of one domain. Pictures are (1, 3, H, W); symbols as in METHOD section 6.

    noisy: n, input of the unconditional sample; prev: its base; z_prev: start of the reconstruction;
    mix: (2,) in [0, 1], the penalty's mixing numbers with the translated picture and with the sample; with the
    self term (3,); self_noise: what that adds to the other domain's real picture, in its shape, else None.
    """

    noisy: Tensor
    prev: Tensor
    z_prev: Tensor
    mix: Tensor
    self_noise: Tensor | None = None


StepInputs = tuple[DomainInputs, DomainInputs]


class Pictures(NamedTuple):
    """What the generators made in a step, before their update; (1, 3, H, W) each."""

    fake_a: Tensor
    fake_b: Tensor
    b2a: Tensor
    a2b: Tensor


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
        real: (1, 3, H, W); fakes: N pictures (1, 3, H', W') with their weights; the real one counts as often
            as they do together.
        mix: (N,), see `gradient_penalty`.

    Returns:
        The terms of L_D, weighted, so that their sum is the loss.
    """
    fakes = [fake.detach() for fake in fakes]
    # Each part goes back before the next one's graph is there, too: the penalty's is a step's peak of memory.
    on_pictures: list[Tensor] = []
    for batch, weights in batches_with([real, *fakes], [-sum(fake_weights), *fake_weights]):
        on_pictures += weighted(weights, scores(discriminator, batch))
        sum(on_pictures[-len(batch) :]).backward()
    penalties: list[Tensor] = []
    for batch, weights, shares in batches_with(fakes, fake_weights, mix):
        penalties += weighted(weights, lambda_grad * gradient_penalty(discriminator, real, batch, shares))
        sum(penalties[-len(batch) :]).backward()
    return {"D/real": on_pictures[0], "D/fake": sum(on_pictures[1:]), "D/penalty": sum(penalties)}


def weighted(weights: Sequence[float], terms: Iterable[Tensor]) -> list[Tensor]:
    """Scalars, each times its weight."""
    return [weight * term for weight, term in zip(weights, terms, strict=True)]


class DomainStep:
    """One domain's share of a step, in stages that touch this domain's networks only.

    A stage starts from a picture cut out of the graph that made it. The gradient that arrives at the cut is
    handed back, on the way back, to the stage that made the picture. This is ordinary backpropagation, in
    pieces that both domains can work on at the same time.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        inputs: DomainInputs,
        real: Tensor,
        weights: LossWeights,
        adversarial_weight: float,
        recompute: bool,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.inputs, self.real, self.weights = inputs, real, weights
        self.adversarial_weight, self.recompute = adversarial_weight, recompute
        self.fake_weights = [1.0, 1.0] + ([weights.lambda_self] if weights.lambda_self else [])
        self.losses: dict[str, Tensor] = {}
        self.pending: list[Tensor] = []  # losses that go back with the sample

    # Forward.

    def sample(self) -> None:
        """The unconditional sample and the reconstruction; one too large to share its call goes back at once."""
        noisy, prev, z_prev = self.inputs[:3]
        if self.weights.alpha and share_call([noisy, z_prev]):
            self.fake, rec = generate(self.generator, [noisy, z_prev], [prev, z_prev], self.recompute)
            self.pending = [self.reconstruction_loss(rec)]
            return
        if self.weights.alpha:
            self.reconstruction_loss(self.generator(z_prev, z_prev)).backward()
        (self.fake,) = generate(self.generator, [noisy], [prev], self.recompute)

    def reconstruction_loss(self, rec: Tensor) -> Tensor:
        loss = self.losses["G/reconstruction"] = self.weights.alpha * F.mse_loss(rec, self.real)
        return loss

    def translate(self, other: "DomainStep") -> None:
        """The other domain's sample, translated into this one, and in the same call its noisy real image."""
        self.source = other.fake.detach().requires_grad_()
        sources = [self.source]
        if self.weights.lambda_self:
            sources.append(self.inputs.self_noise + other.real)
        self.translations = generate(self.generator, sources, sources, self.recompute)
        self.translated = self.translations[0]

    def fakes(self) -> list[Tensor]:
        """What the discriminator is to tell from the real picture: the translation, the sample, the self translation."""
        translated, *self_translated = self.translations
        return [translated, self.fake, *self_translated]

    # Update the discriminator, then let it judge.

    def update_discriminator(self, optimiser: Adam) -> None:
        optimiser.zero_grad()
        self.losses |= discriminator_backward(
            self.discriminator, self.real, self.fakes(), self.fake_weights, self.inputs.mix, self.weights.lambda_grad
        )
        optimiser.step()

    def judge(self) -> None:
        """Adversarial loss of the generators; its gradient in every fake."""
        terms: list[Tensor] = []
        gradients: list[Tensor] = []
        for batch, weights in batches_with([picture.detach() for picture in self.fakes()], self.fake_weights):
            batch.requires_grad_()
            terms += weighted(weights, -self.adversarial_weight * scores(self.discriminator, batch))
            gradients += torch.autograd.grad(sum(terms[-len(batch) :]), batch)[0].split(1)
        in_translated, self.fake_gradient, *in_self = gradients
        self.translations_gradients = [in_translated, *in_self]
        self.losses["G/adversarial"] = sum(terms)

    # Backward, to the generator's weights and across the cuts.

    def close_cycle(self, other: "DomainStep") -> None:
        """The sample's translation, translated back: forward and backward; gradients flow into both sides."""
        if not self.weights.beta:
            return
        self.cycle_source = other.translated.detach().requires_grad_()
        fake = self.fake.detach().requires_grad_()
        cycle = self.weights.beta * F.mse_loss(self.generator(self.cycle_source, self.cycle_source), fake)
        cycle.backward()
        self.fake_gradient = self.fake_gradient + fake.grad
        self.losses["G/cycle"] = cycle

    def translate_backward(self, other: "DomainStep") -> None:
        """Through the translation, judged here and in the other domain's cycle."""
        in_translated, *in_self = self.translations_gradients
        if self.weights.beta:
            in_translated = in_translated + other.cycle_source.grad
        torch.autograd.backward(self.translations, [in_translated, *in_self])

    def sample_backward(self, other: "DomainStep") -> None:
        """Through the sample, judged here, in the cycle and in the other domain's translation; with what is pending."""
        gradient = self.fake_gradient + other.source.grad
        torch.autograd.backward([self.fake, *self.pending], [gradient] + [None] * len(self.pending))


def training_step(
    networks: ScaleNetworks,
    optimisers: Optimisers,
    inputs: StepInputs,
    reals: tuple[Tensor, Tensor],
    weights: LossWeights,
    both: DomainThreads,
    recompute: bool = False,
) -> tuple[dict[str, Tensor], Pictures]:
    """Update both discriminators, then both generators, in place.

    Args:
        reals: A and B at this scale, (1, 3, H, W) each, [-1, 1]; their shapes may differ.
        both: runs a stage for both domains.
        recompute: compute what the samples and translations were made with again on the way back instead of
            keeping it.

    Returns:
        The weighted loss terms, detached scalars on the device, under slash-path names such as
        `D/penalty_a`, and the pictures made before the update.
    """
    steps = [
        DomainStep(*domain, weights, adversarial_weight, recompute)
        for *domain, adversarial_weight in zip(
            networks.generators, networks.discriminators, inputs, reals, (1.0, weights.lambda_g), strict=True
        )
    ]

    def first(i: int) -> None:
        optimisers.generators[i].zero_grad()
        steps[i].sample()

    def middle(i: int) -> None:
        steps[i].update_discriminator(optimisers.discriminators[i])
        steps[i].judge()
        steps[i].close_cycle(steps[1 - i])

    def last(i: int) -> None:
        steps[i].sample_backward(steps[1 - i])
        optimisers.generators[i].step()

    both(first)
    both(lambda i: steps[i].translate(steps[1 - i]))
    both(middle)
    both(lambda i: steps[i].translate_backward(steps[1 - i]))
    both(last)

    losses = {
        f"{name}_{x}": term.detach() for x, step in zip("ab", steps, strict=True) for name, term in step.losses.items()
    }
    a, b = steps
    return losses, Pictures(*(image.detach() for image in (a.fake, b.fake, a.translated, b.translated)))
