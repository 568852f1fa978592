"""Slips of the unit: every level of a day is ten or a thousand times, or a thousandth of, the usual one.

Here: the rule `VEE-SLIP`, and the days that need the readings of their history for it. Not here: what a
connection or a roof can carry (`bounds`), or days that are only unusual (`levels`).

A wrong unit multiplies all readings of a day alike. A car, a heat pump or a new resident does not: what
refrigerator and router draw stays, or the lowest readings rise more than the highest. So a day is compared
with like days at four levels of its readings above zero, from the tenth percentile to the 95th, and by its
energy.
"""

import numpy as np
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

_RULE = "VEE-SLIP"
_QUANTILES = (0.1, 0.25, 0.5, 0.95)
_LEVELS = ["kwh", *(f"kw_{quantile}" for quantile in _QUANTILES)]
# Fewer readings above zero have no shape: a daily reading cannot show whether its lowest level rose too.
_FEWEST_INTERVALS = 12
# How far a slip is beyond the like days with the most or the least energy.
_BEYOND = 1.5
_DETAILS = ["kwh", "usual_kwh", "times"]


def find_slip_candidates(days: Days) -> pd.DataFrame:
    """Return the days whose energy alone looks like a slip: `DAY`. Only these few need their history."""
    grid = days.own[_is_energy(days.own)]
    grid = grid.assign(kwh=grid["measured"] * kwh_factors(grid["unit"])).dropna(subset=["kwh"])
    rows = grid.groupby([*DAY, "meter_type"], as_index=False).agg(kwh=("kwh", "sum"))
    past = days.totals[days.totals["count"] * days.totals["seconds"] >= DAILY_SECONDS]
    compared = _compare_with_history(days, rows, past[~is_severe(past, days.severe)], ["kwh"])
    return compared.loc[compared["is_high"] | compared["is_low"], DAY].reset_index(drop=True)


def check_slip(days: Days, history: pd.DataFrame) -> pd.DataFrame:
    """VEE-SLIP: each level of a day is `ten` times, or `thousand` times or less, the one of like days.

    `history` has readings of the days before, of the meters that `find_slip_candidates` found. Other meters
    are not checked. A roof's day counts as high only above what the sun gives.
    """
    rows = days.own[_is_energy(days.own)]
    rows = rows[rows["meter_id"].isin(history["meter_id"].unique())]
    if rows.empty:
        return concat_issues([])
    levels = _measure_levels(rows)
    past = history[~history["is_own"]].rename(columns={"value": "measured"})
    past = _measure_levels(past[~is_severe(past, days.severe)])
    past = past[past["seconds"] >= DAILY_SECONDS]
    spots = (
        rows.dropna(subset=["measured"])
        .groupby(DAY, as_index=False)
        .agg(
            property_id=("property_id", "first"),
            meter_type=("meter_type", "first"),
            first_reading_ts=("reading_ts", "min"),
            last_reading_ts=("reading_ts", "max"),
        )
    )
    levels = levels.merge(spots, on=DAY)
    found = _compare_with_history(days, levels, past, _LEVELS)
    found["has_shape"] = found["intervals"] >= _FEWEST_INTERVALS
    roof = roof_day_kwh(days)
    is_sunny = found["kwh"] <= found[DAY].merge(roof, how="left", on=DAY)["roof_kwh"].fillna(0).to_numpy()
    is_off = (found["is_high"] & found["has_shape"] & ~is_sunny) | found["is_thousand"] | found["is_low"]
    return make_issues(_RULE, found[is_off], _DETAILS)


def _is_energy(grid: pd.DataFrame) -> pd.Series:
    return grid["channel"].isin(ONE_DIRECTION_CHANNELS) & grid["meter_type"].isin(["grid", "solar"])


def _measure_levels(readings: pd.DataFrame) -> pd.DataFrame:
    """Return energy, covered seconds, and quantiles of the power above zero of each series and date."""
    rows = readings.assign(kwh=readings["measured"] * kwh_factors(readings["unit"])).dropna(subset=["kwh"])
    sums = rows.groupby(DAY).agg(kwh=("kwh", "sum"), seconds=("interval_seconds", "sum"))
    above = rows[rows["kwh"] > 0]
    power = (above["kwh"] * 3600 / above["interval_seconds"]).groupby([above[name] for name in DAY])
    levels = power.quantile(np.asarray(_QUANTILES)).unstack().reindex(columns=list(_QUANTILES))
    levels.columns = pd.Index(_LEVELS[1:])
    return sums.join(levels).join(power.size().rename("intervals")).reset_index().fillna({"intervals": 0})


def _compare_with_history(
    days: Days, rows: pd.DataFrame, past: pd.DataFrame, levels: list[str]
) -> pd.DataFrame:
    """Return the rows with `is_high`, `is_thousand`, `is_low`, `usual_kwh` and `times`.

    The usual levels are the medians of like days: those of the same kind, weekday or weekend, if enough are
    known, else all. The energy is also beyond the tenth of like days with the most or the least, so that a
    new level is usual after about a week.
    """
    rows = rows.reset_index(drop=True)
    names = ("ten", "thousand", "spread", "usual_kwh", "days", "least")
    limit = {name: days.thresholds(_RULE, name, rows) for name in names}
    alike = _find_like_days(rows, past, limit["days"], limit["least"])[["row", *levels]].groupby("row")
    is_known = alike.size().reindex(rows.index).fillna(0) >= limit["least"]
    usual = alike.median().reindex(rows.index)
    least, most = (alike["kwh"].quantile(share).reindex(rows.index) for share in (0.1, 0.9))
    ratios = (rows[levels] / usual).replace([np.inf, -np.inf], np.nan)
    lowest, highest = (ratios.agg(how, axis=1, skipna=False) for how in ("min", "max"))
    of_shape = ratios[[level for level in levels if level != "kwh"]]
    is_even = ~(of_shape.max(axis=1) > limit["spread"] * of_shape.min(axis=1))
    # A meter that measures next to nothing gets a new level by any use.
    is_used, is_noise = usual["kwh"] >= limit["usual_kwh"], usual["kwh"] < limit["usual_kwh"] / 10
    is_above = is_known & (rows["kwh"] > _BEYOND * most)
    is_below = is_known & (rows["kwh"] < least / _BEYOND)
    is_thousand = is_above & ~is_noise & (lowest >= limit["thousand"])
    return rows.assign(
        usual_kwh=usual["kwh"],
        times=ratios["kwh"],
        is_thousand=is_thousand,
        is_high=is_thousand | (is_above & is_used & is_even & (lowest >= limit["ten"])),
        is_low=is_below & is_used & (highest <= 1 / limit["thousand"]) & (rows["kwh"] > 0),
    )


def _find_like_days(
    rows: pd.DataFrame, past: pd.DataFrame, days: pd.Series, least: pd.Series
) -> pd.DataFrame:
    """Return the like days before each row, in the last `days` days; `row` is its index."""
    past = past.rename(columns={"reading_date": "past_date"}).drop(columns="meter_type", errors="ignore")
    pairs = rows[DAY].assign(row=rows.index, days=days, least=least).merge(past, on=SERIES)
    back = (pairs["reading_date"] - pairs["past_date"]).dt.days
    pairs = pairs[(back > 0) & (back <= pairs["days"])]
    is_weekend, was_weekend = (pairs[name].dt.day_of_week >= 5 for name in ("reading_date", "past_date"))
    same = (is_weekend == was_weekend).groupby(pairs["row"]).transform("sum")
    like: pd.DataFrame = pairs[(is_weekend == was_weekend) | (same < pairs["least"])]
    return like
