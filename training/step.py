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


class StepInputs(NamedTuple):
    """Everything random in a step. Pictures are (1, 3, H, W); see METHOD section 6 for the symbols.

    noisy_x: n_x, input of the unconditional sample; prev_x: its base; z_prev_x: start of the
    reconstruction; mix_x: (2,) in [0, 1], the penalty's mixing numbers with the translated picture and
    with the unconditional sample.
    """

    noisy_a: Tensor
    prev_a: Tensor
    z_prev_a: Tensor
    mix_a: Tensor
    noisy_b: Tensor
    prev_b: Tensor
    z_prev_b: Tensor
    mix_b: Tensor


class Pictures(NamedTuple):
    """What the generators make in a step; (1, 3, H, W) each, None for a term that is left out."""

    fake_a: Tensor
    fake_b: Tensor
    b2a: Tensor
    a2b: Tensor
    rec_a: Tensor | None
    rec_b: Tensor | None
    cyc_a: Tensor | None
    cyc_b: Tensor | None


@dataclass(frozen=True)
class OptimiserSettings:
    """Adam's settings: rates of the generators and critics, first-moment decay."""

    lr_g: float = 0.0005
    lr_d: float = 0.0001
    beta1: float = 0.5


class Optimisers:
    """One Adam over both generators and one over both critics, at a constant rate."""

    def __init__(self, networks: ScaleNetworks, settings: OptimiserSettings) -> None:
        betas = (settings.beta1, 0.999)
        parameters_g = [p for network in networks.generators for p in network.parameters()]
        parameters_d = [p for network in networks.discriminators for p in network.parameters()]
        self.generators = Adam(parameters_g, lr=settings.lr_g, betas=betas, fused=True)
        self.discriminators = Adam(parameters_d, lr=settings.lr_d, betas=betas, fused=True)


def make_pictures(networks: ScaleNetworks, inputs: StepInputs, weights: LossWeights) -> Pictures:
    """The samples, reconstructions, translations and cycles of a step; gradients flow through all."""
    generator_a, generator_b = networks.generators
    rec = weights.alpha != 0
    fake_a, rec_a = _sample_and_reconstruct(generator_a, inputs.noisy_a, inputs.prev_a, inputs.z_prev_a, rec)
    fake_b, rec_b = _sample_and_reconstruct(generator_b, inputs.noisy_b, inputs.prev_b, inputs.z_prev_b, rec)
    b2a = generator_a(fake_b, fake_b)
    a2b = generator_b(fake_a, fake_a)
    cyc_a = generator_a(a2b, a2b) if weights.beta else None
    cyc_b = generator_b(b2a, b2a) if weights.beta else None
    return Pictures(fake_a, fake_b, b2a, a2b, rec_a, rec_b, cyc_a, cyc_b)


def _sample_and_reconstruct(
    generator: Generator, noisy: Tensor, prev: Tensor, z_prev: Tensor, reconstruct: bool
) -> tuple[Tensor, Tensor | None]:
    if not reconstruct:
        return generator(noisy, prev), None
    fake, rec = generator(torch.cat([noisy, z_prev]), torch.cat([prev, z_prev])).chunk(2)
    return fake, rec


def discriminator_loss(
    discriminator: Discriminator,
    real: Tensor,
    translated: Tensor,
    fake: Tensor,
    mix: Tensor,
    lambda_grad: float,
) -> dict[str, Tensor]:
    """The terms of L_D of one domain, weighted, so that their sum is the loss; fakes are detached here."""
    fakes = torch.cat([translated, fake]).detach()
    score_real, score_translated, score_fake = scores(discriminator, torch.cat([real, fakes])).unbind()
    return {
        "real": -2 * score_real,
        "fake": score_translated + score_fake,
        "penalty": lambda_grad * gradient_penalty(discriminator, real, fakes, mix),
    }


def generator_loss(
    networks: ScaleNetworks, pictures: Pictures, real_a: Tensor, real_b: Tensor, weights: LossWeights
) -> dict[str, Tensor]:
    """The terms of L_G, weighted, so that their sum is the loss; critics as they are now."""
    p = pictures
    adversarial_a = -scores(networks.discriminator_a, torch.cat([p.b2a, p.fake_a])).sum()
    adversarial_b = -scores(networks.discriminator_b, torch.cat([p.a2b, p.fake_b])).sum()
    terms = {"adversarial_a": adversarial_a, "adversarial_b": weights.lambda_g * adversarial_b}
    if weights.alpha:
        terms["reconstruction_a"] = weights.alpha * F.mse_loss(p.rec_a, real_a)
        terms["reconstruction_b"] = weights.alpha * F.mse_loss(p.rec_b, real_b)
    if weights.beta:
        terms["cycle_a"] = weights.beta * F.mse_loss(p.cyc_a, p.fake_a)
        terms["cycle_b"] = weights.beta * F.mse_loss(p.cyc_b, p.fake_b)
    return terms


def training_step(
    networks: ScaleNetworks,
    optimisers: Optimisers,
    inputs: StepInputs,
    real_a: Tensor,
    real_b: Tensor,
    weights: LossWeights,
) -> tuple[dict[str, Tensor], Pictures]:
    """Update both critics, then both generators, in place.

    Args:
        real_a, real_b: (1, 3, H, W), the real images at this scale, [-1, 1].

    Returns:
        The weighted loss terms, detached scalars on the device, under slash-path names such as
        `D/penalty_a`, and the pictures made before the update.
    """
    pictures = make_pictures(networks, inputs, weights)

    # Update the critics.
    loss_a = discriminator_loss(
        networks.discriminator_a, real_a, pictures.b2a, pictures.fake_a, inputs.mix_a, weights.lambda_grad
    )
    loss_b = discriminator_loss(
        networks.discriminator_b, real_b, pictures.a2b, pictures.fake_b, inputs.mix_b, weights.lambda_grad
    )
    optimisers.discriminators.zero_grad()
    (sum(loss_a.values()) + sum(loss_b.values())).backward()
    optimisers.discriminators.step()

    # Update the generators, judged by the updated critics.
    for discriminator in networks.discriminators:
        discriminator.requires_grad_(False)
    loss_g = generator_loss(networks, pictures, real_a, real_b, weights)
    optimisers.generators.zero_grad()
    sum(loss_g.values()).backward()
    optimisers.generators.step()
    for discriminator in networks.discriminators:
        discriminator.requires_grad_(True)

    losses = {f"D/{name}_a": term.detach() for name, term in loss_a.items()}
    losses |= {f"D/{name}_b": term.detach() for name, term in loss_b.items()}
    losses |= {f"G/{name}": term.detach() for name, term in loss_g.items()}
    return losses, Pictures(*(None if image is None else image.detach() for image in pictures))
