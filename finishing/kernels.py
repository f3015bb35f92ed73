"""The loops over pixels that finishing spends its time in, compiled by numba.

A place is a number, `row * width + column`, in the canvas that holds the references (canvas.py): where a patch has its
top left corner. Sums run in the order written (no fast-math), and threads share the rows so that their number does not
matter: the same bits on one and on many.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import Any

import numba
import numpy as np
import torch
from numba.core.caching import NullCache

BAND = 32  # rows a thread takes at a time
CHUNK = 12  # values of a squared distance between two looks whether it is too large already
KERNELS: list[Any] = []  # all there are, for `in_bands`
Check = Callable[[], object] | None  # called every fraction of a second; may raise to stop


def compiled(function: Callable) -> Any:
    """Compile on the first call; kept for the next process where numba finds a folder it may write."""
    kernel = numba.njit(nogil=True)(function)
    with suppress(RuntimeError):
        kernel.enable_caching()
    KERNELS.append(kernel)
    return kernel


def in_bands(kernel: Any, rows: int, *arguments: Any, apart: int = 0, check: Check = None) -> None:
    """Call `kernel(first, last, *arguments)` for every band of rows, on as many threads as PyTorch uses.

    Args:
        apart: 1, first every other band, then the rest: for a kernel that changes what it reads of the rows next to
            its own; 2, so that the last and the first band are never at work together, either.
        check: called after every band, in this thread; if it raises, bands not yet begun are left out.
    """
    try:  # Compile.
        kernel(0, 0, *arguments)
    except Exception:  # Of any kind, where a crash cut numba's cache files short, or the disk is full.
        for each in KERNELS:
            each._cache = NullCache()
        kernel(0, 0, *arguments)  # where it was another's fault, this says so
    bands = [(first, min(first + BAND, rows)) for first in range(0, rows, BAND)]
    threads = min(len(bands), torch.get_num_threads())
    with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as pool:
        alone = len(bands) - (apart == 2 and len(bands) % 2)
        for turn in (bands[:alone:2], bands[1::2], bands[alone:]) if apart else (bands,):
            for _ in (pool.map if pool else map)(lambda band: kernel(*band, *arguments), turn):
                if check is not None:
                    check()


@compiled
def project(first, last, image, components, spacing, out):
    """Components of the patches of rows `first` to `last`.

    Args:
        image: (3, H, W).
        components: (K, 3, side, side); the patch's pixels are `spacing` apart.
        out: (h, w, K), written.
    """
    side, columns = components.shape[2], out.shape[1]
    total = np.empty(columns, np.float32)
    for y in range(first, last):
        for k in range(components.shape[0]):
            total[:] = 0
            for channel in range(3):
                for dy in range(side):
                    for dx in range(side):
                        weight = components[k, channel, dy, dx]
                        line = image[channel, y + dy * spacing, dx * spacing : dx * spacing + columns]
                        for x in range(columns):
                            total[x] += weight * line[x]
            out[y, :, k] = total


@compiled
def nearest(first, last, queries, keys, prices, chosen):
    """For query rows `first` to `last` the key of least squared distance plus price, into `chosen` (n,).

    Args:
        queries: (n, K).
        keys: (K, m), so that neighbours in memory are summed side by side.
        prices: (m,).
    """
    together = 1024
    totals = np.empty(together, np.float32)
    for row in range(first, last):
        least = np.float32(np.inf)
        for start in range(0, keys.shape[1], together):
            count = min(together, keys.shape[1] - start)
            for j in range(count):
                totals[j] = prices[start + j]
            for k in range(keys.shape[0]):
                value = queries[row, k]
                line = keys[k, start : start + count]
                for j in range(count):
                    difference = value - line[j]
                    totals[j] += difference * difference
            for j in range(count):
                if totals[j] < least:
                    least = totals[j]
                    chosen[row] = start + j


@compiled
def distance_below(query, key, limit):
    """Squared distance of two features (K,); once it has reached `limit`, only that it has."""
    total = np.float32(0)
    for start in range(0, query.size, CHUNK):
        for k in range(start, min(start + CHUNK, query.size)):
            difference = query[k] - key[k]
            total += difference * difference
        if total >= limit:
            break
    return total


@compiled
def distances(first, last, queries, keys, field, out):
    """Squared distance of every patch of rows `first` to `last` to its match, into `out` (h, w)."""
    for y in range(first, last):
        for x in range(field.shape[1]):
            out[y, x] = distance_below(queries[y, x], keys[field[y, x]], np.float32(np.inf))


@compiled
def inside(index, length, around):
    """An index of 0 to `length`, around the end if it goes on there; else -1 for one outside."""
    if 0 <= index < length:
        return index
    return index % length if around else -1


@compiled
def continuing(field, tile, width, y, x, place):
    """How many of the four direct neighbours of (y, x) have the match that continues `place`."""
    count = 0
    for step in (-1, 1):
        row, column = inside(y + step, field.shape[0], tile[0]), inside(x + step, field.shape[1], tile[1])
        if row >= 0 and field[row, x] == place + step * width:
            count += 1
        if column >= 0 and field[y, column] == place + step:
            count += 1
    return count


@compiled
def unchanged_around(changed, tile, y, x, turn):
    """Whether no match next to (y, x) has changed in this turn or the one before."""
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            row, column = inside(y + dy, changed.shape[0], tile[0]), inside(x + dx, changed.shape[1], tile[1])
            if (dy or dx) and row >= 0 and column >= 0 and changed[row, column] >= turn:
                return False
    return True


@compiled
def sweep(
    first, last, queries, keys, usable, width, tile, coherence, previous, loyalty, turn, field, distance, changed
):
    """One coherence sweep over rows `first` to `last`, in row order or, in odd turns, backwards.

    Every patch tries what continues its eight neighbours' matches, and its previous match; it takes what has less
    energy: squared distance - coherence * neighbours that continue it - loyalty where it is the previous one. Where
    nothing around it has changed since it last did so, that is left out.

    Args:
        queries: (h, w, K). keys: (places, K). usable: (places,), whether a patch may be taken from there.
        tile: whether the field's rows, and columns, go around.
        previous: (h, w), matches in the frame before; -1 for none.
        field, distance: (h, w), changed: the matches, and their squared distances.
        turn: from 0.
        changed: (h, w), changed: one more than the turn in which a match last did; 0 before the first.
    """
    backwards = turn % 2 == 1
    step = -1 if backwards else 1
    height, columns = field.shape
    for row in range(first, last):
        y = first + last - 1 - row if backwards else row
        for column in range(columns):
            x = columns - 1 - column if backwards else column
            if unchanged_around(changed, tile, y, x, turn):
                continue
            reward = coherence * continuing(field, tile, width, y, x, field[y, x])
            if field[y, x] == previous[y, x]:
                reward += loyalty
            energy = distance[y, x] - reward
            for candidate in range(9):
                dy, dx = (candidate // 3 - 1) * step, (candidate % 3 - 1) * step
                if candidate == 4:
                    place = previous[y, x]
                else:
                    other, beside = inside(y + dy, height, tile[0]), inside(x + dx, columns, tile[1])
                    if other < 0 or beside < 0:
                        continue
                    place = field[other, beside] - (dy * width + dx)
                if place == field[y, x] or place < 0 or place >= usable.size or not usable[place]:
                    continue
                reward = coherence * continuing(field, tile, width, y, x, place)
                if place == previous[y, x]:
                    reward += loyalty
                found = distance_below(queries[y, x], keys[place], energy + reward)
                if found - reward < energy:
                    energy = found - reward
                    field[y, x], distance[y, x], changed[y, x] = place, found, turn + 1


@compiled
def vote(first, last, values, width, field, weights, trust, out):
    """Every pixel of rows `first` to `last`: the weighted average of the matched patches over it.

    Args:
        values: (places, 3), the canvas.
        weights: (rows, columns), of the pixels of a patch. trust: as `field`, of the patches.
        out: (H, W, 3), written; (H - rows + 1, W - columns + 1) is the field's shape.
    """
    rows, columns = weights.shape
    for y in range(first, last):
        for x in range(out.shape[1]):
            red = green = blue = total = np.float32(0)
            for dy in range(max(0, y - field.shape[0] + 1), min(rows, y + 1)):
                for dx in range(max(0, x - field.shape[1] + 1), min(columns, x + 1)):
                    place = field[y - dy, x - dx] + dy * width + dx
                    weight = weights[dy, dx] * trust[y - dy, x - dx]
                    red += weight * values[place, 0]
                    green += weight * values[place, 1]
                    blue += weight * values[place, 2]
                    total += weight
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = red / total, green / total, blue / total
