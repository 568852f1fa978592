"""Tables whose members or sheets have in their name what the rows lack: the date, or the meter.

Here: the name as a column of the sample, `$name`, and which texts of an archive one mapping reads. Not here:
reading it (`mapped_csv`).
"""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.ingest.formats.container import SheetChoice, is_archive, open_members
from data.ingest.formats.mapped_layout import split_fields
from data.ingest.formats.mapping_columns import NAME
from data.ingest.formats.suggest.columns import UNIT
from data.ingest.formats.suggest.date_formats import find_formats, is_dated
from data.ingest.formats.suggest.sample import DELIMITERS

_DATE = re.compile(
    r"(?<![0-9])(20[0-9]{2}([-_.]?)[01][0-9]\2[0-3][0-9]|[0-3][0-9]([-_.])[01][0-9]\3 ?20[0-9]{2})(?![0-9])"
)
# Rows of two sheets that share so many times are of two meters.
_MIN_SHARED, _LINES_TRIED = 3, 400
_MIN_TIMES = 6
# Names of two headers that differ by less are those of one column; the lines of a mapping with such names.
_LEAST_SHARED = 0.6
_OF_COLUMNS = ("column:", "timestamp:", "date:", "time:", "identifier:", "register:", "unit:", "quality:")
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
        if name != longest
        and rows[name]
        and (
            _list_headers(heads[name]) & header
            or not header
            or join_names(_find_header(heads[longest]), _find_header(heads[name]))
        )
    ]
    rest = [name for name in rows if name not in (longest, *alike)]
    others, idle = [name for name in rest if rows[name]], [name for name in rest if not rows[name]]
    return SheetChoice([longest, *alike], others, len(rows), idle) if rest and rows[longest] else None


def write_shared_names(lines: list[str], texts: Sequence[str]) -> list[str]:
    """Return the lines of a proposal with names of columns that fit the headers of all texts.

    Where they differ, such as by the letter of a phase, `*` stands for what differs.
    """
    headers = list(map(_find_header, texts))
    joined = headers[0] if headers else []
    for other in headers[1:]:
        joined = join_names(joined, other)
    shared = {
        one: both for one, both in zip(headers[0] if headers else [], joined, strict=False) if one != both
    }
    for one, both in shared.items():
        old, new = (f": {json.dumps(name, ensure_ascii=False)}" for name in (one, both))
        lines = [
            line.replace(old, new) if line.strip(" -").startswith(_OF_COLUMNS) else line for line in lines
        ]
    return lines


def join_names(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """Return the names that two headers share, with `*` for what differs; none if they are not alike."""
    pairs = list(zip(one, other, strict=False)) if len(one) == len(other) else []
    joined = [_join_name(*pair) for pair in pairs]
    is_whole = len(set(joined)) == len(joined) and all(joined)
    return joined if is_whole else []


def _join_name(one: str, other: str) -> str:
    if one == other:
        return one
    begin = _find_beginning(one, other)
    end = _find_beginning(one[len(begin) :][::-1], other[len(begin) :][::-1])[::-1]
    is_alike = len(begin) + len(end) >= _LEAST_SHARED * max(len(one), len(other))
    is_alike = is_alike and _find_unit(one) == _find_unit(other)
    return f"{begin}*{end}" if is_alike else ""


def _find_unit(name: str) -> str:
    return found.group(1).lower() if (found := UNIT.search(name)) else ""


def _find_beginning(one: str, other: str) -> str:
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(letter for letter, _ in pairs)


def _find_header(text: str) -> list[str]:
    """Return the fields of the line above the first row with a date, none without names."""
    lines = [line for line in text.split("\n")[:_LINES_OF_HEADER] if line.strip()]
    for delimiter in DELIMITERS:
        rows = [[cell.strip() for cell in split_fields(line, delimiter)] for line in lines]
        first = next((n for n, row in enumerate(rows) if len(row) > 1 and any(map(is_dated, row))), 0)
        if first and len(rows[first - 1]) == len(rows[first]):
            return [name.strip("\ufeff") for name in rows[first - 1]]
    return []


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
