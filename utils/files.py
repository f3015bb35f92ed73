"""Writing files so that a crash leaves the old one or the new one, never half of one."""

import json
import os
import tempfile
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
    with naming(path), _temporary_for(path) as temporary:
        yield temporary


@contextmanager
def _temporary_for(path: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        # mkstemp makes a private file; give it the mode an ordinary open() would have.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to a temporary file beside `path`, flush it to the disk, then rename it."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, record: dict) -> None:
    """Write a record as readable JSON, atomically."""
    write_atomic(path, (json.dumps(record, indent=2) + "\n").encode())


def _sync_folder(folder: Path) -> None:
    # The rename itself must reach the disk; Windows cannot open a folder for that.
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
