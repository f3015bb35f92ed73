"""How large the finished image, its references and the levels on the way are. Pure arithmetic."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from finishing.canvas import PATCH

Shape = tuple[int, int]

RATIO = 4 / 3  # at most, of a level to the one before
LEAST_SIDE = 2 * PATCH  # pixels; below it nothing has room for a few patches, and what comes out shows nothing
# The first level is searched exhaustively, in time that grows with the fourth power of its side.
FIRST_SIDE = 128
BYTES = 400  # of memory, at most about, for each pixel of the finished image and of its references
PAIR = 1 / 256  # time to compare two patches in that search, of the time a level takes for a pixel


class Sizes(NamedTuple):
    """What `finish` is given: shapes are (height, width).

    Args:
        shape: of the finished image.
        factors: by which each reference is to be shrunk first; none is above 1.
        limited_by: index of the reference that has no more pixels; None where the wanted size is reached.
    """

    shape: Shape
    factors: tuple[float, ...]
    limited_by: int | None


def finished_sizes(structure: Shape, references: Sequence[Shape], size: int, *, stretched: bool) -> Sizes:
    """The largest finished image up to `size` for which no reference has to be enlarged.

    References keep the magnification they had in training, where a reference's longer side was as long as that of
    the structure image. Where both were stretched to squares there, the learned image is given its own shape again
    and no reference is distorted: magnification then is that of equal areas.

    Args:
        structure: shape of the image whose layout is kept, in any unit; the finished image has its aspect.
        references: of the originals, pixels.
        size: wanted longer side of the finished image, pixels.
        stretched: whether training stretched the images to squares.
    """

    def length(shape: Shape) -> float:
        return math.sqrt(shape[0] * shape[1]) if stretched else max(shape)

    unit = max(structure) / length(structure)  # longer side of the finished image where `length` is 1
    available = [length(reference) * unit for reference in references]
    largest = min(available)
    longer = min(size, math.floor(largest + 1e-6))
    height, width = (max(1, round(longer * side / max(structure))) for side in structure)
    factors = tuple(min(1.0, longer / most) for most in available)
    return Sizes((height, width), factors, available.index(largest) if longer < size else None)


def level_factors(start: float, shortest: int, longest: int) -> list[float]:
    """Ratios of the levels' sizes to the finished one, equal steps of at most RATIO, the last one 1.

    Args:
        start: of the first level, if that has room for a few patches and is not too large to be searched.
        shortest, longest: sides at the finished size, over the image and all references.
    """
    first = min(start, FIRST_SIDE / longest)
    first = min(1.0, max(first, LEAST_SIDE / shortest))
    steps = math.ceil(math.log(1 / first) / math.log(RATIO) - 1e-9)
    return [first ** (1 - step / steps) for step in range(steps + 1)] if steps else [1.0]


def shares_done(finished: Shape, references: Sequence[Shape], factors: Sequence[float]) -> list[float]:
    """The share of the time that is over after the search, after each level, and after the last pass, up to 1.

    Args:
        finished: (height, width) of the finished image.
        references: likewise, each as large as its patches are copied.
        factors: of the levels, see `level_factors`.
    """
    pixels = math.prod(finished) + sum(map(math.prod, references))
    first = factors[0] ** 2
    pairs = first * math.prod(finished) * first * sum(map(math.prod, references))
    levels = [factor**2 * pixels for factor in factors]
    done = list(accumulate([PAIR * pairs, *levels, levels[-1] / 2]))  # the last pass compares no anchors
    return [each / done[-1] for each in done]
