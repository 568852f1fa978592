"""Tables whose columns are days or times, as rows of a usual table, as `mapped_across` reads them.

Not here: the meaning of the columns, which is guessed as for any other table (`proposal`).
"""

import csv
import io
import re
from dataclasses import dataclass

from data.ingest.formats.mapped_layout import split_fields
from data.ingest.formats.mapping_columns import ABOVE, CELL
from data.ingest.formats.mapping_shapes import OFFSET_FORMATS
from data.ingest.formats.suggest.date_formats import find_formats, is_dated
from data.ingest.formats.suggest.month_days import count_days, find_month, write_day
from data.ingest.formats.suggest.sample import DELIMITERS
from data.ingest.formats.wallclock import TimeFormat

# A row of data has a date or two, and the time of the export a line of its own.
MIN_DATES = 3
_LINES_TRIED = 60
# The cells below the dates of these many rows show whether they are numbers.
_ROWS_BELOW = 4
# Enough for a year of hours, or for months of some meters.
MAX_CELLS = 40_000
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,' \u00a0\u202f]*")


@dataclass(frozen=True)
class AcrossText:
    """The place from 1 of the first column with a date, and the cells as CSV, day by day."""

    place: int
    delimiter: str
    text: str
    # The month of columns that are days, and the titles of tables one below the other.
    month: str | None = None
    sections: tuple[str, ...] = ()


def read_across(text: str, name: str = "") -> AcrossText | None:
    """Return the table of a text whose columns are days or times, None for any other text.

    The lines above it, or its `name`, state the month of columns that are days.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    for delimiter in DELIMITERS:
        for number, line in enumerate(lines[:_LINES_TRIED]):
            header = [name.strip() for name in split_fields(line, delimiter)]
            below = [split_fields(row, delimiter) for row in lines[number + 1 : number + 1 + _ROWS_BELOW]]
            # Numbers above rows with dates are meters.
            is_counted = count_days(header) and not any(is_dated(cell) for row in below for cell in row[:2])
            month = find_month([*lines[:number], name]) if is_counted else None
            if month is not None:
                header = [write_day(month, one) for one in header]
            places = _list_dated(header)
            if places and any(map(_NUMBER.fullmatch, _take(below, places))):
                rows = [split_fields(row, delimiter) for row in lines]
                sections, end = _find_sections(rows, number)
                table = _write(header, places, rows[number + 1 : end], rows[:number])
                return AcrossText(places[0] + 1, delimiter, table, month, sections)
    return None


def _find_sections(rows: list[list[str]], header: int) -> tuple[tuple[str, ...], int]:
    """Return (the titles of the tables with this header, the end of the first one), if there are several."""
    again = [n for n, row in enumerate(rows) if row == rows[header]]
    titles = [next((cell.strip() for cell in rows[n - 1] if cell.strip()), "") for n in again if n]
    if len(again) < 2 or len(set(titles)) < len(again) or not all(titles):
        return (), len(rows)
    return tuple(titles), again[1] - 1


def _list_dated(header: list[str]) -> list[int]:
    """Return the places of the columns that are named by a date: most of the columns behind the first one."""
    first = next((place for place, name in enumerate(header) if is_dated(name)), None)
    if first is None or not all(map(is_dated, header[first : first + MIN_DATES])):
        return []
    forms = find_formats(header[first : first + MIN_DATES], dates=True)
    known = [TimeFormat(form) for form in forms if form not in OFFSET_FORMATS]
    places = [
        place
        for place in range(first, len(header))
        if any(form.matches(header[place]) for form in known) or (not known and is_dated(header[place]))
    ]
    is_table = len(places) >= MIN_DATES and 2 * len(places) >= len(header) - first
    return places if forms and is_table and 2 * len({header[n] for n in places}) > len(places) else []


def _take(rows: list[list[str]], places: list[int]) -> list[str]:
    return [row[place].strip() for row in rows for place in places if place < len(row)]


def _write(header: list[str], places: list[int], rows: list[list[str]], above: list[list[str]]) -> str:
    """Write a row for each cell, day by day, so that the rows of a day follow each other."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    lead = places[0]
    writer.writerows(above)
    writer.writerow([*header[:lead], ABOVE, CELL])
    rows = [row for row in rows if len(row) > places[-1] and any(map(str.strip, row))]
    for place in places[: max(MAX_CELLS // max(len(rows), 1), MIN_DATES)]:
        writer.writerows([*row[:lead], header[place], row[place]] for row in rows)
    return text.getvalue()
