"""From a command line to the frozen settings a script works with: validation, presets, loaded runs.

Where several sources set an option, the later one wins: the published default, what a clip changes of it,
the preset, the loaded run, the command line.
"""

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from models.architecture import Architecture
from options import CLIP, PRESETS, REFINE_PRESETS, eval_parser, refine_parser, train_parser
from training.loop import Schedule
from training.losses import LossWeights
from training.optimisers import OptimiserSettings
from utils.arguments import Parser
from utils.clips.kind import is_clip
from utils.errors import UserError
from utils.runs.run_folder import RunFolder
from utils.scales import GEOMETRY_OPTIONS, Geometry

Settings = TypeVar("Settings")

# What a loaded run has fixed for good, and what belongs to a call rather than to a run.
FIXED = {*GEOMETRY_OPTIONS, "keep_aspect", "quant_level", "preset"} | {f.name for f in fields(Architecture)}
PER_CALL = {"load", "out", "overwrite", "gpu_id", "not_cuda", "dry_run"}


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every script is asked for; `options` is every option as used, for the record."""

    out: Path
    overwrite: bool
    gpu_id: int | None
    not_cuda: bool
    seed: int
    options: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Common):
    """What train.py was asked for; `geometry` does not know the pictures' shapes yet."""

    input_a: Path
    input_b: Path
    load: Path | None
    dry_run: bool
    deterministic: bool
    geometry: Geometry
    architecture: Architecture
    weights: LossWeights
    optimiser: OptimiserSettings
    schedule: Schedule
    noise_amp_a: float
    noise_amp_b: float
    rec_noise: str
    quant_level: int
    precision: str | None
    save_memory: bool


@dataclass(frozen=True, kw_only=True)
class EvalConfig(Common):
    """What eval.py was asked for; `geometry` holds only what the command line says of it."""

    input_a: Path | None
    input_b: Path | None
    load: Path
    inject_levels: int
    inject_scale: int | None
    keep_aspect: bool
    out_size: int | None
    samples: int | None
    gif: bool
    metrics: bool
    geometry: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class RefineConfig(Common):
    """What refine.py was asked for."""

    input: Path
    reference: Path
    load: Path | None
    dry_run: bool
    deterministic: bool
    start_scale: int | None
    quantise: bool
    min_size: int
    max_size: int
    scale_factor: float
    architecture: Architecture
    optimiser: OptimiserSettings
    schedule: Schedule
    alpha: float
    lambda_grad: float
    noise_amp: float


def parse_train(arguments: Sequence[str] | None = None) -> TrainConfig:
    """Settings of a training run from its command line; UserError on anything wrong with it."""
    options = _run_options(train_parser(), arguments, PRESETS)
    _require(options, "input_a", "input_b", "out")
    if options["quant_level"] and not is_clip(options["input_a"]):
        raise UserError(f"--quant_level: is for clips, and --input_a {options['input_a']} is none")
    try:
        geometry, architecture = _pick(Geometry, options), _pick(Architecture, options)
        architecture.check_fits(geometry.shapes[0])
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
    _require(options, "out", "load")
    clip = options["input_a"] is not None and is_clip(options["input_a"])
    if options["gif"] and not clip:
        raise UserError("--gif: is for clips; --input_a must be one")
    if options["metrics"] and clip:
        raise UserError("--metrics: is for pictures; --input_a must not be a clip")
    if options["metrics"] and not options["input_a"] and not options["input_b"]:
        raise UserError("--metrics: measures translated pictures; give --input_a and --input_b")
    if clip and options["samples"]:
        raise UserError("--samples: draws pictures from nothing; leave out the clip --input_a")
    if not clip and (not options["samples"] or options["input_a"] or options["input_b"]):
        _require(options, "input_a", "input_b")
    geometry = {name: options[name] for name in GEOMETRY_OPTIONS if options[name] is not None}
    return EvalConfig(
        **_fields(EvalConfig, options), seed=options["manualSeed"], geometry=geometry, options=_plain(options)
    )


def parse_refine(arguments: Sequence[str] | None = None) -> RefineConfig:
    """Settings of a refinement from its command line; UserError on anything wrong with it."""
    options = _run_options(refine_parser(), arguments, REFINE_PRESETS)
    _require(options, "input", "reference", "out")
    if options["quantise"] and options["start_scale"] is None:
        raise UserError("--quantise: needs --start_scale, the scale that is trained again")
    architecture = Architecture(**_fields(Architecture, options), switch_res=0, domains=1, pad_once=True)
    return RefineConfig(
        **_fields(RefineConfig, options),
        seed=options["manualSeed"],
        architecture=architecture,
        optimiser=_pick(OptimiserSettings, options),
        schedule=_pick(Schedule, options),
        options=_plain(options),
    )


def _run_options(parser: Parser, arguments: Sequence[str] | None, presets: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Every option of a training run, from all its sources, with a seed."""
    explicit = parser.explicit(arguments)
    loaded = _loaded_options(parser, explicit["load"]) if explicit.get("load") else {}
    for name in sorted(FIXED & explicit.keys() & loaded.keys()):
        if explicit[name] != loaded[name]:
            raise UserError(
                f"--{name} {explicit[name]} contradicts {loaded[name]} of the run in --load {explicit['load']}; "
                "leave it out, or train anew into another --out"
            )
    preset = presets[explicit.get("preset", "paper")]
    clip = {**loaded, **explicit}.get("input_a")
    options = {**parser.defaults(), **(CLIP if clip and is_clip(clip) else {}), **preset, **loaded, **explicit}
    if options["out"] is None:
        options["out"] = options["load"]
    return _with_seed(options)


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
    return {f.name: options[f.name] for f in fields(kind) if f.name in options}


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
        before = {f.name: f.default for f in fields(Architecture)}  # of a run older than an option of its networks
        used = {name: value for name, value in (before | recorded).items() if name in known.keys() - PER_CALL}
        switches = {name: value for name, value in used.items() if isinstance(value, bool)}
        words = [
            f"{known[name].option_strings[0]}={value}"
            for name, value in used.items()
            if name not in switches and value is not None
        ]
        return parser.explicit(words) | switches
    except UserError as error:
        raise UserError(f"--load {path}: {error}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"--load {path}: damaged, or not of this program") from None
