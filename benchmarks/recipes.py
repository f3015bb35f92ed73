"""How good are the results of several recipes? A table of a sweep's finished runs, in Markdown.

    scripts/sweep.sh GRID RUNS PAIRS && python benchmarks/recipes.py RUNS

Learned and finished translations and the two originals are brought to 96 pixels a side. Patches are the sliced
Wasserstein distance, colour is the distance of the mean colours, both to the appearance image; layout agreement is with
the structure image (utils/measures.py). None judges a result alone: look at the pictures, too.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.report import SHOWN, find_runs
from utils.arguments import LineParser, pathname
from utils.errors import one_line_errors
from utils.image import image_to_tensor, open_image
from utils.measures import COPIED, measure
from utils.run_folder import RunFolder

SIDE = 96  # pixels


def row(run: RunFolder, direction: str) -> list[float]:
    """The numbers of a translation: learned, finished, the share copied in one piece, seconds of training."""
    options = run.options()
    files = [Path(options[f"input_{x}"]) for x in direction.split("2")]
    files += [run.path / f"{kind}_{direction}.png" for kind in ("real", "finished")]
    images = (image_to_tensor(open_image(file, "RUNS"), (SIDE, SIDE), torch.device("cpu")) for file in files)
    structure, appearance, *results = images
    found = [measure(result, structure, appearance) for result in results]
    copied = json.loads((run.path / "metrics.json").read_text())["values"][f"finished_{direction}"][COPIED]
    seconds = sum({record["scale"]: record["seconds"] for record in run.logged()}.values())
    return [*(values[name] for values in found for name in SHOWN), copied, seconds]


def print_row(label: str, numbers: Sequence[float]) -> None:
    *values, seconds = numbers
    print(f"| {label} | {' | '.join(f'{value:.3f}' for value in values)} | {seconds:.0f} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser(__doc__.partition("\n")[0])
    parser.add_argument("runs", type=pathname, metavar="RUNS", help="the sweep's folder, one folder a pair below it")
    top = parser.parse_args(arguments).runs
    print("| run | learned: patches ↓ | colour ↓ | layout ↑ | finished: patches ↓ | colour ↓ | layout ↑ | copied | s |")
    print("|" + " --- |" * 9)
    recipes: dict[str, list[list[float]]] = defaultdict(list)
    for run in filter(lambda run: run.record.get("finished"), map(RunFolder, find_runs(top))):
        for direction in ("a2b", "b2a"):
            recipes[run.path.name].append(row(run, direction))
            print_row(f"{run.path.relative_to(top)} {direction}", recipes[run.path.name][-1])
    for name, rows in recipes.items():
        print_row(f"mean of {len(rows)}, {name}", [fmean(values) for values in zip(*rows, strict=True)])
    return 0


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
