"""Loss curves as points in a box of 100 x 100, for drawing them as SVG at any size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from utils.log import positions

BOX = 100.0
# More points than a panel has pixels only make the page larger.
MOST_POINTS, MOST_CURVES, MOST_DIVIDERS = 150, 40, 50
LARGEST = 1e30  # Beyond it a loss has diverged, and would leave nothing to see of the others.


@dataclass(frozen=True)
class Panel:
    """Curves that share their axes.

    Args:
        curves: name and "x,y x,y ..." of each, x to the right and y downwards, 0 to 100.
        dividers: x of the ends of the scales, but for the last.
        low, high: loss at the bottom and at the top.
        steps: at the right end, over all scales.
    """

    curves: list[tuple[str, str]]
    dividers: list[float]
    low: float
    high: float
    steps: int


def term_panel(records: list[dict], side: str) -> Panel | None:
    """Every loss term of the discriminators (side "D") or the generators ("G"), by the names in the log."""
    names = sorted({key for record in records for key in record if key.startswith(side + "/")})[:MOST_CURVES]
    curves = {name[2:]: [_number(record.get(name)) for record in records] for name in names}
    return _panel(records, curves)


def sum_panel(records: list[dict]) -> Panel | None:
    """The sums over the discriminators' and over the generators' terms."""
    sums: dict[str, list[float]] = {}
    for side, name in (("D", "discriminators"), ("G", "generators")):
        terms = [[_number(value) for key, value in record.items() if key.startswith(side + "/")] for record in records]
        sums[name] = [sum(values) if values else math.nan for values in terms]
    return _panel(records, sums)


def _number(value: object) -> float:
    value = float(value) if isinstance(value, int | float) else math.nan
    return value if abs(value) < LARGEST else math.nan


def _panel(records: list[dict], curves: dict[str, list[float]]) -> Panel | None:
    """Put curves over the records' steps into one box; None where there is nothing to draw."""
    at, ends = positions(records)
    curves = {name: _thinned(values) for name, values in curves.items()}
    finite = [value for values in curves.values() for value in values if math.isfinite(value)]
    if not finite or at[-1] < 1:
        return None
    drawn_at = _thinned(at)
    low, high = min(finite), max(finite)
    height = (high - low) or 1.0
    drawn = []
    for name, values in curves.items():
        points = [(x, y) for x, y in zip(drawn_at, values, strict=True) if math.isfinite(y)]
        drawn.append((name, " ".join(_point(x / at[-1], (y - low) / height) for x, y in points)))
    dividers = [BOX * end / at[-1] for end in ends[:-1]] if len(ends) <= MOST_DIVIDERS else []
    return Panel(drawn, dividers, low, high, at[-1])


def _thinned(values: Sequence[float]) -> list[float]:
    """At most MOST_POINTS values: each the mean of as many neighbours, of those that are numbers."""
    group = math.ceil(len(values) / MOST_POINTS)
    groups = ([v for v in values[i : i + group] if math.isfinite(v)] for i in range(0, len(values), group or 1))
    return [fmean(numbers) if numbers else math.nan for numbers in groups]


def _point(x: float, y: float) -> str:
    """From shares of the box, y upwards."""
    return f"{BOX * x:.1f},{BOX * (1 - y):.1f}"
