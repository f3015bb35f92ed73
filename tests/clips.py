"""Small clips made here."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from utils.clips.video import video_writer

GREYS = (20, 60, 100, 140, 180, 220)


def flat(grey: int | tuple[int, int, int], size: tuple[int, int] = (48, 32)) -> np.ndarray:
    """A frame of one colour."""
    return np.full((size[1], size[0], 3), grey, dtype=np.uint8)


def film(path: Path, *greys: int, size: tuple[int, int] = (48, 32), rate: Fraction = Fraction(25)) -> Path:
    """A film of one grey per frame."""
    with video_writer(path, rate, size) as write:
        for grey in greys or GREYS:
            write(flat(grey, size))
    return path
