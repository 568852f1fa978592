"""What stands above the names of the columns of a table: groups, lines for each column, totals.

Here: the lines of a header. Not here: which line is the header, or the rows below it (`sample`).
"""

import itertools
import re
from collections.abc import Sequence

from data.ingest.formats.suggest.date_formats import is_dated

# Lines of a header above the names of the columns.
_MOST_STACKED = 8
# A line of a narrower table with words in all cells may be one of a title.
_LEAST_LABELLED = 4
_OF_PERSON = re.compile(
    r"name|kund|customer|owner|inhaber|adress|address|titular|client|klant|participant|teilnehm|mieter|tenant"
    r"|nom\b|nombre|naam|nome\b",
    re.I,
)
_NUMBERS = re.compile(r"[0-9.,' \u00a0\u202f+-]*")


def read_stack(rows: Sequence[Sequence[str]], place: int, width: int) -> list[str]:
    """Return what stands above the names in a row: their group, or lines with a cell for each of them."""
    if place > 0 and (groups := _read_groups(rows[place - 1], width)):
        return groups
    stack: list[list[str]] = []
    for row in reversed(rows[max(place - _MOST_STACKED, 0) : max(place, 0)]):
        cells = [cell.strip() for cell in row]
        if len(cells) == width > 2 and all(map(is_dated, cells[1:])):
            # The first or the last time of each column.
            continue
        if not _is_of_columns(cells, width) or any(map(is_dated, cells)):
            break
        if _OF_PERSON.match(cells[0]):
            # A customer may be called Solar.
            continue
        stack.insert(0, ["", *cells[1:]])
    return [" ".join(filter(None, cells)) for cells in zip(*stack, strict=True)]


def is_sum_above(row: Sequence[str], width: int, total: re.Pattern[str]) -> bool:
    """Whether a row between the header and the rows has the sums of the columns."""
    cells = [cell.strip() for cell in row]
    is_named = len(cells) == width and total.match(cells[0]) is not None
    return is_named and any(cells[1:]) and all(map(_NUMBERS.fullmatch, cells[1:]))


def _is_of_columns(cells: Sequence[str], width: int) -> bool:
    """Whether a line has a cell for each column, behind an empty one or a label."""
    if len(cells) != width or _holds_pairs(cells):
        return False
    return (all(cells[1:]) and (not cells[0] or width >= _LEAST_LABELLED)) or _is_labelled(cells)


def _is_labelled(cells: Sequence[str]) -> bool:
    """Whether a label stands before numbers of columns; a sum at the end has none."""
    known = [*itertools.takewhile(bool, cells)]
    numbers = [re.search("[0-9]", cell) is not None for cell in known]
    return len(known) >= _LEAST_LABELLED and numbers == [False, *[True] * (len(known) - 1)]


def _holds_pairs(cells: Sequence[str]) -> bool:
    """Whether a line has labels, each with what it says behind it, and nothing else."""
    known = [*itertools.takewhile(bool, cells)]
    numbers = [re.search("[0-9]", cell) is not None for cell in known]
    return not any(cells[len(known) :]) and bool(known) and numbers == [False, True] * (len(known) // 2)


def _read_groups(row: Sequence[str], width: int) -> list[str]:
    """Return the group of each column; none if a row is not a line of groups, each over its columns."""
    cells = [cell.strip() for cell in row]
    spans = any(cell and not after for cell, after in itertools.pairwise(cells))
    is_other = _is_labelled(cells) or _holds_pairs(cells)
    if (
        len(cells) != width
        or len(set(cells) - {""}) < 2
        or not spans
        or is_other
        or any(map(is_dated, cells))
    ):
        return []
    groups: list[str] = []
    for cell in cells:
        groups.append(cell or (groups[-1] if groups else ""))
    return groups
