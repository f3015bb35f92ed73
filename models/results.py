"""What a person wants to see of a trained pair, written to files: translations, samples, finished images, the sheet."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image
from torch import Tensor

from finishing.full_size import Finished, Finisher, Job, finish_all, whole
from models.inference import DIRECTIONS, Pyramids, TrainedPair, inject, sample
from utils.errors import UserError
from utils.image import fingerprint, open_image, save_image
from utils.interrupt import Stopped
from utils.palette import simplified
from utils.resize import resize
from utils.run_folder import RunFolder
from utils.sheet import Cell, save_sheet
from utils.video import Clip, is_clip

SHEET_SAMPLES, SHEET_SIDE = 16, 256  # at most so many samples on a sheet; the side of a finished one there, pixels
# The images of a sample: whose layout each has, and whose look; 0 is a, 1 is b.
KINDS = {"fake_a": (0, 0), "a2b": (0, 1), "fake_b": (1, 1), "b2a": (1, 0)}


@dataclass(frozen=True)
class Finishing:
    """How learned images are finished (docs/method.md, section 14).

    Args:
        references: a's image and b's, with what error lines call each; None where one is not at hand, so that nothing
            is finished with its patches.
        size: longer side of the finished images, pixels.
        structure: how strictly the learned image is followed.
        keep_aspect: whether training kept the images' shapes.
    """

    references: Sequence[tuple[str, Image.Image] | None]
    size: int
    structure: float
    keep_aspect: bool

    @cached_property
    def finishers(self) -> list[Finisher | None]:
        """What finishes with the patches of domain 0 and of domain 1; each prepares its reference once."""
        stretched = not self.keep_aspect
        return [each and Finisher(dict([each]), self.size, self.structure, stretched) for each in self.references]

    def shape(self, layout: int) -> tuple[int, int] | None:
        """(height, width) of a domain's own image."""
        reference = self.references[layout]
        return None if reference is None else (reference[1].height, reference[1].width)

    def job(self, name: str, learned: Tensor, shape: tuple[int, int] | None, look: int) -> list[Job]:
        """To finish a learned image in the aspect of a (height, width), or its own; nothing without a reference."""
        finisher = self.finishers[look]
        return [Job(name, learned.cpu(), shape or tuple(learned.shape[-2:]), finisher)] if finisher else []


def find_references(
    trained: RunFolder, given: Sequence[Image.Image | Clip | None], wanted: str
) -> list[tuple[str, Image.Image] | None]:
    """The images a run was trained on: the given ones if they are those, else those that the run's record names.

    None, and a line on standard error, where neither is.
    """
    found: list[tuple[str, Image.Image] | None] = [None, None]
    options, prints = trained.options(), trained.recorded("fingerprints", [None, None])
    for index, name in [(index, name) for index, name in enumerate("ab") if name in wanted]:
        if isinstance(given[index], Image.Image) and fingerprint(given[index]) == prints[index]:
            found[index] = (f"--input_{name}", given[index])
            continue
        path = Path(options[f"input_{name}"])
        try:
            source = Clip(path, "--load") if is_clip(path) else open_image(path, "--load")
            if (source.fingerprint() if isinstance(source, Clip) else fingerprint(source)) != prints[index]:
                raise UserError("another image is there")
            if isinstance(source, Clip):
                source = simplified(next(iter(source)), options["quant_level"], source.size[::-1])
            found[index] = (str(path), source)
        except UserError as error:
            reason = str(error).removeprefix(f"--load {path}: ")
            print(f"note: nothing is finished with {name}'s patches; trained on {path}: {reason}", file=sys.stderr)
    return found


def save_images(images: dict[str, Tensor], folder: RunFolder) -> None:
    """Write (1, 3, H, W) images in [-1, 1] as PNG under their names."""
    folder.claim(*(f"{name}.png" for name in images))
    for name, image in images.items():
        save_image(image, folder.path / f"{name}.png")


