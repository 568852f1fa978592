"""Texts of the outside as people may see them: no code for a terminal, no formula for a spreadsheet.

Not here: tables for people (`commands.console`).
"""

import csv
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

# The first letters by which a spreadsheet takes a cell for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def show_text(text: str) -> str:
    """Return a text of the outside with its control characters written out: `\\x1b`, `\\u202e`.

    A terminal would obey them: move the cursor, change its title, show a line in another order. Lines stay.
    """
    if text.isprintable():
        return text
    return "".join(letter if _is_shown(letter) else _write_out(letter) for letter in text)


def write_csv(names: Sequence[str], rows: Iterable[Mapping[str, Any]], stream: TextIO) -> None:
    """Write rows as CSV with a header.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    writer = csv.DictWriter(stream, fieldnames=list(names))
    writer.writeheader()
    writer.writerows({name: _as_cell(value) for name, value in row.items()} for row in rows)


def _as_cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    return f"'{show_text(value)}" if value.startswith(_FORMULA_STARTS) else show_text(value)


def _is_shown(letter: str) -> bool:
    return letter.isprintable() or letter == "\n" or unicodedata.category(letter) == "Zs"


def _write_out(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
