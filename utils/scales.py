"""Pyramid geometry (METHOD section 2). Pure arithmetic, standard library only."""

import math
from dataclasses import dataclass
from functools import cached_property

# A side such as 18.000000000000004 is 18: without the tolerance the default pyramid starts at 19.
SIDE_TOLERANCE = 1e-9
MAX_SIDE = 32768  # pixels, far beyond any use


def ceil_side(length: float) -> int:
    """Round a length in pixels up to a whole number, forgiving floating-point error."""
    return math.ceil(length - SIDE_TOLERANCE)


@dataclass(frozen=True)
class Geometry:
    """The sizes of the pyramid, coarsest scale first.

    Args:
        img_size: side of the finest scale, pixels.
        min_size: side of the coarsest scale, pixels.
        max_size: upper bound that enters the number of scales, pixels.
        scale_factor: wanted ratio between neighbouring scales, in (0, 1); the ratio used is `factor`.

    Raises:
        ValueError: the four numbers do not make a pyramid of at least two scales.
    """

    img_size: int = 220
    min_size: int = 18
    max_size: int = 250
    scale_factor: float = 0.75

    def __post_init__(self) -> None:
        if not 0 < self.scale_factor < 1:
            raise ValueError(f"--scale_factor must lie between 0 and 1 (exclusive), not {self.scale_factor}")
        if not all(1 <= side <= MAX_SIDE for side in (self.img_size, self.min_size, self.max_size)):
            raise ValueError(f"--img_size, --min_size and --max_size must be 1 to {MAX_SIDE}")
        if self.min_size > self.img_size:
            raise ValueError(f"--min_size {self.min_size} is larger than --img_size {self.img_size}")
        if self.stop_scale < 1:
            raise ValueError(
                f"--img_size {self.img_size}, --min_size {self.min_size}, --max_size {self.max_size} and "
                f"--scale_factor {self.scale_factor} leave no second scale; "
                "lower --min_size or raise --scale_factor"
            )
        # Every scale is at least a pixel larger than the one before, or the pyramid repeats itself.
        if self.stop_scale > self.img_size - self.min_size or len(set(self.shapes)) <= self.stop_scale:
            raise ValueError(
                f"--scale_factor {self.scale_factor} makes scales of equal size between --min_size "
                f"{self.min_size} and --img_size {self.img_size}; lower --scale_factor"
            )

    @cached_property
    def stop_scale(self) -> int:
        """Index S of the finest scale; there are S + 1."""
        log_factor = math.log(self.scale_factor)
        num_scales = math.ceil(math.log(self.min_size / self.img_size) / log_factor) + 1
        largest = min(self.max_size, self.img_size)
        return num_scales - math.ceil(math.log(largest / self.img_size) / log_factor)

    @cached_property
    def factor(self) -> float:
        """Ratio f < 1 of a scale's side to the next finer one's, before rounding."""
        return (self.min_size / self.img_size) ** (1 / self.stop_scale)

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of every scale, coarsest first."""
        sides = [
            ceil_side(self.img_size * self.factor ** (self.stop_scale - scale)) for scale in range(self.stop_scale + 1)
        ]
        return tuple((side, side) for side in sides)


def width_at(scale: int, width: int, max_width: int) -> int:
    """Number of channels at a scale: doubled every fourth scale, bounded by `max_width`."""
    return min(width * 2 ** (scale // 4), max_width)
