"""`metrics.json`: every measure of translated images, and what each of them is."""

from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from utils.files import write_json
from utils.image import pixels_to_tensor, to_uint8
from utils.measures import HIGHER_IS_BETTER, measure
from utils.sifid import sifid

PATCHES = "patches of 7x7 pixels, against the appearance image's: sliced Wasserstein distance, "
RABIN = "Rabin et al. 2011; over scales, for GANs: Karras et al. 2018 (changes: utils/measures.py)"
OWN = "this program (utils/measures.py)"
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
COMPARED = "an a2b has A for its structure and B for its appearance, both at its own size; a b2a the reverse"
TOO_SMALL = "the images are too small for it"


def compare(
    translated: Tensor, structure: Tensor, appearance: Tensor, stem: nn.Module | None
) -> dict[str, float | None]:
    """All measures of a translation; None for what the images are too small for, and for SIFID without its network.

    Args:
        translated, structure, appearance: (1, 3, H, W) in [-1, 1]; see `utils.measures.measure`.
        stem: see `utils.sifid.sifid`.
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


class MetricsFile:
    """What is known of the results so far; written anew with everything that is added.

    Args:
        stem: see `utils.sifid.sifid`; None where it cannot be had, for the reason `without_stem`.
    """

    def __init__(self, path: Path, stem: nn.Module | None = None, without_stem: str = "") -> None:
        self.path, self.stem, self.without_stem = path, stem, without_stem
        self._values: dict[str, dict[str, float | None]] = {}
        self._known: dict[str, tuple[str, str]] = {}
        self._missing: dict[str, str] = {}

    def add_measured(self, measured: dict[str, Measured]) -> None:
        """Measure translations, by name, as saved, with 8 bits."""
        found = {name: compare(*(_as_saved(image) for image in each), self.stem) for name, each in measured.items()}
        reasons = dict.fromkeys(MEASURES, TOO_SMALL) | ({"sifid": self.without_stem} if self.stem is None else {})
        missing = [name for name in MEASURES if any(each[name] is None for each in found.values())]
        self._missing |= {name: reasons[name] for name in missing}
        self._add(found, MEASURES)

    def add_copied(self, shares: dict[str, float]) -> None:
        """Of finished images, by name, the share copied in one piece."""
        self._add({name: {COPIED: share} for name, share in shares.items()}, {COPIED: COPIED_MEANS})

    def _add(self, values: dict[str, dict[str, Any]], known: dict[str, tuple[str, str]]) -> None:
        if not values:
            return
        for name, found in values.items():
            self._values[name] = self._values.get(name, {}) | found
        self._known |= known
        better = {name: "higher" if name in HIGHER_IS_BETTER else "lower" for name in MEASURES}
        record: dict[str, Any] = {
            "compared": COMPARED,
            "measures": {
                name: {"better": better.get(name, "neither"), "what": what, "source": source}
                for name, (what, source) in self._known.items()
            },
            "missing": self._missing,
        }
        write_json(self.path, record | {"values": self._values})


def _as_saved(image: Tensor) -> Tensor:
    return pixels_to_tensor(to_uint8(image), image.device)
