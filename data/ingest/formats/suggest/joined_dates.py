"""Tables whose dates stand in several columns: year, month and day, and the hour and minute.

Here: such a table with its dates in one column. Not here: reading them (`mapped_csv`).
"""

import datetime
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from data.ingest.formats.mapped_layout import join_fields, split_fields
from data.ingest.formats.suggest.sample import DELIMITERS
from data.ingest.formats.wallclock import TimeFormat

_PARTS = {
    "Y": "year yr yyyy jahr année annee año ano anno jaar år rok vuosi év година год",
    "m": "month mon mo mm monat mois mes mês mese maand måned månad miesiąc měsíc kuukausi hónap месяц",
    "j": "doy jd jday julian julianday yday dayofyear yearday dayno jahrestag tagimjahr jourannée",
    "d": "day dd dom tag jour día dia giorno dag dzień den päivä nap день",
    "H": "hour hr hh stunde heure hora ora uur time timme godzina hodina tunti óra час",
    "M": "minute min minutes minuten minuto minuti minuut minut minuuttia perc минута",
}
_NAMES = {name: letter for letter, names in _PARTS.items() for name in names.split()}
# How a program may write year and month.
_FORMS = {"Ymd": ("%Y %m %d", "%Y %b %d", "%Y %B %d", "%y %m %d"), "Yj": ("%Y %j", "%y %j")}
_MOST_OF_MONTH = 31
_COLUMN = "$joined"
_ROWS_TRIED, _MIN_ROWS = 30, 3


@dataclass(frozen=True)
class JoinedDates:
    """A text with the dates of its rows in a last column, and the columns and the format of their parts."""

    text: str
    columns: list[str | int]
    form: str

    def write_forms(self, lines: list[str]) -> list[str]:
        """Return the lines of a proposal with the columns of the parts."""
        names = json.dumps(self.columns, ensure_ascii=False)
        written = [
            re.sub(rf'^(  (?:date|timestamp): )"{re.escape(_COLUMN)}"', rf"\1{names}", line) for line in lines
        ]
        return [
            re.sub(r'^(date_format|timestamp_format): ".*?"', rf'\1: "{self.form}"', line) for line in written
        ]


def write_joined_dates(text: str) -> JoinedDates | None:
    """Return a text whose dates stand in several columns, with them in one; None for another text."""
    lines = text.split("\n")
    for delimiter in DELIMITERS:
        for place, line in enumerate(lines[:_ROWS_TRIED]):
            names = [name.strip().strip("\ufeff") for name in split_fields(line, delimiter)]
            bare = [re.sub(r"[\s_.]", "", name.lower()) for name in names]
            parts = {letter: n for n, name in enumerate(bare) if (letter := _NAMES.get(name))}
            if "Y" in parts and ({"m", "d"} <= {*parts} or len({"j", "d"} & {*parts}) == 1):
                found = _join(lines, place, delimiter, names, parts)
                if found is not None:
                    return found
    return None


def _join(
    lines: list[str], header: int, delimiter: str, names: Sequence[str], parts: dict[str, int]
) -> JoinedDates | None:
    """Return the table below a header with the names of parts, None if a row of it has no date there."""
    date = "Ymd" if {"m", "d"} <= {*parts} else "Yj"
    has_clock = {"H", "M"} <= {*parts}
    # A day without a month is one of the year.
    parts = {"j": parts["d"], **parts} if "d" in parts else parts
    places = [parts[letter] for letter in (*date, *("HM" if has_clock else ""))]
    rows = [[cell.strip() for cell in split_fields(line, delimiter)] for line in lines]
    filled = [n for n in range(header + 1, len(rows)) if _are_parts(rows[n], places)]
    if date == "Yj" and not _count_days_of_year([rows[n][places[1]] for n in filled]):
        return None
    texts = [" ".join(rows[n][place].rjust(2, "0") for place in places) for n in filled]
    found = _read_dates(texts, _FORMS[date], " %H %M" if has_clock else "")
    if found is None:
        return None
    form, dates = found
    written = [*lines]
    written[header] = f"{lines[header].rstrip()}{delimiter}{_COLUMN}"
    for n, date in zip(filled, dates, strict=True):
        # The parts are no numbers of the table.
        kept = ("" if place in places else cell for place, cell in enumerate(rows[n]))
        written[n] = join_fields([*kept, date], delimiter)
    columns: list[str | int] = [
        names[place] if names.count(names[place]) == 1 else place + 1 for place in places
    ]
    return JoinedDates("\n".join(written), columns, form)


def _are_parts(row: Sequence[str], places: Sequence[int]) -> bool:
    return len(row) > max(places) and all(row[place] for place in places) and row[places[0]].isdigit()


def _count_days_of_year(texts: Sequence[str]) -> bool:
    """Whether numbers are days of a year: some of them are those of no month."""
    numbers = [int(text) if text.isdigit() else 0 for text in texts]
    return max(numbers, default=0) > _MOST_OF_MONTH


def _read_dates(texts: Sequence[str], forms: Sequence[str], time: str) -> tuple[str, list[str]] | None:
    """Return (the format that reads all of the texts, their dates, in the usual form), None without one."""
    for form in (f"{date}{time}" for date in forms if len(texts) >= _MIN_ROWS):
        micros, bad = TimeFormat(form).parse(pa.array(texts))
        if not bad.any():
            instants = (datetime.datetime.fromtimestamp(int(at) / 1e6, datetime.UTC) for at in micros)
            shape = "%Y-%m-%d %H:%M" if time else "%Y-%m-%d"
            return form, [at.strftime(shape) for at in instants]
    return None
