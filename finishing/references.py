"""What finishing takes from the references alone: nothing here depends on the image, so a clip makes it once."""

import math
from functools import cached_property
from typing import NamedTuple

from torch import Tensor

from finishing.canvas import PATCH, Canvas
from finishing.features import Keys
from finishing.sizes import Shape, level_factors
from utils.geometry import ceil_side
from utils.resize import resize

# Levels with more places are made anew for every frame: all kept ones together have at most about 700 bytes a place.
MOST_KEPT = 2**21


class Faithfulness(NamedTuple):
    """How strictly the learned image is followed, all from one number.

    Args:
        weight: of the anchors against the patches.
        reach: distance of the anchors' samples, in pixels of the learned image.
        start: ratio of the first level to the learned image.
    """

    weight: float
    reach: float
    start: float


def faithfulness(structure: float) -> Faithfulness:
    """The curve of `structure`: 0 hides the learned image's faults, 1 is the default and follows it closely.

    On pairs of things on a ground, of textures and of letters alike, 0.5 made rounder things and 1 kept more of the
    layout, with nearer patches and colours; above 1 only the weight grows further.
    """
    bounded = min(structure, 1.0)
    return Faithfulness(weight=8 * structure, reach=2 * 4**-bounded, start=0.75 * (64 / 27) ** bounded)


class Level:
    """The references at one level.

    Args:
        images: the references at full size, (1, 3, H, W) each.
        small: likewise, at the learned image's size.
        factor: of the level, to the full size.
        size: factor of the image that is enlarged to this level.
        scale: factor of the learned image's size.
    """

    def __init__(
        self, images: list[Tensor], small: list[Tensor], factor: float, size: float, scale: float, strict: Faithfulness
    ) -> None:
        self.canvas = Canvas([resize(image, factor) for image in images])
        self.anchors = None
        if strict.weight:
            pairs = zip(small, self.canvas.images, strict=True)
            anchors = [resize(one, factor / scale, shape_of(at)) for one, at in pairs]
            self.anchors = Keys(self.canvas, anchors, max(1, round(strict.reach * factor / scale)), strict.weight)
        # What was enlarged is compared with references enlarged likewise, or blur would find blur.
        blurred = self.canvas.images
        if size < factor:
            pairs = zip(images, blurred, strict=True)
            blurred = [resize(resize(one, size), factor / size, shape_of(at)) for one, at in pairs]
        self.patches = Keys(self.canvas, blurred)

    @cached_property
    def sharp(self) -> Keys:
        """The patches unblurred, for the last pass."""
        return Keys(self.canvas, self.canvas.images)


class References:
    """The references of a finished image and of all its levels.

    Args:
        images: (1, 3, H, W) in [-1, 1] each, on the CPU, as large as they are to be in the finished image
            (`finishing.sizes.finished_sizes`).
        learned: (height, width) of the learned image.
        shape: (height, width) of the finished image.
        structure: how strictly the learned image is followed, see `faithfulness`.

    Attributes:
        keep: whether levels are held for the next image, see `MOST_KEPT`.
        scale: ratio of the learned image to the finished one.
        factors: ratios of the levels to the finished image, the last one 1.

    Raises:
        ValueError: no reference, one smaller than a patch, `shape` smaller than a patch, or a negative `structure`.
    """

    def __init__(self, images: list[Tensor], learned: Shape, shape: Shape, structure: float) -> None:
        sides = [*shape, *(side for image in images for side in image.shape[-2:])]
        if structure < 0 or not images:
            raise ValueError("there must be a reference, and structure must not be negative")
        if min(sides) < PATCH:
            raise ValueError(f"the finished image and its references must have at least {PATCH} pixels on each side")
        self.images, self.shape, self.strict, self.keep = images, shape, faithfulness(structure), False
        self.scale = min(1.0, math.sqrt(math.prod(learned) / math.prod(shape)))
        self.factors = level_factors(self.strict.start * self.scale, min(sides), max(sides))
        self.small = [resize(image, self.scale) for image in images]
        self._levels: dict[int, Level] = {}

    def level(self, index: int) -> Level:
        """The references at a level; the one it held before, if it did."""
        if index in self._levels:
            return self._levels[index]
        size = self.factors[index - 1] if index else self.scale
        level = Level(self.images, self.small, self.factors[index], size, self.scale, self.strict)
        if self.keeps(level):
            self._levels[index] = level
        return level

    def keeps(self, level: Level) -> bool:
        """Whether a level is held for the next image."""
        return self.keep and level.canvas.places <= MOST_KEPT


def shape_of(image: Tensor) -> Shape:
    """(height, width)."""
    return image.shape[-2], image.shape[-1]


def shrunk(shape: Shape, factor: float) -> Shape:
    """(height, width) by a factor, rounded up."""
    return ceil_side(shape[0] * factor), ceil_side(shape[1] * factor)
