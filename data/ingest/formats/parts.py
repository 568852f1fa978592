"""Batches of a file to parts that can be judged one by one, whatever the size of the file.

Here: which rows belong in one part, where the others wait, and whether rows contradict each other in mass.
Not here: reading a format, or which of two rows for one interval counts (`latest`).

Rows wait by group of registers and span of 32 days. Two rows can overlap only within one register, and
across the end of a span only if a row reaches across it: then both spans form one part.
"""

import dataclasses
import datetime
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.errors import RefusedFile
from data.ingest.formats.columns import Batch, Rejections
from data.ingest.formats.container import refuse
from data.ingest.formats.dial_guard import DialFinding, DialGuard
from data.ingest.formats.latest import BY_PART, keep_latest
from data.ingest.formats.names import check_names
from data.ingest.formats.sum_guard import SumFinding, find_sums_of_registers
from data.ingest.rules.measures import find_series, flat
from data.ingest.schema import (
    PARSED,
    REGISTER_READ,
    REJECTED,
    TIMESTAMP,
    FileInParts,
    ParsedFile,
    Series,
    Spans,
)
from data.ingest.spill import MEMORY_BYTES, Spill

GROUPS = 64
SPAN_US = 32 * 86_400_000_000
# Above the highest number of a span: the years 0001 to 9999 have some 114,000 spans.
_SPANS = 1 << 20
# Register reads are held in memory, some 2 kB each: four reads per year of 50,000 meters.
MAX_REGISTER_READS = 200_000
# A wrong mapping contradicts itself in each interval, a sender in a few.
MIN_CONFLICTS, CONFLICTS_SHARE = 12, 0.1
# Two tables that contradict each other hold different things, such as import and export.
MIN_CONFLICTS_OF_TABLES = 2
SKIPPED_EQUAL = "equal to another row"

_WAITING = PARSED.append(pa.field("part", pa.int64())).append(pa.field("ordinal", pa.int64()))
_MAY_BE_LEFT_EMPTY = ("identifier", "unit")
Ints = npt.NDArray[np.int64]


