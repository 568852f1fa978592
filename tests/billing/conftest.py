"""A house with three units, whose readings are the published vectors of solar sharing."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.range import DateRange, Int4Range

from data.billing.database import as_tenant
from data.billing.ledger import open_accounts
from myproperty.database.roles import APP_ROLE

# In Berlin this Sunday has 25 hours. The five intervals of the vectors are hours of it.
DAY = date(2025, 10, 26)
PERIOD = DateRange(DAY, DAY + timedelta(days=1))
MIDNIGHT = datetime(2025, 10, 25, 22, tzinfo=UTC)
HOURS = (8, 9, 10, 11, 12)
GENERATION = (10, 6, 6, 0, 5)
LOADS = {"a": (2, 4, 0, 1, 0), "b": (3, 6, 9, 1, 0), "c": (1, 2, 1, 1, 0)}
SHARES = {"a": Decimal("0.5"), "b": Decimal("0.3"), "c": Decimal("0.2")}
LOSS_KWH = 2


@dataclass
class House:
    """A property under one tenant; ids by label."""

    dsn: str
    tenant: uuid.UUID = field(default_factory=uuid.uuid4)
    property: uuid.UUID = field(default_factory=uuid.uuid4)
    manager: uuid.UUID = field(default_factory=uuid.uuid4)
    units: dict[str, uuid.UUID] = field(default_factory=dict)
    residents: dict[str, uuid.UUID] = field(default_factory=dict)
    tenancies: dict[str, uuid.UUID] = field(default_factory=dict)
    meters: dict[str, uuid.UUID] = field(default_factory=dict)
    job: uuid.UUID = field(default_factory=uuid.uuid4)

    def connect(self) -> Any:
        """Open a transaction of billing, for the manager."""
        return as_tenant(self.dsn, self.tenant, self.manager)

    @contextmanager
    def connect_as_application(self) -> Iterator[psycopg.Connection]:
        """Open a transaction as the application, which writes contracts; billing may not."""
        with self.connect() as connection:
            connection.execute(f"set local role {APP_ROLE}")
            yield connection

    def add(self, connection: psycopg.Connection, table: str, **row: Any) -> uuid.UUID:
        """Insert a row of this tenant and return its id."""
        row = {"id": uuid.uuid4(), "tenant_id": self.tenant, **row}
        connection.execute(
            sql.SQL("insert into myproperty.{} ({}) values ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            ),
            list(row.values()),
        )
        made: uuid.UUID = row["id"]
        return made


def build(dsn: str, method: str) -> House:
    """Build the house with people, meters, one day of readings, shares and prices."""
    house = House(dsn)
    since = DateRange(date(2025, 1, 1), None)
    with psycopg.connect(dsn) as db:
        tenant = {"id": house.tenant, "tenant_id": house.tenant}
        db.execute(
            "insert into myproperty.tenants (id, name, region) values (%s, %s, 'DE')",
            (tenant["id"], f"House {house.tenant}"),
        )
        house.add(db, "properties", id=house.property, name="House", timezone="Europe/Berlin")
        house.add(db, "users", id=house.manager, email="manager@house.example", role="manager")
        for label in LOADS:
            unit = house.units[label] = house.add(db, "units", property_id=house.property, label=label)
            house.residents[label] = house.add(db, "users", email=f"{label}@house.example", role="resident")
            house.tenancies[label] = house.add(
                db, "tenancies", unit_id=unit, user_id=house.residents[label], occupied_during=since
            )
            house.add(
                db, "allocation_keys", property_id=house.property, unit_id=unit,
                share=SHARES[label], valid_during=since,
            )  # fmt: skip
        house.add(db, "allocation_methods", property_id=house.property, method=method, valid_during=since)
        _add_prices(db, house, since)
        _add_meters(db, house, since)
        _add_readings(db, house)
    with house.connect() as connection:
        open_accounts(connection)
    return house


def _add_prices(db: psycopg.Connection, house: House, since: DateRange) -> None:
    """Add prices: grid 0.40 from 8 to 10 o'clock, otherwise 0.30; solar 0.20; daily 0.25; 19 % tax.

    The plan pays 0.08 for exports too, which is on no bill.
    """
    provider = house.add(db, "providers", name="Musterstrom", kind="retailer", region="DE")
    plan = house.add(db, "rate_plans", provider_id=provider, name="Two prices", currency="EUR")
    bands = (
        ("grid", "low", (0, 480), "0.30"),
        ("grid", "high", (480, 600), "0.40"),
        ("grid", "low", (600, 1440), "0.30"),
        ("solar", "solar", (0, 1440), "0.20"),
        ("daily", "daily", (0, 1440), "0.25"),
        ("feed_in", "export", (0, 1440), "0.08"),
    )
    for charge, band, minutes, amount in bands:
        for day_kind in ("weekday", "weekend"):
            house.add(
                db, "rate_plan_bands", rate_plan_id=plan, charge=charge, band=band, day_kind=day_kind,
                minutes_of_day=Int4Range(*minutes), unit_amount=Decimal(amount), tax_rate=Decimal("0.19"),
                valid_during=since,
            )  # fmt: skip
    for unit in house.units.values():
        house.add(db, "rate_plan_assignments", unit_id=unit, rate_plan_id=plan, assigned_during=since)


def _add_meters(db: psycopg.Connection, house: House, since: DateRange) -> None:
    kinds = {"grid": ("import", "export"), "solar": ("generation",)} | dict.fromkeys(LOADS, ("consumption",))
    for name, channels in kinds.items():
        meter = house.meters[name] = house.add(
            db, "meters", property_id=house.property, type="solar" if name == "solar" else "grid",
            serial_number=name, timezone="Europe/Berlin",
        )  # fmt: skip
        for channel in channels:
            house.add(
                db, "meter_registers", meter_id=meter, identifier=name, register=channel, channel=channel
            )
        if name in LOADS:
            house.add(
                db, "meter_assignments", meter_id=meter, unit_id=house.units[name], assigned_during=since
            )


def _add_readings(db: psycopg.Connection, house: House) -> None:
    house.add(
        db, "ingestion_jobs", id=house.job, source_uri="vectors", content_hash=uuid.uuid4().hex * 2,
        status="loaded",
    )  # fmt: skip
    db.execute("select myproperty.ensure_readings_partition(%s)", (DAY,))
    series: dict[tuple[str, str], dict[int, int]] = {
        ("solar", "generation"): dict(zip(HOURS, GENERATION, strict=True)),
        **{(label, "consumption"): dict(zip(HOURS, loads, strict=True)) for label, loads in LOADS.items()},
    }
    net = {
        hour: sum(loads[place] for loads in LOADS.values()) - GENERATION[place]
        for place, hour in enumerate(HOURS)
    }
    series["grid", "import"] = {hour: max(value, 0) for hour, value in net.items()} | {20: LOSS_KWH}
    series["grid", "export"] = {hour: max(-value, 0) for hour, value in net.items()}
    for name, values in series.items():
        for hour in range(25):
            add_reading(db, house, name, hour, Decimal(values.get(hour, 0)))


def add_reading(
    db: psycopg.Connection, house: House, series: tuple[str, str], hour: int, energy: Decimal
) -> None:
    """Add the reading of one hour, counted from local midnight, for a (meter, channel)."""
    meter, channel = series
    house.add(
        db, "meter_readings", meter_id=house.meters[meter], channel=channel,
        reading_ts=MIDNIGHT + timedelta(hours=hour), reading_date=DAY, interval_seconds=3600,
        value_native=energy, unit="kWh", value_kwh=energy, quality="actual", is_estimated=False,
        source="vectors", source_version=MIDNIGHT, ingestion_job_id=house.job,
    )  # fmt: skip


@pytest.fixture
def house(oltp_dsn: str) -> Iterator[House]:
    """A new house for each test in the database of the module, with dynamic sharing."""
    yield build(oltp_dsn, "dynamic")
