"""One training step at one scale: a critic update, then a generator update (METHOD section 6)."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam

from models.architecture import ScaleNetworks
from models.discriminator import Discriminator
from models.generator import Generator
from training.losses import LossWeights, gradient_penalty, scores
from utils.parallel import DomainThreads


class DomainInputs(NamedTuple):
    """Everything random in a step of one domain. Pictures are (1, 3, H, W); symbols as in METHOD section 6.

    noisy: n, input of the unconditional sample; prev: its base; z_prev: start of the reconstruction;
    mix: (2,) in [0, 1], the penalty's mixing numbers with the translated picture and with the sample.
    """

    noisy: Tensor
    prev: Tensor
    z_prev: Tensor
    mix: Tensor


StepInputs = tuple[DomainInputs, DomainInputs]


class Pictures(NamedTuple):
    """What the generators made in a step, before their update; (1, 3, H, W) each."""

    fake_a: Tensor
    fake_b: Tensor
    b2a: Tensor
    a2b: Tensor


@dataclass(frozen=True)
class OptimiserSettings:
    """Adam's settings: rates of the generators and critics, first-moment decay.

    Args:
        lr_decay: share of a scale's steps, at its end, over which the rates fall linearly to zero; the
            published rates are constant, which is 0.
    """

    lr_g: float = 0.0005
    lr_d: float = 0.0001
    beta1: float = 0.5
    lr_decay: float = 0.0

    def rate_factor(self, step: int, niter: int) -> float:
        """What the rates are multiplied by at a step, counted from 0, of a scale of `niter` steps."""
        falling = self.lr_decay * niter
        return min(1.0, (niter - step) / falling) if falling else 1.0


class Optimisers:
    """Adam, one per network, which is the same as one for both domains' networks."""

    def __init__(self, networks: ScaleNetworks, settings: OptimiserSettings) -> None:
        self.settings = settings
        betas = (settings.beta1, 0.999)
        self.generators = [
            Adam(network.parameters(), lr=settings.lr_g, betas=betas, fused=True) for network in networks.generators
        ]
        self.discriminators = [
            Adam(network.parameters(), lr=settings.lr_d, betas=betas, fused=True) for network in networks.discriminators
        ]

    def set_rates(self, step: int, niter: int) -> None:
        """The rates of a step."""
        factor = self.settings.rate_factor(step, niter)
        for rate, optimisers in ((self.settings.lr_g, self.generators), (self.settings.lr_d, self.discriminators)):
            for optimiser in optimisers:
                optimiser.param_groups[0]["lr"] = factor * rate

    def all(self) -> list[Adam]:
        """Generators a and b, discriminators a and b."""
        return self.generators + self.discriminators


def discriminator_loss(
    discriminator: Discriminator, real: Tensor, translated: Tensor, fake: Tensor, mix: Tensor, lambda_grad: float
) -> dict[str, Tensor]:
    """The terms of L_D of one domain, weighted, so that their sum is the loss; fakes are detached here."""
    fakes = torch.cat([translated, fake]).detach()
    score_real, score_translated, score_fake = scores(discriminator, torch.cat([real, fakes])).unbind()
    return {
        "D/real": -2 * score_real,
        "D/fake": score_translated + score_fake,
        "D/penalty": lambda_grad * gradient_penalty(discriminator, real, fakes, mix),
    }


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
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.inputs, self.real, self.weights = inputs, real, weights
        self.adversarial_weight = adversarial_weight
        self.losses: dict[str, Tensor] = {}

    # Forward.

    def sample(self) -> None:
        """The unconditional sample, and in the same call the reconstruction."""
        noisy, prev, z_prev, _ = self.inputs
        if self.weights.alpha:
            pictures = self.generator(torch.cat([noisy, z_prev]), torch.cat([prev, z_prev]))
            self.fake, self.rec = pictures.chunk(2)
        else:
            self.fake = self.generator(noisy, prev)

    def translate(self, other: "DomainStep") -> None:
        """The other domain's sample, translated into this one."""
        self.source = other.fake.detach().requires_grad_()
        self.translated = self.generator(self.source, self.source)

    # Update the critic, then let it judge.

    def update_discriminator(self, optimiser: Adam) -> None:
        terms = discriminator_loss(
            self.discriminator, self.real, self.translated, self.fake, self.inputs.mix, self.weights.lambda_grad
        )
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        self.losses |= terms

    def judge(self) -> None:
        """Adversarial loss of the generators; its gradient in the two pictures."""
        pictures = torch.cat([self.translated, self.fake]).detach().requires_grad_()
        adversarial = -self.adversarial_weight * scores(self.discriminator, pictures).sum()
        (gradient,) = torch.autograd.grad(adversarial, pictures)
        self.translated_gradient, self.fake_gradient = gradient.chunk(2)
        self.losses["G/adversarial"] = adversarial

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
        gradient = self.translated_gradient
        if self.weights.beta:
            gradient = gradient + other.cycle_source.grad
        self.translated.backward(gradient)

    def sample_backward(self, other: "DomainStep") -> None:
        """Through the sample, judged here, in the cycle and in the other domain's translation, and the rec."""
        outputs, gradients = [self.fake], [self.fake_gradient + other.source.grad]
        if self.weights.alpha:
            self.losses["G/reconstruction"] = self.weights.alpha * F.mse_loss(self.rec, self.real)
            outputs.append(self.losses["G/reconstruction"])
            gradients.append(None)
        torch.autograd.backward(outputs, gradients)


def training_step(
    networks: ScaleNetworks,
    optimisers: Optimisers,
    inputs: StepInputs,
    reals: tuple[Tensor, Tensor],
    weights: LossWeights,
    both: DomainThreads,
) -> tuple[dict[str, Tensor], Pictures]:
    """Update both critics, then both generators, in place.

    Args:
        reals: A and B at this scale, (1, 3, H, W) each, [-1, 1].
        both: runs a stage for both domains.

    Returns:
        The weighted loss terms, detached scalars on the device, under slash-path names such as
        `D/penalty_a`, and the pictures made before the update.
    """
    steps = [
        DomainStep(*domain, weights, adversarial_weight)
        for *domain, adversarial_weight in zip(
            networks.generators, networks.discriminators, inputs, reals, (1.0, weights.lambda_g), strict=True
        )
    ]

    def middle(i: int) -> None:
        steps[i].update_discriminator(optimisers.discriminators[i])
        optimisers.generators[i].zero_grad()
        steps[i].judge()
        steps[i].close_cycle(steps[1 - i])

    def last(i: int) -> None:
        steps[i].sample_backward(steps[1 - i])
        optimisers.generators[i].step()

    both(lambda i: steps[i].sample())
    both(lambda i: steps[i].translate(steps[1 - i]))
    both(middle)
    both(lambda i: steps[i].translate_backward(steps[1 - i]))
    both(last)

    losses = {
        f"{name}_{x}": term.detach() for x, step in zip("ab", steps, strict=True) for name, term in step.losses.items()
    }
    a, b = steps
    return losses, Pictures(*(image.detach() for image in (a.fake, b.fake, a.translated, b.translated)))
