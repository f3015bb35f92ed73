"""A training run in short, for comparing runs: its pictures, measures, loss curves and time.

Whatever a run lacks or has broken is left out and said in words; nothing here fails because of a run's files.
"""

import hashlib
import io
import math
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scripts import loss_panels, run_pictures
from scripts.loss_panels import Panel, sum_panel, term_panel
from scripts.report_cache import ReportCache, stamp
from scripts.run_pictures import LARGE, SMALL, TINY, Input, Picture, read_input, read_picture, reason
from utils import resize
from utils.commands import command
from utils.errors import UserError
from utils import measures as metrics
from utils.measures import measure
from utils import image
from utils.image import image_to_tensor, open_image
from utils.log import RunLog
from utils.run_folder import RunFolder
from utils.runs.state import RunState, run_state

# A run's pictures and their files, in the order a person looks at them.
FINISHED = {name: f"{name}.png" for name in ("finished_a2b", "finished_b2a")}
SOURCES = {name: f"{name}.png" for name in ("finished_a2b_source", "finished_b2a_source")}
LEARNED = {name: f"{name}.png" for name in ("real_a2b", "real_b2a")}
LEARNED |= {name: f"final_{name}.png" for name in ("fake_a", "a2b", "fake_b", "b2a")}
GROWTH = ("fake_a", "a2b", "fake_b", "b2a")
# What is measured: the translation, the picture that gave its structure, the one that gave its appearance.
MEASURED = {
    "real_a2b": ("real_a2b", "A", "B"),
    "real_b2a": ("real_b2a", "B", "A"),
    "a2b": ("a2b", "fake_a", "B"),
    "b2a": ("b2a", "fake_b", "A"),
}
MOST_OPTIONS = 200
LOG_TAIL = 65536  # bytes
LONGEST_LINE = 500  # characters
LARGEST = 10**15  # Whole numbers beyond it are no losses, steps or seconds.
CPU = torch.device("cpu")
# What other code than this has worked out is worked out again.
MODULES = (loss_panels, run_pictures, resize, metrics, image)
CODE = hashlib.sha256(b"".join(Path(file).read_bytes() for file in (__file__, *(m.__file__ for m in MODULES))))


@dataclass
class RunSummary:
    """What is known of a run.

    Args:
        name: of the run among the others.
        state: how far it has come.
        problems: what is missing or broken, a line each.
        options: as recorded in config.json; empty where that is not a training run's.
        pictures: A and B as the networks see them, and those of FINISHED, SOURCES and LEARNED that are there.
        growth: for each sampled picture, scale by scale from the coarsest: (scale, picture).
        measures: `utils.measures.measure` of those of MEASURED that could be measured.
        panels: loss curves: "sums" of the terms, those of "D", those of "G"; as far as there are any.
        seconds: of training in all scales, as far as logged; None where nothing is.
    """

    name: str
    state: RunState
    problems: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    growth: dict[str, list[tuple[int, Picture]]] = field(default_factory=dict)
    measures: dict[str, dict[str, float]] = field(default_factory=dict)
    panels: dict[str, Panel] = field(default_factory=dict)
    seconds: float | None = None


def summarise(path: Path, name: str) -> RunSummary:
    """Read a run folder; what takes long is kept in it for the next time."""
    run = RunFolder(path)
    summary = RunSummary(name, run_state(run))
    is_training = summary.state.kind in {"finished", "unfinished"}
    if summary.state.kind != "finished":
        summary.problems.append("did not start" if summary.state.kind == "empty" else summary.state.message)
        summary.problems.extend(_last_words(path))
    cache = ReportCache(run.report_cache, CODE.hexdigest())
    _read_pictures(run, summary, cache)
    if is_training:
        summary.options = _options(run, summary.problems)
        inputs = _read_inputs(run, summary, cache)
        _measure(inputs, summary, cache)
    _read_log(run, summary, cache)
    if is_training:
        try:
            cache.save()
        except OSError as error:
            summary.problems.append(f"{run.report_cache.name}: cannot be written: {error.strerror}")
    summary.problems = [shorten(problem) for problem in summary.problems]
    return summary


def shorten(text: str) -> str:
    """A line that a person may be shown."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_LINE else text[:LONGEST_LINE] + " …"


def _last_words(path: Path) -> list[str]:
    """The error a sweep's log beside the folder ends with."""
    try:
        with path.with_name(path.name + ".log").open("rb") as log:
            log.seek(max(0, log.seek(0, io.SEEK_END) - LOG_TAIL))
            lines = log.read().decode("utf-8", errors="replace").split("\n")
    except OSError:
        return []
    return [line for line in lines if line.startswith("error: ")][-1:]


def _options(run: RunFolder, problems: list[str]) -> dict[str, Any]:
    options = run.recorded("options")
    if len(options) > MOST_OPTIONS:
        problems.append(f"config.json: has {len(options)} options; {MOST_OPTIONS} are shown")
    return dict(list(options.items())[:MOST_OPTIONS])


