"""Rows that a reader finds one by one, as columns: for the formats whose rows are parts of longer records.

Not here: the checks of a row (`assemble`).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from data.ingest.formats.assemble import UncheckedRows, assemble_batch, normalize_units
from data.ingest.formats.columns import Batch, Rejections

BATCH_ROWS = 65_536


class Row(NamedTuple):
    """One value: `start_us` in microseconds UTC; of the read of a dial it is the instant, and `seconds` 0."""

    line: int
    identifier: str | None
    register: str
    channel: str
    unit: str
    start_us: int
    seconds: int
    value: str | None
    quality: str = "actual"


@dataclass
class RowLists:
    """Collects rows until a batch is full."""

    rows: list[Row] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether there are rows for a batch."""
        return len(self.rows) >= BATCH_ROWS

    def take_batch(self, rejections: Rejections, part: int) -> Batch:
        """Return the rows as readings, with the rejected ones, and forget them."""
        rows, self.rows = self.rows, []
        columns = list(zip(*rows, strict=True)) or [()] * len(Row._fields)
        texts = {
            name: pa.array(columns[place], pa.string())
            for place, name in enumerate(Row._fields)
            if name not in ("line", "start_us", "seconds")
        }
        line, start_us, seconds = (np.array(columns[place], dtype=np.int64) for place in (0, 5, 6))
        unchecked = UncheckedRows(
            line=line,
            identifier=texts["identifier"],
            register=texts["register"],
            channel=texts["channel"],
            unit=normalize_units(texts["unit"]),
            start_us=start_us,
            seconds=seconds,
            value=texts["value"],
            quality=texts["quality"],
        )
        return assemble_batch(unchecked, lambda row: rows[row].value or "", rejections, part)
