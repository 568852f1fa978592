"""A JSON or XML document as a table: where its rows are, and which values a row has.

Here: the array with most rows that have a date, as CSV with paths for names. Not here: the meaning of the
columns, which is guessed as for CSV (`proposal`), or reading by the mapping (`mapped_json`).
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from data.ingest.formats.container import open_members
from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.json_events import END, iter_json_leaves, to_text
from data.ingest.formats.mapped_json import IterLeaves, JsonRows, SeveralRows, to_path
from data.ingest.formats.mapping_columns import CELL, KEY, ROWS
from data.ingest.formats.suggest.date_formats import is_dated
from data.ingest.formats.suggest.json_members import Members, find_members
from data.ingest.formats.suggest.json_offsets import MIN_PLACES, Document, Found, find_offsets
from data.ingest.formats.suggest.sample import is_number

# Enough for months of one meter.
MAX_VALUES = 100_000
MAX_BYTES = 1 << 20
# More values around the rows are those of another matter.
MOST_AROUND = 20
# A row has a few values; objects with many keys hold the readings as keys.
MAX_COLUMNS = 60
# The key of a reading: its time, and below it the name of a value.
_KEYED = re.compile(
    r"(?:^|\.)([0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][^.]*(?:\.[0-9]+Z?)?|\.[0-9]{1,2}(?::[0-9]{2}){0,2}(?=\.|$))"
    r"|[0-9]{10}(?:[0-9]{3})?)(?:\.([^.]+))?"
)


@dataclass(frozen=True)
class JsonTable:
    """The path to the rows, the rows as CSV, the values around them, and the paths to other rows.

    `names` are those of the places of a row that is an array, if the document lists them.
    """

    rows: str | tuple[str, ...]
    text: str
    around: list[str]
    others: list[str]
    names: list[str]


def read_table(path: Path, own_leaves: IterLeaves | None = None) -> JsonTable | None:
    """Return the table of a document, None for a document without rows with a date.

    `own_leaves` yields the values of a document that is no JSON. Raises `RefusedFile` if it cannot be read.
    """
    leaves = own_leaves or iter_json_leaves
    found = _find_rows(path, leaves)
    if found is None:
        return None
    rows, columns, around, others = found
    for member in open_members(path):
        reader = (
            JsonRows(path, rows, columns, {}, leaves=own_leaves)
            if isinstance(rows, str)
            else SeveralRows(path, rows, columns, leaves=own_leaves)
        )
        pieces = reader.iter_csv(member)
        text = b""
        while len(text) < MAX_BYTES and (piece := next(pieces, b"")):
            text += piece
        places = sum(isinstance(column, int) for column in columns)
        names = _find_names(path, rows, places, leaves) if places and isinstance(rows, str) else []
        return JsonTable(rows, text.decode(errors="replace"), around, list(map(to_path, others)), names)
    return None


def _read_document(path: Path, leaves: IterLeaves) -> Document:
    document = Document(Counter(), Counter(), {}, set())
    for member in open_members(path):
        for key, value in itertools.islice(leaves(path, member), MAX_VALUES):
            if value is END:
                document.ends[key] += 1
                continue
            document.counts[key] += 1
            document.values[key] = to_text(value) or ""
            if key not in document.dated and is_dated(document.values[key]):
                document.dated.add(key)
        break
    for key in document.counts:
        if _is_element(key) and any(one.startswith(f"{key}.@") for one in document.values):
            # An element with attributes and a text.
            document.ends[key] += document.counts[key]
    return document


def _find_rows(path: Path, leaves: IterLeaves) -> Found | None:
    document = _read_document(path, leaves)
    rows, values, dated = document.ends, document.values, document.dated
    candidates = [
        key for key in rows if _is_row(key, rows[key]) and any(_is_inside(one, key) for one in dated)
    ]
    key = max(candidates, key=lambda one: (rows[one], len(one)), default=None)
    placed = _find_placed(document, 2 * rows[key] if key is not None else 0)
    if placed is not None or key is None:
        return placed or _find_lists(document) or _find_members(values) or find_offsets(document)
    inner = max((one for one in rows if one.startswith(f"{key}.")), key=rows.__getitem__, default=key)
    below = next((one for one in values if _is_list_below(one, key)), inner)
    has_number = any(_is_inside(one, key) and one not in dated and is_number(values[one]) for one in values)
    if not has_number and (found := _find_named(document, inner)) is not None:
        return found
    if rows[inner] > 2 * rows[key] or (below != inner and not has_number):
        raise MappingError(
            f"{path}: the rows at {to_path(key)} have times, but the values are in lists below them, at "
            f"{to_path(below)}, and nothing says what the places in these lists mean. Ask the sender for a "
            "time or a name beside each value"
        )
    others = [
        one
        for one in candidates
        if (2 * rows[one] >= rows[key] or _stands_beside(one, key, values))
        and one != key
        and not key.startswith(f"{one}.")
    ]
    outside = _list_outside(values, key)
    inside: list[str | int] = [_cut(one, key) for one in values if _is_inside(one, key)]
    if key in values:
        # The text of an element beside its attributes.
        inside.append(CELL)
    is_pair = f"{key}.item" in values
    if is_pair:
        inside = [*range(1, _count_places(path, key, leaves) + 1)]
        # A pair of a time and a number has both at one path.
        has_number = has_number or (len(inside) > 1 and is_number(values[f"{key}.item"]))
    members = find_members(key, others, values) if has_number and not is_pair else None
    if members is not None:
        own = [
            one for one in outside if members.mask(one) == one or one.startswith(_name_member(key, members))
        ]
        path_of_rows, paths = members.name_paths(key, own)
        rest = [one for one in others if members.mask(one) != members.mask(key)]
        return path_of_rows, [*inside, *paths], [*(values[one] for one in own), path_of_rows, *paths], rest
    alike = [
        one
        for one in others
        if _list_inside(values, one) == _list_inside(values, key) and _list_outside(values, one) == outside
    ]
    if alike and has_number:
        # Arrays of the same rows, such as those of import and of export.
        keys = [one for one in candidates if one in (key, *alike)]
        rest = [one for one in others if one not in alike]
        several = tuple(map(to_path, keys))
        columns = [*inside, ROWS, *map(to_path, outside)]
        return several, columns, [*(values[one] for one in outside), *several], rest
    # The places of an array come first: the table has them there.
    columns = [*inside, *map(to_path, outside)]
    around = [*(values[one] for one in outside), to_path(key), *map(to_path, outside)]
    return (to_path(key), columns, around, others) if len(columns) <= MAX_COLUMNS else None


def _find_named(document: Document, row: str) -> Found | None:
    """Return the rows for objects below those with a time: each has a name and a number."""
    values = document.values
    own = [one for one in values if _is_inside(one, row)]
    numbers = [one for one in own if is_number(values[one])]
    is_row = _is_element(row) and 0 < len(numbers) < len(own) and not document.dated.intersection(own)
    outside = [one for one in values if _surrounds(one, row) and one not in own] if is_row else []
    columns = [*(_cut(one, row) for one in own), *map(to_path, outside)]
    around = [*(values[one] for one in outside), to_path(row), *map(to_path, outside)]
    return (to_path(row), [*columns], around, []) if is_row and len(columns) <= MAX_COLUMNS else None


def _stands_beside(one: str, key: str, values: Iterable[str]) -> bool:
    """Whether an array has the same rows as another one of its object: few, as what is zero is left out."""
    parents = (name.rpartition(".")[0].rpartition(".")[0] for name in (one, key))
    is_alike = _list_inside(values, one) == _list_inside(values, key)
    return is_alike and len({*parents}) == 1 and _is_element(one) and _is_element(key)


def _name_member(key: str, members: Members) -> str:
    return ".".join(key.split(".")[: members.place + 1]) + "."


def _is_element(key: str) -> bool:
    """Whether a key is that of the elements of an array: no name that ends with these letters."""
    return key == "item" or key.endswith(".item")


def _is_row(key: str, count: int) -> bool:
    """Whether what ends so often is a row: an element of an array, or one of several documents."""
    return _is_element(key) or (not key and count > 1)


def _find_placed(document: Document, above: int) -> Found | None:
    """Return the rows for lists below a date: of many values, or of objects without a time of their own.

    They are more than `above`.
    """
    ends, counts, dated = document.ends, document.counts, document.dated
    lists = {
        key: counts[key]
        for key in counts
        if key.endswith(".item") and counts[key] >= MIN_PLACES * max(ends[key.removesuffix(".item")], 1)
    }
    objects = {
        key: ends[key]
        for key in ends
        if key.endswith(".item")
        and ends[key] >= MIN_PLACES
        and not any(_is_inside(one, key) for one in dated)
    }
    sizes = {
        key: size
        for key, size in (objects | lists).items()
        if size > above
        and key not in dated
        and not any(one.startswith(f"{key}.") for one in dated)
        and any(_surrounds(one, key) for one in dated)
    }
    key = max(sizes, key=sizes.__getitem__, default=None)
    if key is None:
        return None
    outside = [one for one in document.values if one not in sizes and _surrounds(one, key)]
    around = [*(document.values[one] for one in outside), to_path(key), *map(to_path, outside)]
    others = [one for one in sizes if sizes[one] == sizes[key] and one != key]
    inside: list[str | int] = [CELL, KEY]
    if key in objects:
        inside = [_cut(one, key) for one in document.values if _is_inside(one, key)]
        inside.append(KEY)
    rows = to_path(key)
    if others and key in lists and key.split(".").count("item") == 1:
        # Lists beside each other.
        rows, inside, others = "$", [*map(to_path, (key, *others)), KEY], []
    if others and key in lists and rows != "$" and (found := _find_lists_of_rows(document, key, others)):
        return found
    columns = [*inside, *map(to_path, outside)]
    return (rows, columns, around, others) if len(columns) <= MAX_COLUMNS else None


def _find_lists_of_rows(document: Document, key: str, others: list[str]) -> Found | None:
    """Return the same for lists beside each other in each row, such as the import and the export of a day."""
    row = key.removesuffix(".item").rpartition(".")[0]
    if not _is_element(row) or not all(one.startswith(f"{row}.") for one in others):
        return None
    lists = [f"{_cut(one, row).removesuffix('.item')}[*]" for one in (key, *others)]
    inside = [_cut(one, row) for one in document.values if _is_inside(one, row)]
    outside = [one for one in document.values if _surrounds(one, row) and not _is_inside(one, row)]
    columns: list[str | int] = [*lists, KEY, *inside, *map(to_path, outside)]
    around = [document.values[one] for one in outside]
    return (to_path(row), columns, around, []) if len(columns) <= MAX_COLUMNS else None


def _find_lists(document: Document) -> Found | None:
    """Return the same for lists beside a list of dates, of which each place is a row."""
    counts, values = document.counts, document.values
    of_dates = max(
        (key for key in document.dated if key.endswith(".item")), key=counts.__getitem__, default=None
    )
    if of_dates is None or counts[of_dates] < MIN_PLACES:
        return None
    lists = [key for key in counts if key.endswith(".item") and counts[key] == counts[of_dates]]
    outside = [key for key in values if _holds(key, of_dates) and counts[key] == 1]
    columns: list[str | int] = [*map(to_path, (of_dates, *(one for one in lists if one != of_dates)))]
    columns += map(to_path, outside)
    is_table = len(lists) > 1 and len(columns) <= MAX_COLUMNS
    return ("$", columns, [values[key] for key in outside], []) if is_table else None


def _find_members(keys: Iterable[str]) -> Found | None:
    """Return the same for an object whose keys are times."""
    found = [(key[: match.start()], match[2]) for key in keys if (match := _KEYED.search(key))]
    counts = Counter(base for base, _ in found)
    base, count = counts.most_common(1)[0] if counts else ("", 0)
    names = dict.fromkeys(name for one, name in found if one == base)
    if count < MIN_PLACES or (None in names and len(names) > 1):
        return None
    columns: list[str | int] = [KEY, *(name or CELL for name in names)]
    others = [f"{one}.*" for one in counts if one != base and 2 * counts[one] >= count]
    return f"{to_path(base)}.*", columns, [], others


def _list_inside(values: Iterable[str], row: str) -> list[str]:
    return [_cut(one, row) for one in values if _is_inside(one, row)]


def _list_outside(values: Iterable[str], row: str) -> list[str]:
    found = [one for one in values if not one.startswith(row) and _holds(one, row)]
    # What stands in an object beside the rows, such as the number of their meter.
    beside = [one for one in values if not one.startswith(row) and _surrounds(one, row) and one not in found]
    return [*found, *(beside if len(found) + len(beside) <= MOST_AROUND else [])]


def _is_list_below(value: str, row: str) -> bool:
    """Whether a value belongs to a list inside a row."""
    return value.startswith(f"{row}.") and value.endswith(".item") and value != f"{row}.item"


def _cut(value: str, row: str) -> str:
    """Return the path of a value inside its row."""
    return value.removeprefix(f"{row}.") if row else value


def _surrounds(value: str, row: str) -> bool:
    """Whether a value belongs to an array's element that contains the rows, or to no array."""
    if _is_element(value):
        return False
    # The root may be an array.
    place = f".{value}".rfind(".item.")
    return place < 0 or f".{row}".startswith(f".{value}"[: place + len(".item.")])


