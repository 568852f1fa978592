"""Rows of a file that may be larger than memory: in memory up to a limit, beyond it in a temporary file.

Here: rows with keys, returned in groups of adjacent keys. Not here: the meaning of a key.
"""

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# Limit of rows in memory. While they are judged and stored, rows take some ten times their size.
MEMORY_BYTES = 24 << 20

Ints = npt.NDArray[np.int64]
# The place of a batch in the file, and its rows.
_Run = tuple[int, int]


class Spill:
    """Tables of one schema, returned in order of key, and within a key in the order of arrival.

    Small files never touch the disk: `tables` then yields all rows at once, in the order of arrival. The
    temporary file has no name and disappears with the object. Add all rows before you ask for the first.
    """

    def __init__(self, schema: pa.Schema, memory_bytes: int = MEMORY_BYTES) -> None:
        self.schema = schema
        self.num_rows = 0
        self._memory_bytes = memory_bytes
        self._waiting: list[tuple[pa.Table, Ints]] = []
        self._waiting_bytes = 0
        self._total_bytes = 0
        self._runs: defaultdict[int, list[_Run]] = defaultdict(list)
        self._batches = 0
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._reader: pa.ipc.RecordBatchFileReader | None = None

    def add(self, rows: pa.Table, keys: Ints) -> None:
        """Add rows of the schema, each with a key."""
        if rows.num_rows:
            self.num_rows += rows.num_rows
            self._waiting.append((rows, keys))
            self._waiting_bytes += rows.nbytes
            self._total_bytes += rows.nbytes
            if self._waiting_bytes > self._memory_bytes:
                self._write()

    def tables(self) -> Iterator[pa.Table]:
        """Yield all rows, in tables of about the memory limit; a larger key comes in several tables."""
        self._close()
        return self._tables([run] for key in sorted(self._runs) for run in self._runs[key])

    def whole_keys(self, bound: Collection[int] = ()) -> Iterator[pa.Table]:
        """Yield the same with each key in one table, and a key of `bound` in one table with the next key."""
        self._close()
        return self._tables(_join_bound(self._runs, bound))

    def _close(self) -> None:
        """End the adding of rows."""
        if self._writer is not None and self._reader is None:
            if self._waiting:
                self._write()
            self._writer.close()
            self._file.seek(0)
            self._reader = pa.ipc.open_file(self._file)

    def _tables(self, units: Iterable[list[_Run]]) -> Iterator[pa.Table]:
        if self._reader is None:
            yield pa.concat_tables([self.schema.empty_table(), *(rows for rows, _ in self._waiting)])
            return
        limit = max(1, self.num_rows * self._memory_bytes // self._total_bytes)
        for runs in _group_units(units, limit):
            # The work on the previous table left holes, which would grow to twice the memory in use.
            pa.default_memory_pool().release_unused()
            yield pa.Table.from_batches([self._reader.get_batch(place) for place, _ in runs], self.schema)

    def _write(self) -> None:
        """Write the waiting rows to the file, one batch for each key."""
        if self._writer is None:
            self._file = tempfile.TemporaryFile(prefix="myproperty-")  # noqa: SIM115
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_file(self._file, self.schema, options=options)
        rows = pa.concat_tables(rows for rows, _ in self._waiting)
        keys = np.concatenate([keys for _, keys in self._waiting])
        self._waiting, self._waiting_bytes = [], 0
        order = np.argsort(keys, kind="stable")
        rows, keys = rows.take(pa.array(order)).combine_chunks(), keys[order]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
            batch = rows.slice(start, end - start).to_batches()[0]
            self._writer.write_batch(batch)
            self._runs[int(keys[start])].append((self._batches, batch.num_rows))
            self._batches += 1
        pa.default_memory_pool().release_unused()


def _join_bound(runs_of: dict[int, list[_Run]], bound: Collection[int]) -> Iterator[list[_Run]]:
    """Yield the runs of each key, with those of the next key if both are bound."""
    unit: list[_Run] = []
    for key in sorted(runs_of):
        unit += runs_of[key]
        if key not in bound or key + 1 not in runs_of:
            yield unit
            unit = []


def _group_units(units: Iterable[list[_Run]], limit: int) -> Iterator[list[_Run]]:
    """Yield consecutive units in groups of at most `limit` rows, or of one larger unit."""
    group: list[_Run] = []
    rows = 0
    for unit in units:
        own = sum(count for _, count in unit)
        if group and rows + own > limit:
            yield group
            group, rows = [], 0
        group += unit
        rows += own
    if group:
        yield group
