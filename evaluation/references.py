"""Whose patches an evaluation's finished images are made of: the images the run was trained on."""

import sys
from pathlib import Path
from typing import Any

from PIL import Image

from finishing.full_size import Original
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


def _open_recorded(path: Path, known: object) -> Original | None:
    try:
        image = open_image(path, "--load")
    except UserError:
        return None
    return Original(image, str(path)) if fingerprint(image) == known else None
