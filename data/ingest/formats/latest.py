"""Which row counts when one file has several rows for one interval.

Here: the better quality wins, then the newer version, then the later part of the file, then the later line,
as between files; the others are listed, so that nothing is summed twice and nothing is lost. Not here: rows
of earlier files, which the load compares.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.rules.table import RULES
from data.ingest.schema import QUALITIES, REJECTED

# What replaced a row, as its report says.
BY_QUALITY = "a value of better quality in the same file"
BY_VERSION = "a later version in the same file"
BY_PART = "a later part of the same file"
BY_ROW = "a later row of the same version in the same file"
BY_RECORD = "another record in the same file"
_RANK_OF_NULL = len(QUALITIES) - QUALITIES.index("null")
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Keys:
    """For each row: its register, start and end (microseconds), and what decides between rows."""

    series: Ints
    start: Ints
    end: Ints
    rank: Ints
    version: Ints
    part: Ints


def keep_latest(readings: pa.Table, parts: Ints) -> tuple[pa.Table, pa.Table]:
    """Return (one row per register and start, without overlaps; the replaced rows, schema `REJECTED`).

    `parts` has the part of each row of `readings`; rows of one part are in file order. Rows that equal the
    kept one are dropped without a report.
    """
    keys = _extract_keys(readings, parts)
    if _is_strictly_ascending(keys):
        return readings, REJECTED.empty_table()
    order = np.lexsort((np.arange(len(parts)), keys.part, keys.version, keys.rank, keys.start, keys.series))
    winner = _find_winners(keys, order)
    kept = order[winner == order]
    survivors, overlapped_by = _drop_overlaps(keys, kept)
    losers = order[winner != order]
    covered = np.array(sorted(overlapped_by), dtype=np.int64)
    is_empty = keys.rank[covered] == _RANK_OF_NULL
    replaced = [
        _report_replaced(readings, keys, losers, winner[winner != order]),
        _report_rows(readings, covered[is_empty], "VEE-SUPERSEDED", BY_QUALITY),
        _report_rows(readings, covered[~is_empty], "VEE-OVERLAP", BY_RECORD),
    ]
    return readings.take(pa.array(np.sort(survivors))), pa.concat_tables(replaced)


def _extract_keys(readings: pa.Table, parts: Ints) -> _Keys:
    identifier = pc.dictionary_encode(readings["identifier"].combine_chunks())
    register = pc.dictionary_encode(readings["register"].combine_chunks())
    series = _take_codes(identifier) * max(len(_flatten(register).dictionary), 1) + _take_codes(register)
    start = _to_int64(readings["reading_ts"])
    seconds = _to_int64(readings["interval_seconds"])
    version = _to_int64(readings["source_version"])
    return _Keys(series, start, start + seconds * 1_000_000, _rank_qualities(readings), version, parts)


def _rank_qualities(readings: pa.Table) -> Ints:
    """Return the rank of the quality of each row, the best one highest."""
    quality = pc.index_in(readings["quality"], pa.array(QUALITIES))
    return len(QUALITIES) - _to_int64(quality)


def _flatten(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _take_codes(column: pa.Array | pa.ChunkedArray) -> Ints:
    return np.asarray(_flatten(column).indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _to_int64(column: pa.ChunkedArray) -> Ints:
    return np.asarray(_flatten(column.cast(pa.int64())).to_numpy(zero_copy_only=False), dtype=np.int64)


def _is_strictly_ascending(keys: _Keys) -> bool:
    """Whether no two rows can overlap, found without a sort: the usual file."""
    if len(keys.series) < 2:
        return True
    same = keys.series[1:] == keys.series[:-1]
    if (same & (keys.start[1:] < keys.end[:-1])).any():
        return False
    # The rows of each register must be contiguous.
    changes = int(np.count_nonzero(~same))
    return changes + 1 == len(np.unique(keys.series))


def _find_winners(keys: _Keys, order: Ints) -> Ints:
    """Find for each place of `order` the row that counts for its register and start: the last one."""
    series, start = keys.series[order], keys.start[order]
    ends_group = np.ones(len(order), dtype=np.bool_)
    ends_group[:-1] = (series[1:] != series[:-1]) | (start[1:] != start[:-1])
    last = np.flatnonzero(ends_group)
    return order[last[np.searchsorted(last, np.arange(len(order)))]]


def _drop_overlaps(keys: _Keys, kept: Ints) -> tuple[Ints, set[int]]:
    """Drop the worse or older of two rows whose intervals overlap. `kept` is sorted by register and start."""
    dropped: set[int] = set()
    while len(kept) > 1:
        # Ends are shifted to grow from register to register, so that one running maximum serves all.
        _, series = np.unique(keys.series[kept], return_inverse=True)
        span = np.int64(keys.end[kept].max() - keys.start[kept].min() + 1)
        base = keys.start[kept].min()
        end = keys.end[kept] - base + series * span
        start = keys.start[kept] - base + series * span
        reach = np.maximum.accumulate(end)
        holder = np.maximum.accumulate(np.where(end == reach, np.arange(len(kept)), 0))
        clash = np.flatnonzero(start[1:] < reach[:-1]) + 1
        if not len(clash):
            break
        before = holder[clash - 1]
        wins = _wins_over(keys, kept[clash], kept[before])
        losers = np.unique(np.where(wins, before, clash))
        dropped.update(int(row) for row in kept[losers])
        kept = np.delete(kept, losers)
    return kept, dropped


def _wins_over(keys: _Keys, rows: Ints, others: Ints) -> Mask:
    """Whether each row counts instead of the other one: by rank, version, part, then place."""
    wins = rows > others
    for one in (keys.part, keys.version, keys.rank):
        wins = (one[rows] > one[others]) | ((one[rows] == one[others]) & wins)
    return np.asarray(wins, dtype=np.bool_)


def _report_replaced(readings: pa.Table, keys: _Keys, losers: Ints, winners: Ints) -> pa.Table:
    """Report the rows that another row of the same start replaced, unless both are equal."""
    same = np.ones(len(losers), dtype=np.bool_)
    old, new = readings.take(pa.array(losers)), readings.take(pa.array(winners))
    for name in ("value", "unit", "interval_seconds", "quality", "quality_method", "reason_code"):
        equal = pc.fill_null(pc.equal(old[name], new[name]), False)
        both_null = pc.and_(pc.is_null(old[name]), pc.is_null(new[name]))
        same &= _flatten(pc.or_(equal, both_null)).to_numpy(zero_copy_only=False).astype(np.bool_)
    is_rank = keys.rank[losers] != keys.rank[winners]
    is_version = keys.version[losers] != keys.version[winners]
    is_part = keys.part[losers] != keys.part[winners]
    reports = (
        ("VEE-SUPERSEDED", BY_QUALITY, is_rank),
        ("VEE-SUPERSEDED", BY_VERSION, ~is_rank & is_version),
        ("VEE-SUPERSEDED", BY_PART, ~is_rank & ~is_version & is_part),
        ("VEE-CONFLICT", BY_ROW, ~is_rank & ~is_version & ~is_part),
    )
    return pa.concat_tables(
        _report_rows(readings, losers[~same & mask], rule, by) for rule, by, mask in reports
    )


def _report_rows(readings: pa.Table, rows: Ints, rule: str, by: str) -> pa.Table:
    replaced = readings.take(pa.array(rows, type=pa.int64()))
    count = replaced.num_rows
    own = {
        "rule": pa.array([rule] * count, pa.string()),
        "severity": pa.array([RULES[rule].severity] * count, pa.string()),
        "reason": pa.array([f"replaced by {by}"] * count, pa.string()),
        "raw_text": pa.nulls(count, pa.string()),
    }
    return pa.table(
        {name: own.get(name, replaced[name] if name not in own else None) for name in REJECTED.names},
        schema=REJECTED,
    )
