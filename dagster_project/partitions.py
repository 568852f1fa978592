"""The only partitioning of the platform: reading dates.

The partition range of a run says which dates it covers. `window` converts it to a half-open
`myproperty.dates.Window`, the form that functions below Dagster take.
"""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from uuid import UUID

import dagster as dg

from myproperty.dates import Window

LAUNCHED_BY = "launched_by"
LEFT_OUT = "tenants_left_out"
SPLIT_FROM = "split_from"
# A run with this tag is split by the process that started it, if it fails.
SPLIT_BY = "split_by"
_START = "dagster/asset_partition_range_start"
_END = "dagster/asset_partition_range_end"

# Interval meters came into wide use around 2000; no file of an older date has been seen.
# Local dates run ahead of UTC by up to 14 hours, so the day after today's UTC date may have begun.
READING_DATES = dg.DailyPartitionsDefinition(start_date="2000-01-01", end_offset=2)

# One run covers its whole range: dbt's temporary tables collide when partitions run at the same time.
SINGLE_RUN = dg.BackfillPolicy.single_run()


def begin_with(first: date) -> dg.DailyPartitionsDefinition:
    """Return the reading dates from `first` on: a page of Dagster shows no dates before the first reading."""
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_offset=2)


def run_tags(
    window: Window, launched_by: str, left_out: Collection[str] = (), split_from: str | None = None
) -> dict[str, str]:
    """Return the tags that make a Dagster run cover this window, and those that the list of runs shows.

    `launched_by` names a schedule, a sensor, or a person and the command. `left_out` are the ids of tenants
    that the run leaves as they are, since the run `split_from` failed for them.
    """
    first, last = window.start.isoformat(), (window.end - timedelta(days=1)).isoformat()
    dates = first if first == last else f"{first} to {last}"
    tags = {_START: first, _END: last, "reading_dates": dates, LAUNCHED_BY: launched_by}
    tags |= {SPLIT_FROM: split_from} if split_from else {}
    return tags | ({LEFT_OUT: " ".join(sorted(left_out))} if left_out else {})


def left_out_of_tags(tags: Mapping[str, str]) -> frozenset[str]:
    """Return the ids of the tenants that a run leaves as they are. Raises ValueError if one is no UUID."""
    return frozenset(str(UUID(text)) for text in tags.get(LEFT_OUT, "").split())


def dates_of_tags(tags: Mapping[str, str]) -> Window | None:
    """Return the window of a run by its tags; None if it has no partitions."""
    if _START in tags and _END in tags:
        return window_of(tags[_START], tags[_END])
    key = tags.get("dagster/partition")
    return window_of(key, key) if key else None


def window_of(first: str, last: str) -> Window:
    """Return the window of a range of partition keys, both included. Raises ValueError on an invalid date."""
    return Window(date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1))


def window(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Window:
    """Return the window of the running step."""
    keys = context.partition_key_range
    return window_of(keys.start, keys.end)
