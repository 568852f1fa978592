"""Solar assets of the demo: their cost, compliance rules, appraisals and projects."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from psycopg.types.range import DateRange

from data.demo.company import DemoProperty, DemoTenant, make_id
from data.demo.rows import Rows

# Invented, in the range of small commercial systems: per kW of the array, in the currency of the property.
_ARRAY_COST, _INVERTER_COST, _YEARLY_COST = Decimal(1150), Decimal(240), Decimal(18)
# A new inverter in twelve years.
_REPLACEMENT_COST, _REPLACEMENT_YEAR = Decimal(150), 12
_EVALUATED_AT = datetime(2025, 11, 1, 3, tzinfo=UTC)


@dataclass(frozen=True)
class Roof:
    """Position of an array (degrees; azimuth clockwise from north), start of service, currency of cost."""

    tilt: int
    azimuth: int
    in_service: date
    currency: str


ROOFS = {
    "sydney": Roof(20, 0, date(2023, 9, 1), "AUD"),
    "los-angeles": Roof(15, 180, date(2024, 3, 15), "USD"),
    "berlin": Roof(35, 180, date(2024, 5, 1), "EUR"),
}


@dataclass(frozen=True)
class Appraisal:
    """An owner's assumptions from a date: energy per kW and year, price per kWh, yearly rates.

    `export` is the share that is exported, and its price per kWh.
    """

    valid_from: date
    kwh_per_kw: int
    price: str
    price_growth: str
    discount: str
    export: tuple[str, str]
    tax: str


# Invented too. Sydney's owner appraised again when prices rose.
_APPRAISALS = {
    "sydney": (
        Appraisal(date(2023, 9, 1), 1200, "0.145", "0.025", "0.055", ("0.4", "0.08"), "0.25"),
        Appraisal(date(2025, 7, 1), 1250, "0.157", "0.03", "0.06", ("0.4", "0.06"), "0.25"),
    ),
    "los-angeles": (Appraisal(date(2024, 3, 15), 1550, "0.19", "0.025", "0.065", ("0.4", "0.06"), "0.21"),),
    "berlin": (Appraisal(date(2024, 5, 1), 930, "0.212", "0.02", "0.04", ("0.35", "0.0794"), "0.15"),),
}
# Percent of a year's energy in each month, January first.
_MONTHLY_PERCENT = {
    "sydney": (11, 9, 9, 7, 6, 5, 6, 7, 9, 10, 10, 11),
    "los-angeles": (6, 6, 8, 9, 10, 10, 11, 10, 9, 8, 7, 6),
    "berlin": (2, 4, 8, 12, 14, 14, 14, 12, 9, 6, 3, 2),
}
# Rule, state, next due date.
_RULES = {
    "sydney": (
        ("INVERTER-INSPECTION", "compliant", date(2026, 9, 1)),
        ("SUB-METER-PATTERN-APPROVAL", "compliant", date(2035, 6, 16)),
        ("SWITCHBOARD-LABELS", "due", date(2025, 12, 1)),
    ),
    "los-angeles": (
        ("INVERTER-INSPECTION", "breached", date(2025, 9, 15)),
        ("RAPID-SHUTDOWN-LABELS", "compliant", None),
    ),
    "berlin": (
        ("MARKET-REGISTER-ENTRY", "compliant", None),
        ("INVERTER-INSPECTION", "due", date(2025, 11, 30)),
        ("SUB-METER-CALIBRATION", "unknown", None),
    ),
}
# Key, name, type, status at OriginFD, status here, scope, target date.
_PROJECTS = {
    "sydney": (
        (
            "roof",
            "Wattlebird Terraces rooftop (demo)",
            "solar",
            "commissioned",
            "live",
            "Array and inverter on the north roof, one meter for its generation.",
            date(2023, 9, 1),
        ),
        (
            "battery",
            "Wattlebird Terraces battery (demo)",
            "battery",
            "design",
            "approved",
            "A battery in the bin store, to carry midday surplus into the evening peak.",
            date(2026, 4, 1),
        ),
    ),
    "los-angeles": (
        (
            "metering",
            "Cedar Canyon sub-meters (demo)",
            "metering",
            "construction",
            "in_progress",
            "Quarter-hour sub-meters for the five lofts and the common area.",
            date(2025, 12, 15),
        ),
    ),
    "berlin": (
        (
            "balcony",
            "Sonnenhof 7 courtyard roof (demo)",
            "solar",
            "feasibility",
            "proposed",
            "Second array on the courtyard side, if the roof bears it.",
            date(2026, 6, 30),
        ),
    ),
}


def get_currency(site: DemoProperty) -> str:
    """Return the ISO 4217 currency code of a property."""
    return ROOFS[site.place].currency


def build_asset_rows(tenant: DemoTenant) -> Rows:
    """Build rows for solar assets, compliance states, projects and their links."""
    for site in tenant.sites:
        yield from _build_solar_rows(site)
        for rule, state, due_on in _RULES[site.place]:
            yield (
                "compliance_rule_states",
                {
                    "id": make_id("rule", site.key, rule),
                    "property_id": site.id,
                    "rule_code": rule,
                    "state": state,
                    "evaluated_at": _EVALUATED_AT,
                    "due_on": due_on,
                },
            )
        yield from _build_project_rows(site)
        yield from _build_appraisal_rows(site)


def _build_solar_rows(site: DemoProperty) -> Rows:
    roof, capacity = ROOFS[site.place], Decimal(str(site.solar_kw))
    common = {
        "property_id": site.id,
        "meter_id": site.meter("solar").id,
        "capacity_kw": capacity,
        "in_service_during": DateRange(roof.in_service, None, "[)"),
        "currency": roof.currency,
    }
    yield (
        "solar_assets",
        {
            "id": make_id("asset", site.key, "array"),
            "kind": "array",
            "make_model": "Invented Panel 400",
            "serial_number": f"DEMO-{site.key}-ARRAY".upper(),
            "tilt_degrees": roof.tilt,
            "azimuth_degrees": roof.azimuth,
            "capital_cost": _ARRAY_COST * capacity,
            "yearly_cost": _YEARLY_COST * capacity,
            **common,
        },
    )
    yield (
        "solar_assets",
        {
            "id": make_id("asset", site.key, "inverter"),
            "kind": "inverter",
            "make_model": "Invented Inverter 3P",
            "serial_number": f"DEMO-{site.key}-INVERTER".upper(),
            "capital_cost": _INVERTER_COST * capacity,
            "yearly_cost": Decimal(0),
            **common,
        },
    )


def _build_appraisal_rows(site: DemoProperty) -> Rows:
    """Build the appraisal rows. They hold no cost: arrays and inverters have it."""
    appraisals = _APPRAISALS[site.place]
    ends = (*(later.valid_from for later in appraisals[1:]), None)
    for appraisal, end in zip(appraisals, ends, strict=True):
        yield (
            "solar_appraisals",
            {
                "id": make_id("appraisal", site.key, str(appraisal.valid_from)),
                "property_id": site.id,
                "first_year_kwh": appraisal.kwh_per_kw * Decimal(str(site.solar_kw)),
                "price_per_kwh": Decimal(appraisal.price),
                "currency": get_currency(site),
                "degradation_rate": Decimal("0.005"),
                "price_growth_rate": Decimal(appraisal.price_growth),
                "cost_growth_rate": Decimal("0.025"),
                "discount_rate": Decimal(appraisal.discount),
                "lifetime_years": 25,
                "export_share": Decimal(appraisal.export[0]),
                "export_price_per_kwh": Decimal(appraisal.export[1]),
                "tax_rate": Decimal(appraisal.tax),
                "replacement_cost": _REPLACEMENT_COST * Decimal(str(site.solar_kw)),
                "replacement_year": _REPLACEMENT_YEAR,
                "monthly_shares": "{"
                + ",".join(f"{p / 100:.2f}" for p in _MONTHLY_PERCENT[site.place])
                + "}",
                "valid_during": DateRange(appraisal.valid_from, end, "[)"),
            },
        )


def _build_project_rows(site: DemoProperty) -> Rows:
    for key, name, kind, their_status, status, scope, target in _PROJECTS[site.place]:
        project_id = make_id("project", site.key, key)
        yield "originfd.projects", {"id": project_id, "name": name, "status": their_status}
        yield (
            "project_links",
            {
                "id": make_id("project-link", site.key, key),
                "property_id": site.id,
                "originfd_project_id": project_id,
                "project_type": kind,
                "status": status,
                "scope_summary": scope,
                "target_live_date": target,
                "sync_payload": {"status": their_status},
            },
        )
