"""Clips: a video, an animated image or a folder of images, frame by frame."""

import hashlib
import itertools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median_low
from types import ModuleType
from typing import NamedTuple

from PIL import Image

from utils.commands import install
from utils.errors import UserError
from utils.image import as_rgb, check_file, check_size, open_image, opened, print_warning

ANIMATIONS = {"GIF", "PNG", "WEBP"}
DEFAULT_RATE = Fraction(25)  # frames per second of a folder, and of a video that does not say
HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics (ITU-T H.273) that a screen of 8 bits cannot show as they are
# Colour matrices that H.273 and FFmpeg's converter give the same number: BT.709, FCC, SMPTE 240M, BT.2020.
MATRICES = {1, 4, 7, 9}
# What is shown for less, in milliseconds, browsers show for the second number instead.
TOO_FAST, INSTEAD = 11, 100


class Frame(NamedTuple):
    """A frame as it is read: its (width, height) as shown, what makes its 8-bit RGB image where that is wanted; when it
    is shown and for how long, in seconds, None where it is not known."""

    size: tuple[int, int]
    image: Callable[[], Image.Image]
    start: Fraction | None
    lasts: Fraction | None


@dataclass(frozen=True)
class Times:
    """When the frames of a clip are shown: `starts` of each in seconds from 0, and after them the end."""

    starts: tuple[Fraction, ...]

    @classmethod
    def constant(cls, rate: Fraction, count: int) -> "Times":
        """So many frames at a constant rate."""
        return cls(tuple(index / rate for index in range(count + 1)))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def rate(self) -> Fraction:
        """Frames per second, the mean over the clip."""
        return len(self) / self.starts[-1]

    def seconds(self, index: int) -> Fraction:
        """When a frame is shown; of index `len` when the last one ends."""
        return self.starts[index]


def clip_times(frames: Sequence[tuple[Fraction | None, Fraction | None]], rate: Fraction | None) -> Times:
    """The times of a clip from what its frames say, and a declared rate for what they do not.

    A video whose frames have no times, or times that do not grow, has the declared rate. The last frame lasts as long
    as it says, else as long as is usual in the clip.
    """
    starts = [start for start, _ in frames]
    if None in starts or any(a >= b for a, b in itertools.pairwise(starts)):
        return Times.constant(rate or DEFAULT_RATE, len(frames))
    gaps = [b - a for a, b in itertools.pairwise(starts)]
    last = frames[-1][1] or (median_low(gaps) if gaps else 1 / (rate or DEFAULT_RATE))
    return Times(tuple(start - starts[0] for start in [*starts, starts[-1] + last]))


def import_av(start: str) -> ModuleType:
    """The package av, needed for videos alone; UserError, its line beginning with `start`, where it is missing."""
    try:
        import av
    except ImportError:
        raise UserError(f"{start}videos need the package av: {install('av')}") from None
    return av


class Folder:
    """One image per frame, in natural order (2 before 10), 25 a second; hidden and other files are passed over."""

    rate = DEFAULT_RATE

    def __init__(self, path: Path, flag: str) -> None:
        kinds = Image.OPEN.keys() - {"MPEG"}  # of which Pillow knows the name alone
        suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds}
        files = [file for file in path.iterdir() if file.suffix.lower() in suffixes and file.name[0] != "."]
        if not files:
            raise UserError(f"{flag} {path}: has no images in it; a folder given as a clip holds one per frame")
        self.files = sorted(files, key=_natural)
        self._flag = flag

    def frames(self) -> Iterator[Frame]:
        for file in self.files:
            image = open_image(file, self._flag)
            yield Frame(image.size, lambda image=image: image, None, None)


class Animation:
    """An animated GIF, WebP or PNG. Frames of 10 ms and less last 100 ms, as browsers have it."""

    rate = None

    def __init__(self, path: Path, flag: str) -> None:
        self.files, self._name = [path], f"{flag} {path}"

    def frames(self) -> Iterator[Frame]:
        with opened(self.files[0], self._name) as file:
            start = Fraction(0)
            # An animated PNG may begin with an image that does not belong to it.
            for index in range(int(getattr(file, "default_image", False)), file.n_frames):
                file.seek(index)
                file.load()
                duration = Fraction(file.info.get("duration") or 0)
                lasts = (duration if duration >= TOO_FAST else INSTEAD) / Fraction(1000)
                image = as_rgb(file.copy(), self._name)
                yield Frame(image.size, lambda image=image: image, start, lasts)
                start += lasts


