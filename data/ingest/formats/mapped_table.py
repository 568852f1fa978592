"""The rows of a mapped CSV as columns of strings, one block at a time.

Here: splitting text. Not here: which rows are data (`mapped_tables`), or the meaning of a column
(`mapped_csv`, `mapped_times`).
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from data.ingest.formats.columns import Mask, Rejections, is_damaged, split_lines
from data.ingest.formats.mapped_layout import Layout, split_fields
from data.ingest.formats.wallclock import Ints


@dataclass(frozen=True)
class RowTable:
    """The rows of a block: `strings` has every column by its place, `lines` the line of each row.

    `sections` has the section of each row, if the mapping has sections.
    """

    strings: pa.Table
    lines: Ints
    sections: pa.Array | None = None

    def take_column(self, place: int | None) -> pa.Array:
        """Return a column without blanks around its texts, null where it is empty or absent."""
        if place is None:
            return pa.nulls(len(self.lines), pa.string())
        chunked = self.strings.column(place)
        flat = pc.utf8_trim_whitespace(pa.concat_arrays(chunked.chunks) if chunked.chunks else pa.array([""]))
        return pc.if_else(pc.equal(flat, ""), pa.scalar(None, pa.string()), flat)

    def add_text(self, text: str) -> "RowTable":
        """Return the rows with a last column that has the same text in each of them."""
        column = pa.repeat(pa.scalar(text, pa.string()), len(self.lines))
        return replace(self, strings=self.strings.append_column(str(self.strings.num_columns), column))

    def join_columns(self, places: Sequence[int]) -> "RowTable":
        """Return the rows with a last column that has the texts of others, joined by a blank.

        A single digit gets the zero that minutes have.
        """
        parts = (pc.replace_substring_regex(self.take_column(place), "^([0-9])$", r"0\1") for place in places)
        texts = pc.binary_join_element_wise(*parts, " ")
        name = str(self.strings.num_columns)
        return replace(self, strings=self.strings.append_column(name, pc.fill_null(texts, "")))

    def filter_rows(self, keep: Mask) -> "RowTable":
        """Keep the rows where `keep` is true."""
        sections = None if self.sections is None else self.sections.filter(pa.array(keep))
        return RowTable(self.strings.filter(pa.array(keep)), self.lines[keep], sections)


# Returns the section whose title a line is, None if the line is not a title.
FindTitle = Callable[[list[str]], str | None]


def split_block(
    block: bytes, first_line: int, layout: Layout, rejections: Rejections, find_title: FindTitle
) -> RowTable:
    """Split a block to its rows; `first_line` is the line on which it starts.

    A title, or a row that the mapping ignores, may have any number of fields: it is the row of its first
    words alone.
    """
    table = _split_rows(block, first_line, layout, rejections, find_title)
    if not block.endswith(b"\n"):
        _report_open_end(block, first_line + block.count(b"\n"), rejections)
    return table


def _split_rows(
    block: bytes, first_line: int, layout: Layout, rejections: Rejections, find_title: FindTitle
) -> RowTable:
    """Let Arrow split an ordinary block, and split any other line by line."""
    signs = (b"\0", "\ufffd".encode(), b"\n\n")
    if not any(sign in block for sign in signs) and not block.startswith(b"\n"):
        try:
            strings = _split_fast(block, layout)
        except pa.ArrowInvalid:
            strings = _split_with_spare(block, layout)
        if strings is None:
            return _split_slowly(block, first_line, layout, rejections, find_title)
        # A lone quote swallows line ends, which the number of rows shows.
        if strings.num_rows == block.count(b"\n") + (not block.endswith(b"\n")):
            return RowTable(strings, np.arange(first_line, first_line + strings.num_rows, dtype=np.int64))
    return _split_slowly(block, first_line, layout, rejections, find_title)


def _split_with_spare(block: bytes, layout: Layout) -> pa.Table | None:
    """Split rows that end with a delimiter, and so have an empty field more than the header."""
    width = len(layout.names)
    try:
        strings = _split_fast(block, layout, width + 1)
    except pa.ArrowInvalid:
        return None
    is_spare = pc.all(pc.equal(pc.utf8_trim_whitespace(strings.column(width)), "")).as_py()
    return strings.select(range(width)) if is_spare else None


def _split_fast(block: bytes, layout: Layout, width: int = 0) -> pa.Table:
    names = [str(place) for place in range(width or len(layout.names))]
    return pacsv.read_csv(
        io.BytesIO(block),
        read_options=pacsv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
        parse_options=pacsv.ParseOptions(delimiter=layout.mapping.delimiter, ignore_empty_lines=False),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    ).combine_chunks()


def split_rows(
    block: bytes, first_line: int, layout: Layout, rejections: Rejections, find_title: FindTitle
) -> tuple[list[list[str]], list[int]]:
    """Split a block to the fields and the line of each row, for tables too wide for a column of each."""
    found = _split_one_by_one(block, first_line, layout, rejections, find_title)
    if not block.endswith(b"\n"):
        _report_open_end(block, first_line + block.count(b"\n"), rejections)
    return found


def _split_slowly(
    block: bytes, first_line: int, layout: Layout, rejections: Rejections, find_title: FindTitle
) -> RowTable:
    width = len(layout.names)
    rows, lines = _split_one_by_one(block, first_line, layout, rejections, find_title)
    columns = zip(*rows, strict=True) if rows else ([] for _ in range(width))
    arrays = [pa.array(list(column), type=pa.string()) for column in columns]
    strings = pa.table(arrays, names=[str(place) for place in range(width)])
    return RowTable(strings, np.array(lines, dtype=np.int64))


def _split_one_by_one(
    block: bytes, first_line: int, layout: Layout, rejections: Rejections, find_title: FindTitle
) -> tuple[list[list[str]], list[int]]:
    width = len(layout.names)
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, text in enumerate(split_lines(block), first_line):
        # Old systems end a file with Ctrl-Z or fill its last block with NUL.
        if not text.strip(" \t\x1a\0" + layout.mapping.delimiter):
            continue
        fields = split_fields(text, layout.mapping.delimiter)
        word = _find_word(fields, layout) or (find_title(fields) if len(fields) != width else None)
        if word is not None:
            rows.append([word, *[""] * (width - 1)])
            lines.append(line)
        elif is_damaged(text):
            rejections.add(line, "ROW-ENCODING", "the row holds bytes that are not valid text", text)
        elif len(fields) < _count_needed_fields(block, text, layout) or any(map(str.strip, fields[width:])):
            reason = f"the row has {len(fields)} fields, {width} expected"
            rejections.add(line, "CSV-COLUMNS", reason, text)
        else:
            rows.append([*fields[:width], *[""] * (width - len(fields))])
            lines.append(line)
    return rows, lines


def _count_needed_fields(block: bytes, text: str, layout: Layout) -> int:
    """Count the fields that a row must have: some senders omit empty ones at the end.

    A last row without its line end may be cut, so it must have all fields.
    """
    if not block.endswith(b"\n") and block.endswith(text.encode()):
        return len(layout.names)
    return max(layout.places.values()) + 1


def _find_word(fields: list[str], layout: Layout) -> str | None:
    """Return the first field if it marks a row that is not data."""
    first = fields[0].strip().lower() if fields else ""
    is_ignored = any(first.startswith(word.lower()) for word in layout.mapping.ignore_rows)
    return fields[0] if is_ignored else None


def _report_open_end(block: bytes, line: int, rejections: Rejections) -> None:
    text = list(split_lines(block))[-1]
    if text.strip(" \t\x1a\0"):
        reason = "the last row has no line end: it was kept, but it may be cut"
        rejections.add(line, "CSV-LAST-ROW", reason, text)
