"""Which images share a call of a network (docs/method.md, section 9).

Images in one batch do not influence one another, because the normalisation is per image. Small ones share a call,
which is faster. Larger ones have a call each, and the memory of one is free again before the next one's: from a side of
about 100 pixels on that is no slower on a CPU. A GPU is kept busy by fewer and larger calls, so there images of all
sizes of the paper's settings share calls.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from models.networks import Generator

# Height times width of the largest images that share a call.
MOST_PIXELS_SHARED = 2**13
MOST_PIXELS_SHARED_ON_GPU = 2**16


def share_call(images: Sequence[Tensor]) -> bool:
    """Whether images, (1, 3, H, W) each, are small enough for their device to share a call, and of one shape."""
    most = MOST_PIXELS_SHARED if images[0].device.type == "cpu" else MOST_PIXELS_SHARED_ON_GPU
    return len({image.shape for image in images}) == 1 and images[0].shape[-2:].numel() <= most


def batches(images: Sequence[Tensor]) -> list[Tensor]:
    """Images, (1, 3, H, W) each, as batches for a call each: all in one, or every one by itself."""
    return [torch.cat(list(images))] if share_call(images) else list(images)


def batches_with(images: Sequence[Tensor], *others: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """`batches`, each with the part of every other sequence that belongs to its images."""
    done = 0
    for batch in batches(images):
        yield batch, *(other[done : done + len(batch)] for other in others)
        done += len(batch)


def generate(
    generator: Generator, images: Sequence[Tensor], bases: Sequence[Tensor], recompute: bool = False
) -> tuple[Tensor, ...]:
    """What a generator makes of images with their bases, (1, 3, H, W) each; as many, in their order.

    Args:
        recompute: keep nothing of the graph but its inputs; the backward pass computes the rest again.
    """
    call = partial(checkpoint, generator, use_reentrant=False, preserve_rng_state=False) if recompute else generator
    return torch.cat([call(*pair) for pair in zip(batches(images), batches(bases), strict=True)]).split(1)
