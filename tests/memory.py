"""How much memory a piece of work takes."""

import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path

import pytest


def peak_of(task: Callable[[], None]) -> int:
    """By how many bytes this process's memory grew at most during a task."""
    try:
        # What was freed goes back to the system first, or the task would use it again unseen.
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # The peak starts again from what is held now.
    except OSError:
        pytest.skip("the system does not tell the peak of a part")
    before = peak()
    task()
    return peak() - before


def peak() -> int:
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
