"""Run the dbt project on a PostgreSQL database in tests: raw tables from CSV, dbt in process, rows back.

Not here: the scenarios (folders below `scenarios/`) and BigQuery (`tests/googlesql`).
"""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from dbt.cli.main import dbtRunner
from dbt.constants import PARTIAL_PARSE_FILE_NAME
from dbt.contracts.graph.manifest import Manifest
from psycopg import sql
from psycopg.rows import dict_row

from data.landing.entities import LOADED
from data.raw.postgres import PostgresWarehouse
from data.warehouse.preparsed import read_manifest

PROJECT = Path(__file__).parents[2] / "data" / "warehouse"
SCENARIOS = Path(__file__).parent / "scenarios"
# A short dim_date: no test here reads it, and decades of days cost seconds in each build.
CALENDAR = {"calendar_start": "2026-01-01", "calendar_end": "2026-01-11"}
# Columns that every row of the operational database has and few cases are about.
HISTORY: dict[str, Any] = {
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "version": "1",
    "landed_at": "2026-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class DbtRun:
    """Result of a dbt invocation: its success, the messages of failed nodes by name, and the status of each
    node by unique id (such as `unit_test.myproperty.<model>.<name>`)."""

    success: bool
    failures: dict[str, str]
    statuses: dict[str, str]


def create_raw(dsn: str) -> None:
    """Create the schema `raw` with every source table, empty; drop it first if it exists."""
    with psycopg.connect(dsn) as connection:
        connection.execute("drop schema if exists raw cascade")
    with closing(PostgresWarehouse(dsn)) as warehouse:
        for entity in LOADED.values():
            warehouse.ensure_table(entity)


def own_tenant(folder: Path, tenant_id: str) -> str:
    """Return a tenant id that is unique to the scenario folder; all other ids may be equal in two folders."""
    return f"{folder.name}/{tenant_id}"


def scenario_rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Read each `when/<table>.csv` as text. An empty field is NULL; HISTORY gives the defaults."""
    found = {}
    for path in sorted((folder / "when").glob("*.csv")):
        columns = LOADED[path.stem].schema.names
        defaults = {name: value for name, value in HISTORY.items() if name in columns}
        with path.open(newline="") as lines:
            rows = [defaults | row for row in csv.DictReader(lines)]
        for row in rows if "tenant_id" in columns else ():
            row["tenant_id"] = own_tenant(folder, row["tenant_id"])
            if path.stem == "tenants":
                row["id"] = row["tenant_id"]
        found[path.stem] = rows
    return found


def load_scenario(dsn: str, folder: Path) -> None:
    """Append the rows of a scenario to the raw tables."""
    with psycopg.connect(dsn) as connection:
        for table, rows in scenario_rows(folder).items():
            if rows:
                insert_rows(connection, table, rows)


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
def environment(dsn: str, prefix: str = "") -> Iterator[None]:
    """Set the variables with which dbt's profile connects to the database of `dsn`."""
    parts = urlsplit(dsn)
    values = {
        "MYPROPERTY_DBT_HOST": parts.hostname or "127.0.0.1",
        "MYPROPERTY_DBT_PORT": str(parts.port or 5432),
        "MYPROPERTY_DBT_USER": unquote(parts.username or "postgres"),
        "MYPROPERTY_DBT_PASSWORD": unquote(parts.password or ""),
        "MYPROPERTY_DBT_DATABASE": parts.path.lstrip("/"),
        "MYPROPERTY_DATASET_PREFIX": prefix,
        "MYPROPERTY_RAW_PREFIX": "",
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


@cache
def parse_once() -> tuple[str, bytes]:
    """Parse the project; return the database that it was parsed for, and the parse."""
    with TemporaryDirectory() as folder:
        paths = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", folder]
        words = ["parse", *paths, "--target", "postgres", "--log-path", folder, "--quiet"]
        outcome = dbtRunner().invoke([*words, "--vars", json.dumps(CALENDAR)])
        assert outcome.success, outcome.exception
        return os.environ["MYPROPERTY_DBT_DATABASE"], (Path(folder) / PARTIAL_PARSE_FILE_NAME).read_bytes()


def parsed_project(database: str) -> Manifest:
    """Return the parsed project, its relations in `database`: tests build in many databases."""
    parsed_for, content = parse_once()
    with TemporaryDirectory() as folder:
        (Path(folder) / PARTIAL_PARSE_FILE_NAME).write_bytes(content)
        manifest = read_manifest(Path(folder))
    for node in (*manifest.nodes.values(), *manifest.sources.values()):
        node.database = database
        if node.relation_name:
            node.relation_name = node.relation_name.replace(f'"{parsed_for}".', f'"{database}".', 1)
    for model in manifest.semantic_models.values():
        if (named := model.node_relation) is not None:
            named.database = database
            named.relation_name = f'"{database}"."{named.schema_name}"."{named.alias}"'
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    return manifest


def run_dbt(
    dsn: str,
    target_path: Path,
    words: Sequence[str],
    start: date | None,
    end: date | None,
    *,
    project: Path = PROJECT,
    prefix: str = "",
    left_out: Sequence[str] = (),
) -> DbtRun:
    """Run one dbt command (such as ["build"]) in this process for [start, end) on the database of `dsn`.

    Marts keep the rows of the tenants `left_out`. Each command but `parse` on the project itself runs on a
    parse that all tests of a session share.
    """
    ranged = start is not None and end is not None
    variables: dict[str, Any] = CALENDAR | (
        {"start_date": str(start), "end_date": str(end)} if ranged else {}
    )
    variables |= {"left_out": list(left_out)} if left_out else {}
    arguments = [
        *words,
        *("--project-dir", str(project), "--profiles-dir", str(project), "--target", "postgres"),
        *("--target-path", str(target_path), "--log-path", str(target_path), "--threads", "2", "--quiet"),
        # A log of each event costs a tenth of a build, and nobody reads it.
        *("--log-level-file", "none"),
        *("--vars", json.dumps(variables)),
    ]
    is_shared = words[0] != "parse" and project == PROJECT and not prefix
    with environment(dsn, prefix):
        manifest = parsed_project(urlsplit(dsn).path.lstrip("/")) if is_shared else None
        outcome = dbtRunner(manifest).invoke(arguments)
    results = list(getattr(outcome.result, "results", None) or [])
    failures = {
        result.node.name if hasattr(result, "node") else result.unique_id: str(result.message)
        for result in results
        if str(result.status) in ("error", "fail", "runtime error")
    }
    if outcome.exception is not None:
        failures["dbt"] = str(outcome.exception)
    return DbtRun(
        outcome.success,
        failures,
        {result.node.unique_id: str(result.status) for result in results if hasattr(result, "node")},
    )


def fetch(dsn: str, query: sql.SQL | sql.Composed) -> list[dict[str, Any]]:
    """Return the rows of a query as dicts, with instants in UTC."""
    with psycopg.connect(dsn, row_factory=dict_row, options="-c timezone=UTC") as connection:
        return list(connection.execute(query))
