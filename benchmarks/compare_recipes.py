"""How good are the laptop preset's finished pictures? Trains pairs with it and others, measures and shows the results.

    python benchmarks/compare_recipes.py
    python benchmarks/compare_recipes.py --pairs A.jpg B.jpg C.jpg D.jpg --seeds 1 2 3 --table t.md --sheet t.png

The recipes, on the CPU, each run in a process of its own, one after the other:

    before      the laptop preset as it was until 2026-11-25
    quick       `train.py --preset quick`
    neighbours  `patch_neighbours.py`, training-free: a yardstick, not a part of the program; it has no seed

What each leaves is finished to SIDE pixels; the finished pictures are measured, as `finished_measures.py` does.

Everything lies in a work folder. A run that is finished there is not repeated, so the same command goes on where it was
stopped, and once all is done it only writes the table and the sheet again. To repeat a run, delete its `.json` file,
or the work folder after a change of the program.
"""

import json
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

from benchmarks.finished_measures import at_side
from finishing.full_size import Original, finish_all, translation_jobs, whole
from options import STRUCTURE
from utils.arguments import LineParser, integer
from utils.device import device_name
from utils.errors import RunError, one_line_errors
from utils.files import write_atomic, write_json
from utils.measures import HIGHER_IS_BETTER, measure
from utils.image import open_image
from utils.sheet import Cell, save_sheet

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ("oranges.jpg", "bowls.jpg", "coins.jpg", "daisies.jpg", "mountains.jpg", "painted_hills.jpg")
IMAGES += ("pebbles.jpg", "basket.jpg", "letters_wood.jpg", "letters_neon.jpg", "oranges.jpg", "fruit_sketch.png")
SIDE = 220  # pixels, the longer side of what is measured
MEASURES = ("sliced_wasserstein", "colour_mean", "layout_agreement")
BEFORE = (
    "--img_size 64 --min_size 32 --scale_factor 0.5 --max_nfc 32 --niter 250 --print_interval 125 --lr_g 0.004 "
    "--lr_d 0.001 --lr_decay 0.5 --alpha 10 --beta 2 --rec_noise fixed --padding_mode reflect --padd_size 1"
)
TRAINED = {"before": shlex.split(BEFORE), "quick": ["--preset", "quick"]}

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


def run_recipes(work: Path, a: Path, b: Path, seeds: Sequence[int], shortened: Sequence[str]) -> list[Record]:
    """All runs of a pair, as they are recorded, each with its `recipe`, `seed` (None without) and `folder`."""
    pair = work / f"{a.stem}_{b.stem}"
    pair.mkdir(parents=True, exist_ok=True)
    inputs = ["--input_a", str(a), "--input_b", str(b)]
    found = []
    for recipe, options in TRAINED.items():
        for seed in seeds:
            folder = pair / f"{recipe}_{seed}"
            fixed = ("--finish_size", str(SIDE), "--gpu_id", "-1", "--seed", str(seed), "--overwrite")
            record = run_once(folder, "train.py", *inputs, *options, *shortened, *fixed, "--out", str(folder))
            found.append(record | {"recipe": recipe, "seed": seed, "folder": folder})
    folder = pair / "neighbours"
    record = run_once(folder, "benchmarks/patch_neighbours.py", *inputs, "--out", str(folder))
    finish_pair(folder, a, b)
    return [*found, record | {"recipe": "neighbours", "seed": None, "folder": folder}]


def finish_pair(folder: Path, a: Path, b: Path) -> None:
    """Finish the `real_a2b.png` and `real_b2a.png` in a folder, as train.py finishes its own."""
    learned = [whole(open_image(folder / f"real_{name}.png", "--work")) for name in ("a2b", "b2a")]
    originals = [Original(open_image(path, "--pairs"), "--pairs") for path in (a, b)]
    for _ in finish_all(translation_jobs(originals, learned, SIDE, STRUCTURE, keep_aspect=False), folder):
        pass


