"""The real images the steps of a scale see: one and the same, or the frames of a clip in turn."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from utils.device import send
from utils.geometry import Shapes
from utils.image import pixels_to_tensor, resize_image
from utils.palette import simplified
from utils.rng import stream
from utils.video import Clip

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


def frames(clip: Clip, quant_level: int, shapes: Shapes, seed: int, device: torch.device, folder: Path) -> RealSource:
    """The frames of a clip at random, each once before any comes again (docs/method.md, section 12).

    Memory does not depend on the clip's length: each scale decodes the clip once, and its resized frames wait in a
    nameless temporary file on the disk of `folder`, 3 height width bytes a frame.

    Args:
        quant_level: to how many greys they are simplified, at the finest of the `shapes`; 0: not at all.
    """

    @contextmanager
    def at_scale(scale: int) -> Iterator[RealOfStep]:
        with tempfile.TemporaryFile(dir=folder) as file:
            for frame in clip:
                pixels = resize_image(simplified(frame, quant_level, shapes[-1]), shapes[scale])
                file.write(pixels.numpy().tobytes())
            file.flush()
            stored = np.memmap(file, np.uint8, "r", shape=(len(clip), 3, *shapes[scale]))

            def real(step: int) -> Tensor:
                pixels = torch.from_numpy(np.array(stored[frame_of_step(step, len(clip), seed, scale)]))
                return pixels_to_tensor(send(pixels, device), device)

            yield real

    return at_scale


def frame_of_step(step: int, count: int, seed: int, scale: int) -> int:
    """Which of `count` frames a step of a scale sees, both from 0: each once before any comes again."""
    turn, place = divmod(step, count)
    return int(torch.randperm(count, generator=stream(seed, "frames", scale, turn))[place])
