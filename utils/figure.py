"""Figures a person looks at: the labelled sheet of results and the loss curves."""

import io
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from utils.files import write_atomic
from utils.image import to_uint8
from utils.log import positions

Cell = tuple[str, Tensor]

DPI = 100
CELL, GAP, LABEL = 256, 12, 26  # pixels: least side of a picture, space between two, height of a label


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_atomic(path, buffer.getvalue())


def save_sheet(rows: list[list[Cell]], path: Path) -> None:
    """Write a sheet of labelled pictures: (label, (1, 3, H, W) in [-1, 1]) cells, in true colours.

    Small pictures are enlarged by a whole factor without smoothing, so that their pixels can be judged.
    """
    pictures = [[(label, _enlarge(to_uint8(image))) for label, image in row] for row in rows]
    cell_width = max(pixels.shape[1] for row in pictures for _, pixels in row) + GAP
    heights = [max(pixels.shape[0] for _, pixels in row) + LABEL + GAP for row in pictures]
    width, height = cell_width * max(map(len, pictures)) + GAP, sum(heights) + GAP
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    top = height - GAP  # matplotlib counts from the bottom
    for row, row_height in zip(pictures, heights, strict=True):
        for column, (label, pixels) in enumerate(row):
            left = GAP + column * cell_width
            figure.text(left / width, (top - LABEL / 2) / height, label, fontsize=10, va="center")
            figure.figimage(pixels, left, top - LABEL - pixels.shape[0], origin="upper")
        top -= row_height
    _save(figure, path)


def _enlarge(pixels: np.ndarray) -> np.ndarray:
    factor = max(1, CELL // max(pixels.shape[:2]))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def save_loss_curves(records: list[dict], path: Path) -> None:
    """Write the curves of every loss term over the whole run from the log's records, critics above generators."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    steps, ends = positions(records)
    for axis, side, title in zip(axes, "DG", ("Critics", "Generators"), strict=True):
        for name in sorted({key for record in records for key in record if key.startswith(side + "/")}):
            values = [record.get(name, float("nan")) for record in records]
            axis.plot(steps, values, label=name[2:], marker="." if len(records) < 40 else None, linewidth=1)
        for end in ends[:-1]:
            axis.axvline(end, color="0.8", linewidth=1, zorder=0)
        axis.set_title(f"{title}: weighted loss terms; grey lines divide the scales", fontsize=10)
        axis.legend(fontsize=8, ncols=2)
    axes[-1].set_xlabel("step, all scales")
    _save(figure, path)
