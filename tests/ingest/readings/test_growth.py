"""The work of a load grows with its file, and not with the meters and jobs that are there already.

Counted, not timed: statements, and scans of tables by PostgreSQL's own counters.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from data.ingest.readings.load import ingest_file
from myproperty.database.session import Session
from tests.ingest.conftest import HEADER, START, V1, Company

pytestmark = pytest.mark.engine

FEW, MANY = 3, 30


def write_meters(path: Path, count: int, day: int = 0) -> Path:
    """Write a file with one reading of each of `count` new meters, and as many invalid rows."""
    start, name = (START + timedelta(days=day)).isoformat(), path.stem
    rows = [
        f"{name}-{n},E1,import,kWh,{start},3600,{value},actual,{V1}"
        for n in range(count)
        for value in (n, "x")
    ]
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def create_meters(company: Company, path: Path, dsn: str) -> None:
    result = ingest_file(path, tenant=company.name, dsn=dsn, create_meters="Site", max_new_meters=MANY)
    assert result.accepted == result.quarantined > 0


def test_meters_are_created_by_as_many_statements_whatever_their_number(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("execute", "rows", "arrow", "copy"):
        monkeypatch.setattr(Session, name, count_calls(getattr(Session, name), calls))
    made = []
    # The first file makes the partition of its date.
    for name, count in (("first", FEW), ("few", FEW), ("many", MANY)):
        calls.clear()
        create_meters(company, write_meters(tmp_path / f"{name}.csv", count), company.dsn)
        made.append(sorted(calls))
    assert made[1] == made[2]


def test_foreign_keys_are_looked_up_even_where_a_scan_of_the_table_seems_cheaper(
    company: Company, tmp_path: Path
) -> None:
    """A scan is cheaper while a table is small, and a connection keeps its plan while the table grows."""
    dsn = make_conninfo(company.dsn, application_name="growth", options="-c random_page_cost=1000000")
    scans = []
    for day, count in enumerate((FEW, FEW, MANY)):
        before = count_scans(company.dsn)
        create_meters(company, write_meters(tmp_path / f"{day}.csv", count, 100 + day), dsn)
        scans.append({table: after - before[table] for table, after in count_scans(company.dsn).items()})
    assert scans[1] == scans[2]


def count_calls(run: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    def counted(*given: Any, **named: Any) -> Any:
        calls.append(run.__name__)
        return run(*given, **named)

    return counted


def count_scans(dsn: str) -> dict[str, int]:
    """Return how often each referenced table was scanned as a whole, once the loads have reported it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        query = "select count(*) from pg_stat_activity where application_name = 'growth'"
        while connection.execute(query).fetchall()[0][0]:
            time.sleep(0.01)
        rows = connection.execute(
            "select relname, seq_scan from pg_stat_user_tables "
            "where schemaname = 'myproperty' and relname in ('meters', 'properties', 'ingestion_jobs')"
        ).fetchall()
    return dict(rows)
