"""How good are the finished images of a recipe? Trains pairs with several recipes and seeds, and measures the results.

    python benchmarks/recipes.py --recipe quick="--preset quick" --recipe long="--preset quick --niter 500"
    python benchmarks/recipes.py --pairs A.jpg B.jpg C.jpg D.jpg --seeds 1 2 3 --work output_recipes

Each run is a train.py of its own, one after the other; one that is finished in the work folder is not repeated.
Learned and finished translations and the two originals are brought to 96 pixels a side. The sliced Wasserstein distance
of patches and the distance of the mean colours are to the appearance image, lower is better; layout agreement is with
the structure image, higher is better (utils/measures.py). None judges a result alone: look at the pictures, too.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils.arguments import LineParser, integer, pathname
from utils.commands import ROOT
from utils.errors import RunError, one_line_errors
from utils.image import image_to_tensor, open_image
from utils.measures import measure
from utils.run_folder import RunFolder

PAIRS = ("autumn_ridge", "alpine_path", "balloons", "jellyfish", "brick", "gravel", "letters_wood", "letters_neon")
SIDE = 96  # pixels
SHOWN = ("sliced_wasserstein", "colour_mean", "layout_agreement")
HEADING = "| run | learned: patches ↓ | colour ↓ | layout ↑ | finished: patches ↓ | colour ↓ | layout ↑ | copied | s |"


def at_side(path: Path) -> torch.Tensor:
    """An image at SIDE by SIDE pixels, (1, 3, SIDE, SIDE) in [-1, 1]."""
    image = open_image(path, "--pairs").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return image_to_tensor(image, (SIDE, SIDE), torch.device("cpu"))


def train(folder: Path, a: Path, b: Path, flags: str, seed: int, size: int) -> None:
    """Train a pair unless that is done; RunError where it fails."""
    if RunFolder(folder).recorded("finished"):
        return
    words = ["--input_a", str(a), "--input_b", str(b), *shlex.split(flags), "--finish_size", str(size)]
    command = [sys.executable, str(ROOT / "train.py"), *words, "--seed", str(seed), "--out", str(folder), "--overwrite"]
    if subprocess.run(command, check=False).returncode:
        raise RunError(f"failed: {shlex.join(command)}")


def row(folder: Path, direction: str, structure: Path, appearance: Path) -> list[float]:
    """The numbers of a translation, in the order of HEADING."""
    originals = at_side(structure), at_side(appearance)
    numbers = []
    for kind in ("real", "finished"):
        found = measure(at_side(folder / f"{kind}_{direction}.png"), *originals)
        numbers += [found[name] for name in SHOWN]
    values = json.loads((folder / "metrics.json").read_text())["values"]
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    seconds = sum({record["scale"]: record["seconds"] for record in records}.values())
    return [*numbers, values[f"finished_{direction}"]["copied_in_one_piece"], seconds]


def main(arguments: Sequence[str] | None = None) -> int:
    add = (parser := LineParser(__doc__.splitlines()[0])).add_argument
    add("--pairs", nargs="+", type=pathname, metavar="FILE", help="A and B of each pair; default: four of images/")
    add("--seeds", nargs="+", type=integer(0), default=[1], metavar="SEED", help="of every recipe and pair")
    add(
        "--recipe", action="append", metavar='NAME="FLAGS"', help='options of train.py; default: quick="--preset quick"'
    )
    add("--finish_size", type=integer(96), default=220, help="longer side of the finished images, pixels")
    add("--work", type=pathname, default=Path("output_recipes"), metavar="DIR", help="where the runs lie")
    options = parser.parse_args(arguments)
    files = options.pairs or [ROOT / "images" / f"{name}.jpg" for name in PAIRS]
    if len(files) % 2:
        parser.error("--pairs: A and B of each pair, so an even number of files")
    print(HEADING)
    print("|" + " --- |" * HEADING.count(" | ") + " --- |")
    for recipe in options.recipe or ["quick=--preset quick"]:
        name, _, flags = recipe.partition("=")
        rows = []
        for a, b in zip(files[::2], files[1::2], strict=True):
            for seed in options.seeds:
                folder = options.work / f"{a.stem}_{b.stem}" / f"{name}_{seed}"
                train(folder, a, b, flags, seed, options.finish_size)
                for direction, pair in (("a2b", (a, b)), ("b2a", (b, a))):
                    rows.append(row(folder, direction, *pair))
                    print_row(f"{a.stem} / {b.stem} {direction}, {name}, seed {seed}", rows[-1])
        print_row(f"mean of {len(rows)}, {name}", [fmean(values) for values in zip(*rows, strict=True)])
    return 0


def print_row(label: str, numbers: list[float]) -> None:
    *values, copied, seconds = numbers
    print(f"| {label} | {' | '.join(f'{value:.3f}' for value in values)} | {copied:.2f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
