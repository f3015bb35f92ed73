"""The real images the steps of a scale see: one and the same, or the frames of a clip in turn."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from torch import Tensor

from training.frames import FrameOrder, FrameStore
from utils.clips.simplified import SimplifiedClip
from utils.video import Clip
from utils.geometry import Shapes

# The real image of a step, (1, 3, H, W) in [-1, 1].
RealOfStep = Callable[[int], Tensor]
# A domain's real images: open those of a scale.
RealSource = Callable[[int], AbstractContextManager[RealOfStep]]


def still(pyramid: list[Tensor]) -> RealSource:
    """One image, at every scale."""

    @contextmanager
    def at_scale(scale: int) -> Iterator[RealOfStep]:
        yield lambda _: pyramid[scale]

    return at_scale


def frames(clip: Clip | SimplifiedClip, shapes: Shapes, seed: int, device: torch.device, folder: Path) -> RealSource:
    """The frames of a clip at random, each once before any comes again (docs/method.md, section 12).

    Memory does not depend on the clip's length: the frames of a scale wait in a nameless
    temporary file on the disk of `folder`.
    """

    @contextmanager
    def at_scale(scale: int) -> Iterator[RealOfStep]:
        order = FrameOrder(len(clip), seed, scale)
        with FrameStore(clip, shapes[scale], device, folder) as store:
            yield lambda step: store[order(step)]

    return at_scale
