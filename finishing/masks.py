"""Masks: what is white of one is opaque in its image, and what is left of that when the image shrinks."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import distance_transform_cdt
from torch import Tensor

from utils.errors import UserError
from utils.image import open_image
from utils.resize import resize


def masked(image: Image.Image, path: Path | None, flag: str) -> Image.Image:
    """An image with the mask in a file, if there is one, as its transparency; UserError where their sizes differ."""
    if path is None:
        return image
    mask, image = open_image(path, flag).convert("L"), image.copy()
    if mask.size != image.size:
        sizes = "is {}x{} pixels, its image {}x{}".format(*mask.size, *image.size)
        raise UserError(f"{flag} {path}: {sizes}; make both of one size")
    image.putalpha(mask)
    return image


def opaque(image: Image.Image) -> Tensor:
    """(H, W) float: 1 where an image is rather opaque, else 0."""
    return torch.from_numpy(np.array(image.convert("RGBA"))[..., 3] >= 128).float()


def white(mask: Tensor, *how: object) -> Tensor:
    """Where an image resized with its mask, (H, W) float, has nothing of what is black there: bool, see `resize`."""
    return (resize(mask, *how) - 1).abs() < 0.01


def white_side(mask: Tensor) -> int:
    """The side of the largest white square, or one less where something is black."""
    return min(mask.shape) if mask.all() else 2 * int(distance_transform_cdt(np.pad(mask, 1)).max()) - 1