def inject_both(pyramids: Pyramids, reals: Sequence[Sequence[Tensor]], scale: int, seed: int) -> dict[str, Tensor]:
    """Both directions from the real images at one scale: redrawn_a, a2b, redrawn_b, b2a.

    Args:
        reals: domain a's and domain b's real image at every scale, (1, 3, H, W) each, [-1, 1].
    """
    images = {}
    for direction, real in zip(DIRECTIONS, reals, strict=True):
        redrawn, translated = inject(pyramids, direction, real[scale], scale, seed)
        images |= {f"redrawn_{direction[0]}": redrawn, direction: translated}
    return images


def finish_pair(
    folder: RunFolder,
    images: Sequence[Image.Image],
    translations: dict[str, Tensor],
    finishing: Finishing | None,
    should_stop: Callable[[], bool],
) -> tuple[dict[str, Finished], list[Cell]]:
    """Finish a2b in A's shape with B's patches, and the reverse; written as finished_a2b.png and so on.

    Args:
        images: A and B.
        translations: learned "a2b" and "b2a".
        finishing: None for not at all.

    Returns:
        The finished images by name, and the first row of a sheet: A, B, and these (A and B alone without them).

    Raises:
        Stopped: a stop was asked for; what is finished is written.
    """
    jobs: list[Job] = []
    for image, name, look in zip(images, DIRECTIONS, (1, 0), strict=True) if finishing is not None else ():
        jobs += finishing.job(f"finished_{name}", translations[name], (image.height, image.width), look)
    finished = dict(finish_all(jobs, folder.path, should_stop, folder.claim))
    height = max([each.image.shape[-2] for each in finished.values()], default=256)
    row = []
    for label, image in zip("AB", images, strict=True):
        row.append((label, whole(image, (height, max(1, round(height * image.width / image.height))))))
    return finished, row + [(name, each.image) for name, each in finished.items()]


def draw_samples(
    folder: RunFolder,
    pair: TrainedPair,
    count: int,
    out_size: int | None,
    seed: int,
    finishing: Finishing | None,
    should_stop: Callable[[], bool],
) -> dict[str, float]:
    """New images of each domain, each with its analogy in the other, finished too: "paired generation".

    Args:
        out_size: longer side of the learned ones, pixels; None: as trained.

    Returns:
        Of each finished image, by its name, the share copied in one piece.

    Raises:
        Stopped: a stop was asked for; what is drawn and finished is written.
    """
    # Draw.
    aspects = pair.geometry.aspect_a, pair.geometry.aspect_b
    pyramids = pair.reshaped(*(pair.geometry.shapes_for(aspect, out_size) for aspect in aspects))
    rows: list[list[Cell]] = []
    jobs: list[Job] = []
    for index in range(count):
        if should_stop():
            raise Stopped
        images = sample(pyramids, seed, pair.device, index)._asdict()
        named = {f"sample_{index:03d}_{name}": image for name, image in images.items()}
        save_images(named, folder)
        rows += [list(named.items())] if index < SHEET_SAMPLES else []
        for name, (layout, look) in KINDS.items() if finishing is not None else ():
            jobs += finishing.job(f"sample_{index:03d}_finished_{name}", images[name], finishing.shape(layout), look)
    save_sheet(rows, folder.claim("samples.png"))

    # Finish; of all, only small images are kept for the sheet.
    cells: list[Cell] = []
    shares: dict[str, float] = {}
    for name, full in finish_all(jobs, folder.path, should_stop, folder.claim):
        shares[name] = full.copied
        if len(cells) < SHEET_SAMPLES * len(KINDS):
            cells.append((name, resize(full.image, min(1.0, SHEET_SIDE / max(full.image.shape[-2:])))))
    if cells:
        each = len(KINDS)
        save_sheet([cells[i : i + each] for i in range(0, len(cells), each)], folder.claim("finished_samples.png"))
    return shares
