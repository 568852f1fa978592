"""Rules on runs of equal values: zeros that last too long, generation that repeats one value."""

import pandas as pd

from data.ingest.rules.day_frames import (
    DAY,
    SERIES,
    Days,
    Thresholds,
    concat_issues,
    is_next,
    is_severe,
    make_issues,
)

_OF_RUN = {
    "meter_id": ("meter_id", "first"),
    "channel": ("channel", "first"),
    "reading_date": ("reading_date", "first"),
    "property_id": ("property_id", "first"),
    "first_reading_ts": ("reading_ts", "min"),
    "last_reading_ts": ("reading_ts", "max"),
    "samples": ("reading_ts", "size"),
}


def find_zero_run_candidates(days: Days) -> pd.DataFrame:
    """Find the runs of zeros that are long enough to be compared with the norm of the meter.

    Only consumption of electricity is checked: a gas or water meter, an export, or generation at night may
    stand still.
    """
    grid = days.own
    is_use = grid["channel"].isin(["import", "consumption"]) & grid["meter_type"].isin(["grid"])
    runs = _longest_zero_runs(grid[is_use])
    return runs[runs["hours"] >= days.thresholds("VEE-ZERO-RUN", "hours", runs)]


def check_zero_run(
    candidates: pd.DataFrame, history: pd.DataFrame, thresholds: Thresholds, severe: pd.DataFrame
) -> pd.DataFrame:
    """VEE-ZERO-RUN: a run longer than on any day of the meter's `history` (readings of the days before).

    A meter without history has no norm, so it has no issue. Severe days are no history.
    """
    if candidates.empty:
        return concat_issues([])
    past = history.assign(measured=history["value"].where(~history["is_own"]))
    past = past[~is_severe(past, severe)].dropna(subset=["measured"]).sort_values([*SERIES, "reading_ts"])
    norms = _longest_zero_runs(past)[[*DAY, "hours"]]
    by_day = past[DAY].drop_duplicates().merge(norms, how="left", on=DAY).fillna({"hours": 0.0})
    by_day = by_day.rename(columns={"reading_date": "past_date", "hours": "norm_hours"})
    limits = candidates.assign(days=thresholds("VEE-ZERO-RUN", "days", candidates))
    pairs = limits[[*DAY, "days"]].merge(by_day, on=SERIES)
    back = (pairs["reading_date"] - pairs["past_date"]).dt.days
    norm = pairs[(back > 0) & (back <= pairs["days"])].groupby(DAY)["norm_hours"].max()
    rows = candidates.join(norm, on=DAY, how="inner")
    return make_issues("VEE-ZERO-RUN", rows[rows["hours"] > rows["norm_hours"]], ["hours", "norm_hours"])


def check_stale(days: Days) -> pd.DataFrame:
    """VEE-STALE: generation repeats one value above zero."""
    grid = days.own
    grid = grid[(grid["channel"] == "generation") & (grid["measured"] > 0)]
    if grid.empty:
        return concat_issues([])
    is_same = grid["measured"].eq(grid["measured"].shift()) & is_next(grid)
    grid = grid.assign(run=(~is_same).cumsum())
    runs = grid.groupby("run").agg(**_OF_RUN, meter_type=("meter_type", "first"), value=("measured", "first"))
    runs = runs.sort_values("samples", ascending=False, kind="stable").drop_duplicates(DAY)
    return make_issues(
        "VEE-STALE",
        runs[runs["samples"] >= days.thresholds("VEE-STALE", "samples", runs)],
        ["samples", "value"],
    )


def _longest_zero_runs(grid: pd.DataFrame) -> pd.DataFrame:
    """Return the longest run of zeros of each series and date: its `hours`, first and last start."""
    runs = _find_runs(grid, grid["measured"].eq(0), DAY)
    runs["hours"] = runs["length"] * runs["interval_seconds"] / 3600
    return runs.sort_values("hours", ascending=False, kind="stable").drop_duplicates(DAY)


def _find_runs(grid: pd.DataFrame, holds: pd.Series, within: list[str]) -> pd.DataFrame:
    """Return one row for each run of rows for which `holds`; a change in a column of `within` ends a run."""
    begins = ~holds.eq(holds.shift()) | ~is_next(grid)
    for name in within:
        begins |= grid[name].ne(grid[name].shift())
    rows = grid.assign(run=begins.cumsum())[holds]
    keep = [name for name in (*within, "property_id", "meter_type", "interval_seconds") if name in rows]
    firsts = rows.groupby("run")[keep].first()
    spans = rows.groupby("run")["reading_ts"].agg(
        first_reading_ts="min", last_reading_ts="max", length="size"
    )
    return firsts.join(spans).reset_index(drop=True)
