"""Compute the shares of solar energy and their value again: in floats, from the rows of the OLTP.

Bills, marts and the rounding to billionths of a kWh (`data.billing.sharing`) are not computed here.
"""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from tests.marts_by_pandas import each_row, rows

ENERGY = ("import", "export", "generation", "consumption")
Shares = dict[str | None, float]


def shared(dsn: str) -> pd.DataFrame:
    """Compute the solar energy of each participant in each interval.

    Columns: property_id, unit_id (None: the common area), reading_date, solar_kwh, grid_kwh, revenue_amount
    (before tax) and saving_amount (with tax). Intervals in which a register is missing are left out.
    """
    readings = rows(
        dsn,
        "meter_readings",
        "meter_id::text, channel, reading_ts, reading_date, value_kwh",
    )
    readings = readings[readings["channel"].isin(ENERGY) & readings["value_kwh"].notna()]
    meters = rows(dsn, "meters", "id::text, property_id::text, status")
    zones = rows(dsn, "properties", "id::text, timezone").set_index("id")["timezone"].to_dict()
    methods = dated(dsn, "allocation_methods", "property_id::text, method", "valid_during")
    keys = dated(dsn, "allocation_keys", "property_id::text, unit_id::text, share", "valid_during")
    assignments = dated(dsn, "meter_assignments", "meter_id::text, unit_id::text", "assigned_during")
    tenancies = dated(dsn, "tenancies", "unit_id::text", "occupied_during")
    price = Prices(dsn)
    found: list[tuple[Any, ...]] = []
    placed = readings.merge(meters[meters["status"] == "active"], left_on="meter_id", right_on="id")
    intervals: Any
    for place, intervals in placed.groupby("property_id"):
        registers = intervals.groupby(["meter_id", "channel"]).ngroups
        start: Any
        for start, interval in intervals.groupby("reading_ts"):
            if len(interval) < registers:
                continue
            day = interval["reading_date"].iloc[0]
            unit_of = {row.meter_id: row.unit_id for row in on(assignments, day)}
            let = {row.unit_id for row in on(tenancies, day)}
            share = {row.unit_id: float(row.share) for row in on(keys, day) if row.property_id == place}
            (method,) = (row.method for row in on(methods, day) if row.property_id == place)
            loads: Shares = dict.fromkeys(share, 0.0)
            for row in each_row(interval[interval["channel"] == "consumption"]):
                loads[unit_of.get(row.meter_id)] += float(row.value_kwh)
            made = float(interval.loc[interval["channel"] == "generation", "value_kwh"].sum())
            may_use = {unit: kwh if unit is None or unit in let else 0.0 for unit, kwh in loads.items()}
            for unit, solar in share_out(method, made, may_use, share).items():
                wall_clock = start.astimezone(ZoneInfo(zones[place]))
                revenue, saving = price.of(unit, wall_clock) if unit in let else (0.0, 0.0)
                found.append((place, unit, day, solar, loads[unit] - solar, solar * revenue, solar * saving))
    columns = "property_id unit_id reading_date solar_kwh grid_kwh revenue_amount saving_amount"
    return pd.DataFrame(found, columns=columns.split())


def share_out(method: str, made: float, loads: Shares, keys: Shares) -> Shares:
    """The three methods of docs/billing.md on one interval; energies in kWh."""
    if method == "dynamic":
        load = sum(loads.values())
        part = min(made, load) / load if load else 0.0
        return {unit: part * kwh for unit, kwh in loads.items()}
    got = {unit: min(keys[unit] * made, kwh) for unit, kwh in loads.items()}
    while method == "hybrid":
        left = made - sum(got.values())
        wanting = {unit for unit in got if loads[unit] - got[unit] > 1e-12}
        weight = sum(keys[unit] for unit in wanting)
        if left <= 1e-12 or not weight:
            break
        for unit in wanting:
            got[unit] = min(loads[unit], got[unit] + left * keys[unit] / weight)
    return got


class Prices:
    """Return what a kWh of solar earns the owner and saves a resident, at an instant of the wall clock."""

    def __init__(self, dsn: str) -> None:
        self.plans = dated(
            dsn, "rate_plan_assignments", "unit_id::text, rate_plan_id::text", "assigned_during"
        )
        minutes = "lower(minutes_of_day) as opens, upper(minutes_of_day) as closes"
        columns = f"rate_plan_id::text, charge, day_kind, {minutes}, unit_amount, tax_rate"
        self.bands = dated(dsn, "rate_plan_bands", columns, "valid_during")

    def of(self, unit: str | None, at: datetime) -> tuple[float, float]:
        """(solar before tax, grid less solar with tax)."""
        day, minute = at.date(), 60 * at.hour + at.minute
        kind = "weekend" if at.weekday() >= 5 else "weekday"
        (plan,) = (row.rate_plan_id for row in on(self.plans, day) if row.unit_id == unit)
        bands = [
            row
            for row in on(self.bands, day)
            if row.rate_plan_id == plan and row.day_kind == kind and row.opens <= minute < row.closes
        ]
        (solar,) = (row for row in bands if row.charge == "solar")
        (grid,) = (row for row in bands if row.charge == "grid")
        with_tax = [float(row.unit_amount) * (1 + float(row.tax_rate)) for row in (solar, grid)]
        return float(solar.unit_amount), with_tax[1] - with_tax[0]


def dated(dsn: str, table: str, columns: str, during: str) -> list[Any]:
    """Read the rows of a table, each with the first date on which it holds, and the first after it."""
    ends = f"lower({during}) as first, upper({during}) as last"
    return list(each_row(rows(dsn, table, f"{columns}, {ends}")))


def on(table: list[Any], day: date) -> list[Any]:
    """Select the rows that hold on a date."""
    return [
        row
        for row in table
        if (row.first is None or row.first <= day) and (row.last is None or day < row.last)
    ]
