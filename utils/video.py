"""Clips: a video, an animated image or a folder of images, frame by frame."""

import hashlib
import itertools
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median_low

from PIL import Image

from utils.arguments import integer, number, option, seconds
from utils.errors import UserError
from utils.image import as_rgb, check_size, open_image, opened, warn_once
from utils.progress import Bar

RATE = 25  # frames per second of a folder, and of a video that does not say
INDEXED = re.compile("mp4|matroska")  # formats in which FFmpeg finds a time
HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics (ITU-T H.273) that a screen of 8 bits cannot show as they are
# A frame as it is read: the image, when it is shown, and for how long; in seconds, None where that is not said.
Frame = tuple[Image.Image, Fraction | None, Fraction | None]


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """Which frames of a clip are used."""

    start: float = option(seconds, 0.0, "use a video from this time on, seconds or [h:]m:s")
    frames: int | None = option(integer(1), None, "use at most this many frames; default: all")
    every: int = option(integer(1), 1, "use every Nth frame; the speed stays")
    fps: float | None = option(number(above=True), None, f"frames per second of a folder of frames; default: {RATE}")


class Clip:
    """The frames of a video, an animated image or a folder of images, in order: 8-bit RGB images of one size.

    Each iteration opens the file anew, decodes as it goes, and holds one frame, whatever the length. Opening decodes
    everything once up to the last frame that is used, to count and to check; of MP4, MOV, MKV and WebM not what lies
    between the first frame and the excerpt.

    Attributes:
        times: when each frame is shown, in seconds from 0, and after them the end: one more than there are frames.
        size: (width, height) of every frame, pixels.
        sound: the video, which may have sound, and when in it the first frame is shown, seconds; None for a folder and
            an animated image.
        took: seconds that reading it took.
    """

    def __init__(self, path: Path, flag: str, min_side: int = 1, excerpt: Excerpt | None = None) -> None:
        """Open and check; UserError where it is missing, has no frames, of different sizes or too small ones."""
        name, animated, excerpt = f"{flag} {path}", False, excerpt or Excerpt()
        if path.is_dir():
            self._files, pause = _images_in(path, name), 1 / Fraction(excerpt.fps or RATE).limit_denominator(10**6)
            self._frames = lambda: ((open_image(file, flag), None, pause) for file in self._files)
        elif excerpt.fps:
            raise UserError(f"--fps: is for a folder of frames, and {name} is none")
        else:
            animated = _pillow_frames(path) > 1
            self._files = [path]
            self._frames = partial(_video_frames, path, name, excerpt.start)
            if animated:
                self._frames = partial(_animation_frames, path, name)

        # Look at all frames until the excerpt is over: one that does not say when it is shown follows the one before.
        shown, end, start = [], Fraction(0), Fraction(excerpt.start).limit_denominator(10**6)  # 0.04 is 1/25
        with Bar(None) as bar:
            for image, at, lasts in self._frames():
                check_size(image.size, min_side, name)
                if shown and image.size != self.size:
                    raise UserError(f"{name}: frame {len(shown) + 1} differs in size from those before it")
                if not shown:
                    self.size, zero = image.size, at or Fraction(0)
                now = end if at is None or (shown and at - zero <= shown[-1]) else at - zero
                end = now + (lasts or Fraction(1, RATE))
                shown.append(now)
                bar.show(len(shown), f"reading {name}")
                first = bisect_left(shown, start)
                if excerpt.frames and len(shown) > first + excerpt.frames * excerpt.every:
                    break
            self.took = bar.format_dict["elapsed"]
        if not shown:
            raise UserError(f"{name}: has no frames that can be decoded")
        if not lasts and len(shown) > 1:
            end = now + median_low(b - a for a, b in itertools.pairwise(shown))
        if first == len(shown):
            raise UserError(f"--start {excerpt.start:g}: {name} has no frame then or later; it lasts {float(end):g} s")
        self._used = range(first, len(shown), excerpt.every)[: excerpt.frames]
        shown.append(end)
        until = min(self._used[-1] + excerpt.every, len(shown) - 1)
        self.times = tuple(shown[index] - shown[first] for index in (*self._used, until))
        self.sound = None if path.is_dir() or animated else (path, zero + shown[first])

    def __len__(self) -> int:
        return len(self._used)

    def __iter__(self) -> Iterator[Image.Image]:
        used = itertools.islice(self._frames(), self._used.start, self._used.stop, self._used.step)
        return (image for image, _, _ in used)

    def fingerprint(self) -> str:
        """SHA-256 of the bytes of the video, or of all images in order."""
        digest = hashlib.sha256()
        for file in self._files:
            with file.open("rb") as content:
                while block := content.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()


