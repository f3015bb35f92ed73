"""Clips out: H.264 in MP4, and GIF."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from utils.files import replacing
from utils.image import warn_once
from utils.interrupt import Stopped

GIF_FASTEST = Fraction(1, 50)  # seconds; browsers play frames shorter than this at a tenth of a second
SOUNDS = {"aac", "mp3", "mp3float", "ac3", "eac3", "opus", "alac", "flac"}  # codecs that MP4 holds
CLOCK = Fraction(1, 90000)  # seconds a tick of the videos that are written


def even_size(size: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) of a video for frames of this size: H.264 wants even sides."""
    return size[0] + size[0] % 2, size[1] + size[1] % 2


@contextmanager
def copied_sound(source: Path | None, container: Any) -> Iterator[Callable[[Fraction], None]]:
    """The sound of a video for another one, not encoded anew; a line on standard error where MP4 cannot hold it.

    Args:
        source: None for none.
        container: the video that is written, open and without a frame yet.

    Yields:
        A function that copies what is heard before a time, seconds from the first frame.
    """
    import av

    with ExitStack() as stack:
        packets: Iterator[Any] = iter(())
        if source is not None:
            opened = stack.enter_context(av.open(f"file:{source}", metadata_errors="replace"))
            audio, video = opened.streams.best("audio"), opened.streams.best("video")
            if audio is not None and audio.codec_context.name in SOUNDS:
                copy, begin = container.add_stream_from_template(audio), (video.start_time or 0) * video.time_base
                packets = (
                    packet for packet in opened.demux(audio) if packet.dts is not None and packet.pts is not None
                )
            elif audio is not None:
                warn_once(f"{source}: its sound ({audio.codec_context.name}) does not fit into MP4 and is left out")
        waiting = next(packets, None)

        def copy_until(seconds: Fraction) -> None:
            nonlocal waiting
            while waiting is not None and waiting.dts * waiting.time_base - begin < seconds:
                shift = round(begin / waiting.time_base)
                waiting.stream, waiting.dts, waiting.pts = copy, waiting.dts - shift, waiting.pts - shift
                container.mux(waiting)
                waiting = next(packets, None)

        yield copy_until


@contextmanager
def video_writer(
    path: Path, times: Sequence[Fraction], size: tuple[int, int], sound: Path | None = None
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a video: H.264 in MP4, to be played anywhere. `with video_writer(...) as write: write(frame)`.

    The file appears under its name at the end: when all is written, or, after Stopped, with the frames until then;
    after any other error not at all. Memory does not grow with the length.

    Args:
        times: when each frame is shown and when the last one ends, seconds from 0 (`Clip.times`).
        size: (width, height) of the frames, pixels, both even (`even_size`).
        sound: a video whose sound it gets.

    Yields:
        A function that takes the next frame, (height, width, 3) 8-bit.
    """
    import av  # needed for videos alone

    stopped: Stopped | None = None
    ticks, written = [round(time / CLOCK) for time in times], 0
    with ExitStack() as stack:
        temporary = stack.enter_context(replacing(path))
        container = stack.enter_context(av.open(f"file:{temporary}", "w", format="mp4"))
        # MP4 keeps durations in the order of decoding; without B frames, this is that of the frames.
        rate = ((len(times) - 1) / times[-1]).limit_denominator(10**6)
        stream = container.add_stream("libx264", rate=rate, options={"crf": "18", "bf": "0"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = CLOCK
        # BT.601 with the narrow range, which is what frames are converted to.
        stream.codec_context.colorspace, stream.codec_context.color_range = 6, 1
        stream.codec_context.flags |= av.codec.context.Flags.frame_duration

        copy_until = stack.enter_context(copied_sound(sound, container))

        def write(pixels: np.ndarray) -> None:
            nonlocal written
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            frame.time_base, frame.pts = CLOCK, ticks[written]
            frame.duration = ticks[written + 1] - ticks[written]
            container.mux(stream.encode(frame))
            written += 1
            copy_until(times[written])

        try:
            yield write
        except Stopped as error:
            if not written:
                raise
            stopped = error
        container.mux(stream.encode(None))
    if stopped is not None:
        raise stopped


def save_gif(frames: Iterable[np.ndarray], path: Path, times: Sequence[Fraction]) -> None:
    """Write an endless GIF of (height, width, 3) 8-bit frames, each with a palette of its own.

    Frames last whole hundredths of a second, rounded so that the sum stays true; where more than 50 come in a
    second, those in between are left out. All frames are kept until the end, so this is meant for short clips.
    """
    images, starts = [], []
    for pixels, start in zip(frames, times, strict=False):
        if not starts or start - starts[-1] >= GIF_FASTEST:
            images.append(Image.fromarray(pixels))
            starts.append(start)
    hundredths = [round(100 * time) for time in (*starts, times[-1])]
    durations = [10 * (end - start) for start, end in pairwise(hundredths)]
    with replacing(path) as temporary:
        images[0].save(temporary, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
