"""Train the scales, coarse to fine: warm start, checkpoints, resume."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from models.architecture import ScaleNetworks
from models.blocks import initialise
from models.pyramid import Pyramid
from models.snapshot import Run
from training.optimisers import Optimisers, OptimiserSettings
from training.scale import Schedule, Steps, train_scale
from training.state import ScaleState
from utils.progress import Progress
from utils.log import RunLog
from utils.rng import stream


class Recipe(Protocol):
    """What is trained, and what a step of it is: a pair (training.pair) or one image (training.one_image)."""

    optimiser: OptimiserSettings
    seed: int

    def steps(self, pyramids: tuple[Pyramid, ...], state: ScaleState) -> AbstractContextManager[Steps]:
        """The steps of a scale; measures the noise amplitudes of a state that has none yet."""


class Trained(NamedTuple):
    """How far a run has come.

    Attributes:
        pyramids: every domain's finished scales.
        networks: of the last finished scale, for the next to start from; None where it starts fresh.
        state: the scale in progress; None where the run was left between two scales.
    """

    pyramids: tuple[Pyramid, ...]
    networks: ScaleNetworks | None
    state: ScaleState | None

    @property
    def scale(self) -> int:
        """The scale to go on with; one more than the finest if all are finished."""
        return len(self.pyramids[0].generators)


def read_trained(run: Run, optimiser: OptimiserSettings) -> Trained:
    """What a run's folder holds; CheckpointError where it cannot be gone on with."""
    pyramids, networks = run.load_pyramids()
    scale = len(pyramids[0].generators)
    state = read_state(run, scale, optimiser) if scale <= run.geometry.stop_scale else None
    return Trained(pyramids, networks, state)


def read_state(run: Run, scale: int, optimiser: OptimiserSettings) -> ScaleState | None:
    """A scale in progress, where the run was left in it; CheckpointError where its file does not fit."""
    if not run.folder.state.is_file():
        return None
    state = new_state(run, scale, optimiser)
    return state if state.load(run.folder.state, run.device) else None


def new_state(run: Run, scale: int, optimiser: OptimiserSettings) -> ScaleState:
    """A scale whose networks are not filled yet."""
    networks = run.networks(scale).to(run.device)
    return ScaleState(scale, networks, Optimisers(networks, optimiser))


def fill_networks(run: Run, state: ScaleState, previous: ScaleNetworks | None, seed: int) -> None:
    """What a scale starts from: the previous scale's networks where the widths agree, else fresh (docs/method.md, section 3)."""
    widths = run.architecture.widths
    if previous is not None and widths(state.scale) == widths(state.scale - 1):
        state.networks.load_state_dict(previous.state_dict())
    else:
        initialise(state.networks, stream(seed, "initialise", state.scale))


def train(
    run: Run,
    recipe: Recipe,
    schedule: Schedule,
    trained: Trained,
    costs: list[float],
    should_stop: Callable[[], bool],
    last: int | None = None,
) -> tuple[Pyramid, ...] | None:
    """Train every scale that is not finished yet.

    Args:
        trained: what there is already; its pyramids grow.
        costs: seconds of a step at every scale, for the time left; only their ratios matter.
        should_stop: asked between steps; the run is saved before it is left.
        last: the last scale to train; the finest if None.

    Returns:
        The finished pyramid of every domain; None if stopped before the end.
    """
    pyramids, networks, state = trained
    last = run.geometry.stop_scale if last is None else last
    if trained.scale > last:
        return pyramids
    begin = (trained.scale, state.step if state else 0)
    with Progress(costs[: last + 1], schedule.niter, begin) as progress:
        for scale in range(trained.scale, last + 1):
            # Start from what was saved, or from the previous scale.
            if state is None:
                state = new_state(run, scale, recipe.optimiser)
                fill_networks(run, state, networks, recipe.seed)
            RunLog(run.folder.log).forget_after(scale, state.step)

            with recipe.steps(pyramids, state) as steps:
                if not train_scale(state, steps, schedule, run.folder, progress, should_stop):
                    return None

            # Keep the scale, and freeze its generators.
            run.save_scale(scale, state.networks, state.sigmas)
            run.folder.state.unlink(missing_ok=True)
            for pyramid, generator, sigma in zip(pyramids, state.networks.generators, state.sigmas, strict=True):
                pyramid.append(generator, sigma)
            networks, state = state.networks, None
    return pyramids
