"""Train every scale, coarse to fine: warm start, steps, the log, sample images, checkpoints."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from models.networks import ScaleNetworks, initialise
from models.pyramid import Pyramid
from models.run import Run
from training.cost import step_costs
from training.optimisers import Optimisers, OptimiserSettings
from training.state import LossSums, ScaleState
from utils.image import save_image
from utils.interrupt import StopRequest
from utils.progress import Bar
from utils.rng import stream
from utils.run_folder import RunFolder

Losses = dict[str, Tensor]  # a step's weighted terms by name, detached scalars on the device
Images = dict[str, Tensor]  # those a step made, by name, (1, 3, H, W) each, [-1, 1]
TakeStep = Callable[[int], tuple[Losses, Images]]  # takes a step, counted from 0: updates the scale's networks
SLOW = "--preset quick learns a smaller image in minutes on a CPU and finishes it at full size"


@dataclass(frozen=True)
class Schedule:
    """How long a run is, and how often it reports and saves.

    Args:
        niter: steps per scale.
        print_interval: steps between two lines of the log.
        save_every: seconds between two saves of the scale in progress.
        tensorboard: whether the log and the sample images are written for TensorBoard, too.
    """

    niter: int = 20000
    print_interval: int = 1000
    save_every: float = 60.0
    tensorboard: bool = False


class Recipe(Protocol):
    """What is trained, and what a step of it is: a pair (training.pair) or one image (training.one_image)."""

    optimiser: OptimiserSettings
    seed: int
    passes: int  # what a step costs, in forward passes of one network

    def steps(self, pyramids: tuple[Pyramid, ...], state: ScaleState) -> AbstractContextManager[TakeStep]:
        """The steps of a scale; measures the noise amplitudes of a state that has none yet."""


def new_state(run: Run, optimiser: OptimiserSettings, scale: int) -> ScaleState:
    """A scale whose networks are not filled yet."""
    networks = run.new_networks(scale).to(run.device)
    return ScaleState(scale, networks, Optimisers(networks, optimiser))


def load_state(run: Run, optimiser: OptimiserSettings, folder: RunFolder, scale: int) -> ScaleState | None:
    """The scale in progress that a folder holds; None where it was left between two scales."""
    if not folder.state.is_file():
        return None
    state = new_state(run, optimiser, scale)
    return state if state.load(folder.state, run.device) else None


def fill_networks(run: Run, state: ScaleState, previous: ScaleNetworks | None, seed: int) -> None:
    """What a scale starts from: the previous scale's networks where the widths agree, else fresh
    (docs/method.md, section 3)."""
    widths = run.architecture.widths
    if previous is not None and widths(state.scale) == widths(state.scale - 1):
        state.networks.load_state_dict(previous.state_dict())
    else:
        initialise(state.networks, stream(seed, "initialise", state.scale))


def train(
    run: Run,
    recipe: Recipe,
    schedule: Schedule,
    state: ScaleState | None,
    stop: StopRequest,
    *,
    last: int | None = None,
) -> None:
    """Train every scale of a run that is not finished yet; its pyramids grow.

    Args:
        state: the scale in progress, if there is one.
        last: the last scale to train; the finest if None.

    Raises:
        Stopped: a stop was asked for; the scale in progress is saved.
        RunError: a loss became NaN or infinite; noticed within a print interval.
    """
    last = run.geometry.stop_scale if last is None else last
    if run.scale > last:
        return
    # The bar counts what steps cost, so that the time left is right across scales.
    costs = step_costs(run, recipe.passes)[: last + 1]
    begun = min(state.step, schedule.niter) if state else 0
    done = schedule.niter * sum(costs[: run.scale]) + begun * costs[run.scale]
    with (
        Bar(schedule.niter * sum(costs), done, SLOW if run.device.type == "cpu" else "") as bar,
        Report(run.folder, schedule) as report,
    ):
        for scale in range(run.scale, last + 1):
            # Start from what was saved, or from the previous scale.
            if state is None:
                state = new_state(run, recipe.optimiser, scale)
                fill_networks(run, state, run.networks, recipe.seed)
            run.folder.forget_after(scale, state.step)

            with recipe.steps(run.pyramids, state) as take_step:
                train_scale(state, take_step, schedule, run.folder, costs[scale], bar, report, stop)

            # Keep the scale, and freeze its generators.
            run.save_scale(state.networks, state.sigmas)
            run.folder.state.unlink(missing_ok=True)
            run.add_scale(state.networks, state.sigmas)
            state = None


def train_scale(
    state: ScaleState,
    take_step: TakeStep,
    schedule: Schedule,
    folder: RunFolder,
    cost: float,
    bar: Bar,
    report: "Report",
    stop: StopRequest,
) -> None:
    """Take the steps of a scale that are still to be done.

    Args:
        cost: of a step, in the bar's unit.

    Raises:
        Stopped: a stop was asked for; the scale is saved.
    """
    saved = begun = time.monotonic()
    seconds_before = state.seconds
    while state.step < schedule.niter:
        if stop():
            state.save(folder.state)
            stop.check()

        # Take a step.
        state.optimisers.set_rates(state.step, schedule.niter)
        losses, images = take_step(state.step)
        state.step += 1
        state.sums.add(losses)

        # Report it.
        bar.show(bar.n + cost, f"scale {state.scale}, step {state.step}/{schedule.niter}")
        state.seconds = seconds_before + time.monotonic() - begun
        if state.step % schedule.print_interval == 0 or state.step == schedule.niter:
            means = report(state, images)
            sums = {f"loss {side}": sum(means[name] for name in means if name[0] == side) for side in "DG"}
            bar.set_postfix(sums, refresh=False)

        # Save now and then.
        if time.monotonic() - saved >= schedule.save_every:
            state.save(folder.state)
            saved = time.monotonic()


class Report:
    """Context manager: the log, the sample images and, if asked for, TensorBoard's events of a run."""

    def __init__(self, folder: RunFolder, schedule: Schedule) -> None:
        self.folder, self.niter, self.writer = folder, schedule.niter, None
        folder.claim(folder.log_file.name, folder.state.name, "samples")
        if schedule.tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # optional; config.py has seen that it is there

            self.writer = SummaryWriter(str(folder.claim("tensorboard")))

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def __call__(self, state: ScaleState, images: Images) -> dict[str, float]:
        """Write a line of the log and the images of the step just taken; start new sums. The mean of every term."""
        means = state.sums.means(state.scale, state.step)
        record = {"scale": state.scale, "step": state.step, **means, "seconds": round(state.seconds, 2)}
        self.folder.log(record)
        samples = self.folder.path / "samples"
        samples.mkdir(exist_ok=True)
        for name, image in images.items():
            save_image(image, samples / f"{state.scale:02d}_step{state.step:05d}_{name}.png")
        if self.writer is not None:
            step = state.scale * self.niter + state.step  # of all scales
            for name, value in means.items():
                self.writer.add_scalar(name, value, step)
            for name, image in images.items():
                self.writer.add_image(f"samples/{name}", (image[0].cpu().clamp(-1, 1) + 1) / 2, step)
        state.sums = LossSums()
        return means
