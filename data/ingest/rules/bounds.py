"""The bound of a meter: more energy than its connection can carry is a severe issue.

Here: the rule `VEE-BOUND`. Not here: a day in the wrong unit below that bound (`slips`), or days that are
only unusual (`levels`).
"""

import pandas as pd

from data.ingest.rules.day_frames import (
    DAILY_SECONDS,
    DAY,
    SERIES,
    Days,
    concat_issues,
    is_severe,
    kwh_factors,
    make_issues,
)
from data.ingest.rules.solar import roof_day_kwh
from data.ingest.schema import ONE_DIRECTION_CHANNELS

_RULE = "VEE-BOUND"
_DETAILS = ["kwh", "day_limit_kwh", "peak_kw", "limit_kw"]


def check_bound(days: Days) -> pd.DataFrame:
    """VEE-BOUND: an interval or a day has more energy than the connection of the meter can carry.

    The connection of a unit has a floor (`kw`, `day_kwh`) below which no value is severe, and the main meter
    of a property has the floor of all its connections. So a new resident in a flat that stood empty breaks no
    bound, however small the history is.
    """
    rows = _sum_days(days.own)
    if rows.empty:
        return concat_issues([])
    rows = rows.merge(
        days.series[[*SERIES, "rated_kw", "capacity_kw", "connections"]], on=SERIES, how="left"
    ).join(_learn_history(days, rows), on=DAY)
    limit = {
        name: days.thresholds(_RULE, name, rows) for name in ("of_rated", "of_capacity", "kw", "day_kwh")
    }
    factor = days.thresholds(_RULE, "of_history", rows)
    capacity_kw = limit["of_capacity"] * rows["capacity_kw"].where(rows["capacity_kw"] > 0)
    is_generation, is_export = rows["channel"] == "generation", rows["channel"] == "export"
    floor_kw = limit["kw"] * rows["connections"] + capacity_kw.where(is_export).fillna(0)
    floor_kwh = limit["day_kwh"] * rows["connections"] + 24 * capacity_kw.where(is_export).fillna(0)
    known_kw = (
        (limit["of_rated"] * rows["rated_kw"]).where(~is_generation).fillna(capacity_kw.where(is_generation))
    )
    usual_kw, usual_kwh = rows["usual_peak_kw"].fillna(0), rows["usual_kwh"].fillna(0)
    learnt_kw = floor_kw.clip(lower=factor * usual_kw)
    learnt_kwh = floor_kwh.clip(lower=factor * usual_kwh)
    # A known power bounds each interval, and so the day. A roof makes less: the sun does not stand still.
    rows["limit_kw"] = known_kw.fillna(learnt_kw)
    rows["day_limit_kwh"] = learnt_kwh.where(known_kw.isna(), 25 * known_kw)
    roof_kwh = rows[DAY].merge(roof_day_kwh(days), how="left", on=DAY)["roof_kwh"]
    rows["day_limit_kwh"] = roof_kwh.where(is_generation).fillna(rows["day_limit_kwh"])
    is_off = (rows["peak_kw"] > rows["limit_kw"]) | (rows["kwh"] > rows["day_limit_kwh"])
    return make_issues(_RULE, rows[is_off], _DETAILS)


def _sum_days(grid: pd.DataFrame) -> pd.DataFrame:
    """Return energy and highest power of each electricity series and date, with the spot of the peak."""
    of_energy = grid["channel"].isin(ONE_DIRECTION_CHANNELS) & grid["meter_type"].isin(["grid", "solar"])
    rows = grid[of_energy].copy()
    rows["interval_kwh"] = rows["measured"] * kwh_factors(rows["unit"])
    rows = rows.dropna(subset=["interval_kwh"])
    rows["peak_kw"] = rows["interval_kwh"] * 3600 / rows["interval_seconds"]
    rows["kwh"] = rows.groupby(DAY)["interval_kwh"].transform("sum")
    peaks = rows.sort_values("peak_kw", ascending=False, kind="stable").drop_duplicates(DAY)
    peaks = peaks.assign(first_reading_ts=peaks["reading_ts"], last_reading_ts=peaks["reading_ts"])
    columns = [*DAY, "property_id", "meter_type", "kwh", "peak_kw", "first_reading_ts", "last_reading_ts"]
    return peaks[columns].reset_index(drop=True)


def _learn_history(days: Days, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the medians of energy and peak of the whole days before, indexed by `DAY`."""
    past = days.totals[days.totals["count"] * days.totals["seconds"] >= DAILY_SECONDS]
    past = past[~is_severe(past, days.severe)]
    past = past.rename(columns={"reading_date": "past_date"})[[*SERIES, "past_date", "kwh", "peak_kw"]]
    wanted = rows[DAY].assign(
        days=days.thresholds(_RULE, "days", rows), least=days.thresholds(_RULE, "least", rows)
    )
    pairs = wanted.merge(past, on=SERIES)
    back = (pairs["reading_date"] - pairs["past_date"]).dt.days
    pairs = pairs[(back > 0) & (back <= pairs["days"])]
    usual = pairs.groupby(DAY).agg(
        known=("kwh", "size"),
        least=("least", "first"),
        usual_kwh=("kwh", "median"),
        usual_peak_kw=("peak_kw", "median"),
    )
    return usual.loc[usual["known"] >= usual["least"], ["usual_kwh", "usual_peak_kw"]]
