"""A JSON document as a table: where its rows are, and which values a row has.

Here: the array with most rows that have a date, as CSV with paths for names. Not here: the meaning of the
columns, which is guessed as for CSV (`proposal`), or reading by the mapping (`mapped_json`).
"""

import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from data.ingest.formats.container import open_members
from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.json_events import END, iter_leaves, to_text
from data.ingest.formats.mapped_json import JsonRows, to_path
from data.ingest.formats.suggest.date_formats import is_dated

# Enough for months of one meter.
MAX_VALUES = 100_000
MAX_BYTES = 1 << 20
# A row has a few values; objects with many keys hold the readings as keys.
MAX_COLUMNS = 60
# Lists that are shorter are no readings.
MIN_PLACES = 12


@dataclass(frozen=True)
class JsonTable:
    """The path to the rows, the rows as CSV, the values around them, and the paths to other rows."""

    rows: str
    text: str
    around: list[str]
    others: list[str]


def read_table(path: Path) -> JsonTable | None:
    """Return the table of a document, None for a document without rows with a date.

    Raises `RefusedFile` if the document cannot be read.
    """
    found = _find_rows(path)
    if found is None:
        return None
    key, columns, around, others = found
    for member in open_members(path):
        pieces = JsonRows(path, to_path(key), columns, {}).iter_csv(member)
        text = b""
        while len(text) < MAX_BYTES and (piece := next(pieces, b"")):
            text += piece
        return JsonTable(to_path(key), text.decode(errors="replace"), around, list(map(to_path, others)))
    return None


def _find_rows(path: Path) -> tuple[str, list[str | int], list[str], list[str]] | None:
    """Return (the key of the rows, their columns, the values around them, the keys of other rows).

    Keys are those of `iter_leaves`.
    """
    rows: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    values: dict[str, str] = {}
    dated: set[str] = set()
    for member in open_members(path):
        for key, value in itertools.islice(iter_leaves(path, member, ends_arrays=True), MAX_VALUES):
            if value is END:
                rows[key] += 1
                continue
            counts[key] += 1
            values[key] = to_text(value) or ""
            if key not in dated and is_dated(to_text(value) or ""):
                dated.add(key)
        break
    candidates = [key for key in rows if key.endswith("item") and any(_is_inside(one, key) for one in dated)]
    if not candidates:
        return _find_lists(counts, values, dated)
    key = max(candidates, key=lambda one: (rows[one], len(one)))
    inner = max((one for one in rows if one.startswith(f"{key}.")), key=rows.__getitem__, default=key)
    if rows[inner] > 2 * rows[key]:
        raise MappingError(
            f"{path}: the rows at {to_path(key)} have times, but the {rows[inner]} values are in lists below "
            f"them, at {to_path(inner)}, without a time of their own. No mapping describes this: ask the "
            "sender for a time beside each value"
        )
    others = [
        one
        for one in candidates
        if 2 * rows[one] >= rows[key] and one != key and not key.startswith(f"{one}.")
    ]
    outside = [one for one in values if not one.startswith(key) and _holds(one, key)]
    inside: list[str | int] = [one.removeprefix(f"{key}.") for one in values if _is_inside(one, key)]
    if f"{key}.item" in values:
        inside = [*range(1, _count_places(path, key) + 1)]
    # The places of an array come first: the table has them there.
    columns = [*inside, *map(to_path, outside)]
    around = [values[one] for one in outside]
    return (key, columns, around, others) if len(columns) <= MAX_COLUMNS else None


def _find_lists(
    counts: Counter[str], values: dict[str, str], dated: set[str]
) -> tuple[str, list[str | int], list[str], list[str]] | None:
    """Return the same for lists beside a list of dates, of which each place is a row."""
    of_dates = max((key for key in dated if key.endswith(".item")), key=counts.__getitem__, default=None)
    if of_dates is None or counts[of_dates] < MIN_PLACES:
        return None
    lists = [key for key in counts if key.endswith(".item") and counts[key] == counts[of_dates]]
    outside = [key for key in values if _holds(key, of_dates) and counts[key] == 1]
    columns: list[str | int] = [*map(to_path, (of_dates, *(one for one in lists if one != of_dates)))]
    columns += map(to_path, outside)
    is_table = len(lists) > 1 and len(columns) <= MAX_COLUMNS
    return ("", columns, [values[key] for key in outside], []) if is_table else None


def _is_inside(value: str, row: str) -> bool:
    """Whether a value belongs to a row, and not to an array inside it; a row may be an array itself."""
    rest = value.removeprefix(f"{row}.")
    return rest != value and ("item" not in rest.split(".") or rest == "item")


def _holds(value: str, row: str) -> bool:
    """Whether a value belongs to an object that contains the rows."""
    parent = value.rpartition(".")[0]
    return not parent or row.startswith(f"{parent}.")


def _count_places(path: Path, row: str) -> int:
    """Return how many values the first row has that is an array."""
    count = 0
    for member in open_members(path):
        for key, value in iter_leaves(path, member, ends_arrays=True):
            if key == row and value is END:
                break
            count += key == f"{row}.item"
        break
    return count
