"""Animated GIF, WebP, PNG and AVIF: frame by frame with Pillow."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from PIL import Image

from utils.clips.frame import Frame, on_white
from utils.clips.orientation import OF_EXIF
from utils.errors import UserError

FORMATS = {"AVIF", "GIF", "PNG", "WEBP"}
ORIENTATION = 0x0112
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
        self._path, self._flag = path, flag

    def frames(self) -> Iterator[Frame]:
        """All frames in order; one that is damaged ends the animation, since those after it are drawn over it."""
        self.faults = []
        with self._open() as file:
            shown, first = Fraction(0), starts_at(file)
            for index in range(first, file.n_frames):
                try:
                    file.seek(index)
                    file.load()
                    picture = self._upright(file)
                except Exception as error:  # Pillow's decoders raise many kinds on damaged files.
                    if index == first:
                        raise
                    reason = str(error) or type(error).__name__
                    self.faults.append(f"frame {index - first + 1} is damaged and ends it ({reason})")
                    return
                start, lasts = shown, Fraction(file.info.get("duration") or 0)
                shown += lasts if lasts >= TOO_FAST else INSTEAD
                yield Frame(picture.size, round(start), round(shown) - round(start), lambda picture=picture: picture)

    @contextmanager
    def _open(self) -> Iterator[Image.Image]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                file = Image.open(self._path)
            with file:
                yield file
        except (UserError, GeneratorExit):
            raise
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise UserError(f"{self._flag} {self._path}: cannot be read: {reason}") from None

    @staticmethod
    def _upright(file: Image.Image) -> Image.Image:
        picture = on_white(file)
        try:
            turn = OF_EXIF.get(file.getexif().get(ORIENTATION))
        except Exception:  # Damaged metadata is not needed.
            turn = None
        return picture if turn is None else picture.transpose(turn)


def starts_at(file: Image.Image) -> int:
    """The first frame of an animation: an animated PNG may begin with an image that does not belong to it."""
    return int(bool(getattr(file, "default_image", False)))
