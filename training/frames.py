"""The real images the steps of a scale see: one and the same, or the frames of a clip in turn."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from utils.geometry import Shapes
from utils.image import image_to_tensor, pixels_to_tensor, simplified, to_uint8
from utils.progress import Bar
from utils.rng import stream
from utils.video import Clip

Check = Callable[[], object]  # called now and then; may raise to stop
# A domain's real images: of a scale, what gives the real image of a step, (1, 3, H, W) in [-1, 1].
RealSource = Callable[[int, Check], Callable[[int], Tensor]]


def still(pyramid: list[Tensor]) -> RealSource:
    """One image, at every scale."""
    return lambda scale, check: lambda step: pyramid[scale]


def frames(clip: Clip, quant_level: int, shapes: Shapes, seed: int, device: torch.device, folder: Path) -> RealSource:
    """The frames of a clip at random, each once before any comes again (docs/method.md, section 12).

    Memory does not depend on the clip's length: each scale decodes the clip once, and its resized frames wait in a
    nameless temporary file on the disk of `folder`, 3 height width bytes a frame.

    Args:
        quant_level: to how many greys they are simplified, at the finest of the `shapes`; 0: not at all.
    """

    def of_scale(scale: int, check: Check) -> Callable[[int], Tensor]:
        # Written, not mapped to begin with: a full disk would then end the process without a word.
        with tempfile.TemporaryFile(dir=folder) as file, Bar(len(clip)) as bar:
            for index, each in enumerate(clip):
                frame = image_to_tensor(simplified(each, quant_level, shapes[-1]), shapes[scale])
                file.write(to_uint8(frame).tobytes())
                check()
                bar.show(index + 1, f"scale {scale}, reading frame {index + 1}/{len(clip)}")
            file.flush()
            stored = np.memmap(file, np.uint8, "r", shape=(len(clip), *shapes[scale], 3))
        return lambda step: pixels_to_tensor(np.array(stored[frame_of_step(step, len(clip), seed, scale)]), device)

    return of_scale


def frame_of_step(step: int, count: int, seed: int, scale: int) -> int:
    """Which of `count` frames a step of a scale sees, both from 0: each once before any comes again."""
    turn, place = divmod(step, count)
    return int(torch.randperm(count, generator=stream(seed, "frames", scale, turn))[place])
