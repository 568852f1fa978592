"""Rows of a mapped CSV that state an interval of another length than the mapping: totals among the readings.

Here: the other end of each interval, in one column or in two, for date and time. Not here: the times of the
mapping (`mapped_times`).
"""

import itertools

import numpy as np
import pyarrow.compute as pc

from data.ingest.formats.columns import Mask, to_mask
from data.ingest.formats.mapped_layout import Layout
from data.ingest.formats.mapped_table import RowTable
from data.ingest.formats.mapped_times import TimeColumns
from data.ingest.formats.wallclock import US, Ints

MIN_ROWS, SAMPLE_ROWS = 12, 1000
# The other end stands in nearly all rows: others are totals.
_MOST = 0.8
_HOUR_US = 3600 * US


class OtherEnd:
    """Finds the columns with the other end of nearly all intervals, and the rows that contradict them."""

    def __init__(self, layout: Layout, times: TimeColumns) -> None:
        self._layout = layout
        self._times = times
        mapping = layout.mapping
        has_dials = any(value.cumulative for value in mapping.values)
        has_times = mapping.columns.timestamp is not None or mapping.columns.time is not None
        self._is_sought = has_times and not has_dials
        self._places: tuple[int, ...] | None = None

    def find_other_lengths(self, table: RowTable, start_us: Ints) -> Mask:
        """Find the rows whose two ends are not an interval apart, nor one and the hour of a clock change."""
        found = np.zeros(len(table.lines), dtype=np.bool_)
        if self._is_sought and self._places is None and len(table.lines) >= MIN_ROWS:
            self._places = self._find_places(table)
        if self._places is None:
            return found
        length = self._times.measure_lengths(table)
        # Where the other end is the time of the next row or of the one before, no time has to be parsed.
        own, other = self._times.join_times(table), self._times.join_times(table, self._places)
        is_step = np.abs(np.diff(start_us)) == length[1:]
        doubtful = np.ones(len(table.lines), dtype=np.bool_)
        doubtful[:-1] &= ~(is_step & to_mask(pc.equal(other[:-1], own[1:])))
        doubtful[1:] &= ~(is_step & to_mask(pc.equal(other[1:], own[:-1])))
        spans, known = self._times.measure_spans(table.filter_rows(doubtful), self._places)
        length = length[doubtful]
        back_us = abs(length - _HOUR_US)
        # Where the end is the last minute, an end that the clock puts back is a minute further away.
        is_changed = _is_near(spans, length + _HOUR_US) | _is_near(spans, back_us)
        is_changed |= _is_near(spans, back_us + 60 * US)
        found[doubtful] = known & ~_is_near(spans, length) & ~is_changed
        return found

    def _find_places(self, table: RowTable) -> tuple[int, ...] | None:
        """Return the place of the other end, or those of its date and its time; None without one."""
        step = -(-len(table.lines) // SAMPLE_ROWS)
        keep = np.zeros(len(table.lines), dtype=np.bool_)
        keep[::step] = True
        table = table.filter_rows(keep)
        free = [n for n in range(len(self._layout.names)) if n not in self._layout.places.values()]
        candidates: list[tuple[int, ...]] = [(place,) for place in free]
        if self._layout.mapping.columns.time is not None:
            date = self._layout.find_place("date")
            assert date is not None
            # The end may have a date of its own, or that of the start.
            candidates = [*itertools.permutations(free[:12], 2), *((date, place) for place in free)]
        for places in candidates:
            spans, known = self._times.measure_spans(table, places)
            if np.mean(known & _is_near(spans, self._times.measure_lengths(table))) >= _MOST:
                return places
        return None


def _is_near(spans: Ints, length_us: Ints) -> Mask:
    """Whether spans have a length, or end with its last second, or with its last minute if it is long."""
    last = np.where(length_us >= 300 * US, 60 * US, US)
    return np.asarray((spans <= length_us) & (spans >= length_us - last))
