"""When frames are shown, worked out by hand: the frames' own times are the truth, headers only fill gaps."""

from fractions import Fraction

import pytest

from utils.clips.times import UNKNOWN, Times, film_times

MS = Fraction(1, 1000)


def shown(times: Times) -> list[float]:
    """Starts and end in milliseconds, to the hundredth."""
    return [round(float(1000 * times.seconds(index)), 2) for index in range(len(times) + 1)]


@pytest.mark.parametrize("declared", [(), (Fraction(25),), (Fraction(1000),), (Fraction(0), Fraction(1, 7))])
def test_what_a_header_declares_changes_nothing(declared):
    # Five a second for 2 s, then thirty a second for 1 s.
    starts = [200 * i for i in range(10)] + [2000 + round(100 * i / 3) for i in range(30)]
    times = film_times(starts, MS, rates=declared)
    assert shown(times) == [*starts, 3001]
    assert times.rate == Fraction(40_000, 3001)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(30), Fraction(60)])
@pytest.mark.parametrize("first", [0, 7003])
def test_a_constant_rate_is_exact_where_the_clock_rounds(rate, first):
    starts = [first + round(1000 * index / rate) for index in range(500)]
    assert film_times(starts, MS, rates=(rate,)) == Times.constant(rate, 500)
    # One frame missing is no constant rate any more.
    assert film_times([*starts[:9], *starts[10:]], MS, rates=(rate,)).seconds(9) == Fraction(starts[10] - first, 1000)


def test_even_times_have_a_constant_rate_whatever_is_declared():
    assert film_times([5, 105, 205], MS, rates=(Fraction(25),)) == Times.constant(Fraction(10), 3)


@pytest.mark.parametrize(
    ("starts", "last", "end"),
    [
        ([0, 33, 5000], 0, 5033),  # as the shorter of the others
        ([0, 40, 80], 0, 120),
        ([0, 1000, 3000], 5000, 8000),  # a title that stays
        ([0, 40, 80], 1, 120),  # cut off with the sound
        ([0, 40, 80], 2000, 2080),
    ],
)
def test_how_long_the_last_frame_lasts(starts, last, end):
    assert shown(film_times(starts, MS, last)) == [*starts, end]


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ([0, 40, None, 120], [0, 40, 80, 120, 160]),
        ([None, None, 90, 130], [0, 40, 80, 120, 160]),
        ([0, 40, None, None], [0, 40, 80, 120, 160]),
        ([0, 100, None, 140, 240], [0, 100, 120, 140, 240, 260]),  # halfway; the others keep theirs
        ([0, 40, 30, 120], [0, 40, 80, 120, 160]),  # one alone too early
        ([0, 40, 9000, 120, 160], [0, 40, 80, 120, 160, 200]),  # one alone too late
        ([0, 40, 40, 80, 80, 120], [0, 40, 60, 80, 100, 120, 140]),  # each time twice
        ([900, 940, 980, 0, 40, 140], [0, 40, 80, 120, 160, 260, 300]),  # time starts anew
        ([0, 0, 0, 0], [0, 40, 80, 120, 160]),  # no time at all
        ([0, -10, -20, -30], [0, 40, 80, 120, 160]),
    ],
)
def test_times_that_are_missing_or_out_of_order(starts, expected):
    times = film_times([UNKNOWN if start is None else start for start in starts], MS, rates=(Fraction(25),))
    assert shown(times) == expected


@pytest.mark.parametrize(
    ("starts", "last", "rates", "rate"),
    [
        ([UNKNOWN] * 3, 0, (Fraction(15),), Fraction(15)),
        ([UNKNOWN] * 3, 0, (), Fraction(25)),
        ([7], 0, (Fraction(12),), Fraction(12)),
        ([7], 500, (Fraction(12),), Fraction(2)),
        ([7], 0, (), Fraction(25)),
    ],
)
def test_no_times_and_a_single_frame(starts, last, rates, rate):
    assert film_times(starts, MS, last, rates) == Times.constant(rate, len(starts))
