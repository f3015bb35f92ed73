"""Clips out: H.264 in MP4."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from utils.errors import Stopped
from utils.files import replacing
from utils.image import warn_once

SOUNDS = {"aac", "mp3", "mp3float", "ac3", "eac3", "opus", "alac", "flac"}  # codecs that MP4 holds
CLOCK = Fraction(1, 90000)  # seconds a tick of the videos that are written


def even_size(shape: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) of a video for frames of this (height, width), rounded down: H.264 wants even sides."""
    return shape[1] - shape[1] % 2, shape[0] - shape[0] % 2


def sound_of(source: tuple[Path, Fraction] | None, container: Any) -> Iterator[Any]:
    """The packets of a video's sound for another one, not encoded anew; a line where MP4 cannot hold it.

    Args:
        source: see `Clip.sound`; None for none.
        container: the video that is written, open and without a packet yet.
    """
    import av

    if source is None:
        return
    path, begin = source
    with av.open(f"file:{path}", metadata_errors="replace") as opened:
        kinds = {each: each.codec_context.name if each.codec_context else "unknown" for each in opened.streams.audio}
        audio = next((each for each, kind in kinds.items() if kind in SOUNDS), None)
        if audio is None:
            if kinds:
                warn_once(f"{path}: its sound ({', '.join(kinds.values())}) does not fit into MP4 and is left out")
            return
        copy = container.add_stream_from_template(audio)
        for packet in opened.demux(audio):
            if packet.dts is None or packet.pts is None:
                continue
            shift = round(begin / packet.time_base)
            packet.dts, packet.pts = packet.dts - shift, packet.pts - shift
            if packet.pts + (packet.duration or 0) >= 0:
                packet.stream = copy
                yield packet


@contextmanager
def video_writer(
    path: Path, times: Sequence[Fraction], size: tuple[int, int], sound: tuple[Path, Fraction] | None = None
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a video: H.264 in MP4, to be played anywhere. `with video_writer(...) as write: write(frame)`.

    The file appears under its name at the end: when all is written, or, after Stopped, with the frames until then;
    after any other error not at all. Memory does not grow with the length.

    Args:
        times: when each frame is shown and when the last one ends, seconds from 0 (`Clip.times`).
        size: (width, height) of the frames, pixels, both even (`even_size`).
        sound: a video whose sound it gets, see `Clip.sound`.

    Yields:
        A function that takes the next frame, (height, width, 3) 8-bit.
    """
    import av  # needed for videos alone

    stopped: Stopped | None = None
    ticks = [round(time / CLOCK) for time in times]
    written, heard = 0, times[0]  # frames; until when there is sound, seconds
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

        packets = stack.enter_context(closing(sound_of(sound, container)))

        def write(pixels: np.ndarray) -> None:
            nonlocal written, heard
            # Before the frame: the first packet comes with its stream, which the file's head has to tell of.
            while heard < times[written + 1] and (packet := next(packets, None)) is not None:
                heard = (packet.dts + (packet.duration or 0)) * packet.time_base
                container.mux(packet)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            frame.time_base, frame.pts = CLOCK, ticks[written]
            frame.duration = ticks[written + 1] - ticks[written]
            container.mux(stream.encode(frame))
            written += 1

        try:
            yield write
        except Stopped as error:
            if not written:
                raise
            stopped = error
        container.mux(stream.encode(None))
    if stopped is not None:
        raise stopped
