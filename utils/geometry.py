"""Pyramid geometry (docs/method.md, section 2). Pure arithmetic, standard library only."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

Shapes = tuple[tuple[int, int], ...]  # (height, width) of every scale, coarsest first

# A side such as 18.000000000000004 is 18: without the tolerance the default pyramid starts at 19.
SIDE_TOLERANCE = 1e-9
MAX_SIDE = 32768  # pixels, far beyond any use


def ceil_side(length: float) -> int:
    """Round a length in pixels up to a whole number, forgiving floating-point error."""
    return math.ceil(length - SIDE_TOLERANCE)


def aspect_of(size: tuple[int, int]) -> float:
    """Width over height of an image of (width, height) pixels."""
    return size[0] / size[1]


class Scales:
    """How many scales there are, and their ratio.

    Args:
        max_size: upper bound of the finest scale that enters the number of scales, pixels.
        scale_factor: wanted ratio between neighbouring scales, in (0, 1); the ratio used is `factor`.

    Raises:
        ValueError: the numbers do not make a pyramid of at least two scales.
    """

    sides: tuple[int, int, int]  # the image's shorter side and longer side, the finest scale's shorter side, pixels

    def __post_init__(self) -> None:
        *_, finest = self.sides
        if not 1 <= self.min_size < finest <= MAX_SIDE or self.stop_scale < 1:
            raise ValueError(
                f"--min_size {self.min_size}, --max_size {self.max_size} and --scale_factor {self.scale_factor} leave "
                f"no second scale for {finest} pixels (at most {MAX_SIDE}); try a smaller --min_size or a larger "
                "--max_size"
            )

    @cached_property
    def stop_scale(self) -> int:
        """Index S of the finest scale; there are S + 1."""
        shorter, longer, _ = self.sides
        log_factor = math.log(self.scale_factor)
        num_scales = math.ceil(math.log(self.min_size / shorter) / log_factor) + 1
        return num_scales - math.ceil(math.log(min(self.max_size, longer) / longer) / log_factor)

    @cached_property
    def factor(self) -> float:
        """Ratio r < 1 of a scale's side to the next finer one's, before rounding."""
        return (self.min_size / self.sides[-1]) ** (1 / self.stop_scale)

    def shapes_below(self, height: float, width: float) -> Shapes:
        """(height, width) of every scale, coarsest first, of a finest scale of this size."""
        ratios = [self.factor ** (self.stop_scale - scale) for scale in range(self.stop_scale + 1)]
        return tuple((ceil_side(height * ratio), ceil_side(width * ratio)) for ratio in ratios)


@dataclass(frozen=True)
class Geometry(Scales):
    """The sizes of a pair's pyramids, coarsest scale first.

    Args:
        img_size: side of the finest scale, pixels; where the aspect is kept, of a square of as large an area.
        min_size: side of the coarsest scale, pixels; likewise.
        keep_aspect: whether images keep their shape instead of being stretched to squares.
        aspect_a, aspect_b: width over height of the two domains; 1 unless `keep_aspect`.
    """

    img_size: int = 220
    min_size: int = 18
    max_size: int = 250
    scale_factor: float = 0.75
    keep_aspect: bool = False
    aspect_a: float = 1.0
    aspect_b: float = 1.0

    @property
    def sides(self) -> tuple[int, int, int]:
        return (self.img_size,) * 3

    def of_images(self, size_a: tuple[int, int], size_b: tuple[int, int]) -> "Geometry":
        """The same numbers for images of these (width, height); their shapes matter if `keep_aspect`."""
        return replace(self, aspect_a=aspect_of(size_a), aspect_b=aspect_of(size_b)) if self.keep_aspect else self

    def shapes_for(self, aspect: float, img_size: int | None = None) -> Shapes:
        """(height, width) of every scale, coarsest first, for an image of this aspect (width over height).

        All have the area of the square they replace. `img_size` replaces the finest scale's; the ratio of neighbouring
        scales stays.
        """
        side = self.img_size if img_size is None else img_size
        return self.shapes_below(side / math.sqrt(aspect), side * math.sqrt(aspect))

    @cached_property
    def shapes(self) -> Shapes:
        """(side, side) of every scale, coarsest first: the shapes of square images."""
        return self.shapes_for(1.0)

    @cached_property
    def domain_shapes(self) -> tuple[Shapes, Shapes]:
        """(height, width) of every scale, coarsest first, of domain a and of domain b."""
        return self.shapes_for(self.aspect_a), self.shapes_for(self.aspect_b)


@dataclass(frozen=True)
class ImageGeometry(Scales):
    """The sizes of the pyramid of a single image, coarsest first, its shape kept (docs/method.md, section 11).

    Args:
        height, width: of the image, pixels.
        min_size: shorter side of the coarsest scale, pixels.
        max_size: bound of the finest scale's longer side, pixels; a larger image is shrunk to it.
    """

    height: int
    width: int
    min_size: int = 25
    max_size: int = 250
    scale_factor: float = 0.75

    @property
    def sides(self) -> tuple[int, int, int]:
        return min(self.height, self.width), max(self.height, self.width), min(self.finest)

    @property
    def shrink(self) -> float:
        """Ratio of the finest scale to the image: below 1 where the image is larger than `max_size`."""
        return min(self.max_size / max(self.height, self.width), 1.0)

    @property
    def finest(self) -> tuple[int, int]:
        """(height, width) of the finest scale."""
        return ceil_side(self.height * self.shrink), ceil_side(self.width * self.shrink)

    @cached_property
    def shapes(self) -> Shapes:
        """(height, width) of every scale, coarsest first."""
        return self.shapes_below(*self.finest)

    @property
    def domain_shapes(self) -> tuple[Shapes]:
        """The shapes of the one domain there is."""
        return (self.shapes,)