@dataclasses.dataclass
class Gathered:
    """Collects the batches of one file."""

    path: Path
    memory_bytes: int = MEMORY_BYTES
    spans: Spans = dataclasses.field(default_factory=dict)
    left_empty: set[str] = dataclasses.field(default_factory=set)
    newest_us: int | None = None
    has_local_times: bool = False
    _skipped: Counter[str] = dataclasses.field(default_factory=Counter)
    _second_table: int | None = None
    _bound: set[int] = dataclasses.field(default_factory=set)
    _reads: list[pa.Table] = dataclasses.field(default_factory=list)
    _reads_count: int = 0
    # (identifier, register, channel) of the readings.
    _channels: set[tuple[str, str, str]] = dataclasses.field(default_factory=set)
    _guard: DialGuard = dataclasses.field(default_factory=DialGuard)

    def __post_init__(self) -> None:
        self._readings = Spill(_WAITING, self.memory_bytes)
        self._rejected = Spill(REJECTED, self.memory_bytes)

    def add(self, batch: Batch) -> None:
        """Add the next batch. Raises `RefusedFile` if the file holds too many register reads."""
        batch = check_names(batch)
        self._skipped.update(batch.skipped)
        if self._second_table is None:
            self._second_table = batch.second_table
        if batch.has_local_times and (batch.readings.num_rows or batch.rejected.num_rows):
            self.has_local_times = True
        self._rejected.add(batch.rejected, np.zeros(batch.rejected.num_rows, dtype=np.int64))
        if batch.register_reads.num_rows:
            self._reads.append(batch.register_reads)
            self._reads_count += batch.register_reads.num_rows
            if self._reads_count > MAX_REGISTER_READS:
                reason = f"the file holds more than {MAX_REGISTER_READS:,} register reads"
                raise refuse(self.path, None, "FILE-TOO-LARGE", reason)
        if batch.readings.num_rows:
            self._add_readings(batch.readings, batch.part)

    def finish(self, format: str, content_hash: str, *, is_declared: bool = False) -> FileInParts:
        """Return the file, after all batches were added. Raises `RefusedFile` if it holds no reading.

        Registers with reads of a dial are rejected, and registers that are the sum of others or equal one. If
        the meaning of its columns `is_declared` by a mapping, such reads refuse the file, and its parts raise
        `RefusedFile` after the last one where rows contradict each other in mass, or where a register is the
        sum of others: then the mapping takes different things for one, or one thing twice.
        """
        if not self._readings.num_rows:
            raise self._refuse_empty(format)
        dials = self._guard.find()
        if dials and is_declared:
            raise self._refuse_dial(format, dials)
        sums = {} if is_declared else self._find_sums(dials)
        reads = pa.concat_tables([REGISTER_READ.empty_table(), *self._reads])
        version = None if self.newest_us is None else _to_instant(self.newest_us)
        left_empty = frozenset(self.left_empty)

        def part(readings: pa.Table, rejected: pa.Table, skipped: Counter[str]) -> ParsedFile:
            return ParsedFile(self.path, format, content_hash, readings, rejected, version, reads, skipped)

        def parts(kept: Collection[Series] = ()) -> Iterator[ParsedFile]:
            rejected_sums = {one: found for one, found in sums.items() if one not in kept}
            rejected = self._rejected.tables()
            conflicts = _Conflicts()
            skipped = self._skipped
            twice: SumFinding | None = None
            for waiting in self._readings.whole_keys(self._bound):
                read, replaced = keep_latest(*_restore_file_order(waiting))
                conflicts.add(read, replaced)
                some = next(rejected, REJECTED.empty_table())
                equal = waiting.num_rows - read.num_rows - replaced.num_rows
                skipped = skipped + Counter({SKIPPED_EQUAL: equal})
                read, reads_of_dials = _reject_dials(read, dials)
                if is_declared and twice is None:
                    twice = next(find_sums_of_registers(read), None)
                read, repeating = _reject_sums(read, rejected_sums)
                yield part(read, pa.concat_tables([some, replaced, reads_of_dials, repeating]), skipped)
                skipped = Counter()
            for some in rejected:
                yield part(PARSED.empty_table(), some, skipped)
            if twice is not None:
                raise self._refuse(format, twice.line, "MAP-SUM", twice.reason)
            if is_declared and conflicts.are_many(has_tables=self._second_table is not None):
                raise self._refuse_conflicts(format, conflicts)

        return FileInParts(
            self.path,
            format,
            content_hash,
            version,
            self.spans,
            left_empty,
            reads,
            parts,
            self.has_local_times,
            {one: found.parts for one, found in sums.items()},
        )

    def _find_sums(self, dials: Mapping[Series, DialFinding]) -> dict[Series, SumFinding]:
        """Return the registers that are the sum of others of their meter and channel, or equal one."""
        if len({(identifier, channel) for identifier, _, channel in self._channels}) == len(self._channels):
            return {}
        sums: dict[Series, SumFinding] = {}
        for waiting in self._readings.whole_keys(self._bound):
            kept, _ = keep_latest(*_restore_file_order(waiting))
            kept, _ = _reject_dials(kept, dials)
            for found in find_sums_of_registers(kept):
                sums.setdefault((found.identifier, found.register), found)
        return sums

    def _add_readings(self, readings: pa.Table, part: int) -> None:
        count = readings.num_rows
        first = self._readings.num_rows
        start = _to_int64(readings["reading_ts"])
        end = start + _to_int64(readings["interval_seconds"]) * 1_000_000
        series, codes = find_series(readings)
        self._note_spans(readings, series, codes, start)
        self._note_channels(readings, series, codes)
        self._guard.add(readings, series, codes, start)
        group = np.array([zlib.crc32("\0".join(one).encode()) % GROUPS for one in series], dtype=np.int64)
        keys = group[codes] * _SPANS + start // SPAN_US + _SPANS // 2
        across = np.flatnonzero((end - 1) // SPAN_US > start // SPAN_US)
        for step in range(int(((end - 1) // SPAN_US - start // SPAN_US).max())):
            self._bound.update((keys[across] + step).tolist())
        columns = [pa.array(np.full(count, part)), pa.array(np.arange(first, first + count))]
        for name, column in zip(("part", "ordinal"), columns, strict=True):
            readings = readings.append_column(name, column)
        self._readings.add(readings, keys)

    def _note_spans(
        self, readings: pa.Table, series: list[tuple[str, str]], codes: Ints, start: Ints
    ) -> None:
        least, most = (
            np.full(len(series), np.iinfo(np.int64).max),
            np.full(len(series), np.iinfo(np.int64).min),
        )
        np.minimum.at(least, codes, start)
        np.maximum.at(most, codes, start)
        for one, low, high in zip(series, least.tolist(), most.tolist(), strict=True):
            before = self.spans.get(one, (low, high))
            self.spans[one] = (min(before[0], low), max(before[1], high))
        newest = int(_to_int64(readings["source_version"]).max())
        self.newest_us = newest if self.newest_us is None else max(self.newest_us, newest)
        for name in _MAY_BE_LEFT_EMPTY:
            if pc.any(pc.equal(readings[name], "")).as_py():
                self.left_empty.add(name)

    def _note_channels(self, readings: pa.Table, series: list[Series], codes: Ints) -> None:
        channels = pc.dictionary_encode(flat(readings["channel"]))
        names = channels.dictionary.to_pylist()
        for pair in np.unique(codes * len(names) + _to_int64(channels.indices)).tolist():
            one, other = divmod(pair, len(names))
            self._channels.add((*series[one], names[other]))

    def _refuse_conflicts(self, format: str, conflicts: "_Conflicts") -> RefusedFile:
        where = f"; another table begins on line {self._second_table}" if self._second_table else ""
        reason = (
            f"{conflicts.count} rows contradict another row for the same interval of the same register, the "
            f"first on line {conflicts.line}{where}"
        )
        return self._refuse(format, self._second_table or conflicts.line, "MAP-CONFLICT", reason)

    def _refuse_dial(self, format: str, dials: dict[Series, DialFinding]) -> RefusedFile:
        (identifier, register), finding = min(dials.items(), key=lambda item: item[1].line)
        reason = f"{finding.reason}, in register {register!r} of {identifier!r}"
        return self._refuse(format, finding.line, "MAP-DIAL", reason)

    def _refuse(self, format: str, line: int | None, rule: str, reason: str) -> RefusedFile:
        error = refuse(self.path, line, rule, reason)
        error.format = format
        return error

    def _refuse_empty(self, format: str) -> RefusedFile:
        count = self._rejected.num_rows
        if not count:
            return self._refuse(format, 1, "FILE-NO-DATA", "the file holds no reading")
        some = next(self._rejected.tables())
        first = some.slice(0, 1).to_pylist()[0]
        reason = (
            f"no reading is left: {count} rows are rejected, the first by {first['rule']}: {first['reason']}"
        )
        error = self._refuse(format, first["line"], "FILE-NOTHING-LEFT", reason)
        error.rejected = some
        return error


@dataclasses.dataclass
class _Conflicts:
    """Counts the rows that contradict a row of the same interval, and the readings that are kept."""

    count: int = 0
    line: int | None = None
    _kept: int = 0

    def add(self, kept: pa.Table, replaced: pa.Table) -> None:
        """Count the rows of one part."""
        # Members of an archive have no version: their rows contradict each other like those of one text.
        is_conflict = pc.or_(
            pc.is_in(replaced["rule"], pa.array(["VEE-CONFLICT", "VEE-OVERLAP"])),
            pc.equal(replaced["reason"], f"replaced by {BY_PART}"),
        )
        lines = replaced.filter(is_conflict)["line"]
        self._kept += kept.num_rows
        self.count += len(lines)
        found = [line for line in (self.line, pc.min(lines).as_py()) if line is not None]
        self.line = min(found, default=None)

    def are_many(self, *, has_tables: bool) -> bool:
        """Whether so many rows contradict others that the readings cannot be what they are declared to be."""
        if has_tables and self.count >= MIN_CONFLICTS_OF_TABLES:
            return True
        return self.count >= MIN_CONFLICTS and self.count >= CONFLICTS_SHARE * self._kept


def wrap_in_part(parsed: ParsedFile) -> FileInParts:
    """Wrap readings that are in memory, and not from a file, as one part."""
    series = parsed.readings.group_by(["identifier", "register"], use_threads=False).aggregate([])
    spans = {(row["identifier"], row["register"]): (0, 0) for row in series.to_pylist()}
    return FileInParts(
        parsed.path, parsed.format, parsed.content_hash, parsed.source_version, spans, frozenset(),
        parsed.register_reads, lambda kept=(): iter([parsed]),
    )  # fmt: skip


def join_parts(file: FileInParts) -> ParsedFile:
    """Join all parts of a file in memory."""
    parts = list(file.parts())
    return dataclasses.replace(
        parts[0],
        skipped=sum((part.skipped for part in parts), Counter()),
        readings=pa.concat_tables(part.readings for part in parts).combine_chunks(),
        rejected=pa.concat_tables(part.rejected for part in parts),
    )


def _restore_file_order(waiting: pa.Table) -> tuple[pa.Table, Ints]:
    """Sort readings by their place in the file; return them and the part of each."""
    waiting = waiting.combine_chunks()
    ordinal = _to_int64(waiting["ordinal"])
    if (ordinal[1:] < ordinal[:-1]).any():
        waiting = waiting.take(pa.array(np.argsort(ordinal)))
    return waiting.select(PARSED.names), _to_int64(waiting["part"])


def _reject_dials(kept: pa.Table, dials: Mapping[Series, DialFinding]) -> tuple[pa.Table, pa.Table]:
    """Return (the readings that are energy, the others as rejected rows)."""
    return _reject_registers(kept, "ROW-CUMULATIVE", "reads of a dial and no energy", dials)


def _reject_sums(kept: pa.Table, sums: Mapping[Series, SumFinding]) -> tuple[pa.Table, pa.Table]:
    """Return (the readings that count once, those of registers that repeat others as rejected rows)."""
    return _reject_registers(kept, "ROW-SUM", "the register counts what others count", sums)


def _reject_registers(
    kept: pa.Table, rule: str, what: str, findings: Mapping[Series, DialFinding | SumFinding]
) -> tuple[pa.Table, pa.Table]:
    rejections = Rejections()
    if not findings:
        return kept, rejections.take()
    series, codes = find_series(kept)
    wanted = np.array([one in findings for one in series], dtype=np.bool_)
    is_wrong = wanted[codes]
    rows = np.flatnonzero(is_wrong)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    for own in np.split(rows, np.flatnonzero(np.diff(codes[rows])) + 1):
        if len(own):
            reason = f"{what}: {findings[series[codes[own[0]]]].reason}"
            rejections.add_readings(kept.take(pa.array(own)), rule, reason)
    return kept.filter(pa.array(~is_wrong)), rejections.take()


def _to_int64(column: pa.ChunkedArray | pa.Array) -> Ints:
    return np.asarray(flat(column.cast(pa.int64())).to_numpy(zero_copy_only=False), dtype=np.int64)


def _to_instant(microseconds: int) -> datetime.datetime:
    instant: datetime.datetime = pa.scalar(microseconds, TIMESTAMP).as_py()
    return instant
