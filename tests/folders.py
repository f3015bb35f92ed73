"""What stands in a folder: what a command left there, or that a refused one left it as it was."""

import shutil
from pathlib import Path

from PIL import Image


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
    return shutil.copytree(run, target)


def weights(run: Path) -> dict[str, bytes]:
    """The files of the finished scales."""
    return {path.name: path.read_bytes() for path in run.glob("scale_*.safetensors")}


def names(folder) -> set[str]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def differing(one: Path, other: Path, files) -> set[str]:
    """Those of some files that are not the same in both folders."""
    return {name for name in files if (one / name).read_bytes() != (other / name).read_bytes()}


def eval_files(scales) -> set[str]:
    """What an evaluation leaves that injects at `scales`."""
    files = {"config.json", "results.png", "real_a.png", "real_b.png", "direct_a2b.png", "direct_b2a.png"}
    return files | {f"inject_{k:02d}_{name}.png" for k in scales for name in ("redrawn_a", "a2b", "redrawn_b", "b2a")}


def size(path) -> tuple[int, int]:
    """(width, height) of a picture."""
    with Image.open(path) as picture:
        return picture.size
