"""The command lines: parsers, presets, validation, and the frozen settings the scripts work with.

Nothing else knows argparse. Where several sources set an option, the later one wins: the published
default, the preset, the loaded run, the command line.
"""

import argparse
import json
import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from models.architecture import Architecture
from training.loop import Schedule
from training.losses import LossWeights
from training.step import OptimiserSettings
from utils.errors import UserError
from utils.run_folder import RunFolder
from utils.scales import Geometry

Settings = TypeVar("Settings")

QUICK = dict(img_size=64, min_size=32, scale_factor=0.5, max_nfc=32, switch_res=4, niter=350, print_interval=175)
QUICK |= dict(lr_g=0.004, lr_d=0.001, lr_decay=0.5, alpha=10.0, beta=2.0)
PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "quick": QUICK}

# What a loaded run has fixed for good, and what belongs to a call rather than to a run.
FIXED = {f.name for f in fields(Geometry)} | {f.name for f in fields(Architecture)} | {"preset"}
PER_CALL = {"load", "out", "overwrite", "gpu_id", "not_cuda", "dry_run"}


def integer(least: int) -> Callable[[str], int]:
    """An argparse type: a whole number, `least` or more."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, not '{text}'") from None
        if value > 10**18:
            raise argparse.ArgumentTypeError("must be at most 1000000000000000000")
        if value < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more, not {value}")
        return value

    return parse


def number(least: float = 0.0, below: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """An argparse type: a finite number from `least` (excluded if `above`) up to, not including, `below`."""
    bound = f" and below {below:g}" if below < math.inf else ""
    wanted = f"{'above' if above else 'at least'} {least:g}{bound}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a number, not '{text}'") from None
        if not least <= value < below or (above and value == least):  # false for NaN and infinity, too
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {text}")
        return value

    return parse


def only(legal: int) -> Callable[[str], int]:
    """An argparse type for a published option of which the method knows one value."""

    def parse(text: str) -> int:
        if text.strip() != str(legal):
            raise argparse.ArgumentTypeError(f"must be {legal}, the only value the method knows, not {text}")
        return legal

    return parse


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds each default to the help, but for options whose text says what happens without them."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """One line per error, defaults in the help, and a record of what was given explicitly."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description, allow_abbrev=False, formatter_class=Formatter)

    def error(self, message: str) -> NoReturn:
        raise UserError(message.removeprefix("argument ") + " (--help lists the options)")

    def explicit(self, arguments: Sequence[str] | None) -> dict[str, Any]:
        """Only the options that stand on the command line."""
        missing = object()
        blank = argparse.Namespace(**{action.dest: missing for action in self._actions})
        found = vars(self.parse_args(arguments, blank))
        return {name: value for name, value in found.items() if value is not missing}

    def defaults(self) -> dict[str, Any]:
        """Every option at its default."""
        return {a.dest: a.default for a in self._actions if a.dest != "help"}


def _add_shared_options(parser: Parser, geometry_defaults: dict[str, Any]) -> None:
    """Options train.py and eval.py have in common."""
    add = parser.add_argument_group("files").add_argument
    add("--input_a", type=Path, metavar="A", help="image A, any picture Pillow reads (required)")
    add("--input_b", type=Path, metavar="B", help="image B (required)")
    add("--out", type=Path, metavar="DIR", help="folder for the results, made if missing (required)")
    add("--overwrite", action="store_true", help="replace the results --out already holds")
    add = parser.add_argument_group("machine and randomness").add_argument
    add("--gpu_id", type=integer(-1), help="GPU to use; -1: the CPU; not given: the first GPU, else the CPU")
    add("--not_cuda", action="store_true", help="use the CPU")
    add("--manualSeed", "--seed", type=integer(0), help="seed of everything; not given: random, 1 to 10000")
    add = parser.add_argument_group("pyramid").add_argument
    for name, kind, meaning in (
        ("img_size", integer(1), "side of the finest scale, pixels"),
        ("min_size", integer(1), "side of the coarsest scale, pixels"),
        ("max_size", integer(1), "bound that enters the number of scales, pixels"),
        ("scale_factor", number(0, 1, above=True), "wanted ratio of neighbouring scales"),
    ):
        default = geometry_defaults.get(name)
        note = "" if default is not None else "; not given: as trained"
        add(f"--{name}", type=kind, default=default, help=meaning + note)


