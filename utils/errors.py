"""What a person can get wrong ends in one line, never in a traceback.

Scripts import this module first; it imports little itself, so that Ctrl-C hardly ever comes before it is there.
"""

import errno
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from utils.output import outlive_readers

# What PyTorch's allocators for the CPU say, on Linux and macOS and on Windows: a plain RuntimeError.
NO_CPU_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")
# Packages whose modules are called otherwise.
DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image"}
FULL = {errno.ENOSPC, errno.EDQUOT}
ROOM = "; make room and start again (train.py goes on with --load from the last save)"


class UserError(Exception):
    """Wrong usage or unusable input: the message names the flag or file and says what to do. Exit 2."""


class RunError(Exception):
    """A run that had to stop by itself; what it had computed is saved. Exit 1."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors a person can cause into `error: ...` on standard error and an exit status."""
    outlive_readers()
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
    except ImportError as error:
        _fail(_cure(error), status=1)
    except (MemoryError, RuntimeError) as error:
        if "deterministic implementation" in str(error):
            _fail(f"--deterministic: {str(error).partition('. ')[0]}; leave the option out", status=1)
        if not _is_out_of_memory(error):
            raise
        _fail("out of memory; try a smaller --img_size or fewer channels (--max_nfc)", status=1)
    except KeyboardInterrupt:
        _fail("interrupted", status=130)


def run_script(name: str) -> None:
    """Import a script as a module, since its imports, too, may fail or be interrupted; exit with its `main`."""
    with one_line_errors():
        import warnings
        from importlib import import_module

        warnings.filterwarnings("ignore", "Failed to initialize NumPy")  # PyTorch's; one line says that it is missing
        sys.exit(import_module(name).main())


def _is_out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")  # not imported for this: it may be what is missing
    if isinstance(error, (MemoryError, getattr(torch, "OutOfMemoryError", MemoryError))):
        return True
    return type(error) is RuntimeError and any(words in str(error) for words in NO_CPU_MEMORY)


def _cure(error: ImportError) -> str:
    """What to do about a package that is missing or broken; raises the error where it is this program's own."""
    import re
    from pathlib import Path

    from utils.commands import install

    root = Path(__file__).resolve().parent.parent
    module = (error.name or "").partition(".")[0]
    if module and ((root / module).is_dir() or (root / f"{module}.py").is_file()):
        raise error
    package, required = DISTRIBUTIONS.get(module, module), root / "requirements.txt"
    if isinstance(error, ModuleNotFoundError):
        trouble = f"the package {package} is missing"
    else:
        trouble = f"the package {package} cannot be imported ({error})" if package else str(error)
    named = re.search(rf"^{re.escape(package)}\b", required.read_text(), re.MULTILINE)
    wanted = ["-r", str(required)] if named else [package]
    return f"{trouble}; to install it: {install(*wanted)}"


def _fail(message: object, status: int) -> None:
    # On one line; spaces stay, they may be a file's name.
    print("error:", " ".join(line.strip() for line in str(message).splitlines()), file=sys.stderr)
    raise SystemExit(status)
