"""The one partitioning of the platform: reading dates.

Which dates a run covers is the run's partition range; `window` turns it into a half-open pair, which is how
every function below Dagster takes dates.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

START = "dagster/asset_partition_range_start"
END = "dagster/asset_partition_range_end"

# Interval meters came into wide use around 2000; no file of an older date has been seen.
# Local dates run ahead of UTC by up to 14 hours, so the day after today's UTC date may have begun.
READING_DATES = dg.DailyPartitionsDefinition(start_date="2000-01-01", end_offset=2)

# One run covers its whole range: dbt's temporary tables collide when partitions run side by side.
SINGLE_RUN = dg.BackfillPolicy.single_run()


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

    def tags(self) -> dict[str, str]:
        """The tags that make a Dagster run cover this window."""
        return {START: self.start.isoformat(), END: (self.end - timedelta(days=1)).isoformat()}


def window_of(first: str, last: str) -> Window:
    """The window of a range of partition keys, both included. Raises ValueError on a key that is no date."""
    return Window(date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1))


def window(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Window:
    """The window of the running step."""
    keys = context.partition_key_range
    return window_of(keys.start, keys.end)


def contiguous(dates: list[date]) -> list[Window]:
    """The windows that cover exactly these dates, in order."""
    windows: list[Window] = []
    for day in sorted(set(dates)):
        if windows and windows[-1].end == day:
            windows[-1] = Window(windows[-1].start, day + timedelta(days=1))
        else:
            windows.append(Window(day, day + timedelta(days=1)))
    return windows
