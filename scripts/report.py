"""Write one page that compares training runs: `python scripts/report.py RUNS_DIR`.

The page opens from disk: small pictures, style and script are inside, and lead to the runs' own files (with --embed the
whole pictures are inside, too). Every text goes through the template's escaping (report.html).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("report.py", "scripts.report")

import base64
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import jinja2
import torch
from PIL import Image
from tqdm import tqdm

from utils.arguments import LineParser, pathname
from utils.errors import UserError
from utils.files import write_atomic
from utils.image import image_to_tensor, open_image
from utils.log import RunLog
from utils.measures import HIGHER_IS_BETTER, measure
from utils.progress import duration
from utils.run_folder import RunFolder

NOT_COMPARED = {"input_a", "input_b", "out", "overwrite", "load", "dry_run", "gpu_id", "not_cuda", "tensorboard"}
MEASURES = {
    "sliced_wasserstein": ("patches", "distance of the learned image's patches to those of the appearance image"),
    "colour_mean": ("colour", "distance of the mean colour to the appearance image's"),
    "layout_agreement": ("layout", "correlation of local contrast with the structure image"),
}
DIRECTIONS = {"a2b": ("input_a", "input_b"), "b2a": ("input_b", "input_a")}  # its structure, its appearance
LARGE, SMALL = 512, 128  # pixels, the longer side of pictures on the page
SAMPLE = re.compile(r"(\d+)_step(\d+)_(a2b|b2a)\.png")


@dataclass
class Row:
    """What the page says of a run; what it lacks or has broken is left out and said in words."""

    name: str
    path: Path
    state: str
    options: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)  # data URIs, by caption
    growth: list[tuple[int, str]] = field(default_factory=list)  # scale and data URI
    measures: dict[str, float] = field(default_factory=dict)  # by "name direction"
    seconds: float | None = None

    @property
    def pair(self) -> str:
        names = [Path(str(self.options.get(name, "?"))).stem for name in ("input_a", "input_b")]
        return " / ".join(names)


def find_runs(top: Path) -> list[Path]:
    """Every training run below a folder, and every log of a sweep whose run did not begin."""
    found = {
        path.parent for path in top.rglob("config.json") if RunFolder(path.parent).recorded("script") == "train.py"
    }
    logs = {log.with_suffix("") for log in top.rglob("*.log") if log.read_bytes()[:2] == b"$ "}
    # The numbers in names by their size: x_2 before x_10.
    return sorted(
        found | logs,
        key=lambda path: [(part.isdecimal() and int(part), part) for part in re.split(r"(\d+)", str(path))],
    )


def read_run(path: Path, top: Path) -> Row:
    """A run's row."""
    run = RunFolder(path)
    state = "finished" if run.recorded("finished") else "unfinished" if run.config.is_file() else "not begun"
    name = path.relative_to(top).as_posix() if path != top else top.resolve().name
    row = Row(name, path, state, run.recorded("options", {}) | run.recorded("results", {}))
    log = path.with_name(path.name + ".log")
    if state != "finished" and log.is_file():
        errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("error: ")]
        row.state, row.problems = ("failed", errors[-1:]) if errors else (state, [])

    # Pictures: A and B, the finished translations, else the learned ones; the last samples of every scale.
    inputs: dict[str, Image.Image] = {}
    for caption, option in (("A", "input_a"), ("B", "input_b")):
        try:
            inputs[option] = open_image(Path(row.options.get(option, "")), f"--{option}")
            row.pictures[caption] = data_uri(inputs[option], LARGE)
        except (UserError, OSError) as error:
            row.problems.append(str(error))
    for kind in ("finished", "real"):
        for direction in DIRECTIONS:
            if f"finished_{direction}" not in row.pictures and (
                image := readable(path / f"{kind}_{direction}.png", row)
            ):
                row.pictures[f"{kind}_{direction}"] = data_uri(image, LARGE)
    last = {}
    for file in sorted(run.samples.glob("*.png")) if run.samples.is_dir() else []:
        if match := SAMPLE.fullmatch(file.name):
            last[int(match[1]), match[3]] = file
    for (scale, _), file in sorted(last.items()):
        if image := readable(file, row):
            row.growth.append((scale, data_uri(image, SMALL)))

    # Numbers.
    records = RunLog(run.log).records()
    ends = {record["scale"]: record.get("seconds", 0.0) for record in records}
    row.seconds = sum(ends.values()) if ends else None
    for direction, (structure, appearance) in DIRECTIONS.items():
        if len(inputs) == 2 and (image := readable(path / f"real_{direction}.png", row)):
            values = measured(image, inputs[structure], inputs[appearance])
            row.measures |= {f"{name} {direction}": value for name, value in values.items() if name in MEASURES}
    return row


