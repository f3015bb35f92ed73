"""From a field to an image: every patch votes for the pixels under it, and for the steps between them."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.fft import dctn, idctn
from torch import Tensor

from finishing.canvas import PATCH, Canvas
from finishing.kernels import Check, in_bands, no_check, vote

SHARPNESS = 0.8  # standard deviation of the votes' weights about a patch's centre, pixels
EDGE = 0.5  # distance of neighbours' colours in [-1, 1] from which on a seam is an edge of things, which stays


def averaged(field: np.ndarray, canvas: Canvas, check: Check = no_check) -> Tensor:
    """The image (1, 3, H, W) of a field: every pixel the average of the patches over it, most of those centred near."""
    return torch.from_numpy(_votes(canvas.values, canvas, field, (PATCH, PATCH), check)).permute(2, 0, 1)[None]


def seamless(image: Tensor, field: np.ndarray, canvas: Canvas, reach: float, check: Check = no_check) -> Tensor:
    """An `averaged` image without the seams, corrected to have the references' steps from pixel to pixel.

    Patches vote for the steps to the right and lower neighbours as they do for pixels, so none of these votes crosses
    from one piece to another: where pieces of unlike brightness meet they lack the seam. The correction c of least
    |c|^2 / reach^2 + |grad c - what they lack|^2, a screened Poisson equation, is solved exactly (Bhat, Curless, Cohen,
    Zitnick 2008); inside a piece, far from seams, it vanishes. Without EDGE ink is smudged where strokes are cut off.

    Args:
        reach: how far a seam is spread to either side, pixels; what differs over more keeps its colour.
    """
    pixels = image[0].permute(1, 2, 0).numpy()
    sought = np.zeros(pixels.shape)  # float64, here and below: what libraries round otherwise elsewhere does not show
    for axis, to_next in ((0, canvas.width), (1, 1)):
        steps = np.zeros_like(canvas.values)
        np.subtract(canvas.values[to_next:], canvas.values[:-to_next], out=steps[:-to_next])
        sides = [PATCH - (of == axis) for of in (0, 1)]
        voted = _votes(steps, canvas, field, sides, check)
        lacking = np.subtract(voted, np.diff(pixels, axis=axis), dtype=np.float64)
        lacking *= np.exp(-(lacking**2).sum(axis=2, keepdims=True) / EDGE**2)
        # Minus its divergence; nothing flows over the border.
        sought -= np.diff(lacking, axis=axis, prepend=0, append=0)
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(length) / length) for length in pixels.shape[:2])
    spectrum = dctn(sought, axes=(0, 1)) / (reach**-2 + rows[:, None] + columns)[..., None]
    check()
    correction = torch.from_numpy(idctn(spectrum, axes=(0, 1)).astype(np.float32)).permute(2, 0, 1)
    return (image + correction).clamp(-1, 1).contiguous()


def _votes(values: np.ndarray, canvas: Canvas, field: np.ndarray, sides: Sequence[int], check: Check) -> np.ndarray:
    """(H, W, 3): at every pixel the weighted average of `values` (places, 3) in patches of (rows, columns) pixels."""
    bells = [np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / SHARPNESS) ** 2) for side in sides]
    out = np.empty((*np.add(field.shape, sides) - 1, 3), np.float32)
    in_bands(vote, len(out), values, canvas.width, field, np.outer(*bells).astype(np.float32), out, check=check)
    return out
