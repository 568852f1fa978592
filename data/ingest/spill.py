"""Rows of a file that may be larger than memory: kept there up to a bound, beyond it in a temporary file.

Here: rows under keys, given back a group of neighbouring keys at a time. Not here: what a key means.
"""

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# What is held at once. Rows that are judged and stored take some ten times this before they are gone.
MEMORY_BYTES = 24 << 20

Ints = npt.NDArray[np.int64]
# The place of a batch in the file, and its rows.
_Run = tuple[int, int]


class Spill:
    """Tables of one schema, whose rows come back in order of key and within a key in the order they came.

    Small files never touch the disk: `tables` then gives all rows at once, as they came. The temporary file
    has no name and is gone with the object. All rows are added before the first is asked for.
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
        """Take rows of the schema, with a key each."""
        if rows.num_rows:
            self.num_rows += rows.num_rows
            self._waiting.append((rows, keys))
            self._waiting_bytes += rows.nbytes
            self._total_bytes += rows.nbytes
            if self._waiting_bytes > self._memory_bytes:
                self._write()

    def tables(self) -> Iterator[pa.Table]:
        """All rows, in tables of about the size that is held at once; a larger key comes in several."""
        self._close()
        return self._tables([run] for key in sorted(self._runs) for run in self._runs[key])

    def whole_keys(self, bound: Collection[int] = ()) -> Iterator[pa.Table]:
        """The same with every key in one table, and a key of `bound` in one with the next number after it."""
        self._close()
        return self._tables(_whole(self._runs, bound))

    def _close(self) -> None:
        """Nothing is added any more."""
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
        for runs in _grouped(units, limit):
            # What was done with the last table left holes, which grow to twice of what is in use.
            pa.default_memory_pool().release_unused()
            yield pa.Table.from_batches([self._reader.get_batch(place) for place, _ in runs], self.schema)

    def _write(self) -> None:
        """Write what waits to the file, a batch for each key of it."""
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


def _whole(runs_of: dict[int, list[_Run]], bound: Collection[int]) -> Iterator[list[_Run]]:
    """The runs of each key, with those of the next where the key is bound to it."""
    unit: list[_Run] = []
    for key in sorted(runs_of):
        unit += runs_of[key]
        if key not in bound or key + 1 not in runs_of:
            yield unit
            unit = []


def _grouped(units: Iterable[list[_Run]], limit: int) -> Iterator[list[_Run]]:
    """Units one after the other in groups of at least one, and of at most `limit` rows where they fit."""
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
