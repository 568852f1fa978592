"""Two companies with a row in every table: what the tests of the OLTP schema look at."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql

DAY = date(2026, 1, 1)
Row = dict[str, Any]


@dataclass(frozen=True)
class Company:
    """One tenant, the ids of its rows, and rows to put in."""

    name: str
    tenant: uuid.UUID = field(default_factory=uuid.uuid4)
    property: uuid.UUID = field(default_factory=uuid.uuid4)
    unit: uuid.UUID = field(default_factory=uuid.uuid4)
    meter: uuid.UUID = field(default_factory=uuid.uuid4)
    job: uuid.UUID = field(default_factory=uuid.uuid4)

    def rows(self) -> dict[str, Row]:
        """Table to its first row, parents first."""
        tenant = {"tenant_id": self.tenant}
        reading = {**self.reading(), "id": uuid.uuid4()}
        at = datetime(2026, 1, 2, tzinfo=UTC)
        landed = {"id": uuid.uuid4(), **tenant}
        return {
            "myproperty.tenants": {"id": self.tenant, "name": self.name, "region": "AU"},
            "myproperty.properties": {
                **tenant, "id": self.property, "name": "House", "timezone": "Australia/Sydney",
            },
            "myproperty.units": {
                **tenant, "id": self.unit, "property_id": self.property, "label": "1",
            },
            "myproperty.meters": {
                **tenant, "id": self.meter, "property_id": self.property, "type": "grid",
                "serial_number": "S1", "timezone": "Australia/Sydney",
            },
            "myproperty.meter_registers": {
                **tenant, "meter_id": self.meter, "identifier": "NMI1", "register": "E1", "channel": "import",
            },
            "myproperty.meter_assignments": {
                **tenant, "meter_id": self.meter, "unit_id": self.unit,
                "assigned_during": "[2026-01-01,2026-07-01)",
            },
            "myproperty.ingestion_jobs": {
                **tenant, "id": self.job, "source_uri": "a.csv", "content_hash": "a" * 64, "status": "loaded",
            },
            "myproperty.ingestion_job_dates": {
                **tenant, "ingestion_job_id": self.job, "reading_date": DAY, "readings": 1,
            },
            "myproperty.meter_readings": reading,
            "myproperty.meter_reading_versions": {
                **reading, "version": 1, "created_at": at, "updated_at": at, "replaced_by_job_id": self.job,
            },
            "warehouse_staging.invalid_files": {
                **tenant, "source_uri": "b.csv", "rule": "F001", "message": "empty", "remedy": "ask again",
            },
            "warehouse_staging.quarantined_readings": {
                **tenant, "ingestion_job_id": self.job, "source_uri": "a.csv", "rule": "R001",
                "severity": "reject", "reason": "negative",
            },
            **{f"warehouse_staging.{entity}": landed for entity in LANDED},
            "warehouse_staging.meter_readings": {**landed, "reading_date": DAY},
        }  # fmt: skip

    def second_rows(self) -> dict[str, Row]:
        """Table to a row that fits beside the first."""
        different: dict[str, Row] = {
            "myproperty.tenants": {"name": f"{self.name} again"},
            "myproperty.units": {"label": "2"},
            "myproperty.meters": {"serial_number": "S2"},
            "myproperty.meter_registers": {"register": "B1", "channel": "export"},
            "myproperty.meter_assignments": {"assigned_during": "[2026-07-01,)"},
            "myproperty.ingestion_jobs": {"content_hash": "b" * 64},
            "myproperty.ingestion_job_dates": {"reading_date": date(2026, 1, 2)},
            "myproperty.meter_readings": {"channel": "export"},
            "myproperty.meter_reading_versions": {"version": 2},
        }
        rows = {table: {**row, **different.get(table, {})} for table, row in self.rows().items()}
        for row in rows.values():
            if "id" in row:
                row["id"] = uuid.uuid4()
        return rows

    def reading(self, **changes: Any) -> Row:
        """A reading of noon in UTC on `DAY`, with the changes asked for."""
        return {
            "tenant_id": self.tenant, "meter_id": self.meter, "channel": "import",
            "reading_ts": datetime(2026, 1, 1, 12, tzinfo=UTC), "reading_date": DAY, "interval_seconds": 1800,
            "value_native": "1.5", "unit": "kWh", "value_kwh": "1.5", "quality": "actual",
            "is_estimated": False, "source": "nem12", "source_version": datetime(2026, 1, 2, tzinfo=UTC),
            "ingestion_job_id": self.job, **changes,
        }  # fmt: skip


LANDED = ("tenants", "properties", "units", "meters", "meter_registers", "meter_assignments")
Insert = Callable[[psycopg.Connection, str, Row], None]


def _insert(connection: psycopg.Connection, table: str, row: Row) -> None:
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(*table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    connection.execute(statement, list(row.values()))


@pytest.fixture(scope="session")
def insert() -> Insert:
    """Puts one row into a table by its full name."""
    return _insert


@pytest.fixture(scope="session")
def make_company() -> Callable[[str], Company]:
    """A company with new ids, in no database yet."""
    return Company


@pytest.fixture(scope="module")
def companies(oltp_dsn: str) -> tuple[Company, Company]:
    """Two companies with one row in every table, readings and landed readings on `DAY` among them."""
    pair = (Company("Acacia"), Company("Banksia"))
    with psycopg.connect(oltp_dsn) as connection:
        connection.execute("select myproperty.ensure_readings_partition(%s)", (DAY,))
        connection.execute("select warehouse_staging.ensure_readings_partition(%s)", (DAY,))
        for company in pair:
            for table, row in company.rows().items():
                _insert(connection, table, row)
    return pair


@pytest.fixture
def db(oltp_dsn: str) -> Iterator[psycopg.Connection]:
    """A connection as superuser whose transaction is rolled back."""
    with psycopg.connect(oltp_dsn) as connection:
        yield connection
        connection.rollback()
