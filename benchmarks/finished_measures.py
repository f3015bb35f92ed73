"""Learned and finished translations of runs, measured alike.

    python benchmarks/finished_measures.py RUN [RUN ...]

Each translation of a run of train.py with --finish_size, and the two originals, are brought to 96 pixels a side: the
learned images are enlarged to that, the finished ones shrunk. The sliced Wasserstein distance of patches and the
distance of the mean colours are to the appearance image, lower is better; layout agreement is with the structure
image, higher is better (utils/measures.py). Copying patches wins the first by construction, so the others and
the share copied in one piece stand beside it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils.arguments import LineParser, pathname
from utils.errors import UserError, one_line_errors
from utils.measures import measure
from utils.image import open_image
from utils.run_folder import RunFolder

SIDE = 96  # pixels
SHOWN = ("sliced_wasserstein", "colour_mean", "layout_agreement")


def at_side(path: Path) -> torch.Tensor:
    """An image at SIDE by SIDE pixels, (1, 3, SIDE, SIDE) in [-1, 1]."""
    image = open_image(path, "RUN").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1


def rows_of(run: RunFolder) -> list[tuple[str, list[float], list[float], float]]:
    """Of both directions: a name, the learned and the finished image's measures, the share copied in one piece."""
    options = run.recorded("options")
    try:
        values = json.loads(run.metrics.read_text())["values"]
    except (OSError, ValueError, KeyError):
        values = {}
    if not isinstance(options, dict) or not {"finished_a2b", "finished_b2a"} <= values.keys():
        raise UserError(f"RUN {run.path}: holds no finished run")
    originals = [Path(options[f"input_{x}"]) for x in "ab"]
    a, b = (at_side(path) for path in originals)
    names = " / ".join(path.stem for path in originals)
    rows = []
    for way, structure, appearance in (("a2b", a, b), ("b2a", b, a)):
        found = [
            [measure(at_side(run.path / f"{kind}_{way}.png"), structure, appearance)[name] for name in SHOWN]
            for kind in ("real", "finished")
        ]
        rows.append((f"{names} {way}", *found, values[f"finished_{way}"]["copied_in_one_piece"]))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser("Measure the learned and the finished translations of runs alike.")
    parser.add_argument("runs", type=pathname, nargs="+", metavar="RUN", help="folders train.py --finish_size filled")
    rows = [row for path in parser.parse_args(arguments).runs for row in rows_of(RunFolder(path))]
    _, learned, finished, copied = zip(*rows, strict=True)
    means = [[fmean(values) for values in zip(*column, strict=True)] for column in (learned, finished)]
    rows.append((f"mean of {len(rows)}", *means, fmean(copied)))
    print("| translation | learned: patches ↓ | colour ↓ | layout ↑ ", end="")
    print("| finished: patches ↓ | colour ↓ | layout ↑ | copied |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, before, after, copied in rows:
        numbers = [f"{value:.3f}" for value in (*before, *after)]
        print(f"| {name} | {' | '.join(numbers)} | {copied:.2f} |")
    return 0


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