def open_input(path: Path, flag: str, min_side: int, excerpt: Excerpt) -> Image.Image | Clip:
    """What a path stands for, opened and checked, see `Clip` and `open_image`."""
    return Clip(path, flag, min_side, excerpt) if is_clip(path) else open_image(path, flag, min_side)


def is_clip(path: Path) -> bool:
    """Whether a path stands for a clip: a folder of frames, an animated image, or what FFmpeg alone can read."""
    if not path.is_file():
        return path.is_dir()
    # Of MPEG, Pillow knows the name alone; HEIC it may lack, and FFmpeg reads pieces of it.
    images = {*Image.registered_extensions(), ".heic", ".heif"} - {".mpg", ".mpeg"}
    frames = _pillow_frames(path)
    return frames > 1 or (frames == 0 and path.suffix.lower() not in images)


def _pillow_frames(path: Path) -> int:
    """How many frames Pillow finds in a file; 0 where it cannot open it: opening it as an image says why."""
    try:
        with opened(path, "") as image:
            return image.n_frames if image.format in {"GIF", "PNG", "WEBP"} else 1
    except UserError:
        return 0


def _images_in(folder: Path, name: str) -> list[Path]:
    """The images in a folder in natural order, 2 before 10; hidden and other files are passed over."""

    def texts_and_numbers(file: Path) -> list[str | int]:
        return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", file.name.lower())]

    known = Image.registered_extensions()
    files = [file for file in folder.iterdir() if file.suffix.lower() in known and file.name[0] != "."]
    if not files:
        raise UserError(f"{name}: has no images in it; a folder given as a video holds one per frame")
    return sorted(files, key=texts_and_numbers)


def _animation_frames(path: Path, name: str) -> Iterator[Frame]:
    """Of an animated GIF, WebP or PNG; frames of 10 ms and less last 100 ms, as browsers have it."""
    with opened(path, name) as file:
        # An animated PNG may begin with an image that does not belong to it.
        for index in range(int(getattr(file, "default_image", False)), file.n_frames):
            file.seek(index)
            file.load()
            duration = Fraction(file.info.get("duration") or 0)  # milliseconds
            yield as_rgb(file.copy(), name), None, (duration if duration > 10 else 100) / Fraction(1000)


def _video_frames(path: Path, name: str, begin: float) -> Iterator[Frame]:
    """Of what FFmpeg decodes, as a player shows them: turned, and with square pixels, the height kept.

    The first, then all; where there is an index, those from the last key frame on that is no later than `begin`.
    """
    import av  # needed for videos alone

    try:
        # "file:" keeps FFmpeg from reading a protocol into a name with a colon.
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            stream = container.streams.best("video")
            if stream is None or stream.codec_context is None:
                raise UserError(f"{name}: contains no video that FFmpeg can decode")
            if kind := HDR.get(stream.codec_context.color_trc):
                warn_once(
                    f"{name}: is HDR ({kind}) and looks washed out here; convert it to SDR first, with FFmpeg: "
                    "-vf zscale=t=linear:npl=100,tonemap=hable,zscale=p=bt709:t=bt709:m=bt709,format=yuv420p"
                )
            stream.thread_type = "AUTO"
            frames = container.decode(stream)
            first = next(frames, None) if begin and INDEXED.search(container.format.name) else None
            if first is not None and first.pts is not None:
                container.seek(first.pts + int(begin / first.time_base), stream=stream)
                frames = (frame for frame in container.decode(stream) if frame.pts is None or frame.pts > first.pts)
            for frame in frames if first is None else itertools.chain([first], frames):
                image = frame.to_image(width=max(1, round(frame.width * (stream.sample_aspect_ratio or 1))))
                start = None if frame.pts is None else frame.pts * frame.time_base
                lasts = frame.duration * frame.time_base if frame.duration else None
                yield image.rotate(frame.rotation, expand=True), start, lasts
    except av.error.FFmpegError as error:
        raise UserError(f"{name}: cannot be read as image or video: {error.strerror or error}; re-encode it") from None
