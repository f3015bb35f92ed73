"""The labelled sheet of results a person looks at first."""

import io
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from utils.files import write_atomic
from utils.image import to_uint8

Cell = tuple[str, Tensor]

DPI = 100
CELL, GAP, LABEL = 256, 12, 26  # pixels: least side of a picture, space between two, height of a label
LETTER = 7  # pixels, about the width of a letter


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, or as JPEG where the name ends so, atomically."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    more = {"format": "jpeg", "pil_kwargs": {"quality": 90}} if path.suffix == ".jpg" else {"format": "png"}
    figure.savefig(buffer, dpi=DPI, **more)
    write_atomic(path, buffer.getvalue())


def save_sheet(rows: list[list[Cell]], path: Path) -> None:
    """Write a sheet of labelled pictures: (label, (1, 3, H, W) in [-1, 1]) cells, in true colours.

    Small pictures are enlarged by a whole factor without smoothing, so that their pixels can be judged.
    """
    pictures = [[(label, _enlarge(to_uint8(image))) for label, image in row] for row in rows]
    widths = [max(pixels.shape[1] for _, pixels in row) + GAP for row in pictures]  # of a cell
    heights = [max(pixels.shape[0] for _, pixels in row) + LABEL + GAP for row in pictures]
    width = GAP + max(each * len(row) for each, row in zip(widths, pictures, strict=True))
    height = GAP + sum(heights)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    top = height - GAP  # matplotlib counts from the bottom
    for row, cell_width, row_height in zip(pictures, widths, heights, strict=True):
        for column, (label, pixels) in enumerate(row):
            left = GAP + column * cell_width
            most = (cell_width - GAP) // LETTER
            shown = label if len(label) <= most else label[: most - 1] + "…"
            figure.text(left / width, (top - LABEL / 2) / height, shown, fontsize=10, va="center")
            figure.figimage(pixels, left, top - LABEL - pixels.shape[0], origin="upper")
        top -= row_height
    save_figure(figure, path)


def _enlarge(pixels: np.ndarray) -> np.ndarray:
    factor = max(1, CELL // max(pixels.shape[:2]))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
