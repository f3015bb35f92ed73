"""The loss curves of a run, as a figure."""

from pathlib import Path

from matplotlib.figure import Figure

from utils.sheet import save_figure
from utils.log import positions


def save_loss_curves(records: list[dict], path: Path) -> None:
    """Write the curves of every loss term over the whole run from the log's records: L_D's above L_G's."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    steps, ends = positions(records)
    for axis, side, title in zip(axes, "DG", ("Discriminators", "Generators"), strict=True):
        for name in sorted({key for record in records for key in record if key.startswith(side + "/")}):
            values = [record.get(name, float("nan")) for record in records]
            axis.plot(steps, values, label=name[2:], marker="." if len(records) < 40 else None, linewidth=1)
        for end in ends[:-1]:
            axis.axvline(end, color="0.8", linewidth=1, zorder=0)
        axis.set_title(f"{title}: weighted loss terms; grey lines divide the scales", fontsize=10)
        axis.legend(fontsize=8, ncols=2)
    axes[-1].set_xlabel("step, all scales")
    save_figure(figure, path)
