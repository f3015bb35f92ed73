"""What a run says to people while it goes on: a bar or plain lines, with the time left."""

import math
import sys
import time
from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm

LONG = 12 * 3600.0  # seconds left on a CPU from which on a warning is due
WARN_AFTER = 10.0  # seconds of steps it is to come from


class Bar:
    """Context manager: how far work is and the time left, in a bar on a terminal, else in lines now and then.

    Args:
        total: of the work, in any unit.
        initial: how much of it is done already.
    """

    FIRST_LINE, LINE_EVERY, DETAIL_EVERY, WINDOW = 5.0, 30.0, 1.0, 30.0  # seconds

    def __init__(self, total: float, initial: float = 0.0) -> None:
        self.total, self.position = total, initial
        self.start = self.detail_shown = time.monotonic()
        self.next_line = self.start + self.FIRST_LINE
        self.recent = deque([(self.start, initial)])
        self.bar = tqdm(
            total=total,
            initial=initial,
            disable=None,  # off where standard error is not a terminal
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}",
        )

    def show(self, position: float, where: str, detail: Callable[[], str] = str) -> None:
        """Say how much is done, and what; `detail` is asked for more once a second at most."""
        now, self.position = time.monotonic(), position
        if now - self.recent[-1][0] > self.WINDOW / 30 or len(self.recent) < 2:
            self.recent.append((now, position))
            while now - self.recent[0][0] > self.WINDOW and len(self.recent) > 2:
                self.recent.popleft()
        if not self.bar.disable:
            self.bar.set_description_str(where, refresh=False)
            if now - self.detail_shown > self.DETAIL_EVERY:
                self.detail_shown = now
                words = [detail(), f"about {duration(self.seconds_left())} left"]
                self.bar.set_postfix_str(", ".join(filter(None, words)), refresh=False)
            self.bar.update(position - self.bar.n)
        elif now >= self.next_line:
            self.next_line = now + self.LINE_EVERY
            words = [where, detail(), f"about {duration(self.seconds_left())} left"]
            print(", ".join(filter(None, words)), file=sys.stderr)

    def seconds_left(self) -> float:
        """Estimate for all that is left, from the pace of the last half minute."""
        since, done = self.recent[0]
        done = self.position - done
        return (time.monotonic() - since) / done * (self.total - self.position) if done else math.inf

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()


class Progress(Bar):
    """Scale, step, losses and the time left of a training.

    Args:
        costs: relative cost of one step of each scale; makes the time left right across scales.
        niter: steps per scale.
        done: (scale, step) the run starts from.
        device: a CPU on which the run would take very long is worth a warning.
    """

    def __init__(self, costs: list[float], niter: int, done: tuple[int, int], device: torch.device) -> None:
        self.costs, self.niter = costs, niter
        self.to_warn = device.type == "cpu"
        super().__init__(niter * sum(costs), self._position(*done))

    def _position(self, scale: int, step: int) -> float:
        return self.niter * sum(self.costs[:scale]) + min(step, self.niter) * self.costs[scale]

    def update(self, scale: int, step: int, losses: dict[str, Tensor]) -> None:
        """After a step; reads the losses from the device once a second at most."""
        where = f"scale {scale} of 0-{len(self.costs) - 1} step {step}/{self.niter}"
        self.show(self._position(scale, step), where, lambda: summary(losses))
        if self.to_warn and time.monotonic() - self.start > WARN_AFTER:
            self.to_warn = False
            if (left := self.seconds_left()) > LONG:
                print(
                    f"\nwarning: about {duration(left)} left on this CPU; --preset quick gives a smaller learned image "
                    "in minutes, and finishes it large",
                    file=sys.stderr,
                )


def summary(losses: dict[str, Tensor]) -> str:
    """The discriminators' and generators' losses, summed over their terms."""
    sides = {side: sum(v.item() for k, v in losses.items() if k.startswith(side)) for side in "DG"}
    return "loss " + " ".join(f"{side} {value:.3f}" for side, value in sides.items())


def duration(seconds: float) -> str:
    """Seconds for people: 45 s, 12 min, 3.5 h, 2.1 days."""
    if not math.isfinite(seconds):
        return "an unknown time"
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.{int(unit == 'h')}f} {unit}"
    return f"{seconds / 86400:.1f} days"
