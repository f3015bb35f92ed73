"""What a person can get wrong ends in one line, never in a traceback.

Scripts import this module first; it imports little itself, so that Ctrl-C hardly ever comes before it is there.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from utils.commands import ROOT, command

NO_MEMORY = "out of memory; smaller sizes need less (--help lists them), and so does --save_memory of train.py"
ROOM = "; make room and start again (--load resumes training from the last save)"


class UserError(Exception):
    """Wrong usage or unusable input: the message names the flag or file and says what to do. Exit 2."""


class RunError(Exception):
    """A run that had to stop by itself; what it had computed is saved. Exit 1."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors a person can cause into `error: ...` on standard error and an exit status."""
    try:
        yield
    except UserError as error:
        _fail(error, status=2)
    except RunError as error:
        _fail(error)
    except KeyboardInterrupt:
        _fail("interrupted", status=130)
    except BrokenPipeError:  # Whoever read the output is gone: end like any Unix tool.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        _fail(message + ROOM if error.errno in {errno.ENOSPC, errno.EDQUOT} else message)
    except ModuleNotFoundError as error:
        cure = command("-m", "pip", "install", "-r", ROOT / "requirements.txt")
        _fail(f"the package {error.name} is missing; to install it: {cure}")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error) or "DefaultCPUAllocator" in str(error):
            _fail(NO_MEMORY)
        if "deterministic implementation" in str(error):
            _fail(f"--deterministic: {str(error).partition('. ')[0]}; leave the option out")
        raise


def run_script(module: str) -> None:
    """Import a script as a module, since its imports, too, may fail or be interrupted; exit with its `main`."""
    with one_line_errors():
        sys.exit(import_module(module).main())


def _fail(message: object, status: int = 1) -> None:
    print("error:", " ".join(line.strip() for line in str(message).splitlines()), file=sys.stderr)
    raise SystemExit(status)
