"""How far a training run has come, from the files in its folder alone. Standard library only, so that it is quick."""

from dataclasses import dataclass
from typing import Literal

from utils.run_folder import RunFolder
from utils.geometry import GEOMETRY_OPTIONS, Geometry

Kind = Literal["finished", "unfinished", "empty", "foreign"]


@dataclass(frozen=True)
class RunState:
    """Where a run stands.

    Args:
        kind: "finished": every scale and results.png are there; "unfinished": `--load` can go on with it; "empty": a
            missing or empty folder, free for a new run; "foreign": something else lies there.
        message: the same in words.
    """

    kind: Kind
    message: str


def run_state(run: RunFolder) -> RunState:
    """Where the run in a folder stands; never raises on what a run or a person may have left there."""
    try:
        return _state(run)
    except OSError as error:  # no right to read it, a name that is too long, a disk that fails
        return RunState("foreign", f"cannot be read: {error.strerror}")


def _state(run: RunFolder) -> RunState:
    if run.is_empty():
        return RunState("empty", "nothing there yet")
    if not run.config.is_file():
        return RunState("foreign", "holds no run: config.json is missing" if run.path.is_dir() else "is not a folder")
    options = run.recorded("options")
    try:
        geometry = Geometry(**{name: options[name] for name in GEOMETRY_OPTIONS})
    except (KeyError, TypeError, ValueError):
        return RunState("foreign", "config.json is damaged, or not of a training run")
    finished, scales = run.finished_scales(), geometry.stop_scale + 1
    if finished < scales:
        return RunState("unfinished", f"{finished} of {scales} scales finished")
    if not (run.path / "results.png").is_file():
        return RunState("unfinished", f"all {scales} scales finished, results.png is missing")
    return RunState("finished", f"all {scales} scales finished")