def judge(runs: Sequence[Record], a: Path, b: Path) -> tuple[list[Row], list[list[Cell]]]:
    """The rows of the table of a pair, and of the sheet, which shows each recipe's first seed in both directions."""
    rows, sheet = [], []
    for way, (structure, appearance) in (("a2b", (a, b)), ("b2a", (b, a))):
        originals = at_side(structure), at_side(appearance)
        shown = {f"{structure.stem}: layout": structure, f"{appearance.stem}: look": appearance}
        for run in runs:
            picture = run["folder"] / f"finished_{way}.png"
            row = {"layout": structure.stem, "look": appearance.stem, "recipe": run["recipe"]}
            rows.append(row | measure(at_side(picture), *originals) | {"seconds": run["seconds"]})
            shown.setdefault(run["recipe"], picture)
        sheet.append([(label, whole(open_image(path, "--pairs"), (SIDE, SIDE))) for label, path in shown.items()])
    return rows, sheet


def table(headings: list[str], lines: list[list[str]]) -> str:
    """A Markdown table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [headings, ["---"] * len(headings), *lines])


def means(rows: list[Row], *by: str) -> list[list[str]]:
    """The lines of a table: rows that agree in `by` are one, with the means of what was measured."""
    lines = []
    for key in dict.fromkeys(tuple(row[name] for name in by) for row in rows):
        own = [row for row in rows if tuple(row[name] for name in by) == key]
        values = [fmean(row[name] for row in own) for name in MEASURES]
        lines.append([*key, *(f"{value:.4f}" for value in values), f"{fmean(row['seconds'] for row in own):.0f}"])
    return lines


def report(rows: list[Row], records: list[Record], command: str, sheet: str) -> str:
    """The page: what was run where, the means of all pairs and directions, and every pair's."""
    machines = dict.fromkeys(f"{run['device']}, torch {run['torch']}, {run['date']}" for run in records)
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(run["seed"] for run in records) if seed is not None)
    arrows = {name: "↑" if name in HIGHER_IS_BETTER else "↓" for name in MEASURES}
    headings = [*(f"{name.replace('_', ' ')} {arrow}" for name, arrow in arrows.items()), "seconds"]
    return (
        "# Recipes\n\n"
        f"    {command}\n\n{'; '.join(machines)}; seeds {seeds}\n\n"
        f"Means of the finished pictures, {SIDE} pixels wide, measured at 96. `before` is the laptop preset until\n"
        "2026-11-25, `quick` the present one, `neighbours` a training-free yardstick, finished in the same way\n"
        "(`benchmarks/patch_neighbours.py`). Seconds are the whole process's, which makes both directions. The\n"
        "measures are those of `utils/measures.py` (↓ lower is better, ↑ higher); none judges a result\n"
        f"alone, so look at `{sheet}`, too.\n\n"
        f"{table(['recipe', *headings], means(rows, 'recipe'))}\n"
        f"{table(['layout of', 'look of', 'recipe', *headings], means(rows, 'layout', 'look', 'recipe'))}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    add = (parser := LineParser(__doc__.splitlines()[0])).add_argument
    add("--pairs", nargs="+", type=Path, metavar="FILE", help="A and B of each pair; not given: six of images/")
    add("--seeds", nargs="+", type=integer(0), default=[1, 2, 3], metavar="SEED", help="of the trained recipes")
    add("--niter", type=integer(1), help="steps per scale; not given: each recipe's own")
    add("--work", type=Path, default=Path("output_recipes"), metavar="DIR", help="where the runs lie")
    add("--table", type=Path, default=Path("benchmarks/recipes.md"), metavar="FILE", help="the table, Markdown")
    add("--sheet", type=Path, default=Path("readme_imgs/recipes.jpg"), metavar="FILE", help="the pictures")
    options = parser.parse_args(arguments)
    files = options.pairs or [Path("images") / name for name in IMAGES]
    if len(files) % 2:
        parser.error("--pairs: A and B of each pair, so an even number of files")
    for file in files:
        open_image(file, "--pairs")  # a bad one shall not come to light after hours
    shortened = [] if options.niter is None else ["--niter", str(options.niter)]
    rows, sheet, records = [], [], []
    for a, b in zip(files[::2], files[1::2], strict=True):
        runs = run_recipes(options.work, a, b, options.seeds, shortened)
        pair_rows, pair_sheet = judge(runs, a, b)
        rows, sheet, records = rows + pair_rows, sheet + pair_sheet, [*records, *runs]
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
