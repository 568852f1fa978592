"""A small company whose days are hard: raw rows for leg 2, invented and deterministic.

Summer time begins in Sydney on 2026-10-04: its day has 23 hours. Los Angeles and Berlin are in summer time.
There are missing intervals, substituted and lost values, awkward decimals, a meter without a unit, a
day with too little data and meters that are silent. A unit in Berlin changes hands and price between the two
days, is billed and pays, has a ticket and asks an agent. A second version of the rows holds a revision.
The scenarios in folders are added, each with its own tenants. Those of July are moved close to the changes of
the clocks in October: each date more costs seconds in Google's engine. The leap day is not built here.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.warehouse.dbt_project import CALENDAR, SCENARIOS, scenario_rows

from .engine import Row
from .in_memory import from_text
from .raw import COLUMNS
from .scenario_billing import make_shares
from .scenario_row import FIRST_DAY, LAST_DAY, LONG_AGO, MADE, make_row

VARIABLES: dict[str, Any] = {
    "start_date": "2026-09-30",
    "end_date": "2026-10-26",
    **CALENDAR,
}
# A tenant whose revised readings a gate refused: its rows of the marts stay as they were.
LEFT_OUT = "t2"
REVISED_VARIABLES = VARIABLES | {
    "start_date": "2026-10-04",
    "end_date": "2026-10-05",
    "left_out": [LEFT_OUT],
}
REVISED = datetime(2026, 10, 8, 12, 0, tzinfo=UTC)
# 13 weeks move 1 July to 30 September: the weekday and the distance of each zone from UTC stay the same.
MOVED = timedelta(weeks=13)
ON_THEIR_OWN_DATES = {"leap_day", "summer_time_starts", "winter_time_starts"}
# meter: tenant, property, type, zone, interval in seconds, channels
METERS: dict[str, tuple[str, str, str, str, int, tuple[str, ...]]] = {
    "m-syd-grid": ("t1", "p-syd", "grid", "Australia/Sydney", 1800, ("import", "export")),
    "m-syd-solar": ("t1", "p-syd", "solar", "Australia/Sydney", 1800, ("generation",)),
    "m-syd-solar-2": ("t1", "p-syd", "solar", "Australia/Sydney", 1800, ("generation",)),
    "m-la-grid": ("t2", "p-la", "grid", "America/Los_Angeles", 3600, ("import", "export")),
    "m-la-solar": ("t2", "p-la", "solar", "America/Los_Angeles", 900, ("generation",)),
    "m-ber-unit": ("t2", "p-ber", "grid", "Europe/Berlin", 3600, ("consumption",)),
    "m-ber-solar": ("t2", "p-ber", "solar", "Europe/Berlin", 900, ("generation",)),
    "m-syd-a": ("t1", "p-syd", "grid", "Australia/Sydney", 1800, ("consumption",)),
    "m-syd-b": ("t1", "p-syd", "grid", "Australia/Sydney", 900, ("consumption",)),
    "m-syd-common": ("t1", "p-syd", "grid", "Australia/Sydney", 1800, ("consumption",)),
}
UNIT_OF = {"m-syd-a": "u-a", "m-syd-b": "u-b"}
# Arrays: property, tilt, azimuth; their reference is a made-up sun, since what is compared is the engines.
ARRAYS = {
    "s-syd": ("p-syd", Decimal(20), Decimal(0), Decimal("4.4")),
    "s-syd-2": ("p-syd", Decimal(10), Decimal(90), Decimal("2.2")),
    "s-la": ("p-la", Decimal(15), Decimal(180), Decimal("7.125")),
}
SILENT = {("m-syd-solar-2", LAST_DAY), ("m-ber-solar", FIRST_DAY), ("m-ber-solar", LAST_DAY)}
ANY_LENGTH = {"m-syd-solar-2"}
# From the local day after this on meter and register are there and should report, be they the only ones.
CONFIGURED = {"m-ber-solar": datetime(2026, 10, 2, 23, 0, tzinfo=UTC)}
ZONES = {"p-syd": "Australia/Sydney", "p-la": "America/Los_Angeles", "p-ber": "Europe/Berlin"}
CAPACITY = {"p-syd": Decimal("6.600"), "p-la": Decimal("7.125"), "p-ber": None}
TENANT_OF = {"p-syd": "t1", "p-la": "t2", "p-ber": "t2"}


def _company(revised: bool) -> dict[str, list[Row]]:
    at = REVISED if revised else MADE
    capacity = CAPACITY | ({"p-la": Decimal("9.5")} if revised else {})
    return {
        "tenants": [
            make_row("tenants", id=t, tenant_id=t, name=name, region=region, status="active")
            for t, name, region in (("t1", "Harbour Homes", "AU"), ("t2", "Sunset Lofts", "US"))
        ],
        "properties": [
            make_row(
                "properties",
                at if p == "p-la" else MADE,
                id=p,
                tenant_id=TENANT_OF[p],
                name=f"House {p}",
                timezone=zone,
                solar_capacity_kw=capacity[p],
                status="active",
            )
            for p, zone in ZONES.items()
        ],
        "units": [
            make_row(
                "units", id="u-ber", tenant_id="t2", property_id="p-ber", label="1", sq_ft=Decimal("850.5")
            ),
            *(
                make_row("units", id=u, tenant_id="t1", property_id="p-syd", label=u)
                for u in UNIT_OF.values()
            ),
        ],
        "meters": [
            make_row(
                "meters",
                id=m,
                tenant_id=t,
                property_id=p,
                type=kind,
                timezone=zone,
                status="active",
                created_at=CONFIGURED.get(m, MADE),
            )
            for m, (t, p, kind, zone, _, _) in METERS.items()
        ],
        "meter_registers": [
            make_row(
                "meter_registers",
                id=f"{m}-{channel}",
                tenant_id=t,
                meter_id=m,
                identifier=f"NMI{m}",
                register=channel,
                channel=channel,
                unit="kWh",
                interval_seconds=None if m in ANY_LENGTH else seconds,
                created_at=CONFIGURED.get(m, MADE),
            )
            for m, (t, _, _, _, seconds, channels) in METERS.items()
            for channel in channels
        ],
        "meter_assignments": [
            make_row(
                "meter_assignments",
                id="a1",
                tenant_id="t2",
                meter_id="m-ber-unit",
                unit_id="u-ber",
                assigned_from=LAST_DAY,
            ),
            *(
                make_row(
                    "meter_assignments",
                    id=f"a-{u}",
                    tenant_id="t1",
                    meter_id=m,
                    unit_id=u,
                    assigned_from=LONG_AGO,
                )
                for m, u in UNIT_OF.items()
            ),
        ],
        **_solar(),
        **make_shares(),
        **_service(),
    }


def _solar() -> dict[str, list[Row]]:
    """Arrays, what they cost, appraisals with and without a return, and grids: Berlin's has no factor."""
    rates: dict[str, Any] = {
        "degradation_rate": Decimal("0.005"),
        "price_growth_rate": Decimal("0.0275"),
        "cost_growth_rate": Decimal("0.025"),
        "discount_rate": Decimal("0.0625"),
        "lifetime_years": 25,
        "incentives": Decimal("150.50"),
        "valid_from": date(2025, 10, 4),
        "export_share": Decimal("0.37654321"),
        "export_price_per_kwh": Decimal("0.054321"),
        "tax_rate": Decimal("0.21333"),
        "replacement_cost": Decimal("987.65"),
        "replacement_year": 12,
    }
    shares = {"p-syd": "0.11,0.09,0.09,0.07,0.06,0.05,0.06,0.07,0.09,0.10,0.10,0.11"}
    prices = {"p-syd": ("AUD", "0.1375"), "p-la": ("USD", "0.001"), "p-ber": ("EUR", "0.195")}
    grids = {"p-syd": "AU-NSW", "p-la": "US-CAMX", "p-ber": "DE"}
    return {
        "solar_assets": [
            make_row(
                "solar_assets",
                id=asset,
                tenant_id=TENANT_OF[p],
                property_id=p,
                kind="array",
                capacity_kw=kw,
                tilt_degrees=tilt,
                azimuth_degrees=azimuth,
                in_service_from=LONG_AGO,
                capital_cost=kw * 1390,
                yearly_cost=kw * 18,
                currency=prices[p][0],
                status="active",
            )
            for asset, (p, tilt, azimuth, kw) in ARRAYS.items()
        ],
        "solar_appraisals": [
            make_row(
                "solar_appraisals",
                id=f"appraisal-{p}",
                tenant_id=TENANT_OF[p],
                property_id=p,
                first_year_kwh=Decimal("8250.5"),
                price_per_kwh=Decimal(price),
                currency=currency,
                monthly_shares=shares.get(p),
                **rates,
            )
            for p, (currency, price) in prices.items()
        ],
        "emission_factor_regions": [
            make_row(
                "emission_factor_regions",
                id=f"grid-{p}",
                tenant_id=TENANT_OF[p],
                property_id=p,
                region=region,
                valid_from=LONG_AGO,
            )
            for p, region in grids.items()
        ],
        "solar_reference_yields": [
            make_row(
                "solar_reference_yields",
                id=f"{asset}-{instant:%Y%m%dT%H%M}",
                tenant_id=TENANT_OF[p],
                solar_asset_id=asset,
                reading_ts=instant,
                reading_date=day,
                interval_seconds=1800,
                irradiation_kwh_per_m2=sun,
                expected_kwh=(sun * kw * Decimal("0.812345")).quantize(Decimal("0.000000001")),
                method="made up",
                method_version="1",
            )
            for asset, (p, _, _, kw) in ARRAYS.items()
            for day in (FIRST_DAY, LAST_DAY)
            for number, instant in enumerate(_instants(day, ZONES[p], 1800))
            for sun in [Decimal(max(0, 12 - abs(number - 24))) * Decimal("0.041666667")]
        ],
    }


