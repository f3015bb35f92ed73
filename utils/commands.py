"""The commands the program prints for people to paste, wherever their shell is."""

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def command(script: str, *words: object) -> str:
    """A command line of one of the scripts that runs from any folder; a Path among `words` becomes absolute."""
    return python(ROOT / script, *words)


def install(*packages: str) -> str:
    """A command line that installs packages for this Python."""
    return python("-m", "pip", "install", *packages)


def python(*words: object) -> str:
    """A command line of this Python."""
    return shlex.join([sys.executable, *(str(word.absolute() if isinstance(word, Path) else word) for word in words)])