class Video:
    """A video of any format FFmpeg decodes, its sound ignored.

    Frames come as a player shows them: turned, and with square pixels (the height kept, as most players do).
    """

    def __init__(self, path: Path, flag: str) -> None:
        self.files, self._name = [path], f"{flag} {path}"
        self._av = import_av(f"{self._name}: ")
        with self._open() as (_, stream):
            self.rate = stream.average_rate or stream.guessed_rate
            if kind := HDR.get(stream.codec_context.color_trc):
                print_warning(
                    f"{self._name}: is HDR ({kind}) and looks washed out here; convert it to SDR first, with FFmpeg: "
                    "-vf zscale=t=linear:npl=100,tonemap=hable,zscale=p=bt709:t=bt709:m=bt709,format=yuv420p"
                )

    def frames(self) -> Iterator[Frame]:
        damaged = 0
        with self._open() as (container, stream):
            stream.thread_type = "AUTO"
            for packet in container.demux(stream):
                try:
                    decoded = packet.decode()
                except self._av.error.FFmpegError:
                    damaged += 1
                    continue
                for frame in decoded:
                    start = None if frame.pts is None else frame.pts * frame.time_base
                    lasts = frame.duration * frame.time_base if frame.duration else None
                    width = max(1, round(frame.width * (stream.sample_aspect_ratio or 1)))
                    size = (width, frame.height)[:: -1 if frame.rotation % 180 else 1]
                    yield Frame(size, partial(self._image, frame, width), start, lasts)
        if damaged:
            print_warning(f"{self._name}: {damaged} damaged frames are left out")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What FFmpeg cannot read, as UserError."""
        try:
            yield
        except self._av.error.FFmpegError as error:
            reason = error.strerror or error
            raise UserError(f"{self._name}: cannot be read, as an image or a video: {reason}") from None

    @contextmanager
    def _open(self) -> Iterator[tuple]:
        """The open file and its video."""
        # "file:" keeps FFmpeg from reading a protocol into a name with a colon.
        with self._reading(), self._av.open(f"file:{self.files[0]}", metadata_errors="replace") as container:
            stream = container.streams.best("video")
            if stream is None or stream.codec_context is None:
                raise UserError(f"{self._name}: has no video in it that FFmpeg can decode")
            yield container, stream

    def _image(self, frame, width: int) -> Image.Image:
        """A decoded frame as RGB, by the matrix and range it was encoded with; `width` is before it is turned."""
        formats = self._av.video.reformatter
        usual = formats.ColorRange.JPEG if frame.format.is_rgb else formats.ColorRange.MPEG
        with self._reading():
            pixels = frame.reformat(
                format="rgb24",
                src_colorspace=frame.colorspace if frame.colorspace in MATRICES else formats.Colorspace.ITU601,
                src_color_range=frame.color_range or usual,
                dst_colorspace=formats.Colorspace.ITU601,  # Without meaning for RGB, but PyAV 16 needs it.
                dst_color_range=formats.ColorRange.JPEG,
            ).to_ndarray()
            image = Image.fromarray(pixels)
        if width != image.width:
            image = image.resize((width, image.height), Image.Resampling.BICUBIC)
        return image.rotate(frame.rotation, expand=True) if frame.rotation else image


class Clip:
    """The frames of a video, an animated image or a folder of images, in order: 8-bit RGB images of one size.

    Each iteration opens the file anew, decodes as it goes, and holds one frame, whatever the length. Opening decodes
    everything once, to count and to check.

    Attributes:
        times: when each frame is shown.
        size: (width, height) of every frame, pixels.
    """

    def __init__(self, path: Path, flag: str, min_side: int = 1) -> None:
        """Open and check; UserError where it is missing, has no frames, of different sizes or too small ones."""
        self._name = f"{flag} {path}"
        if not path.is_dir():
            check_file(path, self._name)
        kind = Folder if path.is_dir() else Animation if _pillow_frames(path) > 1 else Video
        self._source = kind(path, flag)
        self.size, times = None, []
        for number, frame in enumerate(self._source.frames(), start=1):
            check_size(frame.size, min_side, self._name)
            if self.size not in (None, frame.size):
                one, other = ("x".join(map(str, size)) for size in (frame.size, self.size))
                raise UserError(
                    f"{self._name}: frame {number} is {one} pixels, the ones before {other}; all frames "
                    "must have the same size"
                )
            self.size = frame.size
            times.append((frame.start, frame.lasts))
        if self.size is None:
            raise UserError(f"{self._name}: has no frames that can be decoded")
        self.times = clip_times(times, self._source.rate)

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
        """SHA-256 of the bytes of the video, or of all images in order."""
        digest = hashlib.sha256()
        for path in self._source.files:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()


def is_clip(path: Path) -> bool:
    """Whether a path stands for a clip: a folder of frames, an animated image, or what FFmpeg alone can read."""
    if path.is_dir():
        return True
    frames = _pillow_frames(path) if path.is_file() else 1
    return frames > 1 or (frames == 0 and path.suffix.lower() not in Image.registered_extensions())


def refuse_clip(path: Path, flag: str) -> None:
    """UserError where a path that must be a still image is a clip."""
    if path.is_file() and is_clip(path):
        raise UserError(f"{flag} {path}: is a clip, but must be a still image; save one of its frames as PNG")


def _pillow_frames(path: Path) -> int:
    """How many frames Pillow finds in a file; 0 where it is no image to it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return image.n_frames if image.format in ANIMATIONS else 0 if image.format == "MPEG" else 1
    except Exception:  # Damaged, too large or no image: opening it says what is wrong.
        return 0


def _natural(path: Path) -> tuple[list[str | int], str]:
    """2 before 10; the name itself settles 1.png and 01.png."""
    parts = re.split(r"([0-9]+)", path.name.lower())  # texts and numbers by turns
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path.name
