"""One frame on its way from a file."""

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image


class Frame(NamedTuple):
    """A frame as it is read, its pixels made only where they are wanted.

    Attributes:
        size: (width, height) as shown, pixels.
        start: when it is shown, in ticks of the source's clock; `times.UNKNOWN` where the file does not say.
        lasts: how long, in ticks; 0 where the file does not say.
        image: makes the 8-bit RGB image.
    """

    size: tuple[int, int]
    start: int
    lasts: int
    image: Callable[[], Image.Image]
