"""A tenant with a meter, and canonical CSV files of a few lines."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

HEADER = "identifier,register,channel,unit,reading_ts,interval_seconds,value,quality,source_version"
START = datetime(2025, 6, 1, tzinfo=UTC)
V1, V2, V0 = "2025-06-10T00:00:00Z", "2025-06-20T00:00:00Z", "2025-06-05T00:00:00Z"


@dataclass(frozen=True)
class Company:
    """A tenant with a property and the meter of its files."""

    name: str
    tenant_id: str
    property_id: str
    dsn: str

    def rows(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        """Return the rows of a query as the superuser."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def current(self) -> list[tuple[object, ...]]:
        """Return the current readings of this tenant: instant, value, quality, version."""
        return self.rows(
            "select reading_ts, value_native, quality, version from myproperty.meter_readings "
            "where tenant_id = %s order by meter_id, channel, reading_ts",
            self.tenant_id,
        )


FileMaker = Callable[..., Path]


@pytest.fixture
def csv_file(tmp_path: Path) -> FileMaker:
    """A function that writes a file of hourly readings of M1/E1: `values`, from 2025-06-01 00:00 UTC."""

    def make(
        name: str,
        values: list[str],
        *,
        identifier: str = "M1",
        register: str = "E1",
        channel: str = "import",
        quality: str = "actual",
        version: str = V1,
    ) -> Path:
        lines = [HEADER]
        for hour, value in enumerate(values):
            at = (START + timedelta(hours=hour)).isoformat()
            flag = quality if value else "null"
            lines.append(f"{identifier},{register},{channel},kWh,{at},3600,{value},{flag},{version}")
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return make


def make_company(dsn: str, name: str) -> Company:
    """Insert a tenant with a property in UTC and a meter M1 with the register E1."""
    with psycopg.connect(dsn) as connection:

        def one(query: str, *parameters: object) -> str:
            row = connection.execute(query.encode(), parameters).fetchone()
            assert row is not None
            return str(row[0])

        tenant = one("insert into myproperty.tenants (name, region) values (%s, 'AU') returning id", name)
        site = one(
            "insert into myproperty.properties (tenant_id, name, timezone) "
            "values (%s, 'Site', 'UTC') returning id",
            tenant,
        )
        meter = one(
            "insert into myproperty.meters (tenant_id, property_id, type, serial_number, timezone) "
            "values (%s, %s, 'grid', 'M1', 'UTC') returning id",
            tenant,
            site,
        )
        one(
            "insert into myproperty.meter_registers "
            "(tenant_id, meter_id, identifier, register, channel, unit) "
            "values (%s, %s, 'M1', 'E1', 'import', 'kWh') returning id",
            tenant,
            meter,
        )
    return Company(name, tenant, site, dsn)


@pytest.fixture
def company(oltp_dsn: str, request: pytest.FixtureRequest) -> Iterator[Company]:
    """A new tenant for each test; the tests share the dates."""
    yield make_company(oltp_dsn, f"tenant of {request.node.name}")


def hours(count: int, first: str = "1.5") -> list[str]:
    """Return `count` different values."""
    return [str(Decimal(first) + Decimal(hour) / 1000) for hour in range(count)]
