"""Ranges of dates: half-open, as every function below Dagster takes them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class Window:
    """Reading dates from `start` to before `end`."""

    start: date
    end: date

    @property
    def dates(self) -> list[date]:
        """Each date of the window."""
        return [self.start + timedelta(days=n) for n in range((self.end - self.start).days)]

    @property
    def bounds(self) -> tuple[date, date]:
        """`(start, end)`."""
        return self.start, self.end


def contiguous(dates: Iterable[date]) -> list[Window]:
    """Return the windows that cover exactly these dates, in order."""
    windows: list[Window] = []
    for day in sorted(set(dates)):
        if windows and windows[-1].end == day:
            windows[-1] = Window(windows[-1].start, day + timedelta(days=1))
        else:
            windows.append(Window(day, day + timedelta(days=1)))
    return windows


def limited(
    windows: Iterable[Window], most: int, rows: Mapping[date, int] | None = None, most_rows: float = math.inf
) -> list[Window]:
    """Return the same dates in windows of at most `most` dates and `most_rows` rows, in order.

    `rows` counts the rows of dates. A date is never cut: one that has more rows is a window alone.
    """
    cut: list[Window] = []
    for window in windows:
        parts: list[list[date]] = []
        filled = 0
        for day in window.dates:
            count = (rows or {}).get(day, 0)
            if not parts or len(parts[-1]) == most or filled + count > most_rows:
                parts.append([])
                filled = 0
            parts[-1].append(day)
            filled += count
        cut += [Window(part[0], part[-1] + timedelta(days=1)) for part in parts]
    return cut