def train_parser() -> Parser:
    """Every option of train.py."""
    parser = Parser("Train on one pair of images, coarse to fine; the published program's defaults.")
    _add_shared_options(parser, vars(Geometry()))
    add = parser.add_argument_group("run").add_argument
    add("--preset", choices=sorted(PRESETS), default="paper", help="'paper': published; 'quick': for a laptop")
    folder = lambda name: Path(name) if name else None  # noqa: E731 (the published default is an empty name)
    add("--load", type=folder, metavar="DIR", help="go on with the run in DIR; its options hold where none is given")
    add("--dry_run", action="store_true", help="check everything, print the cost, and stop")
    add("--niter", type=integer(1), default=20000, help="steps per scale")
    add("--print_interval", type=integer(1), default=1000, help="steps between two lines of the log")
    add("--save_every", type=number(), default=60.0, help="seconds between two saves of the scale in progress")
    add("--deterministic", action="store_true", help="same numbers every time on a GPU, too; slower there")
    add = parser.add_argument_group("networks").add_argument
    add("--nfc", type=integer(1), default=32, help="channels of a network's first layer at scales 0 to 3")
    add("--min_nfc", type=integer(1), default=32, help="least channels of the inner layers at scales 0 to 3")
    add("--max_nfc", type=integer(1), default=128, help="bound of both as they double every fourth scale")
    add("--num_layer", type=integer(2), default=5, help="convolutions per network")
    add("--switch_res", type=integer(0), default=2, help="how many of the finest scales are not residual")
    add("--ker_size", type=integer(1), default=3, help="kernel side of the discriminator")
    add("--padd_size", type=integer(0), default=0, help="padding of the discriminator")
    add("--nc_z", type=only(3), default=3, help="noise channels; no other value")
    add("--nc_im", type=only(3), default=3, help="image channels; no other value")
    add("--stride", type=only(1), default=1, help="stride of every convolution; no other value")
    add = parser.add_argument_group("optimisation").add_argument
    add("--alpha", type=number(), default=1.0, help="weight of the reconstruction loss")
    add("--beta", type=number(), default=1.0, help="weight of the cycle loss")
    add("--lambda_g", type=number(), default=1.0, help="weight of B's adversarial loss relative to A's")
    add("--lambda_grad", type=number(), default=0.1, help="weight of the gradient penalty")
    add("--lr_g", type=number(0, above=True), default=0.0005, help="rate of the generators")
    add("--lr_d", type=number(0, above=True), default=0.0001, help="rate of the discriminators")
    add("--lr_decay", type=number(0, 1), default=0.0, help="end share of a scale over which the rates fall to 0")
    add("--beta1", type=number(0, 1), default=0.5, help="Adam's first-moment decay")
    add("--noise_amp_a", type=number(), default=0.1, help="noise amplitude of A, relative to its error")
    add("--noise_amp_b", type=number(), default=0.1, help="noise amplitude of B, relative to its error")
    return parser


def eval_parser() -> Parser:
    """Every option of eval.py."""
    parser = Parser("Translate real images with a trained pair, injected at the finest scales.")
    _add_shared_options(parser, {})
    add = parser.add_argument_group("evaluation").add_argument
    add("--load", type=Path, metavar="DIR", help="the folder train.py filled (required)")
    add("--inject_levels", type=integer(1), default=5, help="how many of the finest scales to inject at")
    return parser


@dataclass(frozen=True, kw_only=True)
class Common:
    """What both scripts are asked for; `options` is every option as used, for the record."""

    input_a: Path
    input_b: Path
    out: Path
    overwrite: bool
    gpu_id: int | None
    not_cuda: bool
    seed: int
    options: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Common):
    """What train.py was asked for."""

    load: Path | None
    dry_run: bool
    deterministic: bool
    geometry: Geometry
    architecture: Architecture
    weights: LossWeights
    optimiser: OptimiserSettings
    schedule: Schedule


