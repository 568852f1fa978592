"""Pages and XML that portals save under the name of a workbook: their tables as CSV, in bounded memory.

Here: the rows of HTML tables, and of spreadsheets in the XML of 2003. Not here: the meaning of the rows.
Nothing of a page is run or loaded. `line` is the row of the tables, counted from 1.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

# A row, or a tag, that is longer is none of a table of readings.
MAX_ROW_CHARS = 1 << 20
MAX_SPAN = 10_000
# Cells of all tables that others reach into: a few bytes may span thousands.
MAX_SPANNED = 1 << 21
# Tables in cells of tables.
MAX_DEPTH = 32
_PAGE = re.compile(rb"(?is)\s*(<!doctype html|<html|<table|<meta|<head)")
_SHEET = re.compile(rb"(?is)\s*<(\?xml|workbook)")
_HAS_CELLS, _OF_SHEET = re.compile(rb"(?i)<t[dh][ >]"), b"urn:schemas-microsoft-com:office:spreadsheet"
_KINDS = {"table": "table", "tr": "row", "row": "row", "td": "cell", "th": "cell", "cell": "cell"}
_UNSHOWN = ("script", "style", "title")


class TooLongRow(ValueError):
    """A row or a tag of a page is too long, or its tables span or nest too far."""


def has_tables(head: bytes) -> bool:
    """Whether a text, by its first block, is a page with a table, or a spreadsheet in XML."""
    if _PAGE.match(head):
        return _HAS_CELLS.search(head) is not None
    return _SHEET.match(head) is not None and _OF_SHEET in head


def iter_tables(blocks: Iterable[bytes], delimiter: str) -> Iterator[bytes]:
    """Yield the rows of all tables of a UTF-8 page as CSV. Raises `TooLongRow`."""
    parser = _Rows(delimiter)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for block in blocks:
        parser.feed(decoder.decode(block))
        if len(parser.rawdata) > MAX_ROW_CHARS:
            raise TooLongRow(f"a tag of the page is longer than {MAX_ROW_CHARS} characters")
        yield parser.take_text()
    parser.close()
    yield parser.take_text()


@dataclass
class _Row:
    """The cells of an open row; `spans` are those that reach into the next rows: (text, rows left)."""

    cells: list[str] = field(default_factory=list)
    texts: list[str] | None = None
    spans: dict[int, tuple[str, int]] = field(default_factory=dict)
    reach: tuple[int, int] = (1, 1)


class _Rows(HTMLParser):
    def __init__(self, delimiter: str) -> None:
        super().__init__(convert_charrefs=True)
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, delimiter=delimiter, lineterminator="\n")
        # The open rows: a table may stand in the cell of another one.
        self._open: list[_Row] = []
        self._unshown = 0
        self._chars = 0
        self._spanned = 0

    def take_text(self) -> bytes:
        """Return the rows since the last call."""
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text.encode(errors="replace")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a row or a cell; those before it may lack their end."""
        kind = _KINDS.get(tag)
        self._unshown += tag in _UNSHOWN
        if kind == "table":
            if len(self._open) == MAX_DEPTH:
                raise TooLongRow(f"more than {MAX_DEPTH} tables of the page stand in each other")
            self._open.append(_Row())
        elif kind == "row":
            self._end_row()
            self._open = self._open or [_Row()]
        elif kind == "cell" and self._open:
            self._end_cell()
            self._begin_cell(self._open[-1], {name.removeprefix("ss:"): value for name, value in attrs})
        elif tag in ("br", "p", "div"):
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        """Close a row, a cell or a table."""
        kind = _KINDS.get(tag)
        self._unshown -= tag in _UNSHOWN and self._unshown > 0
        if kind == "cell":
            self._end_cell()
        elif kind in ("row", "table"):
            self._end_row()
            if kind == "table" and self._open:
                self._open.pop()

    def handle_data(self, data: str) -> None:
        """Add text to the open cell."""
        if self._open and self._open[-1].texts is not None and not self._unshown:
            self._chars += len(data)
            if self._chars > MAX_ROW_CHARS:
                raise TooLongRow(f"a row of the page is longer than {MAX_ROW_CHARS} characters")
            self._open[-1].texts.append(data)

    def _begin_cell(self, row: _Row, attributes: dict[str, str | None]) -> None:
        place = _count(attributes.get("index"), 0) - 1
        if (skipped := place - len(row.cells)) > 0:
            self._span(skipped)
            row.cells += [""] * skipped
        self._take_spans(row)
        columns = _count(attributes.get("colspan"), 1) + _count(attributes.get("mergeacross"), 0)
        row.texts, row.reach = [], (columns, _count(attributes.get("rowspan"), 1))

    def _end_cell(self) -> None:
        if not self._open or self._open[-1].texts is None:
            return
        row = self._open[-1]
        text = " ".join("".join(row.texts or ()).split())
        columns, rows = row.reach
        for number in range(columns):
            if rows > 1:
                row.spans[len(row.cells)] = (text if number == 0 else "", rows - 1)
            row.cells.append(text if number == 0 else "")
        row.texts = None
        self._span(columns - 1)
        self._chars += columns
        if self._chars > MAX_ROW_CHARS:
            raise TooLongRow(f"a row of the page is longer than {MAX_ROW_CHARS} characters")

    def _end_row(self) -> None:
        self._end_cell()
        if self._open and self._open[-1].cells:
            row = self._open[-1]
            self._take_spans(row)
            self._writer.writerow(row.cells)
            row.cells = []
        self._chars = 0

    def _span(self, cells: int) -> None:
        self._spanned += cells
        if self._spanned > MAX_SPANNED:
            raise TooLongRow(f"cells of the page reach into more than {MAX_SPANNED:,} others")

    def _take_spans(self, row: _Row) -> None:
        """Write the cells that reach from rows above into the next place."""
        while (found := row.spans.pop(len(row.cells), None)) is not None:
            text, rows = found
            self._span(1)
            if rows > 1:
                row.spans[len(row.cells)] = (text, rows - 1)
            row.cells.append(text)


def _count(text: str | None, default: int) -> int:
    number = int(text) if text and re.fullmatch("[0-9]{1,6}", text) else default
    return min(number, MAX_SPAN)
