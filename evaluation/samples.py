"""New images drawn from a trained pair, in both domains, and finished."""

from collections.abc import Callable
from pathlib import Path

from evaluation.finishing import Finishing
from finishing.full_size import Job, finish_all
from models.inference import TrainedPair, sample
from utils.metrics_file import MetricsFile
from utils.image import save_image
from utils.sheet import Cell, save_sheet
from utils.resize import resize

SHEET_SAMPLES, SHEET_SIDE = 16, 256  # at most so many samples on a sheet; the side of a finished one there, pixels
# The images of a sample: whose shape each has, and whose look; 0 is a, 1 is b.
KINDS = (("fake_a", 0, 0), ("a2b", 0, 1), ("fake_b", 1, 1), ("b2a", 1, 0))


def draw_samples(
    folder: Path,
    pair: TrainedPair,
    count: int,
    *,
    out_size: int | None,
    seed: int,
    finishing: Finishing | None,
    metrics: MetricsFile,
    should_stop: Callable[[], bool],
) -> None:
    """New images of each domain, each with its analogy in the other: "paired generation"; finished, too.

    Args:
        out_size: longer side of the learned ones, pixels; None: as trained.
        should_stop: asked while they are finished.

    Raises:
        Stopped: it said so; what is drawn and finished is written.
    """
    # Draw.
    aspects = pair.geometry.aspect_a, pair.geometry.aspect_b
    pyramids = pair.reshaped(*(pair.geometry.shapes_for(aspect, out_size) for aspect in aspects))
    rows: list[list[Cell]] = []
    jobs: list[Job] = []
    for index in range(count):
        images = sample(pyramids, seed, pair.device, index)._asdict()
        row = [(f"sample_{index:03d}_{name}", image) for name, image in images.items()]
        for name, image in row:
            save_image(image, folder / f"{name}.png")
        rows += [row] if index < SHEET_SAMPLES else []
        for name, layout, look in KINDS if finishing is not None else ():
            shown = finishing.references[layout]
            jobs += finishing.jobs(f"sample_{index:03d}_finished_{name}", images[name].cpu(), look, shown)
    save_sheet(rows, folder / "samples.png")

    # Finish; of all, only small images are kept for the sheet.
    cells: list[Cell] = []
    shares: dict[str, float] = {}
    for name, full in finish_all(jobs, folder, should_stop):
        shares[name] = full.copied
        if len(cells) < SHEET_SAMPLES * len(KINDS):
            cells.append((name, resize(full.image, min(1.0, SHEET_SIDE / max(full.image.shape[-2:])))))
    metrics.add_copied(shares)
    if cells:
        each = len(KINDS)
        save_sheet([cells[i : i + each] for i in range(0, len(cells), each)], folder / "finished_samples.png")
