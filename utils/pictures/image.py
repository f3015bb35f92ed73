"""Pictures: open whatever a person may pass, convert to [-1, 1] and back, save in true colours."""

import contextlib
import functools
import hashlib
import io
import logging
import os
import stat
import sys
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from utils.commands import install
from utils.errors import UserError
from utils.files import write_atomic
from utils.pictures.colour import ProfileError, on_white, split_transparency, to_16_bits, to_srgb
from utils.pictures.containers import (
    AVIF_BRANDS,
    HEIC_BRANDS,
    ORIENTATION,
    Essentials,
    brands,
    essentials,
    is_known,
    orientation,
)

logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it says of a file, the error line says, too
WHOLE = Essentials(b"")  # a file that is not reduced
HEAD = 256  # bytes that tell what a file is
JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
# Tags of TIFF.
NEW_SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC = 254, 258, 262
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


def open_image(path: Path, flag: str, min_side: int = 1) -> Image.Image:
    """Open an image as 8-bit sRGB: upright, on white where it is transparent, its first frame or page.

    Only what makes the image is read: notes of any kind in the file, damaged or not, are passed over.

    Args:
        path: any format Pillow reads, and HEIC with pillow-heif; any kind of pixels: palette, grey, 16-bit, CMYK, Lab.
        flag: the option the path came from, for the error line.
        min_side: the smallest acceptable side, pixels.

    Raises:
        UserError: missing, not a regular file, not an image, damaged, too large or too small, or with 32-bit pixels
            whose range is not known (`to_16_bits`).
    """
    name = f"{flag} {path}"
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise UserError(f"{name}: is a folder, not a picture")
        if not stat.S_ISREG(mode):
            raise UserError(f"{name}: is not a regular file")
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow only warns about a picture large enough to be a decompression bomb.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = _decoded(file, name)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = Image.MAX_IMAGE_PIXELS / 1e6
        raise UserError(f"{name}: has more than {limit:.0f} million pixels; shrink it first") from None
    except FileNotFoundError:
        raise UserError(f"{name}: no such file") from None
    except (UserError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files.
        raise UserError(f"{name}: cannot be read: {error or type(error).__name__}") from None
    if min(picture.size) < min_side:
        width, height = picture.size
        raise UserError(f"{name}: is {width}x{height} pixels; at least {min_side} on each side are needed")
    return picture


def _decoded(file: BinaryIO, name: str) -> Image.Image:
    """The first image in a file as 8-bit sRGB, upright, on white."""
    # Leave out what could only do harm, and let Pillow decode the rest.
    head = file.read(HEAD)
    if brands(head) & HEIC_BRANDS:
        _add_heif(name)
    kept = essentials(head + file.read()) if is_known(head) else WHOLE
    # Never by its name: Pillow would map an uncompressed TIFF into memory, and lay its rows out as if it were upright.
    with _identified(io.BytesIO(kept.data) if kept.data else file, head, name) as image:
        if image.format == "TIFF":
            kind = image.tag_v2.get(NEW_SUBFILE_TYPE)
            if isinstance(kind, int) and kind & 1:
                raise UserError(f"{name}: holds a small copy of its image first (a camera's raw file?); save it as PNG")
            image.load_end = lambda: None  # Pillow's turns it upright, and needs every tag to be in order for that.
        image.load()
        return as_shown(image, name, kept)


def as_shown(image: Image.Image, name: str, kept: Essentials = WHOLE) -> Image.Image:
    """A loaded image, or its current frame, as 8-bit sRGB, upright, on white.

    Args:
        image: as Pillow opened it, with what its file says about its colours.
        name: of the file, for the line about a colour profile that cannot be used.
        kept: what was left of the file, where it was reduced.

    Raises:
        ValueError: 32-bit pixels whose range is not known (`to_16_bits`).
    """
    picture, opacity = split_transparency(image.copy())
    if kept.key:
        opacity = _opacity_by_key(image, kept)
    if picture.mode.startswith(("I", "F")):
        picture = _grey_of_16_bits(picture, image, name)
    profile = image.info.get("icc_profile") if kept.profile is None else kept.profile
    try:
        picture = to_srgb(picture, profile)
    except ProfileError as error:
        _warn(f"{name}: its colour profile {error} and is left out")
        picture = to_srgb(picture, None)
    if opacity is not None:
        picture = on_white(picture, opacity)
    turn = TURNS.get(_orientation(image))
    return picture if turn is None else picture.transpose(turn)


def _identified(file: BinaryIO, head: bytes, name: str) -> Image.Image:
    try:
        image = Image.open(file)
    except UnidentifiedImageError:
        reason = "not a picture Pillow can read"
        if brands(head) & AVIF_BRANDS:
            reason = f"AVIF, for which Pillow is too old or has no decoder; {install('--upgrade', 'pillow')}"
        elif head.startswith(JPEG_XL):
            reason = "JPEG XL, which Pillow does not read; save it as PNG first"
        raise UserError(f"{name}: cannot be read: {reason}") from None
    if image.format == "EPS":  # Pillow hands PostScript, which is a program, to Ghostscript.
        raise UserError(f"{name}: is PostScript; save it as PNG first")
    return image


def _add_heif(name: str) -> None:
    """Teach Pillow to read HEIC."""
    try:
        import pillow_heif  # not required; only this needs it
    except ImportError:
        raise UserError(f"{name}: is HEIC; save it as PNG, or have it read: {install('pillow-heif')}") from None
    pillow_heif.register_heif_opener()


def _orientation(image: Image.Image) -> int | None:
    """How a loaded image lies in its file, as EXIF numbers it; some editors leave that in XMP alone."""
    if image.format == "TIFF":
        return image.tag_v2.get(ORIENTATION)
    found = orientation(image.info.get("exif") or b"")
    if found is None and image.format in ("JPEG", "PNG", "WEBP"):
        with contextlib.suppress(Exception):  # Damaged notes raise many kinds.
            found = image.getexif().get(ORIENTATION)
    return found


def _grey_of_16_bits(picture: Image.Image, image: Image.Image, name: str) -> Image.Image:
    """Grey of more than 8 bits in mode I;16, white by what its file says, or by the rule of `to_16_bits`."""
    white, tags = None, getattr(image, "tag_v2", {})
    if picture.mode.startswith("I;16") or image.format in ("PNG", "PPM"):
        white = 4095 if tags.get(BITS_PER_SAMPLE) == (12,) else 65535
    grey = to_16_bits(picture, white)
    if white is not None and 0 < np.asarray(picture).max() <= 255:
        _warn(f"{name}: has 16 bits a channel and no value over 255 of {white}, which is next to black")
    if tags.get(PHOTOMETRIC) == 0 and white is not None:  # 0 is white, which Pillow turns round for 8 bits only
        grey = Image.fromarray(65535 - np.asarray(grey))
    return grey


def _opacity_by_key(image: Image.Image, kept: Essentials) -> Image.Image:
    """Opacity (mode L) of a PNG of which one grey or colour is transparent, compared at all its bits."""
    most = 2**kept.depth - 1
    key = [value & most for value in kept.key]
    if image.mode != "RGB":
        values = np.asarray(image if image.mode.startswith("I") else image.convert("L"))[..., None]
        key = key if kept.depth == 16 else [key[0] * 255 // most]
    elif kept.depth == 16:  # Pillow gives the upper bytes; told that the file is little-endian, the lower ones.
        with Image.open(io.BytesIO(kept.data)) as lower:
            lower.tile = [(*lower.tile[0][:3], "RGB;16L")]
            values = np.asarray(image, dtype=np.uint16) * 256 + np.asarray(lower)
    else:
        values = np.asarray(image)
    return Image.fromarray(np.where((values == key).all(axis=-1), 0, 255).astype(np.uint8))


@functools.cache
def _warn(line: str) -> None:
    """Say it on standard error, once."""
    print("warning:", " ".join(line.split()), file=sys.stderr)


def fingerprint(picture: Image.Image) -> str:
    """SHA-256 of an opened picture's pixels, to know it again."""
    return hashlib.sha256(picture.tobytes()).hexdigest()


def resize_picture(picture: Image.Image, shape: tuple[int, int]) -> Tensor:
    """Resize a picture to (height, width) with Pillow's antialiased bilinear; (3, H, W) 8-bit."""
    resized = picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()


def pixels_to_tensor(pixels: Tensor, device: torch.device) -> Tensor:
    """(3, H, W) 8-bit -> (1, 3, H, W) in [-1, 1] on `device`."""
    return pixels.to(device, torch.float32).div_(255).sub_(0.5).div_(0.5).unsqueeze(0)


def image_to_tensor(picture: Image.Image, shape: tuple[int, int], device: torch.device) -> Tensor:
    """Resize a picture to (height, width) with Pillow's antialiased bilinear; (1, 3, H, W) in [-1, 1]."""
    return pixels_to_tensor(resize_picture(picture, shape), device)


def image_pyramid(picture: Image.Image, shapes: tuple[tuple[int, int], ...], device: torch.device) -> list[Tensor]:
    """The real image at every scale, each resized straight from the original (METHOD section 2)."""
    return [image_to_tensor(picture, shape, device) for shape in shapes]


def to_uint8(image: Tensor) -> np.ndarray:
    """(1, 3, H, W) in [-1, 1] -> (H, W, 3) 8-bit, rounded, out-of-range values clipped."""
    pixels = ((image[0].detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    return pixels.to(torch.uint8).permute(1, 2, 0).numpy()


def save_image(image: Tensor, path: Path) -> None:
    """Write a (1, 3, H, W) picture in [-1, 1] as PNG in its true colours, never stretched."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, format="PNG")
    write_atomic(path, buffer.getvalue())
