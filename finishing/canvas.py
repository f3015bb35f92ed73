"""All references at one size on one canvas, so that a place in any of them is one number; where they may be copied.

What is white of a mask is opaque in its image.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from scipy.ndimage import distance_transform_cdt, distance_transform_edt, label
from torch import Tensor

from utils.resize import both_weights, resampled

Shape = tuple[int, int]  # height, width
Tile = tuple[bool, bool]  # whether an image's last row goes on in its first; likewise of its columns
PLAIN = (False, False)

PATCH = 7  # pixels, side
BLACK = 0.01  # share of black in a resized pixel from which on it counts as black
LEAST_SIDE = 2 * PATCH  # pixels; below it nothing has room for a few patches, and what comes out shows nothing


class Canvas:
    """References below one another, flush left. Place `row * width + column` is the patch with that top left corner.

    Args:
        images: (1, 3, H, W) each, CPU.
        masks: (H, W) bool each, where patches may be copied from; not given: everywhere.
        tile: whether the rows, and columns, of a field of places go around, as those of the image it is for.

    Attributes:
        shapes: (references, 2), height and width of each. tops: (references,), the row each begins at.
        values: (places, 3) float32, the pixels, 0 beside a narrow reference.
        usable: (places,) bool, whether a whole patch of one reference begins there, which may be copied. The last
            columns never are, so that one step to the side never leads from a usable place around the edge to another.
        nearest: (places,) int32, the usable place nearest to each; None without masks.
    """

    def __init__(self, images: Sequence[Tensor], masks: Sequence[np.ndarray] = (), tile: Tile = PLAIN) -> None:
        self.tile = tile
        self.shapes = np.array([image.shape[-2:] for image in images])
        self.tops = self.shapes[:, 0].cumsum() - self.shapes[:, 0]
        self.width = int(self.shapes[:, 1].max())
        self.values = self.spread([image[0].permute(1, 2, 0).numpy() for image in images])
        if masks:
            usable = [sliding_window_view(mask, (PATCH, PATCH)).all(axis=(2, 3)) for mask in masks]
        else:
            usable = [np.ones(shape - PATCH + 1, np.bool_) for shape in self.shapes]
        self.usable, self.nearest = self.spread(usable), None
        if masks:
            barred = ~self.usable.reshape(-1, self.width)
            rows, columns = distance_transform_edt(barred, return_distances=False, return_indices=True)
            self.nearest = (rows * self.width + columns).astype(np.int32).reshape(-1)

    def room(self, values: tuple[int, ...], dtype: np.dtype) -> tuple[np.ndarray, list[np.ndarray]]:
        """An array on the canvas, (places, *values), all 0, and of it the part of each reference, (h, w, *values)."""
        out = np.zeros((self.shapes[:, 0].sum(), self.width, *values), dtype)
        parts = [out[top : top + height, :width] for top, (height, width) in zip(self.tops, self.shapes, strict=True)]
        return out.reshape(-1, *values), parts

    def spread(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """On the canvas an array of each reference, (h, w, ...), from its top left corner on; (places, ...), else 0."""
        out, parts = self.room(arrays[0].shape[2:], arrays[0].dtype)
        for part, array in zip(parts, arrays, strict=True):
            part[: array.shape[0], : array.shape[1]] = array
        return out

    def position(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which reference a place is in, and its row and column there."""
        row, column = np.divmod(place, self.width)
        reference = np.searchsorted(self.tops, row, side="right") - 1
        return reference, row - self.tops[reference], column

    def place(self, reference: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The usable place nearest to a row and column of a reference, int32."""
        last = self.shapes[reference] - PATCH
        row, column = np.clip(row, 0, last[..., 0]), np.clip(column, 0, last[..., 1])
        place = ((row + self.tops[reference]) * self.width + column).astype(np.int32)
        return place if self.nearest is None else self.nearest[place]


def opaque(image: Image.Image) -> Tensor:
    """(H, W) float: 1 where an image is rather opaque, else 0."""
    return torch.from_numpy(np.array(image.convert("RGBA"))[..., 3] >= 128).float()


def white(mask: Tensor, factor: float, shape: Shape | None = None, tile: Tile = PLAIN) -> Tensor:
    """Where an image resized with its mask, (H, W) float, has nothing of what is black there: bool, see `resize`.

    A single black pixel counts at every size: in the pixel next to it by its kernel's peak, at least 0.3 factor^2.
    """
    if factor == 1:
        return mask == 1
    return resampled(1 - mask, *map(abs, both_weights(mask.shape, factor, shape, tile))) < min(BLACK, 0.3 * factor**2)


def inner_holes(mask: Tensor, tile: Tile) -> np.ndarray:
    """(H, W) bool: what is black in a mask, but for holes at the border of a tile.

    Those are made anew for where they are; there is nothing wrong with what they show.
    """
    holes, _ = label(mask.numpy() == 0)
    for axis in np.flatnonzero(tile):
        holes[np.isin(holes, holes.take((0, -1), axis))] = 0
    return holes > 0


def white_side(mask: Tensor) -> int:
    """The side of the largest white square, 0 for none."""
    if mask.all():
        return min(mask.shape)
    # A transform knows squares with a middle pixel; those of an even side have one where 2x2 pixels count as one.
    padded = np.pad(mask.bool().numpy(), 1)
    twos = padded[1:, 1:] & padded[:-1, 1:] & padded[1:, :-1] & padded[:-1, :-1]
    odd, even = (2 * int(distance_transform_cdt(each).max()) for each in (padded, twos))
    return max(odd - 1, even, 0)
