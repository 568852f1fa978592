"""Which rows of a mapped CSV are data: repeated headers, the titles of sections, and the rows to ignore.

Here: the tables of one text, one below the other. A row is dropped only if the mapping or the header declares
it, and is counted. Not here: splitting text (`mapped_table`), or the meaning of a column (`mapped_csv`).
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import Mask, to_mask
from data.ingest.formats.container import refuse
from data.ingest.formats.mapped_layout import Layout, split_fields
from data.ingest.formats.mapped_table import RowTable
from data.ingest.formats.mapped_times import TimeColumns
from data.ingest.formats.mapping_columns import NAME, TITLE
from data.ingest.formats.wallclock import TimeFormats

SKIPPED_HEADER = "a repeated header"
SKIPPED_BY_WORD = "named by ignore_rows"
SKIPPED_TITLE = "the title of a section"
SKIPPED_DATE = "a line with the date of the rows below it"
SKIPPED_SECTION = "in a section that is not read"
SKIPPED_REGISTER = "of a register that is not read"
MOST_PARTS_OF_DATE = 3
# Words where the table has dates, and words that are neither a number nor one of a missing value.
_WORDS = r"^[^0-9]*\pL[^0-9]*$"
_NAMES_VALUES = re.compile(r"[^\W\d_]{2,}")
_MISSING = ("n/a", "na", "nan", "null", "none", "nil", "missing", "error")


class Tables:
    """Follows the tables of one text, block by block.

    `second_table` is the line of the first header below rows of data, None as long as there is none.
    """

    def __init__(self, path: Path, layout: Layout, times: TimeColumns) -> None:
        self._path = path
        self._layout = layout
        self._times = times
        self._mapping = layout.mapping
        # The longest word first: one title may begin with another one.
        self._sections = sorted(self._mapping.sections, key=len, reverse=True)
        self._section = next(
            (word for text in reversed(layout.above) if (word := self._find_word(self._split(text)))), None
        )
        formats = layout.mapping.date_shapes if layout.mapping.uses_title else None
        self._dates = None if formats is None else TimeFormats(formats)
        above = [self._split(text) for text in layout.above]
        self._date = next((date for fields in reversed(above) if (date := self._find_date(fields))), None)
        self._date = self._date or self._find_only_date(above)
        self._has_data = False
        self._other_header: tuple[int, str] | None = None
        self._skipped: Counter[str] = Counter()
        self.second_table: int | None = None

    def take_skipped(self) -> Counter[str]:
        """Return how many rows were dropped since the last call, by reason."""
        skipped, self._skipped = self._skipped, Counter()
        return skipped

    def find_title(self, fields: list[str]) -> str | None:
        """Return the section whose title a line is, None if the line is not a title."""
        if (date := self._find_date(fields)) is not None:
            return date
        return None if self._times.is_time(self._layout, fields) else self._find_word(fields)

    def follow(self, table: RowTable) -> RowTable:
        """Return the rows of data of the next block, each with its section.

        Raises `RefusedFile` if another table begins, whose columns are not those of the first one.
        """
        if self._dates is not None:
            table = self._write_dates(table)
        if not table.strings.num_rows:
            return table
        if self._mapping.date_once:
            table = self._repeat_dates(table)
        ignored, again = self._find_ignored(table), self._find_headers(table)
        titles, sections = self._name_sections(table)
        other = self._find_other_headers(table) & ~ignored & ~again & ~titles
        data = ~(ignored | again | titles | other)
        self._note_headers(table, data, again)
        other = self._judge_other_headers(table, data, titles, again, other)
        unread = np.zeros(len(data), dtype=np.bool_)
        if sections is not None:
            known = pa.array([word for word, channel in self._mapping.sections.items() if channel is None])
            unread = data & to_mask(pc.is_in(sections, known.cast(pa.string())))
        idle = self._find_idle_registers(table) & data & ~unread
        for reason, mask in (
            (SKIPPED_BY_WORD, ignored & ~titles),
            (SKIPPED_HEADER, (again & ~ignored & ~titles) | other),
            (SKIPPED_TITLE, titles),
            (SKIPPED_SECTION, unread),
            (SKIPPED_REGISTER, idle),
        ):
            self._skipped[reason] += int(np.count_nonzero(mask))
        table = RowTable(table.strings, table.lines, sections)
        keep = ~(ignored | again | titles | other | unread | idle)
        return table if keep.all() else table.filter_rows(keep)

    def _split(self, text: str) -> list[str]:
        return split_fields(text, self._mapping.delimiter)

    def _find_date(self, fields: list[str]) -> str | None:
        """Return the date that a line has and nothing else, None for any other line.

        A date with commas, such as June 1, 2025, is several fields.
        """
        cells = [field.strip() for field in fields if field.strip()]
        if self._dates is None or not 1 <= len(cells) <= MOST_PARTS_OF_DATE:
            return None
        text = ", ".join(cells)
        return None if self._dates.parse(pa.array([text]))[1][0] else text

    def _find_only_date(self, lines: list[list[str]]) -> str | None:
        """Return the only date among other fields of the lines above the table, None if there are several."""
        cells = list(dict.fromkeys(field.strip() for fields in lines for field in fields if field.strip()))
        if self._dates is None or not cells:
            return None
        found = [
            cell for cell, bad in zip(cells, self._dates.parse(pa.array(cells))[1], strict=True) if not bad
        ]
        return found[0] if len(found) == 1 else None

    def _write_dates(self, table: RowTable) -> RowTable:
        """Return the rows of data, each with the date in the line above it, without these lines."""
        count = len(table.lines)
        filled = np.zeros(count, dtype=np.int64)
        for place in range(table.strings.num_columns - self._mapping.uses_name):
            filled += to_mask(pc.is_valid(table.take_column(place)))
        dates: list[str | None] = [self._date]
        code, is_title = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
        for row in np.flatnonzero(filled == 1).tolist():
            fields = [column[row].as_py() for column in table.strings.columns]
            date = self._find_date(fields[: len(fields) - self._mapping.uses_name])
            if date is not None:
                is_title[row], code[row] = True, len(dates)
                dates.append(date)
        self._date = dates[-1]
        self._skipped[SKIPPED_DATE] += int(np.count_nonzero(is_title))
        above = pa.array(dates, type=pa.string()).take(pa.array(np.maximum.accumulate(code)))
        strings = table.strings.append_column(str(table.strings.num_columns), pc.fill_null(above, ""))
        return RowTable(strings, table.lines).filter_rows(~is_title)

    def _repeat_dates(self, table: RowTable) -> RowTable:
        """Return the rows with the date of the row above where they have none."""
        place = self._layout.find_place("date")
        assert place is not None
        texts, is_date = table.take_column(place), ~self._times.parse_dates(table, place)[1]
        known = [self._date, *texts.filter(pa.array(is_date)).to_pylist()]
        self._date = known[-1]
        above = pa.array(known, type=pa.string()).take(pa.array(np.cumsum(is_date)))
        filled = pc.fill_null(pc.coalesce(texts, above), "")
        return replace(table, strings=table.strings.set_column(place, str(place), filled))

    def _find_word(self, fields: list[str]) -> str | None:
        """Return the section with whose word a field begins."""
        cells = [field.strip().lower() for field in fields]
        return next(
            (word for word in self._sections if any(cell.startswith(word.lower()) for cell in cells)), None
        )

    def _find_ignored(self, table: RowTable) -> Mask:
        ignored = np.zeros(len(table.lines), dtype=np.bool_)
        # The word of a total may stand in the place of the time, or of the meter.
        fields = (self._layout.find_place(field) for field in ("time", "identifier"))
        cells = [table.strings.column(0), *map(table.take_column, fields)]
        for texts in map(_normalize_texts, cells):
            for word in self._mapping.ignore_rows:
                ignored |= to_mask(pc.starts_with(texts, word.lower()))
        return ignored

    def _find_idle_registers(self, table: RowTable) -> Mask:
        """Find the rows of registers that the mapping gives no channel."""
        words = [word.strip().lower() for word, channel in self._mapping.channels.items() if channel is None]
        place = self._layout.find_place("register_")
        if not words or place is None:
            return np.zeros(len(table.lines), dtype=np.bool_)
        return to_mask(pc.is_in(pc.utf8_lower(table.take_column(place)), pa.array(words)))

    def _find_headers(self, table: RowTable) -> Mask:
        """Find the rows that repeat the header in the columns of the mapping."""
        names = self._layout.names
        again = np.full(len(table.lines), any(names))
        for place in sorted(
            {
                place
                for name, place in self._layout.places.items()
                if name not in (NAME, TITLE) and not isinstance(name, tuple)
            }
        ):
            if not again.any():
                break
            again &= to_mask(pc.equal(_normalize_texts(table.strings.column(place)), names[place]))
        return again

    def _name_sections(self, table: RowTable) -> tuple[Mask, pa.Array | None]:
        """Return (titles, the section of each row); None if the mapping has no sections."""
        count = len(table.lines)
        titles = np.zeros(count, dtype=np.bool_)
        if not self._sections:
            return titles, None
        words = [*self._sections, None]
        code = np.full(count, -1, dtype=np.int64)
        columns = [_normalize_texts(column) for column in table.strings.columns]
        for place, word in enumerate(self._sections):
            found = np.logical_or.reduce(
                [to_mask(pc.starts_with(column, word.strip().lower())) for column in columns]
            )
            code[found & (code < 0)] = place
        titles = (code >= 0) & ~self._times.find_times(table)
        before = len(self._sections) if self._section is None else self._sections.index(self._section)
        last = np.maximum.accumulate(np.where(titles, np.arange(count), -1))
        code = np.where(last >= 0, code[last], before)
        self._section = words[code[-1]]
        return titles, pa.array(words, type=pa.string()).take(pa.array(code))

    def _find_other_headers(self, table: RowTable) -> Mask:
        """Find rows with words in place of the time and of all values: the header of another table."""
        fields = ("time", "period") if self._mapping.uses_title else ("timestamp", "date")
        places = (self._layout.find_place(field) for field in fields)
        place = next(place for place in places if place is not None)
        worded = to_mask(pc.match_substring_regex(table.strings.column(place), _WORDS))
        for row in np.flatnonzero(worded):
            cells = (table.strings.column(value)[int(row)].as_py() for value in self._layout.list_values())
            worded[row] = all(map(self._names_values, cells))
        return worded

    def _names_values(self, cell: str) -> bool:
        word = cell.strip().lower()
        missing = {*_MISSING, *(other.strip().lower() for other in self._mapping.no_value)}
        return word not in missing and _NAMES_VALUES.search(word) is not None

    def _note_headers(self, table: RowTable, data: Mask, again: Mask) -> None:
        if self.second_table is not None or not again.any():
            return
        below = again & (self._has_data | (np.cumsum(data) > 0))
        if below.any():
            self.second_table = int(table.lines[np.flatnonzero(below)[0]])

    def _judge_other_headers(
        self, table: RowTable, data: Mask, titles: Mask, again: Mask, other: Mask
    ) -> Mask:
        """Return the other headers that the title of a section announces; refuse the file for any other.

        Words above the data are units or notes, words below it a footer, and words above the known header
        belong to a title: they are rejected as rows.
        """
        announced = np.zeros(len(data), dtype=np.bool_)
        if not other.any() and self._other_header is None:
            self._has_data |= bool(data.any())
            return announced
        data = data & self._times.find_times(table)
        for row in range(len(data)):
            if data[row]:
                if self._other_header is not None:
                    line, names = self._other_header
                    reason = f"another table begins here, with the columns {names}"
                    raise refuse(self._path, line, "MAP-TABLE", reason)
                self._has_data = True
            elif again[row]:
                self._other_header = None
            elif titles[row]:
                self._has_data = False
                self._other_header = None
            elif other[row]:
                announced[row] = self._section is not None and not self._has_data
                if self._has_data:
                    self._other_header = int(table.lines[row]), _show_row(table, row)
        return announced


def _show_row(table: RowTable, row: int) -> str:
    cells = (column[row].as_py().strip() for column in table.strings.columns)
    return ", ".join(repr(cell) for cell in cells if cell)


def _normalize_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lower(pc.utf8_trim_whitespace(column))
