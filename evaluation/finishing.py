"""Finishing an evaluation's results: with the patches of the images the run was trained on."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from finishing.full_size import Finisher, Job, Original
from models.architecture import DOMAINS
from utils.clips.kind import is_clip
from utils.clips.simplified import first_frame
from utils.video import Clip
from utils.errors import UserError
from utils.image import fingerprint, open_image
from utils.run_folder import RunFolder


def trained_option(trained: RunFolder, name: str, kind: type) -> Any:
    """An option a run was trained with; UserError where its record lacks it."""
    options = trained.recorded("options")
    value = options.get(name) if isinstance(options, dict) else None
    if not isinstance(value, kind) or (kind is not str and value < 0):
        raise UserError(f"--load {trained.config}: damaged, or not of this program")
    return value


def trained_inputs(trained: RunFolder) -> dict[str, Path]:
    """Where the images a run was trained on were, as far as its record says, by words for an error line."""
    options = trained.recorded("options")
    found = {name: options.get(f"input_{name}") for name in DOMAINS} if isinstance(options, dict) else {}
    return {f"--load {trained.path}: its image {x}": Path(path) for x, path in found.items() if isinstance(path, str)}


@dataclass(frozen=True)
class Finishing:
    """How results are finished, and the images of a and b whose patches they get; None where one is not at hand."""

    size: int
    structure: float
    keep_aspect: bool
    references: Sequence[Original | None]

    def finisher(self, domain: int) -> Finisher | None:
        """What finishes with a domain's patches, 0 or 1."""
        reference = self.references[domain]
        if reference is None:
            return None
        return Finisher([reference], self.size, self.structure, stretched=not self.keep_aspect)

    def jobs(self, name: str, learned: Tensor, look: int, shown: Original | None) -> list[Job]:
        """The job of finishing a learned image with a domain's patches; none where that image is not at hand.

        Args:
            shown: whose shape it has; None: its own.
        """
        finisher = self.finisher(look)
        shape = tuple(learned.shape[-2:]) if shown is None else (shown.image.height, shown.image.width)
        return [Job(name, learned, shape, finisher)] if finisher is not None else []


def find_finishing(
    trained: RunFolder,
    size: int | None,
    structure: float | None,
    *,
    learned: int,
    keep_aspect: bool,
    given: Sequence[Image.Image | None],
    wanted: str = "ab",
) -> Finishing | None:
    """How to finish results of a run; None for not at all.

    Args:
        size, structure: as asked for; None: as the run was trained, but not below `learned`.
        learned: longer side of the learned images, pixels.
        keep_aspect: whether they keep their shapes.
        given: the images of a and b that are translated, if any.
        wanted: of which domains the patches are needed.

    Raises:
        UserError: `size` is less than `learned`, or the run's record is damaged.
    """
    if size is None:
        trained_size = trained_option(trained, "finish_size", int)
        size = max(trained_size, learned) if trained_size else 0
    if not size:
        return None
    if size < learned:
        raise UserError(f"--finish_size {size}: must be at least {learned}, the learned images' side, or 0")
    structure = trained_option(trained, "structure", float) if structure is None else structure
    found = [
        find_reference(trained, index, image) if name in wanted else None
        for index, (name, image) in enumerate(zip(DOMAINS, given, strict=True))
    ]
    return Finishing(size, structure, keep_aspect, found)


def find_reference(trained: RunFolder, domain: int, given: Image.Image | None) -> Original | None:
    """The image a run was trained on: the given one if it is that, else the one the run's record names.

    None, and a line on standard error, where neither is.
    """
    name, prints = DOMAINS[domain], trained.recorded("fingerprints")
    known = prints[domain] if isinstance(prints, list) and domain < len(prints) else None
    if given is not None and fingerprint(given) == known:
        return Original(given, f"--input_{name}")
    path = Path(trained_option(trained, f"input_{name}", str))
    try:
        if is_clip(path):
            clip = Clip(path, "--load")
            own = clip.fingerprint()
            image = first_frame(clip, trained_option(trained, "quant_level", int), clip.size[::-1])
        else:
            image = open_image(path, "--load")
            own = fingerprint(image)
        trouble = "" if own == known else "another image is there"
    except UserError as error:
        trouble = str(error).removeprefix(f"--load {path}: ")
    if not trouble:
        return Original(image, str(path))
    print(f"note: nothing is finished with {name}'s patches; it was trained on {path}: {trouble}", file=sys.stderr)
    return None
