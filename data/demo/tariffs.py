"""What energy costs in the demo, on which grid it is drawn and how solar is shared; all invented.

Prices are the seed that the warehouse loads too.
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

from data.demo.assets import currency
from data.demo.company import Site, Tenant, named
from data.demo.rows import Rows
from myproperty.settings import CHECKOUT

BANDS = CHECKOUT / "data" / "warehouse" / "seeds" / "demo_tariff_bands.csv"
PLAN_CHANGE = date(2025, 5, 15)
SHARES_CHANGE = date(2025, 7, 1)
_SHARE_STEP = Decimal("0.00000001")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Plan:
    """A rate plan of a provider at a place; its bands are the rows of `BANDS` of that name."""

    key: str
    name: str
    place: str
    provider: str


_PLANS = (
    Plan("time-of-use", "Terraces time of use", "sydney", "retailer"),
    Plan("anytime", "Terraces anytime", "sydney", "retailer"),
    Plan("time-of-use", "Canyon evenings", "los-angeles", "us-retailer"),
    Plan("flat", "Hofstrom", "berlin", "retailer"),
)
# By place and unit: the plans in order, and from which day on. Anything else: the time of use of its place.
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
# Share of the common area, from which day on; the units have the rest.
_COMMON_SHARES = {
    "sydney": ((Decimal("0.12"), date(2024, 11, 1)), (Decimal("0.08"), SHARES_CHANGE)),
    "los-angeles": ((Decimal("0.10"), date(2025, 10, 21)),),
    "berlin": ((Decimal("0.15"), date(2025, 10, 21)),),
}


def provider_id(tenant: Tenant, key: str) -> UUID:
    """The id of one of the tenant's providers, as retailer, electrician or plumber."""
    return named("provider", tenant.name, key)


def tariff_rows(tenant: Tenant) -> Rows:
    """Providers, rate plans and their bands, who is on which plan, grids, methods and shares."""
    for key, name, kind, region in _PROVIDERS[tenant.region]:
        row = {"id": provider_id(tenant, key), "name": name, "kind": kind, "region": region}
        yield "providers", row
    for site in tenant.sites:
        for plan in _PLANS:
            if plan.place == site.place:
                yield from _plan_rows(tenant, site, plan)
        for label in site.unit_labels:
            yield from _assignment_rows(site, label)
        yield (
            "emission_factor_regions",
            {
                "id": named("grid", site.key),
                "property_id": site.id,
                "region": _GRIDS[site.place],
                "valid_during": DateRange(date(2024, 1, 1), None, "[)"),
            },
        )
        for method, during in _each_until_the_next(_METHODS[site.place]):
            yield (
                "allocation_methods",
                {
                    "id": named("method", site.key, str(during.lower)),
                    "property_id": site.id,
                    "method": method,
                    "valid_during": during,
                },
            )
        for common, during in _each_until_the_next(_COMMON_SHARES[site.place]):
            yield from _key_rows(site, common, during)


def shares(site: Site, common: Decimal) -> dict[str | None, Decimal]:
    """The share of each unit and of the common area (None), which takes the rounding: they sum to 1."""
    weights = {label: 4 + number % 3 for number, label in enumerate(site.unit_labels)}
    total = sum(weights.values())
    units: dict[str | None, Decimal] = {
        label: ((1 - common) * weight / total).quantize(_SHARE_STEP, ROUND_DOWN)
        for label, weight in weights.items()
    }
    return {**units, None: 1 - sum(units.values(), Decimal(0))}


def _plan_id(site: Site, key: str) -> UUID:
    return named("rate-plan", site.key, key)


def _plan_rows(tenant: Tenant, site: Site, plan: Plan) -> Rows:
    yield (
        "rate_plans",
        {
            "id": _plan_id(site, plan.key),
            "provider_id": provider_id(tenant, plan.provider),
            "name": plan.name,
            "currency": currency(site),
        },
    )
    for band in _bands()[plan.name]:
        during = DateRange(date.fromisoformat(band["valid_from"]), _date_or_none(band["valid_to"]), "[)")
        key = band["charge"], band["day_kind"], band["minutes_from"], band["valid_from"]
        yield (
            "rate_plan_bands",
            {
                "id": named("band", site.key, plan.key, *key),
                "rate_plan_id": _plan_id(site, plan.key),
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
def _bands() -> dict[str, list[dict[str, str]]]:
    """The rows of `BANDS` by name of the plan."""
    found: dict[str, list[dict[str, str]]] = {}
    with BANDS.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            found.setdefault(row["plan_name"], []).append(row)
    return found


def _date_or_none(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _assignment_rows(site: Site, label: str) -> Rows:
    usual = ((_USUAL[site.place], site.opened),)
    for key, during in _each_until_the_next(_PLANS_OF_UNITS.get((site.place, label), usual)):
        yield (
            "rate_plan_assignments",
            {
                "id": named("rate-plan-assignment", site.key, label, str(during.lower)),
                "unit_id": site.unit_id(label),
                "rate_plan_id": _plan_id(site, key),
                "assigned_during": during,
            },
        )


def _key_rows(site: Site, common: Decimal, during: DateRange) -> Rows:
    for label, share in shares(site, common).items():
        yield (
            "allocation_keys",
            {
                "id": named("share", site.key, label or "common", str(during.lower)),
                "property_id": site.id,
                "unit_id": None if label is None else site.unit_id(label),
                "share": share,
                "valid_during": during,
            },
        )


def _each_until_the_next(values: tuple[tuple[_T, date], ...]) -> Iterator[tuple[_T, DateRange]]:
    """(value, dates in force) of values that each hold from a date on."""
    ends = [start for _, start in values[1:]]
    for (value, start), end in zip(values, [*ends, None], strict=True):
        yield value, DateRange(start, end, "[)")
