"""Clips out: H.264 in MP4, and GIF."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from utils.clips.ffmpeg import import_av
from utils.clips.times import Times
from utils.files import replacing

if TYPE_CHECKING:
    import av

# Browsers play frames shorter than this at a tenth of a second. Seconds.
GIF_FASTEST = Fraction(1, 50)
# FFmpeg counts a tick in 32 bits; finer clocks are rounded to microseconds.
FINEST_CLOCK = 10**7


@contextmanager
def video_writer(path: Path, times: Times, size: tuple[int, int]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a film: H.264 in MP4, to be played anywhere. `with video_writer(...) as write: write(frame)`.

    The file appears under its name when all is written, else not at all. Frames go to the encoder one by
    one; it looks ahead about fifty of them, so memory does not grow with the length (but for the index of
    the file, some bytes a frame). Odd sides are made even with Pillow's bicubic, which the format asks for.

    Args:
        path: where to.
        times: when each frame is shown, exact.
        size: (width, height) of the frames, pixels.

    Yields:
        A function that takes the next frame, (height, width, 3) 8-bit.

    Raises:
        UserError: the package av is missing.
    """
    av = import_av(f"{path}: ")
    even = tuple(side + side % 2 for side in size)
    clock = times.clock
    if max(clock.numerator, clock.denominator) > FINEST_CLOCK:
        clock = Fraction(1, 10**6)
    with replacing(path) as temporary, av.open(f"file:{temporary}", "w", format="mp4") as container:
        # Without B frames: MP4 keeps durations in the order of decoding, so the last frame shown would get another's.
        options = {"crf": "18", "bf": "0"}
        stream = container.add_stream("libx264", rate=times.rate.limit_denominator(10**6), options=options)
        stream.width, stream.height = even
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = clock
        # BT.601 with the narrow range: said here, and assumed of small images by readers that do not look.
        stream.codec_context.colorspace = 6
        stream.codec_context.color_range = av.video.reformatter.ColorRange.MPEG
        written, lasting = 0, {}

        def mux(packets: list) -> None:
            for packet in packets:
                packet.duration = lasting.pop(packet.pts)  # The encoder takes the mean.
                container.mux(packet)

        def write(pixels: np.ndarray) -> None:
            nonlocal written
            if pixels.shape != (size[1], size[0], 3):
                raise ValueError(f"a frame of shape {pixels.shape} in a film of {size[0]}x{size[1]} pixels")
            frame = _frame(av, pixels, even)
            start, end = (round(times.seconds(index) / clock) for index in (written, written + 1))
            frame.pts, frame.time_base = start, clock
            lasting[start] = end - start
            mux(stream.encode(frame))
            written += 1

        yield write
        if written != len(times):
            raise ValueError(f"{written} frames in a film of {len(times)}")
        mux(stream.encode(None))


def _frame(av: ModuleType, pixels: np.ndarray, size: tuple[int, int]) -> "av.VideoFrame":
    """A frame as the encoder takes it, resized to (width, height) where it is not of that size."""
    image = Image.fromarray(pixels)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    formats = av.video.reformatter
    return av.VideoFrame.from_ndarray(np.array(image), "rgb24").reformat(
        format="yuv420p",
        src_color_range=formats.ColorRange.JPEG,
        dst_colorspace=formats.Colorspace.ITU601,
        dst_color_range=formats.ColorRange.MPEG,
    )


def save_gif(frames: Iterable[np.ndarray], path: Path, times: Times) -> None:
    """Write an endless GIF of (height, width, 3) 8-bit frames, each with a palette of its own.

    Frames last whole hundredths of a second, rounded so that the sum stays true; where more than 50 come in a
    second, those in between are left out. Pillow keeps all frames until the end: one byte per pixel and frame.
    Meant for short clips; `video_writer` has no such limit.
    """
    images = _timed(frames, times)
    first = next(images)
    with replacing(path) as temporary:
        first.save(temporary, format="GIF", save_all=True, append_images=images, loop=0)


def _timed(frames: Iterable[np.ndarray], times: Times) -> Iterator[Image.Image]:
    shown = [0]
    for index in range(1, len(times)):
        if times.seconds(index) - times.seconds(shown[-1]) >= GIF_FASTEST:
            shown.append(index)
    ends = dict(zip(shown, [*shown[1:], len(times)], strict=True))
    for index, pixels in enumerate(frames):
        if index in ends:
            image = Image.fromarray(pixels)
            start, end = (round(100 * times.seconds(number)) for number in (index, ends[index]))
            image.info["duration"] = 10 * (end - start)
            yield image
