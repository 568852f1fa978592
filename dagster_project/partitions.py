"""The only partitioning of the platform: reading dates.

The partition range of a run says which dates it covers. `window` converts it to a half-open
`myproperty.dates.Window`, the form that functions below Dagster take.
"""

from datetime import date, timedelta

import dagster as dg

from myproperty.dates import Window

_START = "dagster/asset_partition_range_start"
_END = "dagster/asset_partition_range_end"

# Interval meters came into wide use around 2000; no file of an older date has been seen.
# Local dates run ahead of UTC by up to 14 hours, so the day after today's UTC date may have begun.
READING_DATES = dg.DailyPartitionsDefinition(start_date="2000-01-01", end_offset=2)

# One run covers its whole range: dbt's temporary tables collide when partitions run at the same time.
SINGLE_RUN = dg.BackfillPolicy.single_run()


def run_tags(window: Window) -> dict[str, str]:
    """Return the tags that make a Dagster run cover this window."""
    return {_START: window.start.isoformat(), _END: (window.end - timedelta(days=1)).isoformat()}


def window_of(first: str, last: str) -> Window:
    """Return the window of a range of partition keys, both included. Raises ValueError on an invalid date."""
    return Window(date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1))


def window(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Window:
    """Return the window of the running step."""
    keys = context.partition_key_range
    return window_of(keys.start, keys.end)
