"""The times of a mapped CSV: when the interval of each row or cell starts.

Here: the columns and formats that the mapping declares for times. Not here: the resolution of local times
(`wallclock`), or values (`mapped_csv`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import Mask, Violation, null_where, parse_instants, to_mask
from data.ingest.formats.mapped_layout import Layout
from data.ingest.formats.mapped_table import RowTable
from data.ingest.formats.mapped_years import Years
from data.ingest.formats.mapping_shapes import OFFSET_FORMATS, carries_offset
from data.ingest.formats.wallclock import DAY_US, US, Ints, TimeFormats, WallClock
from data.ingest.schema import TIMESTAMP

NO_TIME = "the time is missing or does not exist"
SKIPPED = "the local time does not exist: the clocks skip it"
# The last microsecond of the year 9999, in seconds.
_NUMBER = r"^0*[0-9]{1,6}$"
# A century.
_SECONDS = r"^[0-9]{1,10}(\.0*)?$"
# Numbers that fit 64 bits.
_EPOCHS = {
    **dict.fromkeys(("unix", "unix_ms"), r"^[0-9]{1,13}$"),
    **{"unix_us": r"^[0-9]{1,16}$", "unix_ns": r"^[0-8]?[0-9]{1,18}$"},
}
_LAST_SECOND = 253_402_300_799


@dataclass(frozen=True)
class RowTimes:
    """Start (microseconds UTC) and length of the interval of each row, and the violations of its times."""

    start_us: Ints
    seconds: Ints
    violations: list[Violation]

    def filter_rows(self, keep: Mask) -> "RowTimes":
        """Keep the rows where `keep` is true."""
        violations = [(rule, reason, mask[keep]) for rule, reason, mask in self.violations]
        return RowTimes(self.start_us[keep], self.seconds[keep], violations)

    def find_skipped(self) -> Mask:
        """Find the rows whose local time the clocks skip."""
        skipped = np.zeros(len(self.start_us), dtype=np.bool_)
        for _, reason, mask in self.violations:
            if reason == SKIPPED:
                skipped |= mask
        return skipped


class TimeColumns:
    """Reads the declared time columns of tables, in the order of the file."""

    def __init__(self, layout: Layout) -> None:
        mapping = layout.mapping
        self._layout = layout
        self._mapping = mapping
        # Times with an offset never use the clock, so any zone will do.
        self.clock = WallClock(mapping.timezone or "UTC", is_descending=mapping.order == "descending")
        shapes = {
            "timestamp": mapping.timestamp_format,
            "date": mapping.date_shapes,
            "time": mapping.time_format,
        }
        self._formats = {
            name: TimeFormats(text)
            for name in ("timestamp", "date", "time")
            if (text := shapes[name]) is not None and text not in OFFSET_FORMATS
        }
        self.interval_us = mapping.interval_minutes * 60 * US
        self._years = None if mapping.year is None else Years(mapping.year)

    def read_times(self, table: RowTable, name_series: Callable[[RowTable], pa.Array]) -> RowTimes:
        """Return the interval of each row; `name_series` names the series of each row."""
        if self._mapping.is_daily:
            days, bad = self.follow_wall_clock(table, name_series)
            midnight, seconds = self.measure_days(np.where(bad, 0, days), US)
            return RowTimes(midnight, seconds, [("ROW-TIMESTAMP", NO_TIME, bad)])
        lengths = self.measure_lengths(table)
        start_us, violations = self._read_starts(table, name_series, lengths)
        return RowTimes(self._round(start_us, lengths), lengths // US, violations)

    def _round(self, start_us: Ints, lengths: Ints) -> Ints:
        """Return starts with those near the beginning of an interval at it."""
        if self._mapping.round_seconds is None:
            return start_us
        nearest = (start_us + lengths // 2) // lengths * lengths
        is_near = np.abs(nearest - start_us) <= self._mapping.round_seconds * US
        return np.where(is_near, nearest, start_us)

    def measure_lengths(self, table: RowTable) -> Ints:
        """Return the length of the interval of each row in microseconds."""
        found = np.full(len(table.lines), self.interval_us, dtype=np.int64)
        own = {word.strip().lower(): minutes for word, minutes in self._mapping.lengths.items()}
        for field in ("identifier", "register_") if own else ():
            if (place := self._layout.find_place(field)) is None:
                continue
            encoded = pc.dictionary_encode(pc.fill_null(table.take_column(place), ""))
            minutes = [own.get(word.lower(), 0) for word in encoded.dictionary.to_pylist()]
            of_rows = np.array(minutes, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
            found = np.where(of_rows > 0, of_rows * 60 * US, found)
        return found

    def follow_wall_clock(
        self, table: RowTable, name_series: Callable[[RowTable], pa.Array]
    ) -> tuple[Ints, Mask]:
        """Do the same as `read_wall_clock`, for the next rows: dates without a year get theirs."""
        local, bad = self.read_wall_clock(table)
        return (local, bad) if self._years is None else self._years.add(local, bad, name_series(table))

    def read_wall_clock(self, table: RowTable) -> tuple[Ints, Mask]:
        """Return (microseconds on the wall clock, is not a time) of each row."""
        columns = self._mapping.columns
        if columns.timestamp is not None:
            local, bad = self._parse_column(table, "timestamp")
        else:
            local, bad = self._parse_column(table, "date")
        if columns.time is not None:
            of_day, wrong = self._parse_column(table, "time")
            local, bad = local + of_day, bad | wrong
        if self._mapping.midnight_ends_day and columns.period is None:
            texts = self._take_column(table, "time" if columns.time is not None else "timestamp")
            # The format has moved 24:00 to the end of its day already.
            is_moved = to_mask(pc.match_substring_regex(texts, r"(^|[^0-9])24(:?00)"))
            local = local + np.where((local % DAY_US == 0) & ~is_moved, DAY_US, 0)
        return local, bad

    def find_times(self, table: RowTable) -> Mask:
        """Find the rows with a time or date, without resolving it."""
        field = "timestamp" if self._mapping.columns.timestamp is not None else "date"
        place = self._layout.find_place(field)
        assert place is not None
        return ~self.parse_dates(table, place)[1]

    def parse_dates(self, table: RowTable, place: int) -> tuple[Ints, Mask]:
        """Return (microseconds, is not a time) of a column as if it were that of the mapping."""
        field = "timestamp" if self._mapping.columns.timestamp is not None else "date"
        texts = table.take_column(place)
        return self._formats[field].parse(texts) if field in self._formats else self._parse_instants(texts)

    def measure_spans(self, table: RowTable, places: tuple[int, ...]) -> tuple[Ints, Mask]:
        """Return (microseconds between the time of the mapping and another one, both are times).

        `places` has the column of the other time, or those of its date and its time.
        """
        if self._mapping.columns.timestamp is not None:
            own = self._layout.find_place("timestamp")
            assert own is not None
            when, bad = self.parse_dates(table, own)
            other, unfit = self.parse_dates(table, places[0])
            return np.abs(other - when), ~bad & ~unfit
        date, time = (self._formats[field] for field in ("date", "time"))
        when, bad = self.read_wall_clock(table)
        day, bad_day = date.parse(table.take_column(places[0]))
        of_day, unfit = time.parse(table.take_column(places[1]))
        spans = np.abs(day + of_day - when)
        if places[0] == self._layout.find_place("date"):
            # The date of both is that of the start, or that of the end.
            spans = np.minimum(spans, np.abs(spans - DAY_US))
        return spans, ~bad & ~bad_day & ~unfit

    def join_times(self, table: RowTable, places: tuple[int, ...] = ()) -> pa.Array:
        """Return the texts of the time of the mapping, or of another one at `places`."""
        fields = ["timestamp"] if self._mapping.columns.timestamp is not None else ["date", "time"]
        columns = [table.take_column(place) for place in places] if places else []
        columns = columns or [self._take_column(table, field) for field in fields]
        return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, " ")

    def is_time(self, layout: Layout, fields: list[str]) -> bool:
        """Whether the fields of a line have a time or date in its place."""
        place = layout.find_place("timestamp")
        place = layout.find_place("date") if place is None else place
        if place is None or place >= len(fields):
            return False
        strings = pa.table({str(n): pa.array([field]) for n, field in enumerate(fields)})
        return bool(self.find_times(RowTable(strings, np.zeros(1, dtype=np.int64)))[0])

    def measure_days(self, days: Ints, length_us: int) -> tuple[Ints, Ints]:
        """Return (midnight in UTC, number of whole lengths) of local days; few days are distinct."""
        distinct, places = np.unique(days, return_inverse=True)
        midnight = self.clock.find_midnights(distinct)
        count = (self.clock.find_midnights(distinct + DAY_US) - midnight) // length_us
        return midnight[places], count[places]

    def _take_column(self, table: RowTable, field: str) -> pa.Array:
        return table.take_column(self._layout.find_place(field))

    def _parse_column(self, table: RowTable, field: str) -> tuple[Ints, Mask]:
        return self._formats[field].parse(self._take_column(table, field))

    def _read_starts(
        self, table: RowTable, name_series: Callable[[RowTable], pa.Array], lengths: Ints
    ) -> tuple[Ints, list[Violation]]:
        """Return (start of the interval of each row in microseconds UTC, violations of its times)."""
        has_places = self._mapping.columns.period is not None
        if self._mapping.columns.seconds is not None:
            return self._add_seconds(table, lengths)
        if carries_offset(self._mapping.timestamp_format):
            starts = self._read_offset_starts(table, lengths)
            return self._add_places(table, *starts) if has_places else starts
        local, bad = self.follow_wall_clock(table, name_series)
        if has_places and self._mapping.columns.timestamp is not None:
            firsts, skipped = self.clock.resolve_firsts(local)
            violations = [("ROW-TIMESTAMP", NO_TIME, bad), ("ROW-TIMESTAMP", SKIPPED, skipped & ~bad)]
            return self._add_places(table, np.where(bad, 0, firsts), violations)
        if has_places:
            return self._read_period_starts(table, local, bad)
        label = self._mapping.label
        local = self._fill_last_second(local)
        if label == "wall_end":
            local = local - lengths
        start_us = np.zeros(len(local), dtype=np.int64)
        skipped = np.zeros(len(local), dtype=np.bool_)
        good = np.flatnonzero(~bad)
        resolve = self.clock.resolve_ends if label == "end" else self.clock.resolve_starts
        start_us[good], skipped[good] = resolve(local[good], name_series(table).take(pa.array(good)))
        if label == "end":
            start_us -= lengths
        return start_us, [("ROW-TIMESTAMP", NO_TIME, bad), ("ROW-TIMESTAMP", SKIPPED, skipped)]

    def _fill_last_second(self, ends_us: Ints) -> Ints:
        """Return ends such as 00:14:59, the last second of an interval, as its end."""
        if self._mapping.label not in ("end", "wall_end"):
            return ends_us
        return np.where(ends_us % (60 * US) == 59 * US, ends_us + US, ends_us)

    def _read_offset_starts(self, table: RowTable, lengths: Ints) -> tuple[Ints, list[Violation]]:
        start_us, bad = self._parse_instants(self._take_column(table, "timestamp"))
        start_us = self._fill_last_second(start_us)
        if self._mapping.label in ("end", "wall_end"):
            start_us -= lengths
        return start_us, [("ROW-TIMESTAMP", NO_TIME, bad)]

    def _parse_instants(self, texts: pa.Array) -> tuple[Ints, Mask]:
        """Return (microseconds UTC, is not a time) of times with an offset."""
        if "timestamp" in self._formats:
            return self._formats["timestamp"].parse(texts)
        absent = to_mask(pc.is_null(texts))
        if self._mapping.timestamp_format == "iso8601":
            found, bad = parse_instants(texts)
        else:
            pattern = _EPOCHS[str(self._mapping.timestamp_format)]
            bad = ~to_mask(pc.match_substring_regex(texts, pattern))
            if bad.any():
                texts = pc.replace_substring_regex(texts, r"\.0*$", "")
                bad = ~to_mask(pc.match_substring_regex(texts, pattern))
            counted = pc.cast(null_where(texts, bad), pa.int64())
            found = self._count_instants(counted, bad)
        instants = pc.fill_null(found.cast(pa.int64()), 0).to_numpy(zero_copy_only=False).copy()
        return instants, bad | absent

    def _count_instants(self, counted: pa.Array, bad: Mask) -> pa.Array:
        """Return the instants of numbers; those beyond the calendar become `bad`."""
        if self._mapping.timestamp_format == "unix_ns":
            # No meter measures nanoseconds.
            bad |= to_mask(pc.not_equal(pc.multiply(pc.divide(counted, 1000), 1000), counted))
            counted, scale = pc.divide(counted, 1000), 1
        else:
            scale = {"unix_us": 1, "unix_ms": 1_000}.get(str(self._mapping.timestamp_format), US)
        bad |= to_mask(pc.greater(counted, _LAST_SECOND * US // scale))
        return pc.multiply(null_where(counted, bad), scale).cast(TIMESTAMP)

    def _read_period_starts(self, table: RowTable, days: Ints, bad: Mask) -> tuple[Ints, list[Violation]]:
        """Return starts by period: periods count from 1 at local midnight, so a long day has more of them."""
        period, wrong = self._read_periods(table)
        midnight, count = self.measure_days(np.where(bad, 0, days), self.interval_us)
        outside = ~wrong & ~bad & ((period < 1) | (period > count))
        start_us = midnight + (period - 1) * self.interval_us
        return np.where(bad | wrong, 0, start_us), [
            ("ROW-TIMESTAMP", NO_TIME, bad | wrong),
            ("ROW-TIMESTAMP", "the day has no period with this number", outside),
        ]

    def _add_places(
        self, table: RowTable, first_us: Ints, violations: list[Violation]
    ) -> tuple[Ints, list[Violation]]:
        """Return the starts of the intervals that are counted from 1 behind a time."""
        period, wrong = self._read_periods(table)
        outside = ~wrong & (period < 1)
        bad = np.logical_or.reduce([wrong, outside, *(mask for _, _, mask in violations)])
        start_us = np.where(bad, 0, first_us + (period - 1) * self.interval_us)
        return start_us, [
            *violations,
            ("ROW-TIMESTAMP", NO_TIME, wrong),
            ("ROW-TIMESTAMP", "an interval has no place before the first one", outside),
        ]

    def _add_seconds(self, table: RowTable, lengths: Ints) -> tuple[Ints, list[Violation]]:
        """Return the starts of intervals whose times are seconds behind a time."""
        texts = self._take_column(table, "seconds")
        wrong = ~to_mask(pc.match_substring_regex(texts, _SECONDS))
        plain = pc.replace_substring_regex(null_where(texts, wrong), r"\.0*$", "")
        behind = pc.fill_null(pc.cast(plain, pa.int64()), 0).to_numpy(zero_copy_only=False) * US
        if carries_offset(self._mapping.timestamp_format):
            first, bad = self._parse_instants(self._take_column(table, "timestamp"))
            skipped = np.zeros(len(first), dtype=np.bool_)
        else:
            local, bad = self.read_wall_clock(table)
            first, skipped = self.clock.resolve_firsts(np.where(bad, 0, local))
        start_us = self._fill_last_second(first + behind)
        if self._mapping.label in ("end", "wall_end"):
            start_us = start_us - lengths
        return np.where(bad | wrong, 0, start_us), [
            ("ROW-TIMESTAMP", NO_TIME, bad | wrong),
            ("ROW-TIMESTAMP", SKIPPED, skipped & ~bad),
        ]

    def _read_periods(self, table: RowTable) -> tuple[Ints, Mask]:
        """Return (number, is not a number) of the column of periods."""
        texts = self._take_column(table, "period")
        wrong = ~to_mask(pc.match_substring_regex(texts, _NUMBER))
        if wrong.any():
            # HE01, SP 1: a word may stand before the number.
            texts = pc.replace_substring_regex(texts, r"^[A-Za-z]{1,8}\.? ?", "")
            wrong = ~to_mask(pc.match_substring_regex(texts, _NUMBER))
        numbers = pc.fill_null(pc.cast(null_where(texts, wrong), pa.int64()), 0)
        counted = np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.int64)
        # The start of an interval is the number of those before it.
        return counted + (self._mapping.label == "start"), wrong
