"""Frames of a clip as training and translation use them: in a store, in random order, simplified, compared."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from utils.image import image_to_tensor, pixels_to_tensor, resize_picture, to_uint8
from utils.streams import stream
from utils.video import Clip

LUMA = (0.299, 0.587, 0.114)


def simplify(image: Tensor, levels: int) -> Tensor:
    """Few grey levels, dark and bright exchanged (METHOD section 12).

    With x the inverted grey value in [-1, 1], the result is `trunc((x - 0.01) levels) / levels`: a multiple
    of 1 / levels from -1 to 1 - 1 / levels, rounded towards mid-grey. The 0.01 takes white out of a level
    of its own. Two levels give -1, -0.5, 0 and 0.5.

    Args:
        image: (1, 3, H, W) in [-1, 1].
        levels: the published `quant_level`, 2 there.

    Returns:
        (1, 3, H, W), all channels alike.
    """
    weights = image.new_tensor(LUMA).view(1, 3, 1, 1)
    inverted = -(image * weights).sum(dim=1, keepdim=True)
    return (torch.trunc((inverted - 0.01) * levels) / levels).expand_as(image).contiguous()


class SimplifiedClip:
    """A clip whose frames are simplified at one size; stands wherever a clip does. Holds one frame."""

    def __init__(self, clip: Clip, shape: tuple[int, int], levels: int) -> None:
        """Simplify at (height, width) `shape`, the size of the finest scale, to `levels`."""
        self.rate = clip.rate
        self.size = (shape[1], shape[0])
        self._clip, self._shape, self._levels = clip, shape, levels

    def __len__(self) -> int:
        return len(self._clip)

    def __iter__(self) -> Iterator[Image.Image]:
        for frame in self._clip:
            yield Image.fromarray(to_uint8(simplify(image_to_tensor(frame, self._shape, "cpu"), self._levels)))


class FrameStore:
    """All frames of a clip at one scale, in a nameless temporary file; `store[i]` reads one of them.

    Filling it decodes the clip once. In memory there is one frame at a time; on the disk 3 height width
    bytes a frame, gone with `close()` or the process. Not for several threads at once.
    """

    def __init__(
        self, clip: Clip | SimplifiedClip, shape: tuple[int, int], device: torch.device, folder: Path | None = None
    ) -> None:
        """Decode, resize and store.

        Args:
            clip: where the frames come from.
            shape: (height, width) to resize to, straight from the original (METHOD section 2).
            device: where the frames are wanted.
            folder: on which disk; the system's temporary folder by default, which may be memory.

        Raises:
            UserError: the clip cannot be read any more.
            OSError: the disk is full.
        """
        self._shape = (3, *shape)
        self._bytes = 3 * shape[0] * shape[1]
        self._device = device
        self._count = 0
        # Read and written directly, not mapped: mapped pages would count as this process's memory.
        self._file = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115
        try:
            for frame in clip:
                self._write(resize_picture(frame, shape).numpy().tobytes())
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Tensor:
        """Frame `index`, from 0, as (1, 3, H, W) in [-1, 1] on the device."""
        if not 0 <= index < self._count:
            raise IndexError(f"frame {index} of {self._count}")
        pixels = bytearray(self._bytes)
        self._file.seek(index * self._bytes)
        if self._file.readinto(pixels) != self._bytes:
            raise OSError("the temporary file with the frames is cut short")
        return pixels_to_tensor(torch.frombuffer(pixels, dtype=torch.uint8).view(self._shape), self._device)

    def __enter__(self) -> "FrameStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def _write(self, pixels: bytes) -> None:
        rest = memoryview(pixels)
        while rest:  # An unbuffered write may take only a part, on a disk that is almost full.
            rest = rest[self._file.write(rest) :]
        self._count += 1


class FrameOrder:
    """Which frame each step of a scale uses: at random, every frame once before any comes again.

    A pure function of (seed, scale, step): steps may be asked for in any order.
    """

    def __init__(self, count: int, seed: int, scale: int) -> None:
        """Order the frames 0..count - 1 for one scale."""
        self._count, self._seed, self._scale = count, seed, scale
        self._turn, self._order = -1, []

    def __call__(self, step: int) -> int:
        """The frame of `step`, both from 0."""
        turn, place = divmod(step, self._count)
        if turn != self._turn:
            generator = stream(self._seed, "frames", self._scale, turn)
            self._turn, self._order = turn, torch.randperm(self._count, generator=generator).tolist()
        return self._order[place]


class Flicker:
    """How much more restless a translated clip is than its source; holds one frame of each.

    The mean absolute difference between consecutive frames of the output, over that of the input: 1 is as
    lively as the source, above it flickers.
    """

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._changes = [0.0, 0.0]

    def add(self, source: Tensor, output: Tensor) -> None:
        """The next frame of both, in order; each always of the same shape, in [-1, 1]."""
        if self._last is not None:
            for i, (before, now) in enumerate(zip(self._last, (source, output), strict=True)):
                self._changes[i] += (now - before).abs().mean().item()
        self._last = (source.detach().clone(), output.detach().clone())

    @property
    def value(self) -> float | None:
        """The ratio; None where the source does not change (fewer than two frames, a still)."""
        source, output = self._changes
        return output / source if source > 0 else None
