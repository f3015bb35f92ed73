"""The options of the scripts, each declared once: its name, type, default and help.

Command lines, what the scripts work with and config.json all come from these fields. The docstring of a script's
options introduces its help.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from finishing.canvas import LEAST_SIDE
from models.inference import INJECT_LEVELS
from models.networks import PADDING_MODES, Architecture
from presets import QUICK, REFINE_QUICK, VIDEO
from training.loop import Schedule
from training.state import OptimiserSettings
from training.step import LossWeights
from utils.arguments import integer, number, option, pathname, pathname_or_none
from utils.geometry import Geometry
from utils.video import Excerpt

Settings = TypeVar("Settings")

# The help: its headings, and the options that stand under each.
HEADINGS = {
    "files": "input_a input_b input reference load out overwrite",
    "machine and randomness": "gpu_id not_cuda manualSeed deterministic save_memory",
    "run": "niter dry_run print_interval save_every tensorboard",
    "pyramid": "img_size min_size max_size scale_factor",
    "networks": "nfc min_nfc max_nfc num_layer switch_res ker_size padd_size nc_z nc_im stride",
    "optimisation": "alpha beta lambda_g lambda_grad lambda_self lr_g lr_d beta1 noise_amp_a noise_amp_b",
    "evaluation": "inject_levels metrics",
    "video": "start frames every fps compare quant_level",
    "refinement": "start_scale quantise",
    "finishing (not in the paper)": "finish_size structure like learned_size",
    "control of what is copied (not in the paper)": "source_mask source_mask_a source_mask_b keep_mask tile turn "
    "sources apply",
    "departures from the paper": "preset keep_aspect padding_mode rec_noise real_start penalty_every lambda_layout "
    "lr_decay inject_scale out_size samples choices",
}
# What belongs to a call, not to the run that is resumed, and what such a run has fixed for good.
PER_CALL = {"load", "out", "overwrite", "gpu_id", "not_cuda", "dry_run"}
OF_RESULTS = {"start_scale", "quantise"}  # likewise, once the results are there
FIXED = set(f"{HEADINGS['pyramid']} {HEADINGS['networks']} {HEADINGS['video']} preset keep_aspect padding_mode".split())

SOURCES = "copy from white only; default: all white"
SOURCES_OF_EACH = f"{SOURCES}, for the --input itself its --keep_mask; one per --reference"
KEPT = "white keeps the input, at its own size; black is a hole the references fill (inpainting); default: no hole"
LEARNED_SIZE = 64  # pixels, of an image that is not said to be of another size
FILLED_SIZE = 160  # likewise, of an image in whose hole a guide is painted
AS_TRAINED = "default: the one trained on; none with --samples alone"
NO_OTHER = ", the only value accepted"
A_KINDS = "image A, or a video, an animated image, or a folder with one image per frame"


def told(values: dict[str, Any]) -> str:
    """Options with their values, as on a command line."""
    return " ".join(f"--{name} {value}" for name, value in values.items())


def preset_option(quick: dict[str, Any]) -> Any:
    """The option that chooses between the published defaults and `quick`."""
    help = f"paper: the published defaults; quick, for a laptop: {told(quick)}; options given explicitly win"
    return option(str, "paper", help, choices=("paper", "quick"))


def pick(kind: type[Settings], options: object, **more: Any) -> Settings:
    """Settings of some part of the program from the options of the same names."""
    return kind(**{f.name: getattr(options, f.name) for f in fields(kind) if hasattr(options, f.name)}, **more)


@dataclass(frozen=True, kw_only=True)
class Output:
    """Options of every script."""

    out: Path = option(pathname, None, "results folder, made if missing (required unless resuming)", metavar="DIR")
    overwrite: bool = option(bool, False, "replace the results in --out; eval.py and finish.py replace no training run")


@dataclass(frozen=True, kw_only=True)
class Computing(Output):
    """Options of the scripts that compute with networks."""

    gpu_id: int | None = option(integer(-1), None, "GPU to use, -1: the CPU; default: the first GPU, else the CPU")
    not_cuda: bool = option(bool, False, "use the CPU")
    manualSeed: int | None = option(integer(0), None, "random seed; default: drawn from 1 to 10000", alias="--seed")


@dataclass(frozen=True, kw_only=True)
class Training(Computing):
    """Options of the scripts that train."""

    load: Path | None = option(
        pathname_or_none,
        None,
        "resume the run in DIR, or, if it is finished, only make its results again; default: a new run",
        metavar="DIR",
    )
    dry_run: bool = option(bool, False, "check everything, print the scales and an estimate of the time, and stop")
    print_interval: int = option(integer(1), Schedule.print_interval, "steps between log entries")
    save_every: float = option(number(), Schedule.save_every, "seconds between saves of the scale in progress")
    tensorboard: bool = option(bool, False, "also log losses and samples to TensorBoard, which must be installed")
    nfc: int = option(integer(1), Architecture.nfc, "channels of a network's first layer at scales 0 to 3")
    min_nfc: int = option(integer(1), Architecture.min_nfc, "fewest channels of the inner layers at scales 0 to 3")
    max_nfc: int = option(integer(1), Architecture.max_nfc, "limit of both, which double every four scales")

    @property
    def schedule(self) -> Schedule:
        return pick(Schedule, self)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(Excerpt, Training):
    """Train on one pair of images, coarse to fine, by default as in the paper."""

    input_a: Path = option(
        pathname, None, f"{A_KINDS}; defaults for a video: {told(VIDEO)} (required unless --load)", metavar="A"
    )
    input_b: Path = option(pathname, None, "image B (required unless --load)", metavar="B")
    niter: int = option(integer(1), Schedule.niter, "steps per scale")
    img_size: int = option(integer(1), Geometry.img_size, "side of the finest scale, pixels")
    min_size: int = option(integer(1), Geometry.min_size, "side of the coarsest scale, pixels")
    max_size: int = option(integer(1), Geometry.max_size, "below --img_size: fewer scales, same finest side; pixels")
    scale_factor: float = option(
        number(0, 1, above=True), Geometry.scale_factor, "wanted ratio of neighbouring scales; the one used is nearer 1"
    )
    num_layer: int = option(integer(2), Architecture.num_layer, "convolutions per network")
    switch_res: int = option(
        integer(0), Architecture.switch_res, "number of scales, counted from the finest, without residual generators"
    )
    ker_size: int = option(integer(1), Architecture.ker_size, "kernel size of the discriminators")
    padd_size: int = option(integer(0), Architecture.padd_size, "padding of the discriminators")
    nc_z: int = option(int, 3, "noise channels; only 3 is supported", choices=(3,))
    nc_im: int = option(int, 3, "image channels; only 3 is supported", choices=(3,))
    stride: int = option(int, 1, "stride of every convolution; only 1 is supported", choices=(1,))
    alpha: float = option(number(), LossWeights.alpha, "weight of the reconstruction loss")
    beta: float = option(number(), LossWeights.beta, "weight of the cycle loss")
    lambda_g: float = option(number(), LossWeights.lambda_g, "weight of B's adversarial loss relative to A's")
    lambda_grad: float = option(number(), LossWeights.lambda_grad, "weight of the gradient penalty")
    lambda_self: float = option(number(), LossWeights.lambda_self, "weight of the loss on translated noisy real images")
    lr_g: float = option(number(above=True), OptimiserSettings.lr_g, "learning rate of the generators")
    lr_d: float = option(number(above=True), OptimiserSettings.lr_d, "learning rate of the discriminators")
    beta1: float = option(number(0, 1), OptimiserSettings.beta1, "Adam's beta1")
    noise_amp_a: float = option(number(), 0.1, "strength of A's noise, relative to A's reconstruction error")
    noise_amp_b: float = option(number(), 0.1, "strength of B's noise, relative to B's reconstruction error")
    quant_level: int = option(
        integer(0), 0, "first reduce a video to a few inverted greys (the paper: 2, for some); 0: off"
    )
    preset: str = preset_option(QUICK)
    keep_aspect: bool = option(
        bool,
        False,
        "keep the images' aspect ratios instead of squeezing both into squares; sizes in pixels are then those of "
        "squares of equal area",
    )
    padding_mode: str = option(
        str, Architecture.padding_mode, "padding of the generators: zeros, or the image mirrored", choices=PADDING_MODES
    )
    rec_noise: str = option(
        str,
        "fresh",
        "noise to reconstruct from: fresh in each step, or fixed as in SinGAN",
        choices=("fresh", "fixed"),
    )
    penalty_every: int = option(integer(1), 1, "take each gradient penalty every Nth step only, N times as strong")
    real_start: float = option(
        number(0, 1), 0.0, "share of the steps that start from the real images plus noise instead of noise alone"
    )
    lambda_layout: float = option(
        number(),
        LossWeights.lambda_layout,
        "weight of the layout loss: local contrast only where the source image has it",
    )
    lr_decay: float = option(
        number(0, 1), OptimiserSettings.lr_decay, "final share of a scale's steps, over which learning rates fall to 0"
    )
    finish_size: int = option(integer(0), 0, "longer side of the finished images, pixels, --img_size or more; 0: none")
    structure: float = option(
        number(), 1.0, "how closely finishing follows the learned image: 0 loosely, 1 closely, 2 very closely"
    )
    save_memory: bool = option(bool, False, "use less memory (gradient checkpointing); about as fast on a CPU")
    deterministic: bool = option(bool, False, "meant to make runs reproducible on a GPU, too; untested")

    @property
    def geometry(self) -> Geometry:
        """The pyramids' sizes, which do not know the images' shapes yet."""
        return pick(Geometry, self)

    @property
    def architecture(self) -> Architecture:
        return pick(Architecture, self)

    @property
    def weights(self) -> LossWeights:
        return pick(LossWeights, self)

    @property
    def optimiser(self) -> OptimiserSettings:
        return pick(OptimiserSettings, self)


@dataclass(frozen=True, kw_only=True)
class RefineOptions(Training):
    """Clean up a translated image with a pyramid trained on a reference alone (SinGAN)."""

    input: Path = option(pathname, None, "image to refine (required unless --load)")
    reference: Path = option(pathname, None, "image whose patches the result should have (required unless --load)")
    niter: int = option(integer(1), 2000, "steps per scale")
    start_scale: int | None = option(integer(1), None, "scale to start from, 1 or more; default: one image from each")
    quantise: bool = option(bool, False, "reduce the input to 5 colours first, and retrain that --start_scale on them")
    min_size: int = option(integer(1), 25, "shorter side of the coarsest scale, pixels")
    max_size: int = option(integer(1), 250, "upper limit of the finest scale's longer side, pixels")
    preset: str = preset_option(REFINE_QUICK)

    @property
    def architecture(self) -> Architecture:
        return pick(Architecture, self, switch_res=0, domains=1)


def as_trained(name: str, only: str = "") -> Any:
    """An option of train.py whose default is what the run in --load was trained with; `only` if no other is taken."""
    told = TrainOptions.__dataclass_fields__[name].metadata
    return option(told["type"], None, f"{told['help']}; default: as trained{only}")


@dataclass(frozen=True, kw_only=True)
class EvalOptions(Excerpt, Computing):
    """Translate images with a trained pair, or sample new ones."""

    input_a: Path | None = option(pathname, None, f"{A_KINDS}; {AS_TRAINED}", metavar="A")
    input_b: Path | None = option(
        pathname,
        None,
        f"image B, translated to b2a; the look of a2b always comes from the B of training; {AS_TRAINED}",
        metavar="B",
    )
    load: Path = option(pathname, None, "folder of a completed train.py run (required)", metavar="DIR")
    img_size: int | None = as_trained("img_size", NO_OTHER)
    min_size: int | None = as_trained("min_size", NO_OTHER)
    max_size: int | None = as_trained("max_size", NO_OTHER)
    scale_factor: float | None = as_trained("scale_factor", NO_OTHER)
    inject_levels: int = option(integer(1), INJECT_LEVELS, "how many of the finest scales to inject at, one image each")
    inject_scale: int | None = option(
        integer(0),
        None,
        "inject at this scale only (0: coarsest); default: the --inject_levels finest; for a video, one",
    )
    keep_aspect: bool = option(
        bool, False, "keep the images' aspect ratios even if training did not; sizes: see train.py"
    )
    out_size: int | None = option(integer(1), None, "side of the learned results, pixels; default: as trained")
    samples: int | None = option(integer(1), None, "new images to draw per domain, with translations; default: none")
    finish_size: int | None = as_trained("finish_size")
    structure: float | None = as_trained("structure")
    source_mask_a: Path | None = option(pathname, None, f"mask of the A trained on: {SOURCES}", metavar="MASK")
    source_mask_b: Path | None = option(pathname, None, f"mask of the B trained on: {SOURCES}", metavar="MASK")
    compare: bool = option(bool, False, "also write compare.mp4: the video beside its translation")
    choices: bool = option(
        bool, False, "also write choices.png: each injection scale at three values of --structure, finished small"
    )
    metrics: bool = option(
        bool, False, "write measures of translated still images into metrics.json; may download 104 MB for SIFID"
    )


@dataclass(frozen=True, kw_only=True)
class FinishOptions(Output):
    """Rebuild any image at full size from patches of reference images."""

    input: Path = option(pathname, None, "image to finish (required unless --apply)")
    reference: tuple[Path, ...] = option(pathname, (), "one or more images to take patches from (required)", nargs="+")
    finish_size: int | None = option(
        integer(LEAST_SIDE), None, "longer side of the result, pixels; default: 512; not with --keep_mask"
    )
    like: Path | None = option(pathname, None, "image whose aspect ratio the result gets; default: --input")
    structure: float | None = option(
        number(),
        None,
        "how closely to follow the input: 0 loosely (in a hole: not at all), 1 closely; default: 1, with --keep_mask 0",
    )
    learned_size: int | None = option(
        integer(1),
        None,
        "longer side the input is shrunk to first, pixels, which removes finer detail; default: its own, at most "
        f"{LEARNED_SIZE} ({FILLED_SIZE} in a hole with --structure) and --finish_size",
    )
    source_mask: tuple[Path, ...] = option(pathname, (), SOURCES_OF_EACH, nargs="+", metavar="MASK")
    keep_mask: Path | None = option(pathname, None, KEPT, metavar="MASK")
    tile: str | None = option(
        str, None, "tiling: sides that meet without a seam; default: none", choices=("x", "y", "both")
    )
    turn: bool = option(bool, False, "also copy from the references rotated and mirrored; slower, more memory")
    sources: Path | None = option(pathname, None, "record each pixel's source here; default: none", metavar="NPZ")
    apply: Path | None = option(
        pathname,
        None,
        "only redo what --sources recorded, with other maps as --reference; default: finish",
        metavar="NPZ",
    )
