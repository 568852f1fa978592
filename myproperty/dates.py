"""Ranges of dates: half-open, as every function below Dagster takes them."""

from collections.abc import Iterable
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


def limited(windows: Iterable[Window], most: int) -> list[Window]:
    """Return the same dates in windows of at most `most` dates, in order."""
    cut: list[Window] = []
    for window in windows:
        dates = window.dates
        cut += [
            Window(dates[n], dates[min(n + most, len(dates)) - 1] + timedelta(days=1))
            for n in range(0, len(dates), most)
        ]
    return cut
