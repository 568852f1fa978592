"""The intervals that are due on local days, joined with the readings.

Here: the grid of `Days`. Not here: what a missing interval means (`levels`, `gaps`).
"""

import datetime

import numpy as np
import pandas as pd

from data.ingest.rules.day_frames import DAILY_SECONDS, DAY, SERIES


def list_due_intervals(
    readings: pd.DataFrame, series: pd.DataFrame, dates: list[datetime.date], now: datetime.datetime
) -> pd.DataFrame:
    """List the intervals due on `dates`, joined with the readings: `value` is NaN where one is missing.

    The interval length of a day is the most common length of its readings, else the configured length, else
    the most common length of the series. A series without a length is left out, and so is a length that does
    not divide the day. No interval is due before its device was installed, after the device was removed, or
    before the interval is over.
    """
    days = series.merge(pd.DataFrame({"reading_date": pd.DatetimeIndex(dates).as_unit("us")}), how="cross")
    of_day = _most_common_length(readings, DAY)
    of_series = _most_common_length(readings, SERIES)
    days = days.merge(of_day, how="left", on=DAY).merge(of_series, how="left", on=SERIES, suffixes=("", "_s"))
    days["interval_seconds"] = days["length"].fillna(days["interval_seconds"]).fillna(days["length_s"])
    days = days.dropna(subset=["interval_seconds"]).drop(columns=["length", "length_s"])
    kinds = days[["timezone", "reading_date", "interval_seconds"]].drop_duplicates()
    starts = [
        _interval_starts(timezone, date, int(seconds))
        for timezone, date, seconds in kinds.itertuples(index=False)
    ]
    if not starts:
        return pd.DataFrame()
    grid = days.merge(pd.concat(starts), on=["timezone", "reading_date", "interval_seconds"])
    return _join_readings(grid[_is_due(grid, now)], readings)


def mark_whole(series: pd.DataFrame, grid: pd.DataFrame, days: int) -> pd.Series:
    """Return whether each series has due intervals on so many dates of the grid, and a value in each."""
    if grid.empty:
        return pd.Series(False, index=series.index)
    counted = grid.groupby(SERIES).agg(
        due=("measured", "size"), measured=("measured", "count"), dates=("reading_date", "nunique")
    )
    is_whole = (counted["due"] == counted["measured"]) & (counted["dates"] == days)
    found = pd.MultiIndex.from_frame(series[SERIES]).isin(is_whole.index[is_whole])
    return pd.Series(found, index=series.index)


def compute_midnights(rows: pd.DataFrame) -> pd.Series:
    """Return the instant at which the local day of each row begins, from `timezone` and `reading_date`."""
    kinds = rows[["timezone", "reading_date"]].drop_duplicates()
    parts = [
        of_zone.assign(midnight=_find_midnights(pd.DatetimeIndex(of_zone["reading_date"]), str(zone)))
        for zone, of_zone in kinds.groupby("timezone")
    ]
    found = pd.concat([kinds.assign(midnight=pd.DatetimeIndex([], tz="UTC"))] if kinds.empty else parts)
    merged = rows[["timezone", "reading_date"]].merge(found, how="left", on=["timezone", "reading_date"])
    return merged["midnight"].set_axis(rows.index)


def _find_midnights(dates: pd.DatetimeIndex, timezone: str) -> pd.DatetimeIndex:
    local = dates.tz_localize(timezone, ambiguous=np.full(len(dates), True), nonexistent="shift_forward")
    return local.tz_convert("UTC")


def _is_due(grid: pd.DataFrame, now: datetime.datetime) -> pd.Series:
    end = grid["reading_ts"] + pd.to_timedelta(grid["interval_seconds"], unit="s")
    return (
        (~(grid["reading_ts"] < grid["measured_from"]) & ~(end > grid["measured_until"]))
        & (end <= pd.Timestamp(now))
        & ~(grid["reading_date"] < grid["first_date"])
    )


def _join_readings(grid: pd.DataFrame, readings: pd.DataFrame) -> pd.DataFrame:
    found = readings.drop(columns=["reading_date"]).rename(columns={"interval_seconds": "seconds"})
    grid = grid.merge(found, how="left", on=[*SERIES, "reading_ts"])
    grid = grid.sort_values([*SERIES, "reading_ts"], ignore_index=True)
    grid["is_own"] = grid["is_own"].eq(True)
    grid["is_withdrawn"] = grid["is_withdrawn"].eq(True)
    grid["measured"] = grid["value"].where(~grid["is_own"])
    return grid


def _most_common_length(readings: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    counted = readings.groupby([*by, "interval_seconds"], as_index=False).size()
    counted = counted.sort_values(["size", "interval_seconds"]).drop_duplicates(by, keep="last")
    return counted[[*by, "interval_seconds"]].rename(columns={"interval_seconds": "length"})


def _interval_starts(timezone: str, date: pd.Timestamp, seconds: int) -> pd.DataFrame:
    """Return the interval starts of one local day in UTC; a daily reading starts at local midnight."""
    first, end = _find_midnights(pd.DatetimeIndex([date, date + pd.Timedelta(days=1)]), timezone)
    span = int((end - first).total_seconds())
    if seconds >= DAILY_SECONDS:
        starts = pd.DatetimeIndex([first])
    elif seconds > 0 and span % seconds == 0:
        starts = pd.date_range(first, end, freq=f"{seconds}s", inclusive="left")
    else:
        starts = pd.DatetimeIndex([], tz="UTC")
    return pd.DataFrame(
        {
            "reading_ts": starts.as_unit("us"),
            "timezone": timezone,
            "reading_date": date,
            "interval_seconds": float(seconds),
        }
    )
