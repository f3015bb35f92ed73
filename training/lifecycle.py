"""What every script that trains does around the loop: going on with a run, who may write where, stopping."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.snapshot import Run
from training.cost import cost_table, step_seconds
from training.loop import Trained, read_trained
from training.optimisers import OptimiserSettings
from utils.commands import command
from utils.device import device_flags
from utils.errors import UserError
from utils.interrupt import StopRequest
from utils.runs.lock import FolderLock, check_unlocked
from utils.run_folder import RunFolder


def begin(
    run: Run,
    source: RunFolder | None,
    inputs: dict[str, Path],
    fingerprints: dict[str, str],
    optimiser: OptimiserSettings,
    overwrite: bool,
) -> Trained:
    """What there is of a run already; writes nothing.

    Args:
        run: where to write.
        source: the run to go on with, if any.
        inputs: every file or folder that is read, by the option it came from.
        fingerprints: of those it must be trained on.

    Raises:
        UserError: the run to go on with does not fit, or the folder to write into holds another one, or an input.
    """
    check_unlocked(run.folder.path, "--out")
    run.folder.check_spares(inputs, source)
    if source is None or not run.folder.is_same(source):
        run.folder.check_free(overwrite)
    if source is None:
        return Trained(run.empty_pyramids(), None, None)
    check_unlocked(source.path, "--load")
    recorded = source.recorded("fingerprints")
    if not isinstance(recorded, list) or len(recorded) != len(fingerprints):
        raise UserError(f"--load {source.config}: damaged, or not of this program")
    for (flag, mine), theirs in zip(fingerprints.items(), recorded, strict=True):
        if mine != theirs:
            raise UserError(f"{flag} {inputs[flag]}: not the image the run in --load {source.path} is trained on")
    return read_trained(replace(run, folder=source), optimiser)


def announce(run: Run, trained: Trained, niter: int, passes: int, seed: int | None) -> list[float]:
    """Say what is going to be done and about how long it takes.

    Args:
        passes: what a step costs, in forward passes of one network.
        seed: None where only the run itself will draw it.

    Returns:
        Seconds of a step at every scale.
    """
    seconds = step_seconds(run, passes)
    print(cost_table(run, niter, seconds))
    print(f"seed {'random' if seed is None else seed}")
    if trained.scale > run.geometry.stop_scale:
        print("all scales of this run are finished: nothing is trained, its results are made again")
    return seconds


@contextmanager
def writing(run: Run, source: RunFolder | None, overwrite: bool, record: dict[str, Any] | None) -> Iterator[None]:
    """Hold the run's folder, made ready with the loaded run in it.

    Args:
        record: for config.json; None leaves the loaded run's record as it is.
    """
    folder = run.folder
    with FolderLock(folder.path, "--out"):
        if source is not None and folder.is_same(source):
            folder.make_writable()
        else:
            folder.check_free(overwrite)  # again: the first time it was not locked yet
            folder.clear()
            if source is not None:
                folder.copy_from(source)
        if record is not None:
            folder.record(record)
        yield


def stopped(script: str, run: Run, stop: StopRequest) -> int:
    """Say how to go on with a run that was stopped; the exit status."""
    go_on = command(script, "--load", run.folder.path, *device_flags(run.device))
    print(f"stopped, everything is saved; to go on:\n{go_on}", file=sys.stderr)
    return 128 + stop.signal
