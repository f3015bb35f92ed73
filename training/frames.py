"""The real images the steps of a scale see: one and the same, or the frames of a clip in turn."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from torch import Tensor

from utils.device import send
from utils.geometry import Shapes
from utils.image import pixels_to_tensor, resize_image
from utils.rng import stream
from utils.simplified import SimplifiedClip
from utils.video import Clip

# The real image of a step, (1, 3, H, W) in [-1, 1].
RealOfStep = Callable[[int], Tensor]
# A domain's real images: open those of a scale.
RealSource = Callable[[int], AbstractContextManager[RealOfStep]]


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
            shape: (height, width) to resize to, straight from the original (docs/method.md, section 2).
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
                self._write(resize_image(frame, shape).numpy().tobytes())
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
        frame = torch.frombuffer(pixels, dtype=torch.uint8).view(self._shape)
        return pixels_to_tensor(send(frame, self._device), self._device)

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
