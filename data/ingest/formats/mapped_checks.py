"""Whether the content of a table contradicts its mapping, seen in the first rows.

Here: columns that count the same thing twice, intervals of another length, and values under the dates of
another block. Each would give a wrong total without any wrong row. Not here: rows that contradict each other
(`parts`), or the header (`mapped_layout`).
"""

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import Mask, parse_decimals, to_mask
from data.ingest.formats.container import refuse
from data.ingest.formats.mapped_layout import Layout
from data.ingest.formats.mapped_numbers import are_grouped
from data.ingest.formats.mapped_table import RowTable
from data.ingest.formats.mapped_times import TimeColumns
from data.ingest.formats.wallclock import DAY_US, US, Ints
from data.ingest.schema import ONE_DIRECTION_CHANNELS

Floats = npt.NDArray[np.float64]

# So many rows agree by chance only if few values are distinct.
MIN_ROWS, MIN_DISTINCT = 12, 6
# Meters print up to so many decimals.
_DECIMALS = range(7)
MAX_ROWS = 5000
# So many days of a file do not lie a month apart by chance.
MIN_DATES = 4
# So many rows that repeat a time are compared with sums.
MAX_TOTALS = 200
# A dial shows much more than it counts in one step.
MIN_DIAL_ROWS, MIN_DIAL_MOVES, MIN_SIZE_IN_STEPS = 24, 4, 50
# A share of the rows: so many have the same rhythm, or dates of another block.
_SHARE = 0.5
# The other end of an interval stands in nearly all rows: others are totals.
_MOST = 0.8
_HOUR_US = 3600 * US


def find_sum(columns: dict[str, Floats]) -> tuple[str, tuple[str, ...]] | None:
    """Find (a column, the columns that it is the sum of, or the one that it equals); None without one.

    Values that are missing are nan. Columns of zeros are no parts.
    """
    known = {name: np.nan_to_num(numbers) for name, numbers in columns.items() if np.nansum(np.abs(numbers))}
    for whole, numbers in known.items():
        if not _varies(numbers):
            continue
        others = [name for name in known if name != whole]
        for count in {1, 2, 3, len(others)}:
            for parts in itertools.combinations(others[:12], min(count, len(others))):
                if parts and _is_sum(numbers, [known[part] for part in parts]):
                    return whole, parts
    return None


def _varies(numbers: Floats) -> bool:
    moving = numbers[numbers != 0]
    return len(moving) >= MIN_ROWS and len(np.unique(moving)) >= MIN_DISTINCT


def _is_sum(whole: Floats, parts: list[Floats]) -> bool:
    # A sum differs from the sum of its printed parts by their rounding.
    rounding = sum(map(_find_rounding, [whole, *parts])) if len(parts) > 1 else 0.0
    scale = float(np.max(np.abs(whole)))
    near = np.abs(whole - np.sum(parts, axis=0)) <= min(rounding, scale / 100) + 1e-9 * scale
    return bool(near.all())


def _find_rounding(numbers: Floats) -> float:
    """Return half of the last printed decimal."""
    exact = (n for n in _DECIMALS if np.allclose(np.round(numbers, n), numbers, rtol=0, atol=1e-9))
    return float(0.5 * 10.0 ** -next(exact, len(_DECIMALS)))


def check_sums(path: Path, layout: Layout, table: RowTable, numbers: dict[str | int, pa.Array]) -> None:
    """Refuse columns of one channel if one is the sum of others, or the same: it would count twice."""
    for channel in {value.channel for value in layout.mapping.values if value.channel is not None}:
        columns = {
            str(value.column): _to_floats(numbers[value.column])
            for value in layout.mapping.values
            if value.channel == channel and not value.cumulative and value.unit is not None
        }
        found = find_sum(columns) if len(columns) > 1 else None
        if found is not None:
            whole, parts = found
            how = "is the sum of" if len(parts) > 1 else "is the same as"
            reason = (
                f"the column {whole!r} {how} {' and '.join(map(repr, parts))}: {channel} would count twice"
            )
            raise refuse(path, int(table.lines[0]), "MAP-SUM", reason)


def is_large_dial(numbers: Floats) -> bool:
    """Whether numbers never fall and are large against their steps, as reads of a dial are; order as in time.

    Energy of intervals falls about as often as it rises.
    """
    steps = np.diff(numbers)
    rises = steps[steps > 0]
    if len(numbers) < MIN_DIAL_ROWS or len(rises) < MIN_DIAL_MOVES or steps.min() < 0 or numbers[0] < 0:
        return False
    return float(np.percentile(numbers, 25)) >= MIN_SIZE_IN_STEPS * float(np.median(rises))


