"""What the steps of a scale are for two images, or a clip and an image (docs/method.md, section 4 to 6 and 12)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from models.pyramid import Pyramid
from training.domains import DomainThreads
from training.draws import StepDraws
from training.losses import LossWeights
from training.optimisers import OptimiserSettings
from training.reals import RealSource
from training.scale import Steps
from training.state import ScaleState
from training.step import StepInputs, training_step

# Forward passes of one network that a step costs (docs/method.md, section 9): the generators, the discriminators in their own
# update, the discriminators in the generators' update.
PASSES = 24 + 42 + 8


@dataclass(frozen=True, kw_only=True)
class PairRecipe:
    """Trains two domains against each other.

    Args:
        reals: domain a's and domain b's real images.
        noise_amps: of each domain, sigma of a scale > 0 relative to the error of its rec draw.
        coarsest_sigmas: of each domain, sigma of scale 0, for every later draw and for the self term.
        fixed_rec, real_start: see `StepDraws`.
        recompute: see `training_step`.
        both: runs a piece of work for both domains.
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
    both: DomainThreads

    @contextmanager
    def steps(self, pyramids: tuple[Pyramid, Pyramid], state: ScaleState) -> Iterator[Steps]:
        """The steps of a scale; measures the noise amplitudes of a state that has none yet."""
        scale = state.scale
        self_term = bool(self.weights.lambda_self)
        draws = StepDraws(
            pyramids, scale, self.seed, self.device, self.both, self_term, self.fixed_rec, self.real_start
        )
        with self.reals[0](scale) as real_a, self.reals[1](scale) as real_b:
            if not state.sigmas:
                first = real_a(0), real_b(0)
                state.sigmas = draws.measure_sigmas(first, self.noise_amps) if scale else self.coarsest_sigmas
            draws.real_sigmas = state.sigmas
            if scale:  # While scale 0 itself trains, its samples' input is noise of amplitude 1 (docs/method.md, section 5).
                draws.sigmas = state.sigmas

            def inputs(step: int) -> tuple[StepInputs, tuple[Tensor, Tensor]]:
                reals = real_a(step), real_b(step)
                return draws.inputs(step, reals), reals

            yield Steps(
                inputs=inputs,
                take=partial(
                    training_step,
                    state.networks,
                    state.optimisers,
                    weights=self.weights,
                    both=self.both,
                    recompute=self.recompute,
                ),
            )
