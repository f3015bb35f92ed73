"""From a command line to the options a script works with: validation, presets, loaded runs.

Where several sources set an option, the later one wins: the published default, what a video changes of it,
the preset, the loaded run, the command line.
"""

import os
import random
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from options import (
    FIXED,
    HEADINGS,
    OF_RESULTS,
    PER_CALL,
    Computing,
    EvalOptions,
    FinishOptions,
    Output,
    RefineOptions,
    Training,
    TrainOptions,
)
from presets import QUICK, REFINE_QUICK, VIDEO
from utils.arguments import Parser
from utils.errors import UserError, command
from utils.run_folder import RunFolder
from utils.video import is_clip

TRAIN = Parser(TrainOptions, HEADINGS, "train.py --input_a A.jpg --input_b B.jpg --preset quick --out output")
EVAL = Parser(EvalOptions, HEADINGS, "eval.py --input_a A.jpg --input_b B.jpg --load output --out evaluation")
FINISH = Parser(FinishOptions, HEADINGS, "finish.py --input output/real_a2b.png --reference B.jpg --out finished")
REFINE = Parser(
    RefineOptions, HEADINGS, "refine.py --input output/real_a2b.png --reference B.jpg --preset quick --out refined"
)


def parse_train(arguments: Sequence[str] | None = None) -> TrainOptions:
    """Options of a training run from its command line; UserError on anything wrong with it."""
    options = _training_options(TRAIN, arguments, QUICK)
    _require(options, "input_a", "input_b", "out")
    _check_for_stills(options)
    try:
        options.architecture.check_fits(options.geometry.shapes[0])
    except ValueError as error:
        raise UserError(str(error)) from None
    if 0 < options.finish_size < options.img_size:
        raise UserError(f"--finish_size {options.finish_size}: must be at least --img_size {options.img_size}, or 0")
    return options


def parse_eval(arguments: Sequence[str] | None = None) -> EvalOptions:
    """Options of an evaluation from its command line; UserError on anything wrong with it."""
    options = _with_seed(EvalOptions(**EVAL.explicit(arguments)))
    _require(options, "out", "load")
    missing = [name for name in ("input_a", "input_b") if getattr(options, name) is None]
    video = options.input_a is not None and is_clip(options.input_a)
    if video and options.samples:
        raise UserError("--samples: draws new images; leave out the video --input_a")
    # What is left out is what was trained on; a video needs no B, and samples alone need neither.
    if missing and not video and not (options.samples and len(missing) == 2):
        trained = RunFolder(options.load).options(TRAIN.prog)
        options = replace(options, **{name: Path(trained[name]) for name in missing})
        video = is_clip(options.input_a)
    for name in ("choices", "metrics"):
        if getattr(options, name) and (video or not options.input_a):
            why = f"--input_a {options.input_a} is a video" if video else "there is no --input_a"
            raise UserError(f"--{name}: is for still images, and {why}")
    _check_for_stills(options)
    return options


def parse_refine(arguments: Sequence[str] | None = None) -> RefineOptions:
    """Options of a refinement from its command line; UserError on anything wrong with it."""
    options = _training_options(REFINE, arguments, REFINE_QUICK)
    _require(options, "input", "reference", "out")
    if options.quantise and options.start_scale is None:
        raise UserError("--quantise: needs --start_scale, the scale to retrain")
    return options


