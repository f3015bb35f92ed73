"""One frame on its way from a file."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image


class Frame(NamedTuple):
    """A frame as it is read, its pixels made only where they are wanted.

    Attributes:
        size: (width, height) as shown, pixels.
        start: when it is shown, in ticks of the source's clock; `times.UNKNOWN` where the file does not say.
        lasts: how long, in ticks; 0 where the file does not say.
        picture: makes the 8-bit RGB picture.
    """

    size: tuple[int, int]
    start: int
    lasts: int
    picture: Callable[[], Image.Image]


def on_white(picture: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGB, transparency on white."""
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture, np.uint32) // 257).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
