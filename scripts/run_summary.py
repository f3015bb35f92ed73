"""A training run in short, for comparing runs: its pictures, measures, loss curves and time.

Whatever a run lacks or has broken is left out and said in words; nothing here fails because of a run's files.
"""

import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from utils.errors import UserError
from utils.measures.metrics import measure
from utils.pictures.image import fingerprint, image_to_tensor, open_image, to_uint8
from utils.runs.log import RunLog
from utils.runs.run_folder import RunFolder
from utils.runs.state import RunState, run_state
from utils.scales import ceil_side

# A run's pictures and their files, in the order a person looks at them.
PICTURES = {name: f"{name}.png" for name in ("real_a2b", "real_b2a")}
PICTURES |= {name: f"final_{name}.png" for name in ("fake_a", "a2b", "fake_b", "b2a")}
GROWTH = ("fake_a", "a2b", "fake_b", "b2a")
# What is measured: the translation, the picture that gave its structure, the one that gave its appearance.
MEASURED = {
    "real_a2b": ("real_a2b", "A", "B"),
    "real_b2a": ("real_b2a", "B", "A"),
    "a2b": ("a2b", "fake_a", "B"),
    "b2a": ("b2a", "fake_b", "A"),
}
CPU = torch.device("cpu")


@dataclass
class RunSummary:
    """What is known of a run.

    Args:
        name: of the run among the others.
        state: how far it has come.
        problems: what is missing or broken, a line each.
        options: as recorded in config.json; empty where there is none.
        pictures: PNG files: A and B as the networks see them, and those of PICTURES that are there.
        growth: for each sampled picture, scale by scale from the coarsest: (scale, side in pixels, PNG file).
        measures: `utils.metrics.measure` of those of MEASURED that could be measured.
        records: the lines of the log.
    """

    name: str
    state: RunState
    problems: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    growth: dict[str, list[tuple[int, int, bytes]]] = field(default_factory=dict)
    measures: dict[str, dict[str, float]] = field(default_factory=dict)
    records: list[dict] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """Seconds of training in all scales, as far as logged; None where nothing is."""
        last = {record["scale"]: record.get("seconds") for record in self.records}
        known = [seconds for seconds in last.values() if isinstance(seconds, int | float)]
        return sum(known) if known and math.isfinite(sum(known)) else None


def summarise(path: Path, name: str, program: Path, growth_side: int) -> RunSummary:
    """Read a run folder.

    Args:
        program: folder that relative names of the input pictures may also start from.
        growth_side: pictures of the growth are shrunk to this side where they are larger, pixels.
    """
    run = RunFolder(path)
    summary = RunSummary(name, run_state(run))
    if summary.state.kind != "finished":
        summary.problems.append("did not start" if summary.state.kind == "empty" else summary.state.message)
        summary.problems.extend(_last_words(path))
    options = run.recorded("options")
    if isinstance(options, dict):
        summary.options = options
    tensors = _read_pictures(run, summary) | _read_inputs(run, summary, program)
    for direction, names in MEASURED.items():
        if all(needed in tensors for needed in names):
            try:
                values = measure(*(tensors[needed] for needed in names))
                summary.measures[direction] = {key: value for key, value in values.items() if math.isfinite(value)}
            except ValueError as error:
                summary.problems.append(f"{direction} is not measured: {error}")
    _read_growth(run, summary, growth_side)
    summary.records = _read_records(run)
    return summary


def _last_words(path: Path) -> list[str]:
    """The error a sweep's log beside the folder ends with."""
    log = path.with_name(path.name + ".log")
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []
    errors = [line for line in lines if line.startswith("error: ")]
    return errors[-1:]


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _tensor(picture: Image.Image) -> Tensor:
    return image_to_tensor(picture, (picture.height, picture.width), CPU)


def _open(path: Path, problems: list[str], shown: str) -> Image.Image | None:
    """A picture of the run; None, and a line in `problems`, where it cannot be read."""
    try:
        return open_image(path, shown)
    except UserError as error:
        reason = str(error).removeprefix(f"{shown} {path}: ")
        problems.append(f"{shown}: {reason}")
        return None


def _read_pictures(run: RunFolder, summary: RunSummary) -> dict[str, Tensor]:
    """Fill in the pictures a run ends with; the same as tensors, for measuring."""
    tensors = {}
    for name, file in PICTURES.items():
        if summary.state.kind != "finished" and not (run.path / file).is_file():
            continue  # Expected; the state says why.
        if picture := _open(run.path / file, summary.problems, file):
            summary.pictures[name], tensors[name] = _png(picture), _tensor(picture)
    return tensors


def _read_inputs(run: RunFolder, summary: RunSummary, program: Path) -> dict[str, Tensor]:
    """Fill in A and B, at the size of the finest scale, where they are still the pictures the run knows."""
    tensors = {}
    size = summary.options.get("img_size")
    fingerprints = run.recorded("fingerprints")
    for index, (name, flag) in enumerate((("A", "input_a"), ("B", "input_b"))):
        recorded = summary.options.get(flag)
        if not isinstance(recorded, str) or not isinstance(size, int) or size < 1:
            continue
        path = next((path for path in (Path(recorded), program / recorded) if path.is_file()), Path(recorded))
        picture = _open(path, summary.problems, f"--{flag} {recorded}")
        if picture is None:
            continue
        known = fingerprints[index] if isinstance(fingerprints, list) and index < len(fingerprints) else None
        if known is not None and fingerprint(picture) != known:
            summary.problems.append(f"--{flag} {recorded}: is not the picture the run was trained on any more")
            continue
        longer = max(picture.size) if summary.options.get("keep_aspect") is True else None
        shape = tuple(ceil_side(size * side / (longer or side)) for side in (picture.height, picture.width))
        tensors[name] = image_to_tensor(picture, shape, CPU)
        summary.pictures[name] = _png(Image.fromarray(to_uint8(tensors[name])))
    return tensors


def _read_growth(run: RunFolder, summary: RunSummary, growth_side: int) -> None:
    """Fill in the last sample pictures of each scale."""
    for (scale, name), path in sorted(run.last_samples().items()):
        if name in GROWTH and (picture := _open(path, summary.problems, f"samples/{path.name}")):
            side = max(picture.size)
            picture.thumbnail((growth_side, growth_side), Image.Resampling.LANCZOS)
            summary.growth.setdefault(name, []).append((scale, side, _png(picture)))


def _read_records(run: RunFolder) -> list[dict]:
    try:
        return RunLog(run.log).records()
    except OSError:
        return []
