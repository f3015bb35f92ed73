"""What patches are to look like where the learned image does not say it: in a hole, and across the border of a tile."""

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import uniform_filter
from torch import Tensor

from finishing.masks import white, white_side
from finishing.references import References
from utils.resize import resize

SIDE = 13  # pixels of a learned image that grow in one piece; with 7 stones came apart, and trees grew in the air
BORDER = 4  # pixels of it on either side of a tile's border
MOST = 2**15  # pieces to choose from


def guide(learned: Tensor, references: References, known: tuple[Tensor, Tensor] | None) -> Tensor:
    """The learned image, (1, 3, h, w), as patches are to follow it.

    A tile's border, and with `structure` 0 what was in a hole, is forgotten and grows anew from what is beside it.
    """
    tile, scale, shape = references.tile, references.scale, learned.shape[-2:]
    free = np.zeros(shape, np.bool_)
    if known is None:
        near = [np.arange(length) + BORDER for length in shape]
        across = [each % length < 2 * BORDER for each, length in zip(near, shape, strict=True)]
        free |= (across[0] & tile[0])[:, None] | across[1] & tile[1]
    elif references.weight == 0:  # structure 0
        free = ~white(known[1], scale, shape, tile).numpy()
        learned = resize(known[0], scale, shape, tile)
    if not free.any():
        return learned
    grown = grow(learned[0].permute(1, 2, 0).numpy().copy(), free, references)
    return torch.from_numpy(grown).permute(2, 0, 1)[None].clamp(-1, 1)


def grow(image: np.ndarray, free: np.ndarray, references: References) -> np.ndarray:
    """Fill the `free` pixels, (h, w) bool, of an image, (h, w, 3), with pieces of the references of its size.

    From the rim inwards, each with the piece that fits best what is there (Criminisi, Perez, Toyama 2004). Both are
    changed.
    """
    masks = [white(mask, references.scale) for mask in references.masks]
    side, pieces = min(SIDE, *free.shape, max(map(white_side, masks))), []
    if side < 1:
        return image
    for small, mask in zip(references.small, masks, strict=True):
        windows = sliding_window_view(small[0].numpy(), (side, side), (1, 2)).transpose(1, 2, 3, 4, 0)
        pieces += list(windows[sliding_window_view(mask.numpy(), (side, side)).all(axis=(2, 3))])
    pieces = np.stack(pieces[:: len(pieces) // MOST + 1])
    modes = ["wrap" if around else "constant" for around in references.tile]
    while free.any():
        near = uniform_filter((~free).astype(np.float32), side, mode=modes)
        centre = np.unravel_index(np.where(free, near, -1).argmax(), free.shape)
        window = []
        for at, length, around in zip(centre, free.shape, references.tile, strict=True):
            first = at - side // 2 if around else min(max(0, at - side // 2), length - side)
            window.append(np.arange(first, first + side) % length)
        window = np.ix_(*window)
        there, empty = image[window], free[window]
        best = pieces[((pieces[:, ~empty] - there[~empty]) ** 2).sum(axis=(1, 2)).argmin()]
        image[window], free[window] = np.where(empty[..., None], best, there), False
    return image
