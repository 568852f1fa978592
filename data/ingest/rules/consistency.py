"""Rules that compare: the channels of a meter, the clocks, a value and a null.

Not here: the meters of a property (`balance`).
"""

import datetime

import numpy as np
import pandas as pd

from data.ingest.rules.day_frames import DAY, Days, concat_issues, count_by_day, make_issues


def check_channels(days: Days) -> pd.DataFrame:
    """VEE-CHANNEL: a meter reports on some of its channels on a date, and not on another channel."""
    rows = count_by_day(days.own)
    on_date = rows.groupby(["meter_id", "reading_date"])["reported"].transform("sum")
    silent = rows[(rows["reported"] == 0) & (on_date > 0)]
    # A channel that never reported has no grid: it is due if the meter reports at all.
    present = rows[rows["reported"] > 0][["meter_id", "reading_date"]].drop_duplicates()
    wanted = days.series.merge(present, on="meter_id")
    never = wanted.merge(rows[DAY], how="left", on=DAY, indicator=True)
    never = never[never["_merge"] == "left_only"].assign(due=np.nan)
    return make_issues("VEE-CHANNEL", pd.concat([silent, never]).drop_duplicates(DAY), [])


def check_clock(days: Days) -> pd.DataFrame:
    """VEE-CLOCK: the zone of the meter and the zone of its property differ at noon of a date."""
    rows = days.own.drop_duplicates(["meter_id", "reading_date"])
    rows = rows[rows["timezone"] != rows["property_timezone"]]
    if rows.empty:
        return concat_issues([])
    pairs = rows[["timezone", "property_timezone", "reading_date"]].drop_duplicates()
    pairs["minutes"] = [
        _offset_minutes(zone, date) - _offset_minutes(home, date)
        for zone, home, date in pairs.itertuples(index=False)
    ]
    rows = rows.merge(pairs, on=["timezone", "property_timezone", "reading_date"]).assign(channel=None)
    return make_issues("VEE-CLOCK", rows[rows["minutes"] != 0], ["minutes"])


def _offset_minutes(timezone: str, date: pd.Timestamp) -> float:
    offset = (date + pd.Timedelta(hours=12)).tz_localize(timezone).utcoffset()
    return (offset or datetime.timedelta()).total_seconds() / 60


def check_withdrawn(days: Days) -> pd.DataFrame:
    """VEE-WITHDRAWN: the sender sent a null after the current value."""
    grid = days.own[days.own["is_withdrawn"]]
    if grid.empty:
        return concat_issues([])
    rows = grid.groupby(DAY, as_index=False).agg(
        property_id=("property_id", "first"),
        first_reading_ts=("reading_ts", "min"),
        last_reading_ts=("reading_ts", "max"),
        intervals=("reading_ts", "size"),
    )
    return make_issues("VEE-WITHDRAWN", rows, ["intervals"])
