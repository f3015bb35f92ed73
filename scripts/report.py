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
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean
from typing import Any
from urllib.parse import quote

import jinja2
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
NOT_COMPARED |= {"print_interval", "save_every"}
SHOWN = {"sliced_wasserstein": "patches", "colour_mean": "colour", "layout_agreement": "layout"}
DIRECTIONS = ("a2b", "b2a")
PICTURES = ("finished_a2b", "finished_b2a", "real_a2b", "real_b2a", "losses")
SIDE, CURVES = 512, 1024  # pixels, the longer side of pictures and of loss curves on the page


@dataclass
class Row:
    """What the page says of a run, or of several in the mean; what there is not is left out."""

    name: str
    state: str
    pair: str
    options: dict[str, Any]
    measures: dict[str, float]  # by "name direction"
    path: Path = Path()
    problems: list[str] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)  # data URIs, by caption
    seconds: float = 0


def find_runs(top: Path) -> list[Path]:
    """Every training run below a folder, and every log of a sweep whose run did not begin."""
    found = {log.with_suffix("") for log in top.rglob("*.log") if log.read_bytes()[:2] == b"$ "}
    folders = {config.parent for config in top.rglob("config.json")}
    return sorted(found | {folder for folder in folders if RunFolder(folder).record.get("script") == "train.py"})


def read_run(path: Path, top: Path) -> Row:
    """A run's row."""
    run = RunFolder(path)
    options = run.record.get("options", {}) | run.record.get("results", {})
    state = "finished" if run.record.get("finished") else "unfinished" if options else "not begun"
    name = path.relative_to(top).as_posix() if path != top else top.name
    pair = " / ".join(Path(options.get(f"input_{x}", "?")).stem for x in "ab")
    row = Row(name, state, pair, options, {}, path)
    log = path.with_name(path.name + ".log")
    if state != "finished" and log.is_file():
        # What the sweep's last try said, from its command on.
        said = log.read_text(errors="replace").rstrip().rpartition("\n$ ")[2].splitlines()
        if any(line.startswith(("error: ", "Traceback ")) for line in said):
            row.state = "failed"
            row.problems.append(said[-1])

    # Pictures: A, B and what came of them; a video is not shown.
    files = {x.upper(): Path(options[f"input_{x}"]) for x in "ab" if options}
    files = {name: file for name, file in files.items() if not is_clip(file)}
    files |= {name: file for name in PICTURES if (file := path / f"{name}.png").is_file()}
    images: dict[str, Image.Image] = {}
    for name, file in files.items():
        try:
            images[name] = open_image(file, f"--input_{name.lower()}" if name in "AB" else "RUN")
            row.pictures[name] = data_uri(images[name], CURVES if name == "losses" else SIDE)
        except (UserError, OSError) as error:
            row.problems.append(str(error))

    # Numbers, of the learned translations at their own size.
    for direction in DIRECTIONS:
        structure, appearance = direction.upper().split("2")
        if {learned := f"real_{direction}", "A", "B"} <= images.keys():
            shape = images[learned].size[::-1]
            three = [image_to_tensor(images[x], shape) for x in (learned, structure, appearance)]
            row.measures |= {f"{name} {direction}": x for name, x in measure(*three).items() if name in SHOWN}
    row.seconds = sum({record["scale"]: record["seconds"] for record in run.logged()}.values())
    return row


def data_uri(image: Image.Image, side: int) -> str:
    """An image, its longer side at most `side`, as WebP inside an address; tiny ones keep their pixels."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=85, lossless=max(small.size) <= 64)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def means(rows: Sequence[Row]) -> list[Row]:
    """A row for each setting of a sweep over several pairs: its options and the mean of its runs."""
    settings: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        settings[row.path.name].append(row)
    found = []
    for name, own in settings.items():
        if len(own) > 1 and all(row.measures.keys() == own[0].measures.keys() for row in own):
            measures = {each: fmean(row.measures[each] for row in own) for each in own[0].measures}
            options = {option: value for option, value in own[0].options.items() if option not in NOT_COMPARED}
            found.append(Row(f"mean of {len(own)}: {name}", "", "mean", options, measures))
    return found


def best(rows: Sequence[Row]) -> set[tuple[str, str]]:
    """(run, measure) of the best value of each measure among the runs of a pair, where there are several."""
    values: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for row in rows:
        for name, value in row.measures.items():
            values[row.pair, name].append((value, row.name))
    found = set()
    for (_, name), own in values.items():
        pick = max if name.split()[0] in HIGHER_IS_BETTER else min
        found |= {(run, name) for value, run in own if value == pick(own)[0] and len(own) > 1}
    return found


def render(rows: Sequence[Row], top: Path) -> str:
    """The page of a folder."""
    options = [row.options for row in rows if row.options]
    names = [name for name in dict.fromkeys(name for each in options for name in each) if name not in NOT_COMPARED]
    values = {name: {str(each.get(name)) for each in options} for name in names}
    template = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    return jinja2.Template(template, autoescape=True, trim_blocks=True, lstrip_blocks=True).render(
        title=top.name,
        written=datetime.now().strftime("%Y-%m-%d %H:%M"),
        rows=rows,
        flags=[name for name in names if len(values[name]) > 1],
        measures={f"{name} {way}": (f"{SHOWN[name]} {way}", MEASURES[name]) for name in SHOWN for way in DIRECTIONS},
        higher=HIGHER_IS_BETTER,
        best=best(rows),
        address=lambda path: quote(path.relative_to(top).as_posix()),
        duration=duration,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser("Write RUNS_DIR/report.html, a page that compares the training runs below a folder.")
    parser.add_argument("runs", type=pathname, metavar="RUNS_DIR", help="every run below it gets a row")
    top = parser.parse_args(arguments).runs.resolve()
    if not (folders := find_runs(top)):
        raise UserError(f"RUNS_DIR {top}: contains no runs")
    rows = [read_run(path, top) for path in tqdm(folders, unit="run", disable=None)]
    page = top / "report.html"
    write_atomic(page, render(rows + means(rows), top).encode("utf-8", errors="replace"))
    print(f"{page}: {len(rows)} runs, {page.stat().st_size / 1e6:.1f} MB")
    return 0
