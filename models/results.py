"""What a person wants to see of a trained pair, written to files: translations, samples, finished images, the sheet."""

import sys
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image
from torch import Tensor

from finishing.full_size import Finished, Finisher, Job, finish_all, whole
from models.inference import DIRECTIONS, SAMPLE, TrainedPair, own_shape, sample
from utils.errors import UserError
from utils.image import save_image
from utils.interrupt import StopRequest
from utils.progress import Bar
from utils.resize import resize
from utils.run_folder import RunFolder
from utils.sheet import Cell, save_sheet
from utils.video import Clip

SHEET_SAMPLES, SHEET_SIDE = 16, 256  # at most so many samples on a sheet; the side of a finished one there, pixels
CHOICE_SIDE, STRUCTURES = 256, (0.0, 0.5, 1.0)  # of choices.png: longer side, pixels; how closely finishing follows
Finishers = Sequence[Finisher | None]  # what finishes with a's patches and with b's; None: it cannot be done


def find_finishers(
    pair: TrainedPair,
    given: Sequence[Image.Image | Clip | None],
    size: int,
    structure: float,
    looks: Sequence[int] = (0, 1),
) -> list[Finisher | None]:
    """See `TrainedPair.finisher`; None, and a line on standard error, for an image that is not at hand.

    Args:
        looks: the domains whose patches are wanted.
    """
    found: list[Finisher | None] = [None, None]
    for look in looks:
        image = given[look] if isinstance(given[look], Image.Image) else None
        try:
            found[look] = pair.finisher(look, size, structure, image)
        except UserError as error:
            print(f"note: nothing can be finished with {'AB'[look]}'s patches: {error}", file=sys.stderr)
    return found


def save_images(images: dict[str, Tensor], folder: RunFolder) -> None:
    """Write (1, 3, H, W) images in [-1, 1] as PNG under their names."""
    folder.claim(*(f"{name}.png" for name in images))
    for name, image in images.items():
        save_image(image, folder.path / f"{name}.png")


def finish_pair(
    folder: RunFolder,
    images: Sequence[Image.Image],
    translations: dict[str, Tensor],
    finishers: Finishers,
    stop: StopRequest,
) -> tuple[dict[str, Finished], list[Cell]]:
    """Finish a2b in A's shape with B's patches, and the reverse; written as finished_a2b.png and so on.

    Args:
        images: A and B.
        translations: learned "a2b" and "b2a".

    Returns:
        The finished images by name, and the first row of a sheet: A, B, and these.

    Raises:
        Stopped: a stop was asked for; what is finished is written.
    """
    jobs = [
        Job(f"finished_{name}", translations[name].cpu(), (image.height, image.width), finisher)
        for image, name, finisher in zip(images, DIRECTIONS, finishers[::-1], strict=True)
        if finisher
    ]
    finished = dict(finish_all(jobs, folder.path, stop, folder.claim))
    height = max([each.image.shape[-2] for each in finished.values()], default=256)
    row = []
    for label, image in zip("AB", images, strict=True):
        row.append((label, whole(image, (height, max(1, round(height * image.width / image.height))))))
    return finished, row + [(name, each.image) for name, each in finished.items()]


def save_choices(
    folder: RunFolder,
    images: Sequence[Image.Image],
    injected: dict[int, dict[str, Tensor]],
    finishers: Finishers,
    stop: StopRequest,
) -> None:
    """A sheet, choices.png: both translations from each injection scale, finished small at several values of structure.

    Args:
        images: A and B.
        injected: by injection scale, the learned "a2b" and "b2a".
    """
    wanted = [
        (f"{direction}: --inject_scale {scale} --structure {structure:g}", learned[direction], image, finisher)
        for image, direction, finisher in zip(images, DIRECTIONS, finishers[::-1], strict=True)
        if finisher
        for scale, learned in injected.items()
        for structure, finisher in ((each, replace(finisher, size=CHOICE_SIDE, structure=each)) for each in STRUCTURES)
    ]
    cells: list[Cell] = []
    with Bar(len(wanted)) as bar:
        for index, (label, learned, image, finisher) in enumerate(wanted):
            bar.show(index, f"choice {index + 1}/{len(wanted)}")
            shape = image.height, image.width
            cells.append((label, finisher(learned.cpu(), shape, progress=lambda _: stop.check()).image))
    each = len(STRUCTURES)
    save_sheet([cells[i : i + each] for i in range(0, len(cells), each)], folder.claim("choices.png"))


def draw_samples(
    folder: RunFolder,
    pair: TrainedPair,
    count: int,
    out_size: int | None,
    seed: int,
    finishers: Finishers,
    stop: StopRequest,
) -> dict[str, float]:
    """New images of each domain, each with its analogy in the other, finished too: "paired generation".

    Args:
        out_size: side of the learned ones, pixels, see `TrainedPair.shapes_for`; None: as trained.

    Returns:
        Of each finished image, by its name, the share copied in one piece.

    Raises:
        Stopped: a stop was asked for; what is drawn and finished is written.
    """
    # Draw.
    geometry = pair.run.geometry
    pyramids = pair.reshaped(*(geometry.shapes_for(own, out_size) for own in (geometry.aspect_a, geometry.aspect_b)))
    rows: list[list[Cell]] = []
    jobs: list[Job] = []
    for index in range(count):
        stop.check()
        images = sample(pyramids, seed, pair.run.device, index)
        named = {f"sample_{index:03d}_{name}": image for name, image in images.items()}
        save_images(named, folder)
        rows += [list(named.items())] if index < SHEET_SAMPLES else []
        for name, (layout, look) in SAMPLE.items():
            shape = own_shape(finishers[layout]) if finishers[layout] else tuple(images[name].shape[-2:])
            if finishers[look]:
                jobs.append(Job(f"sample_{index:03d}_finished_{name}", images[name].cpu(), shape, finishers[look]))
    save_sheet(rows, folder.claim("samples.png"))

    # Finish; of all, only small images are kept for the sheet.
    cells: list[Cell] = []
    shares: dict[str, float] = {}
    for name, full in finish_all(jobs, folder.path, stop, folder.claim):
        shares[name] = full.copied
        if len(cells) < SHEET_SAMPLES * len(SAMPLE):
            cells.append((name, resize(full.image, min(1.0, SHEET_SIDE / max(full.image.shape[-2:])))))
    if cells:
        each = len(SAMPLE)
        save_sheet([cells[i : i + each] for i in range(0, len(cells), each)], folder.claim("finished_samples.png"))
    return shares
