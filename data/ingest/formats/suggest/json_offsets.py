"""Objects of a document whose keys are seconds behind a start, and what a document holds.

Here: the rows of one such object, or of the same object of each device. Not here: rows with times of their
own (`json_rows`).
"""

import itertools
import re
from collections import Counter
from dataclasses import dataclass

from data.ingest.formats.json_events import MEMBER_KEY
from data.ingest.formats.mapped_json import to_path
from data.ingest.formats.mapping_columns import CELL, KEY
from data.ingest.formats.suggest.columns import UNIT
from data.ingest.formats.suggest.sample import is_number

# Lists that are shorter are no readings.
MIN_PLACES = 12
_OFFSET = re.compile(r"(.+)\.([0-9]{1,7})")
_START = re.compile(r"start|begin|from|first|since", re.I)
_MINUTE = 60

# The path to the rows, their columns, the values around them, and the keys of other rows.
Found = tuple[str | tuple[str, ...], list[str | int], list[str], list[str]]


@dataclass
class Document:
    """How often each object, array and scalar stands in a document, the last text of each, those with a date.

    Keys are those of `iter_leaves`.
    """

    ends: Counter[str]
    counts: Counter[str]
    values: dict[str, str]
    dated: set[str]


def find_offsets(document: Document) -> Found | None:
    """Return the rows for an object whose keys are seconds behind a date around it, None without one.

    Where several devices have the same object, they are its meters.
    """
    values = document.values
    starts = {parent: _find_start(document, parent) for parent in _list_parents(document)}
    parents = {parent: start for parent, start in starts.items() if start}
    if not parents:
        return None
    units = {parent: _find_unit(values, parent) for parent in parents}
    parent = next((one for one in parents if UNIT.fullmatch(values.get(units[one], ""))), next(iter(parents)))
    alike = [one for one in parents if _name_each(one, parents[one]) == _name_each(parent, parents[parent])]
    each = len(alike) > 1
    outside = [key for key in (parents[parent], units[parent]) if key]
    paths = [_write_path(key, parents[parent] if each else "") for key in outside]
    if each:
        device = parents[parent].rpartition(".")[0]
        paths.append(_write_path(f"{device}.{MEMBER_KEY}", parents[parent]))
    rows = _write_path(parent, parents[parent] if each else "")
    others = [one for one in parents if one not in alike and one != parent]
    return f"{rows}.*", [KEY, CELL, *paths], [*(values[key] for key in outside), rows, *paths], others


def _list_parents(document: Document) -> list[str]:
    """Return the objects whose keys are whole minutes in seconds, and whose values are numbers."""
    numbers: dict[str, list[int]] = {}
    for key, text in document.values.items():
        if (match := _OFFSET.fullmatch(key)) and is_number(text):
            numbers.setdefault(match[1], []).append(int(match[2]))
    return [parent for parent, found in numbers.items() if _are_offsets(found)]


def _are_offsets(numbers: list[int]) -> bool:
    steps = {after - before for before, after in itertools.pairwise(sorted(numbers))}
    return len(numbers) >= MIN_PLACES and min(steps) >= _MINUTE and not any(step % _MINUTE for step in steps)


def _find_start(document: Document, parent: str) -> str:
    """Return the date that names a start and stands around an object, "" without one."""
    around = (key for key in document.dated if f"{parent}.".startswith(f"{key.rpartition('.')[0]}."))
    return next((key for key in around if _START.search(key.rpartition(".")[2])), "")


def _find_unit(values: dict[str, str], parent: str) -> str:
    """Return the text beside an object that is a unit, "" without one."""
    beside = parent.rpartition(".")[0]
    own = (key for key in values if key.rpartition(".")[0] == beside)
    return next((key for key in own if re.search("unit", key.rpartition(".")[2], re.I)), "")


def _name_each(key: str, start: str) -> str:
    """Return a key with a star for the object that has the start."""
    device = start.rpartition(".")[0]
    above = device.rpartition(".")[0]
    return f"{above}.*{key.removeprefix(device)}" if above and key.startswith(f"{device}.") else key


def _write_path(key: str, start: str) -> str:
    return to_path(_name_each(key, start) if start else key)
