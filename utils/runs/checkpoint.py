"""Checkpoints: weights and plain numbers, written atomically, read without running any code in them."""

import io
import math
import warnings
from pathlib import Path

import torch
from torch import nn

from utils.errors import UserError
from utils.files import write_atomic
from utils.runs.archive import check_archive


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message names the file."""


def save_checkpoint(content: dict, path: Path) -> None:
    """Write a (nested) dict of tensors, numbers and strings; a crash leaves the old file or the new one."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path, keys: dict[str, type | tuple[type, ...]]) -> dict:
    """Read a checkpoint on the CPU, weights only.

    Args:
        keys: every entry that must be there, with its type.

    Raises:
        CheckpointError: missing, damaged, holding anything but tensors and plain values, or lacking a key.
    """
    if not path.is_file():
        raise CheckpointError(f"--load {path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.load also warns about files it then refuses.
            declared = check_archive(path)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"--load {path}: {error.strerror or error}") from None
    except Exception:  # torch.load raises many kinds on damaged files, and on pickles with code in them.
        raise CheckpointError(f"--load {path}: damaged, or not a checkpoint of this program") from None
    if _storage_bytes(content) != declared:
        raise CheckpointError(f"--load {path}: its tensors declare other sizes than the file holds")
    if not isinstance(content, dict):
        raise CheckpointError(f"--load {path}: not a checkpoint of this program")
    for key, kind in keys.items():
        if not isinstance(content.get(key), kind) or isinstance(content[key], bool):
            raise CheckpointError(f"--load {path}: '{key}' is missing or of the wrong type")
        if isinstance(content[key], float) and not math.isfinite(content[key]):
            raise CheckpointError(f"--load {path}: '{key}' is {content[key]}")
    return content


def _storage_bytes(content: object) -> int:
    """Size of the storages of all tensors in nested dicts and lists; a storage shared by several counts once."""
    storages, waiting, seen = {}, [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            storages[storage.data_ptr() or id(storage)] = storage.nbytes()
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value
    return sum(storages.values())


def check_tensors(found: dict, like: dict[str, torch.Tensor], path: Path) -> None:
    """Raise CheckpointError unless `found` has exactly the entries of `like`, same shapes and types, finite."""
    if found.keys() != like.keys():
        difference = sorted(map(str, found.keys() ^ like.keys()))
        raise CheckpointError(f"--load {path}: unexpected or missing weights, such as {difference[0]}")
    for name, tensor in found.items():
        wanted = like[name]
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise CheckpointError(f"--load {path}: {name} is not a plain tensor")
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            raise CheckpointError(
                f"--load {path}: {name} is {tuple(tensor.shape)} {tensor.dtype}, "
                f"expected {tuple(wanted.shape)} {wanted.dtype}"
            )
        if not tensor.isfinite().all():
            raise CheckpointError(f"--load {path}: {name} holds NaN or infinite values")


def load_weights(network: nn.Module, weights: dict, path: Path) -> None:
    """Fill a network from a checked state dict; the network may be on any device."""
    check_tensors(weights, network.state_dict(), path)
    network.load_state_dict(weights)
