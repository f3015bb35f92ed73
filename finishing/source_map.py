"""A picture of where in the references every pixel comes from."""

import colorsys

import numpy as np
import torch
from torch import Tensor

CELLS = 8  # of the grid along a reference's longer side


def source_map(source: np.ndarray, shapes: list[tuple[int, int]]) -> Tensor:
    """Every pixel in the colour its source has in `legend`: what was copied in one piece shows a piece of the grid.

    Args:
        source: (3, H, W): index of the reference, row, column (`finishing.coarse_to_fine.Finished`).
        shapes: (height, width) of the references.

    Returns:
        (1, 3, H, W) in [-1, 1].
    """
    colours = torch.zeros(1, 3, *source.shape[1:])
    for index, shape in enumerate(shapes):
        here = torch.from_numpy(source[0] == index)
        rows, columns = (torch.from_numpy(positions).long()[here] for positions in source[1:])
        colours[0][:, here] = legend(shape, index, len(shapes))[0][:, rows, columns]
    return colours


def legend(shape: tuple[int, int], index: int = 0, count: int = 1) -> Tensor:
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
