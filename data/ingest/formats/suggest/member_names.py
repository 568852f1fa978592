"""Tables whose members or sheets have in their name what the rows lack: the date, or the meter.

Here: the name as a column of the sample, `$name`, and which texts of an archive one mapping reads. Not here:
reading it (`mapped_csv`).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from data.ingest.formats.container import SheetChoice, is_archive, open_members
from data.ingest.formats.mapped_layout import split_fields
from data.ingest.formats.mapping import NAME
from data.ingest.formats.suggest.date_formats import find_formats, is_dated
from data.ingest.formats.suggest.sample import DELIMITERS

_DATE = re.compile(
    r"(?<![0-9])(20[0-9]{2}([-_.]?)[01][0-9]\2[0-3][0-9]|[0-3][0-9]([-_.])[01][0-9]\3 ?20[0-9]{2})(?![0-9])"
)
# Rows of two sheets that share so many times are of two meters.
_MIN_SHARED, _LINES_TRIED = 3, 400
_MIN_TIMES = 6
# A time of day, or the number of an interval.
_IS_CLOCK = re.compile(r"\s*([0-9]{1,2}[:h][0-9]{2}.*|[0-9]{1,4})\s*")
# The header of a table stands among its first lines.
_LINES_OF_HEADER = 20


@dataclass(frozen=True)
class NamedDates:
    """A text with the date of its name in a last column, and the format by which the name is read."""

    text: str
    form: str

    def write_forms(self, lines: list[str]) -> list[str]:
        """Return the lines of a proposal with the format of the name."""
        return [
            f'date_format: "{self.form}"  # the date stands in the name of each file or sheet'
            if line.startswith("date_format:")
            else line
            for line in lines
        ]


def write_name_dates(text: str, name: str) -> NamedDates | None:
    """Return a text whose rows have times without a date, with that of its name; None for another text."""
    found = _DATE.search(name)
    forms = _list_forms(found[1]) if found else []
    if found is None or not forms:
        return None
    lines = [line for line in text.split("\n") if line.strip()]
    for delimiter in DELIMITERS:
        is_timed = [any(map(_is_time, split_fields(line, delimiter)[:3])) for line in lines]
        if sum(is_timed) < max(_MIN_TIMES, 0.8 * (len(lines) - 3)):
            continue
        first = is_timed.index(True)
        written = [
            f"{line}{delimiter}{NAME if n == first - 1 else '' if n < first else found[1]}"
            for n, line in enumerate(lines)
        ]
        before, after = ("%*" if part else "" for part in (name[: found.start()], name[found.end() :]))
        return NamedDates("\n".join(written) + "\n", f"{before}{forms[0]}{after}")
    return None


def _list_forms(text: str) -> list[str]:
    join = re.sub("[0-9]", "", text)[:1]
    forms = (f"%Y{join}%m{join}%d", f"%d{join}%m{join}%Y")
    year_first = re.match("20[0-9]{2}", text) is not None and (not join or text.index(join) == 4)
    return [forms[0] if year_first else forms[1]]


def _is_time(text: str) -> bool:
    return bool(re.search("[:h]", text)) and bool(find_formats([text.strip()], dates=False))


def share_times(one: str, other: str) -> bool:
    """Whether the rows of two texts have the same times, so that they are of different meters."""
    first, second = (_list_times(text) for text in (one, other))
    return len(first & second) >= max(_MIN_SHARED, 0.5 * min(len(first), len(second)))


def _list_times(text: str) -> set[str]:
    """Return the lines up to their last date: a time may stand in several fields."""
    found = set()
    for line in text.split("\n")[:_LINES_TRIED]:
        for cells in (split_fields(line, delimiter) for delimiter in DELIMITERS):
            dated = [place for place, cell in enumerate(cells[:6]) if is_dated(cell)]
            if dated:
                break
        if dated:
            behind = cells[dated[-1] + 1 : dated[-1] + 2] if dated[-1] + 2 < len(cells) else []
            # Of a row for each day a value follows the date.
            found.add(" ".join([*cells[: dated[-1] + 1], *filter(_IS_CLOCK.fullmatch, behind)]))
    return found


def choose_members(path: Path, wanted: str | None) -> SheetChoice | None:
    """Choose the longest table of an archive, or the one that is wanted, and those with its header.

    None for a file that is no archive, or one whose texts are all alike. Raises `RefusedFile`.
    """
    if not is_archive(path):
        return None
    heads: dict[str, str] = {}
    rows: dict[str, int] = {}
    for member in open_members(path):
        first = next(member.blocks, b"")
        heads[member.name] = first.decode(errors="replace")
        rows[member.name] = _count_dated(heads[member.name]) and first.count(b"\n")
        rows[member.name] += sum(block.count(b"\n") for block in member.blocks) * bool(rows[member.name])
    longest = max(rows, key=lambda name: (name == wanted, rows[name]))
    header = _list_headers(heads[longest])
    alike = [
        name
        for name in rows
        if name != longest and rows[name] and (_list_headers(heads[name]) & header or not header)
    ]
    rest = [name for name in rows if name not in (longest, *alike)]
    others, idle = [name for name in rest if rows[name]], [name for name in rest if not rows[name]]
    return SheetChoice([longest, *alike], others, len(rows), idle) if rest and rows[longest] else None


def _count_dated(text: str) -> int:
    """Return how many of the first lines are rows with a date."""
    lines = text.split("\n")[:_LINES_TRIED]
    rows = (fields for line in lines for mark in DELIMITERS if len(fields := split_fields(line, mark)) > 1)
    return sum(any(is_dated(cell) for cell in row[:6]) for row in rows)


def _list_headers(text: str) -> set[str]:
    """Return the first lines that have several fields, and no date."""
    lines = text.split("\n")[:_LINES_OF_HEADER]
    return {
        line.strip()
        for line in lines
        for mark in DELIMITERS
        if len(fields := split_fields(line, mark)) > 1
        and re.search(r"[^\W\d_]", line)
        and not any(is_dated(cell) for cell in fields)
    }
