"""What stands in a folder, to see that a refused command left it as it was."""

import shutil
from pathlib import Path


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
