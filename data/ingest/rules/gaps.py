"""Gaps: which intervals are missing, and estimates for them. Pure functions on columns.

Here: the line between two values for a short gap, the like days for a long one. Not here: which intervals are
due (`due_intervals`), or how an estimate is stored (`data.ingest.validation.estimates`).
"""

import datetime

import pandas as pd

from data.ingest.rules.day_frames import DAY, SERIES, Days, concat_issues, is_next, is_severe, make_issues
from data.ingest.rules.solar import is_night
from data.ingest.schema import ONE_DIRECTION_CHANNELS

LINEAR, LIKE_DAY = "17", "14"
# Decimals of an estimate, in the unit of the reading.
DECIMALS = 6


def list_history_dates(missing: pd.DataFrame, days_back: int) -> list[datetime.date]:
    """List the same weekdays before the dates of missing intervals, up to `days_back` days back."""
    dates = pd.DatetimeIndex(missing["reading_date"].unique())
    back = {(date - pd.Timedelta(days=days)).date() for date in dates for days in range(7, days_back + 1, 7)}
    return sorted(back)


def find_gaps(days: Days) -> pd.DataFrame:
    """Find the missing intervals of the dates, each with the `method` that may fill it, "" for no method.

    A gap with no reading after it is left open: its readings may only be late. At night, missing generation
    is no gap where the place of the property is known: some senders leave out the zeros of a roof. A value of
    a severe day is the neighbour of no gap.
    """
    rows = _find_missing_runs(days.grid, is_severe(days.grid, days.severe))
    if rows.empty:
        return rows.assign(method="", hours=0.0)
    rows = rows[rows["reading_date"].isin(pd.DatetimeIndex(days.dates))]
    generated = rows[rows["channel"] == "generation"]
    rows = rows.drop(generated.index[is_night(generated)])
    rows["hours"] = rows["length"] * rows["interval_seconds"] / 3600
    is_short = rows["hours"] <= days.thresholds("VEE-GAP-SHORT", "hours", rows)
    has_neighbours = rows["before"].notna() & rows["after"].notna()
    is_energy = rows["channel"].isin(ONE_DIRECTION_CHANNELS)
    bounds = days.totals.groupby(SERIES)["reading_date"].agg(first_total="min", last_total="max")
    rows = rows.join(bounds, on=SERIES)
    is_inside = rows["is_inside"] | (
        ((rows["first_total"] < rows["reading_date"]) | (rows["first_known"] < rows["reading_ts"]))
        & ((rows["last_total"] > rows["reading_date"]) | (rows["last_known"] > rows["reading_ts"]))
    )
    rows["method"] = ""
    rows.loc[is_energy & is_inside, "method"] = LIKE_DAY
    rows.loc[is_energy & is_short & has_neighbours, "method"] = LINEAR
    return rows


