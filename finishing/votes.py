"""From a field to an image: every patch votes for the pixels under it, and for the steps between them."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.fft import dctn, fftn, idctn, ifftn
from scipy.sparse import diags, identity, kronsum
from scipy.sparse.linalg import cg
from torch import Tensor

from finishing.canvas import PATCH, Canvas, Tile
from finishing.kernels import Check, in_bands, vote

SHARPNESS = 0.8  # standard deviation of the votes' weights about a patch's centre, pixels
EDGE = 0.5  # distance of neighbours' colours in [-1, 1] from which on a seam is an edge of things, which stays


def averaged(
    field: np.ndarray,
    canvas: Canvas,
    check: Check = None,
    spread: float = SHARPNESS,
    trust: np.ndarray | None = None,
) -> Tensor:
    """The image (1, 3, H, W) of a field: every pixel the average of the patches over it, most of those centred near.

    Args:
        spread: standard deviation of the weights about a patch's centre, pixels.
        trust: (h, w) float32, by what each patch's votes count; None: alike.
    """
    voted = _votes(canvas.values, canvas, field, (PATCH, PATCH), check, spread, trust)
    return torch.from_numpy(voted).permute(2, 0, 1)[None]


def seamless(
    image: Tensor, field: np.ndarray, canvas: Canvas, reach: float, check: Check = None, free: np.ndarray | None = None
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
        lacking.append(lack * weight)
    change = torch.from_numpy(correction(lacking, reach, canvas.tile, free).astype(np.float32)).permute(2, 0, 1)
    return (image + change).clamp(-1, 1).contiguous()


def steps_of(pixels: np.ndarray, axis: int, around: bool) -> np.ndarray:
    """From every pixel (H, W, 3) to the next one along an axis; from the last to the first, or 0."""
    steps = np.diff(pixels, axis=axis, append=pixels.take([0], axis))
    np.moveaxis(steps, axis, 0)[-1] *= around
    return steps


def correction(lacking: Sequence[np.ndarray], reach: float, tile: Tile, free: np.ndarray | None) -> np.ndarray:
    """The c (H, W, 3) of least |c|^2 / reach^2 + |grad c - lacking|^2 (Bhat, Curless, Cohen, Zitnick 2008).

    Solved exactly by cosine transforms, or Fourier's where the image goes around; by conjugate gradients where c is 0
    but for the pixels that are `free`, (H, W) bool (Perez, Gangnet, Blake 2003).

    Args:
        lacking: float64, what is to be added to the steps down, and to those right, as in `steps_of`.
        reach: over which c fades, pixels.
    """
    # Minus its divergence; nothing flows over the border, or it comes back at the other side.
    sought = sum(np.roll(lack, 1, axis) - lack for axis, lack in enumerate(lacking))
    sides = list(zip(sought.shape, tile, strict=False))
    if free is None:
        flat, round = ([axis for axis in (0, 1) if tile[axis] == of] for of in (False, True))
        rows, columns = (2 - 2 * np.cos((1 + around) * np.pi * np.arange(side) / side) for side, around in sides)
        spectrum = fftn(dctn(sought, axes=flat), axes=round) / (reach**-2 + rows[:, None] + columns)[..., None]
        return idctn(ifftn(spectrum, axes=round).real, axes=flat)
    lines = []
    for side, around in sides:
        bands = np.r_[1 + around, np.full(side - 2, 2.0), 1 + around], -1, -1, -around, -around
        lines.append(diags(bands, [0, 1, -1, side - 1, 1 - side], (side, side)))
    matrix = (kronsum(*lines[::-1]) + reach**-2 * identity(free.size)).tocsr()[free.flat][:, free.flat]
    found = np.zeros(sought.shape)
    for channel in range(3):
        found[free, channel] = cg(matrix, sought[free, channel], rtol=1e-7)[0]
    return found


def _votes(
    values: np.ndarray,
    canvas: Canvas,
    field: np.ndarray,
    sides: Sequence[int],
    check: Check,
    spread: float = SHARPNESS,
    trust: np.ndarray | None = None,
) -> np.ndarray:
    """(H, W, 3): at every pixel the weighted average of `values` (places, 3) in patches of (rows, columns) pixels."""
    bells = [np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / spread) ** 2) for side in sides]
    # Around the border the patches are put there once more.
    more, shape = [(PATCH - 1) * around for around in canvas.tile], field.shape
    trust = np.ones(shape, np.float32) if trust is None else trust
    field, trust = (np.pad(each, [(margin, 0) for margin in more], mode="wrap") for each in (field, trust))
    out = np.empty((*np.add(field.shape, sides) - 1, 3), np.float32)
    weights = np.outer(*bells).astype(np.float32)
    in_bands(vote, len(out), values, canvas.width, field, weights, trust, out, check=check)
    for axis, margin in enumerate(more):
        out = out.take(range(margin, margin + shape[axis]), axis) if margin else out
    return out
