"""Dials in a mapped CSV: the energy between two reads, and the reads themselves.

Here: reads in any order to differences. Not here: NEM13, which brings both reads of a difference (`nem13`),
or the comparison of stored reads with intervals (`rules.dials`). A read has no length: the interval of a
difference reaches from one read to the next one that the file has. The reason code is the method: DIFFERENCE,
RESET (the dial began again at zero) or ROLLOVER (it passed its last digit).
"""

import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import Batch, Mask, Rejections, to_mask
from data.ingest.formats.container import refuse
from data.ingest.formats.mapping_values import Value
from data.ingest.formats.wallclock import DAY_US, US, Ints
from data.ingest.schema import DECIMAL, PARSED, QUALITIES, REGISTER_READ, REJECTED
from data.ingest.spill import Spill

# Differences need the reads of a dial in order: those of one group are in memory, some 600 bytes each.
GROUPS = 1024
MAX_READS = 400_000
SKIPPED_FIRST = "the first read of a dial"
SKIPPED_EMPTY = "a dial without a read"
SKIPPED_SAME = "the same read of a dial again"


@dataclass(frozen=True)
class Windows:
    """The spans of the local day after which a counter begins again; with `is_end` a time ends its span."""

    zone: str
    hours: int
    is_end: bool

    def number(self, instants_us: Ints) -> Ints:
        """Return a number for each instant that is the same within one span."""
        local = pc.local_timestamp(pa.array(instants_us).cast(pa.timestamp("us", self.zone)))
        counted = np.asarray(local.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)
        return (counted - self.is_end) // (self.hours * 3600 * US)


