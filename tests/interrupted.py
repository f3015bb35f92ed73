"""Runs stopped at a chosen step, and whether two runs came to the same."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

from utils.errors import StopRequest


def same_results(one: Path, other: Path, scales: int = 3) -> None:
    """Every weight and picture equal; the log equal but for the seconds."""
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.suffix in {".safetensors", ".png"})
    assert names == sorted(p.relative_to(other) for p in other.rglob("*") if p.suffix in {".safetensors", ".png"})
    assert len([n for n in names if n.suffix == ".safetensors"]) == scales
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    logs = [[json.loads(line) for line in (p / "log.jsonl").read_text().splitlines()] for p in (one, other)]
    assert [r | {"seconds": 0} for r in logs[0]] == [r | {"seconds": 0} for r in logs[1]]


class StopAfter(StopRequest):
    """Ask for a stop after a number of steps, as a Ctrl-C, or another signal, would."""

    def __init__(self, message: str, steps: int, by: signal.Signals) -> None:
        super().__init__(message)
        self.left, self.by = steps, by

    def __call__(self) -> bool:
        self.left -= 1
        if self.left < 0:
            self.signal = self.by
        return super().__call__()


def stop_after(steps: int, by: signal.Signals = signal.SIGINT) -> Callable[[str], StopAfter]:
    """What stands in for StopRequest."""
    return lambda message: StopAfter(message, steps, by)
