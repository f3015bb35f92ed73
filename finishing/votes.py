"""From a field to an image: every patch votes for the pixels under it, and for the steps between them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from finishing.canvas import PATCH, Canvas
from finishing.kernels import Check, in_bands, no_check, vote
from finishing.poisson import correction, steps_of

SHARPNESS = 0.8  # standard deviation of the votes' weights about a patch's centre, pixels
EDGE = 0.5  # distance of neighbours' colours in [-1, 1] from which on a seam is an edge of things, which stays


def averaged(field: np.ndarray, canvas: Canvas, check: Check = no_check) -> Tensor:
    """The image (1, 3, H, W) of a field: every pixel the average of the patches over it, most of those centred near."""
    return torch.from_numpy(_votes(canvas.values, canvas, field, (PATCH, PATCH), check)).permute(2, 0, 1)[None]


def seamless(
    image: Tensor, field: np.ndarray, canvas: Canvas, reach: float, check: Check = no_check, free: Tensor | None = None
) -> Tensor:
    """An `averaged` image without the seams, corrected to have the references' steps from pixel to pixel.

    Patches vote for the steps to the right and lower neighbours as they do for pixels, so none of these votes crosses
    from one piece to another: where pieces of unlike brightness meet they lack the seam, which `correction` gives
    them; inside a piece, far from seams, it vanishes. Without EDGE ink is smudged where strokes are cut off.

    Args:
        reach: how far a seam is spread to either side, pixels; what differs over more keeps its colour.
        free: (H, W) bool, what may change; None: all of it.
    """
    pixels, lacking = image[0].permute(1, 2, 0).numpy(), []
    for axis, to_next in ((0, canvas.width), (1, 1)):
        steps = np.zeros_like(canvas.values)
        np.subtract(canvas.values[to_next:], canvas.values[:-to_next], out=steps[:-to_next])
        sides = [PATCH - (of == axis) for of in (0, 1)]
        voted = _votes(steps, canvas, field, sides, check)
        # In float64, from here on: what libraries round otherwise elsewhere does not show.
        lack = np.zeros(pixels.shape)
        there = tuple(map(slice, voted.shape))
        np.subtract(voted, steps_of(pixels, axis, canvas.tile[axis])[there], out=lack[there], dtype=np.float64)
        weight = np.exp(-(lack**2).sum(axis=2, keepdims=True) / EDGE**2)
        if free is not None:
            weight[free != np.roll(free, -1, axis)] = 1  # the joint is a seam, whatever meets there
        lacking.append(lack * weight)
    check()
    change = torch.from_numpy(correction(lacking, reach, canvas.tile, free).astype(np.float32)).permute(2, 0, 1)
    return (image + change).clamp(-1, 1).contiguous()


def _votes(values: np.ndarray, canvas: Canvas, field: np.ndarray, sides: Sequence[int], check: Check) -> np.ndarray:
    """(H, W, 3): at every pixel the weighted average of `values` (places, 3) in patches of (rows, columns) pixels."""
    bells = [np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / SHARPNESS) ** 2) for side in sides]
    # Around the border the patches are put there once more.
    more, shape = [(PATCH - 1) * around for around in canvas.tile], field.shape
    field = np.pad(field, [(margin, 0) for margin in more], mode="wrap")
    out = np.empty((*np.add(field.shape, sides) - 1, 3), np.float32)
    in_bands(vote, len(out), values, canvas.width, field, np.outer(*bells).astype(np.float32), out, check=check)
    for axis, margin in enumerate(more):
        out = out.take(range(margin, margin + shape[axis]), axis) if margin else out
    return out
