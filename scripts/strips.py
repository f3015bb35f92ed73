"""The README's pictures, from what `make demo` and `scripts/check_readme.sh --full` left."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("scripts.strips")

from collections.abc import Sequence
from itertools import pairwise

from PIL import Image

from utils.arguments import LineParser
from utils.errors import ROOT
from utils.image import image_to_tensor, open_image
from utils.run_folder import RunFolder
from utils.sheet import Cell, save_sheet
from utils.video import Clip, Excerpt

LANCZOS = Image.Resampling.LANCZOS
OUT = ROOT / "readme_imgs"
HINT = "run make demo and scripts/check_readme.sh --full first:"
PAIRS = ("analogy", "stream", "style", "texture", "text", "sketch")
WAYS = ("a2b", "b2a")
SIDE, SMALL = 280, 200  # pixels, the longer side of a picture in a row; so wide that no two rows share a line
FILM = 120  # pixels, height
# Single pictures: what is shown of which file, at most how large.
SINGLE = {
    "demo_a2b.jpg": ("output_demo/finished_a2b.png", 480),
    "demo_b2a.jpg": ("output_demo/finished_b2a.png", 480),
    "demo_results.jpg": ("output_demo/results.png", 1200),
    "refine.jpg": ("output_refine/results.png", 1200),
}
GUIDED = ("real_a", "inject_03_redrawn_a", "inject_03_a2b", "finished_a2b")
FINISH = {"input": "guided/inject_03_a2b", "finished": "finish/finished", "source": "finish/finished_source"}
ERASED = {"input": "images/autumn_ridge.jpg", "--keep_mask": "images/autumn_ridge_fir.png"}
HEIGHT = {"height": "images/gravel_height.png", "the tile's": "output_height/applied.png"}
KINDS = {"learned {}": "real_{}", "finished {}": "finished_{}", "source of {}": "finished_{}_source"}


def cell(label: str, path: str | Path, side: int = SIDE) -> Cell:
    """A labelled image, its longer side brought to `side`."""
    image = open_image(ROOT / path, HINT)
    shape = tuple(max(1, round(side * length / max(image.size))) for length in image.size[::-1])
    return label, image_to_tensor(image, shape)


def pair_row(name: str) -> list[Cell]:
    """A, B and the two finished translations of a training run."""
    finished = [cell(way, f"output_{name}/finished_{way}.png") for way in WAYS]
    options = RunFolder(ROOT / f"output_{name}").options()
    return [cell(f"{x.upper()}: {name}", options[f"input_{x}"]) for x in "ab"] + finished


def finishing_row(run: str) -> list[Cell]:
    """Learned, finished, and where each pixel comes from, in both directions."""
    names = [(label.format(way), file.format(way)) for way in WAYS for label, file in KINDS.items()]
    return [cell(label, f"output_{run}/{file}.png", SMALL) for label, file in names]


def save_film(film: Path, path: Path) -> None:
    """Every second frame of a clip, as a GIF."""
    clip = Clip(film, HINT, excerpt=Excerpt(every=2))
    first, *others = [frame.resize((round(FILM * frame.width / frame.height), FILM), LANCZOS) for frame in clip]
    durations = [round(1000 * (end - start)) for start, end in pairwise(clip.times)]  # milliseconds
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0)


def main(arguments: Sequence[str] | None = None) -> int:
    LineParser("Make the README's pictures from what the commands in it left.").parse_args(arguments)
    for name, (path, side) in SINGLE.items():
        image = open_image(ROOT / path, HINT)
        image.thumbnail((side, side), LANCZOS)
        image.save(OUT / name, quality=90)
    samples = [[f"sample_00{i}_finished_{kind}" for kind in ("fake_a", "a2b", "fake_b", "b2a")] for i in range(4)]
    _, tile = cell("", "output_tile/finished.png")
    sheets = {
        "applications.jpg": [pair_row(name) for name in PAIRS],
        "failure.jpg": [pair_row("failure")],
        "finishing.jpg": [finishing_row(run) for run in ("demo", *PAIRS[:4])],
        "samples.jpg": [[cell(name, f"output_samples/{name}.png") for name in row] for row in samples],
        "guided.jpg": [[cell(name, f"output_guided/{name}.png") for name in GUIDED]],
        "finish.jpg": [[cell(label, f"output_{file}.png") for label, file in FINISH.items()]],
        "erased.jpg": [[cell(*each) for each in (ERASED | {"filled": "output_erased/finished.png"}).items()]],
        "tile.jpg": [[cell("input", "images/gravel.jpg"), ("its tile, 2 x 2", tile.repeat(1, 1, 2, 2))]],
        "height.jpg": [[("the tile", tile), *(cell(*each) for each in HEIGHT.items())]],
    }
    for name, rows in sheets.items():
        save_sheet(rows, OUT / name)
    save_film(ROOT / "output_clip" / "compare.mp4", OUT / "video.gif")
    return 0
