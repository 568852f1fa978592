"""Interval CSV of any sender, read by a declared mapping: a row a reading, or a row a day.

Here: text to readings, a block of rows at a time and a column at a time. Not here: the schema of mappings
(`mapping`), the meaning of local times (`wallclock`), or a guess at either.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from data.ingest.formats.assemble import Finding, Rows, known_units, repeat, to_batch, total
from data.ingest.formats.columns import (
    Batch,
    Mask,
    Rejections,
    decimals,
    instants,
    is_damaged,
    null_where,
    split_lines,
    to_mask,
)
from data.ingest.formats.container import Member, lines, refuse
from data.ingest.formats.mapping import ENERGY_OF_POWER, HOUR_DIGITS, OFFSET_FORMATS, CsvMapping, Day, Value
from data.ingest.formats.wallclock import DAY_US, US, Ints, TimeFormat, WallClock
from data.ingest.schema import PARSED, TIMESTAMP

# Exports put titles, addresses and notes above the header; more lines than this are another table.
HEADER_LINES = 100
# The header and all above it: a longer head is no table.
HEAD_BYTES = 2 << 20
# Clocks are never put back by more than this.
LONGEST_CHANGE_MINUTES = 120

_NO_TIME = "the time is missing or does not exist"
_SKIPPED = "the clocks skip this local time"


@dataclass(frozen=True)
class _Table:
    """Rows of a block: `strings` has every column by its place, `lines` the line of each row."""

    strings: pa.Table
    lines: Ints

    def column(self, place: int | None) -> pa.Array:
        """A column without blanks around its texts, null where empty or absent."""
        if place is None:
            return pa.nulls(len(self.lines), pa.string())
        chunked = self.strings.column(place)
        flat = pc.utf8_trim_whitespace(pa.concat_arrays(chunked.chunks) if chunked.chunks else pa.array([""]))
        return pc.if_else(pc.equal(flat, ""), pa.scalar(None, pa.string()), flat)


@dataclass(frozen=True)
class _Times:
    """Start (microseconds UTC) and length of each row's interval, and what is wrong with them."""

    start_us: Ints
    seconds: Ints
    findings: list[Finding]


def iter_batches(path: Path, member: Member, part: int, mapping: CsvMapping) -> Iterator[Batch]:
    """The readings of one text, a batch for each block of about 1 MiB. Raises `RefusedFile`."""
    return _Reader(path, member, part, mapping).batches()


