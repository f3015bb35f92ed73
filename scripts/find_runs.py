"""The training runs below a folder."""

import os
import re
from pathlib import Path

from utils.run_folder import RunFolder


def find_runs(folder: Path) -> list[Path]:
    """Every folder that holds files of a training run or bears the name of a sweep's log; nothing that the other
    scripts filled."""
    found = []
    for path, folders, files in os.walk(folder):
        top = Path(path)
        # The walk itself does not follow links: they may lead anywhere, or in circles.
        links = [top / name for name in folders if (top / name).is_symlink()]
        for run in map(RunFolder, [top, *links]):
            if run.own_files():
                if run.filled_by() in {"train.py", None}:
                    found.append(run.path)
                if run.path == top:
                    folders.clear()
                    break
        else:
            logs = [top / file.removesuffix(".log") for file in files if file.endswith(".log") and file != ".log"]
            found += [run for run in logs if not os.path.lexists(run) and _is_log_of_a_sweep(run)]
    return sorted(found, key=lambda path: [_natural(part) for part in path.parts])


def _is_log_of_a_sweep(run: Path) -> bool:
    """Whether the log beside a run begins with the command, as scripts/sweep.sh writes it."""
    try:
        with run.with_name(run.name + ".log").open("rb") as log:
            return log.read(2) == b"$ "
    except OSError:
        return False


def _natural(text: str) -> list:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]
