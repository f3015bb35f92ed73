"""Stopping between two steps on Ctrl-C, a scheduler's signal or a closed terminal, instead of in the middle of one."""

import signal
import sys
from types import FrameType

# Schedulers send SIGUSR1 some time before they kill a job; Windows has neither it nor SIGHUP.
NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")


class Stopped(Exception):
    """A stop was asked for; what to say of it, and the exit status."""


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
