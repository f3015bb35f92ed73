"""Screened Poisson equations: an image changed as little as possible so that its steps become the wanted ones."""

from collections.abc import Sequence

import numpy as np
from scipy.fft import dctn, fftn, idctn, ifftn
from scipy.sparse import diags, identity, kronsum
from scipy.sparse.linalg import cg

from finishing.canvas import Tile


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
