"""One process at a time writes into a folder."""

import contextlib
import errno
import os
import socket
import sys
import time
from pathlib import Path

from utils.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME = ".structural-analogy.lock"  # no other program's
ATTEMPTS, PAUSE = 5, 0.05  # seconds; long enough for another process that only looks whether there is a lock
HELD = {errno.EAGAIN, errno.EACCES}


class FolderLock:
    """Context manager: makes a folder where it is missing, and keeps other processes from writing into it.

    It is the system's lock on a file in the folder, which ends with the process, however that ends. The file
    says whose lock it is and is removed at an orderly end; one that a crash leaves behind locks nothing. Where
    the system or the file system has no locks, a warning says so and the run goes on.

    Args:
        flag: the option the folder came from, for the error line.

    Raises:
        UserError: another process writes into the folder, or it cannot be written.
    """

    def __init__(self, folder: Path, flag: str) -> None:
        self.folder, self.flag = folder, flag
        self.handle: int | None = None

    def __enter__(self) -> "FolderLock":
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for _ in range(ATTEMPTS):
                if self._try():
                    return self
                time.sleep(PAUSE)
        except OSError as error:
            reason = "is not a folder" if isinstance(error, FileExistsError) else f"cannot be written: {error.strerror}"
            raise UserError(f"{self.flag} {self.folder}: {reason}") from None
        raise _in_use(self.folder, self.flag)

    def __exit__(self, *_: object) -> None:
        if self.handle is not None:
            (self.folder / NAME).unlink(missing_ok=True)  # before the lock ends, or it might be another's
            os.close(self.handle)
            self.handle = None

    def _try(self) -> bool:
        """Whether there is nothing to wait for any more."""
        path = self.folder / NAME
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        state = _lock(handle)
        # The file may have been removed by its owner between opening and locking it.
        if state == "ours" and path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            with contextlib.suppress(OSError):  # A full disk: the lock holds without the name.
                os.ftruncate(handle, 0)
                os.write(handle, f"{os.getpid()} {socket.gethostname()}\n".encode())
            self.handle = handle
            return True
        os.close(handle)
        if state == "none":
            path.unlink(missing_ok=True)
            print(
                f"warning: {self.flag} {self.folder}: no file locks there; make sure no other run writes into it",
                file=sys.stderr,
            )
        return state == "none"


def check_unlocked(folder: Path, flag: str) -> None:
    """UserError where another process writes into the folder; writes nothing."""
    try:
        handle = os.open(folder / NAME, os.O_RDONLY)
    except OSError:
        return
    try:
        if _lock(handle) == "theirs":
            raise _in_use(folder, flag)
    finally:
        os.close(handle)


def _lock(handle: int) -> str:
    """Try to lock an open file: "ours", "theirs", or "none" where there are no locks."""
    if fcntl is None:
        return "none"
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return "theirs" if error.errno in HELD else "none"
    return "ours"


def _in_use(folder: Path, flag: str) -> UserError:
    try:
        process, host = (folder / NAME).read_text(encoding="utf-8", errors="replace").split()
    except (OSError, ValueError):
        process, host = "unknown", socket.gethostname()
    where = "" if host == socket.gethostname() else f" on {host}"
    return UserError(
        f"{flag} {folder}: process {process}{where} is writing into it; wait for it, stop it, or choose another folder"
    )
