"""What a person can get wrong ends in one line, never in a traceback.

Scripts import this module first; it imports little itself, so that Ctrl-C hardly ever comes before it is there.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

# What PyTorch's allocators for the CPU say, on Linux and macOS and on Windows: a plain RuntimeError.
NO_CPU_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")
# What each script can do about too little memory: only options that it has.
SMALLER = {
    "train.py": "try --save_memory, a smaller --img_size or fewer channels (--max_nfc)",
    "eval.py": "try a smaller --out_size or --finish_size",
    "refine.py": "try a smaller --max_size or fewer channels (--max_nfc)",
    "finish.py": "try a smaller --finish_size",
}
ROOM = "; make room and start again (--load resumes training from the last save)"


class UserError(Exception):
    """Wrong usage or unusable input: the message names the flag or file and says what to do. Exit 2."""


class RunError(Exception):
    """A run that had to stop by itself; what it had computed is saved. Exit 1."""


@contextmanager
def one_line_errors(script: str = "") -> Iterator[None]:
    """Turn the errors a person can cause into `error: ...` on standard error and an exit status."""
    try:
        yield
    except UserError as error:
        _fail(error, status=2)
    except RunError as error:
        _fail(error, status=1)
    except BrokenPipeError:  # Whoever read the output is gone: end like any Unix tool.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        _fail(message + ROOM if error.errno in {errno.ENOSPC, errno.EDQUOT} else message, status=1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        root = Path(__file__).resolve().parent.parent
        if (root / package).is_dir() or (root / f"{package}.py").is_file():
            raise
        cure = f"{sys.executable} -m pip install -r {root / 'requirements.txt'}"
        _fail(f"the package {package} is missing; to install it: {cure}", status=1)
    except (MemoryError, RuntimeError) as error:
        if "deterministic implementation" in str(error):
            _fail(f"--deterministic: {str(error).partition('. ')[0]}; leave the option out", status=1)
        if not _is_out_of_memory(error):
            raise
        _fail("; ".join(filter(None, ["out of memory", SMALLER.get(script)])), status=1)
    except KeyboardInterrupt:
        _fail("interrupted", status=130)


def run_script(script: str, module: str) -> None:
    """Import a script as a module, since its imports, too, may fail or be interrupted; exit with its `main`."""
    with one_line_errors(script):
        sys.exit(import_module(module).main())


def _is_out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")  # not imported for this: it may be what is missing
    if isinstance(error, (MemoryError, getattr(torch, "OutOfMemoryError", MemoryError))):
        return True
    return type(error) is RuntimeError and any(words in str(error) for words in NO_CPU_MEMORY)


def _fail(message: object, status: int) -> None:
    print("error:", " ".join(line.strip() for line in str(message).splitlines()), file=sys.stderr)
    raise SystemExit(status)
