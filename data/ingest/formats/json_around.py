"""Values that stand around the rows of a document: before them, or behind them.

Here: the rows that wait until such a value comes, or until the object that may have it ends. Not here: paths
(`mapped_json`).
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.ingest.formats.container import refuse

# Rows that are held in memory.
MAX_WAITING_ROWS = 400_000

Row = dict[str | int, Any]


@dataclass
class Around:
    """The values around the rows that are read now, by column.

    `ends` has the columns of each object that ends with its path: the next object has values of its own.
    """

    path: Path
    ends: Mapping[str, Collection[str | int]]
    _known: Row = field(default_factory=dict)
    # Rows in their order, each with the columns that it lacks.
    _waiting: deque[tuple[Row, set[str | int]]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._columns = {column for columns in self.ends.values() for column in columns}

    def take(self, column: str | int, value: Any) -> Iterator[Row]:
        """Note a value; yield the rows that waited for it. Raises `RefusedFile` if too many wait."""
        self._known[column] = value
        for row, lacking in self._waiting:
            if column in lacking:
                row[column] = value
        yield from self._release({column})

    def end(self, key: str) -> Iterator[Row]:
        """Forget the values of an object that ends; yield the rows that waited for them in vain."""
        ended = set(self.ends.get(key, ()))
        for column in ended:
            self._known.pop(column, None)
        yield from self._release(ended)

    def add(self, row: Row) -> Iterator[Row]:
        """Yield a row with the values around it, now or when they have come."""
        lacking = self._columns - self._known.keys()
        row = self._known | row
        if not lacking and not self._waiting:
            yield row
            return
        self._waiting.append((row, lacking))
        if len(self._waiting) > MAX_WAITING_ROWS:
            names = ", ".join(map(repr, sorted(lacking, key=str)))
            reason = f"more than {MAX_WAITING_ROWS:,} rows stand before {names}, which is around them"
            raise refuse(self.path, None, "FILE-TOO-LARGE", reason)

    def _release(self, columns: Collection[str | int]) -> Iterator[Row]:
        if not columns or not self._waiting:
            return
        for _, lacking in self._waiting:
            lacking.difference_update(columns)
        while self._waiting and not self._waiting[0][1]:
            yield self._waiting.popleft()[0]
