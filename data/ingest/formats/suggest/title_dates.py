"""Tables in blocks of a day, whose date stands in a line above each block, or in its first row alone.

Here: the date in each row of the sample, as a last column `$title` or in its own. Not here: reading it
(`mapped_tables`).
"""

import itertools
import re
from dataclasses import dataclass

from data.ingest.formats.mapped_layout import join_fields, split_fields
from data.ingest.formats.mapped_tables import MOST_PARTS_OF_DATE
from data.ingest.formats.mapping_columns import TITLE
from data.ingest.formats.suggest.date_formats import find_formats, is_dated
from data.ingest.formats.suggest.sample import DELIMITERS

_LEAD = re.compile(r"(?:[^\W\d_]+ )*[^\W\d_]+\s*[:=]\s*")
_MADE = re.compile(
    r"export|print|creat|erstell|generat|download|issued|abgerufen|abruf|extract|emis|imprim|g[eé]n[eé]r|gedruckt"
    r"|wygener|vytvo|utskri|oprettet|출력|작성|作成|出力|打印|导出",
    re.I,
)
_HOUR = re.compile(r"[0-9]{1,3}")
_MIN_ROWS, _MOST, _MAX_CHARS, _CELLS_TRIED, _FIELDS_TRIED = 6, 0.8, 80, 3, 12


@dataclass(frozen=True)
class TitledDates:
    """A text with the date of its block in each row, and the word before each date."""

    text: str
    lead: str

    def write_forms(self, lines: list[str]) -> list[str]:
        """Return the lines of a proposal with the format of the whole title."""
        # Without a header the column has a position in the sample, and none in the file.
        lines = [re.sub(r"^  date: [0-9]+$", f'  date: "{TITLE}"', line) for line in lines]
        return [
            line.replace('date_format: "', f'date_format: "{self.lead}', 1)
            + "  # the date stands in a line above each block"
            if line.startswith("date_format:")
            else line
            for line in lines
        ]


def write_title_dates(text: str) -> TitledDates | None:
    """Return a text whose blocks have a date for a title, with it in each row; None for any other text."""
    lines = [line for line in text.split("\n") if line.strip()]
    for delimiter in DELIMITERS:
        rows = [[cell.strip() for cell in split_fields(line, delimiter)] for line in lines]
        titles = {
            n: title for n, row in enumerate(rows) if (title := _read_title(row, delimiter)) is not None
        }
        alone = _find_only_date(rows) if not titles else None
        if not titles and alone is None:
            continue
        # A row that states its own date needs no title.
        timed = {n for n, row in enumerate(rows) if n not in titles and _has_time_alone(row)}
        dated = any(
            n not in titles and _has_date(line) for n, line in enumerate(lines) if alone is None or n in timed
        )
        if dated or len(timed) < max(_MIN_ROWS, _MOST * (len(rows) - 3 * len(titles))):
            continue
        if alone is not None:
            return TitledDates(_write(lines, rows, delimiter, {-1: ("", alone)}, timed), "")
        if not find_formats([date for _, date in titles.values()], dates=True):
            continue
        leads = {lead for lead, _ in titles.values()}
        return TitledDates(
            _write(lines, rows, delimiter, titles, timed), leads.pop() if len(leads) == 1 else "%*"
        )
    return None


@dataclass(frozen=True)
class DatesOnce:
    """A text with the date of its day in each row, where the file has it in the first one."""

    text: str

    def write_forms(self, lines: list[str]) -> list[str]:
        """Return the lines of a proposal with the field for such dates."""
        place = next((n for n, line in enumerate(lines) if line.startswith("date_format:")), 0)
        once = "date_once: true  # the date stands in the first row of its day alone"
        return [*lines[: place + 1], once, *lines[place + 1 :]]


