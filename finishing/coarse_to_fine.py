"""The coarse-to-fine loop of finishing (docs/method.md, section 14)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from finishing.colours import colour_map, recoloured
from finishing.features import Features
from finishing.field import copied_share, enlarge, search, settle, source_of
from finishing.full_size import Finished
from finishing.references import References, shape_of, shrunk
from finishing.sizes import Shape, shares_done
from finishing.votes import averaged, seamless
from utils.resize import resize, resize_matrix


def finish(
    learned: Tensor,
    references: list[Tensor],
    shape: Shape,
    *,
    structure: float = 1.0,
    before: Finished | None = None,
    progress: Callable[[float], object] | None = None,
) -> Finished:
    """Finish a learned image with patches of references. Deterministic; computed on the CPU.

    Memory: about 400 bytes for each pixel of the finished image and of its references (`finishing.sizes.BYTES`).

    Args:
        learned: (1, 3, h, w) in [-1, 1]; brought to the aspect of `shape`.
        references, shape, structure: see `finishing.references.References`, which says what it raises.
        before, progress: see `finish_with`.
    """
    images = [image.detach().float().cpu() for image in references]
    return finish_with(References(images, shape_of(learned), shape, structure), learned, before, progress)


@torch.no_grad()
def finish_with(
    references: References,
    learned: Tensor,
    before: Finished | None = None,
    progress: Callable[[float], object] | None = None,
) -> Finished:
    """Finish a learned image, one of a clip's frames, say, with references that were prepared for its shape.

    Args:
        learned: (1, 3, h, w) in [-1, 1].
        before: the frame before, finished with the same references: a match is kept where no other is clearly better.
        progress: called every fraction of a second, after each band of rows, with the share of the time that is over
            at the last stage's end, up to 1; may raise to stop it.

    Raises:
        ValueError: the frame before was finished otherwise.
    """
    shape, scale, factors, device = references.shape, references.scale, references.factors, learned.device
    shares, done = iter(shares_done(shape, [shape_of(image) for image in references.images], factors)), 0.0

    def check() -> None:
        if progress is not None:
            progress(done)

    def say() -> None:
        nonlocal done
        done = next(shares)
        check()

    # The learned image in its own aspect and in the references' colours.
    learned = _stretched(learned.detach().float().cpu(), shrunk(shape, scale))
    colours = colour_map(learned, references.small) if before is None else before.colours
    learned = recoloured(learned, colours)

    # From level to level; `image` is at `size`, the field's places are in `canvas`.
    image, size, field, canvas, fields = learned, scale, None, None, []
    for index, factor in enumerate(factors):
        level = references.level(index)
        old, canvas, here = canvas, level.canvas, shrunk(shape, factor)
        check()
        features = Features(here, canvas.places, check, references.keeps(level))
        if level.anchors is not None:
            features.compare(resize(learned, factor / scale, here), level.anchors)
        features.compare(resize(image, factor / size, here), level.patches)
        kept = _kept(before, index, features.shape)
        if fields:
            start = enlarge(field, old, canvas, factor / size, features.shape)
        else:
            start = search(features, canvas)
            say()
        field = settle(start, features, canvas, kept)
        fields.append(field)
        image, size = averaged(field, canvas, here, check), factor
        say()

    # Once more at the full size, sharp against sharp.
    features.compare(image, level.sharp)
    field = settle(field, features, canvas, _kept(before, len(fields), features.shape))
    fields.append(field)
    say()
    del features, level  # by far the largest
    finished = seamless(field, canvas, shape, 1 / scale, check).to(device)  # over a pixel of the learned image
    source = source_of(field, canvas)
    return Finished(finished, source, copied_share(field, canvas), tuple(references.images), tuple(fields), colours)


def _stretched(image: Tensor, shape: Shape) -> Tensor:
    """(1, 3, H, W) resampled to (height, width), each axis by its own factor."""
    rows, columns = (
        resize_matrix(length, wanted / length, wanted, image.device)
        for length, wanted in zip(image.shape[-2:], shape, strict=True)
    )
    return rows @ image @ columns.T


def _kept(before: Finished | None, index: int, shape: Shape) -> np.ndarray:
    """The frame before's field of a pass; -1 everywhere where there is none."""
    if before is None:
        return np.full(shape, -1, np.int32)
    if index >= len(before.fields) or before.fields[index].shape != shape:
        raise ValueError("the frame before was finished at another size")
    return before.fields[index]
