"""A finished image, and where each of its pixels comes from: as a picture, as a file, and made of other maps."""

import colorsys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from finishing.canvas import Shape
from utils.errors import UserError
from utils.files import replacing
from utils.image import opened

if TYPE_CHECKING:
    from finishing.references import References  # loads numba

CELLS = 8  # of the grid along a reference's longer side
# As they are, then mirrored, upside down, turned by 90, 180 and 270 degrees, transposed, transverse: Pillow's order.
TURNS = [Image.Image.copy, *(partial(Image.Image.transpose, method=method) for method in Image.Transpose)]
ARRAYS = ("reference", "row", "column", "sizes")
ORIENTATION = 0x0112  # EXIF


class Finished(NamedTuple):
    """A finished image and where it comes from; what the next frame of a clip needs, too.

    Args:
        image: (1, 3, H, W) in [-1, 1].
        source: (3, H, W) int32: for every pixel the index of its reference, and its row and column there. What was
            kept comes from one more, the input.
        copied: share of patches whose right and lower neighbours continue in the reference, 0 to 1: "copied in one
            piece"; where something was kept, of those with their centre in the hole.
        references: whose patches they are; `references.images` are as large as these were copied.
        matches: of every pass the field, (h, w) int32, places in the references' canvas, and the drift, (2, h, w)
            float32, how far from its match each patch has moved since (`motion.carried`).
        colours: (3, 4), the map the learned image's colours went through.
    """

    image: Tensor
    source: np.ndarray
    copied: float
    references: "References"
    matches: list[tuple[np.ndarray, np.ndarray]]
    colours: Tensor

    def source_map(self) -> Tensor:
        """(1, 3, H, W) in [-1, 1]: each pixel in the colour its source has in `legend`.

        What was copied in one piece shows a piece of the grid.
        """
        colours, images = torch.zeros(1, 3, *self.source.shape[1:]), self.references.images
        for index, image in enumerate(images):
            here = torch.from_numpy(self.source[0] == index)
            rows, columns = (torch.from_numpy(positions).long()[here] for positions in self.source[1:])
            colours[0][:, here] = legend(image.shape[-2:], index, len(images))[0][:, rows, columns]
        return colours


def legend(shape: Shape, index: int = 0, count: int = 1) -> Tensor:
    """The colours of a reference's positions: a hue for each corner, blended between them, and the lines of a grid.

    Args:
        shape: (height, width) of the reference.
        index, count: which of how many; every reference has hues of its own.

    Returns:
        (1, 3, H, W) in [-1, 1].
    """
    corners = [colorsys.hsv_to_rgb((index + corner / 4) / count, 0.85, 0.95) for corner in range(4)]
    top_left, top_right, bottom_right, bottom_left = torch.tensor(corners)[:, :, None, None]
    down, right = torch.linspace(0, 1, shape[0])[:, None], torch.linspace(0, 1, shape[1])
    colours = (1 - down) * ((1 - right) * top_left + right * top_right)
    colours += down * ((1 - right) * bottom_left + right * bottom_right)
    cell = max(4, max(shape) // CELLS)
    line = max(1, cell // 12)
    on_line = (torch.arange(shape[0]) % cell < line)[:, None] | (torch.arange(shape[1]) % cell < line)
    return (torch.where(on_line, 0.35 * colours, colours) * 2 - 1)[None]


def save_sources(
    path: Path, source: np.ndarray, images: Sequence[Image.Image], factors: Sequence[float], turns: Sequence[Callable]
) -> None:
    """Write sources at the resolution of the images they are in: reference, row, column, (H, W), and sizes.

    Args:
        source: (3, H, W), see `Finished`, in images shrunk by `factors`: each turned by the first of `turns`, then by
            the second, and so on.
        images: as they were before; last, if something of it was kept, the input.
    """
    out, count = np.empty_like(source), len(factors) // len(turns)
    for number in np.unique(source[0]):
        turn, index = divmod(number, count) if number < len(factors) else (0, count)
        width, height = images[index].size
        places = Image.fromarray(np.arange(height * width, dtype=np.int32).reshape(height, width))
        places, here = np.asarray(turns[turn](places)), source[0] == number
        at = (source[1:, here] + 0.5) / [*factors, 1][number]
        row, column = np.minimum(at.astype(int), np.subtract(places.shape, 1)[:, None])
        out[0, here], out[1:, here] = index, np.divmod(places[row, column], width)
    arrays = [*out, np.array([image.size[::-1] for image in images], np.int32)]
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **dict(zip(ARRAYS, arrays, strict=True)))


def apply_sources(path: Path, maps: Sequence[Path]) -> tuple[str, bytes]:
    """The image that `path` records, of other maps' pixels as they are: the ending of its name, and its content.

    Raises:
        UserError: `path` is no such file; another number, size or kind of maps.
    """
    import cv2  # which keeps 16 bits a channel, also in colour

    try:
        with np.load(path) as file:
            reference, row, column, sizes = (file[name] for name in ARRAYS)
    except Exception:  # of many kinds, where it is cut short
        raise UserError(f"--apply {path}: missing, damaged, or not written by --sources") from None
    if len(maps) != len(sizes):
        raise UserError(f"--reference: {len(maps)} given, --apply {path} needs {len(sizes)}, in the order recorded")
    out = None
    for index, (file, size) in enumerate(zip(maps, sizes, strict=True)):
        name, upright, shown = f"--reference {file}", True, None
        with suppress(UserError):  # Pillow knows no colours in floating point
            with opened(file, name) as image:
                upright = image.getexif().get(ORIENTATION, 1) == 1
            with opened(file, name) as image:  # anew: a TIFF is turned while it is loaded
                shown = ImageOps.exif_transpose(image)
        how = cv2.IMREAD_UNCHANGED if upright else cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR  # which turns it
        content = np.fromfile(file, np.uint8) if file.is_file() else np.empty(0)
        pixels = cv2.imdecode(content, how) if content.size else None
        if shown and pixels is not None and pixels.dtype == np.uint8:  # OpenCV changes colours by transparency
            kind = "RGBA" if shown.has_transparency_data else "L" if shown.mode in ("L", "1") else "RGB"
            pixels = np.asarray(shown.convert(kind))
            pixels = pixels if kind == "L" else pixels[..., [2, 1, 0, 3][: len(kind)]]
        if pixels is None or pixels.shape[:2] != tuple(size):
            has = "cannot be read" if pixels is None else "is {1}x{0} pixels".format(*pixels.shape)
            raise UserError(f"{name}: {has}; --apply needs a PNG or TIFF of {size[1]}x{size[0]} here")
        out = np.empty((*reference.shape, *pixels.shape[2:]), pixels.dtype) if out is None else out
        if (pixels.shape[2:], pixels.dtype) != (out.shape[2:], out.dtype):
            raise UserError(f"{name}: has other channels or bits than the first; save all alike")
        here = reference == index
        out[here] = pixels[row[here], column[here]]
    ending = ".png" if out.dtype in (np.uint8, np.uint16) else ".tiff"
    return ending, cv2.imencode(ending, out)[1].tobytes()
