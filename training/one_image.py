"""What the steps of a scale are for the pyramid of a single image: SinGAN (docs/method.md, section 11)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks import ScaleNetworks
from models.pyramid import Noise, Pyramid, gaussian_noise
from training.draws import rec_start
from training.loop import Images, Losses, TakeStep
from training.optimisers import Optimisers, OptimiserSettings
from training.state import ScaleState
from training.step import update_discriminator
from utils.device import send
from utils.geometry import ImageGeometry
from utils.rng import stream, uniform

OPTIMISER = OptimiserSettings(lr_g=0.0005, lr_d=0.0005, tenth_after=0.8)
UPDATES = 3  # of the discriminator in a step, and then of the generator
# Forward passes of one network that a step costs. A discriminator's update: the fake; the scores of two images; the
# penalty. A generator's: two images; the score of one. A backward pass counts as two, to the images alone as one.
PASSES = UPDATES * (1 + 6 + 6) + UPDATES * (6 + 2)
# Of an update of the discriminator: the generator's input and its base, (1, 3, H, W) each; the penalty's mix, (1,).
UpdateInputs = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class OneImageRecipe:
    """Trains one domain on one image.

    Args:
        reals: the image at every scale, (1, 3, H, W) each, [-1, 1].
        optimiser: rates a tenth for the last fifth of a scale's steps.
        alpha: weight of the reconstruction.
        lambda_grad: weight of the gradient penalty.
        noise_amp: sigma above scale 0, relative to the error of the upsampled reconstruction.
        recolour: done to what comes from coarser scales, (N, 3, H, W); for quantised refinement.
    """

    geometry: ImageGeometry
    reals: list[Tensor]
    seed: int
    device: torch.device
    optimiser: OptimiserSettings = OPTIMISER
    alpha: float = 10.0
    lambda_grad: float = 0.1
    noise_amp: float = 0.1
    passes: int = PASSES
    recolour: Callable[[Tensor], Tensor] = lambda image: image

    @contextmanager
    def steps(self, pyramids: tuple[Pyramid, ...], state: ScaleState) -> Iterator[TakeStep]:
        """The steps of a scale; measures the noise amplitude of a state that has none yet."""
        (pyramid,), scale, real = pyramids, state.scale, self.reals[state.scale]
        rec_noise = self._rec_noise()
        rec_base = self._coarser(pyramid, scale, rec_noise)
        if not state.sigmas:
            error = (real - rec_base).square().mean().sqrt().item()
            state.sigmas = (self.noise_amp * error,) if scale else (1.0,)
        (sigma,) = state.sigmas
        rec_input = rec_base if scale else sigma * rec_noise(0)  # sigma z* + rec_base; one of them is zero

        def take(step: int) -> tuple[Losses, Images]:
            updates, rec = self._draw(pyramid, scale, sigma, step), (rec_input, rec_base)
            return one_image_step(state.networks, state.optimisers, updates, real, rec, self.alpha, self.lambda_grad)

        yield take

    def _rec_noise(self) -> Noise:
        """The noise the image itself is reconstructed from: z* at scale 0, zero above."""
        fixed = rec_start(self.geometry.shapes, self.device, grey=True)
        return lambda scale: fixed if scale == 0 else torch.zeros((), device=self.device)

    def _coarser(self, pyramid: Pyramid, scale: int, noise: Noise, batch: int = 1) -> Tensor:
        """What the finished scales draw, on the grid of `scale`; zero at scale 0."""
        start = torch.zeros(batch, 3, *pyramid.shapes[0], device=self.device)
        drawn = pyramid.draw(start, 0, scale, noise)
        return self.recolour(drawn) if scale else drawn

    def _draw(self, pyramid: Pyramid, scale: int, sigma: float, step: int) -> list[UpdateInputs]:
        """The inputs of a step's updates: a coarse draw for each of them, and one noise for all."""
        streams = [stream(self.seed, "draws", scale, step, update) for update in range(UPDATES)]
        coarser = gaussian_noise(pyramid.shapes, streams, self.device, grey_coarsest=True)
        bases = self._coarser(pyramid, scale, coarser, UPDATES)
        own = [stream(self.seed, "noise", scale, step)]
        noisy = bases + sigma * gaussian_noise(pyramid.shapes, own, self.device, grey_coarsest=True)(scale)
        mixes = send(uniform((UPDATES, 1), own)[0], self.device)
        return list(zip(noisy.split(1), bases.split(1), mixes.unbind(), strict=True))


def one_image_step(
    networks: ScaleNetworks,
    optimisers: Optimisers,
    inputs: list[UpdateInputs],
    real: Tensor,
    rec: tuple[Tensor, Tensor],
    alpha: float,
    lambda_grad: float,
) -> tuple[Losses, Images]:
    """Update the discriminator with every one of the inputs, then the generator as often with the last of them.

        L_D = -mean D(real) + mean D(fake) + GP(real, fake)
        L_G = -mean D(fake) + alpha mse(G(rec), real)

    with fake = G(noisy, base), made anew for every update (docs/method.md, section 11).

    Args:
        real: (1, 3, H, W), [-1, 1].
        rec: input and base that should give the real image, (1, 3, H, W) each.

    Returns:
        The weighted loss terms of the last update of each network, detached scalars on the device, and the images made
        before the generator's last one, (1, 3, H, W) each: fake_a, rec_a.
    """
    (generator,), (discriminator,) = networks.generators, networks.discriminators
    optimiser_g, optimiser_d = optimisers.all()
    for noisy, base, mix in inputs:
        with torch.no_grad():
            fake = generator(noisy, base)
        losses = update_discriminator(discriminator, optimiser_d, real, [fake], [1.0], mix, lambda_grad)
    noisy, base, _ = inputs[-1]
    discriminator.requires_grad_(False)
    for _ in inputs:
        fake, reconstruction = generator(noisy, base), generator(*rec)
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
