"""JSON of any portal, read by a declared mapping: a path to the rows, and the columns as paths inside a row.

Here: the values at these paths as a table of text. Not here: the meaning of the columns: the table is read as
a CSV would be (`mapped_csv`). A document is read in pieces, so paths name keys and whole arrays, and compute
nothing. `line` is the place of a row, counted from 1.
"""

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.ingest.errors import RefusedFile
from data.ingest.formats import mapped_csv
from data.ingest.formats.columns import Batch
from data.ingest.formats.container import READ_BYTES, Member, refuse
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.json_around import Around, Row
from data.ingest.formats.json_events import END, Leaf, iter_json_leaves, iter_leaves, to_text
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.mapping_columns import CELL, KEY, ROWS

# Yields the values of a document as `iter_leaves` does, with the ends of arrays.
IterLeaves = Callable[[Path, Member], Iterator[Leaf]]
# Values of lists beside each other, which are held in memory.
MAX_LIST_VALUES = 2_000_000
# Paths that a refusal names, so that a person sees what the file has instead.
MAX_NAMED_PATHS = 20


def iter_batches(
    path: Path,
    member: Member,
    part: int,
    mapping: CsvMapping,
    same: Mapping[str, str] | None = None,
    *,
    leaves: IterLeaves | None = None,
) -> Iterator[Batch]:
    """Yield the readings of one text in batches. Raises `RefusedFile`.

    `same` has columns that must have the same text in each row, so that other rows refuse the file. `leaves`
    yields the values of a document that is no JSON.
    """
    assert mapping.rows is not None
    columns = mapping.list_columns()
    rows = (
        JsonRows(path, mapping.rows, columns, same or {}, leaves=leaves)
        if isinstance(mapping.rows, str)
        else SeveralRows(path, mapping.rows, columns, leaves=leaves)
    )
    table = Member(member.name, rows.iter_csv(member))
    as_csv = mapping.model_copy(update={"format": "mapped_csv", "rows": None})
    try:
        for batch in mapped_csv.iter_batches(path, table, part, as_csv):
            # The first line of the table is its header.
            yield batch.shift_lines(-1)
    except RefusedFile as refusal:
        refusal.line = refusal.line - 1 if refusal.line and refusal.line > 1 else None
        raise


def peek(member: Member) -> tuple[str, Member]:
    """Return (the first letters of a text, the whole text): a portal's answer says there what it holds."""
    first = next(member.blocks, b"")
    return first.decode(errors="replace"), Member(member.name, itertools.chain([first], member.blocks))


FORMAT = FileFormat(
    name="mapped_json",
    summary="JSON of any portal, declared by a mapping with paths",
    read=iter_batches,
    mapping=MappingUse(model=CsvMapping, is_required=True),
)