def check_dials(
    path: Path, layout: Layout, table: RowTable, own: Mask, numbers: dict[str | int, pa.Array]
) -> None:
    """Refuse reads of a dial that are declared as energy; `own` are the rows of one series."""
    for value in layout.mapping.values:
        found = _to_floats(numbers[value.column].filter(pa.array(own)))
        found = found[~np.isnan(found)]
        is_energy = value.channel in ONE_DIRECTION_CHANNELS and not (value.cumulative or value.average_power)
        if is_energy and (is_large_dial(found) or is_large_dial(found[::-1])):
            reason = f"the values of {value.column!r} never fall, from {found[0]:g} to {found[-1]:g}"
            raise refuse(path, int(table.lines[0]), "MAP-DIAL", reason)


def check_day(path: Path, table: RowTable, cells: Floats, beside: Floats) -> None:
    """Refuse a row per day if its first or last cell is the sum of the others, or its cells add up.

    `cells` has a row for each day, nan where there is no value; `beside` what stands before and behind them.
    """
    known = np.nan_to_num(cells[:MAX_ROWS])
    is_full = np.count_nonzero(known > 0, axis=1) > MIN_ROWS
    full, outside = known[is_full], np.nan_to_num(beside[:MAX_ROWS])[is_full]
    if not len(full):
        return
    for place, which in ((0, "first"), (-1, "last")):
        rest = full.sum(axis=1) - full[:, place]
        # A run that begins a column too late has the total at its end, and its first cell outside.
        sums = (rest, rest + outside[:, place + 1])
        if any((np.abs(one - full[:, place]) <= 1e-6 * one + 1e-9).all() for one in sums):
            reason = f"the {which} column of the day is the sum of the others: a total, no interval"
            raise refuse(path, int(table.lines[0]), "MAP-SUM", reason)
    steps = np.diff(full, axis=1)
    if len(full) >= MIN_DATES and steps.min() >= 0 and (np.count_nonzero(steps, axis=1) >= MIN_ROWS).all():
        reason = f"the values of a day never fall, from {full[0, 0]:g} to {full[0, -1]:g}"
        raise refuse(path, int(table.lines[0]), "MAP-DIAL", reason)


def check_thousands(path: Path, layout: Layout, table: RowTable) -> None:
    """Refuse a decimal mark that stands between thousands; `decimals` declares that it is one."""
    mapping = layout.mapping
    if mapping.thousands is not None or mapping.decimals is not None:
        return
    for place in layout.list_values():
        texts = table.take_column(place).slice(0, MAX_ROWS).drop_null().to_pylist()
        if are_grouped(texts, mapping.decimal):
            reason = f"the mark {mapping.decimal!r} stands between thousands in column {place + 1}"
            raise refuse(path, int(table.lines[0]), "MAP-THOUSANDS", reason)


