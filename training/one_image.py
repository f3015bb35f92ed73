"""What the steps of a scale are for the pyramid of a single image: SinGAN (METHOD section 11)."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from models.architecture import ScaleNetworks
from models.pyramid import Noise, Pyramid, gaussian_noise
from training.batching import generate
from training.draws import in_chunks, rec_start, steps_per_chunk
from training.optimisers import Optimisers, OptimiserSettings
from training.scale import Images, Losses, Steps
from training.state import ScaleState
from training.step import discriminator_backward
from utils.device import send
from utils.scales import ImageGeometry
from utils.streams import stream, uniform

PASSES = 63  # forward passes of one network that a step costs
OPTIMISER = OptimiserSettings(lr_g=0.0005, lr_d=0.0005, tenth_after=0.8)
UPDATES = 3  # of the discriminator in a step, and then of the generator
StepInputs = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class OneImageRecipe:
    """Trains one domain on one image.

    Args:
        reals: the image at every scale, (1, 3, H, W) each, [-1, 1].
        optimiser: rates a tenth for the last fifth of a scale's steps.
        alpha: weight of the reconstruction.
        lambda_grad: weight of the gradient penalty.
        noise_amp: noise amplitude above scale 0, relative to the reconstruction error.
        recolour: done to what comes from coarser scales; for quantised refinement.
    """

    geometry: ImageGeometry
    reals: list[Tensor]
    seed: int
    device: torch.device
    optimiser: OptimiserSettings = OPTIMISER
    alpha: float = 10.0
    lambda_grad: float = 0.1
    noise_amp: float = 0.1
    recolour: Callable[[Tensor], Tensor] = lambda image: image

    @contextmanager
    def steps(self, pyramids: tuple[Pyramid, ...], state: ScaleState) -> Iterator[Steps]:
        """The steps of a scale; measures the noise amplitude of a state that has none yet."""
        (pyramid,), scale, real = pyramids, state.scale, self.reals[state.scale]
        rec_base = self._coarser(pyramid, scale, self._rec_noise())
        if not state.sigmas:
            error = (real - rec_base).square().mean().sqrt().item()
            state.sigmas = (self.noise_amp * error,) if scale else (1.0,)
        (sigma,) = state.sigmas
        rec_input = rec_base if scale else sigma * self._rec_noise()(0)
        inputs = self._inputs(pyramid, scale, sigma)
        yield Steps(
            inputs=lambda step: (inputs(step),),
            take=partial(
                one_image_step,
                state.networks,
                state.optimisers,
                real=real,
                rec=(rec_input, rec_base),
                alpha=self.alpha,
                lambda_grad=self.lambda_grad,
            ),
        )

    def _rec_noise(self) -> Noise:
        """The noise the image itself is remembered by: z* at scale 0, nothing above."""
        fixed = rec_start(self.geometry.shapes, self.device, grey=True)
        return lambda scale: fixed if scale == 0 else torch.zeros((), device=self.device)

    def _coarser(self, pyramid: Pyramid, scale: int, noise: Noise, batch: int = 1) -> Tensor:
        """What the finished scales draw, on the grid of `scale`; zero at scale 0."""
        start = torch.zeros(batch, 3, *pyramid.shapes[0], device=self.device)
        drawn = pyramid.draw(start, 0, scale, noise)
        return self.recolour(drawn) if scale else drawn

    def _inputs(self, pyramid: Pyramid, scale: int, sigma: float) -> Callable[[int], list[StepInputs]]:
        """Of every step: for each update of the discriminator the generator's input, its base, and the mix."""
        length = steps_per_chunk(UPDATES * math.prod(pyramid.shapes[scale]), self.device)

        def make(steps: range) -> list[list[StepInputs]]:
            updates = [stream(self.seed, "draws", scale, step, update) for step in steps for update in range(UPDATES)]
            coarser = gaussian_noise(pyramid.shapes, updates, self.device, grey_coarsest=True)
            bases = self._coarser(pyramid, scale, coarser, len(updates))
            # One noise for all updates of a step.
            generators = [stream(self.seed, "noise", scale, step) for step in steps]
            own = gaussian_noise(pyramid.shapes, generators, self.device, grey_coarsest=True)(scale)
            noisy = bases + sigma * own.repeat_interleave(UPDATES, dim=0)
            mixes = send(uniform((UPDATES, 1), generators).flatten(0, 1), self.device)
            parts = list(zip(noisy.split(1), bases.split(1), mixes.unbind(), strict=True))
            return [parts[i : i + UPDATES] for i in range(0, len(parts), UPDATES)]

        return in_chunks(make, length)


def one_image_step(
    networks: ScaleNetworks,
    optimisers: Optimisers,
    inputs: list[StepInputs],
    real: Tensor,
    rec: tuple[Tensor, Tensor],
    alpha: float,
    lambda_grad: float,
) -> tuple[Losses, Images]:
    """Update the discriminator with every one of the inputs, then the generator as often with the last of them.

    Args:
        inputs: (noisy input, base, mixing number) each; images are (1, 3, H, W).
        rec: input and base that should give the real image.

    Returns:
        The weighted loss terms of the last updates, and the images made before the last one.
    """
    (generator,), (discriminator,) = networks.generators, networks.discriminators
    optimiser_g, optimiser_d = optimisers.all()
    for noisy, base, mix in inputs:
        with torch.no_grad():
            fake = generator(noisy, base)
        optimiser_d.zero_grad()
        losses = discriminator_backward(discriminator, real, [fake], [1.0], mix, lambda_grad)
        optimiser_d.step()
    noisy, base, _ = inputs[-1]
    discriminator.requires_grad_(False)
    for _ in inputs:
        fake, reconstruction = generate(generator, [noisy, rec[0]], [base, rec[1]])
        losses_g = {
            "G/adversarial": -discriminator(fake).mean(),
            "G/reconstruction": alpha * F.mse_loss(reconstruction, real),
        }
        optimiser_g.zero_grad()
        sum(losses_g.values()).backward()
        optimiser_g.step()
    discriminator.requires_grad_(True)
    terms = {name: term.detach() for name, term in (losses | losses_g).items()}
    return terms, {"fake_a": fake.detach(), "rec_a": reconstruction.detach()}