def readable(file: Path, row: Row) -> Image.Image | None:
    """An image of a run; None where there is none, and, with a line among its problems, where it cannot be read."""
    if not file.is_file():
        return None
    try:
        return open_image(file, "RUN")
    except UserError as error:
        if str(error) not in row.problems:
            row.problems.append(str(error))
        return None


def measured(translated: Image.Image, structure: Image.Image, appearance: Image.Image) -> dict[str, float]:
    """The measures of a learned translation, at its own size; none where it is smaller than a patch."""
    shape = (translated.height, translated.width)
    tensors = [image_to_tensor(image, shape, torch.device("cpu")) for image in (translated, structure, appearance)]
    try:
        return measure(*tensors)
    except ValueError:
        return {}


def data_uri(image: Image.Image, side: int) -> str:
    """An image, its longer side at most `side`, as WebP inside an address; tiny ones keep their pixels."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=85, lossless=max(small.size) <= 64)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def address(file: Path, page: Path, embed: bool) -> str:
    """Where the page finds a file of a run."""
    if embed:
        return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
    return quote(Path(os.path.relpath(file, page.parent)).as_posix())


def best(rows: Sequence[Row]) -> set[tuple[str, str]]:
    """(run, measure) of the best value of each measure among the runs of a pair, where there are several."""
    found = set()
    for pair in {row.pair for row in rows}:
        for name in {name for row in rows for name in row.measures}:
            values = {row.name: row.measures[name] for row in rows if row.pair == pair and name in row.measures}
            if len(values) > 1:
                pick = max if name.split()[0] in HIGHER_IS_BETTER else min
                found |= {(run, name) for run, value in values.items() if value == pick(values.values())}
    return found


def render(rows: Sequence[Row], title: str, page: Path, embed: bool) -> str:
    """The page."""
    options = [row.options for row in rows if row.options]
    names = [name for name in dict.fromkeys(name for each in options for name in each) if name not in NOT_COMPARED]
    values = {name: {str(each.get(name)) for each in options} for name in names}
    loader = jinja2.FileSystemLoader(Path(__file__).resolve().parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["duration"] = duration
    return environment.get_template("report.html").render(
        title=title,
        written=datetime.now().strftime("%Y-%m-%d %H:%M"),
        rows=rows,
        flags=[name for name in names if len(values[name]) > 1],
        common={name: found.pop() for name, found in values.items() if len(found) == 1},
        measures={
            f"{name} {way}": (f"{short} {way}", what) for name, (short, what) in MEASURES.items() for way in DIRECTIONS
        },
        higher=HIGHER_IS_BETTER,
        best=best(rows),
        address=lambda file: address(file, page, embed),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser("Write one page that compares the training runs below a folder.")
    parser.add_argument("runs", type=pathname, metavar="RUNS_DIR", help="every run below it gets a row")
    parser.add_argument("--out", type=pathname, metavar="FILE", help="the page; default: RUNS_DIR/report.html")
    parser.add_argument("--embed", action="store_true", help="put whole pictures into the page, to send it alone")
    options = parser.parse_args(arguments)
    top, page = options.runs, options.out or options.runs / "report.html"
    if not top.is_dir():
        raise UserError(f"RUNS_DIR {top}: no such folder")
    if page.suffix.lower() not in {".html", ".htm"}:
        raise UserError(f"--out {page}: the name of a page must end in .html")
    folders = find_runs(top)
    if not folders:
        raise UserError(f"RUNS_DIR {top}: holds no runs")
    rows = [read_run(path, top) for path in tqdm(folders, unit="run", disable=None)]
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(page, render(rows, top.resolve().name, page, options.embed).encode("utf-8", errors="replace"))
    print(f"{page}: {len(rows)} runs, {page.stat().st_size / 1e6:.1f} MB")
    return 0