def _service() -> dict[str, list[Row]]:
    """A ticket that is resolved too late, one that is open, and a session with five calls and a message."""
    hour = timedelta(hours=1)
    return {
        "service_tickets": [
            make_row(
                "service_tickets",
                id=name,
                tenant_id="t2",
                property_id="p-ber",
                unit_id=unit,
                status=status,
                priority="high",
                category="solar",
                opened_at=MADE - 72 * hour,
                sla_target_at=MADE + target * hour,
                resolved_at=resolved,
            )
            for name, unit, status, target, resolved in (
                ("k1", "u-ber", "resolved", -24, MADE),
                ("k2", None, "open", -1, None),
                ("k3", None, "open", 100, None),
            )
        ],
        "ticket_quotes": [
            make_row(
                "ticket_quotes",
                id=f"o{n}",
                tenant_id="t2",
                ticket_id="k1",
                provider_id="v1",
                amount=Decimal(100 + n),
                currency="EUR",
                status="accepted" if n else "declined",
                quoted_at=MADE - (48 - n) * hour,
            )
            for n in range(2)
        ],
        "ticket_schedules": [
            make_row(
                "ticket_schedules",
                id=f"d{n}",
                tenant_id="t2",
                ticket_id="k1",
                scheduled_from=MADE - (24 - n) * hour,
                scheduled_to=MADE - (23 - n) * hour,
                status=status,
            )
            for n, status in enumerate(("cancelled", "missed", "done"))
        ],
        "ticket_activities": [
            make_row(
                "ticket_activities",
                id=f"e{n}",
                tenant_id="t2",
                ticket_id="k1",
                kind=kind,
                agent_id="helpdesk",
                occurred_at=MADE,
            )
            for n, kind in enumerate(("note", "ai_action"))
        ],
        "agent_messages": [
            make_row(
                "agent_messages",
                id=f"g{n}",
                tenant_id="t2",
                session_id="z1",
                sequence=n + 1,
                agent_id="helpdesk",
                role=role,
                sent_at=MADE + n * hour,
            )
            for n, role in enumerate(("user", "agent", "user"))
        ],
        "agent_audit": [
            make_row(
                "agent_audit",
                id=f"h{n}",
                tenant_id="t2",
                session_id="z1" if n < 5 else None,
                agent_id="helpdesk",
                tool_name="search" if n % 2 else "quote",
                outcome="failed" if n == 4 else "succeeded",
                latency_ms=latency,
                occurred_at=MADE + n * hour / 2,
            )
            for n, latency in enumerate((120, 80, 80, 4000, 95, 7))
        ],
    }


