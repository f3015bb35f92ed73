"""The coarse-to-fine loop of finishing (docs/method.md, section 14), and before it the image that it follows."""

from collections.abc import Callable

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from finishing.canvas import white
from finishing.field import copied_share, enlarge, search, settle, source_of
from finishing.fill import fill, forgotten_border
from finishing.finished import Finished
from finishing.motion import Motion, carried, moved
from finishing.references import References
from finishing.votes import averaged, seamless
from utils.geometry import ceil_side
from utils.resize import resampled, resize, resize_weights

FAINT = 0.01  # standard deviation, [-1, 1], below which a colour's variation counts as none
FILLED_REACH = 1 / 4  # of the longer side: over what colours are evened out in a hole that follows no learned image


@threadpool_limits.wrap(limits=1, user_api="blas")  # of matrices this small a team is slower, much so on a busy machine
@torch.no_grad()
def finish(
    learned: Tensor,
    references: References,
    before: tuple[Finished, Motion] | None = None,
    progress: Callable[[float], object] | None = None,
    kept: tuple[Tensor, Tensor] | None = None,
) -> Finished:
    """Finish a learned image with patches of references that were prepared for its size. Deterministic; on the CPU.

    Args:
        learned: (1, 3, h, w) in [-1, 1]; brought to the aspect of the finished image.
        before: in a clip the frame before, finished with the same references, and the motion since: its matches follow
            that, and are kept where no others are clearly better. At a cut none is.
        progress: called every fraction of a second, after each band of rows, with the share of the passes' pixels
            that is done, up to 1; may raise to stop it.
        kept: an image of the finished size, (1, 3, H, W), and a mask, (H, W) float, 1 for what stays as it is there.
    """
    shape, scale, tile = references.shape, references.scale, references.tile
    work = np.square(references.factors).cumsum()
    last, motion = before if before and before[1].found.any() else (None, None)  # a cut: in colours of its own
    done = 0.0

    def check() -> None:
        if progress is not None:
            progress(done)

    # The learned image in the finished one's aspect, each axis by a factor of its own, and in the references' colours.
    sizes = zip(learned.shape[-2:], (ceil_side(side * scale) for side in shape), strict=True)
    learned = resampled(learned.cpu(), *(resize_weights(length, wanted / length, wanted) for length, wanted in sizes))
    if kept is not None:
        colours = torch.eye(3, 4)  # what is filled in has those around it
    else:
        colours = colour_map(learned, references.palette) if last is None else last.colours
    learned = torch.einsum("ij,njhw->nihw", colours[:, :3], learned) + colours[:, 3].view(1, 3, 1, 1)
    learned = learned.clamp(-1, 1)
    alone = kept is not None and references.weight == 0 and not kept[1].all()  # a hole that follows no learned image
    if kept is None and any(tile):
        learned = forgotten_border(learned, references, check)

    # From pass to pass; `image` is at `size`, the last field's places are in `canvas`.
    first, image, size, canvas, field, matches = 0, learned, scale, None, None, []
    if alone:
        (_, image, field, canvas), first = fill(*kept, references, check)
        size = references.factors[first - 1]
    for index, factor in list(enumerate(references.factors))[first:]:
        check()
        here = [ceil_side(side * factor) for side in shape]
        level = references.level(index, check)
        pictures = resize(image, factor / size, here, tile), resize(learned, factor / scale, here, tile)
        queries = level.features(*pictures, check, tile)
        previous, drift = np.full(queries.shape[:2], -1, np.int32), np.zeros((2, *queries.shape[:2]), np.float32)
        if last is not None:
            previous, drift = carried(*last.matches[index], level.canvas, motion)
        if field is None:  # most of a small image's time: of a clip only what is new
            field, new = previous.copy(), previous < 0
            if new.any():
                field[new] = search(queries[new][None], level, check)[0]
        else:
            field = enlarge(field, canvas, level.canvas, factor / size, queries.shape[:2])
        canvas = level.canvas
        field = settle(field, queries, level, previous, check)
        matches.append((field, drift))
        del level, queries  # by far the largest, before the next ones are made
        image, size, done = averaged(field, canvas, check), factor, work[index] / work[-1]
        if kept is not None:
            stays = white(kept[1], factor, here, tile)
            image = torch.where(stays, resize(kept[0], factor, here, tile), image)
    free = None if kept is None else ~stays.numpy()
    reach = FILLED_REACH * max(shape) if alone else 1 / scale  # a pixel of the learned image
    finished = seamless(image, field, canvas, reach, check, free)
    if last is not None:  # by less than a pixel, which patches cannot
        share = drift / np.float32(drift.shape[1:])[:, None, None]
        finished = moved(finished, share).clamp(-1, 1)
    source = source_of(field, canvas)
    if free is not None:
        source[0][~free] = len(references.images)  # the rest of it `Finisher` knows, which has the whole picture
    return Finished(finished, source, copied_share(field, canvas, free), references, matches, colours)


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
