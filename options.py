"""The options of the scripts, each declared once: its name, type, default, help, heading, and whether a run fixes it.

Command lines, presets, what the scripts work with and config.json all come from these fields.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from models.networks import PADDING_MODES, Architecture
from presets import PRESETS, REFINE_PRESETS, Preset
from training.loop import Schedule
from training.losses import LossWeights
from training.optimisers import OptimiserSettings
from utils.arguments import integer, number, option, pathname, pathname_or_none
from utils.geometry import Geometry

Settings = TypeVar("Settings")

FILES = "files"
MACHINE = "machine and randomness"
RUN = "run"
PYRAMID = "pyramid"
NETWORKS = "networks"
OPTIMISATION = "optimisation"
EVALUATION = "evaluation"
REFINEMENT = "refinement"
FINISHING = "finishing"
DEPARTURES = "departures from the paper"
HEADINGS = (FILES, MACHINE, RUN, PYRAMID, NETWORKS, OPTIMISATION, EVALUATION, REFINEMENT, FINISHING, DEPARTURES)

REC_NOISE = ("fresh", "fixed")

STRUCTURE = 1.0
LEARNED_SIZE = 64  # pixels, of an image that is not said to be of another size

A_KINDS = "image A, or a video, an animated image, or a folder with one image per frame"
AS_TRAINED = "; default: as trained"


def preset_option(presets: dict[str, Preset]) -> Any:
    """The option that chooses one of `presets`; its help lists what quick sets."""
    quick = " ".join(f"--{name} {value}" for name, value in presets["quick"].items())
    told = f"paper: the published defaults; quick, for a laptop: {quick}; options given explicitly win"
    return option(str, "paper", told, DEPARTURES, choices=tuple(presets), fixed=True)


def pick(kind: type[Settings], options: object, **more: Any) -> Settings:
    """Settings of some part of the program from the options of the same names."""
    return kind(**{f.name: getattr(options, f.name) for f in fields(kind) if hasattr(options, f.name)}, **more)


@dataclass(frozen=True, kw_only=True)
class Common:
    """Options of every script."""

    out: Path = option(
        pathname, None, "folder for the results, made if missing (required)", FILES, metavar="DIR", per_call=True
    )
    overwrite: bool = option(bool, False, "replace the results --out already holds", FILES, per_call=True)
    gpu_id: int | None = option(
        integer(-1), None, "GPU to use, -1: the CPU; default: the first GPU, else the CPU", MACHINE, per_call=True
    )
    not_cuda: bool = option(bool, False, "use the CPU", MACHINE, per_call=True)
    manualSeed: int | None = option(
        integer(0), None, "random seed; default: chosen at random from 1 to 10000", MACHINE, flag="--seed"
    )

    @property
    def seed(self) -> int:
        return self.manualSeed


@dataclass(frozen=True, kw_only=True)
class Training(Common):
    """Options of the scripts that train."""

    load: Path | None = option(
        pathname_or_none,
        None,
        "resume the run in DIR with its own options, except those given here; default: start a new run",
        FILES,
        metavar="DIR",
        per_call=True,
    )
    dry_run: bool = option(
        bool, False, "check everything, print the scales and an estimate of the time, and stop", RUN, per_call=True
    )
    print_interval: int = option(integer(1), Schedule.print_interval, "steps between log entries", RUN)
    save_every: float = option(number(), Schedule.save_every, "seconds between saves of the scale in progress", RUN)
    tensorboard: bool = option(bool, False, "also log losses and samples to TensorBoard, which must be installed", RUN)
    nfc: int = option(
        integer(1), Architecture.nfc, "channels of a network's first layer at scales 0 to 3", NETWORKS, fixed=True
    )
    min_nfc: int = option(
        integer(1),
        Architecture.min_nfc,
        "minimum number of channels of the inner layers at scales 0 to 3",
        NETWORKS,
        fixed=True,
    )
    max_nfc: int = option(
        integer(1), Architecture.max_nfc, "upper limit of both; they double every four scales", NETWORKS, fixed=True
    )

    @property
    def schedule(self) -> Schedule:
        return pick(Schedule, self)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(Training):
    """Options of train.py; the published ones with the published defaults."""

    input_a: Path = option(pathname, None, A_KINDS + " (required)", FILES, metavar="A")
    input_b: Path = option(pathname, None, "image B (required)", FILES, metavar="B")
    niter: int = option(integer(1), Schedule.niter, "steps per scale (if A is a video: 24000)", RUN)
    img_size: int = option(integer(1), Geometry.img_size, "side of the finest scale, pixels", PYRAMID, fixed=True)
    min_size: int = option(
        integer(1), Geometry.min_size, "side of the coarsest scale, pixels (if A is a video: 22)", PYRAMID, fixed=True
    )
    max_size: int = option(
        integer(1),
        Geometry.max_size,
        "upper limit of the finest scale when the number of scales is computed, pixels",
        PYRAMID,
        fixed=True,
    )
    scale_factor: float = option(
        number(0, 1, above=True),
        Geometry.scale_factor,
        "approximate ratio of a side to the next finer scale's",
        PYRAMID,
        fixed=True,
    )
    num_layer: int = option(integer(2), Architecture.num_layer, "convolutions per network", NETWORKS, fixed=True)
    switch_res: int = option(
        integer(0),
        Architecture.switch_res,
        "number of finest scales whose generators are not residual",
        NETWORKS,
        fixed=True,
    )
    ker_size: int = option(integer(1), Architecture.ker_size, "kernel size of the discriminators", NETWORKS, fixed=True)
    padd_size: int = option(integer(0), Architecture.padd_size, "padding of the discriminators", NETWORKS, fixed=True)
    nc_z: int = option(int, 3, "noise channels; only 3 is supported", NETWORKS, choices=(3,))
    nc_im: int = option(int, 3, "image channels; only 3 is supported", NETWORKS, choices=(3,))
    stride: int = option(int, 1, "stride of every convolution; only 1 is supported", NETWORKS, choices=(1,))
    alpha: float = option(number(), LossWeights.alpha, "weight of the reconstruction loss", OPTIMISATION)
    beta: float = option(number(), LossWeights.beta, "weight of the cycle loss", OPTIMISATION)
    lambda_g: float = option(
        number(), LossWeights.lambda_g, "weight of B's adversarial loss relative to A's", OPTIMISATION
    )
    lambda_grad: float = option(number(), LossWeights.lambda_grad, "weight of the gradient penalty", OPTIMISATION)
    lambda_self: float = option(
        number(),
        LossWeights.lambda_self,
        "weight of the loss on translations of the noisy real image (if A is a video: 1)",
        OPTIMISATION,
    )
    lr_g: float = option(number(0, above=True), OptimiserSettings.lr_g, "learning rate of the generators", OPTIMISATION)
    lr_d: float = option(
        number(0, above=True), OptimiserSettings.lr_d, "learning rate of the discriminators", OPTIMISATION
    )
    beta1: float = option(number(0, 1), OptimiserSettings.beta1, "Adam's beta1", OPTIMISATION)
    noise_amp_a: float = option(number(), 0.1, "noise of A, relative to its reconstruction error", OPTIMISATION)
    noise_amp_b: float = option(number(), 0.1, "noise of B, relative to its reconstruction error", OPTIMISATION)
    quant_level: int = option(
        integer(0),
        0,
        "reduce a video's frames to a few grey levels first, 2 in the paper; 0: off",
        OPTIMISATION,
        fixed=True,
    )
    preset: str = preset_option(PRESETS)
    keep_aspect: bool = option(
        bool,
        False,
        "keep the images' shapes instead of squeezing both into squares, for images that are far from square; sizes "
        "then mean squares of the same area",
        DEPARTURES,
        fixed=True,
    )
    padding_mode: str = option(
        str,
        Architecture.padding_mode,
        "padding of the generators: zeros, or the image mirrored",
        DEPARTURES,
        choices=PADDING_MODES,
        fixed=True,
    )
    rec_noise: str = option(
        str,
        REC_NOISE[0],
        "noise the reconstruction starts from: fresh at every step, or fixed for the whole run (as in SinGAN)",
        DEPARTURES,
        choices=REC_NOISE,
    )
    real_start: float = option(
        number(0, 1), 0.0, "share of steps that start from the real images plus noise, not noise alone", DEPARTURES
    )
    lambda_layout: float = option(
        number(),
        LossWeights.lambda_layout,
        "weight of the loss that keeps contrast where the source has it",
        DEPARTURES,
    )
    lr_decay: float = option(
        number(0, 1),
        OptimiserSettings.lr_decay,
        "final fraction of each scale's steps over which the learning rates fall to 0",
        DEPARTURES,
    )
    finish_size: int = option(
        integer(0), 0, "longer side of the finished translations, pixels; 0: do not finish", DEPARTURES
    )
    structure: float = option(
        number(),
        STRUCTURE,
        "how closely finishing follows the learned image: 0 loosely, 1 closely, 2 more so",
        DEPARTURES,
    )
    save_memory: bool = option(bool, False, "use less memory by computing some results twice; slower", DEPARTURES)
    deterministic: bool = option(bool, False, "make runs on a GPU reproducible as well; slower there", DEPARTURES)

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
    """Options of refine.py; what is not among them is as docs/method.md, section 11 has it."""

    input: Path = option(pathname, None, "the image to refine (required)", FILES, metavar="INPUT")
    reference: Path = option(
        pathname, None, "the image whose patches the result is to have (required)", FILES, metavar="REFERENCE"
    )
    niter: int = option(integer(1), 2000, "steps per scale", RUN)
    start_scale: int | None = option(
        integer(1),
        None,
        "scale to start from, 1 is the coarsest; default: one image from each, to choose from",
        REFINEMENT,
    )
    quantise: bool = option(bool, False, "start from a few colours; retrains --start_scale for them", REFINEMENT)
    min_size: int = option(integer(1), 25, "shorter side of the coarsest scale, pixels", PYRAMID, fixed=True)
    max_size: int = option(integer(1), 250, "maximum longer side of the finest scale, pixels", PYRAMID, fixed=True)
    preset: str = preset_option(REFINE_PRESETS)

    @property
    def architecture(self) -> Architecture:
        return pick(Architecture, self, switch_res=0, domains=1, pad_once=True)
