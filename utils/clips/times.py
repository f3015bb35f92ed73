"""When the frames of a clip are shown."""

import itertools
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median_low

# Of a folder of images, and of a film that names no times and no rate. Frames per second.
DEFAULT_RATE = Fraction(25)
# The start of a frame whose file names none.
UNKNOWN = -(1 << 63)
# How much finer than the film's clock the times are that had to be guessed.
FINER = 1000


@dataclass(frozen=True)
class Times:
    """When each frame of a clip starts, and when the last one ends.

    Attributes:
        ticks: the starts of the frames, the first 0, and the end: n + 1 numbers, each larger than the one before.
        clock: seconds a tick.
    """

    ticks: Sequence[int]
    clock: Fraction

    @classmethod
    def constant(cls, rate: Fraction, count: int) -> "Times":
        """`count` frames at `rate` per second."""
        return cls(range(count + 1), 1 / rate)

    def __len__(self) -> int:
        return len(self.ticks) - 1

    @property
    def rate(self) -> Fraction:
        """Frames per second, the mean over the clip."""
        return len(self) / self.seconds(len(self))

    def seconds(self, index: int) -> Fraction:
        """When frame `index` starts, from 0; of `len` itself: when the clip ends."""
        return self.ticks[index] * self.clock


def film_times(starts: Sequence[int], clock: Fraction, last: int = 0, rates: Sequence[Fraction] = ()) -> Times:
    """The times of a film, from those of its frames alone; what its header declares only fills gaps.

    A frame in the order of the film that names no time, or alone names one before or after its neighbours',
    is shown halfway between them (two: at the thirds, ...). Where time starts anew in mid-film, it goes on.
    The last frame lasts as long as `last` says if that is long beside the others (a title that stays), else
    as the median of the others. Where all times are those of a constant rate, to the tick, that rate is exact.

    Args:
        starts: of each frame in order, in ticks; UNKNOWN where the file names none.
        clock: seconds a tick.
        last: ticks the last frame lasts, as far as the file can be trusted; 0: not known.
        rates: frames per second as declared, most trusted first; may be wrong.
    """
    count = len(starts)
    rates = [rate for rate in rates if rate > 0]
    timed = any(start != UNKNOWN for start in starts)
    if count == 1 and timed and last > 0:
        # To the tick, what is declared is more exact.
        rates = [rate for rate in rates if abs(1 / rate - last * clock) <= clock]
    if count == 1 or not timed:
        return Times.constant(rates[0] if rates else 1 / (last * clock) if last > 0 else DEFAULT_RATE, count)
    if any(start == UNKNOWN for start in starts) or any(a >= b for a, b in itertools.pairwise(starts)):
        nominal = 1 / (rates[0] if rates else DEFAULT_RATE) / clock
        starts, clock, last = _mended(starts, nominal), clock / FINER, last * FINER
    ticks = array("q", (start - starts[0] for start in starts))
    typical = median_low(b - a for a, b in itertools.pairwise(ticks))
    ticks.append(ticks[-1] + (last if 2 * last >= 3 * typical else typical))
    if len({b - a for a, b in itertools.pairwise(ticks)}) == 1:
        return Times.constant(1 / (ticks[1] * clock), count)
    for rate in rates:
        if _is_constant(ticks, 1 / rate / clock):
            return Times.constant(rate, count)
    return Times(ticks, clock)


def _is_constant(ticks: Sequence[int], period: Fraction) -> bool:
    """Whether frames `period` ticks apart start at `ticks`, where these had to be rounded."""
    slack = 0 if period.denominator == 1 else 1
    starts = all(abs(tick - index * period) <= slack for index, tick in enumerate(ticks[:-1]))
    return starts and abs(ticks[-1] - (len(ticks) - 1) * period) <= period / 2


def _mended(starts: Sequence[int], nominal: Fraction) -> array:
    """Times that only grow, FINER times finer: what is missing or out of order guessed."""
    gaps = [b - a for a, b in itertools.pairwise(starts) if UNKNOWN not in (a, b) and b > a]
    step = median_low(gaps) if gaps else max(1, round(nominal))
    known: list[tuple[int, int]] = []  # (frame, its time)
    offset = 0
    for index, start in enumerate(starts):
        if start == UNKNOWN:
            continue
        time = start + offset
        if known:
            before = known[-1][1]
            following = [later + offset for later in starts[index + 1 : index + 3] if later != UNKNOWN]
            if time <= before and following and following[0] > before:
                continue  # alone too early
            if time > before and len(following) == 2 and all(before < later <= time for later in following):
                continue  # alone too late
            if time <= before:
                expected = before + step * (index - known[-1][0])
                offset += expected - time
                time = expected
        known.append((index, time))
    # Frames before the first and after the last of these follow one another as is usual.
    (first, start), (last, end) = known[0], known[-1]
    known = [(0, start - step * first), *known, (len(starts), end + step * (len(starts) - last))]
    mended = array("q")
    for (index, time), (following, later) in itertools.pairwise(known):
        for frame in range(index, following):
            mended.append(FINER * time + FINER * (later - time) * (frame - index) // (following - index))
    return mended
