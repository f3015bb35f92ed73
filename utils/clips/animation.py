"""Animated GIF, WebP, PNG and AVIF: frame by frame with Pillow."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from utils.clips.frame import Frame
from utils.pictures.appearance import as_shown
from utils.image import opened

FORMATS = {"AVIF", "GIF", "PNG", "WEBP"}
# What is shown for less, in milliseconds, browsers show for the second number instead.
TOO_FAST, INSTEAD = 11, 100


class Animation:
    """An animated image. Frames last as long as they say; those of 10 ms and less 100 ms, as browsers do it.

    Attributes:
        clock: seconds a tick of the frames' times.
        rates: what the file declares of its rate: nothing.
        faults: after an iteration, what was wrong with the file, in words.
    """

    clock = Fraction(1, 1000)
    rates = ()

    def __init__(self, path: Path, flag: str) -> None:
        self.files = [path]
        self.faults: list[str] = []
        self._path, self._name = path, f"{flag} {path}"

    def frames(self) -> Iterator[Frame]:
        """All frames in order; one that is damaged ends the animation, since those after it are drawn over it."""
        self.faults = []
        with opened(self._path, self._name, animated=True) as (file, kept):
            # An animated PNG may begin with an image that does not belong to it.
            shown, first = Fraction(0), int(getattr(file, "default_image", False))
            for index in range(first, file.n_frames):
                try:
                    file.seek(index)
                    image = as_shown(file, kept, self.faults.append)
                except Exception as error:  # Pillow's decoders raise many kinds on damaged files.
                    if index == first or isinstance(error, MemoryError):
                        raise
                    reason = str(error) or type(error).__name__
                    self.faults.append(f"frame {index - first + 1} is damaged and ends it ({reason})")
                    return
                start, lasts = shown, Fraction(file.info.get("duration") or 0)
                shown += lasts if lasts >= TOO_FAST else INSTEAD
                yield Frame(image.size, round(start), round(shown) - round(start), lambda image=image: image)
