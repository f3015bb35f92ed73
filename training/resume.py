"""What every script that trains does around the loop: check, resume, hold the folder, stop."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.run import Run
from training.loop import load_state
from training.optimisers import OptimiserSettings
from training.state import ScaleState
from utils.device import device_flags
from utils.errors import ROOT, UserError, command
from utils.interrupt import StopRequest
from utils.run_folder import RunFolder


def prepare(
    script: str,
    run: Run,
    source: RunFolder | None,
    inputs: dict[str, Path],
    fingerprints: dict[str, str],
    optimiser: OptimiserSettings,
    overwrite: bool,
) -> ScaleState | None:
    """Take up what was trained already: finished scales into `run`; the scale in progress is returned. Writes nothing.

    Args:
        source: the folder of the run to resume, if any.
        inputs: every file or folder that is read, by the option it came from.
        fingerprints: of those the run must be trained on.

    Raises:
        UserError: the run to resume does not fit, or the folder to write into holds another one, or an input.
    """
    run.folder.check_free(script, inputs, overwrite, source)
    if source is None:
        return None
    for (flag, mine), theirs in zip(fingerprints.items(), source.record["fingerprints"], strict=False):
        if mine != theirs:
            raise UserError(f"{flag} {inputs[flag]}: is not the image the run in --load {source.path} was trained on")
    run.load_scales(source)
    return None if run.finished else load_state(run, optimiser, source, run.scale)


@contextmanager
def writing(
    run: Run, source: RunFolder | None, script: str, record: dict[str, Any], results: dict[str, Any]
) -> Iterator[None]:
    """Hold the run's folder, made ready with the resumed run in it.

    Args:
        record: for config.json; where all scales are finished, the record of their training stays instead.
        results: the options that the results of a finished run are made with now.
    """
    folder, finished = run.folder, run.finished
    with folder.locked():
        if source is None:
            folder.begin(script, record)
        else:
            folder.resume(source)
            folder.note(**({"results": results} if finished else record | {"results": {}}))
        yield


def stopped(script: str, run: Run, stop: StopRequest) -> int:
    """Say how to resume a run that was stopped; the exit status."""
    resume = command(ROOT / script, "--load", run.folder.path, *device_flags(run.device))
    print(f"stopped, everything is saved; to resume:\n{resume}", file=sys.stderr)
    return stop.status
