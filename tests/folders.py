"""What stands in a folder: what a command left there, or that a refused one left it as it was."""

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file

from utils.files import load_checkpoint, save_checkpoint


def contents(folder: Path) -> dict[str, object]:
    """Every entry below a folder: the bytes of files, the target of links, the kind of anything else."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = "folder" if path.is_dir() else "special"
    return found


def copy_run(run: Path, target: Path) -> Path:
    """A copy of a run that a test may damage."""
    shutil.copytree(run, target)
    return target


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Every weight of the finished scales."""
    found = {}
    for path in sorted(run.glob("scale_*.safetensors")):
        for name, tensor in load_file(path).items():
            found[f"{path.name} {name}"] = tensor
    return found


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor], dict], object]) -> None:
    """Save a checkpoint again with its tensors and values changed: a whole file, its checksum right."""
    tensors, values = load_checkpoint(path)
    change(tensors, values)
    save_checkpoint(tensors, values, path)


def names(folder) -> set[str]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def eval_files(scales) -> set[str]:
    """What an evaluation leaves that injects at `scales`."""
    files = {"config.json", "results.png", "real_a.png", "real_b.png", "direct_a2b.png", "direct_b2a.png"}
    return files | {f"inject_{k:02d}_{name}.png" for k in scales for name in ("redrawn_a", "a2b", "redrawn_b", "b2a")}


def size(path) -> tuple[int, int]:
    """(width, height) of a picture."""
    with Image.open(path) as picture:
        return picture.size
