"""What a person can get wrong ends in one line, never in a traceback."""

import errno
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

FULL = {errno.ENOSPC, errno.EDQUOT}
ROOM = "; make room and start again (train.py goes on with --load from the last save)"


class UserError(Exception):
    """Wrong usage or unusable input: the message names the flag or file and says what to do. Exit 2."""


class RunError(Exception):
    """A run that had to stop by itself; what it had computed is saved. Exit 1."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors a person can cause into `error: ...` on standard error and an exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for paths that standard output cannot show
    try:
        yield
    except UserError as error:
        _fail(error, status=2)
    except RunError as error:
        _fail(error, status=1)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        _fail(message + ROOM if error.errno in FULL else message, status=1)
    except (MemoryError, RuntimeError) as error:  # PyTorch reports a full memory as a RuntimeError.
        if "deterministic implementation" in str(error):
            _fail(f"--deterministic: {str(error).partition('. ')[0]}; leave the option out", status=1)
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        _fail("out of memory; try a smaller --img_size or fewer channels (--max_nfc)", status=1)
    except KeyboardInterrupt:
        _fail("interrupted", status=130)


def _fail(message: object, status: int) -> None:
    print("error:", " ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(status)
