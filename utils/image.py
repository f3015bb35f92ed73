"""Images: open whatever a person may pass, convert to [-1, 1] and back, save in true colours."""

import contextlib
import hashlib
import io
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from utils.commands import install
from utils.errors import UserError
from utils.files import write_atomic
from utils.pictures.appearance import as_shown, without_warnings
from utils.pictures.containers import AVIF_BRANDS, HEAD, HEIC_BRANDS, JPEG_XL, Essentials, brands, essentials, is_known

logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it says of a file, the error line says, too
NEW_SUBFILE_TYPE = 254  # tag of TIFF


def open_image(path: Path, flag: str, min_side: int = 1, warn: Callable[[str], object] | None = None) -> Image.Image:
    """Open an image as 8-bit sRGB: upright, on white where it is transparent, its first frame or page.

    Only what makes the image is read: notes of any kind in the file, damaged or not, are passed over.

    Args:
        path: any format Pillow reads, and HEIC with pillow-heif; any kind of pixels: palette, grey, 16-bit, CMYK, Lab.
        flag: the option the path came from, for the error line.
        min_side: the smallest acceptable side, pixels.
        warn: takes, in words, what is doubtful about the colours; None for a line on standard error.

    Raises:
        UserError: missing, not a regular file, not an image, damaged, too large or too small, or with 32-bit pixels
            whose range is not known (`to_16_bits`).
    """
    name = f"{flag} {path}"
    check_file(path, name)
    with opened(path, name) as (image, kept):
        shown = as_shown(image, kept, warn or (lambda words: print_warning(f"{name}: {words}")))
    check_size(shown.size, min_side, name)
    return shown


def check_file(path: Path, name: str) -> None:
    """UserError where there is no file to be read."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        reason = "no such file or folder" if isinstance(error, FileNotFoundError) else error.strerror
        raise UserError(f"{name}: {reason}") from None
    if stat.S_ISDIR(mode):
        raise UserError(f"{name}: is a folder, not an image")
    if not stat.S_ISREG(mode):
        raise UserError(f"{name}: is not a regular file")


def check_size(size: tuple[int, int], min_side: int, name: str) -> None:
    """UserError where a side of (width, height) is smaller than that."""
    if min(size) < min_side:
        raise UserError(f"{name}: is {size[0]}x{size[1]} pixels; at least {min_side} on each side are needed")


def print_warning(line: str) -> None:
    """One line on standard error, whatever the names in it."""
    print("warning:", " ".join(line.split()), file=sys.stderr)


@contextlib.contextmanager
def opened(path: Path, name: str, animated: bool = False) -> Iterator[tuple[Image.Image, Essentials]]:
    """An image as Pillow opens it, and what was left of its file; whatever goes wrong with it, as UserError."""
    try:
        with path.open("rb") as file:
            image, kept = _identified(file, name, animated)
            with image:
                yield image, kept
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = Image.MAX_IMAGE_PIXELS / 1e6
        raise UserError(f"{name}: has more than {limit:.0f} million pixels; shrink it first") from None
    except (UserError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files.
        raise UserError(f"{name}: cannot be read: {error or type(error).__name__}") from None


@without_warnings()
def _identified(file: BinaryIO, name: str, animated: bool) -> tuple[Image.Image, Essentials]:
    """Leave out what could only do harm, and let Pillow see what the rest is."""
    head = file.read(HEAD)
    if brands(head) & HEIC_BRANDS:
        _add_heif(name)
    file.seek(0)
    kept = essentials(file.read(), animated) if is_known(head) else Essentials(b"")
    try:
        # Never by its name: Pillow would map an uncompressed TIFF into memory, and lay its rows out as if upright.
        image = Image.open(io.BytesIO(kept.data) if kept.data else file)
    except UnidentifiedImageError:
        reason = "not an image Pillow can read"
        if brands(head) & AVIF_BRANDS:
            reason = f"AVIF, for which Pillow is too old or has no decoder; {install('--upgrade', 'pillow')}"
        elif head.startswith(JPEG_XL):
            reason = "JPEG XL, which Pillow does not read; save it as PNG first"
        raise UserError(f"{name}: cannot be read: {reason}") from None
    if image.format == "EPS":  # Pillow hands PostScript, which is a program, to Ghostscript.
        raise UserError(f"{name}: is PostScript; save it as PNG first")
    if image.format == "TIFF":
        kind = image.tag_v2.get(NEW_SUBFILE_TYPE)
        if isinstance(kind, int) and kind & 1:
            raise UserError(f"{name}: holds a small copy of its image first (a camera's raw file?); save it as PNG")
        image.load_end = lambda: None  # Pillow's turns it upright, and needs every tag to be in order for that.
    return image, kept


def _add_heif(name: str) -> None:
    """Teach Pillow to read HEIC."""
    try:
        import pillow_heif  # not required; only this needs it
    except ImportError:
        raise UserError(f"{name}: is HEIC; save it as PNG, or have it read: {install('pillow-heif')}") from None
    pillow_heif.register_heif_opener()


def fingerprint(image: Image.Image) -> str:
    """SHA-256 of an opened image's pixels, to know it again."""
    return hashlib.sha256(image.tobytes()).hexdigest()


def resize_image(image: Image.Image, shape: tuple[int, int]) -> Tensor:
    """Resize an image to (height, width) with Pillow's antialiased bilinear; (3, H, W) 8-bit."""
    resized = image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()


def pixels_to_tensor(pixels: Tensor, device: torch.device) -> Tensor:
    """(3, H, W) 8-bit -> (1, 3, H, W) in [-1, 1] on `device`."""
    return pixels.to(device, torch.float32).div_(255).sub_(0.5).div_(0.5).unsqueeze(0)


def image_to_tensor(image: Image.Image, shape: tuple[int, int], device: torch.device) -> Tensor:
    """Resize an image to (height, width) with Pillow's antialiased bilinear; (1, 3, H, W) in [-1, 1]."""
    return pixels_to_tensor(resize_image(image, shape), device)


def image_pyramid(image: Image.Image, shapes: tuple[tuple[int, int], ...], device: torch.device) -> list[Tensor]:
    """The real image at every scale, each resized straight from the original (docs/method.md, section 2)."""
    return [image_to_tensor(image, shape, device) for shape in shapes]


def to_uint8(image: Tensor) -> np.ndarray:
    """(1, 3, H, W) in [-1, 1] -> (H, W, 3) 8-bit, rounded, out-of-range values clipped."""
    pixels = ((image[0].detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    return pixels.to(torch.uint8).permute(1, 2, 0).numpy()


def save_image(image: Tensor, path: Path) -> None:
    """Write a (1, 3, H, W) image in [-1, 1] as PNG in its true colours, never stretched."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, format="PNG")
    write_atomic(path, buffer.getvalue())
