"""Images: open whatever a person may pass, convert to [-1, 1] and back, reduce to few colours, save in true ones."""

import contextlib
import functools
import hashlib
import io
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from utils.device import CPU, send
from utils.errors import UserError
from utils.files import replacing
from utils.rng import stream
from utils.run_folder import RunFolder

with contextlib.suppress(ImportError):
    import pillow_heif  # what phones save; not required

    pillow_heif.register_heif_opener()


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
    if not path.is_file():
        raise UserError(f"{name}: {'is not a file' if path.exists() else 'no such file or folder'}")
    with opened(path, name) as image:
        shown = as_rgb(image, name)
    check_size(shown.size, min_side, name)
    return shown


def masked(image: Image.Image, path: str | Path | None, flag: str) -> Image.Image:
    """An image with the mask in a file, if there is one, as its transparency; UserError where their sizes differ."""
    if path is None:
        return image
    mask, image = open_image(Path(path), flag).convert("L"), image.copy()
    if mask.size != image.size:
        sizes = "is {}x{} pixels, its image {}x{}".format(*mask.size, *image.size)
        raise UserError(f"{flag} {path}: {sizes}; make both of one size")
    image.putalpha(mask)
    return image


def check_size(size: tuple[int, int], min_side: int, name: str) -> None:
    """UserError where a side of (width, height) is smaller than that."""
    if min(size) < min_side:
        raise UserError(f"{name}: is {size[0]}x{size[1]} pixels; each side needs at least {min_side}")


@functools.cache
def warn_once(line: str) -> None:
    """One line on standard error, whatever the names in it; the same one once, as clips are read again and again."""
    print("warning:", " ".join(line.split()), file=sys.stderr)


@contextlib.contextmanager
def opened(path: Path, name: str) -> Iterator[Image.Image]:
    """An image as Pillow opens it; whatever goes wrong with it while it is used, as UserError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Not by its name: Pillow would map an uncompressed TIFF into memory, its rows laid out as if upright.
            with path.open("rb") as file, Image.open(file) as image:
                yield image
    except (UserError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files.
        unknown = "not a still image that Pillow knows (HEIC needs the package pillow-heif)"
        reason = unknown if isinstance(error, UnidentifiedImageError) else error
        raise UserError(f"{name}: cannot be read: {reason}; save it as PNG, or smaller") from None


def as_rgb(image: Image.Image, name: str) -> Image.Image:
    """An opened image as 8-bit sRGB, upright, on white where it is transparent; any kind of pixels.

    Grey of 16 or 32 bits is white at 65535, of floating point at 1.

    Raises:
        UserError: values beyond that, or NaN; the line begins with `name`.
    """
    profile, image = image.info.get("icc_profile"), ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        values, white = np.asarray(image).astype(np.float64), 1 if image.mode == "F" else 65535
        if not ((values >= 0) & (values <= white)).all():
            raise UserError(f"{name}: has values outside 0 (black) to {white} (white); save it with 8 bits per channel")
        image = Image.fromarray(np.round(values * (255 / white)).astype(np.uint8))
    elif image.has_transparency_data:
        rgba, image = image.convert("RGBA"), Image.new("RGB", image.size, "white")
        image.paste(rgba, mask=rgba)
    elif image.mode not in ("L", "CMYK"):
        image = image.convert("RGB")
    try:
        if profile:
            source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            image = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        warn_once(f"{name}: its colour profile cannot be used and is ignored")
    return image.convert("RGB")


def fingerprint(image: Image.Image) -> str:
    """SHA-256 of an opened image's pixels, to know it again."""
    return hashlib.sha256(image.tobytes()).hexdigest()


def pixels_to_tensor(pixels: np.ndarray, device: torch.device) -> Tensor:
    """(H, W, 3) 8-bit -> (1, 3, H, W) in [-1, 1] on `device`."""
    tensor = send(torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), device)
    return tensor.float().div_(255).sub_(0.5).div_(0.5).unsqueeze(0)


def image_to_tensor(image: Image.Image, shape: tuple[int, int] | None = None, device: torch.device = CPU) -> Tensor:
    """An image at its own size, or brought to a (height, width) by Pillow's antialiased bilinear; (1, 3, H, W)."""
    height, width = shape or (image.height, image.width)
    return pixels_to_tensor(np.array(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)), device)


def image_pyramid(image: Image.Image, shapes: tuple[tuple[int, int], ...], device: torch.device) -> list[Tensor]:
    """The real image at every scale, each resized straight from the original (docs/method.md, section 2)."""
    return [image_to_tensor(image, shape, device) for shape in shapes]


def to_uint8(image: Tensor) -> np.ndarray:
    """(1, 3, H, W) in [-1, 1] -> (H, W, 3) 8-bit, rounded, out-of-range values clipped."""
    pixels = ((image[0].detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    return pixels.to(torch.uint8).permute(1, 2, 0).numpy()


def save_image(image: Tensor, path: Path) -> None:
    """Write a (1, 3, H, W) image in [-1, 1] as PNG in its true colours, never stretched."""
    with replacing(path) as temporary:
        Image.fromarray(to_uint8(image)).save(temporary, format="PNG")


def save_images(images: dict[str, Tensor], folder: RunFolder) -> None:
    """Write (1, 3, H, W) images in [-1, 1] as PNG under their names."""
    folder.claim(*(f"{name}.png" for name in images))
    for name, image in images.items():
        save_image(image, folder.path / f"{name}.png")


def main_colours(image: Tensor, count: int) -> Tensor:
    """The centres k-means finds among an image's RGB triples, always the same ones for the same image.

    Args:
        image: (1, 3, H, W).
        count: how many; fewer come where the image has fewer colours.

    Returns:
        (count, 3) on the image's device.
    """
    from scipy.cluster.vq import kmeans2  # half a second; only this needs it

    colours = image[0].flatten(1).T.cpu().double()  # Apple GPUs have no float64.
    different = colours.unique(dim=0)
    order = torch.randperm(len(different), generator=stream(0, "palette"))
    centres, _ = kmeans2(colours.numpy(), different[order[:count]].numpy(), iter=50, minit="matrix", missing="warn")
    return torch.from_numpy(centres).to(image.dtype).to(image.device)


def recolour(image: Tensor, palette: Tensor) -> Tensor:
    """Every pixel of (N, 3, H, W) in the nearest colour of (K, 3)."""
    distances = (image.unsqueeze(1) - palette.view(1, -1, 3, 1, 1)).square().sum(dim=2)
    return palette[distances.argmin(dim=1)].permute(0, 3, 1, 2).contiguous()


def simplified(image: Image.Image, levels: int, shape: tuple[int, int]) -> Image.Image:
    """Few grey levels, dark and bright exchanged, as the paper has some clips (docs/method.md, section 12).

    With x the inverted grey value in [-1, 1], the result is `trunc((x - 0.01) levels) / levels`: a multiple
    of 1 / levels from -1 to 1 - 1 / levels, rounded towards mid-grey. The 0.01 takes white out of a level
    of its own. Two levels give -1, -0.5, 0 and 0.5.

    Args:
        levels: the published `quant_level`, 2 there; 0 leaves the image as it is.
        shape: (height, width) it is resized to first.
    """
    if not levels:
        return image
    colours = image_to_tensor(image, shape)
    inverted = -(colours * colours.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return Image.fromarray(to_uint8((torch.trunc((inverted - 0.01) * levels) / levels).expand_as(colours)))
