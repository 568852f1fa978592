"""Run the dbt project on a PostgreSQL database in tests: raw tables from CSV, dbt in process, rows back.

Not here: what a scenario says (folders below `scenarios/`) and BigQuery (`tests/googlesql`).
"""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from dbt.cli.main import dbtRunner
from psycopg import sql
from psycopg.rows import dict_row

PROJECT = Path(__file__).parents[2] / "data" / "warehouse"
SCENARIOS = Path(__file__).parent / "scenarios"

CARRIED = {"created_at": "timestamptz", "updated_at": "timestamptz", "version": "integer"}
# The landing tables' columns, in the types the embedded warehouse gives them.
RAW_COLUMNS: dict[str, dict[str, str]] = {
    "tenants": {"id": "text", "tenant_id": "text", "name": "text", "region": "text", "status": "text"}
    | {"metadata": "text"},
    "properties": {"id": "text", "tenant_id": "text", "name": "text", "address": "text", "timezone": "text"}
    | {"utility_account_number": "text", "solar_capacity_kw": "numeric(12,3)", "status": "text"}
    | {"metadata": "text"},
    "units": {"id": "text", "tenant_id": "text", "property_id": "text", "label": "text", "floor": "text"}
    | {"sq_ft": "numeric(10,2)", "active": "boolean"},
    "meters": {"id": "text", "tenant_id": "text", "property_id": "text", "type": "text"}
    | {"make_model": "text", "serial_number": "text", "timezone": "text", "status": "text"},
    "meter_registers": {"id": "text", "tenant_id": "text", "meter_id": "text", "identifier": "text"}
    | {"register": "text", "channel": "text", "unit": "text", "interval_seconds": "integer"},
    "meter_assignments": {"id": "text", "tenant_id": "text", "meter_id": "text", "unit_id": "text"}
    | {"assigned_from": "date", "assigned_to": "date"},
    "meter_readings": {"id": "text", "tenant_id": "text", "meter_id": "text", "channel": "text"}
    | {"reading_ts": "timestamptz", "reading_date": "date", "interval_seconds": "integer"}
    | {"value_native": "numeric(20,9)", "unit": "text", "value_kwh": "numeric(20,9)", "quality": "text"}
    | {"quality_method": "text", "reason_code": "text", "is_estimated": "boolean", "source": "text"}
    | {"source_version": "timestamptz", "ingestion_job_id": "text"},
}


@dataclass(frozen=True)
class Ran:
    """One dbt invocation: whether it succeeded, and the message of each node that did not."""

    success: bool
    failures: dict[str, str]
    statuses: dict[str, str]


def create_raw(dsn: str) -> None:
    """Schema `raw` with every source table, empty; whatever a previous test left in it is dropped."""
    with psycopg.connect(dsn) as connection:
        connection.execute("drop schema if exists raw cascade")
        connection.execute("create schema raw")
        for table, own in RAW_COLUMNS.items():
            columns = own | CARRIED | {"landed_at": "timestamptz default now()"}
            body = sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_))
                for name, type_ in columns.items()
            )
            connection.execute(sql.SQL("create table {} ({})").format(sql.Identifier("raw", table), body))


def load_csv(dsn: str, folder: Path) -> None:
    """Append each `<table>.csv` of a `when` folder; an empty field, or a column not given, is NULL."""
    with psycopg.connect(dsn) as connection:
        for path in sorted(folder.glob("*.csv")):
            with path.open(newline="") as lines:
                rows = list(csv.DictReader(lines))
            if rows:
                insert_rows(connection, path.stem, rows)


def insert_rows(connection: psycopg.Connection[Any], table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of text (or None) into a raw table; PostgreSQL reads each as its column's type."""
    columns = list(rows[0])
    copy = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier("raw", table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor().copy(copy) as stream:
        for row in rows:
            stream.write_row([row[column] or None for column in columns])


@contextmanager
def _environment(dsn: str) -> Iterator[None]:
    parts = urlsplit(dsn)
    values = {
        "MYPROPERTY_DBT_HOST": parts.hostname or "127.0.0.1",
        "MYPROPERTY_DBT_PORT": str(parts.port or 5432),
        "MYPROPERTY_DBT_USER": unquote(parts.username or "postgres"),
        "MYPROPERTY_DBT_PASSWORD": unquote(parts.password or ""),
        "MYPROPERTY_DBT_DATABASE": parts.path.lstrip("/"),
        "MYPROPERTY_DATASET_PREFIX": "",
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run_dbt(dsn: str, target_path: Path, words: Sequence[str], start: date | None, end: date | None) -> Ran:
    """Run one dbt command (such as ["build"]) in this process for [start, end) on the database of `dsn`."""
    ranged = start is not None and end is not None
    variables = {"start_date": str(start), "end_date": str(end)} if ranged else {}
    arguments = [
        *words,
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target", "postgres"),
        *("--target-path", str(target_path), "--log-path", str(target_path), "--threads", "1", "--quiet"),
        *("--vars", json.dumps(variables)),
    ]
    with _environment(dsn):
        outcome = dbtRunner().invoke(arguments)
    results = list(getattr(outcome.result, "results", None) or [])
    failures = {
        result.node.name: str(result.message)
        for result in results
        if str(result.status) in ("error", "fail", "runtime error")
    }
    if outcome.exception is not None:
        failures["dbt"] = str(outcome.exception)
    return Ran(outcome.success, failures, {result.node.name: str(result.status) for result in results})


def fetch(dsn: str, query: str) -> list[dict[str, Any]]:
    """The rows of a query that a test wrote out, as dicts, with instants in UTC."""
    with psycopg.connect(dsn, row_factory=dict_row, options="-c timezone=UTC") as connection:
        return list(connection.execute(query))
