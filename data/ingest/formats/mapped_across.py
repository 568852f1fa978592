"""Tables whose columns are days or times: each cell becomes a row, which is read as that of any other table.

Here: the header with the dates, and rows to cells. Not here: the meaning of a cell (`mapped_csv`). A column
whose name is no date, such as a total, is left out.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import Mask, Rejections, parse_instants, split_lines, to_mask
from data.ingest.formats.container import refuse
from data.ingest.formats.mapped_layout import (
    HEADER_LINES,
    Layout,
    locate_columns,
    normalize_name,
    read_head,
    skip_lines,
    split_fields,
)
from data.ingest.formats.mapped_table import FindTitle, RowTable, split_rows
from data.ingest.formats.mapped_tables import SKIPPED_HEADER
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.mapping_columns import ABOVE, CELL
from data.ingest.formats.mapping_shapes import OFFSET_FORMATS
from data.ingest.formats.wallclock import Ints, TimeFormats

# A year of quarter-hours has some 35,000 of them.
MAX_DATES = 40_000
# Rows that are turned together: what stands before the cells is repeated for each of them.
CELLS_TOGETHER, MAX_LEAD_CHARS = 1 << 16, 300
_EPOCH = r"^[0-9]{10}([0-9]{3})?$"


class Across:
    """A table whose columns from a place on have a date for a name.

    `layout` is that of the rows which `split` makes of its cells.
    """

    def __init__(
        self, path: Path, mapping: CsvMapping, header: list[str], line: int, above: list[str]
    ) -> None:
        assert mapping.across is not None
        first = mapping.across - 1
        names = list(map(normalize_name, header))
        self._path = path
        self._names = names
        self._places = [place for place in _list_dated(header, mapping) if place >= first]
        self._dates = [header[place].strip() for place in self._places]
        if len(self._places) > MAX_DATES:
            reason = f"the header has {len(self._places):,} dates, more than {MAX_DATES:,}"
            raise refuse(path, line, "FILE-TOO-LARGE", reason)
        self._shapes = mapping.timestamp_format or mapping.date_shapes
        lead = [*names[:first], ABOVE, CELL]
        self.layout = Layout(mapping, lead, locate_columns(path, line, lead, mapping), above)
        self._wide = Layout(mapping, names, {ABOVE: self._places[-1]}, above)
        self._used = {place for place in self.layout.places.values() if place < first} | {0}
        self._first = first
        self._has_sections = bool(mapping.sections)
        self._skipped: Counter[str] = Counter()

    def take_skipped(self) -> Counter[str]:
        """Return how many rows were dropped since the last call, by reason."""
        skipped, self._skipped = self._skipped, Counter()
        return skipped

    def split(
        self, block: bytes, line: int, rejections: Rejections, find_title: FindTitle
    ) -> Iterator[RowTable]:
        """Yield the cells of a block that starts on `line` as rows, some at a time.

        Raises `RefusedFile` if another header with dates begins.
        """
        rows, lines = split_rows(block, line, self._wide, rejections, find_title)
        gone = self._find_headers(rows, lines)
        rows = [row for row, is_gone in zip(rows, gone, strict=True) if not is_gone]
        numbers = np.array(lines, dtype=np.int64)[~gone]
        count = max(CELLS_TOGETHER // len(self._places), 1)
        for begin in range(0, max(len(rows), 1), count):
            yield self._turn(rows[begin : begin + count], numbers[begin : begin + count])

    def _turn(self, rows: list[list[str]], lines: Ints) -> RowTable:
        of_row = pa.array(np.repeat(np.arange(len(rows)), len(self._places)))
        columns = []
        for place in range(self._first):
            texts = [row[place] if place in self._used else "" for row in rows]
            texts = [text if len(text) <= MAX_LEAD_CHARS else "" for text in texts]
            columns.append(pa.array(texts, pa.string()).take(of_row))
        # The title of a section stands above no day.
        are_titles = [self._has_sections and not any(row[place] for place in self._places) for row in rows]
        above = ["" if is_title else date for is_title in are_titles for date in self._dates]
        columns.append(pa.array(above, pa.string()))
        columns.append(pa.array([row[place] for row in rows for place in self._places], pa.string()))
        strings = pa.table(columns, names=[str(place) for place in range(len(columns))])
        return RowTable(strings, np.repeat(lines, len(self._places)))

    def _find_headers(self, rows: list[list[str]], lines: list[int]) -> Mask:
        """Find the rows that repeat the header; refuse a header with other dates."""
        assert self._shapes is not None
        texts = pa.array([row[self._places[0]].strip() for row in rows], pa.string())
        if self.layout.mapping.month is not None:
            # The day of a month may be a value too.
            found = np.array([list(map(normalize_name, row)) == self._names for row in rows], dtype=np.bool_)
        else:
            found = _are_times(texts, self._shapes)
        for row in np.flatnonzero(found):
            if list(map(normalize_name, rows[row])) != self._names:
                reason = "another table begins here, with other dates above its cells"
                raise refuse(self._path, lines[row], "MAP-TABLE", reason)
            self._skipped[SKIPPED_HEADER] += 1
        return found


def find_across(path: Path, blocks: Iterator[bytes], mapping: CsvMapping) -> tuple[Across, bytes, int]:
    """Find the header with the dates; return the table, the text below it that was read, and its line.

    Raises `RefusedFile` if the file lacks a column of the mapping, or the dates.
    """
    assert mapping.across is not None
    head = read_head(blocks, mapping)
    lines = list(split_lines(head))
    first, skip = mapping.across - 1, mapping.skip_lines
    wanted = {normalize_name(one) for one in mapping.list_columns() if isinstance(one, str)} - {ABOVE, CELL}
    for line, text in enumerate(lines[skip : skip + HEADER_LINES], skip + 1):
        header = split_fields(text, mapping.delimiter)
        if wanted <= {*map(normalize_name, header[:first])} and first in _list_dated(header, mapping):
            return Across(path, mapping, header, line, lines[:line]), skip_lines(head, line), line + 1
    columns = "".join(f"{name!r}, " for name in sorted(wanted))
    form = mapping.timestamp_format or mapping.date_shapes
    reason = f"the first lines do not contain {columns}and a date {form!r} in column {mapping.across}"
    raise refuse(path, skip + 1, "MAP-COLUMNS", reason)


def _list_dated(header: list[str], mapping: CsvMapping) -> list[int]:
    """Return the places of the names that are dates of the declared form."""
    shapes = mapping.timestamp_format or mapping.date_shapes
    assert shapes is not None
    names = pa.array([name.strip().strip("\ufeff") for name in header], pa.string())
    return [int(place) for place in np.flatnonzero(_are_times(names, shapes))]


def _are_times(texts: pa.Array, shapes: str | tuple[str, ...]) -> Mask:
    if shapes == "iso8601":
        is_like = to_mask(pc.match_substring_regex(texts, r"^[0-9]{4}-"))
        found, bad = parse_instants(pc.if_else(pa.array(is_like), texts, pa.scalar(None, pa.string())))
        return is_like & ~bad & to_mask(pc.is_valid(found))
    if shapes in OFFSET_FORMATS:
        return to_mask(pc.match_substring_regex(texts, _EPOCH))
    return ~TimeFormats(shapes).parse(texts)[1]
