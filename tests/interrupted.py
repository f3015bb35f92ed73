"""Runs stopped at a chosen step, and whether two runs came to the same."""

import itertools
import json
import signal
from collections.abc import Callable
from pathlib import Path

from folders import differing

from utils.errors import StopRequest


def same_results(one: Path, other: Path, scales: int = 3) -> None:
    """Every weight and picture equal; the log equal but for the seconds."""
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.suffix in {".safetensors", ".png"})
    assert names == sorted(p.relative_to(other) for p in other.rglob("*") if p.suffix in {".safetensors", ".png"})
    assert len([n for n in names if n.suffix == ".safetensors"]) == scales
    unlike = differing(one, other, names)
    assert not unlike, unlike
    logs = [[json.loads(line) for line in (p / "log.jsonl").read_text().splitlines()] for p in (one, other)]
    assert [r | {"seconds": 0} for r in logs[0]] == [r | {"seconds": 0} for r in logs[1]]


def stop_when(asked: Callable[[], bool], by: signal.Signals = signal.SIGINT) -> type[StopRequest]:
    """What stands in for StopRequest: a stop as soon as `asked`, as by Ctrl-C or another signal."""

    class StopWhen(StopRequest):
        def __call__(self) -> bool:
            if self.signal is None and asked():
                self.signal = by
            return super().__call__()

    return StopWhen


def stop_after(steps: int, by: signal.Signals = signal.SIGINT) -> type[StopRequest]:
    """A stop after a number of steps."""
    taken = itertools.count()
    return stop_when(lambda: next(taken) >= steps, by)