def parse_finish(arguments: Sequence[str] | None = None) -> FinishOptions:
    """Options of finishing one image from its command line; UserError on anything wrong with it."""
    given = FINISH.explicit(arguments)
    options = FinishOptions(**given)
    _require(options, *(["reference", "out"] if options.apply else ["input", "reference", "out"]))
    for flag, usable in (
        ("apply", {"apply", "reference", "out", "overwrite"}),
        ("keep_mask", given.keys() - {"finish_size", "like"}),
    ):
        if getattr(options, flag) and (more := given.keys() - usable):
            raise UserError(f"--{min(more)}: has no effect with --{flag}; leave it out")
    if options.keep_mask and options.learned_size and not options.structure:
        raise UserError("--learned_size: has no effect in a hole without --structure; leave it out")
    if not options.apply and len(set(options.reference)) < len(options.reference):
        raise UserError("--reference: names a file twice; name each once")
    if options.source_mask and len(options.source_mask) != len(options.reference):
        masks, references = len(options.source_mask), len(options.reference)
        raise UserError(f"--source_mask: {masks} given for {references} --reference; give one for each, in their order")
    return options


def recorded(options: Output) -> dict[str, Any]:
    """The options for config.json; paths are absolute, so that they mean the same from everywhere."""

    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        return str(value.absolute()) if isinstance(value, Path) else value

    return {name: plain(value) for name, value in asdict(options).items()}


def _training_options(parser: Parser, arguments: Sequence[str] | None, quick: dict[str, Any]) -> Training:
    """Every option of a training run, from all its sources, with a seed; a dry run gets none but one it is given."""
    explicit = parser.explicit(arguments)
    loaded = _loaded_options(parser, explicit["load"]) if explicit.get("load") else {}
    for name, value in loaded.items():
        if name in FIXED and explicit.get(name, value) != value:
            raise UserError(
                f"--{name} {explicit[name]} contradicts {value} of the run in --load {explicit['load']}; "
                "leave it out, or start a new run in another --out"
            )
        if isinstance(value, Path) and name not in explicit and not os.path.exists(value):
            raise UserError(
                f"--{name} {value}: the run in --load {explicit['load']} was trained on it, and it is not there "
                f"any more; say where it is now: --{name} FILE"
            )
    given = loaded | explicit
    defaults = VIDEO if "input_a" in given and is_clip(given["input_a"]) else {}
    options = parser.settings(**defaults | (quick if explicit.get("preset") == "quick" else {}) | given)
    options = options if options.out is not None else replace(options, out=options.load)
    if options.tensorboard and find_spec("tensorboard") is None:
        raise UserError(f"--tensorboard: not installed; try {command('-m', 'pip', 'install', 'tensorboard')}")
    # One drawn for a dry run would be printed, and not be the seed of the run itself.
    return options if options.dry_run else _with_seed(options)


def _check_for_stills(options: TrainOptions | EvalOptions) -> None:
    """UserError where A is no video, and an option of videos is given."""
    if options.input_a is not None and is_clip(options.input_a):
        return
    for f in fields(options):
        if f.name in HEADINGS["video"].split() and getattr(options, f.name) != f.default:
            given = "there is no --input_a" if options.input_a is None else f"--input_a {options.input_a} is not one"
            raise UserError(f"--{f.name}: is for videos, and {given}")


def _require(options: Output, *names: str) -> None:
    missing = [f"--{name}" for name in names if getattr(options, name) in (None, ())]
    if missing:
        raise UserError(f"{', '.join(missing)} must be given (--help lists the options)")


def _with_seed(options: Computing) -> Computing:
    given = options.manualSeed
    return replace(options, manualSeed=random.SystemRandom().randint(1, 10000) if given is None else given)


def _loaded_options(parser: Parser, folder: Path) -> dict[str, Any]:
    """The options a run was trained with, from its config.json, checked like a command line."""
    run = RunFolder(folder)
    found = run.options(parser.prog)
    past = PER_CALL | (OF_RESULTS if run.record.get("finished") else set())
    used = [f for f in fields(parser.settings) if f.name not in past and found.get(f.name) is not None]
    switches = {f.name: bool(found[f.name]) for f in used if f.metadata["type"] is bool}
    words = [f"--{f.name}={found[f.name]}" for f in used if f.name not in switches]
    try:
        return parser.explicit(words) | switches
    except UserError as error:
        raise UserError(f"--load {run.config}: {error}") from None
