"""Stopping between two steps on Ctrl-C, a cluster's SIGTERM or a closed terminal, instead of in the middle of one."""

import signal
import sys
from types import FrameType

HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none


class Stopped(Exception):
    """A stop that was asked for came in the middle of a piece of work that is not gone on with, but done again."""


class StopRequest:
    """Context manager: the first signal that ends a run is noted in `signal`, a second one interrupts at once.

    They are SIGINT, SIGTERM, and SIGHUP where it is not ignored, as under nohup. A closed terminal may send several
    SIGHUP: further ones change nothing.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return self.signal is not None

    def __enter__(self) -> "StopRequest":
        numbers = [signal.SIGINT, signal.SIGTERM]
        if HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:
            numbers.append(HANGUP)
        self._previous = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            if number == HANGUP:
                return
            raise KeyboardInterrupt
        self.signal = number
        print("\nstopping after this step; once more stops at once, without saving", file=sys.stderr)
