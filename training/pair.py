"""What the steps of a scale are for two images, or a clip and an image (docs/method.md, section 4 to 6 and 12)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch

from models.pyramid import Pyramid
from training.domains import DomainThreads, one_by_one
from training.draws import StepDraws
from training.frames import RealSource
from training.loop import Images, Losses, TakeStep
from training.losses import LossWeights
from training.optimisers import OptimiserSettings
from training.state import ScaleState
from training.step import training_step

# Forward passes of one network that a step costs (docs/method.md, section 9): the generators, the discriminators in
# their own update, the discriminators in the generators' update.
PASSES = 24 + 42 + 8


@dataclass(frozen=True, kw_only=True)
class PairRecipe:
    """Trains two domains against each other.

    Args:
        reals: domain a's and domain b's real images.
        noise_amps: of each domain, sigma of a scale > 0 relative to the error of its rec draw.
        coarsest_sigmas: of each domain, sigma of scale 0, for every later draw and for the self term.
        fixed_rec, real_start: see `StepDraws`.
        recompute: save memory: one domain after the other, see also `training_step`.
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
    device: torch.device
    passes: int = PASSES

    @contextmanager
    def steps(self, pyramids: tuple[Pyramid, Pyramid], state: ScaleState) -> Iterator[TakeStep]:
        """The steps of a scale; measures the noise amplitudes of a state that has none yet."""
        scale, self_term = state.scale, bool(self.weights.lambda_self)
        with ExitStack() as stack:
            both = one_by_one
            if self.device.type == "cpu" and torch.get_num_threads() > 1 and not self.recompute:
                both = stack.enter_context(DomainThreads())

            # Open the real images, and measure sigma.
            real_a, real_b = (source(scale) for source in self.reals)
            draws = StepDraws(pyramids, scale, self.seed, self.device, both, self_term, self.fixed_rec, self.real_start)
            if not state.sigmas:
                first = real_a(0), real_b(0)
                state.sigmas = draws.measure_sigmas(first, self.noise_amps) if scale else self.coarsest_sigmas
            draws.sigmas = state.sigmas

            def take(step: int) -> tuple[Losses, Images]:
                reals = real_a(step), real_b(step)
                of_step = state.networks, state.optimisers, draws(step, reals), reals
                return training_step(*of_step, self.weights, both, self.recompute)

            yield take
