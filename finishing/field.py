"""The field: for every patch of an image the place of its match in the references."""

from collections.abc import Sequence

import numpy as np

from finishing.canvas import PATCH, Canvas, Shape, Tile
from finishing.kernels import Check, distances, in_bands, nearest, sweep
from finishing.references import Level

CENTRE = (PATCH - 1) / 2
TURN = 128  # patches that choose at the same time, far from one another
SAMPLE = 512  # patches that decide how dear a use is
# In medians of the squared distances: what each use of a patch adds to its distance in the search; what a neighbour
# that continues a match takes off; what having been the match in the frame before takes off: at 4 videos flickered by
# 30 to 70 % more than at 5; at 8 by 10 to 20 % less, but pieces crumbled within a hundred frames.
USE, COHERENCE, LOYALTY = 0.3, 2.5, 5.0
SWEEPS = 4
MOST_COMPARED = 2**31  # patches with places of the references, in a search: 3 to 20 s on two cores


def search(queries: np.ndarray, level: Level, check: Check = None) -> np.ndarray:
    """For every patch the nearest patch of the references, each use making that one dearer: (h, w) int32, places.

    Without that plain surfaces would all come from the one patch that is plainest. Exact, and quadratic; so where many
    patches meet many places, as where a mask leaves only small ones of both, not every place is looked at.

    Args:
        queries: (h, w, K), features of an image's patches.
    """
    asked = queries.reshape(-1, queries.shape[-1])
    places = np.flatnonzero(level.canvas.usable).astype(np.int32)
    places = places[:: len(asked) * len(places) // MOST_COMPARED + 1]
    by_value = np.ascontiguousarray(level.keys[places].T)
    prices, chosen = np.zeros(len(places), np.float32), np.empty(len(asked), np.int64)

    def choose(some: slice) -> np.ndarray:
        """Indices of the nearest keys of some queries, at the prices of now."""
        rows = np.ascontiguousarray(asked[some])
        found = np.empty(len(rows), np.int64)
        in_bands(nearest, len(rows), rows, by_value, prices, found, check=check)
        return found

    sample = slice(None, None, max(1, len(asked) // SAMPLE))
    gaps = level.keys[places[choose(sample)]] - asked[sample]
    price = np.float32(USE * np.median((gaps**2).sum(axis=1)))
    turns = -(-len(asked) // TURN)
    for turn in range(turns):
        some = slice(turn, None, turns)
        chosen[some] = choose(some)
        np.add.at(prices, chosen[some], price)
    return places[chosen].reshape(queries.shape[:2])


def settle(
    field: np.ndarray, queries: np.ndarray, level: Level, previous: np.ndarray, check: Check = None
) -> np.ndarray:
    """Make a field coherent (Hertzmann et al. 2001, Ashikhmin 2001): sweeps forwards and backwards in turn.

    Args:
        field: (h, w), places to start from.
        queries: (h, w, K), features of the image's patches.
        previous: (h, w), matches in the frame before, stayed with where nothing is clearly better; -1 for none.

    Returns:
        (h, w) int32, places.
    """
    field, distance = field.copy(), np.empty(field.shape, np.float32)
    in_bands(distances, len(field), queries, level.keys, field, distance, check=check)
    median = np.median(distance)
    coherence, loyalty = np.float32(COHERENCE * median), np.float32(LOYALTY * median)
    canvas, changed = level.canvas, np.zeros(field.shape, np.int8)
    fixed = (queries, level.keys, canvas.usable, canvas.width, canvas.tile, coherence, previous, loyalty)
    for turn in range(SWEEPS):
        moving = field, distance, changed
        in_bands(sweep, len(field), *fixed, turn, *moving, apart=1 + canvas.tile[0], check=check)
    return field


def enlarge(field: np.ndarray, old: Canvas, new: Canvas, ratio: float, shape: Shape) -> np.ndarray:
    """The field of the level before for a level `ratio` times as large.

    A patch goes on from the match of the patch it lies in before: position and the offset inside the enlarged pixel
    are both multiplied, rounded and kept inside the reference. Where the image goes around, so do its patches.

    Args:
        field: (h, w), places in `old`.
        shape: (height, width) of the result, places in `new`.
    """
    ratios = np.where(old.tile, np.divide(shape, field.shape), ratio)
    centres = [(np.arange(length) + CENTRE + 0.5) / each for length, each in zip(shape, ratios, strict=True)]
    places, down, right = _covering(field, centres, old.tile)
    reference, row, column = old.position(places)
    row = (row + CENTRE + down) * ratio - 0.5 - CENTRE
    column = (column + CENTRE + right) * ratio - 0.5 - CENTRE
    return new.place(reference, np.rint(row).astype(np.int64), np.rint(column).astype(np.int64))


def copied_share(field: np.ndarray, canvas: Canvas, free: np.ndarray | None = None) -> float:
    """The share of patches whose right and lower neighbours' matches continue theirs: "copied in one piece".

    Args:
        free: (H, W) bool, only patches whose centre is in there count; None: all.
    """
    corner = field[:-1, :-1]
    whole = (field[:-1, 1:] == corner + 1) & (field[1:, :-1] == corner + canvas.width)
    if free is not None:
        whole = whole[np.roll(free, (-(PATCH // 2),) * 2, (0, 1))[: len(whole), : whole.shape[1]]]
    return float(whole.mean()) if whole.size else 1.0


def source_of(field: np.ndarray, canvas: Canvas) -> np.ndarray:
    """Where every pixel comes from: index of the reference, row and column there; (3, H, W) int32.

    A pixel's source is that of the patch it is the centre of; at the border, of the nearest patch there is.
    """
    sides = np.add(field.shape, np.where(canvas.tile, 0, PATCH - 1))
    places, down, right = _covering(field, list(map(np.arange, sides)), canvas.tile)
    reference, row, column = canvas.position(places)
    return np.stack([reference, row + CENTRE + down, column + CENTRE + right]).astype(np.int32)


def _covering(field: np.ndarray, points: Sequence[np.ndarray], tile: Tile) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The matches of the patches centred at or just before some rows and columns, and how far before: down, right."""
    patches = [np.floor(each - CENTRE).astype(np.int64) for each in points]
    for axis, last in enumerate(np.subtract(field.shape, 1)):
        patches[axis] = patches[axis] if tile[axis] else patches[axis].clip(0, last)
    down, right = (each - (patch + CENTRE) for each, patch in zip(points, patches, strict=True))
    return field[np.ix_(*map(np.mod, patches, field.shape))], down[:, None], right
