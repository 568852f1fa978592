"""Who exists in the demo: tenants, properties, units, meters, and the rows they are in the database.

No reading belongs here. The two scales are different tenants, so that both can live in one database.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Literal
from uuid import UUID, uuid5

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from psycopg.types.range import DateRange

Scale = Literal["small", "medium"]
FileFormat = Literal["nem12", "canonical_csv"]

_NAMESPACE = UUID("3d5b2f4e-6c1a-5d0e-9a77-0c5e1f7a9b42")
_ASSIGNED_FROM = date(2025, 1, 1)


@dataclass(frozen=True)
class Register:
    """What a file calls a series (`register`) and what it is to us (`channel`)."""

    register: str
    channel: str


@dataclass(frozen=True)
class Meter:
    """A device; `unit_label` is None for the meters that serve the whole property."""

    property_key: str
    role: str
    type: str
    identifier: str
    registers: tuple[Register, ...]
    unit_label: str | None = None

    @property
    def serial_number(self) -> str:
        return f"DEMO-{self.property_key}-{self.role}".upper()

    @property
    def id(self) -> UUID:
        return uuid5(_NAMESPACE, f"meter/{self.property_key}/{self.role}")


@dataclass(frozen=True)
class Site:
    """A property, where it stands (degrees north and east) and how its meter files are written."""

    key: str
    number: int
    tenant: str
    name: str
    address: dict[str, str]
    timezone: str
    standard_offset_hours: int
    latitude: float
    longitude: float
    file_format: FileFormat
    file_unit: Literal["kWh", "Wh"]
    interval_seconds: int
    unit_count: int
    identifier_pattern: str
    registers: dict[str, str]

    @property
    def id(self) -> UUID:
        return uuid5(_NAMESPACE, f"property/{self.key}")

    @property
    def solar_kw(self) -> float:
        return 3.0 * self.unit_count

    @cached_property
    def unit_labels(self) -> tuple[str, ...]:
        return tuple(f"{1 + index // 10}{1 + index % 10:02d}" for index in range(self.unit_count))

    @cached_property
    def meters(self) -> tuple[Meter, ...]:
        """Grid, solar and common-area meter, then one sub-meter for each unit."""
        plan = [
            ("grid", "grid", ("import", "export"), None),
            ("solar", "solar", ("generation",), None),
            ("common", "grid", ("consumption",), None),
            *((f"unit-{label}", "grid", ("consumption",), label) for label in self.unit_labels),
        ]
        return tuple(
            Meter(
                self.key,
                role,
                kind,
                self.identifier_pattern.format(number),
                tuple(Register(self.registers[channel], channel) for channel in channels),
                label,
            )
            for number, (role, kind, channels, label) in enumerate(plan, start=1)
        )

    def meter(self, role: str) -> Meter:
        """The meter of that role; `StopIteration` cannot happen for grid, solar and common."""
        return next(meter for meter in self.meters if meter.role == role)

    def unit_id(self, label: str) -> UUID:
        return uuid5(_NAMESPACE, f"unit/{self.key}/{label}")


@dataclass(frozen=True)
class Tenant:
    """A customer of the platform; its name is also its folder in the inbox."""

    name: str
    region: str
    title: str
    sites: tuple[Site, ...]

    @property
    def id(self) -> UUID:
        return uuid5(_NAMESPACE, f"tenant/{self.name}")


@lru_cache
def company(scale: Scale) -> tuple[Tenant, ...]:
    """All tenants of a scale; `medium` has 66 units a property, and 5 minutes instead of 30 in Sydney."""
    suffix, medium = {"small": ("", False), "medium": ("-medium", True)}[scale]
    wattlebird, sonnenhof = f"demo-wattlebird{suffix}", f"demo-sonnenhof{suffix}"
    sydney = Site(
        key=f"sydney{suffix}",
        number=1,
        tenant=wattlebird,
        name="Wattlebird Terraces (demo)",
        address={"city": "Sydney", "state": "NSW", "country": "AU"},
        timezone="Australia/Sydney",
        standard_offset_hours=10,
        latitude=-33.87,
        longitude=151.21,
        file_format="nem12",
        file_unit="kWh",
        interval_seconds=300 if medium else 1800,
        unit_count=66 if medium else 4,
        identifier_pattern="6DEM{:06d}",
        registers={"import": "E1", "export": "B1", "generation": "E1", "consumption": "E1"},
    )
    los_angeles = Site(
        key=f"los-angeles{suffix}",
        number=2,
        tenant=wattlebird,
        name="Cedar Canyon Lofts (demo)",
        address={"city": "Los Angeles", "state": "CA", "country": "US"},
        timezone="America/Los_Angeles",
        standard_offset_hours=-8,
        latitude=34.05,
        longitude=-118.24,
        file_format="canonical_csv",
        file_unit="Wh",
        interval_seconds=900,
        unit_count=66 if medium else 5,
        identifier_pattern="USP-DEMO-{:04d}",
        registers={"import": "1", "export": "19", "generation": "1", "consumption": "1"},
    )
    berlin = Site(
        key=f"berlin{suffix}",
        number=3,
        tenant=sonnenhof,
        name="Sonnenhof 7 (demo)",
        address={"city": "Berlin", "country": "DE"},
        timezone="Europe/Berlin",
        standard_offset_hours=1,
        latitude=52.52,
        longitude=13.40,
        file_format="canonical_csv",
        file_unit="kWh",
        interval_seconds=900,
        unit_count=66 if medium else 3,
        identifier_pattern="DE0000000000000000000000DEMO{:05d}",
        registers={
            "import": "1-1:1.29.0",
            "export": "1-1:2.29.0",
            "generation": "1-1:2.29.0",
            "consumption": "1-1:1.29.0",
        },
    )
    return (
        Tenant(sonnenhof, "DE", "Sonnenhof Wohnen (demo)", (berlin,)),
        Tenant(wattlebird, "AU", "Wattlebird Homes (demo)", (sydney, los_angeles)),
    )


Row = dict[str, object]


def _rows(tenant: Tenant) -> Iterator[tuple[str, Row]]:
    """(table, row) of everything of a tenant, parents first."""
    yield (
        "tenants",
        {"id": tenant.id, "name": tenant.name, "region": tenant.region, "metadata": {"demo": True}},
    )
    for site in tenant.sites:
        yield (
            "properties",
            {
                "id": site.id,
                "name": site.name,
                "address": site.address,
                "timezone": site.timezone,
                "solar_capacity_kw": site.solar_kw,
            },
        )
        for label in site.unit_labels:
            yield (
                "units",
                {"id": site.unit_id(label), "property_id": site.id, "label": label, "floor": label[:-2]},
            )
        for meter in site.meters:
            yield from _meter_rows(site, meter)


def _meter_rows(site: Site, meter: Meter) -> Iterator[tuple[str, Row]]:
    yield (
        "meters",
        {
            "id": meter.id,
            "property_id": site.id,
            "type": meter.type,
            "make_model": "Invented Meter 1",
            "serial_number": meter.serial_number,
            "timezone": site.timezone,
        },
    )
    for register in meter.registers:
        yield (
            "meter_registers",
            {
                "id": uuid5(meter.id, register.channel),
                "meter_id": meter.id,
                "identifier": meter.identifier,
                "register": register.register,
                "channel": register.channel,
                "unit": site.file_unit,
                "interval_seconds": site.interval_seconds,
            },
        )
    if meter.unit_label is not None:
        yield (
            "meter_assignments",
            {
                "id": uuid5(meter.id, meter.unit_label),
                "meter_id": meter.id,
                "unit_id": site.unit_id(meter.unit_label),
                "assigned_during": DateRange(_ASSIGNED_FROM, None, "[)"),
            },
        )


def _upsert(connection: psycopg.Connection, table: str, row: Row) -> None:
    """Insert by id; an existing row is updated only if it differs, so its version stays."""
    columns = [sql.Identifier(name) for name in row]
    changed = columns[1:]
    statement = sql.SQL(
        "INSERT INTO myproperty.{table} AS stored ({columns}) VALUES ({values})"
        " ON CONFLICT (id) DO UPDATE SET ({changed}) = ROW ({new})"
        " WHERE ({old}) IS DISTINCT FROM ({new})"
    ).format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(columns),
        values=sql.SQL(", ").join(sql.Placeholder() for _ in columns),
        changed=sql.SQL(", ").join(changed),
        new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(name) for name in changed),
        old=sql.SQL(", ").join(sql.SQL("stored.{}").format(name) for name in changed),
    )
    connection.execute(
        statement, [Jsonb(value) if isinstance(value, dict) else value for value in row.values()]
    )


def apply_company(dsn: str, scale: Scale = "small") -> None:
    """Insert the company's rows, or bring them back to what they should be; a second call changes none.

    `dsn` is a libpq URI of the OLTP database, of a login that may take on `myproperty_owner`, which
    makes tenants, and `myproperty_app`, which makes the rest: row security holds for both. Raises
    `psycopg.Error`; nothing is written then.
    """
    with psycopg.connect(dsn) as connection:
        for tenant in company(scale):
            connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant.id),))
            for table, row in _rows(tenant):
                if table == "tenants":
                    connection.execute("SET ROLE myproperty_owner")
                    _upsert(connection, table, row)
                    connection.execute("SET ROLE myproperty_app")
                else:
                    _upsert(connection, table, {**row, "tenant_id": tenant.id})
