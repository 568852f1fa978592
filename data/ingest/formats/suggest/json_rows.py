"""A JSON document as a table: where its rows are, and which values a row has.

Here: the array with most rows that have a date, as CSV with paths for names. Not here: the meaning of the
columns, which is guessed as for CSV (`proposal`), or reading by the mapping (`mapped_json`).
"""

import itertools
from collections import Counter
from pathlib import Path

from data.ingest.formats.container import open_members
from data.ingest.formats.json_events import END, iter_leaves, to_text
from data.ingest.formats.mapped_json import JsonRows, to_path
from data.ingest.formats.suggest.date_formats import is_dated

# Enough for months of one meter.
MAX_VALUES = 100_000
MAX_BYTES = 1 << 20
# A row has a few values; objects with many keys hold the readings as keys.
MAX_COLUMNS = 60


def read_table(path: Path) -> tuple[str, str, list[str]] | None:
    """Return (the path to the rows, the rows as CSV, the values around them).

    None for a document without rows with a date.

    Raises `RefusedFile` if the document cannot be read.
    """
    found = _find_rows(path)
    if found is None:
        return None
    key, columns, around = found
    for member in open_members(path):
        pieces = JsonRows(path, to_path(key), columns, {}).iter_csv(member)
        text = b""
        while len(text) < MAX_BYTES and (piece := next(pieces, b"")):
            text += piece
        return to_path(key), text.decode(errors="replace"), around
    return None


def _find_rows(path: Path) -> tuple[str, list[str | int], list[str]] | None:
    """Return (the key of the rows, their columns, the values around them), by the keys of `iter_leaves`."""
    rows: Counter[str] = Counter()
    values: dict[str, str] = {}
    dated: set[str] = set()
    for member in open_members(path):
        for key, value in itertools.islice(iter_leaves(path, member, ends_arrays=True), MAX_VALUES):
            if value is END:
                rows[key] += 1
                continue
            values[key] = to_text(value) or ""
            if key not in dated and is_dated(to_text(value) or ""):
                dated.add(key)
        break
    candidates = [key for key in rows if key.endswith("item") and any(_is_inside(one, key) for one in dated)]
    if not candidates:
        return None
    key = max(candidates, key=lambda one: (rows[one], len(one)))
    if f"{key}.item" in values:
        around = [text for one, text in values.items() if not one.startswith(key)]
        return key, [*range(1, _count_places(path, key) + 1)], around
    inside: list[str | int] = [one.removeprefix(f"{key}.") for one in values if _is_inside(one, key)]
    outside = [one for one in values if not one.startswith(key) and _holds(one, key)]
    columns = [*map(to_path, outside), *inside]
    return (key, columns, [values[one] for one in outside]) if len(columns) <= MAX_COLUMNS else None


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
