"""Films: whatever FFmpeg decodes, frame by frame."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from utils.clips.ffmpeg import import_av
from utils.clips.frame import Frame
from utils.clips.times import UNKNOWN
from utils.errors import UserError
from utils.pictures.appearance import upright
from utils.pictures.colour import on_white

if TYPE_CHECKING:
    import av

# Colour matrices that ITU-T H.273 (in the stream) and FFmpeg's converter give the same number:
# BT.709, FCC, SMPTE 240M, BT.2020. All others go as BT.601, as FFmpeg does.
MATRICES = {1, 4, 7, 9}
# FFmpeg's own VP8 and VP9 decoders leave transparency out.
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
# Pixels more times as wide as high, or as high as wide, are a damaged header.
ODDEST_PIXEL = 8
# A film may be twice so much shorter than its header says, seconds.
EARLY = 0.05
# FFmpeg reads texts, lists of other files and still images like films; these are none.
NO_FILMS = {"adf", "bin", "concat", "dash", "hls", "ico", "idf", "image2", "rtsp", "sdp", "tty", "xbin"}

# EXIF's orientation by (width and height exchanged, then left and right, then top and bottom).
ORIENTATIONS = {
    (False, False, False): 1,
    (False, True, False): 2,
    (False, True, True): 3,
    (False, False, True): 4,
    (True, False, False): 5,
    (True, True, False): 6,
    (True, True, True): 7,
    (True, False, True): 8,
}

# FFmpeg's angle of a display matrix, and the EXIF orientation.
Turn = tuple[int, int]


def is_film(path: Path) -> bool | None:
    """Whether FFmpeg finds a film in a file; False for a still image, None where it cannot read the file."""
    av = import_av(f"{path}: ")
    try:
        with _opened(av, path) as container:
            if container.format.name.endswith("_pipe"):
                return False
            return _film_stream(av, container) is not None or None
    except av.error.FFmpegError:
        return None


class Film:
    """A film of any format FFmpeg reads, its sound ignored; holds one frame and the decoder's few reference frames.

    Frames come as a player shows them: turned and mirrored by the display matrix, pixels that are not square
    made so (the height kept, as most players do), transparency on white. A frame that cannot be decoded is passed over.

    Attributes:
        clock: seconds a tick of the frames' times.
        rates: frames per second as the container declares it; may be wrong.
        faults: after an iteration, what was wrong with the file, in words.
    """

    def __init__(self, path: Path, flag: str) -> None:
        """Open and look at the header; UserError where FFmpeg finds no film in the file."""
        self.files = [path]
        self.faults: list[str] = []
        self._path, self._name = path, f"{flag} {path}"
        self._av = import_av(f"{self._name}: ")
        with self._open() as (container, stream):
            self.clock = Fraction(stream.time_base)
            rates = (stream.average_rate, stream.guessed_rate)
            # A bare stream has the rate its codec says; the times FFmpeg makes up for it are not always even.
            self._bare = bool(container.format.flags & self._av.format.Flags.no_timestamps.value)
            self.rates = tuple(Fraction(rate) for rate in (rates[::-1] if self._bare else rates) if rate)

    def frames(self) -> Iterator[Frame]:
        """All frames in the order they are shown."""
        self.faults = []
        damaged: list[int] = []
        with self._open() as (container, stream):
            pixel, decoder = _pixel_aspect(stream), self._decoder(stream)
            number = shown = 0  # packets, frames
            broken, turn = set(), None
            for packet in itertools.chain(self._packets(container, stream), [None]):  # None: those that still wait
                number += 1
                if packet is not None and packet.is_corrupt and packet.pts is not None:
                    broken.add(packet.pts)
                try:
                    decoded = decoder.decode(packet)
                except self._av.error.FFmpegError:
                    damaged.append(number)
                    shown += 1
                    continue
                for frame in decoded:
                    shown += 1
                    if frame.is_corrupt or frame.pts in broken:
                        damaged.append(shown)
                    else:
                        turn = _turn(frame, turn)
                        yield self._frame(frame, pixel, turn[1])
        if damaged:
            self.faults.insert(0, _left_out(sorted(set(damaged))))

    @contextmanager
    def _open(self) -> Iterator[tuple]:
        """The open container and its main video stream; FFmpeg's errors as UserError."""
        try:
            with _opened(self._av, self._path) as container:
                stream = _film_stream(self._av, container)
                if stream is None:
                    raise UserError(f"{self._name}: has no film in it that FFmpeg can decode")
                yield container, stream
        except self._av.error.FFmpegError as error:
            reason = error.strerror or error
            raise UserError(f"{self._name}: cannot be decoded, as an image or a film: {reason}") from None

    def _packets(self, container: "av.container.InputContainer", stream: "av.VideoStream") -> Iterator["av.Packet"]:
        """All packets of the stream, as far as there are any; a file that ends early becomes a fault."""
        reached, longest, last = None, 0, None
        try:
            for packet in container.demux():
                if not packet.size:  # It ends a stream, or repeats a frame.
                    continue
                last = packet
                if (start := packet.pts if packet.pts is not None else packet.dts) is not None:
                    seconds = float((start + (packet.duration or 0)) * packet.time_base)
                    longest = max(longest, seconds - reached) if reached is not None else longest
                    reached = seconds if reached is None else max(reached, seconds)
                if packet.stream_index == stream.index:
                    yield packet
        except self._av.error.FFmpegError as error:
            self.faults.append(f"it ends early ({error.strerror or error})")
            return
        promised = (container.duration or 0) / self._av.time_base
        if last is not None and last.is_corrupt:
            self.faults.append("it ends in mid-frame")
        elif reached is not None and promised - reached > 2 * max(longest, EARLY):
            self.faults.append(f"it ends at {reached:.2f} s, its header says {promised:.2f} s")

    def _decoder(self, stream: "av.VideoStream") -> "av.VideoCodecContext":
        transparent = {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") == "1"
        name = ALPHA_DECODERS.get(stream.codec_context.codec.canonical_name) if transparent else None
        if name is None or name not in self._av.codecs_available:
            return stream.codec_context
        decoder = self._av.CodecContext.create(name, "r")
        decoder.extradata = stream.codec_context.extradata
        return decoder

    def _frame(self, frame: "av.VideoFrame", pixel: Fraction, orientation: int) -> Frame:
        size = (max(1, round(frame.width * pixel)), frame.height)

        def image() -> Image.Image:
            made = self._to_rgb(frame)
            if made.size != size:
                made = made.resize(size, Image.Resampling.BICUBIC)
            return upright(made, orientation)

        start = UNKNOWN if frame.pts is None or self._bare else frame.pts
        lying = orientation >= 5  # width and height exchanged
        return Frame(size[::-1] if lying else size, start, frame.duration or 0, image)

    def _to_rgb(self, frame: "av.VideoFrame") -> Image.Image:
        """A decoded frame as RGB, by the matrix and the range of values it was encoded with."""
        formats = self._av.video.reformatter
        usual = formats.ColorRange.JPEG if frame.format.is_rgb else formats.ColorRange.MPEG
        transparent = frame.format.has_palette or any(part.is_alpha for part in frame.format.components)
        converted = frame.reformat(
            format="rgba" if transparent else "rgb24",
            src_colorspace=frame.colorspace if frame.colorspace in MATRICES else formats.Colorspace.ITU601,
            src_color_range=frame.color_range or usual,
            dst_colorspace=formats.Colorspace.ITU601,  # Without meaning for RGB, but PyAV 16 needs it.
            dst_color_range=formats.ColorRange.JPEG,
        )
        image = Image.fromarray(converted.to_ndarray())
        return on_white(image.convert("RGB"), image.getchannel("A")) if transparent else image


def _opened(av: ModuleType, path: Path) -> "av.container.InputContainer":
    # "file:" keeps FFmpeg from reading a protocol into a name with a colon; titles come in any encoding.
    return av.open(f"file:{path}", metadata_errors="replace")


def _film_stream(av: ModuleType, container: "av.container.InputContainer") -> "av.VideoStream | None":
    """The main video stream, cover images aside; None where there is none that can be decoded."""
    aside = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    films = [s for s in container.streams.video if s.codec_context is not None and not s.disposition & aside]
    if container.format.name in NO_FILMS:
        return None
    best = container.streams.best("video")
    return best if best in films else next(iter(films), None)


def _turn(frame: "av.VideoFrame", before: Turn | None) -> Turn:
    """How a frame is to be turned and mirrored, given that of the frame before."""
    # PyAV keeps every frame in memory whose side data is looked at, so only that of a few is.
    if before is not None and frame.rotation == before[0]:
        return before
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return frame.rotation, 1 if matrix is None else _orientation_of(np.frombuffer(bytes(matrix), np.int32))


def _orientation_of(matrix: Sequence[int]) -> int:
    """The EXIF orientation nearest to a display matrix (ISO 14496-12 6.2.2).

    Args:
        matrix: a b u c d v x y w; a pixel of the stored frame goes to (a x + c y, b x + d y), y downwards.
    """
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    lying = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if lying else (a, d)
    return ORIENTATIONS[lying, across < 0, down < 0]


def _pixel_aspect(stream: "av.VideoStream") -> Fraction:
    """The width of a pixel over its height."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    return aspect if 1 / ODDEST_PIXEL <= aspect <= ODDEST_PIXEL else Fraction(1)


def _left_out(numbers: list[int]) -> str:
    """Which frames are missing, in words."""
    shown = ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
    one = len(numbers) == 1
    return f"frame {shown} is damaged and left out" if one else f"frames {shown} are damaged and left out"