def check_dates(path: Path, layout: Layout, table: RowTable, times: TimeColumns) -> None:
    """Refuse dates of one day in each month, or in each year: day, month and year are mistaken."""
    place = layout.find_place("timestamp")
    place = layout.find_place("date") if place is None else place
    if place is None or layout.mapping.is_daily:
        return
    when, bad = times.parse_dates(RowTable(table.strings.slice(0, MAX_ROWS), table.lines[:MAX_ROWS]), place)
    # A midnight may end the day before.
    days, rows = np.unique(when[~bad] // DAY_US, return_counts=True)
    dates = days[rows > 1 if not layout.mapping.day else rows > 0].astype("datetime64[D]")
    of_month = (dates - dates.astype("datetime64[M]")).astype(int)
    if len(dates) >= MIN_DATES and len(set(of_month)) == 1:
        reason = f"the dates are {', '.join(map(str, dates[:3]))}: one day of each month or year"
        raise refuse(path, int(table.lines[0]), "MAP-DATES", reason)


def check_totals(
    path: Path, table: RowTable, own: Mask, start_us: Ints, numbers: dict[str | int, pa.Array]
) -> None:
    """Refuse rows that repeat a time with the sum of its day: totals below the intervals they contain.

    `own` are the rows of one series. Such a row would replace the interval at which its day begins.
    """
    known = own & (start_us != 0)
    rows, start_us = np.flatnonzero(known)[:MAX_ROWS], start_us[known][:MAX_ROWS]
    instants, first = np.unique(start_us, return_index=True)
    if len(instants) == len(rows):
        return
    repeated = np.setdiff1d(np.arange(len(rows)), first)[:MAX_TOTALS]
    for name, column in numbers.items():
        found = np.nan_to_num(_to_floats(column.filter(pa.array(known))))
        if not _varies(found):
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
                    line = int(table.lines[rows[row]])
                    reason = f"the value of {name!r} is the sum of rows above: a total, no interval"
                    raise refuse(path, line, "MAP-SUM", reason)


def check_interval(path: Path, layout: Layout, table: RowTable, start_us: Ints, numbers: pa.Array) -> None:
    """Refuse a column whose values are further apart than the declared length of an interval."""
    length = layout.mapping.interval_minutes * 60 * US
    times = np.unique(start_us[to_mask(pc.is_valid(numbers)) & (start_us != 0)])
    steps = np.diff(times)
    if len(times) < MIN_ROWS or steps.min() < 2 * length or np.mean(steps == steps.min()) <= _SHARE:
        # Few values far apart, without a rhythm, are gaps.
        return
    minutes = int(steps.min()) // (60 * US)
    if minutes > 1440:
        return
    reason = f"the values are {minutes} minutes apart, but interval_minutes is {length // (60 * US)}"
    raise refuse(path, int(table.lines[0]), "MAP-INTERVAL", reason)


def find_other_end(layout: Layout, table: RowTable, times: TimeColumns) -> int | None:
    """Return the place of the column with the other end of nearly all intervals, None without one."""
    mapping = layout.mapping
    has_dials = any(value.cumulative for value in mapping.values)
    if mapping.columns.timestamp is None or has_dials or len(table.lines) < MIN_ROWS:
        return None
    taken = set(layout.places.values())
    table = RowTable(table.strings.slice(0, MAX_ROWS), table.lines[:MAX_ROWS])
    for place in range(len(layout.names)):
        if place not in taken:
            spans, known = times.measure_spans(table, place)
            is_end = known & _is_near(spans, times.interval_us)
            if np.mean(is_end) >= _MOST:
                return place
    return None


def find_other_lengths(table: RowTable, times: TimeColumns, place: int, start_us: Ints) -> Mask:
    """Find the rows whose two ends are not an interval apart, nor one and the hour of a clock change."""
    # Where the other end is the time of the next row or of the one before, no time has to be parsed.
    own, other = times.take_time(table), table.take_column(place)
    is_step = np.abs(np.diff(start_us)) == times.interval_us
    doubtful = np.ones(len(table.lines), dtype=np.bool_)
    doubtful[:-1] &= ~(is_step & to_mask(pc.equal(other[:-1], own[1:])))
    doubtful[1:] &= ~(is_step & to_mask(pc.equal(other[1:], own[:-1])))
    spans, known = times.measure_spans(table.filter_rows(doubtful), place)
    length = times.interval_us
    is_changed = _is_near(spans, length + _HOUR_US) | _is_near(spans, abs(length - _HOUR_US))
    found = np.zeros(len(table.lines), dtype=np.bool_)
    found[doubtful] = known & ~_is_near(spans, length) & ~is_changed
    return found


def _is_near(spans: Ints, length_us: int) -> Mask:
    """Whether spans have a length, or end with its last second, or with its last minute if it is long."""
    last = 60 * US if length_us >= 300 * US else US
    return np.asarray((spans <= length_us) & (spans >= length_us - last))


def check_blocks(path: Path, layout: Layout, table: RowTable, times: TimeColumns) -> None:
    """Refuse a value that stands behind the dates of another block than the dates of the mapping."""
    field = "timestamp" if layout.mapping.columns.timestamp is not None else "date"
    own = layout.find_place(field)
    if own is None or layout.mapping.day:
        return
    taken = set(layout.places.values())
    table = RowTable(table.strings.slice(0, MAX_ROWS), table.lines[:MAX_ROWS])
    when, bad = times.parse_dates(table, own)
    for place in range(own + 1, max(layout.list_values(), default=0)):
        texts = table.take_column(place)
        if place in taken or pc.count_distinct(texts).as_py() < MIN_ROWS:
            continue
        other, unfit = times.parse_dates(table, place)
        known = ~bad & ~unfit
        distinct = len(np.unique(when[known])), len(np.unique(other[known]))
        is_apart = np.abs(other - when)[known] > DAY_US
        if distinct[1] >= MIN_ROWS and distinct[1] >= 0.9 * distinct[0] and is_apart.mean() > _SHARE:
            reason = (
                f"column {place + 1} has dates of its own, and values behind it are declared with the dates "
                f"of column {own + 1}"
            )
            raise refuse(path, int(table.lines[0]), "MAP-BLOCK", reason)


def _to_floats(numbers: pa.Array) -> Floats:
    values, _, _ = parse_decimals(numbers.slice(0, MAX_ROWS))
    found = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(found, dtype=np.float64)
