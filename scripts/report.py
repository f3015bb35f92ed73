"""Write one page that compares training runs: `python scripts/report.py RUNS_DIR`.

The page is a single file that opens from disk: pictures, styles and script are inside. `report_page/` holds its
template. Every text goes through the template's escaping.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("scripts.report")

import argparse
import base64
import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import jinja2

from scripts.loss_panels import sum_panel, term_panel
from scripts.run_summary import GROWTH, MEASURED, RunSummary, summarise
from utils.errors import UserError
from utils.files import write_atomic
from utils.measures.metrics import HIGHER_IS_BETTER
from utils.progress import duration
from utils.runs.run_folder import RunFolder

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "scripts" / "report_page"
# Options that do not tell runs apart: where they lie, what they are called, on what they ran.
NOT_COMPARED = {"input_a", "input_b", "out", "overwrite", "load", "dry_run", "gpu_id", "not_cuda"}
# Heading and explanation of a measure; one without an entry is shown under its own name.
MEASURES = {
    "sliced_wasserstein": ("Patches", "Sliced Wasserstein distance of the patches to those of the appearance picture."),
    "colour_mean": ("Colour", "Distance of the mean colour to that of the appearance picture."),
    "colour_covariance": ("Colour spread", "Distance of the colours' covariance to that of the appearance picture."),
    "layout_agreement": ("Layout", "Correlation of the local contrast with that of the structure picture."),
}
DIRECTIONS = {"real_a2b": "a2b", "real_b2a": "b2a"}
CAPTIONS = {
    "A": "A",
    "B": "B",
    "real_a2b": "A translated (real_a2b)",
    "real_b2a": "B translated (real_b2a)",
    "fake_a": "sample of A's world (fake_a)",
    "a2b": "that sample translated (a2b)",
    "fake_b": "sample of B's world (fake_b)",
    "b2a": "that sample translated (b2a)",
}


class Images:
    """Pictures as data URIs, each kept once."""

    def __init__(self) -> None:
        self.uris: dict[str, str] = {}

    def add(self, png: bytes) -> str:
        """The key of a picture."""
        key = hashlib.sha256(png).hexdigest()[:16]
        self.uris.setdefault(key, "data:image/png;base64," + base64.b64encode(png).decode())
        return key


def find_runs(folder: Path) -> list[Path]:
    """Every folder that holds files of a training run or bears the name of a sweep's log; no evaluations."""
    found = []
    for path, folders, files in os.walk(folder):
        run = RunFolder(Path(path))
        if run.own_files():
            folders.clear()
            options = run.recorded("options")
            if not (isinstance(options, dict) and "inject_levels" in options):
                found.append(run.path)
            continue
        logs = {file.removesuffix(".log") for file in files if file.endswith(".log")}
        found += [run.path / name for name in logs if name and not (run.path / name).exists()]
    return sorted(found, key=lambda path: [_natural(part) for part in path.parts])


def _natural(text: str) -> list:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def shown(value: object) -> str:
    """The value of a flag for people."""
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def pair_name(run: RunSummary) -> str:
    """A's and B's file names without endings."""
    names = [run.options.get(flag) for flag in ("input_a", "input_b")]
    return " / ".join(Path(name).stem for name in names) if all(isinstance(name, str) for name in names) else "unknown"


def split_flags(runs: list[RunSummary]) -> tuple[list[str], dict[str, str]]:
    """The flags whose values differ between the runs, and the others with their value."""
    options = [run.options for run in runs if run.options]
    names = [name for name in dict.fromkeys(name for each in options for name in each) if name not in NOT_COMPARED]
    values = {name: {shown(each.get(name)) for each in options} for name in names}
    return [name for name in names if len(values[name]) > 1], {n: v.pop() for n, v in values.items() if len(v) == 1}


def best_values(runs: list[RunSummary], measures: list[str]) -> dict[tuple[str, str, str], float]:
    """The best value of (pair, direction, measure) among the runs of a pair, where there are several."""
    best = {}
    for direction in DIRECTIONS:
        for measure in measures:
            values: dict[str, list[float]] = {}
            for run in runs:
                if (value := run.measures.get(direction, {}).get(measure)) is not None:
                    values.setdefault(pair_name(run), []).append(value)
            pick = max if measure in HIGHER_IS_BETTER else min
            best |= {(pair, direction, measure): pick(them) for pair, them in values.items() if len(them) > 1}
    return best


