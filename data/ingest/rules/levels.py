"""Rules on the values and totals of a day: enough readings, spikes, days unlike the days before.

Here: rules that look at one series alone. Not here: runs of equal values (`runs`), or several series
(`consistency`).
"""

import pandas as pd

from data.ingest.rules.day_frames import (
    DAILY_SECONDS,
    DAY,
    SERIES,
    Days,
    count_by_day,
    is_severe,
    make_issues,
)
from data.ingest.schema import ONE_DIRECTION_CHANNELS


def check_sufficiency(days: Days) -> pd.DataFrame:
    """VEE-SUFFICIENCY: too many intervals of a day have no value of the sender."""
    rows = count_by_day(days.own)
    limit = days.thresholds("VEE-SUFFICIENCY", "of_day", rows)
    rows["share"] = rows["missing"] / rows["due"]
    return make_issues("VEE-SUFFICIENCY", rows[rows["share"] > limit], ["missing", "due", "share"])


def check_spike(days: Days) -> pd.DataFrame:
    """VEE-SPIKE: (highest - third highest) / third highest of a day."""
    grid = days.own.dropna(subset=["measured"])
    grid = grid[grid["channel"].isin(ONE_DIRECTION_CHANNELS)]
    ranked = grid.sort_values("measured", ascending=False, kind="stable").groupby(DAY, sort=False)
    highest, third = ranked.nth(0).set_index(DAY), ranked.nth(2).set_index(DAY)
    rows = highest.join(third["measured"].rename("third_highest"), how="inner").reset_index()
    rows = rows[rows["third_highest"] > 0]
    rows["highest"] = rows["measured"]
    rows["ratio"] = (rows["highest"] - rows["third_highest"]) / rows["third_highest"]
    rows["first_reading_ts"] = rows["last_reading_ts"] = rows["reading_ts"]
    limit = days.thresholds("VEE-SPIKE", "ratio", rows)
    return make_issues("VEE-SPIKE", rows[rows["ratio"] > limit], ["highest", "third_highest", "ratio"])


def check_high_low(days: Days) -> pd.DataFrame:
    """VEE-HIGH-LOW: the total of a whole day against the average of the days before."""
    rows = _totals_with_history(days, "VEE-HIGH-LOW")
    low = days.thresholds("VEE-HIGH-LOW", "low", rows) * rows["average"]
    high = days.thresholds("VEE-HIGH-LOW", "high", rows) * rows["average"]
    is_off = (rows["total"] < low) | (rows["total"] > high)
    return make_issues("VEE-HIGH-LOW", rows[is_off], ["total", "average"])


def check_outlier(days: Days) -> pd.DataFrame:
    """VEE-OUTLIER: the total of a whole day above median + k x interquartile range of the days before."""
    rows = _totals_with_history(days, "VEE-OUTLIER")
    limit = rows["median"] + days.thresholds("VEE-OUTLIER", "iqr", rows) * rows["iqr"]
    is_off = (rows["total"] > limit) & (rows["iqr"] > 0)
    return make_issues("VEE-OUTLIER", rows[is_off], ["total", "median", "iqr"])


def _totals_with_history(days: Days, rule: str) -> pd.DataFrame:
    """Return the totals of whole days, each with `average`, `median` and `iqr` of the days before it.

    A day needs at least `least` days before it. A day with a gap is left out, both as the day to check and
    as a day before. A severe day is left out as a day before.
    """
    whole = days.own.groupby(DAY)["measured"].agg(["size", "count", "sum"]).reset_index()
    whole = whole[whole["size"] == whole["count"]].rename(columns={"sum": "total"})
    rows = whole.merge(days.series, on=SERIES)
    rows = rows[rows["channel"].isin(ONE_DIRECTION_CHANNELS)]
    past = days.totals[~is_severe(days.totals, days.severe)]
    past = past.rename(columns={"reading_date": "past_date", "total": "past"})
    # A day on which the clock changes is whole with 23 hours.
    past = past[past["count"] * past["seconds"] >= DAILY_SECONDS]
    pairs = rows[DAY].merge(past, on=SERIES)
    back = (pairs["reading_date"] - pairs["past_date"]).dt.days
    limits = rows.assign(days=days.thresholds(rule, "days", rows), least=days.thresholds(rule, "least", rows))
    pairs = pairs.merge(limits[[*DAY, "days"]], on=DAY).assign(back=back)
    pairs = pairs[(pairs["back"] > 0) & (pairs["back"] <= pairs["days"])]
    of_day = pairs.groupby(DAY)["past"]
    known = of_day.agg(known="size", average="mean", median="median")
    known["iqr"] = of_day.quantile(0.75) - of_day.quantile(0.25)
    rows = limits.join(known, on=DAY, how="inner")
    return rows[rows["known"] >= rows["least"]].reset_index(drop=True)
