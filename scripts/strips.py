"""The README's pictures, from what `make demo` and `scripts/check_readme.sh --full` left."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("scripts.strips")

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from PIL import Image

from utils.arguments import LineParser
from utils.errors import UserError
from utils.image import image_to_tensor, open_image
from utils.sheet import Cell, save_sheet
from utils.video import Clip

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "readme_imgs"
HINT = "run make demo and scripts/check_readme.sh --full first:"
PAIRS = ("analogy", "stream", "style", "texture", "text", "sketch")
SAMPLE = ("fake_a", "a2b", "fake_b", "b2a")
SIDE, SMALL, DEMO, SHEET = 280, 200, 480, 1200  # pixels, longer side at most; so wide that no two rows share a line
FILM = 120  # pixels, height


def cell(label: str, path: Path, side: int = SIDE) -> Cell:
    """A labelled image, its longer side brought to `side`."""
    image = open_image(path, HINT)
    shape = tuple(max(1, round(side * length / max(image.size))) for length in image.size[::-1])
    return label, image_to_tensor(image, shape, torch.device("cpu"))


def inputs_of(run: Path) -> list[Path]:
    """A and B of a training run."""
    try:
        options = json.loads((run / "config.json").read_text())["options"]
    except OSError:
        raise UserError(f"{run}: is missing; {HINT[:-1]}") from None
    return [Path(options[f"input_{x}"]) for x in "ab"]


def pair_row(name: str) -> list[Cell]:
    """A, B and the two finished translations of a training run."""
    run = ROOT / f"output_{name}"
    row = [cell(f"{x}: {name}", path) for x, path in zip("AB", inputs_of(run), strict=True)]
    return row + [cell(label, run / f"finished_{label}.png") for label in ("a2b", "b2a")]


def finishing_row(run: Path) -> list[Cell]:
    """Learned, finished, and where each pixel comes from, in both directions."""
    kinds = {"learned {}": "real_{}", "finished {}": "finished_{}", "source of {}": "finished_{}_source"}
    return [
        cell(label.format(way), run / f"{file.format(way)}.png", SMALL)
        for way in ("a2b", "b2a")
        for label, file in kinds.items()
    ]


def save_film(clip: Path, finished: Path, path: Path) -> None:
    """A clip and its finished translation side by side, as a GIF of every second frame."""
    sides = [Clip(file, HINT) for file in (clip, finished)]
    frames = []
    for pair in zip(*sides, strict=True):
        sizes = [(round(FILM * frame.width / frame.height), FILM) for frame in pair]
        shown = [frame.resize(size, Image.Resampling.LANCZOS) for frame, size in zip(pair, sizes, strict=True)]
        frames.append(np.concatenate([np.asarray(frame) for frame in shown], axis=1))
    starts, end = sides[0].times[:-1], sides[0].times[-1]
    images = [Image.fromarray(frame) for frame in frames[::2]]
    durations = [round(1000 * (end - start)) for start, end in pairwise([*starts[::2], end])]  # milliseconds
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0)


def save_smaller(path: Path, name: str, side: int) -> None:
    """An image as it is, its longer side `side` at most."""
    image = open_image(path, HINT)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(OUT / name, quality=90)


def main(arguments: Sequence[str] | None = None) -> int:
    LineParser("Make the README's pictures from what the commands in it left.").parse_args(arguments)
    demo, clip = ROOT / "output_demo" / "train", ROOT / "output_clip"
    for name in ("a2b", "b2a"):
        save_smaller(demo / f"finished_{name}.png", f"demo_{name}.jpg", DEMO)
    save_smaller(demo / "results.png", "demo_results.jpg", SHEET)
    save_sheet([pair_row(name) for name in PAIRS], OUT / "applications.jpg")
    save_sheet([pair_row("failure")], OUT / "failure.jpg")
    runs = [demo, *(ROOT / f"output_{name}" for name in PAIRS[:4])]
    save_sheet([finishing_row(run) for run in runs], OUT / "finishing.jpg")
    samples, guided = ROOT / "output_samples", ROOT / "output_guided"
    names = [[f"sample_{index:03d}_finished_{kind}" for kind in SAMPLE] for index in range(4)]
    save_sheet([[cell(name, samples / f"{name}.png") for name in row] for row in names], OUT / "samples.jpg")
    names = ["real_a", "inject_02_redrawn_a", "inject_02_a2b", "finished_a2b"]
    save_sheet([[cell(name, guided / f"{name}.png") for name in names]], OUT / "guided.jpg")
    finish = ROOT / "output_finish"
    save_sheet(
        [
            [
                cell("input", guided / "inject_02_a2b.png"),
                cell("finished", finish / "finished.png"),
                cell("source", finish / "finished_source.png"),
            ]
        ],
        OUT / "finish.jpg",
    )
    save_smaller(ROOT / "output_refine" / "results.png", "refine.jpg", SHEET)
    save_film(inputs_of(ROOT / "output_video")[0], clip / "a2b.mp4", OUT / "video.gif")
    return 0
