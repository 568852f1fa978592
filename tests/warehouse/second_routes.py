"""Compute figures of the marts a second way: returns by numpy-financial, forecasts day by day, allocations by
billing's code."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import numpy_financial as npf

from data.billing.sharing import METHODS, share_out_solar

from .dbt_project import HISTORY

Row = dict[str, Any]
QUANTA = 1_000_000_000


@dataclass(frozen=True)
class Return:
    """Figures of an appraisal; None stands for NULL."""

    npv: float
    irr_pct: float | None
    payback_years: float | None
    discounted_payback_years: float | None
    lcoe: float


def random_appraisals(count: int, seed: int) -> list[Row]:
    """Make appraisals of all kinds: good, bad, with more cost than revenue, with tax and replacement."""
    rng = np.random.default_rng(seed)

    def rate(low: float, high: float) -> str:
        return f"{rng.uniform(low, high):.6f}"

    def options(lifetime: int) -> Row:
        """What an appraisal may leave out; a replacement may cost more than a year brings."""
        given = {
            "export_share": f"{rng.uniform(0, 1):.8f}",
            "export_price_per_kwh": rate(0, 0.15),
            "tax_rate": f"{rng.uniform(0, 0.5):.5f}",
            "replacement_cost": f"{rng.uniform(1, 40_000):.2f}",
            "replacement_year": str(rng.integers(1, lifetime + 1)),
        }
        return given if rng.integers(0, 2) else dict.fromkeys(given)

    lifetimes = rng.integers(1, 41, count)
    return [
        {
            "id": f"random-{number:03d}",
            "tenant_id": "random/acme",
            "property_id": "house",
            "first_year_kwh": f"{rng.uniform(500, 200_000):.3f}",
            "price_per_kwh": rate(0, 0.4),
            "capital_cost": f"{rng.uniform(1_000, 300_000):.2f}",
            "yearly_cost": f"{rng.choice([0, rng.uniform(0, 30_000)]):.2f}",
            "incentives": f"{rng.choice([0, rng.uniform(0, 900)]):.2f}",
            "currency": "AUD",
            "degradation_rate": rate(0, 0.03),
            "price_growth_rate": rate(-0.05, 0.08),
            "cost_growth_rate": rate(-0.02, 0.1),
            "discount_rate": rate(0, 0.15),
            "lifetime_years": str(lifetime),
            "valid_from": "2026-01-01",
        }
        | options(int(lifetime))
        | HISTORY
        for number, lifetime in enumerate(lifetimes)
    ]


@dataclass(frozen=True)
class Forecast:
    """Forecast of an appraisal by year, from year 1 on."""

    paid: float
    energy: list[float]
    exported: list[float]
    revenue: list[float]
    feed_in: list[float]
    cost: list[float]
    deductible: list[float]
    tax_rate: float

    @property
    def cash(self) -> list[float]:
        """Cash of each year after tax."""
        return [
            r - c - self.tax_rate * (r - d)
            for r, c, d in zip(self.revenue, self.cost, self.deductible, strict=True)
        ]


def forecast_of(appraisal: Row) -> Forecast:
    """Compute energy, revenue and costs year by year in Python."""
    a = {name: float(value) for name, value in appraisal.items() if name not in NOT_NUMBERS and value}
    years = range(1, int(a["lifetime_years"]) + 1)
    share = a.get("export_share", 0)
    paid = a["capital_cost"] - a.get("incentives", 0)
    energy = [a["first_year_kwh"] * (1 - a.get("degradation_rate", 0)) ** (t - 1) for t in years]
    used = [
        (1 - share) * kwh * a.get("price_per_kwh", 0) * (1 + a.get("price_growth_rate", 0)) ** (t - 1)
        for t, kwh in zip(years, energy, strict=True)
    ]
    feed_in = [share * kwh * a.get("export_price_per_kwh", 0) for kwh in energy]
    cost = [
        a.get("yearly_cost", 0) * (1 + a.get("cost_growth_rate", 0)) ** (t - 1)
        + (a["replacement_cost"] if t == a.get("replacement_year") else 0)
        for t in years
    ]
    return Forecast(
        paid=paid,
        energy=energy,
        exported=[share * kwh for kwh in energy],
        revenue=[one + other for one, other in zip(used, feed_in, strict=True)],
        feed_in=feed_in,
        cost=cost,
        deductible=[one + paid / a["lifetime_years"] for one in cost],
        tax_rate=a.get("tax_rate", 0),
    )


def returns_of(appraisal: Row) -> Return:
    """Compute present value and cost by numpy-financial, and the rate from the roots of the cash."""
    forecast, rate = forecast_of(appraisal), float(appraisal["discount_rate"])
    cash = [-forecast.paid, *forecast.cash]
    discounted = [flow / (1 + rate) ** t for t, flow in enumerate(cash)]
    irr = rate_of_return(cash)
    return Return(
        npv=float(npf.npv(rate, cash)),
        irr_pct=None if irr is None else 100 * irr,
        payback_years=_crossing(cash),
        discounted_payback_years=_crossing(discounted),
        lcoe=(forecast.paid + npf.npv(rate, [0, *forecast.cost])) / npf.npv(rate, [0, *forecast.energy]),
    )


def rate_of_return(cash: list[float]) -> float | None:
    """Return the one rate by the rule of signs, else the one above zero if the sum rises above it once."""
    signs = [flow >= 0 for flow in cash]
    if cash[0] >= 0:
        return None
    if sum(one != other for one, other in pairwise(signs)) == 1:
        irr = float(npf.irr(cash))
        return irr if -0.9 <= irr < 15.1 else None
    sums = np.cumsum(cash)
    if sums[-1] <= 0 or sum(one != other for one, other in pairwise(sums >= 0)) != 1:
        return None
    roots = np.roots(cash[::-1])
    (root,) = roots[(np.abs(roots.imag) < 1e-9) & (roots.real > 0) & (roots.real < 1)].real
    irr = float(1 / root - 1)
    return irr if irr < 16 else None


NOT_NUMBERS = (
    "id", "tenant_id", "property_id", "currency", "valid_from", "valid_to", "monthly_shares", "created_at",
    "updated_at", "version", "landed_at",
)  # fmt: skip


def _crossing(flows: list[float]) -> float | None:
    total = flows[0]
    for year, flow in enumerate(flows[1:], start=1):
        if total < 0 <= total + flow:
            return year - 1 + -total / flow
        total += flow
    return None


@dataclass(frozen=True)
class Shared:
    """A property with one day for each method: its raw rows, and the allocation by the billing code."""

    tables: dict[str, list[Row]]
    solar_kwh: dict[tuple[str, datetime], Decimal]


def random_property(seed: int, participants: int, intervals: int, most_kwh: int) -> Shared:
    """Make the tenant `random-<seed>/acme` with awkward energies and shares, and a vacant flat.

    The first participant is the common area. A load is below `most_kwh`.
    """
    rng = np.random.default_rng(seed)
    units = [f"flat-{number:02d}" for number in range(1, participants)]
    names = ["house", *units]
    cuts = np.sort(rng.integers(1, 10**8, participants - 1))
    shares = np.diff(np.concatenate([[0], cuts, [10**8]]))
    tenant_id = f"random-{seed}/acme"
    common = {"tenant_id": tenant_id} | HISTORY
    tables: dict[str, list[Row]] = {
        "tenants": [common | {"id": tenant_id, "name": tenant_id}],
        "properties": [common | {"id": "house", "name": "house", "timezone": "UTC"}],
        "units": [common | {"id": u, "property_id": "house", "label": u} for u in units],
        "meters": [common | _meter(name) for name in ("roof", *names)],
        "meter_assignments": [
            common | {"id": u, "meter_id": f"meter-{u}", "unit_id": u, "assigned_from": "2020-01-01"}
            for u in units
        ],
        "tenancies": [
            common | {"id": f"stay-{u}", "unit_id": u, "user_id": "p", "occupied_from": "2020-01-01"}
            for u in units[:-1]
        ],
        "allocation_keys": [
            common
            | {
                "id": f"share-{name}",
                "property_id": "house",
                "unit_id": None if name == "house" else name,
                "share": str(Decimal(int(share)) / 10**8),
                "valid_from": "2020-01-01",
            }
            for name, share in zip(names, shares, strict=True)
        ],
        "allocation_methods": [],
        "meter_readings": [],
    }
    solar: dict[tuple[str, datetime], Decimal] = {}
    for number, method in enumerate(METHODS):
        day = date(2026, 7, 1) + timedelta(days=number)
        tables["allocation_methods"].append(
            common
            | {
                "id": method,
                "property_id": "house",
                "method": method,
                "valid_from": str(day),
                "valid_to": str(day + timedelta(days=1)),
            }
        )
        starts = [
            datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=h) for h in range(intervals)
        ]
        loads = rng.integers(0, most_kwh * QUANTA, (participants, intervals)) * rng.integers(
            0, 2, (participants, intervals)
        )
        most_made = most_kwh * participants * QUANTA * 3 // 4
        generation = rng.integers(0, most_made, intervals) * rng.integers(0, 2, intervals)
        entitled = loads.copy()
        entitled[-1] = 0
        found = share_out_solar(method, generation, entitled, np.tile(shares[:, None], (1, intervals)), names)
        for i, start in enumerate(starts):
            roof = _reading("meter-roof", "generation", start, int(generation[i]))
            tables["meter_readings"].append(common | roof)
            for row, name in enumerate(names):
                load = _reading(f"meter-{name}", "consumption", start, int(loads[row, i]))
                tables["meter_readings"].append(common | load)
                solar[name, start] = Decimal(int(found[row, i])) / QUANTA
    return Shared(tables, solar)


def _meter(name: str) -> Row:
    return {
        "id": f"meter-{name}",
        "property_id": "house",
        "type": "grid",
        "serial_number": name,
        "timezone": "UTC",
        "status": "active",
    }


def _reading(meter: str, channel: str, start: datetime, quanta: int) -> Row:
    value = str(Decimal(quanta) / QUANTA)
    return {
        "id": f"{meter}/{start.isoformat()}",
        "meter_id": meter,
        "channel": channel,
        "reading_ts": start.isoformat(),
        "reading_date": str(start.date()),
        "interval_seconds": "3600",
        "value_native": value,
        "unit": "kWh",
        "value_kwh": value,
        "quality": "actual",
        "is_estimated": "false",
        "source": "random",
        "source_version": "2026-01-01T00:00:00Z",
    }
