"""Over the scales, coarse to fine: warm start, noise amplitude, checkpoints, resume."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.architecture import Architecture, ScaleNetworks
from models.blocks import initialise
from models.pyramid import Pyramid
from models.snapshot import load_pyramids, save_scale
from training.draws import StepDraws
from training.losses import LossWeights
from training.scale import ScaleState, train_scale
from training.step import Optimisers, OptimiserSettings
from utils.log import Progress, RunLog
from utils.parallel import DomainThreads
from utils.run_folder import RunFolder
from utils.scales import Geometry
from utils.streams import stream

Reals = tuple[list[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Schedule:
    """What a run does beside its networks and losses.

    Args:
        niter: steps per scale.
        noise_amp_a, noise_amp_b: noise amplitude of each domain, relative to the reconstruction error.
        print_interval: steps between two lines of the log.
        save_every: seconds between two saves of the scale in progress.
    """

    niter: int = 20000
    noise_amp_a: float = 0.1
    noise_amp_b: float = 0.1
    print_interval: int = 1000
    save_every: float = 60.0


def start_networks(
    scale: int,
    geometry: Geometry,
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
    run: RunFolder, geometry: Geometry, architecture: Architecture, optimiser: OptimiserSettings
) -> None:
    """Read everything a resume will need; CheckpointError where it would fail."""
    cpu = torch.device("cpu")
    pyramids, _ = load_pyramids(run, geometry, architecture, cpu)
    scale = len(pyramids[0].generators)
    if scale <= geometry.stop_scale:
        start_state(run, scale, ScaleNetworks(architecture, scale, geometry.stop_scale), optimiser, cpu)


def train(
    run: RunFolder,
    reals: Reals,
    geometry: Geometry,
    architecture: Architecture,
    weights: LossWeights,
    optimiser: OptimiserSettings,
    schedule: Schedule,
    *,
    seed: int,
    costs: list[float],
    device: torch.device,
    both: DomainThreads,
    should_stop: Callable[[], bool],
) -> tuple[Pyramid, Pyramid] | None:
    """Train every scale that is not finished yet, going on from whatever the run folder holds.

    Args:
        reals: domain a's and domain b's real image at every scale.
        costs: relative cost of a step at each scale, for the time left.
        both: runs a piece of work for both domains.
        should_stop: asked between steps; the run is saved before it is left.

    Returns:
        The finished pyramids of a and b; None if stopped before the end.
    """
    pyramids, networks = load_pyramids(run, geometry, architecture, device)
    log = RunLog(run.log)
    progress: Progress | None = None
    for scale in range(len(pyramids[0].generators), geometry.stop_scale + 1):
        # Set up the scale, or pick up where a run left it.
        networks = start_networks(scale, geometry, architecture, networks, seed, device)
        state = start_state(run, scale, networks, optimiser, device)
        log.forget_after(scale, state.step)
        progress = progress or Progress(costs, schedule.niter, done=(scale, state.step))

        # Measure the noise amplitude once.
        draws = StepDraws(pyramids, scale, seed, device, both)
        scale_reals = (reals[0][scale], reals[1][scale])
        noise_amps = (schedule.noise_amp_a, schedule.noise_amp_b)
        if state.step == 0:
            state.sigmas = draws.measure_sigmas(scale_reals, noise_amps) if scale else noise_amps
        if scale:  # While scale 0 itself trains, its input is noise of amplitude 1.
            draws.sigmas = state.sigmas

        # Take the steps, then keep the scale.
        finished = train_scale(
            state,
            draws,
            scale_reals,
            weights,
            niter=schedule.niter,
            print_interval=schedule.print_interval,
            save_every=schedule.save_every,
            run=run,
            progress=progress,
            both=both,
            should_stop=should_stop,
        )
        if not finished:
            progress.close()
            return None
        save_scale(run, scale, networks, state.sigmas, geometry, architecture)
        run.state.unlink(missing_ok=True)
        for pyramid, generator, sigma in zip(pyramids, networks.generators, state.sigmas, strict=True):
            pyramid.append(generator, sigma)
    if progress:
        progress.close()
    return pyramids
