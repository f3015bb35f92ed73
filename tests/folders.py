"""What stands in a folder, to see that a command left it as it was, or two runs ended alike."""

import shutil
from pathlib import Path

import torch


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
    for path in sorted(run.glob("scale_*.pt")):
        for name, tensor in torch.load(path, weights_only=True)["networks"].items():
            found[f"{path.name} {name}"] = tensor
    return found