class _Reader:
    def __init__(self, path: Path, member: Member, part: int, mapping: CsvMapping) -> None:
        self._path = path
        # A table may start with a sign by which a document is known: it is cut into lines all the same.
        self._blocks = lines(path, member.blocks)
        self._part = part
        self._mapping = mapping
        # Fixed where the times carry their offset: the zone is then never asked for.
        self._clock = WallClock(mapping.timezone or "UTC", is_descending=mapping.order == "descending")
        self._formats = {
            name: TimeFormat(text)
            for name in ("timestamp", "date", "time")
            if (text := getattr(mapping, f"{name}_format")) is not None and text not in OFFSET_FORMATS
        }
        self._interval_us = mapping.interval_minutes * 60 * US
        self._names: list[str] = []
        self._places: dict[str | int, int] = {}

    def batches(self) -> Iterator[Batch]:
        rest, line = self._take_head()
        last = rest
        for block in itertools.chain([rest], self._blocks):
            if not block:
                continue
            last = block
            rejections = Rejections()
            table = self._wanted(self._split(block, line, rejections))
            line += block.count(b"\n")
            if not block.endswith(b"\n"):
                self._tell_open_end(block, line, rejections)
            yield from self._read(table, rejections)
        if last and self._clock.runs_against_its_order:
            order = self._mapping.order
            reason = f"most rows run against the order {order!r}, which decides in the hour that comes twice"
            raise refuse(self._path, None, "MAP-ORDER", reason)

    # The head: the header, and where in a row each column stands.

    def _take_head(self) -> tuple[bytes, int]:
        """Find the header; returns the text below it and the line on which that starts."""
        head = b""
        for block in self._blocks:
            head += block
            if head.count(b"\n") > HEADER_LINES + self._mapping.skip_lines or len(head) > HEAD_BYTES:
                break
        lines = list(split_lines(head))
        if not self._mapping.has_header:
            return self._take_positions(head, lines)
        best: tuple[int, int, list[str]] = (-1, 1, [])
        wanted = [column for column in self._mapping.named() if isinstance(column, str)]
        skip = self._mapping.skip_lines
        for place, text in enumerate(lines[skip : skip + HEADER_LINES], skip):
            names = [_plain(name) for name in self._fields(text)]
            missing = [name for name in wanted if _plain(name) not in names]
            if not missing and self._fits(names):
                self._names = names
                self._locate(place + 1)
                return _below(head, place + 1), place + 2
            if len(wanted) - len(missing) > best[0] and wanted:
                best = (len(wanted) - len(missing), place + 1, missing)
        where = f"; line {best[1]} comes nearest and lacks {_listed(best[2])}" if best[0] > 0 else ""
        reason = f"none of the first lines has the columns {_listed(wanted)} of the mapping{where}"
        raise refuse(self._path, best[1], "MAP-COLUMNS", reason)

    def _take_positions(self, head: bytes, lines: list[str]) -> tuple[bytes, int]:
        skip = self._mapping.skip_lines
        first = next((place for place, text in enumerate(lines) if place >= skip and text.strip()), None)
        if first is None:
            raise refuse(self._path, None, "FILE-NO-DATA", "the file holds no row")
        self._names = [""] * len(self._fields(lines[first]))
        if not self._fits(self._names):
            wanted = max(place for place in self._mapping.named() if isinstance(place, int))
            reason = f"the row has {len(self._names)} columns, the mapping names column {wanted}"
            raise refuse(self._path, first + 1, "MAP-COLUMNS", reason)
        self._locate(first + 1)
        return _below(head, first), first + 1

    def _fits(self, names: list[str]) -> bool:
        return all(place <= len(names) for place in self._mapping.named() if isinstance(place, int))

    def _locate(self, line: int) -> None:
        for column in self._mapping.named():
            if isinstance(column, int):
                self._places[column] = column - 1
                continue
            if self._names.count(_plain(column)) > 1:
                reason = f"the column {column!r} stands twice: name it by its position in the mapping"
                raise refuse(self._path, line, "MAP-COLUMNS", reason)
            self._places[column] = self._names.index(_plain(column))
        for run in self._mapping.day:
            self._check_day(run, line)

    def _check_day(self, day: Day, line: int) -> None:
        count, due = len(self._cells(day)), 1440 // self._mapping.interval_minutes
        spare = (count - due) * self._mapping.interval_minutes
        longest = LONGEST_CHANGE_MINUTES if day.clock_change == "elapsed" else 0
        if not 0 <= spare <= longest:
            reason = (
                f"{count} columns of values from {day.first!r} to {day.last!r}, "
                f"a day of {self._mapping.interval_minutes} minutes has {due}"
            )
            raise refuse(self._path, line, "MAP-COLUMNS", reason)
        if day.quality_offset is not None and self._cells(day)[-1] + day.quality_offset >= len(self._names):
            reason = f"no column for the flag of the value in {day.last!r}"
            raise refuse(self._path, line, "MAP-COLUMNS", reason)

    def _cells(self, day: Day) -> range:
        return range(self._places[day.first], self._places[day.last] + 1, day.step)

    def _place(self, name: str) -> int | None:
        column = getattr(self._mapping.columns, name)
        return None if column is None else self._places[column]

    # Text to columns of strings.

    def _fields(self, text: str) -> list[str]:
        try:
            return next(csv.reader([text], delimiter=self._mapping.delimiter), [])
        except csv.Error:
            # A field beyond the limit of the csv module is no field of a meter file.
            return []

    def _split(self, block: bytes, first_line: int, rejections: Rejections) -> _Table:
        """Arrow splits a block that has nothing unusual, the others are split line by line."""
        unusual = any(sign in block for sign in (b"\0", "\ufffd".encode(), b"\n\n")) or block.startswith(
            b"\n"
        )
        if not unusual:
            try:
                strings = self._split_fast(block)
            except pa.ArrowInvalid:
                return self._split_slowly(block, first_line, rejections)
            # A lone quote swallows line ends: seen by the count.
            if strings.num_rows == block.count(b"\n") + (not block.endswith(b"\n")):
                return _Table(strings, np.arange(first_line, first_line + strings.num_rows, dtype=np.int64))
        return self._split_slowly(block, first_line, rejections)

    def _split_fast(self, block: bytes) -> pa.Table:
        names = [str(place) for place in range(len(self._names))]
        return pacsv.read_csv(
            io.BytesIO(block),
            read_options=pacsv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
            parse_options=pacsv.ParseOptions(delimiter=self._mapping.delimiter, ignore_empty_lines=False),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        ).combine_chunks()

    def _split_slowly(self, block: bytes, first_line: int, rejections: Rejections) -> _Table:
        width = len(self._names)
        rows: list[list[str]] = []
        lines: list[int] = []
        for line, text in enumerate(split_lines(block), first_line):
            # Old systems end a file with Ctrl-Z or fill its last block with NUL.
            if not text.strip(" \t\x1a\0" + self._mapping.delimiter):
                continue
            fields = self._fields(text)
            if self._is_ignored(fields):
                continue
            if is_damaged(text):
                rejections.add(line, "ROW-ENCODING", "the row holds bytes that are no text", text)
            elif len(fields) < self._least_fields(block, text) or any(map(str.strip, fields[width:])):
                reason = f"{len(fields)} fields, {width} expected"
                rejections.add(line, "CSV-COLUMNS", reason, text)
            else:
                rows.append([*fields[:width], *[""] * (width - len(fields))])
                lines.append(line)
        columns = zip(*rows, strict=True) if rows else ([] for _ in range(width))
        arrays = [pa.array(list(column), type=pa.string()) for column in columns]
        strings = pa.table(arrays, names=[str(place) for place in range(width)])
        return _Table(strings, np.array(lines, dtype=np.int64))

    def _least_fields(self, block: bytes, text: str) -> int:
        """How many fields a row has: some senders leave empty ones at the end away.

        A last row without its line end may be cut: it must have all of them.
        """
        if not block.endswith(b"\n") and block.endswith(text.encode()):
            return len(self._names)
        return max(self._places.values()) + 1

    def _is_ignored(self, fields: list[str]) -> bool:
        first = fields[0].strip().lower() if fields else ""
        return any(first.startswith(word.lower()) for word in self._mapping.ignore_rows)

    def _wanted(self, table: _Table) -> _Table:
        """Without the rows that are no data: repeated headers, and what the mapping ignores."""
        if not table.strings.num_rows:
            return table
        unwanted = np.zeros(table.strings.num_rows, dtype=np.bool_)
        first = pc.utf8_lower(pc.utf8_trim_whitespace(table.strings.column(0)))
        for word in self._mapping.ignore_rows:
            unwanted |= to_mask(pc.starts_with(first, word.lower()))
        if any(self._names):
            named = sorted(set(self._places.values()))
            again = to_mask(pc.equal(_lower(table.strings.column(named[0])), self._names[named[0]]))
            for place in named[1:] if again.any() else []:
                again &= to_mask(pc.equal(_lower(table.strings.column(place)), self._names[place]))
            unwanted |= again
        if not unwanted.any():
            return table
        return _Table(table.strings.filter(pa.array(~unwanted)), table.lines[~unwanted])

    def _tell_open_end(self, block: bytes, line: int, rejections: Rejections) -> None:
        text = list(split_lines(block))[-1]
        if text.strip(" \t\x1a\0"):
            reason = "the last row has no line end: it was kept, and it may be cut"
            rejections.add(line, "CSV-LAST-ROW", reason, text)

    # Columns of strings to readings.

    def _read(self, table: _Table, rejections: Rejections) -> Iterator[Batch]:
        if not len(table.lines):
            yield Batch(PARSED.empty_table(), rejections.take(), self._part)
        elif self._mapping.day:
            for run in self._mapping.day:
                yield self._read_days(table, run, rejections)
        else:
            times = self._times(table)
            for value in self._mapping.values:
                yield self._read_values(*self._without_idle(table, value, times), rejections)

    def _without_idle(self, table: _Table, value: Value, times: _Times) -> tuple[_Table, Value, _Times]:
        """Without the rows that fill the hour that the clocks skip and say nothing, as some senders write."""
        skipped = np.zeros(len(table.lines), dtype=np.bool_)
        for _, reason, mask in times.findings:
            if reason == _SKIPPED:
                skipped |= mask
        if not skipped.any():
            return table, value, times
        numbers, _ = self._numbers(table.column(self._places[value.column]))
        keep = ~(skipped & _says_nothing(numbers))
        kept = _Table(table.strings.filter(pa.array(keep)), table.lines[keep])
        findings = [(rule, reason, mask[keep]) for rule, reason, mask in times.findings]
        return kept, value, _Times(times.start_us[keep], times.seconds[keep], findings)

    def _read_values(self, table: _Table, value: Value, times: _Times, rejections: Rejections) -> Batch:
        numbers, no_number = self._numbers(table.column(self._places[value.column]))
        if value.average_power:
            numbers = self._energies(numbers)
        register, channel = self._series(table, value)
        rows = Rows(
            line=table.lines,
            identifier=self._identifier(table),
            register=register,
            channel=channel,
            unit=self._unit(table, value),
            start_us=times.start_us,
            seconds=times.seconds,
            value=numbers,
            quality=self._quality(table.column(self._place("quality"))),
            serial_number=table.column(self._place("serial_number")),
            findings=[
                *times.findings,
                ("ROW-VALUE", "the value is no number of the declared form", no_number),
            ],
        )
        return to_batch(rows, lambda row: self._raw(table, row), rejections, self._part)

    def _raw(self, table: _Table, row: int) -> str:
        return self._mapping.delimiter.join(column[row].as_py() for column in table.strings.columns)

    def _identifier(self, table: _Table) -> pa.Array:
        if self._mapping.identifier is not None:
            return repeat(self._mapping.identifier, len(table.lines))
        # Spreadsheets are kept from bending a long number by ="123" or a leading apostrophe.
        guarded = table.column(self._place("identifier"))
        if not pc.any(pc.or_(pc.starts_with(guarded, "="), pc.starts_with(guarded, "'"))).as_py():
            return guarded
        return pc.replace_substring_regex(guarded, r'^(?:="([^"]*)"|\'([0-9].*))$', r"\1\2")

    def _series(self, table: _Table, value: Value | Day) -> tuple[pa.Array, pa.Array]:
        """(register, channel) of each row."""
        count = len(table.lines)
        if self._mapping.columns.register_ is None:
            return repeat(value.register_ or _register(value), count), repeat(value.channel, count)
        register = table.column(self._place("register_"))
        encoded = pc.dictionary_encode(register)
        channels = {name.strip().lower(): channel for name, channel in self._mapping.channels.items()}
        found = [channels.get(text.lower()) for text in encoded.dictionary.to_pylist()]
        # A register without a name cannot be kept; its channel is null, which rejects the row.
        return pc.fill_null(register, ""), pa.array(found, type=pa.string()).take(encoded.indices)

    def _unit(self, table: _Table, value: Value | Day) -> pa.Array:
        if value.unit is not None:
            unit = ENERGY_OF_POWER[value.unit] if value.average_power else value.unit
            return repeat(unit, len(table.lines))
        return known_units(table.column(self._place("unit")))

    def _quality(self, texts: pa.Array) -> pa.Array:
        """Our quality for what the file says, null where the mapping has no word for it."""
        if not self._mapping.qualities:
            return repeat("actual", len(texts))
        known = {name.strip().lower(): quality for name, quality in self._mapping.qualities.items()}
        encoded = pc.dictionary_encode(pc.fill_null(texts, ""))
        found = [known.get(text.lower()) for text in encoded.dictionary.to_pylist()]
        return pa.array(found, type=pa.string()).take(encoded.indices)

    def _numbers(self, texts: pa.Array) -> tuple[pa.Array, Mask]:
        """(plain decimal numbers, not of the declared form); null where there is no value."""
        decimal, thousands = self._mapping.decimal, self._mapping.thousands
        if self._mapping.no_value:
            words = pa.array([word.strip().lower() for word in self._mapping.no_value])
            texts = null_where(texts, to_mask(pc.is_in(pc.utf8_lower(texts), words)))
        wrong = np.zeros(len(texts), dtype=np.bool_)
        if thousands is not None:
            # 1,5 with a comma between thousands is no 15: groups have three digits.
            mark, point = re.escape(thousands), re.escape(decimal)
            grouped = rf"^[+-]?[0-9]{{1,3}}({mark}[0-9]{{3}})+({point}[0-9]*)?$"
            has_mark = to_mask(pc.match_substring(texts, thousands))
            wrong |= has_mark & ~to_mask(pc.match_substring_regex(texts, grouped))
            texts = pc.replace_substring(texts, thousands, "")
        if decimal == ",":
            wrong |= to_mask(pc.match_substring(texts, "."))
            texts = pc.replace_substring(texts, ",", ".")
        return (null_where(texts, wrong) if wrong.any() else texts), wrong

    def _energies(self, powers: pa.Array) -> pa.Array:
        """Average powers times the hours of an interval, exact; what is no number stays as it is."""
        values, _, _ = decimals(powers)
        hours = Decimal(self._mapping.interval_minutes) / 60
        energies = pc.multiply(values, pa.scalar(hours, pa.decimal128(8, HOUR_DIGITS)))
        return pc.coalesce(energies.cast(pa.string()), powers)

    # Times.

    def _times(self, table: _Table) -> _Times:
        if self._mapping.is_daily:
            days, bad = self._wall_clock(table)
            midnight, seconds = self._days(np.where(bad, 0, days), US)
            return _Times(midnight, seconds, [("ROW-TIMESTAMP", _NO_TIME, bad)])
        start_us, findings = self._starts(table)
        return _Times(start_us, np.full(len(start_us), self._interval_us // US, dtype=np.int64), findings)

    def _starts(self, table: _Table) -> tuple[Ints, list[Finding]]:
        """(start of each row's interval in microseconds UTC, what is wrong with the times)."""
        if self._mapping.timestamp_format in OFFSET_FORMATS:
            return self._offset_starts(table)
        local, bad = self._wall_clock(table)
        if self._mapping.columns.period is not None:
            return self._period_starts(table, local, bad)
        label = self._mapping.label
        if label == "wall_end":
            local = local - self._interval_us
        series = self._identifier(table)
        if self._mapping.columns.register_ is not None:
            register = pc.fill_null(table.column(self._place("register_")), "")
            series = pc.binary_join_element_wise(pc.fill_null(series, ""), register, "\n")
        start_us = np.zeros(len(local), dtype=np.int64)
        skipped = np.zeros(len(local), dtype=np.bool_)
        right = np.flatnonzero(~bad)
        resolve = self._clock.ends if label == "end" else self._clock.starts
        start_us[right], skipped[right] = resolve(local[right], series.take(pa.array(right)))
        if label == "end":
            start_us -= self._interval_us
        return start_us, [("ROW-TIMESTAMP", _NO_TIME, bad), ("ROW-TIMESTAMP", _SKIPPED, skipped)]

    def _wall_clock(self, table: _Table) -> tuple[Ints, Mask]:
        columns = self._mapping.columns
        if columns.timestamp is not None:
            local, bad = self._formats["timestamp"].parse(table.column(self._place("timestamp")))
        else:
            local, bad = self._formats["date"].parse(table.column(self._place("date")))
        if columns.time is not None:
            of_day, wrong = self._formats["time"].parse(table.column(self._place("time")))
            local, bad = local + of_day, bad | wrong
        if self._mapping.midnight_ends_day and columns.period is None:
            texts = table.column(self._place("time" if columns.time is not None else "timestamp"))
            # 24:00 has been moved to the end of its day already.
            is_moved = to_mask(pc.match_substring_regex(texts, r"(^|[^0-9])24(:?00)"))
            local = local + np.where((local % DAY_US == 0) & ~is_moved, DAY_US, 0)
        return local, bad

    def _offset_starts(self, table: _Table) -> tuple[Ints, list[Finding]]:
        texts = table.column(self._place("timestamp"))
        absent = to_mask(pc.is_null(texts))
        if self._mapping.timestamp_format == "iso8601":
            found, bad = instants(texts)
        else:
            bad = ~to_mask(pc.match_substring_regex(texts, r"^[0-9]{1,13}$"))
            scale = 1_000 if self._mapping.timestamp_format == "unix_ms" else US
            counted = pc.cast(null_where(texts, bad), pa.int64())
            bad |= to_mask(pc.greater(counted, 253_402_300_799 * US // scale))
            found = pc.multiply(null_where(counted, bad), scale).cast(TIMESTAMP)
        start_us = pc.fill_null(found.cast(pa.int64()), 0).to_numpy(zero_copy_only=False).copy()
        if self._mapping.label != "start":
            start_us -= self._interval_us
        return start_us, [("ROW-TIMESTAMP", _NO_TIME, bad | absent)]

    def _period_starts(self, table: _Table, days: Ints, bad: Mask) -> tuple[Ints, list[Finding]]:
        """Periods count from 1 at local midnight, in elapsed time: a long day has more of them."""
        texts = table.column(self._place("period"))
        wrong = ~to_mask(pc.match_substring_regex(texts, r"^0*[0-9]{1,4}$"))
        period = pc.fill_null(pc.cast(null_where(texts, wrong), pa.int64()), 0).to_numpy(zero_copy_only=False)
        midnight, due = self._days(np.where(bad, 0, days), self._interval_us)
        outside = ~wrong & ~bad & ((period < 1) | (period > due))
        start_us = midnight + (period - 1) * self._interval_us
        return np.where(bad | wrong, 0, start_us), [
            ("ROW-TIMESTAMP", _NO_TIME, bad | wrong),
            ("ROW-TIMESTAMP", "the day has no period of this number", outside),
        ]

    def _days(self, days: Ints, length_us: int) -> tuple[Ints, Ints]:
        """(midnight in UTC, how many of a length fit in) of local days; few are distinct."""
        distinct, places = np.unique(days, return_inverse=True)
        midnight = self._clock.midnights(distinct)
        due = (self._clock.midnights(distinct + DAY_US) - midnight) // length_us
        return midnight[places], due[places]

    # A row a day.

    def _read_days(self, table: _Table, day: Day, rejections: Rejections) -> Batch:
        cells = self._cells(day)
        numbers, wrong = self._numbers(pa.concat_arrays([table.column(place) for place in cells]))
        # Row by row, as the file has them.
        count, width = len(table.lines), len(cells)
        order = np.arange(count * width).reshape(width, count).T.ravel()
        numbers, wrong = numbers.take(pa.array(order)), wrong[order]
        if day.average_power:
            numbers = self._energies(numbers)
        days, bad_date = self._wall_clock(table)
        days = np.where(bad_date, 0, days)
        register, channel = self._series(table, day)
        identifier, unit = self._identifier(table), self._unit(table, day)
        start_us, absent, findings = self._lay_out(day, days, numbers, width)
        bad = bad_date.copy()
        for _, _, mask in findings[1:]:
            bad |= mask
        if bad.any():
            told = [("ROW-TIMESTAMP", _NO_TIME, bad_date), *findings[1:]]
            for row in np.flatnonzero(bad):
                rule, reason, _ = next(finding for finding in told if finding[2][row])
                rejections.add(
                    int(table.lines[row]),
                    rule,
                    reason,
                    self._raw(table, int(row)),
                    identifier=identifier[int(row)].as_py(),
                    register=register[int(row)].as_py(),
                    value=total(numbers.slice(int(row) * width, width)),
                    unit=unit[int(row)].as_py(),
                )
        keep = np.repeat(~bad, width) & ~absent
        kept = pa.array(np.flatnonzero(keep))
        row_of_cell = pa.array(np.repeat(np.arange(count), width)[keep])
        rows = Rows(
            line=np.repeat(table.lines, width)[keep],
            identifier=identifier.take(row_of_cell),
            register=register.take(row_of_cell),
            channel=channel.take(row_of_cell),
            unit=unit.take(row_of_cell),
            start_us=start_us[keep],
            seconds=np.full(len(kept), self._mapping.interval_minutes * 60, dtype=np.int64),
            value=numbers.take(kept),
            quality=self._day_quality(table, day, order).take(kept),
            serial_number=table.column(self._place("serial_number")).take(row_of_cell),
            findings=[
                ("ROW-TIMESTAMP", _SKIPPED, findings[0][2][keep]),
                ("ROW-VALUE", "the value is no number of the declared form", wrong[keep]),
            ],
        )
        texts = rows.value
        return to_batch(rows, lambda cell: texts[cell].as_py() or "", rejections, self._part)

    def _lay_out(
        self, day: Day, days: Ints, numbers: pa.Array, width: int
    ) -> tuple[Ints, Mask, list[Finding]]:
        """(start of each cell, cells that hold no interval, [faults of cells, faults of rows ...])."""
        count = len(days)
        says_nothing = _says_nothing(numbers)
        ordinal = np.tile(np.arange(width, dtype=np.int64), count)
        if day.clock_change == "wall_clock":
            local = np.repeat(days, width) + ordinal * self._interval_us
            start_us, skipped = self._clock.firsts(local)
            return start_us, skipped & says_nothing, [("", "", skipped & ~says_nothing)]
        midnight, due = self._days(days, self._interval_us)
        beyond = ordinal >= np.repeat(due, width)
        too_many: Mask = np.asarray((beyond & ~says_nothing).reshape(count, width).any(axis=1))
        start_us = np.repeat(midnight, width) + ordinal * self._interval_us
        return (
            start_us,
            beyond,
            [
                ("", "", np.zeros(count * width, dtype=np.bool_)),
                ("CSV-DAY", "more values than the local day has intervals", too_many),
                ("CSV-DAY", "fewer columns than the local day has intervals", np.asarray(due > width)),
            ],
        )

    def _day_quality(self, table: _Table, day: Day, order: Ints) -> pa.Array:
        if day.quality_offset is None:
            row_quality = self._quality(table.column(self._place("quality")))
            return row_quality.take(pa.array(np.repeat(np.arange(len(table.lines)), len(self._cells(day)))))
        flags = [table.column(place + day.quality_offset) for place in self._cells(day)]
        return self._quality(pa.concat_arrays(flags)).take(pa.array(order))


def _says_nothing(numbers: pa.Array) -> Mask:
    """Where there is no value, or zero."""
    return to_mask(pc.fill_null(pc.match_substring_regex(numbers, r"^[+-]?0*\.?0*$"), True))


def _plain(name: str) -> str:
    """A column's name as it is compared: without blanks around it, in small letters."""
    return name.strip().strip("\ufeff").lower()


def _lower(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lower(pc.utf8_trim_whitespace(column))


def _register(value: Value | Day) -> str:
    name = value.column if isinstance(value, Value) else value.channel
    return str(name)


def _below(text: bytes, lines: int) -> bytes:
    """`text` without its first lines."""
    for _ in range(lines):
        _, _, text = text.partition(b"\n")
    return text


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))
