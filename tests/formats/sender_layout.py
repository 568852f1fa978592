"""A file in the layout of a sender, with invented values: its text, and its totals by plain sums."""

import datetime
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.formats.workbook_text import write_xlsx

START = datetime.datetime(2024, 3, 15)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A header and a template for its rows.

    In a row {s} and {e} are the start and the end of an interval, {so} and {eo} the same with offset, {n} is
    its number from 1, and {v[0]}, {v[1]}, ... are the values, of which `channels` says what they count; None
    is a value that must not count. A value counts `factor` kWh or m3. `words` complete the shipped mapping.
    """

    header: str
    row: str
    channels: tuple[str | None, ...] = ("import",)
    minutes: int = 15
    zone: str = "Europe/Vienna"
    decimal: str = ","
    above: str = ""
    below: str = ""
    factor: Decimal = Decimal(1)
    words: dict[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    count: int = 30
    is_dial: bool = False
    newest_first: bool = False
    is_workbook: bool = False
    # The channel of each third value, which is written below zero.
    negative: str | None = None

    def write(self, folder: Path) -> Path:
        """Write the file."""
        rows = [self._write_row(number) for number in range(self.count)]
        rows = rows[::-1] if self.newest_first else rows
        text = "\n".join([self.above + self.header, *rows, ""]) + self.below
        if not self.is_workbook:
            path = folder / "export.csv"
            path.write_bytes(text.encode(self.encoding))
            return path
        cells = [line.split("|") for line in text.splitlines()]
        return write_xlsx(
            folder / "export.xlsx", {"Sheet": [[_to_cell(cell) for cell in row] for row in cells]}
        )

    @property
    def totals(self) -> dict[str, Decimal]:
        """The total of each channel."""
        totals: defaultdict[str, Decimal] = defaultdict(Decimal)
        for place, channel in enumerate(self.channels):
            if channel is not None:
                for number in range(1 if self.is_dial else 0, self.count):
                    way = self.negative if self.negative and number % 3 == 0 else channel
                    totals[way] += _value(number, place) * self.factor
        return dict(totals)

    @property
    def first(self) -> str:
        """The first instant of an interval in UTC."""
        start = START.replace(tzinfo=ZoneInfo(self.zone)).astimezone(datetime.UTC)
        return f"{start:%Y-%m-%dT%H:%M:%SZ}"

    def _write_row(self, number: int) -> str:
        start = START + datetime.timedelta(minutes=self.minutes * number)
        end = start + datetime.timedelta(minutes=self.minutes)
        zone = ZoneInfo(self.zone)
        values = [self._print(number, place) for place in range(len(self.channels))]
        return self.row.format(
            s=start,
            e=end,
            so=start.replace(tzinfo=zone).isoformat(),
            eo=end.replace(tzinfo=zone).isoformat(),
            z=f"{end.replace(tzinfo=zone):%z}",
            u=start.replace(tzinfo=zone).astimezone(datetime.UTC),
            n=number + 1,
            v=values,
        )

    def _print(self, number: int, place: int) -> str:
        value = _value(number, place)
        if self.is_dial:
            value = sum((_value(step, place) for step in range(1, number + 1)), Decimal(1000))
        sign = "-" if self.negative and number % 3 == 0 else ""
        return sign + str(value).replace(".", self.decimal)


def _value(number: int, place: int) -> Decimal:
    return Decimal((number * 37 + place * 11) % 89 + 1) / 1000


def _to_cell(cell: str) -> str | float:
    return float(cell) if cell.replace(".", "", 1).isdigit() and "." in cell else cell


def day_row(count: int) -> str:
    """Return the template of a row with this many values."""
    return ";".join(f"{{v[{place}]}}" for place in range(count))


def sum_channels(document: dict[str, Any]) -> dict[str, Decimal]:
    """Return the total of each channel; volumes stand beside energy."""
    totals: dict[str, Decimal] = {}
    for channel in document["channels"]:
        totals[channel["channel"]] = totals.get(channel["channel"], Decimal(0)) + Decimal(channel["total"])
    return totals
