"""Estimation: gaps to values, with the method recorded. Pure functions on columns.

Here: the line between two values for a short gap, the like days for a long one. Not here: which intervals are
missing (`days`), or how an estimate is stored: as any reading, and replaced by any value of the sender.
"""

import datetime

import pandas as pd

from data.ingest.rules.days import DAY, SERIES, Days, Frame, gaps, is_night, issues, local_minutes, together
from data.ingest.schema import ONE_DIRECTION_CHANNELS

LINEAR, LIKE_DAY = "17", "14"
# Of the unit of the reading: a value between others has no more digits than that.
DECIMALS = 6


def history_dates(missing: Frame, days_back: int) -> list[datetime.date]:
    """The same weekdays before the dates of missing intervals, at most so many days back."""
    dates = pd.DatetimeIndex(missing["reading_date"].unique())
    back = {(date - pd.Timedelta(days=days)).date() for date in dates for days in range(7, days_back + 1, 7)}
    return sorted(back)


def missing_intervals(days: Days) -> Frame:
    """The gaps of the dates that are validated, each row with the `method` that may fill it, "" for none.

    A gap that nothing follows is left open: its readings may only be late. So is one at night where the
    property's place is known: some senders leave out the zeros of a roof.
    """
    rows = gaps(days.grid)
    if rows.empty:
        return rows.assign(method="", hours=0.0)
    rows = rows[~((rows["channel"] == "generation") & is_night(rows))]
    rows = rows[rows["reading_date"].isin(pd.DatetimeIndex(days.dates))]
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


def estimate(days: Days, missing: Frame, history: Frame) -> Frame:
    """The missing intervals of `missing_intervals` with `estimate` (NaN where there is none) and `method`.

    `history` are readings of the dates of `history_dates`; own estimates among them count nothing.
    """
    rows = missing.copy()
    step = (rows["after"] - rows["before"]) / (rows["length"] + 1)
    line = rows["before"] + step * (rows["position"] + 1)
    rows["estimate"] = line.where(rows["method"] == LINEAR)
    like = rows[rows["method"] == LIKE_DAY]
    rows.loc[like.index, "estimate"] = _like_days(days, like, history)
    rows["estimate"] = rows["estimate"].round(DECIMALS)
    rows["method"] = rows["method"].where(rows["estimate"].notna(), "")
    return rows


def gap_issues(rows: Frame) -> Frame:
    """VEE-GAP for what stays missing, VEE-GAP-SHORT and VEE-GAP-LONG for what was estimated, a row a day."""
    found: list[Frame] = []
    if rows.empty:
        return together(found)
    for rule, method in (("VEE-GAP", ""), ("VEE-GAP-SHORT", LINEAR), ("VEE-GAP-LONG", LIKE_DAY)):
        of_rule = rows[rows["method"] == method]
        by_day = of_rule.groupby(DAY, as_index=False).agg(
            property_id=("property_id", "first"),
            first_reading_ts=("reading_ts", "min"),
            last_reading_ts=("reading_ts", "max"),
            intervals=("reading_ts", "size"),
            estimated=("estimate", "sum"),
        )
        found.append(issues(rule, by_day, ["intervals", "estimated"] if method else ["intervals"]))
    return together(found)


def _like_days(days: Days, rows: Frame, history: Frame) -> pd.Series:
    """The average at the same local time of the same weekday before, by index of `rows`."""
    if rows.empty or history.empty:
        return pd.Series(float("nan"), index=rows.index)
    past = (
        history[~history["is_own"]]
        .dropna(subset=["value"])
        .merge(days.series[[*SERIES, "timezone"]], on=SERIES)
    )
    past["minute"] = local_minutes(past["reading_ts"], past["timezone"])
    past = past.rename(columns={"reading_date": "past_date", "interval_seconds": "past_seconds"})
    wanted = rows.assign(
        minute=local_minutes(rows["reading_ts"], rows["timezone"]),
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
    return pairs[is_like].groupby("row")["value"].mean().reindex(rows.index)
