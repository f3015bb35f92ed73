"""Checkpoints: tensors and plain values in one safetensors file, written atomically; nothing in it can be code."""

import json
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from utils.errors import UserError
from utils.files import write_atomic

METADATA = "structural_analogy"  # the entry with the values


def save_checkpoint(tensors: dict[str, Tensor], values: dict, path: Path) -> None:
    """Write tensors, and plain values (whatever JSON has) beside them; a crash leaves the old file or the new one."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, safetensors.torch.save(tensors, {METADATA: json.dumps(values)}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Read a checkpoint on the CPU: its tensors and its values. UserError where there is none."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
            return tensors, json.loads(file.metadata()[METADATA])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        raise UserError(f"--load {path}: damaged, missing, or not written by this program") from None


def check_tensors(found: dict[str, Tensor], like: dict[str, Tensor], path: Path) -> None:
    """Raise UserError unless `found` has exactly the entries of `like`, with the same shapes, and finite."""
    for name in sorted(found.keys() | like.keys()):
        if name not in found or name not in like or found[name].shape != like[name].shape:
            raise UserError(f"--load {path}: {name} does not fit this run")
        if not found[name].isfinite().all():
            raise UserError(f"--load {path}: {name} holds NaN or infinite values")
