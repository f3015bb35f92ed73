"""What the page of runs has worked out before, kept in the run's folder, so that the page comes at once next time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from utils.files import write_atomic

Stamp = tuple[str, int, int]


def stamp(path: Path) -> Stamp:
    """Name, size in bytes and time of the last change in nanoseconds: what a file is known again by.

    Raises:
        OSError: no such file.
    """
    found = path.stat()
    return path.name, found.st_size, found.st_mtime_ns


class ReportCache:
    """Values by what they were made of; only those asked for are kept on.

    Args:
        path: of the cache's file; one that is missing, damaged or of other code counts as empty.
        code: names the code that makes the values.
    """

    def __init__(self, path: Path, code: str) -> None:
        self.path, self.code = path, code
        self.known = self._read()
        self.used: dict[str, Any] = {}

    def _read(self) -> dict[str, Any]:
        try:
            record = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(record, dict) or record.get("code") != self.code:
            return {}
        values = record.get("values")
        return values if isinstance(values, dict) else {}

    def get(self, key: tuple, make: Callable[[], Any], fits: Callable[[Any], bool]) -> Any:
        """The value kept under `key` if it `fits`, else a new one, which JSON must hold; what `make` raises passes."""
        text = json.dumps(key)
        value = self.known.get(text)
        if not fits(value):
            value = make()
        self.used[text] = value
        return value

    def save(self) -> None:
        """Write the file if anything in it has changed; OSError where that fails."""
        if self.used != self.known:
            write_atomic(self.path, json.dumps({"code": self.code, "values": self.used}).encode())
