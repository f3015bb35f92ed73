"""What a person looks at first: the labelled sheet of results, and the loss curves."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from utils.files import replacing
from utils.image import to_uint8

Cell = tuple[str, Tensor]

WIDEST = 2200  # pixels of a sheet
LARGEST, SMALLEST, GAP, LABEL = 512, 192, 12, 26  # pixels: sides of a picture, space between two, height of a label


def save_sheet(rows: Sequence[Sequence[Cell]], path: Path) -> None:
    """Write a sheet of labelled pictures: (label, (1, 3, H, W) in [-1, 1]) cells, in true colours.

    Small pictures are enlarged by a whole factor without smoothing, so that their pixels can be judged; large ones are
    shrunk. A row stands beside the one before where there is room, and goes on below where it is too wide itself.
    `path` ends as PNG or JPEG.
    """
    lines: list[list[Image.Image]] = [[]]
    for row in rows:
        tiles = [_tile(label, image) for label, image in row]
        if lines[-1] and (_width(lines[-1] + tiles) > WIDEST or _height(tiles) > _height(lines[-1])):
            lines.append([])
        for tile in tiles:
            if lines[-1] and _width([*lines[-1], tile]) > WIDEST:
                lines.append([])
            lines[-1].append(tile)
    sheet = Image.new("RGB", (max(map(_width, lines)), GAP + sum(map(_height, lines))), "white")
    top = GAP
    for line in lines:
        for index, tile in enumerate(line):
            sheet.paste(tile, (_width(line[:index]), top))
        top += _height(line)
    with replacing(path) as temporary:
        sheet.save(temporary, format=Image.registered_extensions()[path.suffix], quality=90)


def _tile(label: str, image: Tensor) -> Image.Image:
    """A picture under its label."""
    picture = Image.fromarray(to_uint8(image))
    longer = max(picture.size)
    factor = LARGEST / longer if longer > LARGEST else max(1, -(-SMALLEST // longer))
    smooth = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    picture = picture.resize([max(1, round(factor * side)) for side in picture.size], smooth)
    font = ImageFont.load_default(size=14)
    tile = Image.new("RGB", (max(picture.width, round(font.getlength(label))), LABEL + picture.height), "white")
    tile.paste(picture, (0, LABEL))
    ImageDraw.Draw(tile).text((0, 2), label, "black", font)
    return tile


def _width(line: list[Image.Image]) -> int:
    return GAP + sum(tile.width + GAP for tile in line)


def _height(line: list[Image.Image]) -> int:
    return GAP + max(tile.height for tile in line)


def save_loss_curves(records: list[dict], path: Path) -> None:
    """Write the weighted loss terms over the whole run from the log's records, each in a panel, for both domains."""
    from matplotlib.figure import Figure  # takes a third of a second to import, and only this needs it

    niter = max((record["step"] for record in records), default=0)
    steps = [record["scale"] * niter + record["step"] for record in records]
    panels: dict[str, list[str]] = {}
    for name in dict.fromkeys(key for record in records for key in record if "/" in key):
        panels.setdefault(name.removesuffix("_a").removesuffix("_b"), []).append(name)
    rows = max(1, -(-len(panels) // 2))
    figure = Figure(figsize=(11, 2.6 * rows + 0.4), layout="constrained")
    for index, names in enumerate(panels.values(), start=1):
        axis = figure.add_subplot(rows, 2, index)
        for name in sorted(names):  # a in one colour everywhere
            values = [record.get(name, float("nan")) for record in records]
            axis.plot(steps, values, label=name, marker="." if len(records) < 40 else None, linewidth=1)
        for scale in {record["scale"] for record in records} - {0}:
            axis.axvline(scale * niter, color="0.8", linewidth=1, zorder=0)
        axis.legend()
    figure.supxlabel("step, all scales (grey lines divide them)")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