class JsonRows:
    """The rows of a document at the path `rows`, as CSV with a header: their values at `columns`.

    Columns that are lists, such as `$.times[*]`, or `import[*]` in a row, are beside each other: a row for
    each place in them. Rows
    are the elements of an array or, with `.*` at the end, the members of an object: `$key` is the place or
    the key of each, and `$value` a row that is one value.
    """

    def __init__(
        self,
        path: Path,
        rows: str,
        columns: Sequence[str | int],
        same: Mapping[str, str],
        *,
        leaves: IterLeaves | None = None,
    ) -> None:
        self._path = path
        self._own_leaves = leaves
        self._same = same
        self._has_members = rows.endswith(".*")
        self._row = _to_key(rows.removesuffix(".*"))
        self._members = list_members([rows.removesuffix(".*"), *map(str, columns)])
        # A mapping names a value of an array by its place, and the table has it there.
        places = range(1, max((one for one in columns if isinstance(one, int)), default=0) + 1)
        self._columns: list[str | int] = list(dict.fromkeys([*places, *columns, *same]))
        # Columns of the row by their key, by their place in a row that is an array, and of what contains it.
        self._inside: dict[str, str | int] = {}
        self._places: dict[int, str | int] = {}
        self._outside: dict[str, str | int] = {}
        self._lists: dict[str, str | int] = {}
        # Lists beside each other inside a row.
        self._row_lists: dict[str, str] = {}
        for column in self._columns:
            if isinstance(column, int):
                self._places[column] = column
            elif column in (KEY, CELL):
                continue
            elif column.startswith("$") and column.endswith("[*]"):
                self._lists[_to_key(column)] = column
            elif column.endswith("[*]"):
                self._row_lists[f"{self._row}.{_to_key(column)}" if self._row else _to_key(column)] = column
            elif column.startswith("$"):
                self._outside[_to_key(column)] = column
            else:
                self._inside[f"{self._row}.{column}" if self._row else column] = column
        # The object that a column of the outside shares with the rows, with which it ends.
        self._ends: dict[str, list[str | int]] = {}
        for key, column in self._outside.items():
            self._ends.setdefault(_find_common(key, self._row), []).append(column)
        # The row that is read, and what contains it.
        self._element = f"{self._row}.item" if self._row else "item"
        self._array = self._row.rpartition("item")[0].rstrip(".")
        self._open_row: Row = {}
        self._around = Around(path, self._ends)
        self._count = self._place = self._number = 0
        self._seen: set[str | int] = set()
        self._paths: dict[str, None] = {}

    def iter_csv(self, member: Member) -> Iterator[bytes]:
        """Yield the table in pieces that end at a line end. Raises `RefusedFile`."""
        return write_csv(self._columns, self._find_rows(member))

    def _find_rows(self, member: Member) -> Iterator[Row]:
        if self._has_members:
            return self._iter_members(member)
        if self._row_lists:
            return self._iter_row_lists(member)
        return self._iter_places(member) if self._lists else self._iter_rows(member)

    def _iter_leaves(self, member: Member, *, ends_arrays: bool = False) -> Iterator[Leaf]:
        if self._own_leaves is not None:
            return self._own_leaves(self._path, member)
        return iter_leaves(self._path, member, ends_arrays=ends_arrays, members=self._members)

    def _iter_rows(self, member: Member) -> Iterator[Row]:
        for key, value in self._iter_leaves(member, ends_arrays=True):
            yield from self.take_leaf(key, value)
        self.check_whole()

    def take_leaf(self, key: str, value: Any) -> Iterator[Row]:
        """Take the next value of a document; yield the rows that are whole with it."""
        is_end = value is END
        if key == self._row:
            self._number += 1
            cell: Row = {} if is_end else {CELL: value}
            self._seen.update((KEY, *cell))
            yield from self._check_rows(self._around.add(self._open_row | {KEY: self._number} | cell))
            self._open_row, self._place = {}, 0
        elif is_end and key == self._array:
            self._number = 0
        if is_end:
            yield from self._check_rows(self._around.end(key))
        else:
            self._note_path(key)
            self._take_inside(key, value)
            yield from self._take_outside(key, value)

    def _take_outside(self, key: str, value: Any) -> Iterator[Row]:
        if key in self._outside:
            self._seen.add(self._outside[key])
            yield from self._check_rows(self._around.take(self._outside[key], value))

    def _take_inside(self, key: str, value: Any) -> None:
        is_element = key == self._element
        self._place += is_element
        column = self._inside.get(key) or (self._places.get(self._place) if is_element else None)
        if column is not None:
            if column in self._open_row:
                reason = f"row {self._count + 1} has the column {column!r} twice"
                raise refuse(self._path, None, "JSON-CONTENT", reason)
            self._open_row[column] = value
            self._seen.add(column)

    def _iter_members(self, member: Member) -> Iterator[Row]:
        """Yield a row for each member of an object: a value, or an object with the columns of a row."""
        row: Row = {}
        prefix = f"{self._row}." if self._row else ""
        inside = {column: f".{column}" for column in map(str, self._inside.values())}
        for key, value in self._iter_leaves(member):
            name = key.removeprefix(prefix) if key.startswith(prefix) else ""
            column = next((one for one, end in inside.items() if name.endswith(end)), None)
            if column is not None and value is not END:
                name = name.removesuffix(inside[column])
            if row and (row[KEY] != name or value is END):
                yield from self._check_rows(self._around.add(row))
                row = {}
            if value is END:
                yield from self._check_rows(self._around.end(key))
                continue
            self._note_path(key)
            yield from self._take_outside(key, value)
            if key not in self._outside and name and (column is not None or not inside):
                row |= {KEY: name, column or CELL: value}
                self._seen.update((KEY, column or CELL))
        if row:
            yield from self._check_rows(self._around.add(row))
        self.check_whole()

    def _iter_places(self, member: Member) -> Iterator[Row]:
        """Yield a row for each place of the lists. Raises `RefusedFile` for lists of different lengths."""
        lists: dict[str | int, list[Any]] = {column: [] for column in self._lists.values()}
        around: Row = {}
        count = 0
        for key, value in self._iter_leaves(member):
            self._note_path(key)
            if key in self._lists:
                lists[self._lists[key]].append(value)
                self._seen.add(self._lists[key])
                count += 1
                if count > MAX_LIST_VALUES:
                    reason = f"the lists hold more than {MAX_LIST_VALUES:,} values"
                    raise refuse(self._path, None, "FILE-TOO-LARGE", reason)
            elif key in self._outside:
                around[self._outside[key]] = value
                self._seen.add(self._outside[key])
        self._seen.add(KEY)
        self._count = count
        self.check_whole()
        self._count = 0
        yield from self._check_rows(around | place for place in _zip_lists(self._path, lists))

    def _iter_row_lists(self, member: Member) -> Iterator[Row]:
        """Yield a row for each place of the lists inside of the rows. Raises `RefusedFile` as above."""
        lists: dict[str, list[Any]] = {column: [] for column in self._row_lists.values()}
        row: Row = {}
        for key, value in self._iter_leaves(member):
            if value is END:
                if key == self._row:
                    for place in _zip_lists(self._path, lists):
                        yield from self._check_rows(self._around.add(row | place))
                    lists = {column: [] for column in lists}
                    row = {}
                yield from self._check_rows(self._around.end(key))
                continue
            self._note_path(key)
            if key in self._row_lists:
                lists[self._row_lists[key]].append(value)
                self._seen.update((self._row_lists[key], KEY))
            elif key in self._inside:
                row[self._inside[key]] = value
                self._seen.add(self._inside[key])
            yield from self._take_outside(key, value)
        self.check_whole()

    def _note_path(self, key: str) -> None:
        if len(self._paths) < MAX_NAMED_PATHS:
            self._paths[key] = None

    def _check_rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield rows, and count them. Raises `RefusedFile` for one that differs where it may not."""
        for row in rows:
            self._count += 1
            for column, text in self._same.items():
                if to_text(row.get(column)) != text:
                    found = to_text(row.get(column))
                    reason = f"row {self._count} has {column} {found!r}, the first one {text!r}"
                    raise refuse(self._path, None, "JSON-CONTENT", reason)
            yield row

    def check_whole(self) -> None:
        """Raise `RefusedFile` if no row was found, or a column stands in none."""
        missing = [column for column in self._columns if column not in self._seen]
        if self._count and not missing:
            return
        if not self._paths:
            raise refuse(self._path, None, "FILE-NO-DATA", "the document holds no value")
        lacks = f"the columns {', '.join(map(repr, missing))}" if self._count else "a row at the path `rows`"
        has = ", ".join(map(to_path, self._paths))
        reason = f"the document does not have {lacks} of the mapping; it has {has}"
        raise refuse(self._path, None, "MAP-COLUMNS", reason)


class SeveralRows:
    """The rows at several paths of a document, as one table: `$rows` is the path of each."""

    def __init__(
        self, path: Path, rows: Sequence[str], columns: Sequence[str | int], *, leaves: IterLeaves | None
    ) -> None:
        self._path = path
        self._leaves = leaves or iter_json_leaves
        own = [column for column in columns if column != ROWS]
        self._readers = {one: JsonRows(path, one, own, {}) for one in rows}
        self._columns = [*own, ROWS]

    def iter_csv(self, member: Member) -> Iterator[bytes]:
        """Do the same as `JsonRows.iter_csv`."""
        return write_csv(self._columns, self._iter_rows(member))

    def _iter_rows(self, member: Member) -> Iterator[Row]:
        for key, value in self._leaves(self._path, member):
            for path, reader in self._readers.items():
                for row in reader.take_leaf(key, value):
                    yield row | {ROWS: path}
        for reader in self._readers.values():
            reader.check_whole()


def write_csv(columns: Sequence[str | int], rows: Iterator[Row]) -> Iterator[bytes]:
    """Yield a table of rows in pieces that end at a line end."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_clean(row.get(column)) for column in columns])
        if text.tell() > READ_BYTES:
            yield text.getvalue().encode(errors="replace")
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode(errors="replace")


