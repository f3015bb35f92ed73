"""Which recipe gives the best picture in the same time? Trains pairs with each of them, measures and shows the results.

    python benchmarks/compare_recipes.py
    python benchmarks/compare_recipes.py --pairs images/oranges.jpg images/bowls.jpg images/coins.jpg images/daisies.jpg

The recipes, on the CPU, each in a process of its own, one after the other:

    input       the other picture as it is: nothing is done
    quick       `train.py --preset quick`
    paper       the paper's settings at quick's size, for as many steps per scale as fit into the time quick took
    neighbours  `patch_neighbours.py`, training-free: a yardstick, not a part of the program

Everything lies in a work folder. A run that is finished there is not repeated, so the same command goes on where it was
stopped, and once all is done it only writes the table and the sheet again. To repeat a run, delete its `.json` file,
or the work folder after a change of the program.
"""

import json
import math
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils.arguments import LineParser, integer
from utils.device import device_name
from utils.errors import RunError, one_line_errors
from utils.files import write_atomic, write_json
from utils.measures.metrics import HIGHER_IS_BETTER, measure
from utils.pictures.image import image_to_tensor, open_image
from utils.pictures.sheet import Cell, save_sheet
from utils.runs.log import RunLog
from utils.runs.run_folder import RunFolder

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ("balloons", "jellyfish", "oranges", "bowls", "coins", "daisies", "mountains", "painted_hills")
CALIBRATION_STEPS = 16  # a whole chunk of draws at every scale: fewer steps would pay for draws they do not use
MEASURES = ("sliced_wasserstein", "colour_mean", "colour_covariance", "layout_agreement")

Record = dict[str, Any]  # of a run
Row = dict[str, Any]  # of the table


def run_once(folder: Path, script: str, *arguments: str) -> Record:
    """Run a script that fills a folder, unless it has done so before with the same arguments.

    Returns:
        What is recorded beside the folder: command, seconds of wall clock for the whole process, device, torch, date.

    Raises:
        RunError: the script failed.
    """
    command = ["python", script, *arguments]
    file = folder.with_suffix(".json")
    record = json.loads(file.read_text(encoding="utf-8")) if file.is_file() and folder.is_dir() else {}
    if record.get("command") == command:
        return record
    print("\n" + shlex.join(command), flush=True)
    start = time.perf_counter()
    status = subprocess.run([sys.executable, str(ROOT / script), *arguments], check=False).returncode
    seconds = time.perf_counter() - start
    if status:
        raise RunError(f"{script} ended with status {status}; its command stands above")
    record = {"command": command, "seconds": round(seconds, 2), "device": device_name(torch.device("cpu"))}
    record |= {"torch": torch.__version__, "date": str(date.today())}
    write_json(file, record)
    return record


def steps_that_fit(budget: float, wall: float, log: list[dict], steps: int) -> int:
    """Steps per scale for a run to take `budget` seconds of wall clock; at least 1.

    Args:
        wall: seconds of a calibration run.
        log: its records; the last of each scale has the seconds its steps took.
        steps: that it took at each scale.
    """
    stepping = sum({record["scale"]: record["seconds"] for record in log}.values())
    around = wall - stepping  # starting, and making the results: every run pays it once
    return max(1, math.floor((budget - around) / (stepping / steps)))


def run_recipes(work: Path, a: Path, b: Path, img_size: int, quick_niter: int | None) -> dict[str, Record]:
    """All runs of a pair, as they are recorded, with their `folder` and, of the trained, steps per scale `niter`."""
    pair = work / f"{a.stem}_{b.stem}"
    pair.mkdir(parents=True, exist_ok=True)
    inputs = ["--input_a", str(a), "--input_b", str(b), "--img_size", str(img_size)]

    def train(name: str, *options: str) -> Record:
        fixed = ("--gpu_id", "-1", "--seed", "1", "--overwrite", "--out", str(pair / name))
        record = run_once(pair / name, "train.py", *inputs, *options, *fixed)
        return record | {"folder": pair / name, "niter": RunFolder(pair / name).recorded("options")["niter"]}

    shortened = [] if quick_niter is None else ["--niter", str(quick_niter)]
    quick = train("quick", "--preset", "quick", *shortened)
    trial = train("calibration", "--niter", str(CALIBRATION_STEPS))
    log = RunLog(RunFolder(trial["folder"]).log).records()
    niter = steps_that_fit(quick["seconds"], trial["seconds"], log, CALIBRATION_STEPS)
    paper = train("paper", "--niter", str(niter))
    folder = pair / "neighbours"
    neighbours = run_once(folder, "benchmarks/patch_neighbours.py", *inputs, "--out", str(folder))
    return {"quick": quick, "paper": paper, "neighbours": neighbours | {"folder": folder}}


