"""Writing files so that a crash leaves the old one or the new one, never half of one."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".structural-analogy-"  # how the names of files that are not whole yet begin


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError name `path`: of itself it names a temporary file, or, on a full disk, none at all."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or 0, error.strerror or str(error), str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The name of a temporary file beside `path`, to be filled; flushed to the disk and renamed at the end.

    An error inside removes it and leaves what was at `path` as it was.
    """
    temporary = path.with_name(TEMPORARY + path.name)
    with naming(path):
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to a temporary file beside `path`, flush it to the disk, then rename it."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, record: dict) -> None:
    """Write a record as readable JSON, atomically."""
    write_atomic(path, (json.dumps(record, indent=2) + "\n").encode())
