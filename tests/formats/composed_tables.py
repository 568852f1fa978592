"""Exports of portals that do not exist, in the shapes that one row for each reading does not have.

Columns of days, rows of days, midnights at the end of their date, clocks of twelve hours, counters of some
hours, values below zero, units beside kWh. The words and the drawn values are those of `composed_layouts`.
"""

import datetime
from collections.abc import Callable
from decimal import Decimal

from tests.formats.composed_layouts import ZERO, Composed, Composer

Interval = tuple[datetime.datetime, datetime.datetime]
Rows = list[list[str]]
# Rows that begin again: the hours of a counter.
PERIODS = (3, 4, 6, 8, 12, 24)


class TableComposer(Composer):
    """Draws one file in one of the shapes."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.minutes = self.chance.choice((15, 30, 60))
        self.channel = self.chance.choice(("import", "import", "export", "generation"))
        self.name = self.chance.choice(self.words.of_channels[self.channel])
        self.date = self.chance.choice(self.words.dates)
        self.time = "%H:%M"
        self.totals = {self.channel: ZERO}
        self.has_total = self.chance.random() < 0.4
        self.is_ranged = self.chance.random() < 0.3
        shapes: tuple[Callable[[], Rows], ...] = (
            self._write_across,
            self._write_across,
            self._write_day_rows,
            self._write_ends_of_days,
            self._write_half_clock,
            self._write_counter,
            self._write_net,
            self._write_other_unit,
        )
        self.shape = self.chance.choice(shapes)

    def compose(self) -> Composed:
        """Return the file."""
        above = [[self.words.meter, f"M{self.chance.randint(1000, 9999)}"]] * (self.chance.random() < 0.4)
        rows = self.shape()
        if self.shape in (self._write_across, self._write_day_rows):
            # No column says what is counted, so a title does.
            above.append([self.name])
        lines = [self._join(row) for row in [*above, *rows]]
        return Composed("\n".join([*lines, ""]), self.zone, self.totals)

    def _draw_energy(self) -> list[tuple[Interval, Decimal]]:
        found = [(one, self._draw(self.channel, one[0].hour)) for one in self._list_intervals()]
        self.totals[self.channel] = sum((value for _, value in found), ZERO)
        return found

    def _lay_out(self) -> tuple[list[datetime.date], list[str], dict[tuple[datetime.date, str], Decimal]]:
        """Return (days, labels of the day, cells): of a repeated hour the first one is in the table."""
        cells: dict[tuple[datetime.date, str], Decimal] = {}
        labels: dict[str, None] = {}
        step = datetime.timedelta(minutes=self.minutes)
        midnight = datetime.datetime(2024, 1, 1)
        for number in range(1440 // self.minutes):
            labels[self._label(midnight + number * step)] = None
        for (start, _), value in self._draw_energy():
            cells.setdefault((start.date(), self._label(start.replace(tzinfo=None))), value)
        self.totals[self.channel] = sum(cells.values(), ZERO)
        return sorted({day for day, _ in cells}), list(labels), cells

    def _label(self, at: datetime.datetime) -> str:
        end = at + datetime.timedelta(minutes=self.minutes)
        return f"{at:%H:%M} - {end:%H:%M}" if self.is_ranged else f"{at:%H:%M}"

    def _write_cells(self, values: list[Decimal | None]) -> list[str]:
        return ["" if value is None else self._write(value) for value in values]

    def _write_across(self) -> Rows:
        days, labels, cells = self._lay_out()
        rows = [[self.words.time, *(day.strftime(self.date) for day in days)]]
        for label in labels:
            rows.append([label, *self._write_cells([cells.get((day, label)) for day in days])])
        if self.has_total:
            sums = [sum(value for (day, _), value in cells.items() if day == one) for one in days]
            rows.append([self.words.total, *self._write_cells([Decimal(value) for value in sums])])
            for row in rows:
                row.append("")
            rows[0][-1] = self.words.total
        return rows

    def _write_day_rows(self) -> Rows:
        days, labels, cells = self._lay_out()
        rows = [[self.words.date, *labels, *([self.words.total] * self.has_total)]]
        for day in days:
            values = [cells.get((day, label)) for label in labels]
            total = [sum((value or ZERO for value in values), ZERO)] * self.has_total
            rows.append([day.strftime(self.date), *self._write_cells([*values, *total])])
        return rows

    def _write_ends_of_days(self) -> Rows:
        rows = [[self.words.date, self.words.time, self.name]]
        for (start, end), value in self._draw_energy():
            rows.append([start.strftime(self.date), end.strftime(self.time), self._write(value)])
        return rows

    def _write_half_clock(self) -> Rows:
        rows = [[self.words.timestamp, self.name]]
        for (start, _), value in self._draw_energy():
            rows.append([start.strftime(f"{self.date} %I:%M %p"), self._write(value)])
        return rows

    def _write_counter(self) -> Rows:
        self.minutes = 60
        every, shown = self.chance.choice(PERIODS), ZERO
        rows, energy = [[self.words.timestamp, self.name]], self._draw_energy()
        for (start, _), value in energy:
            shown = value if start.hour % every == 0 and not (start.fold and every == 1) else shown + value
            rows.append([start.strftime(f"{self.date} {self.time}"), self._write(shown)])
        # What a counter shows first has no read before it.
        self.totals[self.channel] -= energy[0][1]
        return rows

    def _write_net(self) -> Rows:
        self.totals = {"import": ZERO, "export": ZERO}
        rows = [[self.words.timestamp, self.words.net]]
        for start, _ in self._list_intervals():
            value = self._draw("import", start.hour) - self._draw("export", start.hour)
            self.totals["import" if value > 0 else "export"] += abs(value)
            rows.append([start.strftime(f"{self.date} {self.time}"), self._write(value)])
        return rows

    def _write_other_unit(self) -> Rows:
        unit, power = self.chance.choice((("Wh", 3), ("MWh", -3)))
        rows = [[self.words.timestamp, self.name.replace("kWh", unit)]]
        for (start, _), value in self._draw_energy():
            rows.append([start.strftime(f"{self.date} {self.time}"), self._write(value.scaleb(power))])
        return rows


def compose_table(seed: int) -> Composed:
    """Return the file of a seed."""
    return TableComposer(seed).compose()
