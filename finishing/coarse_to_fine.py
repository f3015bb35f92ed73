"""The coarse-to-fine loop of finishing (docs/method.md, section 14), and the learned image's colours before it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from finishing.field import copied_share, enlarge, search, settle, source_of
from finishing.finished import Finished
from finishing.guide import guide
from finishing.masks import white
from finishing.motion import Motion, carried, moved
from finishing.references import References
from finishing.votes import averaged, seamless
from utils.geometry import ceil_side
from utils.resize import resize, resize_matrix

FAINT = 0.01  # standard deviation, [-1, 1], below which a colour's variation counts as none


@torch.no_grad()
def finish(
    learned: Tensor,
    references: References,
    before: Finished | None = None,
    motion: Motion | None = None,
    progress: Callable[[float], object] | None = None,
    known: tuple[Tensor, Tensor] | None = None,
) -> Finished:
    """Finish a learned image with patches of references that were prepared for its size. Deterministic; on the CPU.

    Args:
        learned: (1, 3, h, w) in [-1, 1]; brought to the aspect of the finished image.
        before: the frame before of a clip, finished with the same references: a match is kept where no other is
            clearly better.
        motion: since then, which the matches follow; not given: nothing moved. At a cut nothing is kept.
        progress: called every fraction of a second, after each band of rows, with the share of the passes' pixels
            that is done, up to 1; may raise to stop it.
        known: an image of the finished size, (1, 3, H, W), and a mask, (H, W) float, 1 for what stays as it is there.
    """
    shape, scale, tile = references.shape, references.scale, references.tile
    work = np.square(references.factors).cumsum()
    done, keep = 0.0, before is not None
    if motion is not None and not motion.found.any():
        before = motion = None  # a cut: another shot, in colours of its own

    def check() -> None:
        if progress is not None:
            progress(done)

    # The learned image in the finished one's aspect, each axis by a factor of its own, and in the references' colours.
    learned = learned.detach().float().cpu()
    rows, columns = (
        resize_matrix(length, wanted / length, wanted, learned.device)
        for length, wanted in zip(learned.shape[-2:], (ceil_side(side * scale) for side in shape), strict=True)
    )
    learned = rows @ learned @ columns.T
    colours = colour_map(learned, references.palette) if before is None else before.colours
    colours = colours if known is None else torch.eye(3, 4)  # what is filled in has those around it
    learned = torch.einsum("ij,njhw->nihw", colours[:, :3], learned) + colours[:, 3].view(1, 3, 1, 1)
    learned = guide(learned.clamp(-1, 1), references, known)

    # From pass to pass; `image` is at `size`, the last field's places are in `canvas`.
    image, size, canvas, field, matches = learned, scale, None, None, []
    for index, factor in enumerate(references.factors):
        check()
        here = [ceil_side(side * factor) for side in shape]
        level = references.level(index, check, keep)
        pictures = resize(image, factor / size, here, tile), resize(learned, factor / scale, here, tile)
        queries = level.features(*pictures, check, tile)
        kept, drift = np.full(queries.shape[:2], -1, np.int32), np.zeros((2, *queries.shape[:2]), np.float32)
        if before is not None:
            kept, drift = before.matches[index]
        if motion is not None:
            kept, drift = carried(kept, drift, level.canvas, motion)
        if field is None:  # most of a small image's time: of a clip only what is new
            field, new = kept.copy(), kept < 0
            if new.any():
                field[new] = search(queries[new][None], level, check)[0]
        else:
            field = enlarge(field, canvas, level.canvas, factor / size, queries.shape[:2])
        canvas = level.canvas
        field = settle(field, queries, level, kept, check)
        matches.append((field, drift))
        del level, queries  # by far the largest, before the next ones are made
        image, size, done = averaged(field, canvas, check), factor, work[index] / work[-1]
        if known is not None:
            stays = white(known[1], factor, here, tile)
            image = torch.where(stays, resize(known[0], factor, here, tile), image)
    free = None if known is None else ~stays.numpy()
    finished = seamless(image, field, canvas, 1 / scale, check, free)  # over a pixel of the learned image
    if motion is not None:  # by less than a pixel, which patches cannot
        share = drift / np.float32(drift.shape[1:])[:, None, None]
        finished = moved(finished, share).clamp(-1, 1)
    source = source_of(field, canvas)
    if free is not None:
        own = np.stack([np.full(shape, len(references.images)), *np.indices(shape)])
        source = np.where(free, source, own).astype(np.int32)
    return Finished(finished, source, copied_share(field, canvas), references, matches, colours)


def colour_map(image: Tensor, palette: Tensor) -> Tensor:
    """The affine map (3, 4) of least change that gives an image the mean and covariance of its references' colours.

    Training for minutes leaves a learned image pale.

    Args:
        image: (1, 3, H, W) in [-1, 1].
        palette: (3, pixels) of the references, likewise.
    """
    pixels, wanted = image[0].flatten(1).double(), palette.double()
    faint = FAINT**2 * torch.eye(3, dtype=torch.float64)
    root = _root(torch.cov(pixels, correction=0) + faint)
    inverse = torch.linalg.inv(root)
    linear = inverse @ _root(root @ (torch.cov(wanted, correction=0) + faint) @ root) @ inverse
    shift = wanted.mean(dim=1) - linear @ pixels.mean(dim=1)
    return torch.cat([linear, shift[:, None]], dim=1).float()


def _root(matrix: Tensor) -> Tensor:
    """The positive root of a symmetric, positive matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T
