"""Going on with a run, and who may write where: what every script that trains does around the loop."""

import shlex
import sys
from typing import Any

from models.architecture import Architecture
from training.loop import check_resumable
from training.optimisers import OptimiserSettings
from utils.errors import UserError
from utils.files import write_json
from utils.runs.lock import check_unlocked
from utils.runs.run_folder import RunFolder
from utils.scales import Geometry, ImageGeometry

OUT_TAKEN = "--load it to go on, --overwrite to replace it, or choose another --out"


def check_run(
    run: RunFolder,
    source: RunFolder | None,
    fingerprints: dict[str, str],
    geometry: Geometry | ImageGeometry,
    architecture: Architecture,
    optimiser: OptimiserSettings,
    overwrite: bool,
) -> None:
    """UserError where the run to go on with does not fit, or the folder to write into holds another one.

    Args:
        run: where to write.
        source: the run to go on with, if any.
        fingerprints: of what it must be trained on, by the option it came from.
    """
    check_unlocked(run.path, "--out")
    if source is not None:
        check_unlocked(source.path, "--load")
        recorded = source.recorded("fingerprints")
        if not isinstance(recorded, list) or len(recorded) != len(fingerprints):
            raise UserError(f"--load {source.config}: damaged, or not of this program")
        for (flag, mine), theirs in zip(fingerprints.items(), recorded, strict=True):
            if mine != theirs:
                raise UserError(f"{flag}: not the picture the run in --load {source.path} is trained on")
        check_resumable(source, geometry, architecture, optimiser)
        if run.is_same(source):
            return
    run.check_free(overwrite, OUT_TAKEN)


def prepare_run(run: RunFolder, source: RunFolder | None, overwrite: bool, record: dict[str, Any] | None) -> None:
    """Make the folder ready, with the loaded run in it; the folder is locked.

    Args:
        record: for config.json; None leaves the loaded run's record as it is.
    """
    if source is not None and run.is_same(source):
        run.make_writable()
    else:
        run.check_free(overwrite, OUT_TAKEN)  # again: the first time it was not locked yet
        run.clear()
        if source is not None:
            run.copy_from(source)
    if record is not None:
        write_json(run.config, record)


def is_finished(source: RunFolder | None, stop_scale: int) -> bool:
    """Whether every scale of the run to go on with is finished."""
    return source is not None and source.finished_scales() > stop_scale


def resume_command(script: str, run: RunFolder, gpu_id: int | None, not_cuda: bool) -> str:
    """The command that goes on where a run stopped."""
    words = [sys.executable, script, "--load", str(run.path)]
    if gpu_id is not None:
        words += ["--gpu_id", str(gpu_id)]
    if not_cuda:
        words.append("--not_cuda")
    return shlex.join(words)
