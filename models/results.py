"""What a person wants to see of a trained pair, written to files: translations, samples, finished images, the sheet."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from finishing.canvas import Shape
from finishing.finished import Finished
from finishing.full_size import Finisher, finish_all
from models.inference import DIRECTIONS, SAMPLE, TrainedPair, inject, sample
from utils.errors import StopRequest, UserError
from utils.image import image_to_tensor, masked, save_images
from utils.resize import resize
from utils.run_folder import RunFolder
from utils.sheet import Cell, save_sheet
from utils.video import Clip

SHEET_SAMPLES, SHEET_SIDE = 16, 256  # at most so many samples on a sheet; the side of a finished one there, pixels
CHOICE_SIDE, STRUCTURES = 256, (0.0, 0.5, 1.0)  # of choices.png: longer side, pixels; how closely finishing follows


@dataclass(frozen=True)
class Originals:
    """The images a pair was trained on, whose patches finish what it makes.

    Args:
        images: A and B; None where one is not at hand, or not needed.
        size, structure: see `Finisher`; with size 0 nothing is finished.
    """

    images: Sequence[Image.Image | None] = (None, None)
    size: int = 0
    structure: float = 1.0

    @classmethod
    def find(
        cls,
        pair: TrainedPair,
        given: Sequence[Image.Image | Clip | None],
        masks: Sequence[Path | None],
        size: int,
        structure: float,
    ) -> "Originals":
        """See `TrainedPair.original`; a line on standard error for one that is not at hand. A video needs B's only.

        Args:
            masks: files that say where A and B may be copied from.
        """
        images: list[Image.Image | None] = [None, None]
        for domain in (1,) if isinstance(given[0], Clip) else (0, 1):
            try:
                found = pair.original(domain, given[domain])
            except UserError as error:
                where = f"give it as --input_{'ab'[domain]}"
                print(f"note: nothing gets {'AB'[domain]}'s patches: {error}; {where}", file=sys.stderr)
            else:
                images[domain] = masked(found, masks[domain], f"--source_mask_{'ab'[domain]}")
        return cls(images, size, structure)

    def finishers(self, names: Iterable[str], shapes: Sequence[Shape], *, even: bool = False) -> dict[str, Finisher]:
        """What finishes images of SAMPLE, by name; a line on standard error where it cannot, or not as wanted.

        Args:
            shapes: (height, width) of what has A's layout, and of what has B's, where that is asked for.
            even: see `Finisher`.
        """
        found = {}
        for name in names:
            layout, look = SAMPLE[name]
            if not self.size or self.images[look] is None:
                continue
            finisher = Finisher({"AB"[look]: self.images[look]}, shapes[layout], self.size, self.structure, even=even)
            try:
                _, _, notes = finisher.sizes()
                found[name] = finisher
            except ValueError as error:
                notes = [f"is left out: {error}"]
            for note in notes:
                print(f"note: {name} at {self.size} pixels {note}", file=sys.stderr)
        return found


def save_grid(cells: Sequence[Cell], columns: int, folder: RunFolder, name: str) -> None:
    """Write a sheet with so many cells in a row; none where there are no cells."""
    if cells:
        rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
        save_sheet(rows, folder.claim(name))


def finish_pair(
    folder: RunFolder,
    images: Sequence[Image.Image],
    translations: dict[str, Tensor],
    originals: Originals,
    stop: StopRequest,
) -> tuple[dict[str, Finished], list[Cell]]:
    """Finish a2b in A's shape with B's patches, and the reverse; written as finished_a2b.png and so on.

    Args:
        images: A and B, as given.
        translations: learned "a2b" and "b2a".

    Returns:
        The finished images by name, and the first row of a sheet: A, B, and these.
    """
    finishers = originals.finishers(DIRECTIONS, [image.size[::-1] for image in images])
    wanted = [(f"finished_{name}", translations[name], finisher) for name, finisher in finishers.items()]
    finished = dict(finish_all(wanted, stop, folder))
    height = max([each.image.shape[-2] for each in finished.values()], default=256)
    row = []
    for label, image in zip("AB", images, strict=True):
        row.append((label, image_to_tensor(image, (height, max(1, round(height * image.width / image.height))))))
    return finished, row + [(name, each.image) for name, each in finished.items()]


def finish_again(pair: TrainedPair, scale: int, structure: float, size: int) -> Path:
    """Translate the images a pair was trained on from an injection scale, and finish both.

    Returns:
        The folder they are in, inside the run's and named after these settings; see `finish_pair`.

    Raises:
        UserError: an image is not there, or has changed.
    """
    images, translations = [pair.original(domain) for domain in (0, 1)], {}
    for direction, image, shapes in zip(DIRECTIONS, images, pair.geometry.domain_shapes, strict=True):
        real = image_to_tensor(image, shapes[scale], pair.device)
        translations |= inject(pair.pyramids, direction, real, scale, pair.folder.options()["manualSeed"])
    folder = RunFolder(pair.folder.path / "again" / f"scale{scale}_structure{structure:g}_{size}")
    folder.path.mkdir(parents=True, exist_ok=True)
    finish_pair(folder, images, translations, Originals(images, size, structure), StopRequest())
    return folder.path


def save_choices(
    folder: RunFolder,
    images: Sequence[Image.Image],
    injected: dict[int, dict[str, Tensor]],
    seed: int,
    originals: Originals,
    stop: StopRequest,
) -> None:
    """A sheet, choices.png: both translations from each injection scale, finished small at several values of structure.

    Args:
        images: A and B, as given.
        injected: by injection scale, the learned "a2b" and "b2a", made with `seed`.
    """
    size = "" if originals.size else " --finish_size 512"  # where the run's own is 0, they would finish nothing
    finishers = replace(originals, size=CHOICE_SIDE).finishers(DIRECTIONS, [image.size[::-1] for image in images])
    wanted = [
        (
            f"{name}: --inject_scale {scale} --structure {each:g} --seed {seed}{size}",
            learned[name],
            replace(finisher, structure=each),
        )
        for scale, learned in injected.items()
        for name, finisher in finishers.items()
        for each in STRUCTURES
    ]
    cells = [(label, full.image) for label, full in finish_all(wanted, stop)]
    save_grid(cells, len(STRUCTURES) * len(finishers), folder, "choices.png")


def draw_samples(
    folder: RunFolder, pair: TrainedPair, count: int, seed: int, originals: Originals, stop: StopRequest
) -> None:
    """New images of each domain, each with its analogy in the other, finished too: "paired generation"."""
    # Draw.
    shapes = [own.shapes[-1] for own in pair.pyramids]
    shapes = [image.size[::-1] if image else shape for image, shape in zip(originals.images, shapes, strict=True)]
    finishers = originals.finishers(SAMPLE, shapes)
    cells: list[Cell] = []
    wanted: list[tuple[str, Tensor, Finisher]] = []
    for index in range(count):
        stop.check()
        images = sample(pair.pyramids, seed, pair.device, index)
        named = {f"sample_{index:03d}_{name}": image for name, image in images.items()}
        save_images(named, folder)
        cells += named.items() if index < SHEET_SAMPLES else []
        for name, finisher in finishers.items():
            wanted.append((f"sample_{index:03d}_finished_{name}", images[name].cpu(), finisher))
    save_grid(cells, len(SAMPLE), folder, "samples.png")

    # Finish; of all, only small images are kept for the sheet.
    cells = []
    for name, full in finish_all(wanted, stop, folder):
        if len(cells) < SHEET_SAMPLES * len(finishers):
            cells.append((name, resize(full.image, min(1.0, SHEET_SIDE / max(full.image.shape[-2:])))))
    save_grid(cells, len(finishers), folder, "finished_samples.png")
