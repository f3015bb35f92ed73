"""The coarse-to-fine loop of finishing (docs/method.md, section 14)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from finishing.canvas import Canvas
from finishing.colours import colour_map, recoloured
from finishing.features import PATCH, Features
from finishing.field import copied_share, enlarge, search, settle, source_of
from finishing.sizes import Shape, level_factors, shares_done
from finishing.votes import averaged, seamless
from utils.resize import resize, resize_matrix
from utils.geometry import ceil_side


class Faithfulness(NamedTuple):
    """How strictly the learned image is followed, all from one number.

    Args:
        weight: of the anchors against the patches.
        reach: distance of the anchors' samples, in pixels of the learned image.
        start: ratio of the first level to the learned image.
    """

    weight: float
    reach: float
    start: float


def faithfulness(structure: float) -> Faithfulness:
    """The curve of `structure`: 0 hides the learned image's faults, 1 is the default and follows it closely.

    On pairs of things on a ground, of textures and of letters alike, 0.5 made rounder things and 1 kept more of the
    layout, with nearer patches and colours; above 1 only the weight grows further.
    """
    bounded = min(structure, 1.0)
    return Faithfulness(weight=8 * structure, reach=2 * 4**-bounded, start=0.75 * (64 / 27) ** bounded)


class Finished(NamedTuple):
    """A finished image and where it comes from.

    Args:
        image: (1, 3, H, W) in [-1, 1].
        source: (3, H, W) int32: for every pixel the index of its reference, and its row and column there.
        copied: share of patches whose right and lower neighbours continue in the reference, 0 to 1.
        fields, colours: for the next frame of a clip.
    """

    image: Tensor
    source: np.ndarray
    copied: float
    fields: tuple[np.ndarray, ...]
    colours: Tensor


@torch.no_grad()
def finish(
    learned: Tensor,
    references: list[Tensor],
    shape: Shape,
    *,
    structure: float = 1.0,
    before: Finished | None = None,
    progress: Callable[[float], None] | None = None,
) -> Finished:
    """Finish a learned image with patches of references. Deterministic; computed on the CPU.

    Memory: about 400 bytes for each pixel of the finished image and of its references.

    Args:
        learned: (1, 3, h, w) in [-1, 1]; brought to the aspect of `shape`.
        references: (1, 3, H, W) in [-1, 1] each, as large as they are to be in the finished image
            (`finishing.sizes.finished_sizes`).
        shape: (height, width) of the finished image.
        structure: how strictly the learned image is followed, see `faithfulness`.
        before: the frame before, finished with the same references, shape and structure: a match is kept where no
            other is clearly better.
        progress: called after the search, each level and the last pass with the share of the time that is over, up
            to 1; may raise to stop it.

    Raises:
        ValueError: no reference, one smaller than a patch, `shape` smaller than a patch, a negative `structure`, or a
            frame before that was finished otherwise.
    """
    sides = [*shape, *(side for reference in references for side in reference.shape[-2:])]
    if structure < 0 or not references:
        raise ValueError("there must be a reference, and structure must not be negative")
    if min(sides) < PATCH:
        raise ValueError(f"the finished image and its references must have at least {PATCH} pixels on each side")
    strict, device = faithfulness(structure), learned.device

    # The learned image in its own aspect; the references at its size; both in the references' colours.
    learned, *references = [image.detach().float().cpu() for image in (learned, *references)]
    scale = min(1.0, math.sqrt(learned[0, 0].numel() / (shape[0] * shape[1])))
    learned = _stretched(learned, _shrunk(shape, scale))
    small = [resize(reference, scale) for reference in references]
    colours = colour_map(learned, small) if before is None else before.colours
    learned = recoloured(learned, colours)

    # From level to level; `image` is at `size`, the field's places are in `canvas`.
    factors = level_factors(strict.start * scale, min(sides), max(sides))
    shares = iter(shares_done(shape, [_shape(reference) for reference in references], factors))
    say = (lambda: progress(next(shares))) if progress is not None else (lambda: None)
    image, size, field, canvas, fields = learned, scale, None, None, []
    for factor in factors:
        old, canvas = canvas, Canvas([resize(reference, factor) for reference in references])
        here = _shrunk(shape, factor)
        features = Features(here, canvas)
        if strict.weight:
            anchors = [resize(one, factor / scale, _shape(at)) for one, at in zip(small, canvas.images, strict=True)]
            spacing = max(1, round(strict.reach * factor / scale))
            features.anchor(resize(learned, factor / scale, here), anchors, spacing, strict.weight)
        # What was enlarged is compared with references enlarged likewise, or blur would find blur.
        keys = [_as_blurred(one, sharp, size, factor) for one, sharp in zip(references, canvas.images, strict=True)]
        features.compare(resize(image, factor / size, here), keys)
        kept = _kept(before, len(fields), features.shape)
        if fields:
            start = enlarge(field, old, canvas, factor / size, features.shape)
        else:
            start = search(features, canvas)
            say()
        field = settle(start, features, canvas, kept)
        fields.append(field)
        image, size = averaged(field, canvas, here), factor
        say()

    # Once more at the full size, sharp against sharp.
    features.compare(image, canvas.images)
    field = settle(field, features, canvas, _kept(before, len(fields), features.shape))
    fields.append(field)
    say()
    del features  # by far the largest
    finished = seamless(field, canvas, shape, 1 / scale).to(device)  # over a pixel of the learned image
    return Finished(finished, source_of(field, canvas), copied_share(field, canvas), tuple(fields), colours)


def _shrunk(shape: Shape, factor: float) -> Shape:
    return ceil_side(shape[0] * factor), ceil_side(shape[1] * factor)


def _shape(image: Tensor) -> Shape:
    return image.shape[-2], image.shape[-1]


def _stretched(image: Tensor, shape: Shape) -> Tensor:
    """(1, 3, H, W) resampled to (height, width), each axis by its own factor."""
    rows, columns = (
        resize_matrix(length, wanted / length, wanted, image.device)
        for length, wanted in zip(image.shape[-2:], shape, strict=True)
    )
    return rows @ image @ columns.T


def _as_blurred(reference: Tensor, sharp: Tensor, size: float, factor: float) -> Tensor:
    """The reference by `factor`, as blurred as what was enlarged to there from `size`; `sharp` is it unblurred."""
    return resize(resize(reference, size), factor / size, _shape(sharp)) if size < factor else sharp


def _kept(before: Finished | None, index: int, shape: Shape) -> np.ndarray:
    """The frame before's field of a pass; -1 everywhere where there is none."""
    if before is None:
        return np.full(shape, -1, np.int32)
    if index >= len(before.fields) or before.fields[index].shape != shape:
        raise ValueError("the frame before was finished at another size")
    return before.fields[index]