@dataclass(frozen=True, kw_only=True)
class EvalConfig(Common):
    """What eval.py was asked for; `geometry` holds only what the command line says of it."""

    load: Path
    inject_levels: int
    geometry: dict[str, float]


def parse_train(arguments: Sequence[str] | None = None) -> TrainConfig:
    """Settings of a training run from its command line; UserError on anything wrong with it."""
    parser = train_parser()
    explicit = parser.explicit(arguments)
    loaded = _loaded_options(parser, explicit["load"]) if explicit.get("load") else {}
    for name in sorted(FIXED & explicit.keys() & loaded.keys()):
        if explicit[name] != loaded[name]:
            raise UserError(
                f"--{name} {explicit[name]} contradicts {loaded[name]} of the run in --load {explicit['load']}; "
                "leave it out, or train anew into another --out"
            )
    preset = PRESETS[explicit.get("preset", "paper")]
    options = {**parser.defaults(), **preset, **loaded, **explicit}
    if options["out"] is None:
        options["out"] = options["load"]
    _require(options, "input_a", "input_b", "out")
    options = _with_seed(options)
    try:
        geometry, architecture = _pick(Geometry, options), _pick(Architecture, options)
        architecture.check_fits(geometry)
    except ValueError as error:
        raise UserError(str(error)) from None
    return TrainConfig(
        **_fields(TrainConfig, options),
        seed=options["manualSeed"],
        geometry=geometry,
        architecture=architecture,
        weights=_pick(LossWeights, options),
        optimiser=_pick(OptimiserSettings, options),
        schedule=_pick(Schedule, options),
        options=_plain(options),
    )


def parse_eval(arguments: Sequence[str] | None = None) -> EvalConfig:
    """Settings of an evaluation from its command line; UserError on anything wrong with it."""
    parser = eval_parser()
    options = _with_seed({**parser.defaults(), **parser.explicit(arguments)})
    _require(options, "input_a", "input_b", "out", "load")
    geometry = {f.name: options[f.name] for f in fields(Geometry) if options[f.name] is not None}
    return EvalConfig(
        **_fields(EvalConfig, options), seed=options["manualSeed"], geometry=geometry, options=_plain(options)
    )


def _require(options: dict[str, Any], *names: str) -> None:
    missing = [f"--{name}" for name in names if options[name] is None]
    if missing:
        raise UserError(f"{', '.join(missing)} must be given (--help lists the options)")


def _with_seed(options: dict[str, Any]) -> dict[str, Any]:
    seed = options["manualSeed"]
    return {**options, "manualSeed": random.SystemRandom().randint(1, 10000) if seed is None else seed}


def _pick(kind: type[Settings], options: dict[str, Any]) -> Settings:
    return kind(**_fields(kind, options))


def _fields(kind: type, options: dict[str, Any]) -> dict[str, Any]:
    return {f.name: options[f.name] for f in fields(kind) if f.name in options and f.name != "geometry"}


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}


def _loaded_options(parser: Parser, folder: Path) -> dict[str, Any]:
    """The options a run was trained with, from its config.json, checked like a command line."""
    path = RunFolder(folder).config
    if not os.path.isdir(folder):
        raise UserError(f"--load {folder}: no such folder")
    if not path.is_file():
        raise UserError(f"--load {folder}: holds no run ({path.name} is missing)")
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))["options"]
        known = {action.dest: action for action in parser._actions}
        words = [
            known[name].option_strings[0] + ("" if value is True else f"={value}")
            for name, value in recorded.items()
            if name in known.keys() - PER_CALL and value is not None and value is not False
        ]
        return parser.explicit(words)
    except UserError as error:
        raise UserError(f"--load {path}: {error}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"--load {path}: damaged, or not of this program") from None
