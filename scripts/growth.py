"""The growth of a run, coarsest scale to finest, as an animation: `python scripts/growth.py RUN`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("scripts.growth")

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from PIL import Image

from utils.arguments import LineParser, pathname
from utils.clips.times import Times
from utils.video_writer import save_gif
from utils.errors import UserError
from utils.image import open_image
from utils.sheet import CELL
from utils.run_folder import RunFolder

NAMES = ("a2b", "b2a")
RATE = Fraction(2)  # scales a second
HOLD = 6  # how many times longer the final pictures stay
GAP = 8  # pixels between the two


def save_growth(run: RunFolder) -> None:
    """Write growth.gif: a2b and b2a side by side, the last samples of each scale, then the final ones.

    All are enlarged without smoothing to the final pictures' size, itself enlarged by the whole factor that
    brings it to 256 pixels at most. Scales whose samples are gone are passed over.

    Raises:
        UserError: one of the pictures cannot be read.
    """
    samples = run.last_samples()
    scales = sorted({scale for scale, _ in samples})
    steps = [[samples[scale, name] for name in NAMES] for scale in scales if all((scale, n) in samples for n in NAMES)]
    final = [run.path / f"final_{name}.png" for name in NAMES]
    pairs = [[open_image(path, "RUN") for path in paths] for paths in [*steps, final]]
    factor = max(1, CELL // max(side for picture in pairs[-1] for side in picture.size))
    sizes = [(factor * picture.width, factor * picture.height) for picture in pairs[-1]]
    frames = [_side_by_side(pair, sizes) for pair in pairs]
    frames += frames[-1:] * (HOLD - 1)
    save_gif(frames, run.path / "growth.gif", Times.constant(RATE, len(frames)))


def _side_by_side(pair: list[Image.Image], sizes: list[tuple[int, int]]) -> np.ndarray:
    """Two pictures enlarged to these (width, height), on white; (height, width, 3) 8-bit."""
    (left, height), (right, other_height) = sizes
    sheet = Image.new("RGB", (left + GAP + right, max(height, other_height)), "white")
    for picture, size, offset in zip(pair, sizes, (0, left + GAP), strict=True):
        sheet.paste(picture.resize(size, Image.Resampling.NEAREST), (offset, 0))
    return np.asarray(sheet)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = LineParser("Write RUN/growth.gif: the sampled a2b and b2a, scale by scale.")
    parser.add_argument("run", type=pathname, metavar="RUN", help="the folder of a finished run of train.py")
    run = RunFolder(parser.parse_args(arguments).run)
    if not (run.path / "final_a2b.png").is_file():
        raise UserError(f"RUN {run.path}: holds no finished run (final_a2b.png is missing)")
    save_growth(run)
    print(run.path / "growth.gif")
    return 0
