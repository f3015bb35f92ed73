"""How an image looks: what its file says of its colours, its transparency and the way it lies, carried out."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from utils.pictures.colour import ProfileError, on_white, split_transparency, to_16_bits, to_srgb
from utils.pictures.containers import ORIENTATION, Essentials, orientation

BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262  # tags of TIFF
# How an image is to be turned, or mirrored, from how it lies in its file (EXIF orientation).
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Pillow's warnings left out, but for that of an image large enough to be a decompression bomb: an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@without_warnings()
def as_shown(image: Image.Image, kept: Essentials, warn: Callable[[str], object]) -> Image.Image:
    """An image, or its current frame, loaded: 8-bit sRGB, upright, on white.

    Args:
        image: as Pillow opened it, with what its file says about its colours.
        kept: what was left of the file.
        warn: takes, in words, what is doubtful about the colours.

    Raises:
        ValueError: 32-bit pixels whose range is not known (`to_16_bits`).
    """
    image.load()
    # Of a copy: the size Pillow gives for a TIFF is as if it had been turned already.
    shown, opacity = split_transparency(image.copy())
    if kept.key:
        opacity = _opacity_by_key(image, kept)
    if shown.mode.startswith(("I", "F")):
        shown = _grey_of_16_bits(shown, image, warn)
    profile = image.info.get("icc_profile") if kept.profile is None else kept.profile
    try:
        shown = to_srgb(shown, profile)
    except ProfileError as error:
        warn(f"its colour profile {error} and is left out")
        shown = to_srgb(shown, None)
    if opacity is not None:
        shown = on_white(shown, opacity)
    return upright(shown, _orientation(image))


def upright(image: Image.Image, orientation: int | None) -> Image.Image:
    """An image turned and mirrored from how it lies in its file, as EXIF numbers that; 1 and others leave it."""
    turn = TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int | None:
    """How a loaded image lies in its file, as EXIF numbers it; some editors leave that in XMP alone."""
    if image.format == "TIFF":
        return image.tag_v2.get(ORIENTATION)
    found = orientation(image.info.get("exif") or b"")
    if found is None and image.format in ("JPEG", "PNG", "WEBP"):
        with contextlib.suppress(Exception):  # Damaged notes raise many kinds.
            found = image.getexif().get(ORIENTATION)
    return found


def _grey_of_16_bits(grey: Image.Image, image: Image.Image, warn: Callable[[str], object]) -> Image.Image:
    """Grey of more than 8 bits in mode I;16, white by what its file says, or by the rule of `to_16_bits`."""
    tags = getattr(image, "tag_v2", {})
    if not grey.mode.startswith("I;16") and image.format not in ("PNG", "PPM"):
        return to_16_bits(grey, None)
    white = 4095 if tags.get(BITS_PER_SAMPLE) == (12,) else 65535
    if 0 < np.asarray(grey).max() <= 255:
        warn(f"has 16 bits a channel and no value over 255 of {white}, which is next to black")
    grey = to_16_bits(grey, white)
    if tags.get(PHOTOMETRIC) == 0:  # 0 is white, which Pillow turns round for 8 bits only
        grey = Image.fromarray(65535 - np.asarray(grey))
    return grey


def _opacity_by_key(image: Image.Image, kept: Essentials) -> Image.Image:
    """Opacity (mode L) of a PNG of which one grey or colour is transparent, compared at all its bits."""
    depth = kept.data[24]  # in the file's header
    most = 2**depth - 1
    key = [(value & most) * max(1, 255 // most) for value in kept.key]  # Pillow makes 8 bits of fewer
    values = np.atleast_3d(image.convert("L") if image.mode == "1" else image)
    if depth == 16 and image.mode == "RGB":
        # These are the upper bytes. Told that the file is little-endian, Pillow gives the lower ones.
        with Image.open(io.BytesIO(kept.data)) as lower:
            lower.tile = [(*lower.tile[0][:3], "RGB;16L")]
            values = values.astype(np.uint16) * 256 + np.asarray(lower)
    return Image.fromarray(np.where((values == key).all(axis=-1), 0, 255).astype(np.uint8))
