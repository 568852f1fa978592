"""Invented energy prices, grids and solar shares of the demo.

Prices come from the seed that the warehouse loads too.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal
from functools import cache
from typing import TypeVar
from uuid import UUID

from psycopg.types.range import DateRange, Int4Range

from data.demo.assets import get_currency
from data.demo.company import DemoProperty, DemoTenant, make_id
from data.demo.rows import Rows
from myproperty.settings import CHECKOUT

BANDS = CHECKOUT / "data" / "warehouse" / "seeds" / "demo_tariff_bands.csv"
PLAN_CHANGE = date(2025, 5, 15)
SHARES_CHANGE = date(2025, 7, 1)
_SHARE_STEP = Decimal("0.00000001")
_T = TypeVar("_T")


@dataclass(frozen=True)
class DemoRatePlan:
    """A rate plan of a provider at a place; its bands are the rows of `BANDS` with its name."""

    key: str
    name: str
    place: str
    provider: str


_PLANS = (
    DemoRatePlan("time-of-use", "Terraces time of use", "sydney", "retailer"),
    DemoRatePlan("anytime", "Terraces anytime", "sydney", "retailer"),
    DemoRatePlan("time-of-use", "Canyon evenings", "los-angeles", "us-retailer"),
    DemoRatePlan("flat", "Hofstrom", "berlin", "retailer"),
    DemoRatePlan("feed-in", "Terraces feed-in", "sydney", "retailer"),
    DemoRatePlan("feed-in", "Canyon export", "los-angeles", "us-retailer"),
    DemoRatePlan("feed-in", "Dach Einspeisung", "berlin", "retailer"),
)
# By place and unit: rate plans in order, each with its first day. Other units have the usual plan.
_USUAL = {"sydney": "time-of-use", "los-angeles": "time-of-use", "berlin": "flat"}
_PLANS_OF_UNITS = {
    ("sydney", "104"): (("anytime", date(2024, 11, 1)), ("time-of-use", PLAN_CHANGE)),
}
# By region of the tenant: key, name, kind, region.
_PROVIDERS = {
    "AU": (
        ("retailer", "Kookaburra Power (demo)", "retailer", "AU"),
        ("us-retailer", "Golden Poppy Electric (demo)", "retailer", "US"),
        ("solar", "Wattlebird Rooftop (demo)", "solar", "AU"),
        ("electrician", "Bilby Brothers Electrical (demo)", "contractor", "AU"),
        ("plumber", "Dripstone Plumbing (demo)", "contractor", "AU"),
        ("us-electrician", "Coyote Creek Electric (demo)", "contractor", "US"),
    ),
    "DE": (
        ("retailer", "Nebelwerk Energie (demo)", "retailer", "DE"),
        ("solar", "Sonnenhof Dachstrom (demo)", "solar", "DE"),
        ("electrician", "Elektro Zeisig (demo)", "contractor", "DE"),
        ("plumber", "Sanitär Tropf (demo)", "contractor", "DE"),
    ),
}
_GRIDS = {"sydney": "AU-NSW", "los-angeles": "US-CAMX", "berlin": "DE"}
_METHODS = {
    "sydney": (
        ("static", date(2024, 11, 1)),
        ("hybrid", date(2025, 3, 1)),
        ("dynamic", date(2025, 7, 1)),
    ),
    "los-angeles": (("dynamic", date(2025, 10, 21)),),
    "berlin": (("hybrid", date(2025, 10, 21)),),
}
# Share of the common area and its first day; the units have the rest.
_COMMON_SHARES = {
    "sydney": ((Decimal("0.12"), date(2024, 11, 1)), (Decimal("0.08"), SHARES_CHANGE)),
    "los-angeles": ((Decimal("0.10"), date(2025, 10, 21)),),
    "berlin": ((Decimal("0.15"), date(2025, 10, 21)),),
}


def make_provider_id(tenant: DemoTenant, key: str) -> UUID:
    """Make the id of a provider of the tenant, such as retailer, electrician or plumber."""
    return make_id("provider", tenant.name, key)


def build_tariff_rows(tenant: DemoTenant) -> Rows:
    """Build rows for providers, rate plans, bands, assignments, feed-in, grids, methods and shares."""
    for key, name, kind, region in _PROVIDERS[tenant.region]:
        row = {"id": make_provider_id(tenant, key), "name": name, "kind": kind, "region": region}
        yield "providers", row
    for site in tenant.sites:
        for plan in _PLANS:
            if plan.place == site.place:
                yield from _build_plan_rows(tenant, site, plan)
        for label in site.unit_labels:
            yield from _build_assignment_rows(site, label)
        yield (
            "feed_in_assignments",
            {
                "id": make_id("feed-in", site.key),
                "property_id": site.id,
                "rate_plan_id": _make_plan_id(site, "feed-in"),
                "assigned_during": DateRange(site.opened, None, "[)"),
            },
        )
        yield (
            "emission_factor_regions",
            {
                "id": make_id("grid", site.key),
                "property_id": site.id,
                "region": _GRIDS[site.place],
                "valid_during": DateRange(date(2024, 1, 1), None, "[)"),
            },
        )
        for method, during in _add_ends(_METHODS[site.place]):
            yield (
                "allocation_methods",
                {
                    "id": make_id("method", site.key, str(during.lower)),
                    "property_id": site.id,
                    "method": method,
                    "valid_during": during,
                },
            )
        for common, during in _add_ends(_COMMON_SHARES[site.place]):
            yield from _build_key_rows(site, common, during)


def compute_shares(site: DemoProperty, common: Decimal) -> dict[str | None, Decimal]:
    """Compute shares of units and common area (None) that sum to 1; the common area takes the rounding."""
    weights = {label: 4 + number % 3 for number, label in enumerate(site.unit_labels)}
    total = sum(weights.values())
    units: dict[str | None, Decimal] = {
        label: ((1 - common) * weight / total).quantize(_SHARE_STEP, ROUND_DOWN)
        for label, weight in weights.items()
    }
    return {**units, None: 1 - sum(units.values(), Decimal(0))}


def _make_plan_id(site: DemoProperty, key: str) -> UUID:
    return make_id("rate-plan", site.key, key)


def _build_plan_rows(tenant: DemoTenant, site: DemoProperty, plan: DemoRatePlan) -> Rows:
    yield (
        "rate_plans",
        {
            "id": _make_plan_id(site, plan.key),
            "provider_id": make_provider_id(tenant, plan.provider),
            "name": plan.name,
            "currency": get_currency(site),
        },
    )
    for band in _read_bands()[plan.name]:
        during = DateRange(date.fromisoformat(band["valid_from"]), _parse_date(band["valid_to"]), "[)")
        key = band["charge"], band["day_kind"], band["minutes_from"], band["valid_from"]
        yield (
            "rate_plan_bands",
            {
                "id": make_id("band", site.key, plan.key, *key),
                "rate_plan_id": _make_plan_id(site, plan.key),
                "charge": band["charge"],
                "band": band["band"],
                "day_kind": band["day_kind"],
                "minutes_of_day": Int4Range(int(band["minutes_from"]), int(band["minutes_to"]), "[)"),
                "unit_amount": Decimal(band["unit_amount"]),
                "tax_rate": Decimal(band["tax_rate"]),
                "valid_during": during,
            },
        )


@cache
def _read_bands() -> dict[str, list[dict[str, str]]]:
    """Return the rows of `BANDS` by rate plan name."""
    found: dict[str, list[dict[str, str]]] = {}
    with BANDS.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            found.setdefault(row["plan_name"], []).append(row)
    return found


def _parse_date(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _build_assignment_rows(site: DemoProperty, label: str) -> Rows:
    usual = ((_USUAL[site.place], site.opened),)
    for key, during in _add_ends(_PLANS_OF_UNITS.get((site.place, label), usual)):
        yield (
            "rate_plan_assignments",
            {
                "id": make_id("rate-plan-assignment", site.key, label, str(during.lower)),
                "unit_id": site.unit_id(label),
                "rate_plan_id": _make_plan_id(site, key),
                "assigned_during": during,
            },
        )


def _build_key_rows(site: DemoProperty, common: Decimal, during: DateRange) -> Rows:
    for label, share in compute_shares(site, common).items():
        yield (
            "allocation_keys",
            {
                "id": make_id("share", site.key, label or "common", str(during.lower)),
                "property_id": site.id,
                "unit_id": None if label is None else site.unit_id(label),
                "share": share,
                "valid_during": during,
            },
        )


def _add_ends(values: tuple[tuple[_T, date], ...]) -> Iterator[tuple[_T, DateRange]]:
    """Yield each value with its dates in force; a value ends where the next one starts."""
    ends = [start for _, start in values[1:]]
    for (value, start), end in zip(values, [*ends, None], strict=True):
        yield value, DateRange(start, end, "[)")
