"""`metrics.json`: every measure of translated pictures, and what each of them is."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from utils.files import write_json
from utils.measures.metrics import HIGHER_IS_BETTER, measure
from utils.measures.sifid import sifid
from utils.pictures.image import pixels_to_tensor, to_uint8

PATCHES = "patches of 7x7 pixels, against the appearance picture's: sliced Wasserstein distance, "
RABIN = "Rabin et al. 2011; over scales, for GANs: Karras et al. 2018 (changes: utils/metrics.py)"
OWN = "this program (utils/metrics.py)"
# What each measure is, and its source.
MEASURES = {
    "sifid": (
        "local features, against the appearance picture's: Frechet distance behind Inception v3's first max pooling",
        "Rott Shaham et al. 2019 (SinGAN), torchvision's ImageNet weights",
    ),
    "sliced_wasserstein": (PATCHES + "mean of the scales there are", RABIN),
    "sliced_wasserstein_1": (PATCHES + "full size", RABIN),
    "sliced_wasserstein_2": (PATCHES + "half size", RABIN),
    "sliced_wasserstein_4": (PATCHES + "quarter size", RABIN),
    "colour_mean": ("distance of the mean colour to the appearance picture's", OWN),
    "colour_covariance": ("distance of the colours' covariance to the appearance picture's", OWN),
    "layout_agreement": ("correlation of the local contrast with the structure picture's, -1 to 1", OWN),
}
TOO_SMALL = "the pictures are too small for it"


def compare(
    translated: Tensor, structure: Tensor, appearance: Tensor, stem: nn.Module | None
) -> dict[str, float | None]:
    """All measures of a translation; None for what the pictures are too small for, and for SIFID without its network.

    Args:
        translated, structure, appearance: (1, 3, H, W) in [-1, 1]; see `utils.metrics.measure`.
        stem: see `utils.sifid.sifid`.
    """
    values: dict[str, float | None] = dict.fromkeys(MEASURES)
    with suppress(ValueError):
        values |= measure(translated, structure, appearance)
    if stem is not None:
        with suppress(ValueError):
            values["sifid"] = sifid(translated, appearance, stem)
    return values


def write_metrics(pictures: dict[str, Tensor], path: Path, stem: nn.Module | None, without_stem: str = "") -> None:
    """Measure translations and write the numbers.

    Args:
        pictures: real_a, real_b, and translations under names that end in a2b or b2a; others are not measured.
            (1, 3, H, W) in [-1, 1] each; measured as saved, with 8 bits.
        stem: see `utils.sifid.sifid`; None where it cannot be had, for the reason `without_stem`.
    """
    saved = {name: _as_saved(picture) for name, picture in pictures.items()}
    real_a, real_b = saved["real_a"], saved["real_b"]
    inputs = {"a2b": (real_a, real_b), "b2a": (real_b, real_a)}
    values = {name: compare(image, *inputs[name[-3:]], stem) for name, image in saved.items() if name[-3:] in inputs}
    missing = [name for name in MEASURES if any(each[name] is None for each in values.values())]
    record: dict[str, Any] = {
        "compared": "a2b has real_a.png for its structure and real_b.png for its appearance; b2a the reverse",
        "measures": {
            name: {"better": "higher" if name in HIGHER_IS_BETTER else "lower", "what": what, "source": source}
            for name, (what, source) in MEASURES.items()
        },
        "missing": {name: without_stem if name == "sifid" and stem is None else TOO_SMALL for name in missing},
    }
    write_json(path, record | {"values": values})


def _as_saved(picture: Tensor) -> Tensor:
    return pixels_to_tensor(torch.from_numpy(to_uint8(picture)).permute(2, 0, 1), picture.device)
