"""What a person looks at first: the labelled sheet of results, and the loss curves."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from utils.files import write_atomic
from utils.image import to_uint8
from utils.log import positions

Cell = tuple[str, Tensor]

WIDEST = 2200  # pixels of a sheet
LARGEST, SMALLEST, GAP, LABEL = 512, 192, 12, 26  # pixels: sides of a picture, space between two, height of a label
PANELS = {  # of the loss curves, so that terms of unlike size do not hide one another
    "adversarial, D": ("D/real", "D/fake"),
    "gradient penalty": ("D/penalty",),
    "adversarial, G": ("G/adversarial",),
    "reconstruction": ("G/reconstruction",),
    "cycle": ("G/cycle",),
    "layout": ("G/layout",),
}


def save_sheet(rows: Sequence[Sequence[Cell]], path: Path) -> None:
    """Write a sheet of labelled pictures: (label, (1, 3, H, W) in [-1, 1]) cells, in true colours.

    Small pictures are enlarged by a whole factor without smoothing, so that their pixels can be judged; large ones are
    shrunk. A row stands beside the one before where there is room, and goes on below where it is too wide itself. PNG,
    or JPEG where the name ends so.
    """
    # Place the pictures.
    placed: list[tuple[str, Image.Image, int, int]] = []
    left, top, height = GAP, GAP, 0
    for row in rows:
        pictures = [(label, _sized(Image.fromarray(to_uint8(image)))) for label, image in row]
        whole = sum(picture.width + GAP for _, picture in pictures)
        highest = max(picture.height for _, picture in pictures)
        begins = True
        for label, picture in pictures:
            fits = left + (whole if begins else picture.width + GAP) <= WIDEST and (not begins or highest <= height)
            if placed and not fits:
                left, top, height = GAP, top + height + LABEL + GAP, 0
            placed.append((label, picture, left, top))
            left, height, begins = left + picture.width + GAP, max(height, picture.height), False
        left += 2 * GAP

    # Draw them.
    width = GAP + max(x + picture.width for _, picture, x, _ in placed)
    sheet = Image.new("RGB", (width, top + height + LABEL + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for label, picture, x, y in placed:
        shown = label
        while len(shown) > 1 and draw.textlength(shown, font) > picture.width:
            shown = shown.removesuffix("…")[:-1] + "…"
        draw.text((x, y + 2), shown, "black", font)
        sheet.paste(picture, (x, y + LABEL))
    buffer = io.BytesIO()
    sheet.save(buffer, **({"format": "JPEG", "quality": 90} if path.suffix == ".jpg" else {"format": "PNG"}))
    write_atomic(path, buffer.getvalue())


def _sized(picture: Image.Image) -> Image.Image:
    longer = max(picture.size)
    if longer > LARGEST:
        size = [max(1, round(side * LARGEST / longer)) for side in picture.size]
        return picture.resize(size, Image.Resampling.LANCZOS)
    factor = max(1, -(-SMALLEST // longer))
    return picture.resize([factor * side for side in picture.size], Image.Resampling.NEAREST)


def save_loss_curves(records: list[dict], path: Path) -> None:
    """Write the weighted loss terms over the whole run from the log's records, terms of a kind in a panel."""
    from matplotlib.figure import Figure  # takes a third of a second to import, and only this needs it

    steps, ends = positions(records)
    names = {key for record in records for key in record if "/" in key}
    panels = {title: [name for name in sorted(names) if name.startswith(terms)] for title, terms in PANELS.items()}
    panels = {title: found for title, found in panels.items() if found}
    figure = Figure(figsize=(11, 2.6 * max(1, -(-len(panels) // 2)) + 0.4), layout="constrained")
    axes = list(figure.subplots(max(1, -(-len(panels) // 2)), 2, squeeze=False).flat)
    for axis, (title, terms) in zip(axes, panels.items(), strict=False):
        for name in terms:
            values = [record.get(name, float("nan")) for record in records]
            label = name[2:].replace("_a", ", A").replace("_b", ", B")
            axis.plot(steps, values, label=label, marker="." if len(records) < 40 else None, linewidth=1)
        for end in ends[:-1]:
            axis.axvline(end, color="0.8", linewidth=1, zorder=0)
        axis.set_title(title, fontsize=10)
        axis.legend(fontsize=8)
        axis.tick_params(labelsize=8)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    figure.supxlabel("step, all scales (grey lines divide them)", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format="png")
    write_atomic(path, buffer.getvalue())
