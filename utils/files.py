"""Files written so that a crash leaves the old one or the new one, never half of one: JSON, and checkpoints."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from utils.errors import UserError

METADATA = "structural_analogy"  # a checkpoint's entry with the values


@contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Let an OSError name `path`: of itself it names a temporary file, or, on a full disk, none at all."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or 0, error.strerror or str(error), str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The name of a temporary file beside `path`, to be filled; flushed to the disk and renamed at the end.

    An error inside removes it and leaves what was at `path` as it was.
    """
    temporary = path.with_name(".structural-analogy-" + path.name)
    with errors_name(path):
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file whole."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, record: dict) -> None:
    """Write a record as readable JSON."""
    write_atomic(path, (json.dumps(record, indent=2) + "\n").encode())


def save_checkpoint(tensors: dict[str, Tensor], values: dict, path: Path) -> None:
    """Write tensors, and plain values (whatever JSON has) beside them, as safetensors: nothing in it can be code."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, safetensors.torch.save(tensors, {METADATA: json.dumps(values)}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Read a checkpoint on the CPU: its tensors and its values. UserError where there is none."""
    try:
        with safe_open(path, framework="pt") as file:
            values = json.loads(file.metadata()[METADATA])
        return safetensors.torch.load(path.read_bytes()), values  # not mapped: Windows replaces no file that is
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        raise UserError(f"--load {path}: damaged, missing, or not written by this program") from None
