"""Interval CSV of any sender, read by a declared mapping: a row for each reading or for each day.

Here: columns of strings to readings. Not here: the header (`mapped_layout`), splitting text (`mapped_table`),
times (`mapped_times`), or the fields of a mapping (`mapping`).
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.assemble import (
    UncheckedRows,
    assemble_batch,
    normalize_units,
    repeat_text,
    sum_values,
)
from data.ingest.formats.columns import (
    Batch,
    Mask,
    Rejections,
    Violation,
    null_where,
    parse_decimals,
    to_mask,
)
from data.ingest.formats.container import Member, cut_lines, refuse, strip_name
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.mapped_across import Across, find_across
from data.ingest.formats.mapped_checks import Checks, check_day
from data.ingest.formats.mapped_dials import Dials, Windows
from data.ingest.formats.mapped_layout import Layout, find_layout
from data.ingest.formats.mapped_lengths import OtherEnd
from data.ingest.formats.mapped_numbers import (
    integrate_rows,
    multiply_numbers,
    remove_decimals,
    split_ways,
    write_plain_texts,
)
from data.ingest.formats.mapped_table import RowTable, split_block
from data.ingest.formats.mapped_tables import Tables
from data.ingest.formats.mapped_times import NO_TIME, SKIPPED, RowTimes, TimeColumns
from data.ingest.formats.mapped_years import choose_year
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.mapping_columns import COLUMN, NAME, TITLE
from data.ingest.formats.mapping_values import Amount, Day, Value
from data.ingest.formats.sum_guard import Floats
from data.ingest.formats.wallclock import US, Ints
from data.ingest.schema import ONE_DIRECTION_CHANNELS, PARSED

_NOT_A_NUMBER = "the value is not a number of the declared form"
_OTHER_LENGTH = "the row states an interval of another length than the mapping"
SKIPPED_EMPTY = "a row without a value in a block of columns"
SKIPPED_IDLE = "without a value in the hour that the clocks skip"


def iter_batches(path: Path, member: Member, part: int, mapping: CsvMapping) -> Iterator[Batch]:
    """Yield the readings of one text, one batch for each block of about 1 MiB. Raises `RefusedFile`."""
    if mapping.year is not None:
        mapping = mapping.model_copy(update={"year": choose_year(path, member, part, mapping.year)})
    # A table may start like a document, which comes without cuts at line ends.
    blocks = cut_lines(path, member.blocks)
    if mapping.quoted_rows:
        blocks = map(unquote_rows, blocks)
    if mapping.delimiter == " ":
        blocks = map(_join_blanks, blocks)
    across: Across | None = None
    if mapping.across is None:
        layout, rest, line = find_layout(path, blocks, mapping)
    else:
        across, rest, line = find_across(path, blocks, mapping)
        layout, mapping = across.layout, across.layout.mapping
    name = strip_name(member.name) if mapping.uses_name else None
    split, layout = layout, layout if name is None else layout.add_column(NAME)
    parts = [layout.places[column] for column in mapping.joined]
    layout = layout.add_column(mapping.joined) if parts else layout
    layout = layout.add_column(TITLE) if mapping.uses_title else layout
    readers = [
        _Reader(path, replace(layout, mapping=block), part, mapping.interval_minutes)
        for block in mapping.split_blocks()
    ]
    tables = Tables(path, layout, TimeColumns(layout))
    for block in itertools.chain([rest], blocks):
        if block:
            rejections = Rejections()
            found = (
                [split_block(block, line, split, rejections, tables.find_title)]
                if across is None
                else across.split(block, line, rejections, tables.find_title)
            )
            for one in found:
                named = one if name is None else one.add_text(name)
                table = named.join_columns(parts) if parts else named
                yield from _read_by_all(readers, tables, across, table, rejections)
            line += block.count(b"\n")
    for reader in readers:
        yield from reader.finish()


def _read_by_all(
    readers: "list[_Reader]", tables: Tables, across: Across | None, table: RowTable, rejections: Rejections
) -> Iterator[Batch]:
    """Yield what each reader reads of a table; the first batch counts the rows that were skipped."""
    table = tables.follow(table)
    for reader in readers:
        own, empty = (table, 0) if len(readers) == 1 else reader.drop_empty_rows(table)
        skipped = tables.take_skipped() + Counter({SKIPPED_EMPTY: empty})
        skipped += across.take_skipped() if across is not None else Counter()
        for batch in reader.read_table(own, rejections):
            yield replace(batch, skipped=skipped + batch.skipped, second_table=tables.second_table)
            skipped = Counter()


FORMAT = FileFormat(
    name="mapped_csv",
    summary="interval CSV of any sender, declared by a mapping",
    read=iter_batches,
    mapping=MappingUse(model=CsvMapping, is_required=True),
)


class _Reader:
    def __init__(self, path: Path, layout: Layout, part: int, row_minutes: int) -> None:
        self._path = path
        # Between the rows of intervals that are longer than those of other columns.
        self._is_longer = layout.mapping.interval_minutes > row_minutes
        self._layout = layout
        self._mapping = layout.mapping
        self._part = part
        self.times = TimeColumns(layout)
        self._checks = Checks(path, layout, self.times)
        self._other_end = OtherEnd(layout, self.times)
        self._dials = {
            value.column: Dials(path, value, part, _find_windows(layout.mapping, value))
            for value in layout.mapping.values
            if value.cumulative
        }

    def read_table(self, table: RowTable, rejections: Rejections) -> Iterator[Batch]:
        if not len(table.lines):
            yield Batch(PARSED.empty_table(), rejections.take(), self._part)
            return
        self._checks.follow_text(table)
        if self._mapping.day:
            days = self.times.follow_wall_clock(table, self._name_series)
            for run in self._mapping.day:
                yield from self._read_days(table, run, *days, rejections)
            return
        times = self.times.read_times(table, self._name_series)
        wrong = self._other_end.find_other_lengths(table, times.start_us)
        times.violations.append(("ROW-LENGTH", _OTHER_LENGTH, wrong))
        parsed = {
            value.column: self._parse_numbers(self._take_values(table, value), value)
            for value in self._mapping.values
        }
        numbers = {column: plain for column, (plain, _) in parsed.items()}
        if self._mapping.channels:
            idle = ~self._find_counted(table)
            numbers = {column: null_where(plain, idle) for column, plain in numbers.items()}
        self._checks.follow_values(table, times, self._name_series(table), ~wrong, numbers)
        for value in self._mapping.values:
            rows = self._take_rows(table, value, times, *parsed[value.column])
            if value.cumulative:
                yield self._dials[value.column].add(self._read_dials(table, rows, rejections))
            else:
                yield from self._read_values(table, value, times, rows, rejections)

    def drop_empty_rows(self, table: RowTable) -> tuple[RowTable, int]:
        """Return the rows with a time or a value, and how many have none: blocks may differ in length.

        Of intervals that are longer than those of other columns only a value makes a row.
        """
        fields = [] if self._is_longer else ["timestamp", "date"]
        places = [*map(self._layout.find_place, fields), *self._layout.list_values()]
        keep = np.logical_or.reduce([to_mask(pc.is_valid(table.take_column(place))) for place in places])
        return table.filter_rows(keep), int(np.count_nonzero(~keep))

    def finish(self) -> Iterator[Batch]:
        """Yield what lies between the reads of dials, after all tables were read. Raises `RefusedFile`."""
        self._checks.check_whole()
        for dials in self._dials.values():
            yield from dials.finish()
        if self.times.clock.runs_against_its_order:
            order = self._mapping.order
            reason = f"most rows run against the order {order!r}, which decides about the repeated hour"
            raise refuse(self._path, None, "MAP-ORDER", reason)

    # A row for each reading.

    def _read_values(
        self, table: RowTable, value: Value, times: RowTimes, rows: UncheckedRows, rejections: Rejections
    ) -> Iterator[Batch]:
        # Some senders fill the skipped hour with rows that hold no value, or zero.
        is_kept = ~(times.find_skipped() & _find_idle(rows.value))
        skipped = Counter({SKIPPED_IDLE: int(np.count_nonzero(~is_kept))})
        if not is_kept.all():
            table, rows = table.filter_rows(is_kept), rows.filter(is_kept)
        for way in split_ways(rows, value):
            batch = assemble_batch(way, lambda row: self._join_row(table, row), rejections, self._part)
            yield replace(batch, skipped=skipped)
            skipped = Counter()

    def _read_dials(self, table: RowTable, rows: UncheckedRows, rejections: Rejections) -> Batch:
        """Return the reads of a column of dials as readings that start when they were read."""
        if self._mapping.label in ("end", "wall_end"):
            rows.start_us = rows.start_us + rows.seconds * US
        return assemble_batch(rows, lambda row: self._join_row(table, row), rejections, self._part)

    def _take_rows(
        self, table: RowTable, value: Value, times: RowTimes, numbers: pa.Array, not_number: Mask
    ) -> UncheckedRows:
        units = self._resolve_units(table, value)
        if value.average_power:
            numbers, units = integrate_rows(numbers, units, self._mapping.interval_minutes)
        register, channel = self._resolve_registers(table, value)
        return UncheckedRows(
            line=table.lines,
            identifier=self._take_identifiers(table, value),
            register=register,
            channel=channel,
            unit=units,
            start_us=times.start_us,
            seconds=times.seconds,
            value=numbers,
            quality=self._find_qualities(table, value),
            serial_number=self._take_column(table, "serial_number"),
            violations=[*times.violations, ("ROW-VALUE", _NOT_A_NUMBER, not_number)],
        )

    # Columns.

    def _take_column(self, table: RowTable, field: str) -> pa.Array:
        return table.take_column(self._layout.find_place(field))

    def _take_values(self, table: RowTable, value: Value) -> pa.Array:
        """Return the texts of a column of values, where it has none those of its substitute."""
        texts = table.take_column(self._layout.places[value.column])
        if value.substitute is None:
            return texts
        return pc.coalesce(texts, table.take_column(self._layout.places[value.substitute]))

    def _find_qualities(self, table: RowTable, value: Value) -> pa.Array:
        """Return the quality of each row; a substitute is estimated."""
        qualities = self._translate_qualities(self._take_column(table, "quality"))
        if value.substitute is None:
            return qualities
        own = table.take_column(self._layout.places[value.column])
        is_substitute = pc.and_(pc.is_null(own), pc.is_valid(self._take_values(table, value)))
        return pc.if_else(is_substitute, "estimated", qualities)

    def _join_row(self, table: RowTable, row: int) -> str:
        return self._mapping.delimiter.join(column[row].as_py() for column in table.strings.columns)

    def _take_identifiers(self, table: RowTable, value: Value | None = None) -> pa.Array:
        own = value.identifier if value is not None else None
        if value is not None and own is None and self._mapping.identifier == COLUMN:
            own = str(value.column)
        if own is not None or self._mapping.columns.identifier is None:
            return repeat_text(own or self._mapping.identifier or "", len(table.lines))
        # ="123" and a leading apostrophe keep spreadsheets from changing a long number.
        guarded = self._take_column(table, "identifier")
        if not pc.any(pc.or_(pc.starts_with(guarded, "="), pc.starts_with(guarded, "'"))).as_py():
            return guarded
        return pc.replace_substring_regex(guarded, r'^(?:="([^"]*)"|\'([0-9].*))$', r"\1\2")

    def _name_series(self, table: RowTable) -> pa.Array:
        """Return a text for each row that is the same within one meter and register."""
        series = self._take_identifiers(table)
        registers = self._take_registers(table)
        if registers is None:
            return series
        register = pc.fill_null(registers, "")
        return pc.binary_join_element_wise(pc.fill_null(series, ""), register, "\n")

    def _take_registers(self, table: RowTable) -> pa.Array | None:
        """Return the register that a column or a section gives each row, None if the mapping gives it."""
        if self._mapping.sections:
            return table.sections
        return None if self._mapping.columns.register_ is None else self._take_column(table, "register_")

    def _find_counted(self, table: RowTable) -> Mask:
        """Find the rows whose register has a channel of energy that flows one way."""
        _, channel = self._resolve_registers(table, self._mapping.values[0])
        return to_mask(pc.is_in(channel, pa.array(ONE_DIRECTION_CHANNELS)))

    def _resolve_registers(self, table: RowTable, value: Value | Day) -> tuple[pa.Array, pa.Array]:
        """Return (register, channel) of each row."""
        count = len(table.lines)
        register = self._take_registers(table)
        if register is None:
            name = value.column if isinstance(value, Value) else value.channel
            return repeat_text(value.register_ or str(name), count), repeat_text(value.channel, count)
        # A row without a register has no channel, which rejects it.
        channel = self._translate(register, self._mapping.channels | self._mapping.sections)
        return pc.fill_null(register, ""), channel

    def _translate(self, texts: pa.Array, declared: Mapping[str, str | None]) -> pa.Array:
        """Return what the mapping declares for each text, null if it does not have the text."""
        known = {name.strip().lower(): meaning for name, meaning in declared.items()}
        encoded = pc.dictionary_encode(texts)
        found = [known.get(text.lower()) for text in encoded.dictionary.to_pylist()]
        return pa.array(found, type=pa.string()).take(encoded.indices)

    def _resolve_units(self, table: RowTable, value: Value | Day) -> pa.Array:
        if value.unit is not None:
            return repeat_text(value.unit, len(table.lines))
        if self._mapping.units:
            return self._translate(self._take_column(table, "register_"), self._mapping.units)
        return normalize_units(self._take_column(table, "unit"))

    def _translate_qualities(self, texts: pa.Array) -> pa.Array:
        """Return the quality for each text, null if the mapping does not have the text."""
        if not self._mapping.qualities:
            return repeat_text("actual", len(texts))
        return self._translate(pc.fill_null(texts, ""), self._mapping.qualities)

    def _parse_numbers(self, texts: pa.Array, amount: Amount) -> tuple[pa.Array, Mask]:
        """Return (plain decimal numbers, not of the declared form); null if there is no value."""
        decimal, thousands = self._mapping.decimal, self._mapping.thousands
        plain = write_plain_texts(texts, amount.unit, has_marks=self._mapping.brackets == "mark")
        texts = plain.texts
        if self._mapping.no_value:
            words = pa.array([word.strip().lower() for word in self._mapping.no_value])
            texts = null_where(texts, to_mask(pc.is_in(pc.utf8_lower(texts), words)))
        wrong = np.zeros(len(texts), dtype=np.bool_)
        if thousands is not None:
            # Groups have three digits: with a comma between thousands, 1,5 is not 15.
            mark, point = re.escape(thousands), re.escape(decimal)
            grouped = (
                rf"^[+-]?([1-9][0-9]{{0,2}}({mark}[0-9]{{3}})+|[1-9][0-9]?({mark}[0-9]{{2}})+{mark}[0-9]{{3}})"
                rf"({point}[0-9]*)?$"
            )
            has_mark = to_mask(pc.match_substring(texts, thousands))
            wrong |= has_mark & ~to_mask(pc.match_substring_regex(texts, grouped))
            texts = pc.replace_substring(texts, thousands, "")
        if decimal == ",":
            wrong |= to_mask(pc.match_substring(texts, "."))
            texts = pc.replace_substring(texts, ",", ".")
        texts = plain.scale(texts)
        if self._mapping.decimals is not None:
            texts, is_cut = remove_decimals(texts, self._mapping.decimals)
            wrong |= is_cut
        numbers = null_where(texts, wrong) if wrong.any() else texts
        return (numbers if amount.factor is None else multiply_numbers(numbers, amount.factor)), wrong

    def _read_floats(self, table: RowTable, place: int, amount: Amount) -> Floats:
        """Return the numbers of a column, zero where there is none or no column."""
        if not 0 <= place < len(table.strings.columns):
            return np.zeros(len(table.lines))
        numbers, _ = self._parse_numbers(table.take_column(place), amount)
        floats = parse_decimals(numbers)[0].cast(pa.float64()).to_numpy(zero_copy_only=False)
        return np.asarray(np.nan_to_num(floats), dtype=np.float64)

    # A row for each day.

    def _read_days(
        self, table: RowTable, day: Day, days: Ints, bad_date: Mask, rejections: Rejections
    ) -> Iterator[Batch]:
        cells = self._layout.list_cells(day)
        texts = pa.concat_arrays([table.take_column(place) for place in cells])
        numbers, wrong = self._parse_numbers(texts, day)
        # From column by column to row by row, the order of the file.
        count, width = len(table.lines), len(cells)
        order = np.arange(count * width).reshape(width, count).T.ravel()
        numbers, wrong = numbers.take(pa.array(order)), wrong[order]
        if day.channel in ONE_DIRECTION_CHANNELS:
            step = day.step
            around = (cells[0] - step, cells[-1] + step)
            outside = [self._read_floats(table, place, day) for place in around]
            floats = parse_decimals(numbers)[0].cast(pa.float64()).to_numpy(zero_copy_only=False)
            check_day(self._path, table, floats.reshape(count, width), np.stack(outside, axis=1))
        unit = self._resolve_units(table, day)
        if day.average_power:
            of_cells = unit.take(pa.array(np.repeat(np.arange(count), width)))
            numbers, _ = integrate_rows(numbers, of_cells, self._mapping.interval_minutes)
            _, unit = integrate_rows(pa.nulls(count, pa.string()), unit, self._mapping.interval_minutes)
        days = np.where(bad_date, 0, days)
        register, channel = self._resolve_registers(table, day)
        identifier = self._take_identifiers(table)
        start_us, absent, skipped, of_rows = self._place_cells(day, days, numbers, width)
        violations = [("ROW-TIMESTAMP", NO_TIME, bad_date), *of_rows]
        bad = np.logical_or.reduce([mask for _, _, mask in violations])
        for index in np.flatnonzero(bad):
            row = int(index)
            rule, reason, _ = next(violation for violation in violations if violation[2][row])
            rejections.add(
                int(table.lines[row]),
                rule,
                reason,
                self._join_row(table, row),
                identifier=identifier[row].as_py(),
                register=register[row].as_py(),
                value=sum_values(numbers.slice(row * width, width)),
                unit=unit[row].as_py(),
            )
        keep = np.repeat(~bad, width) & ~absent
        kept = pa.array(np.flatnonzero(keep))
        row_of_cell = pa.array(np.repeat(np.arange(count), width)[keep])
        rows = UncheckedRows(
            line=np.repeat(table.lines, width)[keep],
            identifier=identifier.take(row_of_cell),
            register=register.take(row_of_cell),
            channel=channel.take(row_of_cell),
            unit=unit.take(row_of_cell),
            start_us=start_us[keep],
            seconds=np.full(len(kept), self._mapping.interval_minutes * 60, dtype=np.int64),
            value=numbers.take(kept),
            quality=self._resolve_day_qualities(table, day, order).take(kept),
            serial_number=self._take_column(table, "serial_number").take(row_of_cell),
            violations=[
                ("ROW-TIMESTAMP", SKIPPED, skipped[keep]),
                ("ROW-VALUE", _NOT_A_NUMBER, wrong[keep]),
            ],
        )
        kept_texts = rows.value
        for way in split_ways(rows, day):
            yield assemble_batch(way, lambda cell: kept_texts[cell].as_py() or "", rejections, self._part)

    def _place_cells(
        self, day: Day, days: Ints, numbers: pa.Array, width: int
    ) -> tuple[Ints, Mask, Mask, list[Violation]]:
        """Return (start of each cell, cells without an interval, skipped cells, violations of rows)."""
        count = len(days)
        idle = _find_idle(numbers)
        ordinal = np.tile(np.arange(width, dtype=np.int64), count)
        interval_us = self.times.interval_us
        if day.clock_change == "wall_clock":
            local = np.repeat(days, width) + ordinal * interval_us
            start_us, skipped = self.times.clock.resolve_firsts(local)
            return start_us, skipped & idle, skipped & ~idle, []
        midnight, due = self.times.measure_days(days, interval_us)
        beyond = ordinal >= np.repeat(due, width)
        too_many: Mask = np.asarray((beyond & ~idle).reshape(count, width).any(axis=1))
        start_us = np.repeat(midnight, width) + ordinal * interval_us
        return (
            start_us,
            beyond,
            np.zeros(count * width, dtype=np.bool_),
            [
                ("CSV-DAY", "the row has more values than the local day has intervals", too_many),
                (
                    "CSV-DAY",
                    "the row has fewer columns than the local day has intervals",
                    np.asarray(due > width),
                ),
            ],
        )

    def _resolve_day_qualities(self, table: RowTable, day: Day, order: Ints) -> pa.Array:
        cells = self._layout.list_cells(day)
        if day.quality_offset is None:
            row_quality = self._translate_qualities(self._take_column(table, "quality"))
            return row_quality.take(pa.array(np.repeat(np.arange(len(table.lines)), len(cells))))
        flags = [table.take_column(place + day.quality_offset) for place in cells]
        return self._translate_qualities(pa.concat_arrays(flags)).take(pa.array(order))


def unquote_rows(block: bytes) -> bytes:
    """Write the lines that stand in quotes as a whole without these, and two quotes in them as one."""
    return re.sub(rb'(?m)^"((?:[^"\n]|"")*)"[;,\t ]*$', lambda found: found[1].replace(b'""', b'"'), block)


def _join_blanks(block: bytes) -> bytes:
    """Write one blank between the fields of a table whose columns stand below each other."""
    return re.sub(rb"(?m)^ +| +$", b"", re.sub(rb"[ \t]+", b" ", block))


def _find_windows(mapping: CsvMapping, value: Value) -> Windows | None:
    if value.every_hours is None or mapping.timezone is None:
        return None
    return Windows(mapping.timezone, value.every_hours, mapping.label != "start")


def _find_idle(numbers: pa.Array) -> Mask:
    """Find where there is no value, or zero."""
    return to_mask(pc.fill_null(pc.match_substring_regex(numbers, r"^[+-]?0*\.?0*$"), True))
