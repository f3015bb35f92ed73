"""Pictures: open whatever a person may pass, convert to [-1, 1] and back, save in true colours."""

import hashlib
import io
import os
import stat
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from utils.errors import UserError
from utils.files import write_atomic


def open_image(path: Path, flag: str, min_side: int = 1) -> Image.Image:
    """Open a picture as 8-bit RGB: EXIF orientation applied, transparency on white, first frame.

    Args:
        path: any format Pillow reads; palette, grey, 16-bit, CMYK, with or without transparency.
        flag: the option the path came from, for the error line.
        min_side: the smallest acceptable side, pixels.

    Raises:
        UserError: missing, not a regular file, not a picture, damaged, too large or too small.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise UserError(f"{flag} {path}: is a folder, not a picture")
        if not stat.S_ISREG(mode):
            raise UserError(f"{flag} {path}: is not a regular file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow only warns about a picture large enough to be a decompression bomb.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                if file.format == "EPS":  # Pillow hands PostScript, which is a program, to Ghostscript.
                    raise UserError(f"{flag} {path}: is PostScript; save it as PNG first")
                file.load()
                picture = _to_rgb(ImageOps.exif_transpose(file))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = Image.MAX_IMAGE_PIXELS / 1e6
        raise UserError(f"{flag} {path}: has more than {limit:.0f} million pixels; shrink it first") from None
    except FileNotFoundError:
        raise UserError(f"{flag} {path}: no such file") from None
    except UserError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files.
        reason = "not a picture Pillow can read" if "cannot identify" in str(error) else str(error)
        raise UserError(f"{flag} {path}: cannot be read: {reason or type(error).__name__}") from None
    if min(picture.size) < min_side:
        width, height = picture.size
        raise UserError(f"{flag} {path}: is {width}x{height} pixels; at least {min_side} on each side are needed")
    return picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise ValueError("floating-point or 32-bit pixels; save it with 8 or 16 bits a channel")
        return Image.fromarray(np.round(values / 257).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


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
