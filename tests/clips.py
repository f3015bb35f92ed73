"""Small clips made here, as this program and others write them."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from conftest import make_picture
from PIL import Image

from utils.video_writer import video_writer

GREYS = (20, 60, 100, 140, 180, 220)
RATE = Fraction(24000, 1001)  # of films of which each frame lasts no whole number of milliseconds


def flat(grey: int, size: tuple[int, int] = (48, 32)) -> np.ndarray:
    """A frame of one grey."""
    return np.full((size[1], size[0], 3), grey, dtype=np.uint8)


def steady(rate: Fraction | int, count: int) -> list[Fraction]:
    """The times of so many frames at a constant rate."""
    return [Fraction(index) / rate for index in range(count + 1)]


def film(path: Path, *greys: int, size: tuple[int, int] = (48, 32)) -> Path:
    """A film of one grey per frame, 25 a second."""
    greys = greys or GREYS
    with video_writer(path, steady(25, len(greys)), size) as write:
        for grey in greys:
            write(flat(grey, size))
    return path


def moving(path: Path, count: int) -> Path:
    """A film of a bright square that moves over a coloured ground."""
    ground = np.asarray(Image.open(make_picture(path.with_suffix(".png"), 4, size=(48, 32))))
    with video_writer(path, steady(RATE, count), (48, 32)) as write:
        for index in range(count):
            frame = ground.copy()
            frame[8:20, 4 * index : 4 * index + 12] = 250
            write(frame)
    return path


def encoded(
    path: Path,
    frames: Sequence[np.ndarray],
    codec: str = "mpeg4",
    *,
    starts: Sequence[int] | None = None,
    rate: int = 25,
    pixel: Fraction | None = None,
    colorspace: int = 2,
    options: dict[str, str] | None = None,
) -> Path:
    """A film as another program would write it.

    Args:
        path: where to; the ending says which container.
        frames: (height, width, 3), 8-bit.
        codec, options: FFmpeg's name of the encoder, and what it is told.
        starts: of each frame in milliseconds; not given: at `rate`.
        rate: what the container is told of the rate.
        pixel: width of a pixel over its height.
        colorspace: the matrix, as H.273 numbers it; 2: not said, which means BT.601.
    """
    clock = Fraction(1, 1000) if starts else Fraction(1, rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = pixel or 1
        stream.codec_context.colorspace = colorspace
        stream.codec_context.time_base = clock
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=colorspace if colorspace == 1 else None)
            frame.pts, frame.time_base = starts[index] if starts else index, clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Give an MP4 film a display matrix."""
    content = bytearray(path.read_bytes())
    one = 1 << 16
    matrix = (a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", content, content.index(b"tkhd") + 44, *matrix)
    path.write_bytes(content)
    return path
