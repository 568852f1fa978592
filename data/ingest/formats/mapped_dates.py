"""Whether day, month and year are mistaken in a mapped CSV, seen in all of its rows.

Here: the declared order of a date against the other ones. Not here: reading times (`mapped_times`), or
finding a format (`suggest.date_formats`).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.ingest.errors import RefusedFile
from data.ingest.formats.columns import Mask
from data.ingest.formats.container import refuse
from data.ingest.formats.mapped_layout import Layout
from data.ingest.formats.mapped_table import RowTable
from data.ingest.formats.mapped_times import TimeColumns
from data.ingest.formats.wallclock import DAY_US, Ints, TimeFormats

_ORDERS = (("d", "m", "y"), ("m", "d", "y"), ("y", "m", "d"))
# Rows of a block that are read in each order.
_SAMPLE = 1000
# In the right order the days of a file follow each other; in a wrong one they lie a month or a year apart.
_APART = 5
# A few rows of a file may have a wrong date.
_SHARE = 0.1


def list_orders(form: str) -> list[str]:
    """Return the formats that differ in the order of day, month and year, the given one first."""
    letters = re.findall(r"%([dmyY])", form)
    if sorted(map(str.lower, letters)) != ["d", "m", "y"]:
        return [form]
    year = next(letter for letter in letters if letter in "yY")
    others = [order for order in _ORDERS if [*order] != [letter.lower() for letter in letters]]
    if year == "Y":
        # Four digits are always the year.
        place = letters.index("Y")
        others = [order for order in others if order[place] == "y"]
    found = [form]
    for order in others:
        tokens = iter(order)
        found.append(re.sub(r"%[dmyY]", lambda _: f"%{next(tokens).replace('y', year)}", form))  # noqa: B023
    return found


@dataclass
class _Order:
    """The days of a file in one order of day, month and year, and the texts that it cannot read."""

    formats: TimeFormats
    rows_of_days: dict[int, int] = field(default_factory=dict)
    bad: int = 0

    def add(self, when: Ints, bad: Mask, weight: int) -> None:
        """Add rows, each of which stands for `weight` rows."""
        self.bad += int(np.count_nonzero(bad))
        # A midnight may end the day before.
        for day, rows in zip(*np.unique(when[~bad] // DAY_US, return_counts=True), strict=True):
            self.rows_of_days[int(day)] = self.rows_of_days.get(int(day), 0) + int(rows) * weight

    def count_days(self, *, has_day_rows: bool) -> tuple[int, int]:
        """Return (days with rows, days from the first to the last one)."""
        days = [day for day, rows in self.rows_of_days.items() if rows > 1 or has_day_rows]
        return len(days), max(days) - min(days) + 1 if days else 0


class Dates:
    """Reads a sample of each block in every order of day, month and year."""

    def __init__(self, path: Path, layout: Layout, times: TimeColumns) -> None:
        self._path = path
        self._layout = layout
        self._times = times
        mapping = layout.mapping
        self._form = mapping.date_shapes or mapping.timestamp_format or ""
        place = layout.find_place("date")
        self._place = layout.find_place("timestamp") if place is None else place
        is_one = isinstance(self._form, str) and "%" in self._form
        forms = list_orders(self._form) if isinstance(self._form, str) and is_one else []
        self._orders = {form: _Order(TimeFormats(form)) for form in forms} if len(forms) > 1 else {}
        self._line = 0

    def follow(self, table: RowTable) -> None:
        """Read some rows of the next block."""
        if not self._orders or self._place is None:
            return
        self._line = self._line or int(table.lines[0])
        step = -(-len(table.lines) // _SAMPLE)
        texts = table.take_column(self._place)
        texts = texts.take(np.arange(0, len(texts), step)).drop_null()
        for order in self._orders.values():
            order.add(*order.formats.parse(texts), step)

    def check(self) -> None:
        """Raise `RefusedFile` if another order reads the dates and the declared one contradicts them."""
        orders = [*self._orders.items()]
        for form, other in orders[1:]:
            own = orders[0][1]
            if other.bad < _SHARE * own.bad and own.bad > _SHARE * sum(other.rows_of_days.values()):
                raise self._refuse(f"many of the dates exist only as {form!r}")
            if self._layout.mapping.is_daily or own.bad or other.bad:
                continue
            has_day_rows = bool(self._layout.mapping.day)
            days, span = own.count_days(has_day_rows=has_day_rows)
            _, other_span = other.count_days(has_day_rows=has_day_rows)
            if days > 1 and span >= _APART * other_span and other_span <= _APART * days:
                first = sorted(own.rows_of_days)[:3]
                shown = ", ".join(str(np.datetime64(day, "D")) for day in first)
                raise self._refuse(f"the dates are {shown}: one day of each month or year")

    def _refuse(self, reason: str) -> RefusedFile:
        return refuse(self._path, self._line, "MAP-DATES", f"{reason}; declared is {self._form!r}")
