"""Print to the console: tables, JSON documents, errors, progress.

Nothing here knows a command or its results; how each result is shown is in `views`.
"""

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from myproperty import logs
from myproperty.files import close_folder
from myproperty.shown import show_text, write_csv

# Without a terminal, in a pipe or a log, a table is as wide as it needs to be: no figure is cut short.
WIDTH_WITHOUT_TERMINAL = 200
# A figure or a date is readable in so many letters; lines and spaces stand beside a column.
LEAST_COLUMN, _BESIDE_COLUMN = 10, 3
# Amounts have up to three decimals that mean something even if they are zero.
MOST_ZEROS = 3


class PlainConsole(Console):
    """A console on which no text of the outside is code: see `show_text`. `:x:` is no picture."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, with the control characters of texts written out."""
        super().print(*(show_text(each) if isinstance(each, str) else each for each in objects), **options)


out = PlainConsole(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, emoji=False)
err = PlainConsole(stderr=True, soft_wrap=True, emoji=False)

Row = Mapping[str, Any]
__all__ = [
    "describe_dates",
    "err",
    "escape",
    "out",
    "output_to",
    "print_csv",
    "print_error",
    "print_json",
    "print_query",
    "print_table",
    "show_progress",
    "show_text",
    "step",
]


def print_json(document: object) -> None:
    """Write one JSON document, and nothing else, to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")


def print_csv(rows: Sequence[Row]) -> None:
    """Write rows as CSV with a header, see `write_csv`; without rows, write nothing."""
    if rows:
        write_csv(list(rows[0]), rows, sys.stdout)


def print_table(title: str, rows: Sequence[Row], *, empty: str = "none") -> None:
    """Write rows as a table, numbers to the right; without rows, write `empty`.

    Rows of more columns than can be read beside each other are blocks: a column is a line.
    """
    if not rows:
        out.print(f"[bold]{escape(title)}[/]: {escape(empty)}")
        return
    # Not as the table's own title: a narrow table would fold it.
    out.print(title, style="bold", markup=False, highlight=False)
    if _find_least_width(rows) > out.width:
        _print_blocks(rows)
        return
    table = Table(header_style="bold")
    for name, value in rows[0].items():
        table.add_column(name, justify=_choose_side(value), overflow="fold", no_wrap=name == "id")
    for row in rows:
        # Text, not a string: brackets in a value are no markup.
        table.add_row(*(Text(_format_value(value)) for value in row.values()))
    out.print(table)


def _find_least_width(rows: Sequence[Row]) -> int:
    """Return the letters that a table needs: a column may be folded, but not below `LEAST_COLUMN`."""
    widths = {name: len(name) for name in rows[0]}
    for row in rows:
        for name, value in row.items():
            widths[name] = max(widths.get(name, len(name)), len(_format_value(value)))
    return sum(min(width, LEAST_COLUMN) + _BESIDE_COLUMN for width in widths.values()) + 1


def _print_blocks(rows: Sequence[Row]) -> None:
    for number, row in enumerate(rows, 1):
        block = Table.grid(padding=(0, 2))
        block.add_column(style="dim", no_wrap=True)
        block.add_column(overflow="fold")
        for name, value in row.items():
            block.add_row(Text(name), Text(_format_value(value)))
        out.print(f"{number} of {len(rows)}", style="bold", highlight=False)
        out.print(block)


def print_query(query: str) -> None:
    """Write the SQL of an answer in a form that can be run again."""
    out.print(f"By the query:\n{textwrap.indent(query, '  ')}\n", style="dim", markup=False, highlight=False)


def print_error(label: str, message: str) -> None:
    """Write one error to standard error, its label in red; as JSON lines, to the log."""
    if logs.is_json():
        logs.LOGGER.error("%s: %s", label, message)
        return
    err.print(f"[red]{label}:[/] {escape(message)}")


def show_progress(line: str) -> None:
    """Report the progress of a run on standard error; as JSON lines, in the log."""
    if logs.is_json():
        logs.LOGGER.info("%s", line)
        return
    err.print(f"[dim]  {escape(line)}[/]")


def _format_value(value: object) -> str:
    if value is None:
        return ""
    return _format_decimal(value) if isinstance(value, Decimal) else show_text(str(value))


def _format_decimal(value: Decimal) -> str:
    """Return the plain number; decimals that only say how a column is stored are left out, cents are not."""
    exponent = value.as_tuple().exponent
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if isinstance(exponent, int) and exponent < -MOST_ZEROS else text


def _choose_side(value: object) -> Literal["left", "right"]:
    return "right" if isinstance(value, int | float | Decimal) else "left"


def describe_dates(dates: Sequence[date]) -> str:
    """Write dates as ranges: `2026-10-20 to 2026-10-24, 2026-11-01`."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(dates)):
        if ranges and day - ranges[-1][1] == timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in ranges) or "none"


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show that a step is in progress; without a terminal or as JSON lines, show nothing."""
    if logs.is_json():
        yield
        return
    with err.status(text):
        yield


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Send the output of libraries inside the block to a log file; standard output is for results.

    As JSON lines it goes to the log of the process instead.
    """
    if logs.is_json():
        with logs.output_as_lines("output"):
            yield
        return
    close_folder(log.parent)
    with log.open("a") as file, redirect_stdout(file):
        yield
