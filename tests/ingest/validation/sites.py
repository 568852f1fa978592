"""A tenant with meters on a real database, files of a few blocks of readings, and queries of its rows."""

import csv
import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg

from data.ingest.readings.load import ingest_file
from tests.ingest.conftest import HEADER

UNITS = {"grid": "kWh", "solar": "kWh", "water": "m3"}


def rows_of(path: Path) -> list[dict[str, str | None]]:
    """Return the rows of a CSV file, an empty field as None; no rows if the file is missing."""
    if not path.exists():
        return []
    with path.open() as file:
        return [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]


class Site:
    """A tenant with a property and meters, and queries of its rows."""

    def __init__(self, dsn: str, name: str, meters: list[dict[str, Any]], folder: Path) -> None:
        self.dsn, self.name, self.folder = dsn, name, folder
        self.meters = {(row["meter"], row["channel"]): row for row in meters}
        with psycopg.connect(dsn) as connection:
            self.tenant_id = _one(
                connection,
                "insert into myproperty.tenants (name, region) values (%s, 'DE') returning id",
                name,
            )
            self.property_id = _one(
                connection,
                "insert into myproperty.properties (tenant_id, name, timezone) "
                "values (%s, 'Site', %s) returning id",
                self.tenant_id,
                meters[0]["timezone"],
            )
            self.ids: dict[str, str] = {}
            for row in meters:
                self._add(connection, row)

    def _add(self, connection: psycopg.Connection, row: dict[str, Any]) -> None:
        meter = row["meter"]
        if meter not in self.ids:
            self.ids[meter] = _one(
                connection,
                "insert into myproperty.meters (tenant_id, property_id, type, serial_number, timezone) "
                "values (%s, %s, %s, %s, %s) returning id",
                *(self.tenant_id, self.property_id, row["type"], meter, row["timezone"]),
            )
        _one(
            connection,
            "insert into myproperty.meter_registers "
            "(tenant_id, meter_id, identifier, register, channel, unit) "
            "values (%s, %s, %s, %s, %s, %s) returning id",
            *(self.tenant_id, self.ids[meter], meter, row["channel"], row["channel"], UNITS[row["type"]]),
        )

    def load(self, name: str, blocks: list[dict[str, Any]]) -> None:
        """Load one canonical file with a reading in every interval of every block."""
        lines = [HEADER]
        for block in blocks:
            meter = self.meters[block["meter"], block["channel"]]
            seconds = int(meter["interval_seconds"])
            first, end = (pd.Timestamp(block[name]).tz_convert("UTC") for name in ("from", "to"))
            for at in pd.date_range(first, end, freq=f"{seconds}s", inclusive="left"):
                lines.append(
                    f"{block['meter']},{block['channel']},{block['channel']},{UNITS[meter['type']]},"
                    f"{at.isoformat()},{seconds},{block['value'] or ''},{block['quality']},{block['version']}"
                )
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        result = ingest_file(path, tenant=self.name, dsn=self.dsn)
        assert (result.status, result.quarantined) == ("loaded", 0)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query as the superuser."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def issues(self) -> list[tuple[Any, ...]]:
        """Return every issue: meter, channel, date, rule, severity, status, details."""
        return self.rows(
            """
            select m.serial_number, i.channel, i.reading_date::text, i.rule, i.severity, i.status, i.details
            from myproperty.reading_issues i left join myproperty.meters m on m.id = i.meter_id
            where i.tenant_id = %s order by 1, 2, 3, 4
            """,
            self.tenant_id,
        )

    def readings(self, table: str = "meter_readings") -> dict[tuple[str, str, datetime.datetime], list[Any]]:
        """Return current or replaced readings: value, quality, method, version."""
        found = self.rows(
            f"""
            select m.serial_number, r.channel, r.reading_ts, r.value_native, r.quality, r.quality_method,
                   r.version
            from myproperty.{table} r join myproperty.meters m on m.id = r.meter_id
            where r.tenant_id = %s order by r.version
            """,
            self.tenant_id,
        )
        return {(row[0], row[1], row[2]): list(row[3:]) for row in found}

    def everything(self) -> list[tuple[Any, ...]]:
        """Return every row that a validation may write, with its version."""
        parts = [
            self.rows(
                f"select {columns} from myproperty.{table} where tenant_id = %s order by 1", self.tenant_id
            )
            for table, columns in (
                ("meter_readings", "id, version, updated_at"),
                ("meter_reading_versions", "id, replaced_at"),
                ("reading_issues", "id, version, updated_at, status"),
                ("ingestion_jobs", "id, version"),
            )
        ]
        return [row for part in parts for row in part]


def _one(connection: psycopg.Connection, query: str, *parameters: object) -> str:
    row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return str(row[0])


def block(value: str, first: str, end: str, *, version: str = "2025-06-05T00:00Z") -> dict[str, Any]:
    """Return a block of readings of M1 for `Site.load`."""
    row = {"meter": "M1", "channel": "import", "from": first, "to": end, "value": value}
    return {**row, "quality": "actual", "version": version}
