"""Finishing an evaluation's results: with the patches of the images the run was trained on."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from finishing.full_size import Finisher, Job, Original
from utils.errors import UserError
from utils.pictures.image import fingerprint, open_image
from utils.runs.run_folder import RunFolder


def trained_option(trained: RunFolder, name: str, kind: type) -> Any:
    """An option a run was trained with; UserError where its record lacks it."""
    options = trained.recorded("options")
    value = options.get(name) if isinstance(options, dict) else None
    if not isinstance(value, kind) or (kind is not str and value < 0):
        raise UserError(f"--load {trained.config}: damaged, or not of this program")
    return value


def find_references(trained: RunFolder, given: tuple[Image.Image | None, Image.Image | None]) -> list[Original | None]:
    """The images a run was trained on, a's and b's: the given one if it is that, else the one the run's record names.

    None, and a line on standard error, where there is neither.
    """
    prints = trained.recorded("fingerprints")
    found: list[Original | None] = []
    for index, (x, image) in enumerate(zip("ab", given, strict=True)):
        known = prints[index] if isinstance(prints, list) and index < len(prints) else None
        recorded = trained_option(trained, f"input_{x}", str)
        if image is not None and fingerprint(image) == known:
            found.append(Original(image, f"--input_{x}"))
            continue
        original = _open_recorded(Path(recorded), known)
        if original is None:
            print(
                f"note: nothing is finished with {x}'s patches: {recorded}, which the run was trained on, is not an "
                "image there any more",
                file=sys.stderr,
            )
        found.append(original)
    return found


@dataclass(frozen=True)
class Finishing:
    """How results are finished, and the images of a and b whose patches they get; None where one is not at hand."""

    size: int
    structure: float
    keep_aspect: bool
    references: list[Original | None]

    def finisher(self, domain: int) -> Finisher | None:
        """What finishes with a domain's patches, 0 or 1."""
        reference = self.references[domain]
        if reference is None:
            return None
        return Finisher([reference], self.size, self.structure, stretched=not self.keep_aspect)

    def jobs(self, name: str, learned: Tensor, look: int, shown: Original | None) -> list[Job]:
        """The job of finishing an image with a domain's patches in the shape of `shown`; none where one is missing."""
        finisher = self.finisher(look)
        if finisher is None or shown is None:
            return []
        return [Job(name, learned, (shown.image.height, shown.image.width), finisher)]


def _open_recorded(path: Path, known: object) -> Original | None:
    try:
        image = open_image(path, "--load")
    except UserError:
        return None
    return Original(image, str(path)) if fingerprint(image) == known else None