@dataclass
class Dials:
    """Collects the reads of one column of dials; `finish` returns what lies between them."""

    path: Path
    value: Value
    part: int
    windows: Windows | None = None

    def __post_init__(self) -> None:
        self._reads = Spill(PARSED)
        self._skipped: Counter[str] = Counter()

    def add(self, batch: Batch) -> Batch:
        """Take the reads of a batch, which come as readings; return it with its rejected rows alone.

        A reading starts at the time of its read.
        """
        has_value = pc.is_valid(batch.readings["value"])
        reads = batch.readings.filter(has_value)
        self._skipped[SKIPPED_EMPTY] += batch.readings.num_rows - reads.num_rows
        names, codes = _name_series(reads)
        groups = np.array([zlib.crc32(name.encode()) % GROUPS for name in names], dtype=np.int64)
        self._reads.add(reads, groups[codes])
        return Batch(PARSED.empty_table(), batch.rejected, batch.part)

    def finish(self) -> Iterator[Batch]:
        """Yield the differences, the rejected ones, and the first read of each day and the last one.

        Raises `RefusedFile` if there are too many reads of one dial.
        """
        yield Batch(PARSED.empty_table(), REJECTED.empty_table(), self.part, skipped=self._skipped)
        for reads in self._reads.whole_keys():
            if reads.num_rows > MAX_READS:
                reason = f"the column {self.value.column!r} has more than {MAX_READS:,} reads of one dial"
                raise refuse(self.path, None, "FILE-TOO-LARGE", reason)
            if reads.num_rows:
                yield self._finish_group(reads.combine_chunks())

    def _finish_group(self, reads: pa.Table) -> Batch:
        reads, series, again = _sort_reads(reads)
        before = np.flatnonzero(series[1:] == series[:-1])
        skipped = Counter({SKIPPED_SAME: again, SKIPPED_FIRST: reads.num_rows - len(before)})
        rejections = Rejections()
        readings = self._subtract(reads, series, before, rejections)
        register_reads = self._build_register_reads(reads, series)
        return Batch(readings, rejections.take(), self.part, register_reads, skipped)

    def _subtract(self, reads: pa.Table, series: Ints, before: Ints, rejections: Rejections) -> pa.Table:
        """Return the differences between each read of `before` and the next one; reject the unknown ones."""
        old, new = reads.take(pa.array(before)), reads.take(pa.array(before + 1))
        energy = pc.subtract(new["value"], old["value"]).cast(DECIMAL)
        start, end = _to_us(old), _to_us(new)
        down = to_mask(pc.less(energy, Decimal(0)))
        contradicts = start == end
        begins = (
            down if self.windows is None else down | (self.windows.number(start) != self.windows.number(end))
        )
        energy, method, is_explained = self._explain_falls(energy, new["value"], begins & ~contradicts)
        fell = down & ~is_explained
        returned = _find_returns(reads, series, before, fell)
        bad = contradicts | fell | returned
        for index in np.flatnonzero(bad):
            row = int(index)
            was, now = old["value"][row].as_py(), new["value"][row].as_py()
            place = f"{was:f} on line {old['line'][row]}"
            reason = f"the dial rose from {place} to {now:f}, past the read from which it went down before"
            if contradicts[row]:
                reason = f"two reads of one time differ: {place} and {now:f}"
            elif fell[row]:
                reason = f"the dial went down from {place} to {now:f}"
            rejections.add(
                new["line"][row].as_py(),
                "ROW-DIAL",
                reason,
                f"{now:f}",
                identifier=new["identifier"][row].as_py(),
                register=new["register"][row].as_py(),
                reading_ts=old["reading_ts"][row].as_py(),
                unit=new["unit"][row].as_py(),
            )
        ranks = pa.array(QUALITIES)
        worst = pc.max_element_wise(pc.index_in(old["quality"], ranks), pc.index_in(new["quality"], ranks))
        own = {
            "reading_ts": old["reading_ts"],
            "interval_seconds": pa.array((end - start) // US).cast(pa.int32()),
            "value": energy,
            "quality": ranks.take(worst),
            "reason_code": method,
            "source_version": new["reading_ts"],
        }
        readings = pa.table({name: own.get(name, new[name]) for name in PARSED.names}, schema=PARSED)
        return readings.filter(pa.array(~bad))

    def _explain_falls(
        self, energy: pa.ChunkedArray, now: pa.ChunkedArray, down: Mask
    ) -> tuple[pa.ChunkedArray, pa.Array, Mask]:
        """Return (energy, method, is explained) where a fall is what the mapping declares."""
        method = np.where(down, "RESET" if self.value.resets else "ROLLOVER", "DIFFERENCE")
        if self.value.resets:
            return pc.if_else(pa.array(down), now, energy), pa.array(method), down
        if self.value.digits is None:
            return energy, pa.array(method), np.zeros(len(down), dtype=np.bool_)
        span = Decimal(10) ** self.value.digits
        risen = pc.add(energy, pa.scalar(span, pa.decimal128(13, 0))).cast(DECIMAL)
        is_small = to_mask(pc.less(risen, span / 2)) & down & to_mask(pc.less(now, span))
        return pc.if_else(pa.array(is_small), risen, energy), pa.array(method), is_small

    def _build_register_reads(self, reads: pa.Table, series: Ints) -> pa.Table:
        """Return the first read of each day and the last one of each series: enough to compare sums with."""
        day = _to_us(reads) // DAY_US
        is_kept = np.ones(len(series), dtype=np.bool_)
        is_kept[1:] = (series[1:] != series[:-1]) | (day[1:] != day[:-1])
        is_kept[:-1] |= series[1:] != series[:-1]
        is_kept[-1] = True
        kept = reads.filter(pa.array(is_kept))
        whole = pc.utf8_length(
            pc.replace_substring_regex(pc.cast(reads["value"], pa.string()), r"^-|\..*", "")
        )
        digits = self.value.digits or pc.max(whole).as_py()
        count = kept.num_rows
        own = {
            "serial_number": pc.coalesce(kept["serial_number"], kept["identifier"]),
            "read_at": kept["reading_ts"],
            "digits": pa.array([digits] * count, pa.int32()),
            "multiplier": pa.array([1] * count, pa.int32()),
            "source_version": kept["reading_ts"],
        }
        return pa.table(
            {name: own.get(name, kept[name] if name not in own else None) for name in REGISTER_READ.names},
            schema=REGISTER_READ,
        )


def _find_returns(reads: pa.Table, series: Ints, before: Ints, fell: Mask) -> Mask:
    """Find the rises past the highest read after a fall that nothing explains.

    If the fall was a fault, such a rise holds energy that was counted before; if the dial began again, it
    holds energy of its interval alone. Neither can be known.
    """
    returned = np.zeros(len(before), dtype=np.bool_)
    if not fell.any():
        return returned
    numbers = reads["value"].combine_chunks().cast(pa.float64()).to_numpy(zero_copy_only=False)
    for one in np.unique(series[before[fell]]):
        steps = np.flatnonzero(series[before] == one)
        highest = np.maximum.accumulate(numbers[before[steps]])
        old, new = numbers[before[steps]], numbers[before[steps] + 1]
        returned[steps] = (old < highest) & (new >= highest)
    return returned


def _name_series(reads: pa.Table) -> tuple[list[str], Ints]:
    """Return (the names of the series, the place of each row among them)."""
    names = pc.binary_join_element_wise(reads["identifier"], reads["register"], "\n").combine_chunks()
    encoded = pc.dictionary_encode(names)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return encoded.dictionary.to_pylist(), np.asarray(codes, dtype=np.int64)


def _to_us(readings: pa.Table) -> Ints:
    column = readings["reading_ts"].combine_chunks().cast(pa.int64())
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)


def _sort_reads(reads: pa.Table) -> tuple[pa.Table, Ints, int]:
    """Return (reads by series and time, the series of each, how many equal reads were dropped)."""
    _, series = _name_series(reads)
    order = np.lexsort((np.arange(len(series)), _to_us(reads), series))
    reads, series = reads.take(pa.array(order)), series[order]
    instants = _to_us(reads)
    same = np.zeros(len(series), dtype=np.bool_)
    same[1:] = (series[1:] == series[:-1]) & (instants[1:] == instants[:-1])
    if same.any():
        values = reads["value"].combine_chunks()
        same[1:] &= to_mask(pc.equal(values.slice(1), values.slice(0, len(values) - 1)))
    return reads.filter(pa.array(~same)), series[~same], int(np.count_nonzero(same))
