"""Over the scales, coarse to fine: warm start, noise amplitude, checkpoints, resume."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch

from models.architecture import Architecture, ScaleNetworks
from models.blocks import initialise
from models.generator import Generator
from models.pyramid import Pyramid
from models.snapshot import load_pyramids, load_scale, save_scale
from training.optimisers import Optimisers, OptimiserSettings
from training.scale import TakeStep, train_scale
from training.state import ScaleState
from utils.progress import Progress
from utils.runs.log import RunLog
from utils.runs.run_folder import RunFolder
from utils.scales import Geometry, ImageGeometry
from utils.streams import stream


@dataclass(frozen=True)
class Schedule:
    """How long a run is, and how often it reports and saves.

    Args:
        niter: steps per scale.
        print_interval: steps between two lines of the log.
        save_every: seconds between two saves of the scale in progress.
    """

    niter: int = 20000
    print_interval: int = 1000
    save_every: float = 60.0


class Recipe(Protocol):
    """What is trained, and what a step of it is: a pair (training.pair) or one image (training.one_image)."""

    geometry: Geometry | ImageGeometry
    architecture: Architecture
    optimiser: OptimiserSettings
    seed: int
    device: torch.device

    def steps(self, pyramids: tuple[Pyramid, ...], state: ScaleState) -> AbstractContextManager[TakeStep]:
        """The steps of a scale; measures the noise amplitudes of a state that has none yet."""


def start_networks(
    scale: int,
    geometry: Geometry | ImageGeometry,
    architecture: Architecture,
    previous: ScaleNetworks | None,
    seed: int,
    device: torch.device,
) -> ScaleNetworks:
    """The networks a scale starts from: the previous scale's where the widths agree, else fresh (section 3)."""
    networks = ScaleNetworks(architecture, scale, geometry.stop_scale)
    if previous is not None and architecture.widths(scale) == architecture.widths(scale - 1):
        networks.load_state_dict(previous.state_dict())
    else:
        initialise(networks, stream(seed, "initialise", scale))
    return networks.to(device)


def start_state(
    run: RunFolder, scale: int, networks: ScaleNetworks, optimiser: OptimiserSettings, device: torch.device
) -> ScaleState:
    """The state a scale starts from: the saved one where the run was left in this scale, else a new one."""
    state = ScaleState(scale, networks, Optimisers(networks, optimiser))
    if run.state.is_file():
        state.load(run.state, device)
    return state


def check_resumable(
    run: RunFolder, geometry: Geometry | ImageGeometry, architecture: Architecture, optimiser: OptimiserSettings
) -> None:
    """Read everything a resume will need; CheckpointError where it would fail."""
    cpu = torch.device("cpu")
    pyramids, _ = load_pyramids(run, geometry, architecture, cpu)
    scale = len(pyramids[0].generators)
    if scale <= geometry.stop_scale:
        start_state(run, scale, ScaleNetworks(architecture, scale, geometry.stop_scale), optimiser, cpu)


def train(
    run: RunFolder,
    recipe: Recipe,
    schedule: Schedule,
    *,
    costs: list[float],
    should_stop: Callable[[], bool],
) -> tuple[Pyramid, ...] | None:
    """Train every scale that is not finished yet, going on from whatever the run folder holds.

    Args:
        costs: relative cost of a step at each scale, for the time left.
        should_stop: asked between steps; the run is saved before it is left.

    Returns:
        The finished pyramid of every domain; None if stopped before the end.
    """
    geometry, architecture, device = recipe.geometry, recipe.architecture, recipe.device
    pyramids, networks = load_pyramids(run, geometry, architecture, device)
    progress: Progress | None = None
    for scale in range(len(pyramids[0].generators), geometry.stop_scale + 1):
        networks = start_networks(scale, geometry, architecture, networks, recipe.seed, device)
        state = start_state(run, scale, networks, recipe.optimiser, device)
        progress = progress or Progress(costs, schedule.niter, done=(scale, state.step))
        if not finish_scale(run, recipe, schedule, pyramids, state, progress, should_stop):
            progress.close()
            return None
        for pyramid, generator, sigma in zip(pyramids, networks.generators, state.sigmas, strict=True):
            pyramid.append(generator, sigma)
    if progress:
        progress.close()
    return pyramids


def finish_scale(
    run: RunFolder,
    recipe: Recipe,
    schedule: Schedule,
    pyramids: tuple[Pyramid, ...],
    state: ScaleState,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> bool:
    """Take the steps of a scale that are still to be done, and keep the scale; False if stopped before the end."""
    log = RunLog(run.log)
    log.forget_after(state.scale, state.step)
    with recipe.steps(pyramids, state) as take_step:
        finished = train_scale(
            state,
            take_step,
            niter=schedule.niter,
            print_interval=schedule.print_interval,
            save_every=schedule.save_every,
            run=run,
            progress=progress,
            should_stop=should_stop,
        )
    if finished:
        save_scale(run, state.scale, state.networks, state.sigmas, recipe.geometry, recipe.architecture)
        run.state.unlink(missing_ok=True)
    return finished


def train_single_scale(
    run: RunFolder,
    recipe: Recipe,
    pyramid: Pyramid,
    scale: int,
    schedule: Schedule,
    should_stop: Callable[[], bool],
) -> tuple[Generator, float] | None:
    """Train one scale of a single domain from a fresh start, upon a pyramid's coarser scales.

    Args:
        run: a folder for this scale alone; what it holds is used, or gone on with.

    Returns:
        The generator and its noise amplitude; None if stopped before the end.
    """
    geometry, architecture, device = recipe.geometry, recipe.architecture, recipe.device
    if run.scale(scale).is_file():
        networks, (sigma,) = load_scale(run, scale, geometry, architecture, device)
        return networks.generators[0], sigma
    run.make_writable()
    networks = start_networks(scale, geometry, architecture, None, recipe.seed, device)
    state = start_state(run, scale, networks, recipe.optimiser, device)
    progress = Progress([1.0] * (scale + 1), schedule.niter, done=(scale, state.step))
    finished = finish_scale(run, recipe, schedule, (pyramid,), state, progress, should_stop)
    progress.close()
    return (networks.generators[0], state.sigmas[0]) if finished else None
