"""Clips: a film, an animated image or a folder of images, frame by frame."""

import hashlib
import itertools
import os
import re
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from PIL import Image

from utils.clips.animation import Animation
from utils.clips.film import Film
from utils.clips.frame import Frame
from utils.clips.kind import Kind, image_suffixes, kind_of
from utils.clips.times import DEFAULT_RATE, UNKNOWN, Times, film_times
from utils.errors import UserError
from utils.image import check_file, check_size, open_image, print_warning


class Folder:
    """One image per frame, in natural order (2 before 10), 25 a second.

    Hidden files and those without an image's ending are passed over.
    """

    clock = 1 / DEFAULT_RATE
    rates = (DEFAULT_RATE,)

    def __init__(self, path: Path, flag: str) -> None:
        suffixes = image_suffixes()
        try:
            files = [file for file in path.iterdir() if file.suffix.lower() in suffixes and file.name[0] != "."]
        except OSError as error:
            raise UserError(f"{flag} {path}: cannot be read: {error.strerror}") from None
        if not files:
            raise UserError(f"{flag} {path}: has no images in it; a folder given as a clip holds one per frame")
        self.files = sorted(files, key=_natural)
        self.faults: list[str] = []
        self._flag = flag

    def frames(self) -> Iterator[Frame]:
        """All images in order."""
        names: dict[str, list[str]] = {}  # of the files, by what is wrong with them
        for file in self.files:
            found: list[str] = []
            image = open_image(file, self._flag, warn=found.append)
            for fault in found:
                names.setdefault(fault, []).append(file.name)
            yield Frame(image.size, UNKNOWN, 0, lambda image=image: image)
        self.faults = [_together(*item) for item in names.items()]


SOURCES = {Kind.FOLDER: Folder, Kind.ANIMATION: Animation}


class Clip:
    """The frames of a film, an animated image or a folder of images, in order: 8-bit RGB images of one size.

    Each iteration opens the file anew, decodes as it goes, and holds one frame, whatever the length. Opening
    decodes everything once, to count and to check; what is damaged is left out, and said in a line on standard
    error. Of each frame its start is kept, 8 bytes.

    Attributes:
        path: the file or the folder.
        times: when each frame is shown.
        size: (width, height) of every frame, pixels.
    """

    def __init__(self, path: Path, flag: str, min_side: int = 1) -> None:
        """Open and check.

        Args:
            path: a film of any format FFmpeg reads, an animated image, or a folder of images.
            flag: the option the path came from, for the error line.
            min_side: the smallest acceptable side of the frames, pixels.

        Raises:
            UserError: missing, without frames that can be decoded, frames of different sizes or too small.
        """
        self.path = path
        self._name = f"{flag} {path}"
        if not os.path.isdir(path):
            check_file(path, self._name)
        self._source = SOURCES.get(kind_of(path), Film)(path, flag)
        self.size, self.times = self._survey(min_side)
        if self._source.faults:
            print_warning(f"{self._name}: {'; '.join(dict.fromkeys(self._source.faults))}")

    @property
    def rate(self) -> Fraction:
        """Frames per second, the mean over the clip."""
        return self.times.rate

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[Image.Image]:
        for index, frame in itertools.zip_longest(range(len(self)), self._source.frames()):
            if index is None or frame is None or frame.size != self.size:
                raise UserError(f"{self._name}: has changed since it was opened; start again")
            yield frame.image()

    def fingerprint(self) -> str:
        """SHA-256 of the bytes of the film, or of all images in order; a megabyte of memory."""
        digest = hashlib.sha256()
        for path in self._source.files:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def _survey(self, min_side: int) -> tuple[tuple[int, int], Times]:
        """Decode everything once: the size of all frames, and when they are shown."""
        size, before, truthful = None, None, True
        starts = array("q")
        for count, frame in enumerate(self._source.frames(), start=1):
            check_size(frame.size, min_side, self._name)
            if size not in (None, frame.size):
                what = "a folder is a clip, and all its images" if isinstance(self._source, Folder) else "all frames"
                raise UserError(
                    f"{self._name}: frame {count} is {frame.size[0]}x{frame.size[1]} pixels, "
                    f"the ones before {size[0]}x{size[1]}; {what} must have the same size"
                )
            # How long the last frame lasts is to be believed where it is so of all others.
            truthful &= before is None or (before.lasts > 0 and abs(before.start + before.lasts - frame.start) <= 1)
            size, before = frame.size, frame
            starts.append(frame.start)
        if before is None:
            raise UserError(f"{self._name}: has no frames that can be decoded")
        last = before.lasts if truthful else 0
        return size, film_times(starts, self._source.clock, last, self._source.rates)


def _together(fault: str, names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}: {fault}"


def _natural(path: Path) -> tuple[list[str | int], str]:
    """2 before 10; the name itself settles 1.png and 01.png."""
    parts = re.split(r"([0-9]+)", path.name.lower())  # texts and numbers by turns
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path.name
