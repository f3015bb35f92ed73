"""The options of the scripts: what there is, its defaults, its help, and the presets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.architecture import PADDING_MODES
from utils.arguments import Parser, integer, number, only
from utils.scales import Geometry

QUICK = dict(img_size=64, min_size=32, scale_factor=0.5, max_nfc=32, niter=250, print_interval=125)
QUICK |= dict(lr_g=0.004, lr_d=0.001, lr_decay=0.5, alpha=10.0, beta=2.0)
QUICK |= dict(rec_noise="fixed", padding_mode="reflect", padd_size=1)
PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "quick": QUICK}
REFINE_QUICK = dict(max_size=64, max_nfc=32, niter=100, print_interval=50)
REFINE_PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "quick": REFINE_QUICK}
REC_NOISE = ("fresh", "fixed")
PRECISIONS = ("fp32", "tf32", "bf16")
# The published defaults where A is a clip (METHOD section 12).
CLIP = dict(niter=24000, min_size=22, lambda_self=1.0)


def _add_common_options(parser: Parser, inputs: dict[str, str]) -> None:
    """Options every script has; `inputs` are its own files, with their help."""
    add = parser.add_argument_group("files").add_argument
    for name, meaning in inputs.items():
        add(f"--{name}", type=Path, metavar=name.rpartition("_")[2].upper(), help=meaning)
    add("--out", type=Path, metavar="DIR", help="folder for the results, made if missing (required)")
    add("--overwrite", action="store_true", help="replace the results --out already holds")
    add = parser.add_argument_group("machine and randomness").add_argument
    add("--gpu_id", type=integer(-1), help="GPU to use; -1: the CPU; not given: the first GPU, else the CPU")
    add("--not_cuda", action="store_true", help="use the CPU")
    add("--manualSeed", "--seed", type=integer(0), help="seed of everything; not given: random, 1 to 10000")


def _add_geometry_options(parser: Parser, defaults: dict[str, Any]) -> None:
    """The pyramid's options; those without a default are as trained."""
    add = parser.add_argument_group("pyramid").add_argument
    note = "" if defaults else "; not given: as trained"
    for name, kind, meaning in (
        ("img_size", integer(1), "side of the finest scale, pixels"),
        ("min_size", integer(1), "side of the coarsest scale, pixels"),
        ("max_size", integer(1), "bound that enters the number of scales, pixels"),
        ("scale_factor", number(0, 1, above=True), "wanted ratio of neighbouring scales"),
    ):
        add(f"--{name}", type=kind, default=defaults.get(name), help=meaning + note)
    add("--keep_aspect", action="store_true", help="keep the pictures' shapes; sizes are of the longer side" + note)


def _add_run_options(parser: Parser, niter: int, note: str = "") -> None:
    """What a training goes on with, how long it is, and what it reports and saves."""
    add = parser.add_argument_group("run").add_argument
    folder = lambda name: Path(name) if name else None  # noqa: E731 (the published default is an empty name)
    add("--load", type=folder, metavar="DIR", help="go on with the run in DIR; its options hold where none is given")
    add("--dry_run", action="store_true", help="check everything, print the cost, and stop")
    add("--deterministic", action="store_true", help="same numbers every time on a GPU, too; slower there")
    add("--preset", choices=sorted(PRESETS), default="paper", help="'paper': published; 'quick': for a laptop")
    add("--niter", type=integer(1), default=niter, help="steps per scale" + note)
    add("--print_interval", type=integer(1), default=1000, help="steps between two lines of the log")
    add("--save_every", type=number(), default=60.0, help="seconds between two saves of the scale in progress")


def _add_network_options(parser: Parser) -> Callable[..., Any]:
    """Widths and depth; returns what adds more options of the networks."""
    add = parser.add_argument_group("networks").add_argument
    add("--nfc", type=integer(1), default=32, help="channels of a network's first layer at scales 0 to 3")
    add("--min_nfc", type=integer(1), default=32, help="least channels of the inner layers at scales 0 to 3")
    add("--max_nfc", type=integer(1), default=128, help="bound of both as they double every fourth scale")
    add("--num_layer", type=integer(2), default=5, help="convolutions per network")
    return add


A_KINDS = "image A, any picture Pillow reads; or a clip, or a folder with its frames"


