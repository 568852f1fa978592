"""Rules that compare: the channels of a meter, the meters of a property, the clocks, a value and a null."""

import datetime

import numpy as np
import pandas as pd

from data.ingest.rules.day_frames import DAY, Days, concat_issues, count_by_day, kwh_factors, make_issues
from data.ingest.schema import ONE_DIRECTION_CHANNELS

_PROPERTY_DAY = ["property_id", "reading_date"]


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


def check_balance(days: Days) -> pd.DataFrame:
    """VEE-BALANCE: import + generation < consumption + export of a property.

    The energies are summed over the longest interval of the property. Only intervals that every energy
    register of the property has measured count, and only properties that meter their consumption.
    """
    slots = _balance_slots(days.own)
    if slots.empty:
        return concat_issues([])
    share = days.thresholds("VEE-BALANCE", "share", slots)
    # A watt-hour may come from rounding.
    bad = slots[slots["loss"] < -(share * slots["intake"] + 0.001)]
    rows = bad.groupby(_PROPERTY_DAY, as_index=False).agg(
        first_reading_ts=("reading_ts", "min"),
        last_reading_ts=("reading_ts", "max"),
        intervals=("loss", "size"),
        loss_kwh=("loss", "sum"),
    )
    return make_issues("VEE-BALANCE", rows, ["intervals", "loss_kwh"])


def _balance_slots(grid: pd.DataFrame) -> pd.DataFrame:
    """Sum the energies of each property by its longest interval; returns the slots that can be compared."""
    grid = grid[
        grid["channel"].isin(ONE_DIRECTION_CHANNELS) & grid["meter_type"].isin(["grid", "solar"])
    ].copy()
    if grid.empty:
        return grid
    sign = grid["channel"].map({"import": 1, "generation": 1, "export": -1, "consumption": -1})
    grid["kwh"] = grid["measured"] * kwh_factors(grid["unit"])
    grid["is_missing"] = grid["kwh"].isna()
    grid["loss"] = grid["kwh"] * sign
    grid["intake"] = grid["kwh"].where(sign > 0, 0.0)
    longest = grid.groupby(_PROPERTY_DAY)["interval_seconds"].transform("max").astype(np.int64)
    seconds = grid["reading_ts"].astype("int64") // 1_000_000
    grid["slot"] = seconds - seconds % longest
    grid["is_use"] = grid["channel"] == "consumption"
    grid["is_intake"] = sign > 0
    slots = grid.groupby([*_PROPERTY_DAY, "slot"], as_index=False).agg(
        loss=("loss", "sum"),
        intake=("intake", "sum"),
        missing=("is_missing", "sum"),
        has_use=("is_use", "any"),
        has_intake=("is_intake", "any"),
        reading_ts=("reading_ts", "min"),
    )
    return slots[(slots["missing"] == 0) & slots["has_use"] & slots["has_intake"]].assign(meter_type=None)


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
