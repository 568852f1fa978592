"""Counters that begin again every few hours, in the values of each register: the energy since the last reset.

Here: whether all falls of a register are whole periods apart. Not here: counters that begin again at almost
nothing, and dials (`dial_guard`).

Energy falls at any hour. A counter falls at its resets alone, and what it shows behind one is as large as
what it adds from row to row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.ingest.formats.wallclock import DAY_US, US

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HOUR_US = 3600 * US
WEEK_US = 7 * DAY_US
# Counters begin again at full hours, at midnight or with the week.
PERIODS_US = (*(hours * HOUR_US for hours in (1, 2, 3, 4, 6, 8, 12)), DAY_US, WEEK_US)
# Rows of one direction: so many are no chance. Where each second row falls, use may do so for some hours.
MIN_FALLS, MIN_RISES, MIN_FALLS_OF_PAIRS = 3, 16, 24
# Two falls are enough behind so many rises each.
MANY_RISES = 16
# A change of the clocks, or a missing row, moves a fall.
MOST_FALLS, MANY_FALLS = 0.95, 10
# What a counter shows after its reset, in steps from row to row. Steps differ, unlike those of row numbers.
LEAST_FIRST, MOST_FIRST, MIN_SPREAD = 0.25, 4.0, 0.05
# What chance may do: one of 400,000 registers. Use that changes slowly has few falls too.
MIN_BITS, MOST_BITS_OF_FEW = 18.5, 14.0
# Longer rows are too few in a day: use falls each night.
MAX_LENGTH_US = 3 * HOUR_US

_FIELDS = (
    *("falls", "rises", "first_sum", "rise_sum", "rise_squares", "length_us", "fall_us", "spans"),
    "last_length_us",
    *(f"spans_of_{period}" for period in PERIODS_US),
)


class Totals:
    """Adds amounts of rows to the totals of their places; rows of one place stand beside each other.

    The time depends on the rows alone: a batch has few of the registers of a large file.
    """

    def __init__(self, at: Ints) -> None:
        self._begins = np.flatnonzero(np.append(True, at[1:] != at[:-1])[: len(at)])
        self._places = at[self._begins]

    def add(self, total: Floats, amounts: npt.NDArray[np.generic]) -> None:
        """Add the amount of each row."""
        if len(self._begins):
            total[self._places] += np.add.reduceat(amounts, self._begins, dtype=np.float64)

    def raise_to(self, most: Floats, amounts: Floats) -> None:
        """Keep the largest amount of each place."""
        if len(self._begins):
            largest = np.maximum.reduceat(amounts, self._begins)
            most[self._places] = np.maximum(most[self._places], largest)


@dataclass(frozen=True)
class Steps:
    """Rows by register and time: the place of the register, the value and its interval, and those before it.

    No value is zero: a zero before means that there was none.
    """

    at: Ints
    values: Floats
    start_us: Ints
    end_us: Ints
    before: Floats
    before_us: Floats


class CounterGuard:
    """Follows the falls of each register, batch by batch; `find` returns the periods of the counters."""

    def __init__(self) -> None:
        self._state = {name: np.zeros(0) for name in _FIELDS}

    def grow(self, count: int) -> None:
        """Make room for so many registers."""
        missing = count - len(self._state["falls"])
        if missing > 0:
            self._state = {name: np.append(column, np.zeros(missing)) for name, column in self._state.items()}

    def follow(self, rows: Steps) -> None:
        """Follow the next rows."""
        state, at, values = self._state, rows.at, rows.values
        gap_us, length_us = rows.start_us - rows.before_us, rows.end_us - rows.start_us
        is_new = np.append(True, at[1:] != at[:-1])
        last_length_us = np.where(is_new, state["last_length_us"][at], np.append(0, length_us[:-1]))
        # One row may be missing, or be zero at a reset. What fills a gap is no fall to the next row.
        is_close = (rows.before > 0) & (gap_us >= 0) & (gap_us <= length_us) & (last_length_us == length_us)
        falls = is_close & (values < rows.before)
        steps = np.where(is_close, np.maximum(values - rows.before, 0), 0)
        counted = {
            "falls": falls,
            "rises": steps > 0,
            "first_sum": np.where(falls, values, 0),
            "rise_sum": steps,
            "rise_squares": steps**2,
        }
        totals = Totals(at)
        for name, amounts in counted.items():
            totals.add(state[name], amounts)
        totals.raise_to(state["length_us"], length_us.astype(np.float64))
        is_last = np.append(at[1:] != at[:-1], True)
        state["last_length_us"][at[is_last]] = length_us[is_last]
        self._measure_spans(at[falls], rows.before_us[falls])

    def _measure_spans(self, of: Ints, fell_us: Floats) -> None:
        """Count the spans between the falls of a register, and those that are whole periods."""
        state = self._state
        if not len(of):
            return
        is_new = np.append(True, of[1:] != of[:-1])
        last_us = np.where(is_new, state["fall_us"][of], np.append(0.0, fell_us[:-1]))
        has_one = last_us > 0
        spans, places = (fell_us - last_us)[has_one], of[has_one]
        Totals(places).add(state["spans"], np.ones(len(places)))
        # Division is slow, and each period is of whole hours: of energy few spans are.
        is_whole = spans % HOUR_US == 0
        spans, places = spans[is_whole], places[is_whole]
        totals = Totals(places)
        for period in PERIODS_US:
            totals.add(state[f"spans_of_{period}"], spans % period == 0)
        is_last = np.append(of[1:] != of[:-1], True)
        state["fall_us"][of[is_last]] = fell_us[is_last]

    def find(self) -> Floats:
        """Return the longest period after which each register begins again, zero for one that does not."""
        state = self._state
        falls, rises, spans, length = (state[name] for name in ("falls", "rises", "spans", "length_us"))
        first = state["first_sum"] / np.maximum(falls, 1)
        rise = state["rise_sum"] / np.maximum(rises, 1)
        spread = state["rise_squares"] / np.maximum(rises, 1) - rise**2
        is_counter = (
            (rises >= MIN_RISES)
            & ((falls >= MIN_FALLS) | ((falls >= 2) & (rises >= MANY_RISES * falls)))
            & ((rises >= 2 * falls) | ((falls >= MIN_FALLS_OF_PAIRS) & (rises >= MOST_FALLS * falls)))
            & (first >= LEAST_FIRST * rise)
            & (first <= MOST_FIRST * rise)
            & (spread > (MIN_SPREAD * rise) ** 2)
        )
        few = _count_bits_of_few(falls, rises)
        found = np.zeros(len(falls))
        for period in PERIODS_US:
            others = spans - state[f"spans_of_{period}"]
            is_regular = others <= np.where(spans >= MANY_FALLS, np.maximum((1 - MOST_FALLS) * spans, 1), 0)
            is_regular &= (period >= 2 * length) & ((length <= MAX_LENGTH_US) | (period == WEEK_US))
            # So many bits say that the falls lie on the period by chance, and that there are so few of them.
            of_spans = state[f"spans_of_{period}"] * np.log2(period / np.maximum(length, 1))
            found[is_counter & is_regular & (of_spans + few >= MIN_BITS)] = period
        return found


def _count_bits_of_few(falls: Floats, rises: Floats) -> Floats:
    """Return how unlikely so few falls are if each value may be in any order, as -log2 of a bound.

    The number of falls among values in random order has the mean (n - 1) / 2 and the variance (n + 1) / 12.
    """
    count = falls + rises + 1
    apart = np.maximum((count - 1) / 2 - falls, 0)
    return np.asarray(np.minimum(apart**2 / ((count + 1) / 12) / 2 / np.log(2), MOST_BITS_OF_FEW))


@dataclass(frozen=True)
class Counter:
    """After how many hours a counter begins again, and whether the row with that time is its last one.

    `is_end` is None if it begins again at other times than full periods of the day.
    """

    hours: int
    is_end: bool | None


def find_counter(numbers: Floats, micros: Sequence[int]) -> Counter | None:
    """Return the counter that the numbers of one register are, None for energy; `micros` are local times."""
    known = ~np.isnan(numbers) & (np.nan_to_num(numbers) > 0)
    times, values = np.array(micros, dtype=np.int64)[known], numbers[known]
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    if len(times) < MIN_RISES:
        return None
    steps = np.diff(times)
    length = int(np.median(steps))
    guard = CounterGuard()
    guard.grow(1)
    ends = times + length
    before, before_us = np.append(0.0, values[:-1]), np.append(0.0, ends[:-1].astype(np.float64))
    guard.follow(Steps(np.zeros(len(times), dtype=np.int64), values, times, ends, before, before_us))
    period = int(guard.find()[0])
    if not period:
        return None
    fell = times[1:][np.diff(values) < 0] % period
    sides = {0: False, length % period: True}
    share = {side: float(np.mean(fell == at)) for at, side in sides.items()}
    side = max(share, key=share.__getitem__)
    return Counter(period // HOUR_US, side if share[side] > MOST_FALLS / 2 else None)
