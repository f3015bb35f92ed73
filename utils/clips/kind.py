"""What a path stands for, by its content: a folder of frames, a film, an animated or a still image."""

import enum
import os
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from utils.clips.animation import FORMATS
from utils.clips.film import is_film
from utils.errors import UserError
from utils.pictures.appearance import without_warnings
from utils.pictures.containers import HEAD, PNG, is_still, png_frames

# Films that Pillow knows by name only, or only in part; FFmpeg decodes them.
FILMS_TO_PILLOW = {"FLI", "MPEG"}
# The name alone tells a film of JPEGs, one after the other, from an image with others behind it.
JPEG_FILMS = {".mjpeg", ".mjpg"}


class Kind(enum.Enum):
    """What a path stands for; UNREADABLE is what neither Pillow nor FFmpeg, if it is there, can read."""

    FOLDER = enum.auto()
    FILM = enum.auto()
    ANIMATION = enum.auto()
    STILL = enum.auto()
    UNREADABLE = enum.auto()


def kind_of(path: Path) -> Kind:
    """Look into a path; of an image and of a film, only the headers are read.

    What is missing, or no regular file, counts as a still image: opening it says what is wrong.
    """
    if os.path.isdir(path):
        return Kind.FOLDER
    if not os.path.isfile(path):
        return Kind.STILL
    return _by_head(path) or _by_pillow(path) or _by_ffmpeg(path)


def _by_head(path: Path) -> Kind | None:
    """Images that are known by their first bytes, however damaged the rest is."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            if head.startswith(PNG):
                return Kind.ANIMATION if png_frames(file) > 1 else Kind.STILL
    except OSError:  # Opening it says what is wrong.
        return Kind.STILL
    return Kind.STILL if is_still(head) and path.suffix.lower() not in JPEG_FILMS else None


def _by_pillow(path: Path) -> Kind | None:
    try:
        with without_warnings(), Image.open(path) as image:
            if image.format in FORMATS and image.n_frames > 1:
                return Kind.ANIMATION
            film = image.format in FILMS_TO_PILLOW or path.suffix.lower() in JPEG_FILMS
            return None if film else Kind.STILL
    except UnidentifiedImageError:
        return None
    except Exception:  # An image, but damaged or too large: Pillow's decoders raise many kinds.
        return Kind.STILL


def _by_ffmpeg(path: Path) -> Kind:
    try:
        film = is_film(path)
    except UserError:  # the package av is missing
        return Kind.UNREADABLE
    return Kind.UNREADABLE if film is None else Kind.FILM if film else Kind.STILL


def is_clip(path: Path) -> bool:
    """Whether a path stands for a clip: a folder of frames, a film, an animated image; whatever its name.

    What nothing can read is a clip where its name does not end like an image's, for the sake of the error's words.
    """
    kind = kind_of(path)
    if kind is Kind.UNREADABLE:
        return path.suffix.lower() not in image_suffixes()
    return kind is not Kind.STILL


def refuse_clip(path: Path, flag: str) -> None:
    """UserError where a path that must be a still image is a clip."""
    if kind_of(path) in (Kind.FILM, Kind.ANIMATION):
        raise UserError(f"{flag} {path}: is a clip, but must be a still image; save one of its frames as PNG")


def image_suffixes() -> set[str]:
    """How the names of images end that Pillow reads, with pillow-heif."""
    suffixes = Image.registered_extensions()
    pillows = {suffix for suffix, kind in suffixes.items() if kind in Image.OPEN and kind not in FILMS_TO_PILLOW}
    return pillows | {".heic", ".heif"}
