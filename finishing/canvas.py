"""All references at one size on one canvas, so that a place in any of them is one number."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

PATCH = 7  # pixels, side


@dataclass(frozen=True, eq=False)
class Canvas:
    """References below one another, flush left. Place `row * width + column` is the patch with that top left corner.

    Args:
        images: (1, 3, H, W) each, CPU.
    """

    images: list[Tensor]

    @cached_property
    def shapes(self) -> np.ndarray:
        """(references, 2): height and width of each."""
        return np.array([image.shape[-2:] for image in self.images])

    @cached_property
    def tops(self) -> np.ndarray:
        """(references,): the row each begins at."""
        return self.shapes[:, 0].cumsum() - self.shapes[:, 0]

    @cached_property
    def width(self) -> int:
        return int(self.shapes[:, 1].max())

    @cached_property
    def places(self) -> int:
        return int(self.shapes[:, 0].sum()) * self.width

    @cached_property
    def values(self) -> np.ndarray:
        """(places, 3): the pixels, 0 beside a narrow reference."""
        values = np.zeros((self.places // self.width, self.width, 3), np.float32)
        for top, image in zip(self.tops, self.images, strict=True):
            values[top : top + image.shape[-2], : image.shape[-1]] = image[0].permute(1, 2, 0)
        return values.reshape(-1, 3)

    @cached_property
    def usable(self) -> np.ndarray:
        """(places,) bool: whether a whole patch of one reference begins there.

        The last columns never are, so that one step to the side never leads from a usable place around the edge to
        another.
        """
        usable = np.zeros((self.places // self.width, self.width), np.bool_)
        for top, (height, width) in zip(self.tops, self.shapes, strict=True):
            usable[top : top + height - PATCH + 1, : width - PATCH + 1] = True
        return usable.reshape(-1)

    def position(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which reference a place is in, and its row and column there."""
        row, column = np.divmod(place, self.width)
        reference = np.searchsorted(self.tops, row, side="right") - 1
        return reference, row - self.tops[reference], column

    def place(self, reference: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The place of the patch nearest to a row and column of a reference, int32."""
        last = self.shapes[reference] - PATCH
        row, column = np.clip(row, 0, last[..., 0]), np.clip(column, 0, last[..., 1])
        return ((row + self.tops[reference]) * self.width + column).astype(np.int32)
