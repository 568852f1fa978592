"""Tables whose times are the numbers of spreadsheets, which are dates for the proposal alone.

Here: columns of days since 30 December 1899, with or without a column for the part of the day. Not here:
reading such numbers (`wallclock.SerialFormat`).
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data.ingest.formats.mapped_layout import join_fields, split_fields
from data.ingest.formats.suggest.sample import DELIMITERS
from data.ingest.formats.wallclock import DAY_US, US, Ints, SerialFormat, write_wall_clock

_SERIAL = re.compile(r"[34][0-9]{4}([.,][0-9]+)?(E-[0-9]+)?")
_PART = re.compile(r"0?[.,][0-9]+(E-[0-9]+)?|[01]([.,]0*)?")
_NAME = re.compile(
    r"dat|time|zeit|stamp|tid\b|tijd|hora|heure|\bora\b|godz|czas|fecha|tag\b|day|start|begin|from|von"
    r"|tarih|saat|hodin|dzie",
    re.I,
)
_PLACES_TRIED, _MIN_ROWS, _MOST = 6, 6, 0.9


@dataclass(frozen=True)
class SerialTimes:
    """A text with dates in place of the numbers, and the format of the numbers for that of these dates."""

    text: str
    forms: dict[str, str]

    def write_forms(self, lines: list[str]) -> list[str]:
        """Return the lines of a proposal with the formats of the numbers."""
        return [
            f"{field}: {self.forms[field]}  # the numbers by which spreadsheets store times"
            if (field := line.partition(":")[0]) in self.forms
            else line
            for line in lines
        ]


def write_serials(text: str) -> SerialTimes | None:
    """Return a text whose times are numbers of spreadsheets with dates in it, None for any other text."""
    lines = text.split("\n")
    for delimiter in DELIMITERS:
        rows = [split_fields(line, delimiter) if line.strip() else [] for line in lines]
        width = max((len(row) for row in rows), default=0)
        for place in range(min(width, _PLACES_TRIED)) if width > 1 else ():
            days = _read_column(rows, place, _SERIAL, "serial")
            if days is None or not _are_times(rows, place, days):
                continue
            first = min(days)
            if first and len(rows[first - 1]) != len(rows[first]):
                # The comma of decimals, and no delimiter.
                continue
            if any(at % DAY_US for at in days.values()):
                written = {n: {place: write_wall_clock(at)} for n, at in days.items()}
                forms = {"timestamp_format": "serial", "date_format": "serial"}
                return SerialTimes(_join(lines, rows, delimiter, written), forms)
            return _write_days(lines, rows, delimiter, place, days)
    return None


def _write_days(
    lines: list[str], rows: list[list[str]], delimiter: str, place: int, days: dict[int, int]
) -> SerialTimes:
    """Write a column of whole days, and the column of the part of the day behind it, if there is one."""
    written = {n: {place: write_wall_clock(at)[:10]} for n, at in days.items()}
    forms = {"date_format": "serial_date", "timestamp_format": "serial_date"}
    behind = (other for other in range(place + 1, place + 3) if _names_time(rows, other, min(days)))
    for other in behind:
        parts = _read_column(rows, other, _PART, "serial_time")
        if parts is not None and len(parts) == len(days):
            for n, at in parts.items():
                written[n][other] = write_wall_clock(at % DAY_US)[11:] if at < DAY_US else "24:00:00"
            forms["time_format"] = "serial_time"
            break
    return SerialTimes(_join(lines, rows, delimiter, written), forms)


def _read_column(
    rows: list[list[str]], place: int, shape: re.Pattern[str], form: str
) -> dict[int, int] | None:
    """Return the microseconds of each row of a column of such numbers, None for another column."""
    cells = {n: row[place].strip() for n, row in enumerate(rows) if place < len(row) and row[place].strip()}
    found = {n: cell for n, cell in cells.items() if shape.fullmatch(cell)}
    first = min(found, default=0)
    below = sum(n >= first for n in cells)
    if len(found) < max(_MIN_ROWS, _MOST * below):
        return None
    micros, bad = SerialFormat(form).parse(pa.array(list(found.values())))
    return None if bad.any() else dict(zip(found, micros.tolist(), strict=True))


def _are_times(rows: list[list[str]], place: int, days: dict[int, int]) -> bool:
    """Whether numbers are named as times, or follow each other by one step of whole minutes."""
    if _names_time(rows, place, min(days)):
        return True
    steps: Ints = np.abs(np.diff(np.array(list(days.values()), dtype=np.int64)))
    step, count = Counter(steps.tolist()).most_common(1)[0]
    return 2 * count >= len(steps) and 0 < step < DAY_US and not step % (60 * US)


def _names_time(rows: list[list[str]], place: int, first: int) -> bool:
    above = (row[place] for row in rows[max(first - 3, 0) : first] if place < len(row))
    return any(map(_NAME.search, above))


def _join(lines: list[str], rows: list[list[str]], delimiter: str, written: dict[int, dict[int, str]]) -> str:
    changed = [
        join_fields([written[n].get(place, cell) for place, cell in enumerate(row)], delimiter)
        if n in written
        else line
        for n, (line, row) in enumerate(zip(lines, rows, strict=True))
    ]
    return "\n".join(changed)
