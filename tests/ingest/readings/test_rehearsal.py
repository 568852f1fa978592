"""What `inspect --tenant` says that ingesting a file would change, and that it changes nothing."""

from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from data.ingest.readings.load import ingest_file, read_file_for
from data.ingest.readings.results import IngestResult
from myproperty.tenants import find_tenant
from tests.ingest.conftest import Company, FileMaker, hours

pytestmark = pytest.mark.engine


def count_rows(dsn: str) -> dict[str, int]:
    """Return the number of rows of every table of both schemas."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables"
            " where schemaname in ('myproperty', 'warehouse_staging')"
        ).fetchall()
        counted = {}
        for schema, table in tables:
            query = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
            counted[f"{schema}.{table}"] = connection.execute(query).fetchone()[0]  # type: ignore[index]
    return counted


def rehearse(company: Company, path: Path, create_meters: str | None = None) -> IngestResult:
    tenant = find_tenant(company.dsn, company.name)
    return read_file_for(path, tenant, company.dsn, create_meters=create_meters).rehearse()


def test_a_rehearsal_says_what_the_load_then_does_and_writes_nothing(
    company: Company, csv_file: FileMaker
) -> None:
    ingest_file(csv_file("first.csv", hours(3)), tenant=company.name, dsn=company.dsn)
    path = csv_file("second.csv", [*hours(2), "9.5", "1", "-1"])
    before = count_rows(company.dsn)
    would = rehearse(company, path)
    assert count_rows(company.dsn) == before
    did = ingest_file(path, tenant=company.name, dsn=company.dsn)
    for name in ("status", "accepted", "unchanged", "new_versions", "quarantined", "dates_touched", "rules"):
        assert getattr(would, name) == getattr(did, name), name
    assert (did.unchanged, did.quarantined) == (2, 1)
    assert rehearse(company, path).status == "unchanged"


def test_a_refusal_is_said_and_not_recorded(company: Company, csv_file: FileMaker) -> None:
    path = csv_file("cut.csv", hours(2))
    path.write_text(path.read_text().rstrip("\n"))
    before = count_rows(company.dsn)
    would = rehearse(company, path)
    assert would.status == "refused" and would.refusal is not None
    assert "line end" in would.refusal.describe(str(path))
    assert count_rows(company.dsn) == before


def test_unknown_meters_are_counted_as_if_they_were_made(company: Company, csv_file: FileMaker) -> None:
    path = csv_file("new.csv", hours(3), register="B7")
    before = count_rows(company.dsn)
    assert rehearse(company, path).quarantined == 3
    assert rehearse(company, path, create_meters=company.property_id).accepted == 3
    assert count_rows(company.dsn) == before
