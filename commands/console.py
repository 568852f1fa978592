"""What people and programs see: tables, JSON documents and errors.

No work is done here; every function turns a finished result into text.
"""

import csv
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

# Where nobody watches, in a pipe or a log, a table is as wide as it needs to be: no figure is cut short.
UNWATCHED_WIDTH = 200
out = Console(width=None if sys.stdout.isatty() else UNWATCHED_WIDTH)
err = Console(stderr=True, soft_wrap=True)

Row = Mapping[str, Any]
__all__ = [
    "describe_dates",
    "err",
    "escape",
    "out",
    "output_to",
    "print_csv",
    "print_json",
    "print_query",
    "print_table",
    "step",
]


def print_json(document: object) -> None:
    """Write one JSON document, and nothing else, to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")


def print_csv(rows: Sequence[Row]) -> None:
    """Write rows as CSV with a header; no rows, no header."""
    if rows:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def print_table(title: str, rows: Sequence[Row], *, empty: str = "none") -> None:
    """Write rows as a table; numbers to the right; `empty` where there are none."""
    if not rows:
        out.print(f"[bold]{title}[/]: {empty}")
        return
    # Apart from the table, which may be narrower and would fold it.
    out.print(title, style="bold", markup=False, highlight=False)
    table = Table(header_style="bold")
    for name, value in rows[0].items():
        table.add_column(name, justify=_side(value), overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row.values()))
    out.print(table)


def print_query(query: str) -> None:
    """Write the SQL that an answer came from, as it can be run again."""
    out.print(f"By the query:\n{textwrap.indent(query, '  ')}\n", style="dim", markup=False, highlight=False)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _side(value: object) -> Literal["left", "right"]:
    return "right" if isinstance(value, int | float | Decimal) else "left"


def describe_dates(dates: Sequence[date]) -> str:
    """Dates as people write them: `2026-10-20 to 2026-10-24, 2026-11-01`."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(dates)):
        if ranges and day - ranges[-1][1] == timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in ranges) or "none"


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show that a step is under way; leaves nothing on the screen where there is no terminal."""
    with err.status(text):
        yield


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Send what libraries print inside the block to a log file; standard output is for results."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file, redirect_stdout(file):
        yield
