"""The layout of a mapped CSV: where the table starts, and in which place each column of the mapping stands.

Here: finding the header below titles and notes, and checking it against the mapping. Not here: reading rows
(`mapped_table`).
"""

import csv
import glob
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from data.ingest.formats.columns import split_lines
from data.ingest.formats.container import refuse
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.mapping_values import Day
from data.ingest.formats.narrow import narrow_text

# Exports put titles, addresses and notes above the header; below more lines starts another table.
HEADER_LINES = 100
# The header and everything above it: a longer head does not belong to a table.
HEAD_BYTES = 2 << 20
# Clocks are never put back by more than this.
LONGEST_CHANGE_MINUTES = 120


@dataclass(frozen=True)
class Layout:
    """The names of all columns (empty without a header), and the place of each column of the mapping.

    Columns that are joined have one place together. `above` has the lines above the rows, the header among
    them.
    """

    mapping: CsvMapping
    names: list[str]
    places: dict[str | int | tuple[str | int, ...], int]
    above: list[str] = field(default_factory=list)

    def find_place(self, field: str) -> int | None:
        """Return the place of a field of `mapping.columns`, None if the mapping has no such column."""
        column = getattr(self.mapping.columns, field)
        return None if column is None else self.places[column]

    def add_column(self, name: str | tuple[str | int, ...]) -> "Layout":
        """Return the layout of rows with a last column that the text does not have.

        It is the name of the text, a title, or what several columns have together.
        """
        place = len(self.names)
        return replace(self, names=[*self.names, str(name)], places=self.places | {name: place})

    def list_cells(self, day: Day) -> range:
        """Return the places of the values of a day."""
        return range(self.places[day.first], self.places[day.last] + 1, day.step)

    def list_values(self) -> list[int]:
        """Return the places of the values of a row, of a day only the first one."""
        return [
            *(self.places[value.column] for value in self.mapping.values),
            *(self.places[run.first] for run in self.mapping.day),
        ]


def find_layout(path: Path, blocks: Iterator[bytes], mapping: CsvMapping) -> tuple[Layout, bytes, int]:
    """Find the header; return the layout, the text below it that was read, and the line of that text.

    Raises `RefusedFile` if the file lacks a column of the mapping.
    """
    head = read_head(blocks, mapping)
    lines = list(split_lines(head))
    if mapping.has_header:
        names, line = _find_header(path, lines, mapping)
        first = line
    else:
        names, line = _count_columns(path, lines, mapping)
        first = line - 1
    layout = Layout(mapping, names, locate_columns(path, line, names, mapping), lines[:first])
    for run in mapping.day:
        _check_day(path, line, layout, run)
    return layout, skip_lines(head, first), first + 1


def read_head(blocks: Iterator[bytes], mapping: CsvMapping) -> bytes:
    """Return the text in which the header must stand."""
    head = b""
    for block in blocks:
        head += block
        if head.count(b"\n") > HEADER_LINES + mapping.skip_lines or len(head) > HEAD_BYTES:
            break
    return head


def split_fields(text: str, delimiter: str) -> list[str]:
    """Split one line of a CSV; a line that the csv module refuses has no fields."""
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        # No field of a meter file exceeds the limit of the csv module.
        return []


def join_fields(fields: list[str], delimiter: str) -> str:
    """Write one line of a CSV, the opposite of `split_fields`."""
    line = io.StringIO(newline="")
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(fields)
    return line.getvalue()


def _find_header(path: Path, lines: list[str], mapping: CsvMapping) -> tuple[list[str], int]:
    """Return (names, line) of the first line with all columns of the mapping."""
    best: tuple[int, int, list[str]] = (-1, 1, [])
    wanted = [column for column in mapping.list_columns() if isinstance(column, str)]
    skip = mapping.skip_lines
    for line, text in enumerate(lines[skip : skip + HEADER_LINES], skip + 1):
        names = [normalize_name(name) for name in split_fields(text, mapping.delimiter)]
        missing = [name for name in wanted if not find_places(names, name)]
        if not missing and _has_positions(names, mapping):
            return names, line
        if len(wanted) - len(missing) > best[0] and wanted:
            best = (len(wanted) - len(missing), line, missing)
    nearest = f"; line {best[1]} is the closest and lacks {_quote_names(best[2])}" if best[0] > 0 else ""
    reason = f"the first lines do not contain the columns {_quote_names(wanted)} of the mapping{nearest}"
    raise refuse(path, best[1], "MAP-COLUMNS", reason)