def train_parser() -> Parser:
    """Every option of train.py."""
    parser = Parser("Train on one pair of images, coarse to fine; the published program's defaults.")
    _add_common_options(parser, {"input_a": A_KINDS + " (required)", "input_b": "image B (required)"})
    _add_geometry_options(parser, vars(Geometry()))
    _add_run_options(parser, niter=20000, note="; a clip: 24000")
    add = _add_network_options(parser)
    add("--switch_res", type=integer(0), default=2, help="how many of the finest scales are not residual")
    add("--ker_size", type=integer(1), default=3, help="kernel side of the discriminator")
    add("--padd_size", type=integer(0), default=0, help="padding of the discriminator")
    add(
        "--padding_mode",
        choices=PADDING_MODES,
        default=PADDING_MODES[0],
        help="what the generators see outside the picture: zeros, or the picture mirrored",
    )
    add("--nc_z", type=only(3), default=3, help="noise channels; no other value")
    add("--nc_im", type=only(3), default=3, help="image channels; no other value")
    add("--stride", type=only(1), default=1, help="stride of every convolution; no other value")
    add = parser.add_argument_group("optimisation").add_argument
    add("--alpha", type=number(), default=1.0, help="weight of the reconstruction loss")
    add("--beta", type=number(), default=1.0, help="weight of the cycle loss")
    add("--lambda_g", type=number(), default=1.0, help="weight of B's adversarial loss relative to A's")
    add("--lambda_grad", type=number(), default=0.1, help="weight of the gradient penalty")
    add(
        "--rec_noise",
        choices=REC_NOISE,
        default=REC_NOISE[0],
        help="what a reconstruction starts from: noise drawn anew every step, or once",
    )
    add("--lambda_self", type=number(), default=0.0, help="weight of the translated noisy real image; a clip: 1")
    add("--lr_g", type=number(0, above=True), default=0.0005, help="rate of the generators")
    add("--lr_d", type=number(0, above=True), default=0.0001, help="rate of the discriminators")
    add("--lr_decay", type=number(0, 1), default=0.0, help="end share of a scale over which the rates fall to 0")
    add("--beta1", type=number(0, 1), default=0.5, help="Adam's first-moment decay")
    add("--noise_amp_a", type=number(), default=0.1, help="noise amplitude of A, relative to its error")
    add("--noise_amp_b", type=number(), default=0.1, help="noise amplitude of B, relative to its error")
    add("--quant_level", type=integer(0), default=0, help="simplify a clip's frames to so many greys; 0: do not")
    add = parser.add_argument_group("speed and memory").add_argument
    note = "; not given: as PyTorch has it, TF32 on newer NVIDIA GPUs, else float32"
    add("--precision", choices=PRECISIONS, help="in what convolutions compute" + note)
    add("--save_memory", action="store_true", help="compute some things twice instead of keeping them; slower")
    return parser


def eval_parser() -> Parser:
    """Every option of eval.py."""
    parser = Parser("Translate real images with a trained pair, injected at the finest scales, or draw new ones.")
    note = "; not given: --samples alone"
    _add_common_options(parser, {"input_a": A_KINDS + note, "input_b": "image B" + note + ", or a clip as A"})
    _add_geometry_options(parser, {})
    add = parser.add_argument_group("evaluation").add_argument
    add("--load", type=Path, metavar="DIR", help="the folder train.py filled (required)")
    add("--inject_levels", type=integer(1), default=5, help="how many of the finest scales to inject at")
    add(
        "--inject_scale",
        type=integer(0),
        help="inject at this scale only; not given: the finest; a clip: one",
    )
    add("--out_size", type=integer(1), help="side of the results' finest scale, pixels; not given: as trained")
    add(
        "--samples",
        type=integer(1),
        help="draw so many new pictures with their translations; not given: none",
    )
    add("--gif", action="store_true", help="of a clip: write its translation as a GIF beside the mp4")
    add(
        "--metrics",
        action="store_true",
        help="measure the translated real pictures (not --samples, no clips) in metrics.json; SIFID's network, "
        "104 MB, comes from torch hub's cache, else is downloaded",
    )
    return parser


def refine_parser() -> Parser:
    """Every option of refine.py."""
    parser = Parser("Clean up a translated picture with a pyramid trained on a reference alone (SinGAN).")
    _add_common_options(
        parser, {"input": "the picture to refine (required)", "reference": "whose patches it is to have (required)"}
    )
    _add_run_options(parser, niter=2000)
    add = parser.add_argument_group("refinement").add_argument
    add("--start_scale", type=integer(1), help="where to start, 1 is the coarsest; not given: everywhere, to choose")
    add("--quantise", action="store_true", help="start from few colours, with --start_scale trained again for them")
    add = parser.add_argument_group("pyramid").add_argument
    add("--min_size", type=integer(1), default=25, help="shorter side of the coarsest scale, pixels")
    add("--max_size", type=integer(1), default=250, help="bound of the finest scale's longer side, pixels")
    add("--scale_factor", type=number(0, 1, above=True), default=0.75, help="wanted ratio of neighbouring scales")
    _add_network_options(parser)
    add = parser.add_argument_group("optimisation").add_argument
    add("--alpha", type=number(), default=10.0, help="weight of the reconstruction loss")
    add("--lambda_grad", type=number(), default=0.1, help="weight of the gradient penalty")
    add("--lr_g", type=number(0, above=True), default=0.0005, help="rate of the generator")
    add("--lr_d", type=number(0, above=True), default=0.0005, help="rate of the discriminator")
    add("--tenth_after", type=number(0), default=0.8, help="share of a scale's steps after which rates are a tenth")
    add("--beta1", type=number(0, 1), default=0.5, help="Adam's first-moment decay")
    add("--noise_amp", type=number(), default=0.1, help="noise amplitude, relative to the reconstruction error")
    return parser