def _is_inside(value: str, row: str) -> bool:
    """Whether a value belongs to a row, and not to an array inside it; a row may be an array itself."""
    rest = _cut(value, row)
    return (rest != value or not row) and ("item" not in rest.split(".") or rest == "item")


def _holds(value: str, row: str) -> bool:
    """Whether a value belongs to an object that contains the rows."""
    parent = value.rpartition(".")[0]
    return not parent or row.startswith(f"{parent}.")


def _find_names(path: Path, rows: str, count: int, leaves: IterLeaves) -> list[str]:
    """Return the only list of so many names before the rows, none if there is no such list."""
    row = rows.removeprefix("$").replace("[*]", ".item").lstrip(".")
    lists: dict[str, list[str]] = {}
    for member in open_members(path):
        for key, value in leaves(path, member):
            if key.startswith(row):
                break
            if value is not END and key.endswith(".item"):
                lists.setdefault(key, []).append(to_text(value) or "")
        break
    named = [
        found
        for found in lists.values()
        if len(found) == count and not any(is_number(text) or is_dated(text) for text in found)
    ]
    return named[0] if len(named) == 1 else []


def _count_places(path: Path, row: str, leaves: IterLeaves) -> int:
    """Return how many values the first row has that is an array."""
    count = 0
    for member in open_members(path):
        for key, value in leaves(path, member):
            if key == row and value is END:
                break
            count += key == f"{row}.item"
        break
    return count
