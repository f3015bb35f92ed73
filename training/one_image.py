"""What the steps of a scale are for the pyramid of a single image: SinGAN (docs/method.md, section 11)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.pyramid import Noise, gaussian_noise
from models.run import Run
from training.frames import Check
from training.loop import Images, Losses, TakeStep
from training.state import OptimiserSettings, ScaleState
from training.step import discriminator_backward
from utils.device import few_threads, send
from utils.rng import stream

UPDATES = 3  # of the discriminator in a step, and then of the generator
ALPHA, LAMBDA_GRAD = 10.0, 0.1  # weights of the reconstruction and of the gradient penalty
NOISE_AMP = 0.1  # sigma above scale 0, relative to the error of the upsampled reconstruction
# Of an update of the discriminator: the generator's input and its base, (1, 3, H, W) each; the penalty's mix, (1,).
UpdateInputs = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class OneImageRecipe:
    """Trains one domain on one image.

    Args:
        reals: the image at every scale, (1, 3, H, W) each, [-1, 1].
        optimiser: rates a tenth for the last fifth of a scale's steps.
        recolour: done to what comes from coarser scales, (N, 3, H, W); for quantised refinement.
    """

    reals: list[Tensor]
    seed: int
    optimiser: OptimiserSettings = OptimiserSettings(lr_g=0.0005, lr_d=0.0005, tenth_after=0.8)
    recolour: Callable[[Tensor], Tensor] = lambda image: image
    # Of a discriminator's update: the fake; the scores of two images; the penalty. Of a generator's: two images; the
    # score of one. A backward pass counts as two, to the images alone as one.
    passes = UPDATES * (1 + 6 + 6) + UPDATES * (6 + 2)

    @contextmanager
    def steps(self, run: Run, state: ScaleState, check: Check) -> Iterator[TakeStep]:
        """The steps of a scale; measures the noise amplitude of a state that has none yet."""
        (pyramid,), scale, real = run.pyramids, state.scale, self.reals[state.scale]

        def coarser(noise: Noise, batch: int = 1) -> Tensor:
            """What the finished scales draw, on the grid of `scale`; zero at scale 0."""
            drawn = pyramid.draw(torch.zeros(batch, 3, *pyramid.shapes[0], device=run.device), 0, scale, noise)
            return self.recolour(drawn) if scale else drawn

        # Draw what the image itself is reconstructed from: z* at scale 0, no noise above; and measure sigma. It is the
        # same for every seed: a pyramid whose training is resumed under another seed has to meet its own z* again.
        streams, zero = [stream(0, "reconstruction", 0)], torch.zeros((), device=run.device)
        z_star = gaussian_noise(pyramid.shapes, streams, run.device, grey_coarsest=True)(0)
        rec_base = coarser(lambda each: z_star if each == 0 else zero)
        if not state.sigmas:
            error = (real - rec_base).square().mean().sqrt().item()
            state.sigmas = (NOISE_AMP * error,) if scale else (1.0,)
        (sigma,) = state.sigmas
        rec_input = rec_base if scale else sigma * z_star  # sigma z* + rec_base; one of them is zero

        def take(step: int) -> tuple[Losses, Images]:
            # A coarse draw for each of the updates, and one noise for all.
            streams = [stream(self.seed, "draws", scale, step, update) for update in range(UPDATES)]
            bases = coarser(gaussian_noise(pyramid.shapes, streams, run.device, grey_coarsest=True), UPDATES)
            own = [stream(self.seed, "noise", scale, step)]
            noisy = bases + sigma * gaussian_noise(pyramid.shapes, own, run.device, grey_coarsest=True)(scale)
            mixes = send(torch.rand(UPDATES, 1, generator=own[0]), run.device)
            inputs = list(zip(noisy.split(1), bases.split(1), mixes.unbind(), strict=True))
            return one_image_step(state, inputs, real, (rec_input, rec_base))

        with few_threads(run.device, real.numel()):
            yield take


def one_image_step(
    state: ScaleState, inputs: list[UpdateInputs], real: Tensor, rec: tuple[Tensor, Tensor]
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
    (generator,), (discriminator,) = state.networks.generators, state.networks.discriminators
    for noisy, base, mix in inputs:
        with torch.no_grad():
            fake = generator(noisy, base)
        state.adam_d.zero_grad()
        losses = discriminator_backward(discriminator, real, [fake], [1.0], mix, [LAMBDA_GRAD])
        state.adam_d.step()
    noisy, base, _ = inputs[-1]
    discriminator.requires_grad_(False)
    for _ in inputs:
        fake, reconstruction = generator(noisy, base), generator(*rec)
        losses_g = {
            "G/adversarial": -discriminator(fake).mean(),
            "G/reconstruction": ALPHA * F.mse_loss(reconstruction, real),
        }
        state.adam_g.zero_grad()
        sum(losses_g.values()).backward()
        state.adam_g.step()
    discriminator.requires_grad_(True)
    terms = {name: term.detach() for name, term in (losses | losses_g).items()}
    return terms, {"fake_a": fake.detach(), "rec_a": reconstruction.detach()}
