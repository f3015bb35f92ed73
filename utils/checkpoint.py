"""Checkpoints: tensors and plain values in one safetensors file, written atomically; nothing in it can be code."""

import hashlib
import json
import math
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from utils.errors import UserError
from utils.files import write_atomic

METADATA = "structural_analogy"  # the entry with the values and the checksum


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message names the file."""


def save_checkpoint(tensors: dict[str, Tensor], values: dict, path: Path) -> None:
    """Write tensors, and plain values (whatever JSON has) beside them; a crash leaves the old file or the new one."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry: safetensors writes several in random order, and equal runs shall leave equal files.
    entry = json.dumps({"sha256": _checksum(tensors, values), "values": values})
    write_atomic(path, safetensors.torch.save(tensors, {METADATA: entry}))


def load_checkpoint(path: Path, keys: dict[str, type]) -> tuple[dict[str, Tensor], dict]:
    """Read a checkpoint on the CPU: its tensors and its values.

    Args:
        keys: every value that must be there, with its type.

    Raises:
        CheckpointError: missing, damaged, not of this program, or lacking a value.
    """
    if not path.is_file():
        raise CheckpointError(f"--load {path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except OSError as error:
        raise CheckpointError(f"--load {path}: {error.strerror or error}") from None
    except (SafetensorError, MemoryError, ValueError):
        raise CheckpointError(f"--load {path}: damaged, or not a checkpoint of this program") from None
    try:
        entry = json.loads(metadata[METADATA])
        checksum, values = entry["sha256"], dict(entry["values"])
        intact = checksum == _checksum(tensors, values)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"--load {path}: not a checkpoint of this program") from None
    if not intact:
        raise CheckpointError(f"--load {path}: damaged: its checksum differs")
    for key, kind in keys.items():
        if not isinstance(values.get(key), kind) or isinstance(values[key], bool):
            raise CheckpointError(f"--load {path}: '{key}' is missing or of the wrong type")
        if isinstance(values[key], float) and not math.isfinite(values[key]):
            raise CheckpointError(f"--load {path}: '{key}' is {values[key]}")
    return tensors, values


def _checksum(tensors: dict[str, Tensor], values: dict) -> str:
    """SHA-256 of the values as JSON, and of every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(json.dumps(values).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under longer names."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with `prefix`, under the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def check_tensors(found: dict[str, Tensor], like: dict[str, Tensor], path: Path) -> None:
    """Raise CheckpointError unless `found` has exactly the entries of `like`, same shapes and types, finite."""
    if found.keys() != like.keys():
        difference = sorted(found.keys() ^ like.keys())
        raise CheckpointError(f"--load {path}: unexpected or missing tensors, such as {difference[0]}")
    for name, tensor in found.items():
        wanted = like[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            raise CheckpointError(
                f"--load {path}: {name} is {tuple(tensor.shape)} {tensor.dtype}, "
                f"expected {tuple(wanted.shape)} {wanted.dtype}"
            )
        if not tensor.isfinite().all():
            raise CheckpointError(f"--load {path}: {name} holds NaN or infinite values")


def load_weights(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Fill a network from a state dict after checking that it fits; the network may be on any device."""
    check_tensors(weights, network.state_dict(), path)
    network.load_state_dict(weights)