def judge(runs: dict[str, Record], a: Path, b: Path, img_size: int) -> tuple[list[Row], list[list[Cell]]]:
    """The rows of the table and of the sheet of a pair, first a2b, then b2a."""
    cpu = torch.device("cpu")
    pictures = [image_to_tensor(open_image(path, "--pairs"), (img_size, img_size), cpu) for path in (a, b)]
    rows, sheet = [], []
    for name, sources, (structure, appearance) in (("a2b", (a, b), pictures), ("b2a", (b, a), pictures[::-1])):
        results = {"input": structure}
        for recipe, run in runs.items():
            file = run["folder"] / f"real_{name}.png"
            results[recipe] = image_to_tensor(open_image(file, "--work"), (img_size, img_size), cpu)
        layout, look = (path.stem for path in sources)
        cells = [(f"{layout}: structure", structure), (f"{look}: appearance", appearance)]
        for recipe, picture in results.items():
            run = runs.get(recipe, {})
            row = {"layout": layout, "look": look, "recipe": recipe, "niter": run.get("niter")}
            rows.append(row | measure(picture, structure, appearance) | {"seconds": run.get("seconds")})
        cells += [(f"{recipe}, {run['seconds']:.0f} s", results[recipe]) for recipe, run in runs.items()]
        sheet.append(cells)
    return rows, sheet


def table(headings: list[str], lines: list[list[str]]) -> str:
    """A Markdown table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [headings, ["---"] * len(headings), *lines])


def numbers(row: Row) -> list[str]:
    """The measures and the seconds of a row, for people."""
    seconds = "" if row["seconds"] is None else f"{row['seconds']:.0f}"
    return [f"{row[name]:.3f}" for name in MEASURES] + [seconds]


def means(rows: list[Row]) -> list[Row]:
    """A row for each recipe: the mean of everything measured."""
    found = []
    for recipe in dict.fromkeys(row["recipe"] for row in rows):
        own = [row for row in rows if row["recipe"] == recipe]
        timed = own[0]["seconds"] is not None
        found.append({"recipe": recipe} | {name: fmean(row[name] for row in own) for name in MEASURES})
        found[-1]["seconds"] = fmean(row["seconds"] for row in own) if timed else None
    return found


def report(rows: list[Row], records: list[Record], command: str, sheet: str) -> str:
    """The page: what was run where, the means of all pairs and directions, and every result."""
    machines = dict.fromkeys(f"{run['device']}, torch {run['torch']}, {run['date']}" for run in records)
    arrows = {name: "↑" if name in HIGHER_IS_BETTER else "↓" for name in MEASURES}
    headings = [*(f"{name.replace('_', ' ')} {arrow}" for name, arrow in arrows.items()), "seconds"]
    lines = [[row["recipe"] + (f", {row['niter']} steps" if row["niter"] else ""), *numbers(row)] for row in rows]
    lines = [[row["layout"], row["look"], *line] for row, line in zip(rows, lines, strict=True)]
    return (
        "# Recipes at the same wall clock\n\n"
        f"    {command}\n\n{'; '.join(machines)}\n\n"
        "`input` is the structure picture as it is, `quick` the laptop preset, `paper` the paper's settings at that\n"
        "size for as long as quick took, `neighbours` a training-free yardstick (`benchmarks/patch_neighbours.py`).\n"
        "Steps are per scale. Seconds are the whole process's, which makes both directions. The measures are those of\n"
        "`utils/measures/metrics.py` (↓ lower is better, ↑ higher); none judges a result alone, so look at "
        f"`{sheet}`, too.\n\n"
        f"## Means\n\n{table(['recipe', *headings], [[row['recipe'], *numbers(row)] for row in means(rows)])}\n"
        f"## Every result\n\n{table(['layout of', 'look of', 'recipe', *headings], lines)}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    add = (parser := LineParser(__doc__.splitlines()[0])).add_argument
    add("--pairs", nargs="+", type=Path, metavar="FILE", help="A and B of each pair; not given: four of images/")
    add("--img_size", type=integer(1), default=64, help="side of all results, pixels")
    add("--niter", type=integer(1), help="steps per scale of the quick recipe; not given: its own")
    add("--work", type=Path, default=Path("output_recipes"), metavar="DIR", help="where the runs lie")
    add("--table", type=Path, default=Path("benchmarks/recipes.md"), metavar="FILE", help="the table, Markdown")
    add("--sheet", type=Path, default=Path("readme_imgs/recipes.png"), metavar="FILE", help="the pictures, PNG")
    options = parser.parse_args(arguments)
    files = options.pairs or [Path("images") / f"{name}.jpg" for name in PICTURES]
    if len(files) % 2:
        parser.error("--pairs: A and B of each pair, so an even number of files")
    for file in files:
        open_image(file, "--pairs")  # a bad one shall not come to light after hours
    rows, sheet, records = [], [], []
    for a, b in zip(files[::2], files[1::2], strict=True):
        runs = run_recipes(options.work, a, b, options.img_size, options.niter)
        pair_rows, pair_sheet = judge(runs, a, b, options.img_size)
        rows, sheet, records = rows + pair_rows, sheet + pair_sheet, [*records, *runs.values()]
    given = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "benchmarks/compare_recipes.py", *given])
    for file in (options.table, options.sheet):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(options.table, report(rows, records, command, options.sheet.as_posix()).encode())
    save_sheet(sheet, options.sheet)
    print(f"{options.table}\n{options.sheet}")
    return 0


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
