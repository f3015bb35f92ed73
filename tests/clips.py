"""Small clips made here: good ones, and such as cameras, editors and accidents make."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from utils.video import Times
from utils.video_writer import video_writer

GREYS = (20, 60, 100, 140, 180, 220)


def flat(grey: int | tuple[int, int, int], size: tuple[int, int] = (48, 32)) -> np.ndarray:
    """A frame of one colour."""
    return np.full((size[1], size[0], 3), grey, dtype=np.uint8)


def film(path: Path, *greys: int, size: tuple[int, int] = (48, 32), rate: Fraction = Fraction(25)) -> Path:
    """A film of one grey per frame."""
    greys = greys or GREYS
    with video_writer(path, Times.constant(rate, len(greys)), size) as write:
        for grey in greys:
            write(flat(grey, size))
    return path


def encoded(
    path: Path,
    frames: Sequence[np.ndarray],
    codec: str = "mpeg4",
    kind: str = "yuv420p",
    *,
    starts: Sequence[int] | None = None,
    clock: Fraction = Fraction(1, 1000),
    rate: Fraction | int = 25,
    pixel: Fraction | None = None,
    title: str = "",
    muxer: str | None = None,
    options: dict[str, str] | None = None,
    muxer_options: dict[str, str] | None = None,
) -> Path:
    """A film as another program would write it.

    Args:
        path: where to; the ending says which container, but for `muxer`.
        frames: (height, width, 3), or 4 with transparency, 8-bit.
        codec, kind: FFmpeg's names of the encoder and of its pixels.
        starts: of each frame, in ticks of `clock`; not given: at `rate`.
        clock: seconds a tick.
        rate: what the container is told of the rate.
        pixel: width of a pixel over its height.
        title: as its metadata have it.
        muxer, muxer_options: FFmpeg's name of the container and its options.
        options: of the encoder.
    """
    rate = Fraction(rate)
    with av.open(str(path), "w", format=muxer, options=muxer_options or {}) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = kind
        if pixel is not None:
            stream.codec_context.sample_aspect_ratio = pixel
        stream.codec_context.time_base = clock if starts else 1 / rate
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgba" if pixels.shape[2] == 4 else "rgb24")
            full = not kind.startswith("yuv") or kind.startswith("yuvj")
            frame = frame.reformat(
                format=kind,
                src_color_range=ColorRange.JPEG,
                dst_colorspace=Colorspace.ITU601,
                dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            )
            frame.pts, frame.time_base = starts[index] if starts else index, clock if starts else 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def without_default_duration(path: Path) -> Path:
    """Take the declared duration of a frame out of a Matroska file."""
    content = path.read_bytes()
    assert content.count(b"\x23\xe3\x83\x84") == 1
    # The element becomes a void one of the same length.
    path.write_bytes(content.replace(b"\x23\xe3\x83\x84", b"\xec\x86\0\0"))
    return path


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Give an MP4 film a display matrix."""
    content = bytearray(path.read_bytes())
    one = 1 << 16
    matrix = (a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", content, content.index(b"tkhd") + 44, *matrix)
    path.write_bytes(content)
    return path


def packets(path: Path) -> list[tuple[int, int]]:
    """(position, size) of each frame in a file."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def damaged(path: Path, *numbers: int) -> Path:
    """Zeros in place of some frames, counted from 1."""
    content, places = bytearray(path.read_bytes()), packets(path)
    for number in numbers:
        position, size = places[number - 1]
        content[position : position + size] = bytes(size)
    path.write_bytes(content)
    return path
