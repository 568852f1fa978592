"""Compute feed-in revenue and the forecast of appraisals again: from the rows of the OLTP, by day, in floats.

Not here: forecasts by year (`tests.warehouse.second_routes`), and the solar energy of residents
(`tests.solar_by_pandas`).
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from tests.marts_by_pandas import each_row, rows
from tests.solar_by_pandas import Prices, dated, on
from tests.warehouse.second_routes import forecast_of

Row = dict[str, Any]


def fed_in(dsn: str) -> dict[tuple[str, date], float]:
    """Compute the revenue from exported energy, before tax, of each property and date with a feed-in plan."""
    readings = rows(dsn, "meter_readings", "meter_id::text, channel, reading_ts, reading_date, value_kwh")
    readings = readings[(readings["channel"] == "export") & readings["value_kwh"].notna()]
    meters = rows(dsn, "meters", "id::text, property_id::text")
    zones = rows(dsn, "properties", "id::text, timezone").set_index("id")["timezone"].to_dict()
    plans = dated(dsn, "feed_in_assignments", "property_id::text, rate_plan_id::text", "assigned_during")
    bands = [band for band in Prices(dsn).bands if band.charge == "feed_in"]
    found: dict[tuple[str, date], float] = defaultdict(float)
    for row in each_row(readings.merge(meters, left_on="meter_id", right_on="id")):
        at = row.reading_ts.astimezone(ZoneInfo(zones[row.property_id]))
        minute, kind = 60 * at.hour + at.minute, "weekend" if at.weekday() >= 5 else "weekday"
        for plan in on(plans, row.reading_date):
            if plan.property_id != row.property_id:
                continue
            (price,) = (
                float(band.unit_amount)
                for band in on(bands, row.reading_date)
                if band.rate_plan_id == plan.rate_plan_id
                and band.day_kind == kind
                and band.opens <= minute < band.closes
            )
            found[row.property_id, row.reading_date] += price * float(row.value_kwh)
    return found


@dataclass
class Month:
    """Sums of a month; `expected` counts the days with a known generation alone."""

    days: int = 0
    forecast: Row = field(default_factory=lambda: defaultdict(float))
    expected: Row = field(default_factory=lambda: defaultdict(float))
    cash: float = 0


def months(appraisal: Row, known: dict[date, float], last: date) -> dict[date, Month]:
    """Forecast each day of an appraisal until `last`.

    `known` has the realised revenue of the days with a known generation.
    """
    forecast, first = forecast_of(appraisal), appraisal["valid_from"]
    shares = appraisal["monthly_shares"] or [1 / 12] * 12
    found: dict[date, Month] = defaultdict(Month)
    starts = [pd.Timestamp(first) + pd.DateOffset(years=years) for years in range(60)]
    for day in pd.date_range(first, last, freq="D"):
        t = next(year for year, end in enumerate(starts[1:]) if day < end)
        year_days = (starts[t + 1] - starts[t]).days
        share = float(shares[day.month - 1]) / day.days_in_month
        brought = {
            "generation_kwh": forecast.energy[t] * share,
            "exported_kwh": forecast.exported[t] * share,
            "revenue_amount": forecast.revenue[t] * share,
            "feed_in_amount": forecast.feed_in[t] * share,
        }
        cost, deductible = forecast.cost[t] / year_days, forecast.deductible[t] / year_days

        def after_tax(revenue: float, cost: float = cost, deductible: float = deductible) -> float:
            return revenue - cost - forecast.tax_rate * (revenue - deductible)

        brought["cash_amount"] = after_tax(brought["revenue_amount"])
        month = found[day.date().replace(day=1)]
        month.days += 1
        for name, value in brought.items():
            month.forecast[name] += value
            if day.date() in known:
                month.expected[name] += value
        if day.date() in known:
            month.cash += after_tax(known[day.date()])
    return found