def _count_columns(path: Path, lines: list[str], mapping: CsvMapping) -> tuple[list[str], int]:
    """Return (empty names, line) of the first row of a table without a header."""
    skip = mapping.skip_lines
    # A line with a date alone is the title of rows, and has one field.
    least = 2 if mapping.uses_title else 1
    filled = (sum(map(bool, map(str.strip, split_fields(text, mapping.delimiter)))) for text in lines)
    first = next((place for place, count in enumerate(filled) if place >= skip and count >= least), None)
    if first is None:
        raise refuse(path, None, "FILE-NO-DATA", "the file holds no row")
    names = [""] * len(split_fields(lines[first], mapping.delimiter))
    if not _has_positions(names, mapping):
        wanted = max(place for place in mapping.list_columns() if isinstance(place, int))
        reason = f"the row has {len(names)} columns, but the mapping names column {wanted}"
        raise refuse(path, first + 1, "MAP-COLUMNS", reason)
    return names, first + 1


def _has_positions(names: list[str], mapping: CsvMapping) -> bool:
    return all(place <= len(names) for place in mapping.list_columns() if isinstance(place, int))


def locate_columns(
    path: Path, line: int, names: list[str], mapping: CsvMapping
) -> dict[str | int | tuple[str | int, ...], int]:
    """Return the place of each column of the mapping. Raises `RefusedFile` for a name that stands twice."""
    places: dict[str | int | tuple[str | int, ...], int] = {}
    for column in mapping.list_columns():
        if isinstance(column, int):
            places[column] = column - 1
            continue
        found = find_places(names, column)
        if len(found) > 1:
            reason = f"the column {column!r} stands twice: name it by its position in the mapping"
            raise refuse(path, line, "MAP-COLUMNS", reason)
        places[column] = found[0]
    return places


def find_places(names: list[str], column: str) -> list[int]:
    """Return the places of a column among normalized names; in its name `*` is any text."""
    name = normalize_name(column)
    found = [place for place, other in enumerate(names) if other == name]
    if found or "*" not in name:
        return found
    # Not a pattern of regular expressions: it would try all ways to share a text between many stars.
    pattern = "*".join(map(glob.escape, name.split("*")))
    return [place for place, other in enumerate(names) if fnmatchcase(other, pattern)]


def _check_day(path: Path, line: int, layout: Layout, day: Day) -> None:
    minutes = layout.mapping.interval_minutes
    cells = layout.list_cells(day)
    spare_minutes = (len(cells) - 1440 // minutes) * minutes
    longest = LONGEST_CHANGE_MINUTES if day.clock_change == "elapsed" else 0
    if not 0 <= spare_minutes <= longest:
        reason = (
            f"there are {len(cells)} columns of values from {day.first!r} to {day.last!r}, but a day of "
            f"{minutes} minutes has {1440 // minutes}"
        )
        raise refuse(path, line, "MAP-COLUMNS", reason)
    if day.quality_offset is not None and cells[-1] + day.quality_offset >= len(layout.names):
        reason = f"there is no column for the flag of the value in {day.last!r}"
        raise refuse(path, line, "MAP-COLUMNS", reason)


def normalize_name(name: str) -> str:
    """Return a column name for comparison: without blanks around it, in lower case, its digits not wide."""
    return narrow_text(name.strip().strip("\ufeff").lower())


def _quote_names(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def skip_lines(text: bytes, lines: int) -> bytes:
    """Return what stands below so many lines."""
    for _ in range(lines):
        _, _, text = text.partition(b"\n")
    return text
