"""Clips: read a film or a folder of pictures frame by frame, write H.264 and GIF."""

import hashlib
import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from utils.errors import UserError
from utils.files import replacing
from utils.pictures.image import open_image

VIDEO_SUFFIXES = {".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv"}
# Frames per second of a folder of pictures, and of a file that names no rate.
DEFAULT_RATE = Fraction(25)
# Browsers play frames shorter than this at a tenth of a second.
GIF_FASTEST = 50
# Colour matrices that ITU-T H.273 (in the stream) and FFmpeg's converter give the same number:
# BT.709, FCC, SMPTE 240M, BT.2020. All others go as BT.601, as FFmpeg does.
MATRICES = {1, 4, 7, 9}
# By how much a frame is to be turned counterclockwise to stand upright.
TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


def is_clip(path: Path) -> bool:
    """Whether a path stands for a clip: a folder (of frames), or a file with the ending of a film."""
    return os.path.isdir(path) or path.suffix.lower() in VIDEO_SUFFIXES


class Clip:
    """The frames of a film or of a folder of pictures, in order: 8-bit RGB pictures of one size.

    Each iteration opens the file anew, decodes as it goes, and holds one frame and the decoder's few
    reference frames, whatever the length. Opening decodes everything once, to count and to check.
    A folder holds one picture per frame, in natural order (2 before 10); hidden files and those without
    a picture's ending are passed over. A film is turned upright as its metadata says; sound is ignored.

    Attributes:
        path: the file or the folder.
        rate: frames per second, of a film with varying rate the mean; 25 where nothing is known.
        size: (width, height) of every frame, pixels.
    """

    def __init__(self, path: Path, flag: str, min_side: int = 1) -> None:
        """Open and check.

        Args:
            path: a film of any format FFmpeg reads, or a folder of pictures.
            flag: the option the path came from, for the error line.
            min_side: the smallest acceptable side of the frames, pixels.

        Raises:
            UserError: missing, damaged, without frames, frames of different sizes or too small.
        """
        self.path = path
        self._flag = flag
        self._pictures = _picture_files(path, flag) if os.path.isdir(path) else None
        if self._pictures is None:
            _check_file(path, flag)
        self.rate = DEFAULT_RATE if self._pictures is not None else self._film_rate()
        self.size, self._count = self._survey(min_side)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Image.Image]:
        if self._pictures is None:
            yield from self._decode()
        else:
            for picture in self._pictures:
                yield open_image(picture, self._flag)

    def fingerprint(self) -> str:
        """SHA-256 of the bytes of the film, or of all pictures in order; a megabyte of memory."""
        digest = hashlib.sha256()
        for path in [self.path] if self._pictures is None else self._pictures:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def _survey(self, min_side: int) -> tuple[tuple[int, int], int]:
        """Decode everything once: the size of all frames, and how many there are."""
        size, count = None, 0
        for frame in self:
            count += 1
            width, height = frame.size
            if min(width, height) < min_side:
                raise UserError(
                    f"{self._flag} {self.path}: is {width}x{height} pixels; at least {min_side} on each side are needed"
                )
            if size not in (None, frame.size):
                raise UserError(
                    f"{self._flag} {self.path}: frame {count} is {width}x{height} pixels, "
                    f"the ones before {size[0]}x{size[1]}; all frames must have the same size"
                )
            size = frame.size
        if size is None:
            raise UserError(f"{self._flag} {self.path}: has no frames")
        return size, count

    @contextmanager
    def _film(self) -> Iterator[tuple]:
        """The open container and its main video stream; FFmpeg's errors as UserError."""
        try:
            # "file:" keeps FFmpeg from reading a protocol into a name with a colon.
            with av.open(f"file:{self.path}") as container:
                stream = container.streams.best("video")
                if stream is None or stream.codec_context is None:
                    raise UserError(f"{self._flag} {self.path}: has no film in it that FFmpeg can decode")
                yield container, stream
        except av.error.FFmpegError as error:
            raise UserError(f"{self._flag} {self.path}: cannot be decoded: {error.strerror or error}") from None

    def _film_rate(self) -> Fraction:
        with self._film() as (_, stream):
            return Fraction(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)

    def _decode(self) -> Iterator[Image.Image]:
        with self._film() as (container, stream):
            for frame in container.decode(stream):
                yield _to_picture(frame)


def _check_file(path: Path, flag: str) -> None:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{flag} {path}: is not a regular file")
    except OSError as error:
        reason = "no such file or folder" if isinstance(error, FileNotFoundError) else error.strerror
        raise UserError(f"{flag} {path}: {reason}") from None


