"""A finished image, and a picture of where in the references every pixel of it comes from."""

import colorsys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from finishing.canvas import Shape

if TYPE_CHECKING:
    from finishing.references import References  # loads numba

CELLS = 8  # of the grid along a reference's longer side


class Finished(NamedTuple):
    """A finished image and where it comes from; what the next frame of a clip needs, too.

    Args:
        image: (1, 3, H, W) in [-1, 1].
        source: (3, H, W) int32: for every pixel the index of its reference, and its row and column there. What was
            kept comes from one more, the input.
        copied: share of patches whose right and lower neighbours continue in the reference, 0 to 1: "copied in one
            piece".
        references: whose patches they are; `references.images` are as large as these were copied.
        matches: of every pass the field, (h, w) int32, places in the references' canvas, and the drift, (2, h, w)
            float32, how far from its match each patch has moved since (`motion.carried`).
        colours: (3, 4), the map the learned image's colours went through.
    """

    image: Tensor
    source: np.ndarray
    copied: float
    references: "References"
    matches: list[tuple[np.ndarray, np.ndarray]]
    colours: Tensor

    def source_map(self) -> Tensor:
        """(1, 3, H, W) in [-1, 1]: each pixel in the colour its source has in `legend`.

        What was copied in one piece shows a piece of the grid.
        """
        colours, images = torch.zeros(1, 3, *self.source.shape[1:]), self.references.images
        for index, image in enumerate(images):
            here = torch.from_numpy(self.source[0] == index)
            rows, columns = (torch.from_numpy(positions).long()[here] for positions in self.source[1:])
            colours[0][:, here] = legend(image.shape[-2:], index, len(images))[0][:, rows, columns]
        return colours


def legend(shape: Shape, index: int = 0, count: int = 1) -> Tensor:
    """The colours of a reference's positions: a hue for each corner, blended between them, and the lines of a grid.

    Args:
        shape: (height, width) of the reference.
        index, count: which of how many; every reference has hues of its own.

    Returns:
        (1, 3, H, W) in [-1, 1].
    """
    corners = [colorsys.hsv_to_rgb((index + corner / 4) / count, 0.85, 0.95) for corner in range(4)]
    top_left, top_right, bottom_right, bottom_left = torch.tensor(corners)[:, :, None, None]
    down, right = torch.linspace(0, 1, shape[0])[:, None], torch.linspace(0, 1, shape[1])
    colours = (1 - down) * ((1 - right) * top_left + right * top_right)
    colours += down * ((1 - right) * bottom_left + right * bottom_right)
    cell = max(4, max(shape) // CELLS)
    line = max(1, cell // 12)
    on_line = (torch.arange(shape[0]) % cell < line)[:, None] | (torch.arange(shape[1]) % cell < line)
    return (torch.where(on_line, 0.35 * colours, colours) * 2 - 1)[None]
