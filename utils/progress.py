"""What a run says to people while it goes on: a bar or plain lines, with the time left."""

import sys
from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm

LONG = 12 * 3600.0  # seconds left on a CPU from which on a warning is due
WARN_AFTER = 10.0  # seconds of steps it is to come from


class Bar(tqdm):
    """Context manager: how far work is and the time left, in a bar on a terminal, else in a line now and then.

    The time left comes from the pace of the last half minute or so.

    Args:
        total: of the work, in any unit.
        initial: how much of it is done already.
    """

    def __init__(self, total: float, initial: float = 0.0) -> None:
        self.detail: Callable[[], str] = str
        self.plain = plain = not sys.stderr.isatty()
        super().__init__(
            total=total,
            initial=initial,
            file=sys.stderr,
            dynamic_ncols=True,
            bar_format=f"{{desc}}: {{percentage:.0f}} %{'' if plain else ' |{bar}|'}, {{remaining}} left{{postfix}}",
            leave=not plain,
            miniters=0,
            mininterval=30 if plain else 1,  # seconds
            delay=5 if plain else 0,
            smoothing=0.5 if plain else 0.05,
        )

    def show(self, position: float, where: str, detail: Callable[[], str] = str) -> None:
        """Say how much is done, and what; `detail` is asked for more once a second at most."""
        self.desc, self.detail = where, detail
        self.update(position - self.n)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Called by tqdm when it is time to."""
        self.postfix = self.detail()
        if not self.plain:
            super().display(msg, pos)
        elif msg is None:
            print(self, file=sys.stderr)


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

    def after(self, scale: int, step: int, losses: dict[str, Tensor]) -> None:
        """After a step; reads the losses from the device once a second at most."""
        where = f"scale {scale} of 0-{len(self.costs) - 1} step {step}/{self.niter}"
        self.show(self._position(scale, step), where, lambda: summary(losses))
        if self.to_warn and (elapsed := self.format_dict["elapsed"]) > WARN_AFTER:
            self.to_warn = False
            if (left := elapsed * (self.total - self.n) / (self.n - self.initial)) > LONG:
                print(
                    f"\nwarning: about {duration(left)} left on this CPU; --preset quick learns a smaller image "
                    "in minutes and finishes it at full size",
                    file=sys.stderr,
                )


def summary(losses: dict[str, Tensor]) -> str:
    """The discriminators' and generators' losses, summed over their terms."""
    sides = {side: sum(v.item() for k, v in losses.items() if k.startswith(side)) for side in "DG"}
    return "loss " + " ".join(f"{side} {value:.3f}" for side, value in sides.items())


def duration(seconds: float) -> str:
    """Seconds for people: 45 s, 12 min, 3.5 h, 2.1 days."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.{int(unit == 'h')}f} {unit}"
    return f"{seconds / 86400:.1f} days"