def _picture_files(folder: Path, flag: str) -> list[Path]:
    """The pictures of a folder in natural order."""
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    suffixes -= VIDEO_SUFFIXES  # Pillow knows MPEG by name only.
    try:
        pictures = [path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.name[0] != "."]
    except OSError as error:
        raise UserError(f"{flag} {folder}: cannot be read: {error.strerror}") from None
    if not pictures:
        raise UserError(f"{flag} {folder}: has no pictures in it; a folder given as a clip holds one per frame")
    return sorted(pictures, key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"([0-9]+)", path.name.lower())
    # Texts and numbers alternate; the name itself settles 1.png and 01.png.
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)], path.name


def _to_picture(frame: av.VideoFrame) -> Image.Image:
    """A decoded frame as RGB, upright, by the matrix and the range of values it was encoded with."""
    usual = ColorRange.JPEG if frame.format.is_rgb else ColorRange.MPEG
    picture = frame.to_image(
        src_colorspace=frame.colorspace if frame.colorspace in MATRICES else Colorspace.ITU601,
        src_color_range=frame.color_range or usual,
        dst_colorspace=Colorspace.ITU601,  # Without meaning for RGB, but PyAV 16 needs it.
        dst_color_range=ColorRange.JPEG,
    )
    turn = TURNS.get(round(frame.rotation) % 360)
    return picture if turn is None else picture.transpose(turn)


@contextmanager
def video_writer(path: Path, rate: Fraction, size: tuple[int, int]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a film: H.264 in MP4, to be played anywhere. `with video_writer(...) as write: write(frame)`.

    The file appears under its name when all is written, else not at all. Frames go to the encoder one by
    one; it looks ahead about fifty of them, so memory does not grow with the length (but for the index of
    the file, some bytes a frame). Odd sides are made even with Pillow's bicubic, which the format asks for.

    Args:
        path: where to.
        rate: frames per second, exact.
        size: (width, height) of the frames, pixels.

    Yields:
        A function that takes the next frame, (height, width, 3) 8-bit.
    """
    even = tuple(side + side % 2 for side in size)
    with replacing(path) as temporary, av.open(f"file:{temporary}", "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height = even
        stream.pix_fmt = "yuv420p"
        # BT.601 with the narrow range: said here, and assumed of small pictures by readers that do not look.
        stream.codec_context.colorspace = 6
        stream.codec_context.color_range = ColorRange.MPEG
        written = 0

        def write(pixels: np.ndarray) -> None:
            nonlocal written
            if pixels.shape != (size[1], size[0], 3):
                raise ValueError(f"a frame of shape {pixels.shape} in a film of {size[0]}x{size[1]} pixels")
            picture = Image.fromarray(pixels)
            if even != size:
                picture = picture.resize(even, Image.Resampling.BICUBIC)
            frame = av.VideoFrame.from_ndarray(np.array(picture), "rgb24").reformat(
                format="yuv420p",
                src_color_range=ColorRange.JPEG,
                dst_colorspace=Colorspace.ITU601,
                dst_color_range=ColorRange.MPEG,
            )
            frame.pts, frame.time_base = written, 1 / rate
            container.mux(stream.encode(frame))
            written += 1

        yield write
        if not written:
            raise ValueError("a film without frames")
        container.mux(stream.encode(None))


def save_gif(frames: Iterable[np.ndarray], path: Path, rate: Fraction) -> None:
    """Write an endless GIF of (height, width, 3) 8-bit frames, each with a palette of its own.

    Frames last whole hundredths of a second, rounded so that the sum stays true; of a clip faster than
    50 frames per second every second (third, ...) one is shown. Pillow keeps all frames until the end:
    one byte per pixel and frame. Meant for short clips; `video_writer` has no such limit.
    """
    step = math.ceil(rate / GIF_FASTEST)
    pictures = _timed(islice(frames, 0, None, step), rate / step)
    first = next(pictures)
    with replacing(path) as temporary:
        first.save(temporary, format="GIF", save_all=True, append_images=pictures, loop=0)


def _timed(frames: Iterable[np.ndarray], rate: Fraction) -> Iterator[Image.Image]:
    for index, pixels in enumerate(frames):
        picture = Image.fromarray(pixels)
        start, end = (round(100 * number / rate) for number in (index, index + 1))
        picture.info["duration"] = 10 * (end - start)
        yield picture
