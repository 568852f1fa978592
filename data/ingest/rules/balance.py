"""The energy balance of a property: what went in is not less than what was used and what left.

Here: the rule, and estimates that keep to it. Not here: how an estimate is made (`gaps`), or how energy is
shared (`data.billing`).
"""

import numpy as np
import pandas as pd

from data.ingest.rules.day_frames import SERIES, Days, concat_issues, is_severe, kwh_factors, make_issues
from data.ingest.rules.due_intervals import compute_midnights
from data.ingest.rules.gaps import DECIMALS
from data.ingest.rules.solar import is_night
from data.ingest.schema import ONE_DIRECTION_CHANNELS

_SIGNS = {"import": 1.0, "generation": 1.0, "export": -1.0, "consumption": -1.0}
_PROPERTY_DAY = ["property_id", "reading_date"]
_NOISE = 1e-4
# An interval of the longest length that the property has on the date.
_SLOT = [*_PROPERTY_DAY, "slot"]


def check_balance(days: Days) -> pd.DataFrame:
    """VEE-BALANCE: import + generation < consumption + export of a property.

    The energies are summed over the longest interval of the property. Only intervals that every energy
    register of the property has measured count, and only properties that meter all of these (`_sum_slots`).
    """
    slots = _sum_slots(_select_energy(days.own))
    if slots.empty:
        return concat_issues([])
    share = days.thresholds("VEE-BALANCE", "share", slots.assign(meter_type=None))
    # A watt-hour may come from rounding.
    bad = slots[slots["loss"] < -(share * slots["intake"] + 0.001)]
    rows = bad.groupby(_PROPERTY_DAY, as_index=False).agg(
        first_reading_ts=("reading_ts", "min"),
        last_reading_ts=("reading_ts", "max"),
        intervals=("loss", "size"),
        loss_kwh=("loss", "sum"),
    )
    return make_issues("VEE-BALANCE", rows, ["intervals", "loss_kwh"])


def fit_estimates(days: Days, gaps: pd.DataFrame) -> pd.DataFrame:
    """Fit the estimates of `estimate_gaps` to the balance of their property, interval by interval.

    A flat used at most what went into the property and nobody else used. Where what went in is estimated
    itself, at least that went in which was used and left. Nothing
    changes where a value of the interval is unknown or of a severe day, or where the measured values alone
    break the balance. Source: the balance of VEE-BALANCE; bills refuse a period that breaks it.
    """
    is_estimate = gaps["method"] != ""
    grid = days.own
    grid = _select_energy(grid[grid["property_id"].isin(gaps.loc[is_estimate, "property_id"])])
    found = gaps.index[is_estimate].intersection(grid.index)
    if found.empty:
        return gaps
    per_unit = kwh_factors(_find_units(days, grid))
    grid["is_estimate"] = grid.index.isin(found)
    grid.loc[found, "kwh"] = gaps.loc[found, "estimate"] * per_unit.loc[found]
    grid.loc[is_severe(grid, days.severe), "kwh"] = np.nan
    slots = _sum_slots(grid)
    rows = grid[grid["is_estimate"]].merge(slots[slots["loss"] < 0], on=_SLOT).set_index("row")
    if rows.empty:
        return gaps
    fitted = (_fit_to_losses(rows) / per_unit.loc[rows.index]).dropna()
    steps = fitted * 10**DECIMALS
    # Rounded to the side that keeps the balance, but for the noise of binary fractions.
    is_raised = fitted > gaps.loc[fitted.index, "estimate"]
    rounded = np.where(is_raised, np.ceil(steps - _NOISE), np.floor(steps + _NOISE))
    gaps = gaps.copy()
    gaps.loc[fitted.index, "estimate"] = rounded / 10**DECIMALS
    return gaps


def _select_energy(grid: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of electrical energy with `row` (their index), `sign`, `kwh` and `slot`.

    At night a roof whose place is known makes nothing, and some senders leave its zeros out.
    """
    is_energy = grid["channel"].isin(ONE_DIRECTION_CHANNELS) & grid["meter_type"].isin(["grid", "solar"])
    grid = grid[is_energy].copy()
    grid["row"] = grid.index
    grid["sign"] = grid["channel"].map(_SIGNS)
    grid["kwh"] = grid["measured"] * kwh_factors(grid["unit"])
    is_dark = (grid["channel"] == "generation") & grid["kwh"].isna()
    if is_dark.any():
        dark = grid[is_dark]
        grid.loc[dark.index[is_night(dark)], "kwh"] = 0.0
    longest = grid.groupby(_PROPERTY_DAY)["interval_seconds"].transform("max")
    seconds = (grid["reading_ts"] - compute_midnights(grid)).dt.total_seconds()
    grid["slot"] = seconds // longest
    return grid


def _sum_slots(grid: pd.DataFrame) -> pd.DataFrame:
    """Sum the energies by slot; returns the slots that can be compared.

    These have every value, and their property meters its use, its grid connection and the roof that it is
    known to have. A property with a battery is left out: it uses in one interval what went in in another.
    """
    if grid.empty:
        return pd.DataFrame(columns=[*_SLOT, "loss", "intake", "reading_ts"])
    loss = grid["kwh"] * grid["sign"]
    rows = grid.assign(
        loss=loss,
        intake=loss.where(grid["sign"] > 0, 0.0),
        is_unknown=grid["kwh"].isna(),
        is_use=grid["channel"] == "consumption",
        is_import=grid["channel"] == "import",
        is_roof=grid["channel"] == "generation",
        has_roof=grid["capacity_kw"] > 0,
    )
    slots = rows.groupby(_SLOT, as_index=False).agg(
        loss=("loss", "sum"),
        intake=("intake", "sum"),
        reading_ts=("reading_ts", "min"),
        is_unknown=("is_unknown", "any"),
        is_use=("is_use", "any"),
        is_import=("is_import", "any"),
        is_roof=("is_roof", "any"),
        has_roof=("has_roof", "any"),
        has_battery=("has_battery", "any"),
    )
    is_whole = slots["is_use"] & slots["is_import"] & (slots["is_roof"] | ~slots["has_roof"])
    is_whole &= ~slots["is_unknown"] & ~slots["has_battery"]
    return slots.loc[is_whole, [*_SLOT, "loss", "intake", "reading_ts"]]


def _fit_to_losses(rows: pd.DataFrame) -> pd.Series:
    """Return the energy in kWh of the estimates of slots whose `loss` is below zero; NaN for no change.

    Import gives way first, since the grid balances a property, then generation, then use and export together.
    """
    order = rows["channel"].map({"import": 0, "generation": 1}).fillna(2)
    of_slot = [rows[name] for name in _SLOT]
    kwh = rows["kwh"].where(order == order.groupby(of_slot).transform("min"))
    count = kwh.groupby(of_slot).transform("count")
    total = kwh.groupby(of_slot).transform("sum")
    raised = kwh - rows["loss"] / count
    lowered = kwh * (1 + rows["loss"] / total.where(total > 0)).clip(lower=0.0)
    fitted: pd.Series = raised.where(rows["sign"] > 0, lowered)
    return fitted


def _find_units(days: Days, grid: pd.DataFrame) -> pd.Series:
    """Return the unit in which each row of the grid is or would be measured."""
    seen = grid.groupby(SERIES)["unit"].transform("first")
    configured = grid[SERIES].merge(days.series[[*SERIES, "unit"]], how="left", on=SERIES)["unit"]
    return configured.set_axis(grid.index).fillna(seen)
