"""Figures a person looks at: the labelled sheet of results and the loss curves."""

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from utils.files import write_atomic
from utils.image import to_uint8

Cell = tuple[str, Tensor]

CELL_INCHES, LABEL_INCHES, DPI = 2.6, 0.3, 100


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_atomic(path, buffer.getvalue())


def save_sheet(rows: list[list[Cell]], path: Path) -> None:
    """Write a sheet of labelled pictures: (label, (1, 3, H, W) in [-1, 1]) cells, in true colours."""
    columns = max(len(row) for row in rows)
    height = len(rows) * (CELL_INCHES + LABEL_INCHES)
    figure = Figure(figsize=(columns * CELL_INCHES, height), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for row_axes, row in zip(axes, rows, strict=True):
        for axis, (label, image) in zip(row_axes, row, strict=False):
            axis.imshow(to_uint8(image), interpolation="nearest")
            axis.set_title(label, fontsize=10)
    _save(figure, path)


def save_loss_curves(records: list[dict], path: Path) -> None:
    """Write the curves of every loss term over the whole run from the log's records, critics above generators."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    ends, total = [], 0
    positions: list[int] = []
    for index, record in enumerate(records):
        positions.append(total + record["step"])
        if index + 1 == len(records) or records[index + 1]["scale"] != record["scale"]:
            total = positions[-1]
            ends.append((record["scale"], total))
    for axis, side, title in zip(axes, "DG", ("Critics", "Generators"), strict=True):
        for name in sorted({key for record in records for key in record if key.startswith(side + "/")}):
            values = [record.get(name, float("nan")) for record in records]
            axis.plot(positions, values, label=name[2:], marker="." if len(records) < 40 else None, linewidth=1)
        for _, end in ends[:-1]:
            axis.axvline(end, color="0.8", linewidth=1, zorder=0)
        axis.set_title(f"{title}: weighted loss terms; grey lines divide the scales", fontsize=10)
        axis.legend(fontsize=8, ncols=2)
    axes[-1].set_xlabel("step, all scales")
    _save(figure, path)
