"""Train one scale: steps, the log, sample pictures, and the state to resume from."""

import time
from collections.abc import Callable

from torch import Tensor

from training.loss_sums import LossSums
from training.state import ScaleState
from utils.pictures.image import save_image
from utils.progress import Progress
from utils.runs.log import RunLog
from utils.runs.run_folder import RunFolder

Losses = dict[str, Tensor]
# Takes a step, counted from 0: its loss terms, and by name the pictures it made, (1, 3, H, W) each.
TakeStep = Callable[[int], tuple[Losses, dict[str, Tensor]]]


def train_scale(
    state: ScaleState,
    take_step: TakeStep,
    *,
    niter: int,
    print_interval: int,
    save_every: float,
    run: RunFolder,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> bool:
    """Take the steps of a scale that are still to be done.

    Args:
        state: where to start from; updated in place.
        niter: steps of the scale in all.
        save_every: seconds after which the state is saved.
        should_stop: asked between steps; when it says so the state is saved and the scale left.

    Returns:
        Whether the scale is finished.

    Raises:
        RunError: a loss became NaN or infinite; noticed within a print interval.
    """
    log = RunLog(run.log)
    saved = begun = time.monotonic()
    seconds_before = state.seconds
    while state.step < niter and not should_stop():
        state.optimisers.set_rates(state.step, niter)
        losses, pictures = take_step(state.step)
        state.sums.add(losses)
        state.step += 1
        progress.update(state.scale, state.step, losses)
        state.seconds = seconds_before + time.monotonic() - begun
        if state.step % print_interval == 0 or state.step == niter:
            _report(state, pictures, log, run)
        if time.monotonic() - saved >= save_every:
            state.save(run.state)
            saved = time.monotonic()
    if state.step < niter:
        state.save(run.state)
    return state.step >= niter


def _report(state: ScaleState, pictures: dict[str, Tensor], log: RunLog, run: RunFolder) -> None:
    """Write a line of the log and the pictures of the step just taken; start new sums."""
    state.sums.check_finite(state.scale, state.step)
    record = {"scale": state.scale, "step": state.step, **state.sums.means(), "seconds": round(state.seconds, 2)}
    log.append(record)
    run.samples.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        save_image(picture, run.sample(state.scale, state.step, name))
    state.sums = LossSums()
