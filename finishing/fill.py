"""Filling: a hole, or a tile's border, made anew from the references while it is small."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import distance_transform_edt, gaussian_filter, uniform_filter
from torch import Tensor

from finishing.canvas import PATCH, Canvas, white, white_side
from finishing.field import search
from finishing.kernels import Check, distances, in_bands
from finishing.references import Level, References
from finishing.votes import averaged
from utils.geometry import ceil_side
from utils.resize import resize

BORDER = 4  # pixels of a learned image on either side of a tile's border
MOST_TRIED, MOST_FILLED = 2**12, 2**14  # pixels of the largest image that is made of each beginning, and of the best
MUCH_LARGER = 16  # ratio of the references' pixels to the image's from which on theirs count
PASSES = 4  # at every size
SPREAD = 3.0  # standard deviation of the votes' weights about a patch's centre, pixels
DEPTH = 1.3  # by what a patch counts less for every pixel that its centre lies deeper in a hole
PIECE, MOST = 7, 2**15  # side of the pieces that grow into a hole, pixels; how many there are to choose from
# Puts something into the `empty` pixels, (h, w) bool, of an image, (h, w, 3), at a factor of the finished size.
Begin = Callable[[np.ndarray, np.ndarray, References, float], np.ndarray]


class Filled(NamedTuple):
    """An image filled at a size.

    Args:
        gap: mean squared distance of the patches over the hole to their matches.
        image: (1, 3, h, w) in [-1, 1].
        field: (h, w) int32, places in the `canvas`; only those over the hole mean something.
    """

    gap: float
    image: Tensor
    field: np.ndarray
    canvas: Canvas


def forgotten_border(learned: Tensor, references: References, check: Check) -> Tensor:
    """A learned image, (1, 3, h, w), of a tile: what is along its border is made anew, so that it goes on there."""
    shape, tile = tuple(learned.shape[-2:]), references.tile
    rows, columns = (
        np.where(goes_on, np.minimum(np.arange(length), np.arange(length)[::-1]), length)
        for length, goes_on in zip(shape, tile, strict=True)
    )
    known = torch.from_numpy(np.minimum(rows[:, None], columns) >= BORDER).float()
    masks = [white(mask, references.scale).float() for mask in references.masks]
    if min(*shape, *map(white_side, masks)) < PATCH:
        return learned
    small = References(references.small, shape, shape, 0.0, masks, tile, start=1.0)
    found, _ = fill(learned, known, small, check)
    return torch.where(known.bool(), learned, averaged(found.field, found.canvas, check))  # sharper than its image


def fill(image: Tensor, known: Tensor, references: References, check: Check) -> tuple[Filled, int]:
    """An image, (1, 3, H, W), filled from the references but where it is `known`, (H, W) float, 1 or 0; while small.

    From several beginnings: blur suits what goes on across a hole, and pieces what has to be sharp to be found. The one
    whose patches come nearest to the references' is carried on.

    Returns:
        What is made at the last of those `references.factors` that are for small images, and how many these are.
    """
    factors, hole, size = references.factors, white_side(1 - known), 0.0
    # References much larger than the image take the time.
    most = max(known.numel(), sum(mask.numel() for mask in references.masks) / MUCH_LARGER)
    pixels = [most * factor**2 for factor in factors[:-1]]
    few, count = (max(1, sum(each <= limit for each in pixels)) for limit in (MOST_TRIED, MOST_FILLED))
    # Where each beginning is; a hair less than its side is as good. Of an image that is large from the start, only one.
    beginnings = BEGINNINGS if pixels[0] <= MOST_FILLED else BEGINNINGS[:1]
    firsts = [(begin, sum(factor * hole < 0.99 * side for factor in factors[: few - 1])) for begin, side in beginnings]
    tried: list[Filled] = []
    for index, factor in enumerate(factors[:count]):
        if index == few:
            tried = [min(tried, key=lambda each: each.gap)]
        shape, tile = [ceil_side(length * factor) for length in known.shape], references.tile
        around, empty = resize(image, factor, shape, tile), ~white(known, factor, shape, tile)
        likewise = Level(references, size, factor, check) if tried else None  # blurred as what was enlarged
        sharp, begun = Level(references, factor, factor, check), []
        for begin, first in dict.fromkeys(firsts):
            if first == index:
                made = begin(around[0].permute(1, 2, 0).numpy().copy(), empty.numpy().copy(), references, factor)
                begun.append(torch.from_numpy(made).permute(2, 0, 1)[None].clamp(-1, 1))
        enlarged = [resize(each.image, factor / size, shape, tile) for each in tried]
        tried = [voted(each, around, empty, (likewise, sharp), check) for each in enlarged]
        tried += [voted(each, around, empty, (sharp, sharp), check) for each in begun]
        size = factor
    return min(tried, key=lambda each: each.gap), count


def start_of(known: Tensor) -> float:
    """The ratio to the finished size at which filling begins."""
    return min(1.0, min(side for _, side in BEGINNINGS) / max(1, white_side(1 - known)))


def voted(image: Tensor, around: Tensor, empty: Tensor, levels: tuple[Level, Level], check: Check) -> Filled:
    """An image whose `empty` pixels, (h, w) bool, were filled somehow: patches over the hole search and vote in turn.

    Source: Wexler, Shechtman, Irani 2007.

    Args:
        around: the image where it is not empty.
        levels: of this size, for the first search and for all others.
    """
    tile, filled = levels[1].canvas.tile, torch.where(empty, image, around)
    # Of the patches over the hole, those count most that are near the rim and have near matches.
    sides = [(0, (PATCH - 1) * goes_on) for goes_on in tile]
    over = sliding_window_view(np.pad(empty.numpy(), sides, mode="wrap"), (PATCH, PATCH)).any(axis=(2, 3))
    centres = [(np.arange(n) + PATCH // 2) % length for n, length in zip(over.shape, empty.shape, strict=True)]
    rim = 2**16 * DEPTH ** -distance_transform_edt(empty.numpy())[np.ix_(*centres)]
    field, gaps = np.zeros(over.shape, np.int32), np.empty(over.shape, np.float32)
    for turn in range(PASSES):
        level = levels[min(turn, 1)]
        queries = level.features(filled, filled, check, tile)
        field[over] = search(queries[over][None], level, check)[0]
        in_bands(distances, len(field), queries, level.keys, field, gaps, check=check)
        near = np.exp(-gaps.astype(np.float64) / (2 * np.median(gaps[over]) + 1e-9))
        trust = (1 + np.floor(rim * near)).astype(np.float32)  # whole numbers: elsewhere exp may round otherwise
        filled = torch.where(empty, averaged(field, level.canvas, check, SPREAD, trust), around)
    return Filled(gaps[over].mean(dtype=np.float64), filled, field, level.canvas)


def blurred(image: np.ndarray, empty: np.ndarray, references: References, factor: float) -> np.ndarray:
    """`Begin` with the blurred colours of what is nearest."""
    rows, columns = distance_transform_edt(empty, return_distances=False, return_indices=True)
    modes = ["wrap" if around else "nearest" for around in references.tile]
    return np.where(empty[..., None], gaussian_filter(image[rows, columns], (2, 2, 0), mode=[*modes, "nearest"]), image)


def grown(image: np.ndarray, empty: np.ndarray, references: References, factor: float) -> np.ndarray:
    """`Begin` with pieces of the references from the rim inwards, each the one that fits best what is there.

    Source: Criminisi, Perez, Toyama 2004. Both arrays are changed.
    """
    masks = [white(mask, factor) for mask in references.masks]
    side = min(PIECE, *empty.shape, max(map(white_side, masks)))
    usable = [np.argwhere(sliding_window_view(mask.numpy(), (side, side)).all(axis=(2, 3))) for mask in masks]
    step, pieces = sum(map(len, usable)) // MOST + 1, []
    for picture, places in zip(references.at(factor), usable, strict=True):
        windows = sliding_window_view(picture[0].numpy(), (side, side), (1, 2)).transpose(1, 2, 3, 4, 0)
        pieces.append(windows[tuple(places[::step].T)])
    pieces = np.concatenate(pieces)
    modes = ["wrap" if around else "constant" for around in references.tile]
    while empty.any():
        near = uniform_filter((~empty).astype(np.float32), side, mode=modes)
        centre = np.unravel_index(np.where(empty, near, -1).argmax(), empty.shape)
        window = []
        for at, length, around in zip(centre, empty.shape, references.tile, strict=True):
            first = at - side // 2 if around else min(max(0, at - side // 2), length - side)
            window.append(np.arange(first, first + side) % length)
        window = np.ix_(*window)
        there, open = image[window], empty[window]
        best = pieces[((pieces[:, ~open] - there[~open]) ** 2).sum(axis=(1, 2)).argmin()]
        image[window], empty[window] = np.where(open[..., None], best, there), False
    return image


# Each with the side of a hole that it begins at, pixels.
BEGINNINGS = ((blurred, 8), (blurred, 14), (grown, 8), (grown, 14))