def estimate_gaps(days: Days, gaps: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Add `estimate` to the rows of `find_gaps`: NaN, and no `method`, where no estimate is possible.

    `history` has the readings of the dates of `list_history_dates`; our own estimates and severe days in it
    are ignored.
    """
    rows = gaps.copy()
    step = (rows["after"] - rows["before"]) / (rows["length"] + 1)
    line = rows["before"] + step * (rows["position"] + 1)
    rows["estimate"] = line.where(rows["method"] == LINEAR)
    like = rows[rows["method"] == LIKE_DAY]
    rows.loc[like.index, "estimate"] = _find_median_of_like_days(days, like, history)
    rows["estimate"] = rows["estimate"].round(DECIMALS)
    rows["method"] = rows["method"].where(rows["estimate"].notna(), "")
    return rows


def report_gaps(gaps: pd.DataFrame) -> pd.DataFrame:
    """VEE-GAP for gaps left open, VEE-GAP-SHORT and VEE-GAP-LONG for estimated ones, one row for each day."""
    found: list[pd.DataFrame] = []
    if gaps.empty:
        return concat_issues(found)
    for rule, method in (("VEE-GAP", ""), ("VEE-GAP-SHORT", LINEAR), ("VEE-GAP-LONG", LIKE_DAY)):
        of_rule = gaps[gaps["method"] == method]
        by_day = of_rule.groupby(DAY, as_index=False).agg(
            property_id=("property_id", "first"),
            first_reading_ts=("reading_ts", "min"),
            last_reading_ts=("reading_ts", "max"),
            intervals=("reading_ts", "size"),
            estimated=("estimate", "sum"),
        )
        found.append(make_issues(rule, by_day, ["intervals", "estimated"] if method else ["intervals"]))
    return concat_issues(found)


def _find_missing_runs(grid: pd.DataFrame, is_bad: pd.Series) -> pd.DataFrame:
    """Return the missing rows of the grid with their run and its neighbours.

    Adds `run`, `position` in the run (from 0), `length`, the values `before` and `after` the run (NaN where
    the next reading is not adjacent or `is_bad`), and `is_inside`: the series has measured before and after
    the row.
    """
    is_missing = grid["measured"].isna()
    runs = (is_missing.ne(is_missing.shift()) | ~is_next(grid)).cumsum()
    trusted = grid["measured"].where(~is_bad)
    before = trusted.shift().where(is_next(grid))
    after = trusted.shift(-1).where(is_next(grid).shift(-1, fill_value=False))
    stamps = grid["reading_ts"].where(~is_missing)
    known = stamps.groupby([grid[name] for name in SERIES])
    first, last = known.transform("min"), known.transform("max")
    rows = grid.assign(run=runs, before=before, after=after, first_known=first, last_known=last)[is_missing]
    of_run = rows.groupby("run")
    rows["position"] = of_run.cumcount()
    rows["length"] = of_run["position"].transform("size")
    rows["before"] = of_run["before"].transform("first").where(of_run["before"].transform("count") > 0)
    rows["after"] = of_run["after"].transform("last")
    rows["is_inside"] = (rows["first_known"] < rows["reading_ts"]) & (rows["last_known"] > rows["reading_ts"])
    return rows


def _find_median_of_like_days(days: Days, rows: pd.DataFrame, history: pd.DataFrame) -> pd.Series:
    """Return the median at the same local time of the same weekdays before, by index of `rows`."""
    if rows.empty or history.empty:
        return pd.Series(float("nan"), index=rows.index)
    past = (
        history[~history["is_own"] & ~is_severe(history, days.severe)]
        .dropna(subset=["value"])
        .merge(days.series[[*SERIES, "timezone"]], on=SERIES)
    )
    past["minute"] = _local_minutes(past["reading_ts"], past["timezone"])
    past = past.rename(columns={"reading_date": "past_date", "interval_seconds": "past_seconds"})
    wanted = rows.assign(
        minute=_local_minutes(rows["reading_ts"], rows["timezone"]),
        back_days=days.thresholds("VEE-GAP-LONG", "days", rows),
        row=rows.index,
    )
    wanted = wanted[[*DAY, "minute", "interval_seconds", "back_days", "row"]]
    pairs = wanted.merge(
        past[[*SERIES, "minute", "past_date", "past_seconds", "value"]], on=[*SERIES, "minute"]
    )
    back = (pairs["reading_date"] - pairs["past_date"]).dt.days
    is_like = (back > 0) & (back % 7 == 0) & (back <= pairs["back_days"])
    is_like &= pairs["past_seconds"] == pairs["interval_seconds"]
    return pairs[is_like].groupby("row")["value"].median().reindex(rows.index)


def _local_minutes(starts: pd.Series, timezones: pd.Series) -> pd.Series:
    """Return the minute of the local day at which each interval starts, by wall-clock time."""
    minutes = pd.Series(0, index=starts.index, dtype="int64")
    for zone in timezones.unique():
        of_zone = timezones == zone
        local = starts[of_zone].dt.tz_convert(zone)
        minutes[of_zone] = local.dt.hour * 60 + local.dt.minute
    return minutes
