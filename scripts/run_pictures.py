"""The pictures of training runs for a page: reduced ones to stand in it, and what leads to the whole ones."""

import base64
import hashlib
import io
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from scripts.report_cache import ReportCache, Stamp, stamp
from utils.errors import UserError
from utils.image import fingerprint, open_image, resize_image
from utils.geometry import ceil_side

# Longest sides of reduced pictures, pixels: seen large, in the list, among the growth over the scales.
LARGE, SMALL, TINY = 256, 160, 64
QUALITY = 70
PREFIX = "data:image/webp;base64,"


@dataclass(frozen=True)
class Picture:
    """A picture of a run.

    Args:
        reduced: WebP, as a data URI.
        size: (width, height) of the whole picture, pixels.
        file: the whole picture; None where `reduced` is all there is.
    """

    reduced: str
    size: tuple[int, int]
    file: Path | None = None


@dataclass(frozen=True)
class Input:
    """A or B of a run, as the networks see it: `picture`, of which `path` with the stamp `mark` is the original."""

    picture: Picture
    path: Path
    mark: Stamp

    def original(self) -> Image.Image:
        return _open(self.path, self.mark)


@lru_cache(maxsize=2)  # Neighbouring runs are often of one pair.
def _open(path: Path, _: Stamp) -> Image.Image:
    return open_image(path, "")


def _reduced(picture: Image.Image, side: int) -> str:
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # What is small enough to be looked at pixel by pixel keeps its pixels.
    small.save(buffer, format="WEBP", quality=QUALITY, lossless=max(small.size) <= TINY // 2)
    return PREFIX + base64.b64encode(buffer.getvalue()).decode()


def _is_picture(value: Any) -> bool:
    """Whether a cached value has a picture's "uri" and "size"."""
    if not isinstance(value, dict) or not isinstance(value.get("size"), list) or len(value["size"]) != 2:
        return False
    return str(value.get("uri")).startswith(PREFIX) and all(type(side) is int and side > 0 for side in value["size"])


def reason(error: OSError | UserError, path: Path) -> str:
    """An error in words, without the name of the file."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error).removeprefix(f" {path}: ")


def read_picture(path: Path, side: int, cache: ReportCache) -> Picture:
    """A picture the run has written, reduced to `side` pixels; OSError or UserError where it cannot be read."""

    def make() -> dict:
        whole = open_image(path, "")
        return {"uri": _reduced(whole, side), "size": list(whole.size)}

    value = cache.get(("picture", *stamp(path), side), make, _is_picture)
    return Picture(value["uri"], tuple(value["size"]), path)


def read_input(path: Path, known: object, img_size: int, keep_aspect: bool, cache: ReportCache) -> Input:
    """A or B.

    Args:
        known: fingerprint of the picture the run was trained on; None where it is not recorded.
        img_size: longer side at the finest scale, pixels. Nothing of that size is made here.
        keep_aspect: whether the picture keeps its shape instead of becoming a square.

    Raises:
        OSError, UserError: it cannot be read, or is another picture by now.
    """
    mark = (str(path), *stamp(path)[1:])

    def make() -> dict:
        whole = _open(path, mark)
        longer = max(whole.size) if keep_aspect else None
        width, height = (ceil_side(img_size * side / (longer or side)) for side in whole.size)
        ratio = min(1.0, LARGE / max(width, height))
        pixels = resize_image(whole, (max(1, round(height * ratio)), max(1, round(width * ratio))))
        seen = Image.fromarray(pixels.permute(1, 2, 0).numpy())
        return {"uri": _reduced(seen, LARGE), "size": [width, height], "fingerprint": fingerprint(whole)}

    value = cache.get(("input", *mark, img_size, keep_aspect), make, _is_input)
    if known is not None and value["fingerprint"] != known:
        raise UserError(f" {path}: is not the picture the run was trained on any more")
    return Input(Picture(value["uri"], tuple(value["size"])), path, mark)


def _is_input(value: Any) -> bool:
    return _is_picture(value) and isinstance(value.get("fingerprint"), str)


class Pictures:
    """What the page shows pictures by.

    Args:
        folder: the page's.
        embed: put the whole pictures into the page as well.
    """

    def __init__(self, folder: Path, embed: bool) -> None:
        self.folder, self.embed = folder, embed
        self.inside: dict[str, str] = {}

    def add(self, picture: Picture) -> dict[str, object]:
        """`key` of the reduced picture inside the page, `whole`: a key, or the picture's address."""
        key = self._keep(picture.reduced)
        return {"key": key, "whole": self._whole(picture.file) if picture.file else key, "side": max(picture.size)}

    def _keep(self, uri: str) -> str:
        """The key of a data URI, each kept once."""
        key = hashlib.sha256(uri.encode()).hexdigest()[:16]
        self.inside.setdefault(key, uri)
        return key

    def _whole(self, file: Path) -> str:
        if self.embed:
            return self._keep("data:image/png;base64," + base64.b64encode(file.read_bytes()).decode())
        try:
            return quote(Path(os.path.relpath(file, self.folder)).as_posix())
        except ValueError:  # Windows: on another drive
            return file.resolve().as_uri()
