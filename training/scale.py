"""Train one scale: steps, the log, sample images, and the state to resume from."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from training.loss_sums import LossSums
from training.state import ScaleState
from utils.image import save_image
from utils.progress import Progress
from utils.log import RunLog
from utils.run_folder import RunFolder

Losses = dict[str, Tensor]  # a step's weighted terms by name, detached scalars on the device
Images = dict[str, Tensor]  # those a step made, by name, (1, 3, H, W) each, [-1, 1]


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


class Steps(NamedTuple):
    """The steps of one scale.

    Attributes:
        inputs: from a step's number, from 0, to the positional arguments `take` needs for it.
        take: takes that step, which updates the networks of the scale's state.
    """

    inputs: Callable[[int], tuple]
    take: Callable[..., tuple[Losses, Images]]


def train_scale(
    state: ScaleState,
    steps: Steps,
    schedule: Schedule,
    folder: RunFolder,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> bool:
    """Take the steps of a scale that are still to be done.

    Args:
        state: where to start from; updated in place.
        should_stop: asked between steps; when it says so the state is saved and the scale left.

    Returns:
        Whether the scale is finished.

    Raises:
        RunError: a loss became NaN or infinite; noticed within a print interval.
    """
    saved = begun = time.monotonic()
    seconds_before = state.seconds
    while state.step < schedule.niter and not should_stop():
        # Take a step.
        state.optimisers.set_rates(state.step, schedule.niter)
        losses, images = steps.take(*steps.inputs(state.step))
        state.step += 1

        # Report it.
        state.sums.add(losses)
        progress.update(state.scale, state.step, losses)
        state.seconds = seconds_before + time.monotonic() - begun
        if state.step % schedule.print_interval == 0 or state.step == schedule.niter:
            report(state, images, folder)

        # Save now and then.
        if time.monotonic() - saved >= schedule.save_every:
            state.save(folder.state)
            saved = time.monotonic()
    finished = state.step >= schedule.niter
    if not finished:
        state.save(folder.state)
    return finished


def report(state: ScaleState, images: Images, folder: RunFolder) -> None:
    """Write a line of the log and the images of the step just taken; start new sums."""
    state.sums.check_finite(state.scale, state.step)
    record = {"scale": state.scale, "step": state.step, **state.sums.means(), "seconds": round(state.seconds, 2)}
    RunLog(folder.log).append(record)
    folder.samples.mkdir(exist_ok=True)
    for name, image in images.items():
        save_image(image, folder.sample(state.scale, state.step, name))
    state.sums = LossSums()
