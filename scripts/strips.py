"""The README's pictures of the applications, from what `scripts/check_readme.sh --full` left."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if __name__ == "__main__":  # before the imports below: of them, too, one may be missing, or interrupted
    from utils.errors import run_script

    run_script("scripts.strips")

import json

import torch

from utils.errors import UserError
from utils.pictures.image import image_to_tensor, open_image
from utils.pictures.sheet import Cell, save_sheet

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "readme_imgs"
PAIRS = ("analogy", "style", "texture", "text")
SAMPLE = ("fake_a", "a2b", "fake_b", "b2a")


def picture(path: Path, shape: tuple[int, int] | None = None) -> torch.Tensor:
    """A picture as it is, or resized to (height, width)."""
    opened = open_image(path, "scripts/check_readme.sh --full first:")
    return image_to_tensor(opened, shape or opened.size[::-1], torch.device("cpu"))


def pair_row(name: str) -> list[Cell]:
    """A, B and the two translations of a training run."""
    run = ROOT / f"output_{name}"
    try:
        options = json.loads((run / "config.json").read_text())["options"]
    except OSError:
        raise UserError(f"{run}: is missing; run scripts/check_readme.sh --full first") from None
    translated = [(label, picture(run / f"{label}.png")) for label in ("real_a2b", "real_b2a")]
    shape = translated[0][1].shape[-2:]
    return [(f"{x.upper()}: {name}", picture(ROOT / options[f"input_{x}"], shape)) for x in "ab"] + translated


def main() -> int:
    save_sheet([pair_row(name) for name in PAIRS], OUT / "applications.png")
    save_sheet([pair_row("sketch")], OUT / "sketch.png")
    samples = ROOT / "output_samples"
    names = [[f"sample_{index:03d}_{kind}" for kind in SAMPLE] for index in range(4)]
    save_sheet([[(name, picture(samples / f"{name}.png")) for name in row] for row in names], OUT / "samples.png")
    guided = ROOT / "output_guided"
    names = ["real_a", "inject_02_redrawn_a", "inject_02_a2b"]
    save_sheet([[(name, picture(guided / f"{name}.png")) for name in names]], OUT / "guided.png")
    for source, target in (("refine", "refine"), ("clip", "video")):
        (OUT / f"{target}.png").write_bytes((ROOT / f"output_{source}" / "results.png").read_bytes())
    return 0
