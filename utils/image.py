"""Images: open whatever a person may pass, convert to [-1, 1] and back, save in true colours."""

import contextlib
import functools
import hashlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from utils.commands import install
from utils.errors import UserError
from utils.files import write_atomic

logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it says of a file, the error line says, too
# Pillow's mode for the colours an ICC profile is made for.
HEIC = {".heic", ".heif"}
PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}


def open_image(path: Path, flag: str, min_side: int = 1) -> Image.Image:
    """Open an image as 8-bit sRGB: upright, on white where it is transparent, its first frame or page.

    Args:
        path: any format Pillow reads, and HEIC with pillow-heif.
        flag: the option the path came from, for the error line.
        min_side: the smallest acceptable side, pixels.

    Raises:
        UserError: missing, not a regular file, not an image, damaged, too large or too small, or with pixels whose
            range is not known (`as_rgb`).
    """
    name = f"{flag} {path}"
    check_file(path, name)
    with opened(path, name) as image:
        shown = as_rgb(image, name)
    check_size(shown.size, min_side, name)
    return shown


def check_file(path: Path, name: str) -> None:
    """UserError where there is no regular file to be read."""
    if not path.is_file():
        reason = "no such file or folder"
        if path.exists():
            reason = "is a folder, not an image" if path.is_dir() else "is not a regular file"
        raise UserError(f"{name}: {reason}")


def check_size(size: tuple[int, int], min_side: int, name: str) -> None:
    """UserError where a side of (width, height) is smaller than that."""
    if min(size) < min_side:
        raise UserError(f"{name}: is {size[0]}x{size[1]} pixels; at least {min_side} on each side are needed")


@functools.cache
def print_warning(line: str) -> None:
    """One line on standard error, whatever the names in it; the same one once, as clips are read again and again."""
    print("warning:", " ".join(line.split()), file=sys.stderr)


@contextlib.contextmanager
def opened(path: Path, name: str) -> Iterator[Image.Image]:
    """An image as Pillow opens it; whatever goes wrong with it while it is used, as UserError."""
    if path.suffix.lower() in HEIC:
        with contextlib.suppress(ImportError):
            import pillow_heif  # not required

            pillow_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Read whole first: Pillow maps an uncompressed TIFF into memory, and lays its rows out as if upright.
            with Image.open(io.BytesIO(path.read_bytes())) as image:
                if image.format == "EPS":  # Pillow hands PostScript, which is a program, to Ghostscript.
                    raise UserError(f"{name}: is PostScript; save it as PNG first")
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = Image.MAX_IMAGE_PIXELS / 1e6
        raise UserError(f"{name}: has more than {limit:.0f} million pixels; shrink it first") from None
    except UnidentifiedImageError:
        heic = f", or have HEIC read: {install('pillow-heif')}" if path.suffix.lower() in HEIC else ""
        raise UserError(f"{name}: cannot be read: not an image Pillow knows; save it anew as PNG{heic}") from None
    except (UserError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files.
        raise UserError(f"{name}: cannot be read: {error or type(error).__name__}; save it anew as PNG") from None


def as_rgb(image: Image.Image, name: str) -> Image.Image:
    """An opened image as 8-bit sRGB, upright, on white where it is transparent; any kind of pixels.

    Grey of 16 bits is white at 65535; of 32 bits at 255 if no value is larger, else at 65535; of floating point at 1.

    Raises:
        UserError: values beyond that, or NaN; the line begins with `name`.
    """
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    opacity = None
    if image.mode.startswith(("I", "F")):
        image = _grey_of_8_bits(image, name)
    elif image.has_transparency_data and image.mode not in ("CMYK", "LAB"):
        grey = image.mode in ("LA", "La")
        opacity = image.convert("RGBA").getchannel("A")
        image = image.convert("LA").convert("L") if grey else image.convert("RGBA").convert("RGB")
    elif image.mode not in ("L", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    image = _as_srgb(image, profile, name)
    if opacity is not None:
        image = Image.composite(image, Image.new("RGB", image.size, "white"), opacity)
    return image


def _grey_of_8_bits(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    most = values.max()
    white = 1 if image.mode == "F" else 65535 if image.mode.startswith("I;16") or most > 255 else 255
    if not np.isfinite(values).all() or values.min() < 0 or most > white:
        raise UserError(
            f"{name}: has pixels from {values.min():g} to {most:g}, not within 0 (black) to {white} (white); "
            "scale them, or save it with 8 bits a channel"
        )
    return Image.fromarray(np.round(values * (255 / white)).astype(np.uint8))


def _as_srgb(image: Image.Image, profile: bytes | None, name: str) -> Image.Image:
    """Colours of mode L, RGB, CMYK or LAB as RGB; by their ICC profile where it can be used."""
    srgb = ImageCms.createProfile("sRGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else None
        if source is None and image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        if source is not None:
            mode = PROFILE_MODES[source.profile.xcolor_space.strip()]
            if (mode, image.mode) == ("RGB", "L"):  # The reverse would take the colours away.
                image = image.convert(mode)
            return ImageCms.profileToProfile(
                image,
                source,
                srgb,
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                "RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError):
        print_warning(f"{name}: its colour profile cannot be used and is left out")
    return image.convert("RGB")


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
