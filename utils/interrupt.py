"""Stopping between two steps on Ctrl-C or a cluster's SIGTERM, instead of in the middle of one."""

import signal
import sys
from types import FrameType


class Stopped(Exception):
    """A stop that was asked for came in the middle of a piece of work that is not gone on with, but done again."""


class StopRequest:
    """Context manager: the first SIGINT or SIGTERM is noted in `signal`, a second one interrupts at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return self.signal is not None

    def __enter__(self) -> "StopRequest":
        self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        print("\nstopping after this step; once more stops at once, without saving", file=sys.stderr)
