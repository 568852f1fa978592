"""Tables whose dates are the days of a month that a title states: above the columns, or in front of the rows.

Here: dates written for the proposal, and taken out of it again. Not here: reading them (`wallclock`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data.ingest.formats.mapped_layout import join_fields, split_fields
from data.ingest.formats.months import find_months
from data.ingest.formats.suggest.date_formats import is_dated
from data.ingest.formats.suggest.sample import DELIMITERS

_DAY = re.compile("[0-9]{1,2}")
_LEAST_DAYS, _MOST_DAYS = 28, 31
# A row of a day has its hours.
_LEAST_CELLS = 24


@dataclass(frozen=True)
class MonthDays:
    """A text with whole dates in place of the days of a month."""

    text: str
    month: str

    def write_forms(self, lines: list[str]) -> list[str]:
        """Return the lines of a proposal for the text as the file has it."""
        return write_month(lines, self.month)


def write_month(lines: list[str], month: str) -> list[str]:
    """Return the lines of a proposal with the month, and the format of its days."""
    found = []
    for line in lines:
        if line.startswith("date_format:"):
            found += [f'month: "{month}"  # check: the dates are its days', 'date_format: "%d"']
        else:
            found.append(line)
    return found


def count_days(cells: Sequence[str]) -> bool:
    """Whether cells count the days of a month; others between them, such as a total, are no numbers."""
    days = [int(cell) for cell in cells if _DAY.fullmatch(cell)]
    return days == [*range(1, len(days) + 1)] and _LEAST_DAYS <= len(days) <= _MOST_DAYS


def find_month(texts: Iterable[str]) -> str | None:
    """Return the only month that titles and names tell."""
    months = {month for text in texts for month in find_months(text)}
    return months.pop() if len(months) == 1 else None


def write_day(month: str, cell: str) -> str:
    """Return the date of a day of the month; other cells as they are."""
    return f"{month}-{int(cell):02}" if _DAY.fullmatch(cell) else cell


def write_month_days(text: str, name: str) -> MonthDays | None:
    """Return a text whose rows begin with the days of a month, with dates in them; None for another text."""
    lines = [line for line in text.split("\n") if line.strip()]
    for delimiter in DELIMITERS:
        rows = [[cell.strip() for cell in split_fields(line, delimiter)] for line in lines]
        days = [n for n, row in enumerate(rows) if len(row) > _LEAST_CELLS and _DAY.fullmatch(row[0])]
        if not count_days([rows[n][0] for n in days]) or any(map(is_dated, (row[0] for row in rows if row))):
            continue
        month = find_month([*lines[: days[0]], name])
        if month is not None:
            written = [
                join_fields([write_day(month, row[0]), *row[1:]], delimiter) if n in days else line
                for n, (line, row) in enumerate(zip(lines, rows, strict=True))
            ]
            return MonthDays("\n".join(written) + "\n", month)
    return None