def _read_log(run: RunFolder, summary: RunSummary, cache: ReportCache) -> None:
    """Fill in the loss curves and the time."""
    try:
        value = cache.get(("log", *stamp(run.log)), lambda: _log(RunLog(run.log).records()), _is_log)
    except OSError:
        return
    summary.panels = {name: Panel(**panel) for name, panel in value["panels"].items()}
    summary.seconds = value["seconds"]


def _log(records: list[dict]) -> dict[str, Any]:
    """What is shown of a log, for JSON."""
    # NaN and infinity are what a run that diverged leaves, and no reason to drop a line; nonsense is.
    records = [
        record
        for record in records
        if min(record["scale"], record["step"]) >= 0
        and all(isinstance(value, float) or abs(value) < LARGEST for value in record.values())
    ]
    panels = {"sums": sum_panel(records), "D": term_panel(records, "D"), "G": term_panel(records, "G")}
    last = {record["scale"]: record["seconds"] for record in records if "seconds" in record}
    known = [seconds for seconds in last.values() if 0 <= seconds < LARGEST]
    return {
        "panels": {name: asdict(panel) for name, panel in panels.items() if panel},
        "seconds": sum(known) if known else None,
    }


def _is_log(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("panels"), dict) and "seconds" in value


def _read_pictures(run: RunFolder, summary: RunSummary, cache: ReportCache) -> None:
    """Fill in the pictures the run ends with, and the last ones of each scale."""
    for files, side in ((FINISHED, LARGE), (SOURCES, TINY), (LEARNED, SMALL)):
        for name, file in files.items():
            expected = files is LEARNED and summary.state.kind == "finished"  # Else the state says why there is none.
            if (expected or (run.path / file).is_file()) and (picture := _picture(run, file, side, summary, cache)):
                summary.pictures[name] = picture
    for (scale, name), path in sorted(run.last_samples().items()):
        if name in GROWTH and (picture := _picture(run, f"samples/{path.name}", TINY, summary, cache)):
            summary.growth.setdefault(name, []).append((scale, picture))


def _picture(run: RunFolder, file: str, side: int, summary: RunSummary, cache: ReportCache) -> Picture | None:
    """A picture of the run; None, and a line among the problems, where it cannot be read."""
    try:
        return read_picture(run.path / file, side, cache)
    except (OSError, UserError) as error:
        summary.problems.append(f"{file}: {reason(error, run.path / file)}")
        return None


def _read_inputs(run: RunFolder, summary: RunSummary, cache: ReportCache) -> dict[str, Input]:
    """Fill in A and B; -> those that can be compared with the run's own pictures."""
    img_size = summary.options.get("img_size")
    if type(img_size) is not int:
        summary.problems.append(f"config.json: img_size {img_size!r} is not a whole number")
        return {}
    sides = {max(summary.pictures[name].size) for name in LEARNED if name in summary.pictures}
    if sides and img_size not in sides:
        found = ", ".join(map(str, sorted(sides)))
        summary.problems.append(f"config.json: img_size {img_size} is not that of the run's pictures, {found}")
    fingerprints = run.recorded("fingerprints")
    fingerprints = fingerprints if isinstance(fingerprints, list) and len(fingerprints) == 2 else [None, None]
    keep_aspect = summary.options.get("keep_aspect") is True
    inputs = {}
    for name, flag, known in zip("AB", ("input_a", "input_b"), fingerprints, strict=True):
        recorded = summary.options.get(flag)
        if not isinstance(recorded, str) or "\0" in recorded:
            summary.problems.append(f"config.json: {flag} is not the name of a file")
            continue
        try:
            inputs[name] = read_input(Path(recorded), known, img_size, keep_aspect, cache)
        except (OSError, UserError) as error:
            moved = isinstance(error, FileNotFoundError)
            cure = f"; to say where it is now: {command('train.py', '--load', run.path)} --{flag} FILE" if moved else ""
            summary.problems.append(f"--{flag} {recorded}: {reason(error, Path(recorded))}{cure}")
        else:
            summary.pictures[name] = inputs[name].picture
    return inputs if img_size in sides else {}


def _measure(inputs: dict[str, Input], summary: RunSummary, cache: ReportCache) -> None:
    """Fill in the measures of all that is there."""
    files = {name: picture.file for name, picture in summary.pictures.items() if picture.file}

    @lru_cache
    def tensor(name: str) -> Tensor:
        width, height = summary.pictures[name].size
        whole = inputs[name].original() if name in inputs else open_image(files[name], name)
        return image_to_tensor(whole, (height, width), CPU)

    def mark(name: str) -> tuple:
        return (*inputs[name].mark, *summary.pictures[name].size) if name in inputs else stamp(files[name])

    for direction, names in MEASURED.items():
        if not all(name in inputs or name in files for name in names):
            continue
        try:
            values = cache.get(
                ("measures", direction, *map(mark, names)),
                lambda: measure(*map(tensor, names)),  # noqa: B023  # called at once
                _is_measures,
            )
        except (OSError, UserError, ValueError) as error:
            summary.problems.append(f"{direction} is not measured: {error}")
        else:
            summary.measures[direction] = {key: value for key, value in values.items() if math.isfinite(value)}


def _is_measures(values: Any) -> bool:
    return isinstance(values, dict) and bool(values) and all(type(value) is float for value in values.values())
