"""The commands the program prints for people to paste, wherever their shell is."""

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def command(*words: object) -> str:
    """A command line of this Python that runs from any folder: a Path among `words` becomes absolute."""
    return shlex.join([sys.executable, *(str(word.absolute() if isinstance(word, Path) else word) for word in words)])
