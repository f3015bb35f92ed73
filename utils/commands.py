"""The commands the program prints for people to paste, wherever their shell is."""

import os
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
    return python(ROOT / script, *words)


def install(*words: str) -> str:
    """A command line that installs packages for this Python."""
    return python("-m", "pip", "install", *words)


def python(*words: object) -> str:
    """A command line of this Python, for any folder; a Path becomes absolute."""
    arguments = [str(word.absolute() if isinstance(word, Path) else word) for word in words]
    return " ".join(_quoted(word) for word in [sys.executable, *arguments])


def _quoted(word: str) -> str:
    """A word for the shell, on one line, and in characters that survive being shown and copied."""
    if word.isprintable():
        return shlex.quote(word)
    # Line ends, tabs, and bytes that are no text: as $'...', which bash, zsh and ksh know.
    plain = set(range(32, 127)) - set(b"'\\")
    return "$'" + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in os.fsencode(word)) + "'"
