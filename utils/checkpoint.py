"""Checkpoints: tensors and plain values in one safetensors file, written atomically; nothing in it can be code."""

import json
import math
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from utils.errors import UserError
from utils.files import write_atomic

METADATA = "structural_analogy"  # the entry with the values


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message names the file."""


def save_checkpoint(tensors: dict[str, Tensor], values: dict, path: Path) -> None:
    """Write tensors, and plain values (whatever JSON has) beside them; a crash leaves the old file or the new one."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, safetensors.torch.save(tensors, {METADATA: json.dumps(values)}))


def load_checkpoint(path: Path, keys: dict[str, type]) -> tuple[dict[str, Tensor], dict]:
    """Read a checkpoint on the CPU: its tensors and its values.

    Args:
        keys: every value that must be there, with its type.

    Raises:
        CheckpointError: missing, damaged, not of this program, or lacking a value.
    """
    try:
        with safe_open(path, framework="pt") as file:
            values = json.loads(file.metadata()[METADATA])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"--load {path}: damaged or missing, or not of this program") from None
    for key, kind in keys.items():
        if type(values.get(key)) is not kind or (kind is float and not math.isfinite(values[key])):
            raise CheckpointError(f"--load {path}: '{key}' is {values.get(key)!r}")
    return tensors, values


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under longer names."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with `prefix`, under the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def check_tensors(found: dict[str, Tensor], like: dict[str, Tensor], path: Path) -> None:
    """Raise CheckpointError unless `found` has exactly the entries of `like`, with the same shapes, and finite."""
    for name in sorted(found.keys() | like.keys()):
        if name not in found or name not in like or found[name].shape != like[name].shape:
            raise CheckpointError(f"--load {path}: {name} is not as in this run")
        if not found[name].isfinite().all():
            raise CheckpointError(f"--load {path}: {name} holds NaN or infinite values")
