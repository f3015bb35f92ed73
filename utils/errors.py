"""How a script starts, with as many threads as it may run, and ends: what a person can get wrong in one line, never in
a traceback; a stop between two steps.

Scripts import this module first; it imports little itself, so that Ctrl-C hardly ever comes before it is there.
"""

import errno
import gc
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
CGROUP = Path("/sys/fs/cgroup")
NO_MEMORY = "out of memory; smaller sizes need less (--help lists them), and so does --save_memory of train.py"
ROOM = "; free some space and start again (--load resumes training from the last save)"
# Schedulers send SIGUSR1 some time before they kill a job; Windows has neither it nor SIGHUP.
NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")


class UserError(Exception):
    """Wrong usage or unusable input: the message names the flag or file and says what to do. Exit 2."""


class RunError(Exception):
    """A run that had to stop by itself; what it had computed is saved. Exit 1."""


class Stopped(Exception):
    """A stop was asked for; what to say of it, and the exit status."""


def command(*words: object) -> str:
    """A command line of this Python that runs from any folder: a Path among `words` becomes absolute."""
    paths = (os.path.abspath(word) if isinstance(word, Path) else str(word) for word in words)
    return (subprocess.list2cmdline if os.name == "nt" else shlex.join)([sys.executable, *paths])


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors a person can cause into `error: ...` on standard error and an exit status; a stop likewise."""
    try:
        yield
    except UserError as error:
        _fail(error, status=2)
    except RunError as error:
        _fail(error)
    except Stopped as stopped:
        message, status = stopped.args
        print(message, file=sys.stderr)
        raise SystemExit(status) from None
    except KeyboardInterrupt:
        _fail("interrupted", status=130)
    except BrokenPipeError:
        os._exit(1)  # Whoever read the output is gone; flushing what is left of it would fail, too.
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        _fail(message + ROOM if error.errno in {errno.ENOSPC, errno.EDQUOT} else message)
    except ModuleNotFoundError as error:
        needed = "requirements-app.txt" if error.name == "gradio" else "requirements.txt"
        cure = command("-m", "pip", "install", "-r", ROOT / needed)
        _fail(f"the package {error.name} is missing; to install it: {cure}")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error) or "DefaultCPUAllocator" in str(error):
            _fail(NO_MEMORY)
        raise


def run_script(module: str) -> None:
    """Import a script as a module, since its imports, too, may fail or be interrupted; exit with its `main`."""
    with one_line_errors():
        obey_quota()
        sys.stdout.reconfigure(errors="backslashreplace")  # of a name that it cannot show
        gc.disable()  # or Python would look for garbage among PyTorch's objects again and again: half a second
        main = import_module(module).main
        gc.enable()
        status = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done
        gc.freeze()  # and once more before it ends
        sys.exit(status)


def obey_quota() -> None:
    """Let OpenMP start as many threads as a container may run at a time: it would count the machine's processors.

    To be called before PyTorch is imported. OMP_NUM_THREADS wins, if it is set.
    """
    for names in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):  # of cgroup versions 2 and 1
        with suppress(OSError, ValueError):  # no such file, or no number in it: no quota
            quota, period = map(int, " ".join((CGROUP / name).read_text() for name in names).split())
            if 0 < quota < period * os.cpu_count():
                os.environ.setdefault("OMP_NUM_THREADS", str(max(1, quota // period)))


def _fail(message: object, status: int = 1) -> None:
    print("error:", " ".join(line.strip() for line in str(message).splitlines()), file=sys.stderr)
    raise SystemExit(status)


class StopRequest:
    """Context manager: the first signal that ends a run is noted in `signal`; a Ctrl-C after it interrupts at once.

    Other signals may follow, as schedulers send SIGTERM after SIGUSR1: they change nothing. What is ignored stays so,
    such as SIGHUP under nohup.

    Args:
        message: what to say of a stop: what is there then, and how to resume.
    """

    def __init__(self, message: str = "stopped") -> None:
        self.message = message
        self.signal: int | None = None

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return self.signal is not None

    def check(self) -> None:
        """Raise Stopped if a stop was asked for."""
        if self():
            raise Stopped(self.message, 128 + (self.signal or 0))  # the status of a process that a signal ended

    def __enter__(self) -> "StopRequest":
        numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
        self._previous = {n: signal.signal(n, self._note) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
            print("\nstopping after this step; Ctrl-C again stops at once, without saving", file=sys.stderr)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
