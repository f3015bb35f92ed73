"""How far work is and the time left, for people."""

import os
import sys

from tqdm import tqdm

LONG = 12 * 3600.0  # seconds left from which on a warning is due
WARN_AFTER = 10.0  # seconds of work it is to come from


class Bar(tqdm):
    """Context manager: how far work is and the time left, in a bar on a terminal, else in a line now and then.

    The lines come every half minute, or as many seconds as the environment variable PROGRESS_SECONDS says.

    The time left comes from the pace of the last half minute or so.

    Args:
        total: of the work, in any unit.
        initial: how much of it is done already.
        advice: said once, with the time left, if that is very long.
    """

    def __init__(self, total: float, initial: float = 0.0, advice: str = "") -> None:
        self.advice = advice
        self.plain = plain = not sys.stderr.isatty()
        every = float(os.environ.get("PROGRESS_SECONDS", "30")) if plain else 1.0
        super().__init__(
            total=total,
            initial=initial,
            file=sys.stderr,
            dynamic_ncols=True,
            bar_format=f"{{desc}}: {{percentage:.0f}} %{'' if plain else ' |{bar}|'}, {{remaining}} left{{postfix}}",
            leave=not plain,
            miniters=0,
            mininterval=every,
            delay=min(5, every - 1),
            smoothing=min(0.5, every / 20),
        )

    def show(self, position: float, where: str) -> None:
        """Say how much is done, and what."""
        self.desc = where
        self.update(position - self.n)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Called by tqdm when it is time to."""
        if not self.plain:
            super().display(msg, pos)
        elif msg is None:
            print(self, file=sys.stderr)
        elapsed, done = self.format_dict["elapsed"], self.n - self.initial
        if self.advice and elapsed > WARN_AFTER and done > 0:
            if (left := elapsed * (self.total - self.n) / done) > LONG:
                print(f"\nwarning: about {duration(left)} left; {self.advice}", file=sys.stderr)
            self.advice = ""


def duration(seconds: float) -> str:
    """Seconds for people: 45 s, 12 min, 3.5 h, 2.1 days."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.{int(unit == 'h')}f} {unit}"
    return f"{seconds / 86400:.1f} days"