def _instants(day: date, zone: str, seconds: int) -> list[datetime]:
    starts = [datetime(d.year, d.month, d.day, tzinfo=ZoneInfo(zone)) for d in (day, day + timedelta(days=1))]
    first, end = (start.astimezone(UTC) for start in starts)
    return [first + timedelta(seconds=s) for s in range(0, int((end - first).total_seconds()), seconds)]


def _value(channel: str, number: int, salt: int) -> Decimal:
    """Awkward on purpose: nine decimal places, whose sums and quotients have to be rounded."""
    base = Decimal((number * 37 + salt * 11) % 997) / Decimal(1000)
    scale = {"generation": 3, "export": 1, "import": 2, "consumption": 1}[channel]
    return (base * scale + Decimal("0.000000001") * (number % 7 + 1)).quantize(Decimal("0.000000001"))


def _readings(revised: bool) -> list[Row]:
    rows = []
    series = [(m, channel) for m, meter in METERS.items() for channel in meter[5]]
    for salt, (meter, channel) in enumerate(series):
        tenant, _, _, zone, seconds, _ = METERS[meter]
        for day in (day for day in (FIRST_DAY, LAST_DAY) if (meter, day) not in SILENT):
            for number, instant in enumerate(_instants(day, zone, seconds)):
                if meter == "m-la-solar" and day == LAST_DAY and number % 3:
                    continue  # two thirds missing: not sufficient
                lost, substituted = number == 11 + salt, number % 9 == 4
                value = None if lost else _value(channel, number, salt)
                late = revised and day == LAST_DAY and number == 20
                if late and channel == "import":
                    continue  # withdrawn
                value = Decimal("4.000000005") if late else value
                rows.append(
                    make_row(
                        "meter_readings",
                        REVISED if late else MADE,
                        id=f"{meter}-{channel}-{instant:%Y%m%dT%H%M}",
                        tenant_id=tenant,
                        meter_id=meter,
                        channel=channel,
                        reading_ts=instant,
                        reading_date=day,
                        interval_seconds=seconds,
                        value_native=value,
                        unit="kWh",
                        value_kwh=value,
                        quality="null" if value is None else "estimated" if substituted else "actual",
                        quality_method="N" if value is None else "S14" if substituted else "A",
                        is_estimated=substituted and value is not None,
                        source="scenario",
                        source_version=REVISED if late else MADE,
                        ingestion_job_id="j1",
                    )
                )
    return rows


def rows(revised: bool = False) -> dict[str, list[Row]]:
    """The raw rows by table; `revised` is what they are after a revision of LAST_DAY and of a property."""
    own = _company(revised) | {"meter_readings": _readings(revised)}
    folders = _folders()
    return {table: [*own.get(table, []), *folders.get(table, [])] for table in {**own, **folders}}


def _folders() -> dict[str, list[Row]]:
    """The rows of all scenarios in folders, their dates and instants moved."""
    found: dict[str, list[Row]] = {}
    for folder in sorted(path for path in SCENARIOS.iterdir() if path.is_dir()):
        by = timedelta(0) if folder.name in ON_THEIR_OWN_DATES else MOVED
        for table, given in scenario_rows(folder).items():
            found.setdefault(table, []).extend(
                tuple(_moved(from_text(row.get(column.name), column.type), by) for column in COLUMNS[table])
                for row in given
            )
    return found


def _moved(value: Any, by: timedelta) -> Any:
    return value + by if isinstance(value, date) else value