def write_dates_once(text: str) -> DatesOnce | None:
    """Return a text whose dates stand in the first row of their day, with them in each row; else None."""
    lines = [line for line in text.split("\n") if line.strip()]
    for delimiter in DELIMITERS:
        rows = [[cell.strip() for cell in split_fields(line, delimiter)] for line in lines]
        for place in range(_CELLS_TRIED):
            empty = [n for n, row in enumerate(rows) if place < len(row) and not row[place] and any(row)]
            if len(empty) < max(_MIN_ROWS, len(rows) // 2):
                continue
            own = {n: row[place] for n, row in enumerate(rows) if place < len(row) and is_dated(row[place])}
            bare = [n for n in empty if _has_time(rows[n], place)]
            is_table = own and len(bare) >= max(_MIN_ROWS, len(own)) and min(own) < min(bare)
            if not is_table or not all(_has_time(rows[n], place) for n in own):
                continue
            date, written = "", []
            for n, (line, row) in enumerate(zip(lines, rows, strict=True)):
                date = own.get(n, date)
                changed = [*row[:place], date, *row[place + 1 :]]
                written.append(join_fields(changed, delimiter) if n in bare else line)
            return DatesOnce("\n".join(written) + "\n")
    return None


def _has_time(row: list[str], place: int) -> bool:
    """Whether a row has a time of day, or beside the place of its date the number of an interval."""
    if place + 2 < len(row) and _HOUR.fullmatch(row[place + 1]):
        return True
    return any(":" in cell and find_formats([cell], dates=False) for cell in row[: _CELLS_TRIED + 1])


def _has_date(line: str) -> bool:
    """Whether a field of a line is a date, whatever stands between its fields."""
    return any(is_dated(cell) for mark in DELIMITERS for cell in split_fields(line, mark)[:_FIELDS_TRIED])


def _read_title(row: list[str], delimiter: str) -> tuple[str, str] | None:
    """Return (the words before a date, the date) of a line that has nothing else, None for another line."""
    cells = [cell for cell in row if cell]
    if delimiter == "," and 1 < len(cells) <= MOST_PARTS_OF_DATE:
        # June 1, 2025 without quotes.
        cells = [", ".join(cells)]
    if len(cells) != 1 or len(cells[0]) > _MAX_CHARS:
        return None
    lead = _LEAD.match(cells[0])
    date = cells[0][lead.end() :] if lead else cells[0]
    # A span of days is that of a report.
    is_date = not re.search("[0-9]:[0-9]", date) and is_dated(date) and not _is_span(date)
    return (lead.group() if lead else "", date) if is_date else None


def _find_only_date(rows: list[list[str]]) -> str | None:
    """Return the only date of the lines above rows that begin with a time; none of it is a span."""
    first = next((n for n, row in enumerate(rows) if _has_time_alone(row)), 0)
    cells = [cell for row in rows[:first] for cell in row if cell and len(cell) <= _MAX_CHARS]
    found = list(dict.fromkeys(filter(is_dated, cells)))
    if any(is_dated(cell) and _MADE.search(label) for label, cell in itertools.pairwise(cells)):
        # The date of the file is none of its rows.
        return None
    is_date = len(found) == 1 and not re.search("[0-9]:[0-9]", found[0]) and not _is_span(found[0])
    return found[0] if is_date else None


def _is_span(text: str) -> bool:
    return all("%*" in form for form in find_formats([text.strip()], dates=True))


def _has_time_alone(row: list[str]) -> bool:
    """Whether a row begins with a time of day, or the number of an hour, and has something behind it."""
    if sum(map(bool, row)) < 2:
        return False
    is_time = any(cell and find_formats([cell], dates=False) for cell in row[:_CELLS_TRIED])
    return is_time or _HOUR.fullmatch(row[0]) is not None


def _write(
    lines: list[str],
    rows: list[list[str]],
    delimiter: str,
    titles: dict[int, tuple[str, str]],
    timed: set[int],
) -> str:
    header = next((row for row in rows[: min(timed)][::-1] if sum(map(bool, row)) > 1), None)
    date, written = titles[-1][1] if -1 in titles else "", []
    for n, (line, row) in enumerate(zip(lines, rows, strict=True)):
        date = titles[n][1] if n in titles else date
        if n not in titles:
            mark = date if n in timed else TITLE if row == header else ""
            written.append(f"{line}{delimiter}{join_fields([mark], delimiter)}")
    return "\n".join(written) + "\n"
