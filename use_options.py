"""The options of the scripts that use what is trained, or finish an image: eval.py and finish.py."""

from dataclasses import dataclass
from pathlib import Path

from models.inference import INJECT_LEVELS
from options import (
    A_KINDS,
    AS_TRAINED,
    DEPARTURES,
    EVALUATION,
    FILES,
    FINISHING,
    LEARNED_SIZE,
    PYRAMID,
    STRUCTURE,
    Common,
)
from utils.arguments import integer, number, option, pathname


@dataclass(frozen=True, kw_only=True)
class EvalOptions(Common):
    """Options of eval.py."""

    input_a: Path | None = option(pathname, None, A_KINDS + "; may be left out with --samples", FILES, metavar="A")
    input_b: Path | None = option(
        pathname, None, "image B; may be left out with --samples, or if A is a video", FILES, metavar="B"
    )
    load: Path = option(pathname, None, "folder of a finished train.py run (required)", FILES, metavar="DIR")
    img_size: int | None = option(integer(1), None, "side of the finest scale, pixels" + AS_TRAINED, PYRAMID)
    min_size: int | None = option(integer(1), None, "side of the coarsest scale, pixels" + AS_TRAINED, PYRAMID)
    max_size: int | None = option(
        integer(1), None, "upper limit of the finest scale when the number of scales is computed" + AS_TRAINED, PYRAMID
    )
    scale_factor: float | None = option(
        number(0, 1, above=True), None, "approximate ratio of a side to the next finer scale's" + AS_TRAINED, PYRAMID
    )
    inject_levels: int = option(
        integer(1), INJECT_LEVELS, "how many of the finest scales to inject at, one image each", EVALUATION
    )
    inject_scale: int | None = option(
        integer(0),
        None,
        "inject at this scale only, 0 is the coarsest; default: the --inject_levels finest, or one scale for a video",
        DEPARTURES,
    )
    keep_aspect: bool = option(
        bool,
        False,
        "keep the images' shapes even if training did not; sizes then mean squares of the same area",
        DEPARTURES,
    )
    out_size: int | None = option(integer(1), None, "side of the learned results, pixels" + AS_TRAINED, DEPARTURES)
    samples: int | None = option(
        integer(1), None, "number of new images to draw, each with its translation; default: none", DEPARTURES
    )
    finish_size: int | None = option(
        integer(0), None, "longer side of the finished images, pixels; 0: do not finish" + AS_TRAINED, DEPARTURES
    )
    structure: float | None = option(
        number(),
        None,
        "how closely finishing follows the learned image: 0 loosely, 1 closely, 2 more so" + AS_TRAINED,
        DEPARTURES,
    )
    choices: bool = option(
        bool,
        False,
        "also write choices.png: both translations from each injection scale at three values of --structure, finished "
        "small, each with the options that make it",
        DEPARTURES,
    )
    gif: bool = option(bool, False, "also write a video's translation as a GIF", DEPARTURES)
    metrics: bool = option(
        bool,
        False,
        "measure the translations of still images, into metrics.json; SIFID's network, 104 MB, comes from torch hub's "
        "cache or is downloaded",
        DEPARTURES,
    )


@dataclass(frozen=True, kw_only=True)
class FinishOptions:
    """Options of finish.py."""

    input: Path = option(pathname, None, "image to finish (required)", FILES, metavar="INPUT")
    reference: tuple[Path, ...] = option(
        pathname, (), "one or more images to take patches from (required)", FILES, metavar="REFERENCE", nargs="+"
    )
    out: Path = option(pathname, None, "folder for the results, made if missing (required)", FILES, metavar="DIR")
    overwrite: bool = option(bool, False, "replace the results --out already holds", FILES)
    finish_size: int = option(integer(1), 512, "longer side of the finished image, pixels", FINISHING)
    like: Path | None = option(
        pathname,
        None,
        "image whose shape the result gets, such as the photograph a square learned image was made of; default: the "
        "input's own",
        FINISHING,
        metavar="IMAGE",
    )
    structure: float = option(
        number(),
        STRUCTURE,
        "how closely to follow the input: 0 loosely, 1 closely, 2 more so",
        FINISHING,
    )
    learned_size: int | None = option(
        integer(1),
        None,
        "longer side the input is shrunk to first, pixels: finer detail is ignored; default: its own, "
        f"at most {LEARNED_SIZE} and at most --finish_size",
        FINISHING,
    )
