"""Write one page that compares training runs: `python scripts/report.py RUNS_DIR`.

The page opens from disk and can be sent alone: pictures, style and script are inside; links lead to the runs' own
files. Every text goes through the template's escaping (report.html).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("scripts.report")

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
from utils.measures import HIGHER_IS_BETTER, MEASURES, measure
from utils.progress import duration
from utils.run_folder import RunFolder
from utils.video import is_clip

NOT_COMPARED = {"input_a", "input_b", "out", "overwrite", "load", "dry_run", "gpu_id", "not_cuda", "tensorboard"}
SHOWN = {"sliced_wasserstein": "patches", "colour_mean": "colour", "layout_agreement": "layout"}
DIRECTIONS = ("a2b", "b2a")
PICTURES = ("finished_a2b", "finished_b2a", "real_a2b", "real_b2a", "losses")
SIDE, CURVES = 512, 1024  # pixels, the longer side of pictures and of loss curves on the page


@dataclass
class Row:
    """What the page says of a run; what it lacks or has broken is left out and said in words."""

    name: str
    path: Path
    state: str
    options: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)  # data URIs, by caption
    measures: dict[str, float] = field(default_factory=dict)  # by "name direction"
    seconds: float | None = None

    @property
    def pair(self) -> str:
        return " / ".join(Path(str(self.options.get(f"input_{x}", "?"))).stem for x in "ab")


def find_runs(top: Path) -> list[Path]:
    """Every training run below a folder, and every log of a sweep whose run did not begin."""
    found = {log.with_suffix("") for log in top.rglob("*.log") if log.read_bytes()[:2] == b"$ "}
    for folder in {config.parent for config in top.rglob("config.json")}:
        script = RunFolder(folder).record.get("script")
        # Where config.json is damaged, weights beside it tell a run.
        if script == "train.py" or (script is None and any(folder.glob("*.safetensors"))):
            found.add(folder)
    # The numbers in names by their size: x_2 before x_10.
    parts = {path: re.split(r"(\d+)", str(path)) for path in found}
    return sorted(found, key=lambda path: [(part.isdecimal() and int(part), part) for part in parts[path]])


def read_run(path: Path, top: Path) -> Row:
    """A run's row."""
    run = RunFolder(path)
    record = run.record
    state = "finished" if record.get("finished") else "unfinished" if run.config.is_file() else "not begun"
    name = path.relative_to(top).as_posix() if path != top else top.resolve().name
    row = Row(name, path, state, record.get("options", {}) | record.get("results", {}))
    if run.config.is_file() and not row.options:
        row.problems.append("config.json is damaged")
    log = path.with_name(path.name + ".log")
    if state != "finished" and log.is_file():
        # What the sweep's last try said, from its command on.
        said = re.split(r"^\$ ", log.read_text(errors="replace").rstrip(), flags=re.MULTILINE)[-1].splitlines()
        if any(line.startswith(("error: ", "Traceback ")) for line in said):
            row.state = "failed"
            row.problems.append(said[-1])

    # Pictures: A, B and what came of them; a video is not shown.
    files = {x: Path(row.options[f"input_{x}"]) for x in "ab" if f"input_{x}" in row.options}
    files = {x: file for x, file in files.items() if not is_clip(file)}
    files |= {name: file for name in PICTURES if (file := path / f"{name}.png").is_file()}
    images: dict[str, Image.Image] = {}
    for name, file in files.items():
        try:
            images[name] = open_image(file, f"--input_{name}" if name in "ab" else "RUN")
            row.pictures[name.upper() if name in "ab" else name] = data_uri(
                images[name], CURVES if name == "losses" else SIDE
            )
        except (UserError, OSError) as error:
            row.problems.append(str(error))

    # Numbers, of the learned translations at their own size.
    for direction in DIRECTIONS:
        structure, appearance = direction.split("2")
        if {learned := f"real_{direction}", "a", "b"} <= images.keys():
            shape = images[learned].size[::-1]
            three = [image_to_tensor(images[x], shape, torch.device("cpu")) for x in (learned, structure, appearance)]
            row.measures |= {f"{name} {direction}": x for name, x in measure(*three).items() if name in SHOWN}
    ends = {record["scale"]: record.get("seconds", 0.0) for record in run.logged()}
    row.seconds = sum(ends.values()) if ends else None
    return row


def data_uri(image: Image.Image, side: int) -> str:
    """An image, its longer side at most `side`, as WebP inside an address; tiny ones keep their pixels."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=85, lossless=max(small.size) <= 64)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


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


def render(rows: Sequence[Row], title: str, page: Path) -> str:
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
        measures={f"{name} {way}": (f"{SHOWN[name]} {way}", MEASURES[name]) for name in SHOWN for way in DIRECTIONS},
        higher=HIGHER_IS_BETTER,
        best=best(rows),
        address=lambda file: quote(Path(os.path.relpath(file, page.parent)).as_posix()),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser("Write one page that compares the training runs below a folder.")
    parser.add_argument("runs", type=pathname, metavar="RUNS_DIR", help="every run below it gets a row")
    parser.add_argument("--out", type=pathname, metavar="FILE", help="the page; default: RUNS_DIR/report.html")
    options = parser.parse_args(arguments)
    top, page = options.runs, options.out or options.runs / "report.html"
    if not top.is_dir():
        raise UserError(f"RUNS_DIR {top}: no such folder")
    if page.suffix.lower() not in {".html", ".htm"}:
        raise UserError(f"--out {page}: must end in .html")
    folders = find_runs(top)
    if not folders:
        raise UserError(f"RUNS_DIR {top}: contains no runs")
    rows = [read_run(path, top) for path in tqdm(folders, unit="run", disable=None)]
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(page, render(rows, top.resolve().name, page).encode("utf-8", errors="replace"))
    print(f"{page}: {len(rows)} runs, {page.stat().st_size / 1e6:.1f} MB")
    return 0
