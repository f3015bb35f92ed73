"""`metrics.json`: every measure of translated images, and what each of them is."""

from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from utils.files import write_json
from utils.measures.metrics import HIGHER_IS_BETTER, measure
from utils.measures.sifid import sifid
from utils.pictures.image import pixels_to_tensor, to_uint8

PATCHES = "patches of 7x7 pixels, against the appearance image's: sliced Wasserstein distance, "
RABIN = "Rabin et al. 2011; over scales, for GANs: Karras et al. 2018 (changes: utils/measures/metrics.py)"
OWN = "this program (utils/measures/metrics.py)"
# What each measure is, and its source.
MEASURES = {
    "sifid": (
        "local features, against the appearance image's: Frechet distance behind Inception v3's first max pooling",
        "Rott Shaham et al. 2019 (SinGAN), torchvision's ImageNet weights",
    ),
    "sliced_wasserstein": (PATCHES + "mean of the scales there are", RABIN),
    "sliced_wasserstein_1": (PATCHES + "full size", RABIN),
    "sliced_wasserstein_2": (PATCHES + "half size", RABIN),
    "sliced_wasserstein_4": (PATCHES + "quarter size", RABIN),
    "colour_mean": ("distance of the mean colour to the appearance image's", OWN),
    "colour_covariance": ("distance of the colours' covariance to the appearance image's", OWN),
    "layout_agreement": ("correlation of the local contrast with the structure image's, -1 to 1", OWN),
}
COPIED = "copied_in_one_piece"
COPIED_MEANS = (
    "share of the finished image's patches whose right and lower neighbours continue in the reference, 0 to 1",
    "this program (finishing/field.py)",
)
TOO_SMALL = "the images are too small for it"


def compare(
    translated: Tensor, structure: Tensor, appearance: Tensor, stem: nn.Module | None
) -> dict[str, float | None]:
    """All measures of a translation; None for what the images are too small for, and for SIFID without its network.

    Args:
        translated, structure, appearance: (1, 3, H, W) in [-1, 1]; see `utils.measures.metrics.measure`.
        stem: see `utils.measures.sifid.sifid`.
    """
    values: dict[str, float | None] = dict.fromkeys(MEASURES)
    with suppress(ValueError):
        values |= measure(translated, structure, appearance)
    if stem is not None:
        with suppress(ValueError):
            values["sifid"] = sifid(translated, appearance, stem)
    return values


class Measured(NamedTuple):
    """A translation and what it is compared with; (1, 3, H, W) in [-1, 1] each, at one magnification."""

    image: Tensor
    structure: Tensor
    appearance: Tensor


def write_metrics(
    measured: dict[str, Measured], copied: dict[str, float], path: Path, stem: nn.Module | None, without_stem: str = ""
) -> None:
    """Measure translations and write the numbers.

    Args:
        measured: by name; measured as saved, with 8 bits.
        copied: of finished images, the share copied in one piece.
        stem: see `utils.measures.sifid.sifid`; None where it cannot be had, for the reason `without_stem`.
    """
    values: dict[str, dict[str, float | None]] = {
        name: compare(*(_as_saved(image) for image in each), stem) for name, each in measured.items()
    }
    missing = [name for name in MEASURES if any(each[name] is None for each in values.values())]
    for name, share in copied.items():
        values.setdefault(name, {})[COPIED] = share
    known = {**(MEASURES if measured else {}), **({COPIED: COPIED_MEANS} if copied else {})}
    better = {name: "higher" if name in HIGHER_IS_BETTER else "lower" for name in MEASURES}
    record: dict[str, Any] = {
        "compared": "an a2b has A for its structure and B for its appearance, both at its own size; a b2a the reverse",
        "measures": {
            name: {"better": better.get(name, "neither"), "what": what, "source": source}
            for name, (what, source) in known.items()
        },
        "missing": {name: without_stem if name == "sifid" and stem is None else TOO_SMALL for name in missing},
    }
    write_json(path, record | {"values": values})


def _as_saved(image: Tensor) -> Tensor:
    return pixels_to_tensor(torch.from_numpy(to_uint8(image)).permute(2, 0, 1), image.device)
