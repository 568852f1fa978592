"""Tables whose dates have no year: the year is written into them for the proposal, and taken out of it again.

Not here: reading such dates, whose year a mapping declares (`mapped_years`).
"""

import re
from dataclasses import dataclass

from data.ingest.formats.mapped_layout import split_fields
from data.ingest.formats.suggest.sample import DELIMITERS
from data.ingest.formats.wallclock import LEAP_YEAR

# Day and month as numbers or words, with a weekday before them and a time behind them.
_LEAD, _REST = r"(?P<lead>[^\d\s]{0,12}\s?)", r"(?!\d)(?P<rest>(?:(?:T|,? )\D{0,8}\d{1,2}[:.h]?\d{2}.*)?)"
_SHAPES = (
    re.compile(rf"{_LEAD}(?P<date>\d{{1,2}}(?P<join>[./-])\d{{1,2}})(?P<dot>\.?){_REST}"),
    re.compile(rf"{_LEAD}(?P<date>\d{{1,2}}\.?(?P<join>[ .-])[^\W\d_]{{3,12}}\.?)(?P<dot>){_REST}"),
    re.compile(rf"(?P<lead>)(?P<date>[^\W\d_]{{3,12}}\.?(?P<join>[ -])\d{{1,2}})(?P<dot>){_REST}"),
)
_DATE_NAME = re.compile(
    r"dat|tag\b|day|giorno|fecha|jour|d[ií]a\b|dia\b|dag\b|time|zeit|tid\b|dzie|hora", re.I
)
_YEAR = re.compile(r"(?<!\d)20\d\d(?!\d)")
_DECEMBER = re.compile(r"\b12[./-]\d|\d[./-]12\b|\bd[eéi][cz]", re.I)
_MOST, _MIN_ROWS, _LINES_TRIED = 0.8, 3, 400


@dataclass(frozen=True)
class Yearless:
    """A text with the year in its dates, the year that the file states elsewhere, and what was written."""

    text: str
    year: int | None
    written: str

    def write_forms(self, lines: list[str]) -> list[str]:
        """Return the lines of a proposal for the text as the file has it."""
        found = []
        for line in lines:
            is_form = line.startswith(("timestamp_format:", "date_format:"))
            found.append(line.replace(self.written, "", 1) if is_form else line)
            if is_form:
                note = "check: the dates have no year; it is that of the first row"
                found.append(f"year: {self.year}  # {note}" if self.year else f"year:  # {note[7:]}")
        return found


def write_years(name: str, text: str) -> Yearless | None:
    """Return a text whose dates have no year with one in them, None for any other text.

    `name` is that of the file, and of the member of an archive.
    """
    lines = text.split("\n")
    for delimiter in DELIMITERS:
        rows = [split_fields(line, delimiter) if line.strip() else [] for line in lines]
        width = max((len(row) for row in rows), default=0)
        for place in range(min(width, 4)):
            for shape in _SHAPES:
                found = _write_column(lines, rows, place, shape)
                if found is not None:
                    written, first = found
                    year = _find_year(name, lines[:first], [row[place] for row in rows if place < len(row)])
                    changed = _join(lines, rows, place, shape, year or LEAP_YEAR)
                    return Yearless(changed, year, written)
    return None


def _write_column(
    lines: list[str], rows: list[list[str]], place: int, shape: re.Pattern[str]
) -> tuple[str, int] | None:
    """Return (what stands before the year in a format, with it; the first line) of a column of such dates."""
    cells = [(n, row[place].strip()) for n, row in enumerate(rows) if place < len(row) and row[place].strip()]
    found = [(n, match) for n, cell in cells if (match := shape.fullmatch(cell))]
    if len(found) < max(_MIN_ROWS, _MOST * len(cells)):
        return None
    joins = {(match["join"], match["dot"]) for _, match in found}
    names = {rows[n][place].strip() for n in range(found[0][0]) if place < len(rows[n])}
    # 1.5 is a number, not the first of May.
    is_date = all(match["dot"] or match["rest"] or not _is_number(match) for _, match in found)
    if len(joins) > 1 or not (is_date or any(map(_DATE_NAME.search, names))):
        return None
    ((join, dot),) = joins
    return ("%Y" if dot else f"{join}%Y"), found[0][0]


def _is_number(match: re.Match[str]) -> bool:
    return match["join"] in ".-" and match["date"][0].isdigit() and match["date"][-1].isdigit()


def _join(lines: list[str], rows: list[list[str]], place: int, shape: re.Pattern[str], year: int) -> str:
    changed = []
    for line, row in zip(lines, rows, strict=True):
        cell = row[place].strip() if place < len(row) else ""
        match = shape.fullmatch(cell)
        if match is not None and line.count(cell):
            join = match["dot"] or match["join"]
            dated = f"{match['lead']}{match['date']}{join}{year}{match['rest']}"
            changed.append(line.replace(cell, dated, 1))
        else:
            changed.append(line)
    return "\n".join(changed)


def _find_year(name: str, above: list[str], dates: list[str]) -> int | None:
    """Return the only year above the table or in the name of the file, the first of two around a new year."""
    found = sorted({int(year) for text in (name, *above) for year in _YEAR.findall(text)})
    has_turn = any(map(_DECEMBER.search, dates)) and found[-1:] == [found[0] + 1] if found else False
    return found[0] if len(found) == 1 or (len(found) == 2 and has_turn) else None
