"""What the steps of a scale are for two images, or a clip and an image (docs/method.md, sections 4 to 6 and 12)."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from models.pyramid import Pyramid, gaussian_noise
from models.run import Run
from training.domains import one_by_one, side_by_side
from training.frames import Check, RealSource
from training.loop import Images, Losses, TakeStep
from training.state import OptimiserSettings, ScaleState
from training.step import DomainInputs, LossWeights, training_step
from utils.device import MOST_FOR_ONE_THREAD, send
from utils.rng import stream


@dataclass
class StepDraws:
    """Draws the inputs of the steps of one scale: a pure function of (seed, scale, step) and the step's real images.

    Args:
        pyramids: the finished scales of domains a and b.
        scale: the scale that trains.
        self_term: whether the steps need noise for the self term (section 12), too.
        fixed_rec: every rec draw of a domain starts from one and the same noise, as in SinGAN.
        real_start: share of the steps whose samples are made of the noisy real images of this scale, as an injection
            (section 8) makes them, instead of the rand draw; chosen at random, for both domains alike.
        sigmas: the scale's noise amplitudes (section 5).
    """

    pyramids: tuple[Pyramid, Pyramid]
    scale: int
    seed: int
    device: torch.device
    self_term: bool = False
    fixed_rec: bool = False
    real_start: float = 0.0
    sigmas: tuple[float, ...] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if self.fixed_rec:  # the same for every seed, with which the run may be resumed
            streams = [[stream(0, "reconstruction", x)] for x in (0, 1)]
            starts = [gaussian_noise(self.pyramids[x].shapes, streams[x], self.device)(0) for x in (0, 1)]
            self.recs = [self.pyramids[x].draw(starts[x], 0, self.scale) for x in (0, 1)]

    def __call__(self, x: int, step: int, real: Tensor) -> DomainInputs:
        """What domain x starts from in a step, counted from 0, with this real image, (1, 3, H, W) at this scale."""
        pyramid, scale = self.pyramids[x], self.scale
        own = stream(self.seed, "noise", scale, step, x)
        noise = gaussian_noise(pyramid.shapes, [stream(self.seed, "draws", scale, step, x)], self.device)
        z_prev = self.recs[x] if self.fixed_rec else pyramid.draw(noise(0), 0, scale)  # the stream's first numbers

        # From the real image plus sigma z; or from the rand draw, at scale 0 nothing plus 1 z (section 5).
        if torch.rand((), generator=stream(self.seed, "start", scale, step)).item() < self.real_start:
            prev, sigma = real, self.sigmas[x]
        else:
            prev = pyramid.draw(torch.zeros(1, 3, *pyramid.shapes[0], device=self.device), 0, scale, noise)
            sigma = self.sigmas[x] if scale else 1.0
        noisy = sigma * send(torch.randn(prev.shape, generator=own), self.device) + prev

        mix = send(torch.rand(3 if self.self_term else 2, generator=own), self.device)
        if not self.self_term:
            return DomainInputs(noisy, prev, z_prev, mix)
        self_noise = send(torch.randn(1, 3, *self.pyramids[1 - x].shapes[scale], generator=own), self.device)
        return DomainInputs(noisy, prev, z_prev, mix, self.sigmas[x] * self_noise)


@dataclass(frozen=True, kw_only=True)
class PairRecipe:
    """Trains two domains against each other.

    Args:
        reals: domain a's and domain b's real images.
        noise_amps: of each domain, sigma of a scale > 0 relative to the error of its rec draw.
        coarsest_sigmas: of each domain, sigma of scale 0, for every later draw and for the self term.
        fixed_rec, real_start: see `StepDraws`.
        recompute: save memory: large images of one domain after the other, see also `training_step`.
    """

    optimiser: OptimiserSettings
    reals: tuple[RealSource, RealSource]
    weights: LossWeights
    noise_amps: tuple[float, float]
    coarsest_sigmas: tuple[float, float]
    fixed_rec: bool
    real_start: float
    recompute: bool
    seed: int

    @property
    def passes(self) -> float:
        """Generators; scores and penalties of the discriminators' update; scores in the generators' (section 9)."""
        return 24 + 18 + 24 / self.weights.penalty_every + 8

    @contextmanager
    def steps(self, run: Run, state: ScaleState, check: Check) -> Iterator[TakeStep]:
        """The steps of a scale; measures the noise amplitudes of a state that has none yet."""
        scale, self_term = state.scale, bool(self.weights.lambda_self)
        small = 3 * max(math.prod(pyramid.shapes[scale]) for pyramid in run.pyramids) <= MOST_FOR_ONE_THREAD
        threads = run.device.type == "cpu" and torch.get_num_threads() > 1 and (small or not self.recompute)
        with side_by_side() if threads else nullcontext(one_by_one) as both:
            # Open the real images, and measure sigma: relative to the RMSE of the first step's rec draw (section 5).
            sources = [source(scale, check) for source in self.reals]
            draws = StepDraws(run.pyramids, scale, self.seed, run.device, self_term, self.fixed_rec, self.real_start)

            def measured(x: int) -> float:
                """sigma of domain x. Of the draw only z_prev is used, which needs no sigma of this scale."""
                real = sources[x](0)
                return self.noise_amps[x] * (real - draws(x, 0, real).z_prev).square().mean().sqrt().item()

            if not state.sigmas:
                state.sigmas = both(measured) if scale else self.coarsest_sigmas
            draws.sigmas = state.sigmas

            def take(step: int) -> tuple[Losses, Images]:
                reals = sources[0](step), sources[1](step)
                inputs = both(lambda x: draws(x, step, reals[x]))
                return training_step(state, inputs, reals, self.weights, both, self.recompute)

            yield take
