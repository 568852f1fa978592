"""Which of several rows for one interval holds, when one file gives more than one.

Here: the newest version wins, then the later part of the file, then the later line; the others are
listed, so that nothing is summed twice and nothing vanishes. Not here: what an earlier file said, which
the load decides by rank and version.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.rules.table import RULES
from data.ingest.schema import REJECTED

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Keys:
    """Per row: the register it is of, start and end (microseconds), and what decides between rows."""

    series: Ints
    start: Ints
    end: Ints
    version: Ints
    part: Ints


def keep_latest(readings: pa.Table, parts: Ints) -> tuple[pa.Table, pa.Table]:
    """(one row per register and start, without overlaps; the rows that gave way, schema `REJECTED`).

    `parts` has a part for each row of `readings`; rows of one part are in file order. Rows that say the
    same as the one kept are dropped without a word.
    """
    keys = _keys(readings, parts)
    if _is_strictly_ascending(keys):
        return readings, REJECTED.empty_table()
    order = np.lexsort((np.arange(len(parts)), keys.part, keys.version, keys.start, keys.series))
    winner = _winners(keys, order)
    kept = order[winner == order]
    survivors, overlapped_by = _without_overlaps(keys, kept)
    losers = order[winner != order]
    told = [
        _tell_replaced(readings, keys, losers, winner[winner != order]),
        _tell(readings, np.array(sorted(overlapped_by), dtype=np.int64), "VEE-OVERLAP", "another record"),
    ]
    return readings.take(pa.array(np.sort(survivors))), pa.concat_tables(told)


def _keys(readings: pa.Table, parts: Ints) -> _Keys:
    identifier = pc.dictionary_encode(readings["identifier"].combine_chunks())
    register = pc.dictionary_encode(readings["register"].combine_chunks())
    series = _codes(identifier) * max(len(_array(register).dictionary), 1) + _codes(register)
    start = _int64(readings["reading_ts"])
    seconds = _int64(readings["interval_seconds"])
    return _Keys(series, start, start + seconds * 1_000_000, _int64(readings["source_version"]), parts)


def _array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _codes(column: pa.Array | pa.ChunkedArray) -> Ints:
    return np.asarray(_array(column).indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _int64(column: pa.ChunkedArray) -> Ints:
    return np.asarray(_array(column.cast(pa.int64())).to_numpy(zero_copy_only=False), dtype=np.int64)


def _is_strictly_ascending(keys: _Keys) -> bool:
    """Whether no two rows can meet, seen without a sort: the usual file."""
    if len(keys.series) < 2:
        return True
    same = keys.series[1:] == keys.series[:-1]
    if (same & (keys.start[1:] < keys.end[:-1])).any():
        return False
    # Each register must stand in one piece.
    changes = int(np.count_nonzero(~same))
    return changes + 1 == len(np.unique(keys.series))


def _winners(keys: _Keys, order: Ints) -> Ints:
    """For each place of `order` the row that holds for its register and start: the last of its group."""
    series, start = keys.series[order], keys.start[order]
    ends_group = np.ones(len(order), dtype=np.bool_)
    ends_group[:-1] = (series[1:] != series[:-1]) | (start[1:] != start[:-1])
    last = np.flatnonzero(ends_group)
    return order[last[np.searchsorted(last, np.arange(len(order)))]]


def _without_overlaps(keys: _Keys, kept: Ints) -> tuple[Ints, set[int]]:
    """Drops the older of two rows whose intervals overlap. `kept` is sorted by register and start."""
    dropped: set[int] = set()
    while len(kept) > 1:
        # Ends are made to grow from register to register, so that one running maximum serves all.
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
        is_newer = _is_newer(keys, kept[clash], kept[before])
        losers = np.unique(np.where(is_newer, before, clash))
        dropped.update(int(row) for row in kept[losers])
        kept = np.delete(kept, losers)
    return kept, dropped


def _is_newer(keys: _Keys, rows: Ints, others: Ints) -> Mask:
    version, other_version = keys.version[rows], keys.version[others]
    part, other_part = keys.part[rows], keys.part[others]
    later = (part > other_part) | ((part == other_part) & (rows > others))
    return np.asarray((version > other_version) | ((version == other_version) & later), dtype=np.bool_)


def _tell_replaced(readings: pa.Table, keys: _Keys, losers: Ints, winners: Ints) -> pa.Table:
    """The rows that another row of the same start replaced, unless both say the same."""
    same = np.ones(len(losers), dtype=np.bool_)
    old, new = readings.take(pa.array(losers)), readings.take(pa.array(winners))
    for name in ("value", "unit", "interval_seconds", "quality", "quality_method", "reason_code"):
        equal = pc.fill_null(pc.equal(old[name], new[name]), False)
        both_null = pc.and_(pc.is_null(old[name]), pc.is_null(new[name]))
        same &= _array(pc.or_(equal, both_null)).to_numpy(zero_copy_only=False).astype(np.bool_)
    is_version = (keys.version[losers] != keys.version[winners]) | (keys.part[losers] != keys.part[winners])
    return pa.concat_tables(
        [
            _tell(readings, losers[~same & is_version], "VEE-SUPERSEDED", "a later version"),
            _tell(readings, losers[~same & ~is_version], "VEE-CONFLICT", "a later row of the same version"),
        ]
    )


def _tell(readings: pa.Table, rows: Ints, rule: str, by: str) -> pa.Table:
    given_way = readings.take(pa.array(rows, type=pa.int64()))
    count = given_way.num_rows
    own = {
        "rule": pa.array([rule] * count, pa.string()),
        "severity": pa.array([RULES[rule].severity] * count, pa.string()),
        "reason": pa.array([f"replaced by {by} in the same file"] * count, pa.string()),
        "raw_text": pa.nulls(count, pa.string()),
    }
    return pa.table(
        {name: own.get(name, given_way[name] if name not in own else None) for name in REJECTED.names},
        schema=REJECTED,
    )
