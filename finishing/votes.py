"""From a field to an image: every patch votes for the pixels under it, and for the steps between them."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.fft import dctn, idctn
from torch import Tensor

from finishing.canvas import PATCH, Canvas
from finishing.kernels import in_bands, vote

SHARPNESS = 0.8  # standard deviation of the votes' weights about a patch's centre, pixels
EDGE = 0.5  # distance of neighbours' colours in [-1, 1] from which on a seam is an edge of things, which stays


Check = Callable[[], object]  # called now and then; may raise to stop


def averaged(field: np.ndarray, canvas: Canvas, shape: tuple[int, int], check: Check = bool) -> Tensor:
    """The image (1, 3, H, W) of a field: every pixel the average of the patches over it, most of those centred near."""
    return _as_image(_votes(canvas.values, canvas, field, shape, (PATCH, PATCH), check))


def seamless(field: np.ndarray, canvas: Canvas, shape: tuple[int, int], reach: float, check: Check = bool) -> Tensor:
    """The same without the seams: `averaged`, corrected to have the references' steps from pixel to pixel.

    Patches vote for the steps to the right and lower neighbours as they do for pixels, so none of these votes crosses
    from one piece to another: where pieces of unlike brightness meet they lack the seam. The correction c of least
    |c|^2 / reach^2 + |grad c - what they lack|^2, a screened Poisson equation, is solved exactly (Bhat, Curless, Cohen,
    Zitnick 2008); inside a piece, far from seams, it vanishes. Without EDGE ink is smudged where strokes are cut off.

    Args:
        reach: how far a seam is spread to either side, pixels; what differs over more keeps its colour.
    """
    image = _votes(canvas.values, canvas, field, shape, (PATCH, PATCH), check)
    sought = np.zeros(image.shape)  # float64, here and below: what libraries round otherwise elsewhere does not show
    for axis, to_next in ((0, canvas.width), (1, 1)):
        steps = np.zeros_like(canvas.values)
        np.subtract(canvas.values[to_next:], canvas.values[:-to_next], out=steps[:-to_next])
        pairs = [length - (of == axis) for of, length in enumerate(shape)]
        sides = [PATCH - (of == axis) for of in (0, 1)]
        voted = _votes(steps, canvas, field, pairs, sides, check)
        lacking = np.subtract(voted, np.diff(image, axis=axis), dtype=np.float64)
        lacking *= np.exp(-(lacking**2).sum(axis=2, keepdims=True) / EDGE**2)
        # Minus its divergence; nothing flows over the border.
        sought -= np.diff(lacking, axis=axis, prepend=0, append=0)
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(length) / length) for length in shape)
    spectrum = dctn(sought, axes=(0, 1)) / (reach**-2 + rows[:, None] + columns)[..., None]
    check()
    return _as_image(image + idctn(spectrum, axes=(0, 1)).astype(np.float32)).clamp(-1, 1)


def _votes(
    values: np.ndarray, canvas: Canvas, field: np.ndarray, shape: Sequence[int], sides: Sequence[int], check: Check
) -> np.ndarray:
    """(H, W, 3): at every pixel the weighted average of `values` (places, 3) in patches of (rows, columns) pixels."""
    bells = [np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / SHARPNESS) ** 2) for side in sides]
    out = np.empty((*shape, 3), np.float32)
    weights = np.outer(*bells).astype(np.float32)
    in_bands(vote, len(out), values, canvas.width, field, weights, out, check=check)
    return out


def _as_image(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()
