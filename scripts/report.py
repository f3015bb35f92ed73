"""Write one page that compares training runs: `python scripts/report.py RUNS_DIR`.

The page opens from disk: reduced pictures, styles and script are inside, the whole pictures are the runs' own files
(with --embed inside, too). What takes long is kept in each run's folder. `report_page/` holds the template. Every text
goes through the template's escaping.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("scripts.report")

import json
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import jinja2
from tqdm import tqdm

from scripts.find_runs import find_runs
from scripts.run_pictures import Pictures
from scripts.run_summary import FINISHED, GROWTH, MEASURED, SOURCES, RunSummary, shorten, summarise
from utils.arguments import LineParser, pathname
from utils.errors import UserError
from utils.files import write_atomic
from utils.measures import HIGHER_IS_BETTER
from utils.progress import duration
from utils.runs.state import RunState

TEMPLATES = Path(__file__).resolve().parent / "report_page"
LONGEST_VALUE = 200  # characters shown of a flag's value
MOST_COLUMNS = 30  # flags; more differ only where a run's config.json is not of this program
LINE_EVERY = 10.0  # seconds, where there is no terminal for a bar
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
    "finished_a2b": "A translated, finished from B's own patches (finished_a2b)",
    "finished_a2b_source": "where in B each pixel of it comes from (finished_a2b_source)",
    "finished_b2a": "B translated, finished from A's own patches (finished_b2a)",
    "finished_b2a_source": "where in A each pixel of it comes from (finished_b2a_source)",
    "A": "A",
    "B": "B",
    "real_a2b": "A translated (real_a2b)",
    "real_b2a": "B translated (real_b2a)",
    "fake_a": "sample of A's world (fake_a)",
    "a2b": "that sample translated (a2b)",
    "fake_b": "sample of B's world (fake_b)",
    "b2a": "that sample translated (b2a)",
}

# The pictures of one run, large, in their order.
STRIPS = ((*FINISHED, *SOURCES), ("A", "real_a2b", "fake_a", "a2b", "B", "real_b2a", "fake_b", "b2a"))


def shown(value: object) -> str:
    """The value of a flag for people."""
    if value is None:
        return "none"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + " …"


def pair_name(run: RunSummary) -> str:
    """A's and B's file names without endings."""
    names = [run.options.get(flag) for flag in ("input_a", "input_b")]
    return (
        " / ".join(shown(Path(name).stem) for name in names)
        if all(isinstance(name, str) for name in names)
        else "unknown"
    )


def split_flags(runs: list[RunSummary]) -> tuple[list[str], dict[str, str]]:
    """The flags whose values differ between the runs, the first of them, and those that are alike with their value."""
    options = [run.options for run in runs if run.options]
    names = [name for name in dict.fromkeys(name for each in options for name in each) if name not in NOT_COMPARED]
    values = {name: {shown(each.get(name)) for each in options} for name in names}
    return [name for name in names if len(values[name]) > 1][:MOST_COLUMNS], {
        n: v.pop() for n, v in values.items() if len(v) == 1
    }


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


def row(run: RunSummary, flags: list[str], measures: list[str], best: dict, pictures: Pictures) -> dict:
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
    panels = [("Discriminators", run.panels.get("D")), ("Generators", run.panels.get("G"))]
    return {
        "name": run.name,
        "pair": pair,
        "state": run.state,
        "problems": run.problems,
        "flags": {name: shown(run.options.get(name)) if run.options else "" for name in flags},
        "options": {name: shown(value) for name, value in run.options.items()},
        "sort": json.dumps(sort),
        "pictures": {name: pictures.add(picture) for name, picture in run.pictures.items()},
        "growth": {
            name: [(scale, pictures.add(picture)) for scale, picture in run.growth[name]]
            for name in GROWTH
            if name in run.growth
        },
        "values": values,
        "best": {key for key, value in values.items() if value is not None and best.get((pair, *key)) == value},
        "measures": run.measures,
        "sums": run.panels.get("sums"),
        "panels": [(title, panel) for title, panel in panels if panel],
        "time": duration(run.seconds) if run.seconds is not None else "",
    }


def _sortable(value: object) -> object:
    """A value of a flag that the page's script can sort by."""
    number = isinstance(value, int | float) and abs(value) < math.inf
    return value if value is None or (number and len(str(value)) <= 30) else shown(value)


def render(runs: list[RunSummary], title: str, pictures: Pictures) -> str:
    """The page."""
    flags, common = split_flags(runs)
    names = dict.fromkeys(name for run in runs for values in run.measures.values() for name in values)
    in_list = {name for run in runs for direction in DIRECTIONS for name in run.measures.get(direction, {})}
    # Those of single scales are only in a run's own view.
    measures = [name for name in names if name in in_list and not re.search(r"_\d+$", name)]
    best = best_values(runs, measures)
    rows = [row(run, flags, measures, best, pictures) for run in runs]
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
        strips=STRIPS,
        has_finished=any("finished_a2b" in run.pictures or "finished_b2a" in run.pictures for run in runs),
        images=pictures.inside,
    )


def read_runs(folders: list[Path], top: Path) -> list[RunSummary]:
    """Every run in short; how far that is, and what is wrong with runs, goes to standard error."""
    runs = []
    start = said = time.monotonic()
    # A bar on a terminal, else a line now and then.
    for done, path in enumerate(tqdm(folders, unit="run", dynamic_ncols=True, disable=None)):
        if not sys.stderr.isatty() and (now := time.monotonic()) - said > LINE_EVERY:
            left = duration((now - start) / done * (len(folders) - done))
            said = now
            print(f"{done} of {len(folders)} runs read, about {left} left", file=sys.stderr, flush=True)
        name = path.relative_to(top).as_posix() if path != top else top.resolve().name
        try:
            runs.append(summarise(path, name))
        except Exception as error:  # Whatever one run's files are, the others are shown.
            words = shorten(f"cannot be read: {type(error).__name__}: {error}")
            runs.append(RunSummary(name, RunState("foreign", words), [words]))
        for problem in runs[-1].problems:
            tqdm.write(f"{name}: {problem}".encode(errors="backslashreplace").decode(), file=sys.stderr)
    return runs


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser("Write one page that compares the training runs below a folder.")
    parser.add_argument("runs", type=pathname, metavar="RUNS_DIR", help="every run below it gets a row")
    parser.add_argument("--out", type=pathname, metavar="FILE", help="the page; else RUNS_DIR/report.html")
    parser.add_argument(
        "--embed",
        action="store_true",
        help="put the whole pictures into the page, too, so that it can be sent alone; else it links to the runs' own",
    )
    options = parser.parse_args(arguments)
    top = options.runs
    if not top.is_dir():
        raise UserError(f"RUNS_DIR {options.runs}: no such folder")
    out = top / "report.html" if options.out is None else options.out
    if out.suffix.lower() not in {".html", ".htm"}:
        raise UserError(f"--out {out}: is no name of a page, which ends in .html")
    if out.is_dir():
        raise UserError(f"--out {options.out}: is a folder; name a file in it")
    folders = find_runs(top)
    if not folders:
        raise UserError(f"RUNS_DIR {top}: holds no runs")
    runs = read_runs(folders, top)
    page = render(runs, top.resolve().name, Pictures(out.parent, options.embed)).encode("utf-8", errors="replace")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, page)
    print(f"{out}: {len(runs)} runs, {len(page) / 1e6:.1f} MB")
    return 0
