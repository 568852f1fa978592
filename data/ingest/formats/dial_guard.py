"""Reads of a dial that a file gives as the energy of intervals: seen in the values of each register.

Here: every row of a file of any format, in one pass and some 200 bytes for each register. Not here: dials
that a file or a mapping declares (`nem13`, `dsmr`, `mapped_dials`): of them the differences come here.

Energy of intervals goes down about as often as up, and comes back within a day. A dial never goes down, for a
night and a day and longer, and shows much more than one step adds; a counter of the day goes down at midnight
alone, to zero. Counters that begin again every few hours are in `counters`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import to_mask
from data.ingest.formats.counters import HOUR_US, CounterGuard, Steps, Totals
from data.ingest.formats.wallclock import DAY_US, US
from data.ingest.schema import ONE_DIRECTION_CHANNELS, Series

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_CHANNELS = (*ONE_DIRECTION_CHANNELS, "reactive_import", "reactive_export")
# Without any fall fewer steps decide: a dial of whole kWh moves a few times in a day.
MIN_ROWS, MIN_RISES = 12, 4
# A register may become a dial, or a dial be exchanged, within a file: so many steps rise by chance in 2^-24.
MIN_RISES_OF_RUN = 24
# What a dial shows in steps. Energy of intervals that changes by less than 2 % a step goes down again.
MIN_SIZE_IN_STEPS = 50
# Values that move by about one step each time may be numbers that somebody counted: only what is much larger
# is a dial.
MIN_SIZE_OF_EQUAL, EQUAL_SPREAD, MOVING = 5000, 0.2, 0.9
# What rises by more at once was something else before.
MOST_OF_JUMP = 2
# A new dial is small: no energy rises for three days.
MIN_RISES_OF_NEW, NEW_US = 60, 3 * DAY_US
# A counter of the day or of some hours: falls to a tenth or less, each after so many rises of different size.
MIN_RESETS, RISES_OF_RESET, RESET_SHARE, MOST_FALLS, MIN_SPREAD = 3, 4, 0.1, 0.95, 0.05
# One day of a counter decides if its steps differ as use and sun do, not as numbers that somebody counted.
SPREADS_OF_USE = (0.2, 3.0)
# What a dial shows that stands still: the same number of so many digits, so many times.
MIN_SAME, DIGITS_OF_SAME = 24, 6

# A dial that turns back when the sun shines: small moves on a large number, that go on in one direction.
MIN_MOVES, MOST_MOVE, MOST_RANGE, MOST_TURNS = 48, 0.005, 0.05, 0.2

_OF_RUN = ("rows", "rises", "squares", "largest", "start", "start_us", "line")
_FIELDS = (
    *("line", "last", "last_us", "falls", "resets", "rises", "rise_sum", "rise_squares", "rise_largest"),
    *("first_us", "most", "most_inverse", "moves", "largest_move", "turns", "sign"),
    *(f"run_{name}" for name in _OF_RUN),
)


@dataclass(frozen=True)
class DialFinding:
    """A register whose values are reads of a dial: where they begin, and how that is seen."""

    line: int
    reason: str


class DialGuard:
    """Follows the values of each register, batch by batch; `find` returns the dials."""

    def __init__(self) -> None:
        self._places: dict[Series, int] = {}
        self._state = {name: np.zeros(0) for name in _FIELDS}
        self._found: dict[int, DialFinding] = {}
        self._counters = CounterGuard()

    def add(self, readings: pa.Table, series: Sequence[Series], codes: Ints, start_us: Ints) -> None:
        """Add readings (schema `PARSED`); `codes` has the place of each row in `series`."""
        counts = to_mask(pc.is_in(readings["channel"], pa.array(_CHANNELS)))
        values = pc.fill_null(readings["value"].cast(pa.float64()), 0).to_numpy()
        # Zero stands for a missing read too, and says nothing of a dial.
        rows = np.flatnonzero(counts & (values > 0))
        if not len(rows):
            return
        places = np.array([self._places.setdefault(one, len(self._places)) for one in series])
        self._grow(len(self._places))
        at, start_us = places[codes[rows]], start_us[rows]
        steps = np.diff(at)
        if (steps < 0).any() or ((steps == 0) & (np.diff(start_us) < 0)).any():
            order = np.lexsort((start_us, at))
            rows, at, start_us = rows[order], at[order], start_us[order]
        end_us = start_us + readings["interval_seconds"].to_numpy()[rows].astype(np.int64) * US
        self._follow(at, values[rows], start_us, end_us, readings["line"].to_numpy()[rows])

    def find(self) -> dict[Series, DialFinding]:
        """Return the registers that hold reads of a dial."""
        state = self._state
        mean = state["rise_sum"] / np.maximum(state["rises"], 1)
        spread = state["rise_squares"] / np.maximum(state["rises"], 1) - mean**2
        is_counter = (
            (state["falls"] > 0)
            & (state["resets"] >= MOST_FALLS * state["falls"])
            & (
                (state["falls"] >= MIN_RESETS)
                & (state["rises"] >= RISES_OF_RESET * state["falls"])
                & (spread > (MIN_SPREAD * mean) ** 2)
                | (state["rises"] >= MIN_RISES_OF_RUN * state["falls"])
                & _is_of_use(state["rises"], state["rise_sum"], state["rise_squares"], state["rise_largest"])
            )
        )
        for place in np.flatnonzero(is_counter):
            reason = "the values rise for hours and begin again at zero, as those of a counter do"
            self._found.setdefault(int(place), DialFinding(int(state["line"][place]), reason))
        periods = self._counters.find()
        for place in np.flatnonzero(periods):
            reason = (
                f"the values begin again after {periods[place] / HOUR_US:g} hours, as those of a counter do"
            )
            self._found.setdefault(int(place), DialFinding(int(state["line"][place]), reason))
        never_fell = np.flatnonzero((state["falls"] == 0) & (state["run_rows"] >= MIN_ROWS))
        whole = _Runs(never_fell, *(state[f"run_{name}"][never_fell] for name in _OF_RUN))
        self._judge(whole, state["last"][never_fell], state["last_us"][never_fell], is_whole=True)
        self._judge_still(whole, state["last"][never_fell], state["last_us"][never_fell])
        for place in np.flatnonzero(self._find_turning()):
            least, most = 1 / state["most_inverse"][place], state["most"][place]
            reason = (
                f"the values go up and down by little between {least:.10g} and {most:.10g}, as of a dial "
                "that turns back"
            )
            self._found.setdefault(int(place), DialFinding(int(state["line"][place]), reason))
        meters = {identifier for (identifier, _), place in self._places.items() if place in self._found}
        for one, at in self._places.items():
            # A dial that stands still, beside the other dials of its meter.
            if one[0] in meters and state["falls"][at] == 0 and state["run_rows"][at] >= MIN_ROWS:
                reason = "the values never fall, beside reads of a dial of the same meter"
                self._found.setdefault(at, DialFinding(int(state["line"][at]), reason))
        return {one: self._found[place] for one, place in self._places.items() if place in self._found}

    def _find_turning(self) -> npt.NDArray[np.bool_]:
        """Find the registers of dials that turn back: energy moves by more, or turns with each step."""
        state = self._state
        least = 1 / np.maximum(state["most_inverse"], 1e-300)
        return np.asarray(
            (state["falls"] > 0)
            & (state["moves"] >= MIN_MOVES)
            & (state["last_us"] - state["first_us"] >= DAY_US)
            & (state["largest_move"] <= MOST_MOVE * least)
            & (state["most"] - least <= MOST_RANGE * least)
            & (state["turns"] <= MOST_TURNS * state["moves"])
        )

    def _follow_moves(self, at: Ints, values: Floats, steps: Floats) -> None:
        """Follow the least and the largest value of each register, and how often its moves turn."""
        state = self._state
        totals = Totals(at)
        totals.raise_to(state["most"], values)
        totals.raise_to(state["most_inverse"], 1 / values)
        totals.raise_to(state["largest_move"], np.abs(steps))
        moved = np.flatnonzero(steps)
        at, sign = at[moved], np.sign(steps[moved])
        is_new = np.append(True, at[1:] != at[:-1])[: len(at)]
        before = np.where(is_new, state["sign"][at], np.append(0.0, sign[:-1])[: len(at)])
        totals = Totals(at)
        totals.add(state["moves"], np.ones(len(at)))
        totals.add(state["turns"], before * sign < 0)
        is_last = np.append(at[1:] != at[:-1], True)[: len(at)]
        state["sign"][at[is_last]] = sign[is_last]

    def _grow(self, count: int) -> None:
        missing = count - len(self._state["last"])
        if missing > 0:
            spare = missing + count // 2
            self._state = {name: np.append(column, np.zeros(spare)) for name, column in self._state.items()}
            self._counters.grow(len(self._state["last"]))

    def _follow(self, at: Ints, values: Floats, start_us: Ints, end_us: Ints, lines: Ints) -> None:
        """Follow rows by register and time; runs without a fall continue those of earlier batches."""
        state = self._state
        is_new = np.append(True, at[1:] != at[:-1])
        # No value is zero, so zero means that there was none.
        before = np.where(is_new, state["last"][at], np.append(0.0, values[:-1]))
        before_us = np.where(is_new, state["last_us"][at], np.append(0.0, end_us[:-1]))
        self._counters.follow(Steps(at, values, start_us, end_us, before, before_us))
        is_first = before == 0
        steps = np.where(is_first, 0.0, values - before)
        falls, rises = steps < 0, steps > 0
        state["line"][at[is_first]] = lines[is_first]
        state["first_us"][at[is_first]] = start_us[is_first]
        self._follow_moves(at, values, steps)
        counted: dict[str, npt.NDArray[Any]] = {
            "falls": falls,
            "resets": falls & (values <= RESET_SHARE * before),
            "rises": rises,
            "rise_sum": np.where(rises, steps, 0),
            "rise_squares": np.where(rises, steps, 0) ** 2,
        }
        totals = Totals(at)
        for name, amounts in counted.items():
            totals.add(state[name], amounts)
        totals.raise_to(state["rise_largest"], counted["rise_sum"])
        breaks = falls | is_first | (values > MOST_OF_JUMP * before)
        begins = np.flatnonzero(is_new | breaks)
        run = _Runs(
            at[begins],
            np.diff(np.append(begins, len(at))).astype(np.float64),
            np.add.reduceat((rises & ~breaks).astype(np.float64), begins),
            np.add.reduceat(np.where(rises & ~breaks, steps, 0) ** 2, begins),
            np.maximum.reduceat(np.where(rises & ~breaks, steps, 0), begins),
            values[begins],
            start_us[begins].astype(np.float64),
            lines[begins].astype(np.float64),
        )
        run.join(~breaks[begins], state)
        ends = np.append(begins[1:], len(at)) - 1
        self._judge(run, values[ends], end_us[ends].astype(np.float64), is_whole=False)
        is_last = np.append(run.at[1:] != run.at[:-1], True)
        run.keep(is_last, state)
        state["last"][run.at[is_last]] = values[ends[is_last]]
        state["last_us"][run.at[is_last]] = end_us[ends[is_last]]

    def _judge(self, run: "_Runs", last: Floats, end_us: Floats, *, is_whole: bool) -> None:
        """Find the dials among runs, or among registers whose values never fell."""
        span = end_us - run.start_us
        rise = last - run.start
        mean = rise / np.maximum(run.rises, 1)
        spread = run.squares / np.maximum(run.rises, 1) - mean**2
        is_equal = spread <= (EQUAL_SPREAD * mean) ** 2
        is_equal &= run.rises >= MOVING * (run.rows - 1)
        size = np.where(is_equal, MIN_SIZE_OF_EQUAL, MIN_SIZE_IN_STEPS)
        min_rises = MIN_RISES if is_whole else MIN_RISES_OF_RUN
        is_dial = (run.start >= size * mean) & (run.rises >= min_rises) & (span >= DAY_US)
        is_new = (run.rises >= MIN_RISES_OF_NEW) & (span >= NEW_US) & ~is_equal
        if is_whole:
            is_of_use = _is_of_use(run.rises, rise, run.squares, run.largest)
            is_new |= (run.rises >= MIN_RISES_OF_RUN) & (span >= DAY_US) & is_of_use
        for place in np.flatnonzero(is_dial | is_new):
            reason = f"the values never fall, from {run.start[place]:.10g} to {last[place]:.10g}"
            self._found.setdefault(int(run.at[place]), DialFinding(int(run.line[place]), reason))

    def _judge_still(self, run: "_Runs", last: Floats, end_us: Floats) -> None:
        """Find the dials that stand still: measured energy of so many digits differs from time to time."""
        is_still = (run.rises == 0) & (run.rows >= MIN_SAME) & (end_us - run.start_us >= DAY_US)
        for place in np.flatnonzero(is_still):
            shown = f"{last[place]:.15g}"
            if len(shown.replace(".", "").strip("0")) >= DIGITS_OF_SAME:
                reason = f"every value is {shown}, as of a dial that stands still"
                self._found.setdefault(int(run.at[place]), DialFinding(int(run.line[place]), reason))


def _is_of_use(count: Floats, total: Floats, squares: Floats, largest: Floats) -> npt.NDArray[np.bool_]:
    """Whether steps differ as those of use or sun do, but for the largest one: it may be a wrong number."""
    others = np.maximum(count - 1, 1)
    mean = (total - largest) / others
    spread = (squares - largest**2) / others - mean**2
    low, high = SPREADS_OF_USE
    return np.asarray((spread > (low * mean) ** 2) & (spread < (high * mean) ** 2))


@dataclass
class _Runs:
    """Values of one register without a fall: one entry for each run."""

    at: Ints
    rows: Floats
    rises: Floats
    squares: Floats
    largest: Floats
    start: Floats
    start_us: Floats
    line: Floats

    def join(self, goes_on: npt.NDArray[np.bool_], state: Mapping[str, Floats]) -> None:
        """Add what earlier batches have of the runs that go on."""
        at = self.at[goes_on]
        for name in ("rows", "rises", "squares"):
            getattr(self, name)[goes_on] += state[f"run_{name}"][at]
        self.largest[goes_on] = np.maximum(self.largest[goes_on], state["run_largest"][at])
        for name in ("start", "start_us", "line"):
            getattr(self, name)[goes_on] = state[f"run_{name}"][at]

    def keep(self, is_last: npt.NDArray[np.bool_], state: Mapping[str, Floats]) -> None:
        """Keep the last run of each register for the next batch."""
        for name in _OF_RUN:
            state[f"run_{name}"][self.at[is_last]] = getattr(self, name)[is_last]
