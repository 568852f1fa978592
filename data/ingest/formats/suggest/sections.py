"""The sections of a file: tables with the same columns, one below the other, for the same times.

Here: where each begins and what tells them apart. Not here: the meaning of their titles (`meaning`). Pages of
one table are no sections: their times do not repeat.
"""

import re
from collections.abc import Sequence

from data.ingest.formats.suggest.date_formats import find_formats, is_dated

MAX_SECTIONS = 12
# A title with a date names a day of one table. A code such as 1-1:2.9.0 is not a date.
_DATE = re.compile(r"[0-9]{4}[-./][0-9]{1,2}[-./][0-9]{1,2}|[0-9]{1,2}[-./][0-9]{1,2}[-./][0-9]{2,4}")
Row = Sequence[str]


def find_sections(rows: Sequence[Row], header: Row) -> tuple[list[str], int]:
    """Return (the words that tell the sections apart, the place of the second header), if there are any."""
    headers = [place for place, row in enumerate(rows) if _is_header(row, header)]
    if not 2 <= len(headers) <= MAX_SECTIONS or not _repeat_times(rows, headers):
        return [], 0
    titles = [_strip(rows[place]) for place in headers]
    if len({tuple(title) for title in titles}) == 1:
        # The title stands in the line above.
        titles = [_strip(rows[place - 1]) if place else [] for place in headers]
    for cells in zip(*titles, strict=False):
        if "" not in cells and len(set(cells)) == len(cells) and not any(map(_DATE.search, cells)):
            return list(cells), headers[1]
    return [], 0


def _strip(row: Row) -> list[str]:
    return [cell.strip() for cell in row]


def _is_header(row: Row, header: Row) -> bool:
    """Whether a row is the header, or one that differs in some columns."""
    if len(row) != len(header) or any(map(is_dated, row)):
        return False
    pairs = [(one.strip().lower(), other.strip().lower()) for one, other in zip(row, header, strict=True)]
    named = [pair for pair in pairs if pair[1]]
    return bool(named) and 2 * sum(one == other for one, other in named) >= len(named)


def _repeat_times(rows: Sequence[Row], headers: list[int]) -> bool:
    """Whether the second table has rows of the times of the first one."""
    first = {_read_time(row) for row in rows[headers[0] : headers[1]]} - {()}
    second = next((row for row in rows[headers[1] + 1 :] if any(map(is_dated, row))), [])
    return _read_time(second) in first


def _read_time(row: Row) -> tuple[str, ...]:
    """Return the cells of a row that are a date or a time, none for a row without a date."""
    cells = _strip(row)
    if not any(map(is_dated, cells)):
        return ()
    clocks = (cell for cell in cells if ":" in cell and find_formats([cell], dates=False))
    return (*filter(is_dated, cells), *clocks)
