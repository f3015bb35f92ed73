"""From a command line to the options a script works with: validation, presets, loaded runs.

Where several sources set an option, the later one wins: the published default, what a clip changes of it,
the preset, the loaded run, the command line.
"""

import os
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from finishing.canvas import LEAST_SIDE
from options import HEADINGS, Common, RefineOptions, TrainOptions
from presets import CLIP, PRESETS, REFINE_PRESETS
from use_options import EvalOptions, FinishOptions
from utils.arguments import Parser, defaults_of, options_of, pathname
from utils.errors import UserError, command
from utils.run_folder import RunFolder
from utils.video import is_clip

Options = TypeVar("Options", bound=Common)

TRAIN = Parser(
    "train.py",
    TrainOptions,
    HEADINGS,
    "Train on one pair of images, coarse to fine, by default as in the paper.",
    "--input_a A.jpg --input_b B.jpg --preset quick --out output",
)
EVAL = Parser(
    "eval.py",
    EvalOptions,
    HEADINGS,
    "Translate images with a trained pair, or draw new ones.",
    "--input_a A.jpg --input_b B.jpg --load output --out evaluation",
)
FINISH = Parser(
    "finish.py",
    FinishOptions,
    HEADINGS,
    "Rebuild any image at full size from patches of references.",
    "--input output/real_a2b.png --reference B.jpg --out finished",
)
REFINE = Parser(
    "refine.py",
    RefineOptions,
    HEADINGS,
    "Clean up a translated image with a pyramid trained on a reference alone (SinGAN).",
    "--input output/real_a2b.png --reference B.jpg --preset quick --out refined",
)


def parse_train(arguments: Sequence[str] | None = None) -> TrainOptions:
    """Options of a training run from its command line; UserError on anything wrong with it."""
    options = _training_options(TrainOptions, TRAIN, arguments, PRESETS)
    _require(options, "input_a", "input_b", "out")
    if options.quant_level and not is_clip(options.input_a):
        raise UserError(f"--quant_level: is for videos, and --input_a {options.input_a} is not one")
    try:
        options.architecture.check_fits(options.geometry.shapes[0])
    except ValueError as error:
        raise UserError(str(error)) from None
    if options.finish_size and options.finish_size < options.img_size:
        raise UserError(f"--finish_size {options.finish_size}: must be at least --img_size {options.img_size}, or 0")
    _check_finish_size(options.finish_size, ", or 0")
    return options


def parse_eval(arguments: Sequence[str] | None = None) -> EvalOptions:
    """Options of an evaluation from its command line; UserError on anything wrong with it."""
    options = _with_seed(EvalOptions(**EVAL.explicit(arguments)))
    _require(options, "out", "load")
    clip = options.input_a is not None and is_clip(options.input_a)
    if options.gif and not clip:
        raise UserError("--gif: is for videos; --input_a must be one")
    if options.choices and (clip or not options.input_a):
        raise UserError("--choices: is for still images; give --input_a and --input_b")
    if options.metrics and clip:
        raise UserError("--metrics: is for still images; --input_a must not be a video")
    if options.metrics and not options.input_a and not options.input_b:
        raise UserError("--metrics: measures translated images; give --input_a and --input_b")
    if clip and options.samples:
        raise UserError("--samples: draws new images; leave out the video --input_a")
    if not clip and (not options.samples or options.input_a or options.input_b):
        _require(options, "input_a", "input_b")
    _check_finish_size(options.finish_size, ", or 0")
    return options


def parse_refine(arguments: Sequence[str] | None = None) -> RefineOptions:
    """Options of a refinement from its command line; UserError on anything wrong with it."""
    options = _training_options(RefineOptions, REFINE, arguments, REFINE_PRESETS)
    _require(options, "input", "reference", "out")
    if options.quantise and options.start_scale is None:
        raise UserError("--quantise: needs --start_scale, the scale to retrain")
    return options


def parse_finish(arguments: Sequence[str] | None = None) -> FinishOptions:
    """Options of finishing one image from its command line; UserError on anything wrong with it."""
    options = FinishOptions(**FINISH.explicit(arguments))
    _require(options, "input", "reference", "out")
    _check_finish_size(options.finish_size)
    return options


def recorded(options: Common | FinishOptions) -> dict[str, Any]:
    """The options for config.json; paths are absolute, so that they mean the same from everywhere."""
    return {name: _plain(value) for name, value in asdict(options).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value.absolute()) if isinstance(value, Path) else value


def _training_options(
    kind: type[Options], parser: Parser, arguments: Sequence[str] | None, presets: dict[str, dict[str, Any]]
) -> Options:
    """Every option of a training run, from all its sources, with a seed; a dry run gets none but one it is given."""
    explicit = parser.explicit(arguments)
    loaded = _loaded_options(kind, parser, explicit["load"]) if explicit.get("load") else {}
    for name, option in options_of(kind).items():
        if option.fixed and name in explicit.keys() & loaded.keys() and explicit[name] != loaded[name]:
            raise UserError(
                f"--{name} {explicit[name]} contradicts {loaded[name]} of the run in --load {explicit['load']}; "
                "leave it out, or start a new run in another --out"
            )
    for name, option in options_of(kind).items():
        if option.kind is pathname and name in loaded.keys() - explicit.keys() and not os.path.exists(loaded[name]):
            raise UserError(
                f"--{name} {loaded[name]}: the run in --load {explicit['load']} was trained on it, and it is not there "
                f"any more; say where it is now: --{name} FILE"
            )
    preset = presets[explicit.get("preset", "paper")]
    a = (loaded | explicit).get("input_a")
    clip = CLIP if a and is_clip(a) else {}
    options = kind(**(defaults_of(kind) | clip | preset | loaded | explicit))
    options = options if options.out is not None else replace(options, out=options.load)
    if options.tensorboard and find_spec("tensorboard") is None:
        raise UserError(f"--tensorboard: not installed; try {command('-m', 'pip', 'install', 'tensorboard')}")
    # One drawn for a dry run would be printed, and not be the seed of the run itself.
    return options if options.dry_run else _with_seed(options)


def _require(options: Common, *names: str) -> None:
    missing = [f"--{name}" for name in names if getattr(options, name) in (None, [], ())]
    if missing:
        raise UserError(f"{', '.join(missing)} must be given (--help lists the options)")


def _check_finish_size(size: int | None, otherwise: str = "") -> None:
    if size and size < LEAST_SIDE:
        raise UserError(f"--finish_size {size}: must be at least {LEAST_SIDE}, to hold a few patches{otherwise}")


def _with_seed(options: Options) -> Options:
    given = options.manualSeed
    return replace(options, manualSeed=random.SystemRandom().randint(1, 10000) if given is None else given)


def _loaded_options(kind: type[Common], parser: Parser, folder: Path) -> dict[str, Any]:
    """The options a run was trained with, from its config.json, checked like a command line."""
    run = RunFolder(folder)
    found, known = run.options(parser.prog), options_of(kind)
    used = {name: found[name] for name, each in known.items() if not each.per_call and found.get(name) is not None}
    switches = {name: bool(value) for name, value in used.items() if known[name].kind is bool}
    try:
        return parser.explicit([f"--{name}={value}" for name, value in used.items() if name not in switches]) | switches
    except UserError as error:
        raise UserError(f"--load {run.config}: {error}") from None
