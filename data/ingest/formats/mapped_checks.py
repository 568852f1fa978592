"""Whether the content of a table contradicts its mapping, seen in all of its rows, block by block.

Here: rows that are totals, intervals of another length, and values under the dates of another block. Each
would give a wrong total without any wrong row. Not here: rows that contradict each other (`parts`), registers
that count the same thing (`sum_guard`, `dial_guard`), or the header (`mapped_layout`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import Mask, parse_decimals, to_mask
from data.ingest.formats.container import refuse
from data.ingest.formats.mapped_dates import Dates
from data.ingest.formats.mapped_layout import Layout
from data.ingest.formats.mapped_numbers import GroupedTexts, write_plain_texts
from data.ingest.formats.mapped_table import RowTable
from data.ingest.formats.mapped_times import RowTimes, TimeColumns
from data.ingest.formats.sum_guard import MIN_ROWS, MIN_RUN, Floats, varies
from data.ingest.formats.wallclock import DAY_US, US, Ints

# The plain numbers of each column of values.
Numbers = Mapping[str | int, pa.Array]

MAX_ROWS = 5000
SAMPLE_ROWS = 1000
# So many days of a file do not lie a month apart by chance.
MIN_DATES = 4
# So many rows that repeat a time are compared with sums, of so many series.
MAX_TOTALS, MAX_SERIES = 200, 50
# A total of many rows may be printed with fewer decimals.
_ROUNDING = 1e-5
_ONE_SIGN = 0.5
# A share of the rows: so many have the same rhythm, or dates of another block.
_SHARE = 0.5
# No meter has intervals of before 1990.
_FIRST_INSTANT_US = 7305 * DAY_US
# Values that are all so many days apart are no energy of a day, or of a part of one.
MIN_TOTALS, LONG_DAYS = 3, 6
# So many values alone, so much larger than all others, are no intervals of the same length.
MIN_LONE, LONE_SIZE = 2, 2


@dataclass
class _TimedRows:
    """Rows with their lines, series, starts and numbers."""

    lines: Ints
    series: pa.Array
    start_us: Ints
    numbers: Numbers

    def join(self, below: "_TimedRows") -> "_TimedRows":
        """Return these rows and those below them."""
        return _TimedRows(
            np.append(self.lines, below.lines),
            pa.concat_arrays([self.series, below.series]),
            np.append(self.start_us, below.start_us),
            {name: pa.concat_arrays([self.numbers[name], own]) for name, own in below.numbers.items()},
        )

    def slice_end(self, count: int) -> "_TimedRows":
        """Return the last rows."""
        numbers = {name: column[-count:] for name, column in self.numbers.items()}
        return _TimedRows(self.lines[-count:], self.series[-count:], self.start_us[-count:], numbers)


class _Sums:
    """The values of each series so far: their sum, how many are above zero, the first one and its line."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._state = {name: np.zeros(0) for name in ("total", "size", "moved", "first", "line")}

    def add(self, names: Sequence[str], codes: Ints, numbers: Floats, lines: Ints) -> int | None:
        """Add rows of the series `names[codes]`; return the line of one that is the sum of those above it."""
        state = self._grow(names)
        order = np.argsort(codes, kind="stable")
        places = np.array([self._places[name] for name in names], dtype=np.int64)
        at, numbers, lines = places[codes[order]], numbers[order], lines[order]
        if not len(at):
            return None
        begins = np.flatnonzero(np.append(True, at[1:] != at[:-1]))
        sizes = np.diff(np.append(begins, len(at)))

        def sum_above(name: str, amounts: Floats) -> Floats:
            before = np.cumsum(amounts) - amounts
            above = before - np.repeat(before[begins], sizes) + state[name][at]
            state[name] += np.bincount(at, weights=amounts, minlength=len(state[name]))
            return np.asarray(above, dtype=np.float64)

        new = begins[state["line"][at[begins]] == 0]
        state["first"][at[new]], state["line"][at[new]] = numbers[new], lines[new]
        above, moved = sum_above("total", numbers), sum_above("moved", (numbers > 0).astype(np.float64))
        # Values of both signs add up to anything.
        has_one_sign = above >= _ONE_SIGN * sum_above("size", np.abs(numbers))
        is_sum = (
            (np.abs(numbers - above) <= _ROUNDING * above) & (moved >= MIN_RUN) & (above > 0) & has_one_sign
        )
        return int(lines[is_sum].min()) if is_sum.any() else None

    def find_first(self) -> int | None:
        """Return the line of a series whose first value is the sum of all others."""
        state = self._state
        others = state["total"] - state["first"]
        is_sum = (state["moved"] > MIN_RUN) & (np.abs(state["first"] - others) <= _ROUNDING * others)
        is_sum &= state["total"] >= _ONE_SIGN * state["size"]
        return int(state["line"][is_sum].min()) if is_sum.any() else None

    def _grow(self, names: Sequence[str]) -> dict[str, Floats]:
        for name in names:
            self._places.setdefault(name, len(self._places))
        missing = len(self._places) - len(self._state["total"])
        if missing > 0:
            spare = np.zeros(missing + len(self._places) // 2)
            self._state = {name: np.append(column, spare) for name, column in self._state.items()}
        return self._state


class Checks:
    """Follows the blocks of one text; each method raises `RefusedFile` where the mapping is contradicted."""

    def __init__(self, path: Path, layout: Layout, times: TimeColumns) -> None:
        self._path = path
        self._layout = layout
        self._times = times
        self._dates = Dates(path, layout, times)
        mapping = layout.mapping
        is_declared = mapping.thousands is not None or mapping.decimals is not None
        self._grouped = {
            place: GroupedTexts(mapping.decimal) for place in layout.list_values() if not is_declared
        }
        self._units = {layout.places[value.column]: value.unit for value in mapping.values}
        self._line = 0
        self._above: _TimedRows | None = None
        self._sums: dict[str | int, _Sums] = {}
        # The days with values of each column, None where they follow each other.
        self._days: dict[str | int, set[int] | None] = {}

    def follow_text(self, table: RowTable) -> None:
        """Note the dates and the marks of the next block."""
        self._line = self._line or int(table.lines[0])
        self._dates.follow(table)
        for place, grouped in self._grouped.items():
            texts = table.take_column(place)
            has_marks = self._layout.mapping.brackets == "mark"
            plain = write_plain_texts(texts, self._units.get(place), has_marks=has_marks)
            # Numbers of another unit are no larger and no smaller than these.
            grouped.add(
                plain.texts if plain.powers is None else plain.texts.filter(pa.array(plain.powers == 0))
            )

    def follow_values(
        self, table: RowTable, times: RowTimes, series: pa.Array, known: Mask, numbers: Numbers
    ) -> None:
        """Check the next block; `known` are the rows of the declared length."""
        check_blocks(self._path, self._layout, table, self._times)
        mapping = self._layout.mapping
        # A block of a table with a column for each day may have one hour of all days.
        has_hours_apart = mapping.across is not None and mapping.columns.timestamp is None
        for name, column in numbers.items():
            if name not in self._list_dials():
                self._note_days(
                    name, times.start_us[to_mask(pc.is_valid(column)) & (times.start_us != 0)], series
                )
            if not (mapping.is_daily or has_hours_apart or name in self._list_dials()):
                self._check_intervals(table, times.start_us, series, column)
                check_lone_rows(self._path, table, times.start_us, series, column)
        known = known & (times.start_us != 0)
        keep = pa.array(known)
        of_series = pc.fill_null(series, "").filter(keep)
        kept = {name: column.filter(keep) for name, column in numbers.items()}
        rows = _TimedRows(table.lines[known], of_series, times.start_us[known], kept)
        self._check_running_totals(rows)
        self._check_totals(rows)

    def _check_intervals(self, table: RowTable, start_us: Ints, series: pa.Array, numbers: pa.Array) -> None:
        """Refuse values further apart than the length of an interval, of all meters or of one of them.

        Registers of a meter, such as that of gas, may have longer ones.
        """
        known = np.flatnonzero(to_mask(pc.is_valid(numbers)) & (start_us != 0))
        one = np.zeros(len(known), dtype=np.int64)
        check_interval(self._path, table, start_us[known], one, one + self._times.interval_us)
        columns = self._layout.mapping.columns
        if columns.register_ is None and columns.identifier is not None:
            codes = pc.dictionary_encode(pc.fill_null(series, "")).indices.to_numpy(zero_copy_only=False)
            codes = codes[known].astype(np.int64)
            lengths = self._times.measure_lengths(table)[known]
            check_interval(self._path, table, start_us[known], codes, lengths)

    def _note_days(self, name: str | int, start_us: Ints, series: pa.Array) -> None:
        """Note the days of a column as long as each series has one value on days far apart."""
        days = self._days.setdefault(name, set())
        if days is None or not len(start_us):
            return
        found = np.unique(start_us // DAY_US)
        is_apart = len(found) < 2 or np.diff(found).min() >= LONG_DAYS
        if is_apart and len(start_us) <= len(found) * pc.count_distinct(series, mode="all").as_py():
            days.update(found.tolist())
        else:
            self._days[name] = None

    def _check_running_totals(self, rows: "_TimedRows") -> None:
        """Refuse a row that is the sum of all rows of its series above it: a total below the table."""
        encoded = pc.dictionary_encode(rows.series)
        names = encoded.dictionary.to_pylist()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        for name in set(rows.numbers) - set(self._list_dials()):
            found = np.nan_to_num(_to_floats(rows.numbers[name]))
            line = self._sums.setdefault(name, _Sums()).add(names, codes, found, rows.lines)
            if line is not None:
                reason = f"the value of {name!r} is the sum of all rows above: a total, no interval"
                raise refuse(self._path, line, "MAP-SUM", reason)

    def _check_totals(self, rows: "_TimedRows") -> None:
        """Refuse rows that repeat a time with the sum of its day: totals below the intervals they contain.

        Such a row would replace the interval at which its day begins.
        """
        rows = rows if self._above is None else self._above.join(rows)
        self._above = rows.slice_end(MAX_ROWS)
        codes = pc.dictionary_encode(rows.series).indices.to_numpy(zero_copy_only=False)
        changes = np.diff(codes) != 0
        if (changes | (np.diff(rows.start_us) > 0)).all() and np.count_nonzero(changes) == codes.max(
            initial=0
        ):
            # One series after the other, each in the order of time: the usual file.
            return
        order = np.lexsort((rows.start_us, codes))
        again = (np.diff(codes[order]) == 0) & (np.diff(rows.start_us[order]) == 0)
        for one in np.unique(codes[order][1:][again])[:MAX_SERIES]:
            own = np.flatnonzero(codes == one)
            numbers = {name: column.take(pa.array(own)) for name, column in rows.numbers.items()}
            _check_totals_of(self._path, rows.lines[own], rows.start_us[own], numbers)

    def check_whole(self) -> None:
        """Check what only all rows together show."""
        self._dates.check()
        for days in self._days.values():
            steps = np.diff(sorted(days or ()))
            if days and len(days) >= MIN_TOTALS and steps.min() >= LONG_DAYS:
                reason = (
                    f"the values are {int(np.median(steps))} days apart: totals of weeks, months or bills"
                )
                raise refuse(self._path, self._line, "MAP-INTERVAL", reason)
        for name, sums in self._sums.items():
            if (line := sums.find_first()) is not None:
                reason = f"the value of {name!r} is the sum of all rows below: a total, no interval"
                raise refuse(self._path, line, "MAP-SUM", reason)
        for place, grouped in self._grouped.items():
            if grouped.are_thousands:
                mark = self._layout.mapping.decimal
                reason = f"the mark {mark!r} stands between thousands in column {place + 1}"
                raise refuse(self._path, self._line, "MAP-THOUSANDS", reason)

    def _list_dials(self) -> list[str | int]:
        return [value.column for value in self._layout.mapping.values if value.cumulative]


def check_day(path: Path, table: RowTable, cells: Floats, beside: Floats) -> None:
    """Refuse a row per day if its first or last cell is the sum of the others, or its cells add up.

    `cells` has a row for each day, nan where there is no value; `beside` what stands before and behind them.
    """
    known = np.nan_to_num(cells)
    is_full = np.count_nonzero(known > 0, axis=1) > MIN_ROWS
    full, outside = known[is_full], np.nan_to_num(beside)[is_full]
    if not len(full):
        return
    for place, which in ((0, "first"), (-1, "last")):
        rest = full.sum(axis=1) - full[:, place]
        # A run that begins a column too late has the total at its end, and its first cell outside.
        sums = (rest, rest + outside[:, place + 1])
        if any(_hold_for_days(np.abs(one - full[:, place]) <= 1e-6 * one + 1e-9) for one in sums):
            reason = f"the {which} column of the day is the sum of the others: a total, no interval"
            raise refuse(path, int(table.lines[0]), "MAP-SUM", reason)
    steps = np.diff(full, axis=1)
    never_fall = (steps >= 0).all(axis=1) & (np.count_nonzero(steps, axis=1) >= MIN_ROWS)
    if len(full) >= MIN_DATES and _hold_for_days(never_fall):
        day = full[np.flatnonzero(never_fall)[0]]
        reason = f"the values of a day never fall, from {day[0]:g} to {day[-1]:g}"
        raise refuse(path, int(table.lines[0]), "MAP-DIAL", reason)


def _hold_for_days(days: Mask) -> bool:
    """Whether something holds for all days, or for so many in a row that it is no chance."""
    count = min(len(days), MIN_DATES)
    return bool(np.convolve(days, np.ones(count, dtype=int), "valid").max() == count)


def _check_totals_of(path: Path, lines: Ints, start_us: Ints, numbers: Numbers) -> None:
    instants, first = np.unique(start_us, return_index=True)
    repeated = np.setdiff1d(np.arange(len(lines)), first)[:MAX_TOTALS]
    for name, column in numbers.items():
        found = np.nan_to_num(_to_floats(column))
        if not varies(found):
            continue
        until = np.concatenate([[0.0], np.cumsum(found[first])])
        moved = np.concatenate([[0], np.cumsum(found[first] > 0)])
        for row in repeated:
            at = start_us[row]
            begin, past, before, end = np.searchsorted(instants, [at, at + 1, at - DAY_US, at + DAY_US])
            after = np.searchsorted(instants, at - DAY_US + 1)
            for low, high in ((begin, end), (before, begin), (after, past), (0, len(instants))):
                total = until[high] - until[low]
                if moved[high] - moved[low] >= MIN_ROWS and abs(total - found[row]) <= 1e-6 * total + 1e-9:
                    line = int(lines[row])
                    reason = f"the value of {name!r} is the sum of rows above: a total, no interval"
                    raise refuse(path, line, "MAP-SUM", reason)


def check_interval(path: Path, table: RowTable, start_us: Ints, codes: Ints, lengths: Ints) -> None:
    """Refuse a series whose values are further apart than the declared length of an interval.

    `codes` and `lengths` have the series of each value, and the length of its interval.
    """
    order = np.lexsort((start_us, codes))
    starts, codes, lengths = start_us[order], codes[order], lengths[order]
    steps = np.diff(starts)
    inside = np.flatnonzero((np.diff(codes) == 0) & (steps > 0))
    steps, codes, lengths = steps[inside], codes[1:][inside], lengths[1:][inside]
    if not len(steps):
        return
    begins = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    counts = np.diff(np.append(begins, len(codes)))
    least = np.minimum.reduceat(steps, begins)
    share = np.add.reduceat(steps == np.repeat(least, counts), begins) / counts
    # Few values far apart, without a rhythm, are gaps.
    length = lengths[begins]
    is_apart = (counts + 1 >= MIN_ROWS) & (least >= 2 * length) & (share > _SHARE) & (least <= DAY_US)
    if is_apart.any():
        first = np.flatnonzero(is_apart)[0]
        minutes, declared = (int(us[first]) // (60 * US) for us in (least, length))
        reason = f"the values are {minutes} minutes apart, but interval_minutes is {declared}"
        raise refuse(path, int(table.lines[0]), "MAP-INTERVAL", reason)


def check_lone_rows(path: Path, table: RowTable, start_us: Ints, series: pa.Array, numbers: pa.Array) -> None:
    """Refuse values a day and more from the others of their series and larger than all other values."""
    known = to_mask(pc.is_valid(numbers)) & (start_us != 0)
    codes = pc.dictionary_encode(pc.fill_null(series, "")).indices.to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(known)
    rows = rows[np.lexsort((start_us[rows], codes[rows]))]
    if len(rows) < MIN_ROWS:
        return
    steps = np.where(np.diff(codes[rows]) != 0, DAY_US, np.diff(start_us[rows]))
    is_lone = (np.append(DAY_US, steps) >= DAY_US) & (np.append(steps, DAY_US) >= DAY_US)
    # One value of a series may be the first one of a block.
    is_lone &= np.bincount(codes[rows], weights=is_lone)[codes[rows]] >= MIN_LONE
    if np.count_nonzero(is_lone) < MIN_LONE or np.count_nonzero(~is_lone) < MIN_ROWS:
        return
    values = np.nan_to_num(_to_floats(numbers))[rows]
    if values[is_lone].min() > LONE_SIZE * max(values[~is_lone].max(), 0):
        line = int(table.lines[rows[is_lone]].min())
        reason = (
            "the value stands days apart from others and is larger than all of them: a total of a longer "
            "span, or the read of a dial"
        )
        raise refuse(path, line, "MAP-INTERVAL", reason)


def check_blocks(path: Path, layout: Layout, table: RowTable, times: TimeColumns) -> None:
    """Refuse a value that stands behind the dates of another block than the dates of the mapping."""
    field = "timestamp" if layout.mapping.columns.timestamp is not None else "date"
    own = layout.find_place(field)
    if own is None or layout.mapping.day:
        return
    taken = set(layout.places.values())
    table = _take_sample(table)
    when, bad = times.parse_dates(table, own)
    for place in range(own + 1, max(layout.list_values(), default=0)):
        texts = table.take_column(place)
        if place in taken or pc.count_distinct(texts).as_py() < MIN_ROWS:
            continue
        other, unfit = times.parse_dates(table, place)
        # A small number is no instant: as one it would lie in 1970.
        known = ~bad & ~unfit & (other > _FIRST_INSTANT_US)
        distinct = len(np.unique(when[known])), len(np.unique(other[known]))
        is_apart = np.abs(other - when)[known] > DAY_US
        if distinct[1] >= MIN_ROWS and distinct[1] >= 0.9 * distinct[0] and is_apart.mean() > _SHARE:
            reason = (
                f"column {place + 1} has dates of its own, and values behind it are declared with the dates "
                f"of column {own + 1}"
            )
            raise refuse(path, int(table.lines[0]), "MAP-BLOCK", reason)


def _take_sample(table: RowTable) -> RowTable:
    """Return rows at regular distances, few enough to read their dates several times."""
    rows = np.arange(0, len(table.lines), -(-len(table.lines) // SAMPLE_ROWS))
    return RowTable(table.strings.take(pa.array(rows)), table.lines[rows])


def _to_floats(numbers: pa.Array) -> Floats:
    values, _, _ = parse_decimals(numbers)
    found = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(found, dtype=np.float64)