def _zip_lists(path: Path, lists: Mapping[Any, Sequence[Any]]) -> Iterator[Row]:
    """Yield the values at each place of lists, with that place. Raises `RefusedFile` for other lengths."""
    lengths = {str(column): len(found) for column, found in lists.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{column} has {length}" for column, length in lengths.items())
        raise refuse(path, None, "JSON-CONTENT", f"the lists differ in length: {shown} values")
    for number, found in enumerate(zip(*lists.values(), strict=True), 1):
        yield dict(zip(lists, found, strict=True)) | {KEY: number}


def _to_key(path: str) -> str:
    """Return the path of keys by which `iter_leaves` names a JSON path."""
    return re.sub(r"\[\*\]|\.\*(?=\.|$)", ".item", path.removeprefix("$")).lstrip(".")


def list_members(paths: Iterable[str]) -> set[str]:
    """Return the keys of the objects of which paths name each member: what stands before .* in them."""
    return {_to_key(path[: found.start()]) for path in paths for found in re.finditer(r"\.\*(?=\.|$)", path)}


def _find_common(key: str, other: str) -> str:
    """Return the path of what contains both."""
    pairs = zip(key.split("."), other.split("."), strict=False)
    return ".".join(one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def to_path(key: str) -> str:
    """Return the JSON path of a key of `iter_leaves`."""
    return re.sub(r"\.item(?![^.])", "[*]", f"$.{key}".rstrip("."))


def _clean(value: Any) -> str:
    """Return the text of a value, on one line."""
    text = to_text(value) or ""
    return text.replace("\n", " ").replace("\r", " ").replace("\0", "\ufffd")