def row(run: RunSummary, flags: list[str], measures: list[str], best: dict, images: Images) -> dict:
    """What the template needs to know of a run."""
    pair = pair_name(run)
    values = {
        (direction, measure): run.measures.get(direction, {}).get(measure)
        for direction in DIRECTIONS
        for measure in measures
    }
    sort = {"name": run.name, "pair": pair, "state": run.state.kind, "time": run.seconds}
    sort |= {f"flag {name}": _sortable(run.options.get(name)) for name in flags}
    sort |= {f"{measure} {direction}": value for (direction, measure), value in values.items()}
    panels = [("Discriminators", term_panel(run.records, "D")), ("Generators", term_panel(run.records, "G"))]
    return {
        "name": run.name,
        "pair": pair,
        "state": run.state,
        "problems": run.problems,
        "flags": {name: shown(run.options.get(name)) if run.options else "" for name in flags},
        "options": {name: shown(value) for name, value in run.options.items()},
        "sort": json.dumps(sort),
        "pictures": {name: images.add(png) for name, png in run.pictures.items()},
        "growth": {
            name: [(scale, side, images.add(png)) for scale, side, png in run.growth[name]]
            for name in GROWTH
            if name in run.growth
        },
        "values": values,
        "best": {key for key, value in values.items() if value is not None and best.get((pair, *key)) == value},
        "measures": run.measures,
        "sums": sum_panel(run.records),
        "panels": [(title, panel) for title, panel in panels if panel],
        "time": duration(run.seconds) if run.seconds is not None else "",
    }


def _sortable(value: object) -> object:
    return value if value is None or (isinstance(value, int | float) and math.isfinite(value)) else str(value)


def render(runs: list[RunSummary], title: str) -> str:
    """The page."""
    flags, common = split_flags(runs)
    names = dict.fromkeys(name for run in runs for values in run.measures.values() for name in values)
    in_list = {name for run in runs for direction in DIRECTIONS for name in run.measures.get(direction, {})}
    # Those of single scales are only in a run's own view.
    measures = [name for name in names if name in in_list and not re.search(r"_\d+$", name)]
    images = Images()
    rows = [row(run, flags, measures, best_values(runs, measures), images) for run in runs]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: "" if value is None else f"{value:.3f}"
    return environment.get_template("page.html").render(
        title=title,
        written=datetime.now().strftime("%Y-%m-%d %H:%M"),
        rows=rows,
        counts=Counter(run.state.kind for run in runs),
        pairs=list(dict.fromkeys(each["pair"] for each in rows)),
        flags=flags,
        common=common,
        measures={name: MEASURES.get(name, (name.replace("_", " "), "")) for name in measures},
        all_measures=list(names),
        higher=HIGHER_IS_BETTER,
        directions=DIRECTIONS,
        measured=MEASURED,
        captions=CAPTIONS,
        images=images.uris,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write one page that compares the training runs below a folder.")
    parser.add_argument("runs", type=Path, metavar="RUNS_DIR", help="every run below it gets a row")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page; else RUNS_DIR/report.html")
    parser.add_argument(
        "--growth_side", type=int, default=128, metavar="N", help="largest pictures of the growth, pixels (128)"
    )
    options = parser.parse_args(arguments)
    if not options.runs.is_dir():
        raise UserError(f"RUNS_DIR {options.runs}: no such folder")
    if options.growth_side < 1:
        raise UserError(f"--growth_side {options.growth_side}: must be 1 or more")
    out = options.out or options.runs / "report.html"
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; name a file in it")
    folders = find_runs(options.runs)
    if not folders:
        raise UserError(f"RUNS_DIR {options.runs}: holds no runs")
    top = options.runs.resolve()
    runs = []
    for path in folders:
        name = path.relative_to(options.runs).as_posix() if path != options.runs else top.name
        runs.append(summarise(path, name, ROOT, options.growth_side))
        for problem in runs[-1].problems:
            print(f"{name}: {problem}", file=sys.stderr)
    page = render(runs, top.name).encode("utf-8", errors="replace")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, page)
    print(f"{out}: {len(runs)} runs, {len(page) / 1e6:.1f} MB")
    return 0
