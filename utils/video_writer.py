"""Clips out: H.264 in MP4, and GIF."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from utils.files import replacing
from utils.interrupt import Stopped
from utils.video import Times, import_av

GIF_FASTEST = Fraction(1, 50)  # seconds; browsers play frames shorter than this at a tenth of a second
CLOCK = Fraction(1, 90000)  # seconds a tick of the videos that are written


def even_size(size: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) of a video for frames of this size: H.264 wants even sides."""
    return size[0] + size[0] % 2, size[1] + size[1] % 2


@contextmanager
def video_writer(path: Path, times: Times, size: tuple[int, int]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a video: H.264 in MP4, to be played anywhere. `with video_writer(...) as write: write(frame)`.

    The file appears under its name at the end: when all is written, or, after Stopped, with the frames until then;
    after any other error not at all. Memory does not grow with the length.

    Args:
        times: when each frame is shown.
        size: (width, height) of the frames, pixels, both even (`even_size`).

    Yields:
        A function that takes the next frame, (height, width, 3) 8-bit.
    """
    av = import_av(f"{path}: ")
    stopped: Stopped | None = None
    with replacing(path) as temporary, av.open(f"file:{temporary}", "w", format="mp4") as container:
        # Without B frames: MP4 keeps durations in the order of decoding, so the last frame shown would get another's.
        options = {"crf": "18", "bf": "0"}
        stream = container.add_stream("libx264", rate=times.rate.limit_denominator(10**6), options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = CLOCK
        # BT.601 with the narrow range: said here, and assumed of small images by readers that do not look.
        stream.codec_context.colorspace = 6
        stream.codec_context.color_range = av.video.reformatter.ColorRange.MPEG
        formats, written, lasting = av.video.reformatter, 0, {}

        def mux(packets: list) -> None:
            for packet in packets:
                packet.duration = lasting.pop(packet.pts)  # The encoder takes the mean.
                container.mux(packet)

        def write(pixels: np.ndarray) -> None:
            nonlocal written
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24").reformat(
                format="yuv420p",
                src_color_range=formats.ColorRange.JPEG,
                dst_colorspace=formats.Colorspace.ITU601,
                dst_color_range=formats.ColorRange.MPEG,
            )
            start, end = (round(times.seconds(index) / CLOCK) for index in (written, written + 1))
            frame.pts, frame.time_base = start, CLOCK
            lasting[start] = end - start
            mux(stream.encode(frame))
            written += 1

        try:
            yield write
        except Stopped as error:
            if not written:
                raise
            stopped = error
        mux(stream.encode(None))
    if stopped is not None:
        raise stopped


def save_gif(frames: Iterable[np.ndarray], path: Path, times: Times) -> None:
    """Write an endless GIF of (height, width, 3) 8-bit frames, each with a palette of its own.

    Frames last whole hundredths of a second, rounded so that the sum stays true; where more than 50 come in a
    second, those in between are left out. Pillow keeps all frames until the end, so this is meant for short clips.
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
