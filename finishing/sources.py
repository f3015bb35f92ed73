"""Where every pixel of a finished image comes from, as a file, and the same made of other maps (docs/control.md)."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from utils.errors import UserError
from utils.files import replacing
from utils.image import opened

# As they are, then mirrored, upside down, turned by 90, 180 and 270 degrees, transposed, transverse: Pillow's order.
TURNS = [Image.Image.copy, *(partial(Image.Image.transpose, method=method) for method in Image.Transpose)]
ARRAYS = ("reference", "row", "column", "sizes")
ORIENTATION = 0x0112  # EXIF


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
    path.parent.mkdir(parents=True, exist_ok=True)
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
        name = f"--reference {file}"
        with opened(file, name) as image:
            upright = image.getexif().get(ORIENTATION, 1) == 1
        how = cv2.IMREAD_UNCHANGED if upright else cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR  # which turns it
        pixels = cv2.imdecode(np.fromfile(file, np.uint8), how)
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
