"""The commands the program prints for people to paste, wherever their shell is."""

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def command(script: str, *words: object) -> str:
    """A command line of one of the program's scripts that runs from any folder.

    Args:
        script: its path below the program's folder.
        words: its arguments; a Path becomes absolute.
    """
    arguments = [str(word.absolute() if isinstance(word, Path) else word) for word in words]
    return shlex.join([sys.executable, str(ROOT / script), *arguments])
