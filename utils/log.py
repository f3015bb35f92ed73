"""What a run says while it goes on: JSON lines for programs, a bar or plain lines for people."""

import json
import math
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from utils.errors import RunError
from utils.files import naming, write_atomic

SUM_DTYPE = torch.float32  # Apple GPUs have no float64


class LossSums:
    """Sums of loss terms over steps, kept on the device so that adding needs no host round trip."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Tensor | None = None
        self.names: list[str] = []

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add a step's scalars; where they are not the terms so far, as after a weight became 0, start anew."""
        if self.names != list(losses):
            self.names, self.total, self.count = list(losses), None, 0
        values = torch.stack(list(losses.values())).to(SUM_DTYPE)
        self.total = values if self.total is None else self.total + values
        self.count += 1

    def means(self) -> dict[str, float]:
        """Mean of every term since the last reset; waits for the device."""
        return {name: total / self.count for name, total in zip(self.names, self._totals(), strict=True)}

    def check_finite(self, scale: int, step: int) -> None:
        """Raise RunError naming scale, step and term where a sum is NaN or infinite."""
        for name, value in self.means().items():
            if not math.isfinite(value):
                raise RunError(
                    f"scale {scale}, step {step}: loss {name} became {value}; the last good checkpoint is kept; "
                    "try a lower --lr_g or --lr_d, a higher --lambda_grad, or another --seed"
                )

    def state_dict(self) -> dict:
        """Plain numbers, exact."""
        return {"count": self.count, "totals": dict(zip(self.names, self._totals(), strict=True))}

    def load_state_dict(self, state: dict, device: torch.device) -> None:
        """Go on from `state_dict()`; ValueError, KeyError, TypeError or AttributeError where it is none."""
        self.count, self.names = int(state["count"]), list(state["totals"])
        totals = [float(value) for value in state["totals"].values()]
        if self.count < bool(totals) or not all(map(math.isfinite, totals)):
            raise ValueError("no sums of finite losses")
        self.total = torch.tensor(totals, dtype=SUM_DTYPE, device=device) if totals else None

    def _totals(self) -> list[float]:
        return [] if self.total is None else self.total.tolist()


class RunLog:
    """`log.jsonl`: one JSON object per print interval."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: dict) -> None:
        with naming(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict]:
        """Every complete line; one a crash cut short, or that is not of this program, is left out."""
        if not self.path.is_file():
            return []
        records = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                records.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
        return [record for record in records if _is_record(record)]

    def steps_before(self, scale: int) -> int:
        """Steps of all coarser scales together."""
        return sum({r["scale"]: r["step"] for r in self.records() if r["scale"] < scale}.values())

    def forget_after(self, scale: int, step: int) -> None:
        """Drop what lies beyond the point a run is resumed from: it is about to be computed again."""
        kept = [r for r in self.records() if (r["scale"], r["step"]) <= (scale, step)]
        if self.path.is_file():
            write_atomic(self.path, "".join(json.dumps(r) + "\n" for r in kept).encode())


def positions(records: list[dict]) -> tuple[list[int], list[int]]:
    """The step of each record counted over all scales, and those at which a scale ends."""
    found: list[int] = []
    ends: list[int] = []
    before = 0
    for index, record in enumerate(records):
        found.append(before + record["step"])
        if index + 1 == len(records) or records[index + 1]["scale"] != record["scale"]:
            before = found[-1]
            ends.append(before)
    return found, ends


def _is_record(record: object) -> bool:
    """Whether it is a line of the log: the scale, the step, and numbers under names."""
    if not isinstance(record, dict) or not all(type(value) in {int, float} for value in record.values()):
        return False
    return type(record.get("scale")) is int and type(record.get("step")) is int


class Progress:
    """Scale, step, losses and the time left for the whole run: a bar on a terminal, else lines now and then.

    Args:
        costs: relative cost of one step of each scale; makes the time left right across scales.
        niter: steps per scale.
        done: (scale, step) the run starts from.
    """

    FIRST_LINE, LINE_EVERY, LOSSES_EVERY = 5.0, 30.0, 1.0  # seconds

    def __init__(self, costs: list[float], niter: int, done: tuple[int, int]) -> None:
        self.costs, self.niter = costs, niter
        self.total = niter * sum(costs)
        self.initial = self.position = self._position(*done)
        self.start = self.losses_shown = time.monotonic()
        self.next_line = self.start + self.FIRST_LINE
        self.bar = tqdm(
            total=self.total,
            initial=self.initial,
            disable=None,  # off where standard error is not a terminal
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed} < {remaining}{postfix}",
        )

    def _position(self, scale: int, step: int) -> float:
        return self.niter * sum(self.costs[:scale]) + min(step, self.niter) * self.costs[scale]

    def update(self, scale: int, step: int, losses: dict[str, Tensor]) -> None:
        """After a step; reads the losses from the device once a second at most."""
        self.position = self._position(scale, step)
        now = time.monotonic()
        where = f"scale {scale}/{len(self.costs) - 1} step {step}/{self.niter}"
        if not self.bar.disable:
            self.bar.set_description_str(where, refresh=False)
            if now - self.losses_shown > self.LOSSES_EVERY:
                self.losses_shown = now
                self.bar.set_postfix_str(summary(losses), refresh=False)
            self.bar.update(self.position - self.bar.n)
        elif now >= self.next_line:
            self.next_line = now + self.LINE_EVERY
            print(f"{where}, {summary(losses)}, about {duration(self.seconds_left())} left", file=sys.stderr)

    def seconds_left(self) -> float:
        """Estimate for the whole run, from the pace so far."""
        done = self.position - self.initial
        return (time.monotonic() - self.start) / done * (self.total - self.position) if done else math.inf

    def close(self) -> None:
        self.bar.close()


def summary(losses: dict[str, Tensor]) -> str:
    """The critics' and generators' losses, summed over their terms."""
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
