# mypy: disable-error-code="import-not-found,no-untyped-call"
# ruff: noqa: S608, PLR0917
"""Start `local-bigquery` with the features that dbt-bigquery and the loader need and that 0.3.2 lacks.

This module runs in the emulator's own environment (Python 3.13), so it imports nothing of this project. Each
`add_*` function is one addition. What BigQuery refuses is still refused. The server binds 127.0.0.1 only.

Two lint rules are off: the SQL here consists of quoted names, bounds made from digits and queries translated
by the stock server (S608), and the signatures are the stock server's own (PLR0917).
"""

import argparse
import contextlib
import datetime as dt
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import uvicorn
from local_bigquery.api import jobs as api_jobs
from local_bigquery.catalog import datasets, iam, metadata, tables
from local_bigquery.engine import database, results, types
from local_bigquery.errors import BigQueryError
from local_bigquery.grpc import server as grpc_server
from local_bigquery.jobs import copy, query, store
from local_bigquery.models import Job, JobStatistics2, Policy, Table
from local_bigquery.settings import settings
from local_bigquery.sql import rules, script
from local_bigquery.sql.dialect import BigQueryDialect
from local_bigquery.sql.rules import information_schema, partitions, row_access
from sqlglot import exp, parse_one

HOST = "127.0.0.1"
Reference = tuple[str, str, str]


# -- 1. DDL jobs name their table: dbt reads the destination of CREATE TABLE AS and CREATE VIEW jobs.

CREATES = {"CREATE_TABLE", "CREATE_TABLE_AS_SELECT", "CREATE_VIEW"}


def add_ddl_destination() -> None:
    stock_execute, stock_results = query.execute, api_jobs.results

    def execute(cur: Any, project_id: str, job_id: str | None, config: Any, **options: Any) -> Any:
        statistics, children, destination = stock_execute(cur, project_id, job_id, config, **options)
        target = statistics.ddlTargetTable
        is_create = statistics.statementType in CREATES and target and target.dump().get("datasetId")
        if destination is None and is_create and not options.get("dry_run"):
            destination = target
        return statistics, children, destination

    def job_results(job: Job, *paging: Any) -> Any:
        config = job.configuration.query
        statistics = job.statistics and job.statistics.query
        if config and config.destinationTable:
            if statistics and statistics.statementType in CREATES:
                config = config.without("destinationTable")  # named for dbt, but its rows are not the result
            elif partition := split(tables.reference(config.destinationTable)):
                config = config.replace(destinationTable=partition.table_resource())
            job = job.replace(configuration=job.configuration.replace(query=config))
        return stock_results(job, *paging)

    query.execute = execute
    api_jobs.results = job_results


# -- 2. Partition decorators: the stock server loads t$20260101 into a table of that name.

DECORATED = re.compile(r"^(?P<table>.+)\$(?P<id>\d{4}|\d{6}|\d{8}|\d{10})$")
ID_LENGTH = {"YEAR": 4, "MONTH": 6, "DAY": 8, "HOUR": 10}


class PartitionId(NamedTuple):
    """One partition of a table: `id` is 2026, 202601, 20260101 or 2026010100."""

    table: Reference
    id: str

    def table_resource(self) -> dict[str, str]:
        return dict(zip(("projectId", "datasetId", "tableId"), self.table, strict=True))

    def bounds(self) -> tuple[dt.datetime, dt.datetime]:
        """Return the half-open interval of the partition, in UTC."""
        parts = [self.id[:4], self.id[4:6], self.id[6:8], self.id[8:10]]
        year, month, day, hour = (
            int(part) if part else least for part, least in zip(parts, (1, 1, 1, 0), strict=True)
        )
        start = dt.datetime(year, month, day, hour)
        match len(self.id):
            case 4:
                return start, start.replace(year=year + 1)
            case 6:
                return start, start.replace(year=year + month // 12, month=month % 12 + 1)
            case 8:
                return start, start + dt.timedelta(days=1)
            case _:
                return start, start + dt.timedelta(hours=1)

    def condition(self) -> str:
        """Return DuckDB's condition for the rows of this partition."""
        label = tables.names.label(*self.table)
        layout = tables.load(*self.table).timePartitioning
        if layout is None:
            raise BigQueryError("invalid", f"Table {label} is not partitioned: no partition ${self.id}")
        if ID_LENGTH[layout.type or "DAY"] != len(self.id):
            raise BigQueryError(
                "invalid", f"Invalid partition id ${self.id} of {label}, partitioned by {layout.type}"
            )
        column = layout.field or tables.INGESTION_TIME
        kinds = {field.name.casefold(): field.type for field in tables.columns(*self.table)}
        kind = {"DATE": "DATE", "DATETIME": "TIMESTAMP"}.get(kinds.get(column.casefold(), ""), "TIMESTAMPTZ")
        zone = "+00" if kind == "TIMESTAMPTZ" else ""
        try:
            start, end = (f"{kind} '{bound:%Y-%m-%d %H:%M:%S}{zone}'" for bound in self.bounds())
        except ValueError as error:
            raise BigQueryError("invalid", f"Invalid partition id ${self.id}: {error}") from error
        name = database.quote(column)
        return f"({name} >= {start} AND {name} < {end})"


def split(reference: Reference) -> PartitionId | None:
    """Return the partition that a decorated name means, None for a plain name."""
    found = DECORATED.match(reference[2] or "")
    return PartitionId((*reference[:2], found["table"]), found["id"]) if found else None


def plain(reference: Reference) -> Reference:
    partition = split(reference)
    return partition.table if partition else reference


def add_partition_decorators() -> None:
    stock_write, stock_load, stock_columns, stock_source = (
        tables.write,
        tables.load,
        tables.columns,
        copy._source,
    )

    def write(
        cur: Any,
        sql: str,
        params: dict[str, Any] | None,
        reference: Reference,
        config: Any,
        default: str = "WRITE_EMPTY",
        prefix: str = "Invalid schema update. ",
        isolated: bool = False,
    ) -> bool:
        partition = split(reference)
        if partition is None:
            return bool(stock_write(cur, sql, params, reference, config, default, prefix, isolated))
        created = not tables.exists(*partition.table)
        if created:
            if not getattr(config, "timePartitioning", None) or config.createDisposition == "CREATE_NEVER":
                raise tables.not_found("Table", tables.names.label(*partition.table))
            empty = f"SELECT * FROM ({sql}) LIMIT 0"
            stock_write(cur, empty, params, partition.table, config, default, prefix, isolated)
        with (
            database.writing(*partition.table),
            database.cursor() if isolated else contextlib.nullcontext(cur) as writer,
        ):
            write_partition(cur, writer, sql, params, partition, config, default, prefix)
        return created

    def source(reference: Reference) -> str:
        partition = split(reference)
        if partition is None:
            return str(stock_source(reference))
        return f"(SELECT * FROM {tables.name(*partition.table)} WHERE {partition.condition()})"

    tables.write = write
    tables.load = lambda *reference: stock_load(*plain(reference))
    tables.columns = lambda *reference: stock_columns(*plain(reference))
    copy._source = source


def write_partition(
    cur: Any,
    writer: Any,
    sql: str,
    params: Any,
    partition: PartitionId,
    config: Any,
    default: str,
    prefix: str,
) -> None:
    """Replace, fill or extend one partition in one transaction; refuse rows of other partitions."""
    name, condition = tables.name(*partition.table), partition.condition()
    label = f"{tables.names.label(*partition.table)}${partition.id}"
    # Computed before the old rows go: the query may read the partition that it replaces.
    incoming = f"incoming_{uuid.uuid4().hex}"
    cur.execute(f"CREATE TEMP TABLE {incoming} AS {sql}", params)
    try:
        if cur.sql(f"SELECT 1 FROM {incoming} WHERE NOT coalesce({condition}, false) LIMIT 1").fetchone():
            message = f"Some rows belong to different partitions rather than destination partition {label}"
            raise BigQueryError("invalid", message)
        disposition = config.writeDisposition or default
        with transaction(writer):
            there = writer.sql(f"SELECT 1 FROM {name} WHERE {condition} LIMIT 1").fetchone()
            if disposition == "WRITE_EMPTY" and there:
                raise tables.already_exists("Table", label)
            if disposition == "WRITE_TRUNCATE":
                writer.execute(f"DELETE FROM {name} WHERE {condition}")
            rows = f"SELECT * FROM {incoming}"
            options = getattr(config, "schemaUpdateOptions", None)
            tables.evolve(writer, partition.table, cur.sql(rows), options, prefix)
            results.materialise(cur, rows, name, None, True, None if writer is cur else writer)
    finally:
        cur.execute(f"DROP TABLE IF EXISTS {incoming}")


@contextlib.contextmanager
def transaction(cur: Any) -> Iterator[None]:
    cur.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        cur.execute("ROLLBACK")
        raise
    cur.execute("COMMIT")


# -- 3. SET (x) = (SELECT AS STRUCT ...): dbt's dynamic insert_overwrite, which sets one variable.

SET_ONE = re.compile(r"^\s*set\s*\(\s*(?P<name>\w+)\s*\)\s*=\s*\(\s*select\s+as\s+struct\b", re.I)


def add_set_struct() -> None:
    stock_set = script.Interpreter.set

    def set_(self: Any, statement: Any) -> None:
        if found := SET_ONE.match(statement.text):
            text = f"SET {found['name']} = (SELECT {statement.text[found.end() :]}"
            statement = script.Statement("SET", text)
        stock_set(self, statement)

    script.Interpreter.set = set_


# -- 4. GRANT and REVOKE on a table or view: kept as its IAM policy, listed by OBJECT_PRIVILEGES.

GRANT = re.compile(
    r"^\s*(?P<verb>grant|revoke)\s+(?P<roles>.+?)\s+on\s+(?:(?:external|materialized)\s+)?(?:table|view)\s+"
    r"(?P<object>\S+)\s+(?:to|from)\s+(?P<members>.+?);?\s*$",
    re.I | re.S,
)
PRIVILEGES = ["object_catalog", "object_schema", "object_name", "object_type", "privilege_type", "grantee"]


def add_grants() -> None:
    stock_sql: Callable[[Any, Any], None] = script.Interpreter.sql

    def sql(self: Any, statement: Any) -> None:
        found = GRANT.match(re.sub(r"/\*.*?\*/", "", statement.text, flags=re.S))
        if not found:
            return stock_sql(self, statement)
        apply_grant(found, self.context.project_id, self.context.dataset_id)
        return self.report(JobStatistics2(statementType=found["verb"].upper()))  # type: ignore[no-any-return]

    def object_privileges(project_id: str, dataset_id: str) -> tuple[list[str], list[list[str]]]:
        rows = []
        for resource, policy in database.fetch("SELECT resource, policy FROM emulator.iam_policies"):
            match resource.split("/"):
                case ["projects", project, "datasets", dataset, "tables", table] if project == project_id:
                    for binding in json.loads(policy).get("bindings", []):
                        role = binding["role"]
                        rows += [[project, dataset, table, "TABLE", role, who] for who in binding["members"]]
        return PRIVILEGES, rows

    script.Interpreter.sql = sql
    information_schema.VIEWS["OBJECT_PRIVILEGES"] = object_privileges


def apply_grant(statement: re.Match[str], project_id: str, dataset_id: str) -> None:
    names = statement["object"].replace("`", "").split(".")
    project, dataset, table = [project_id, dataset_id][: 3 - len(names)] + names
    resource = f"projects/{project}/datasets/{dataset}/tables/{table}"
    policy = iam._load(resource).dump()
    policy.pop("etag", None)
    bindings = {binding["role"]: set(binding["members"]) for binding in policy.get("bindings", [])}
    members = {text for _, text in re.findall(r"([\"'])(.*?)\1", statement["members"])}
    for role in re.findall(r"`?(roles/[\w.]+)`?", statement["roles"]):
        had = bindings.get(role, set())
        bindings[role] = had | members if statement["verb"].lower() == "grant" else had - members
    policy["bindings"] = [{"role": role, "members": sorted(who)} for role, who in bindings.items() if who]
    iam.set_(resource, Policy.model_validate(policy))


# -- 5. Without geography: its macros need DuckDB's extension `spatial`, which the server would download.


def leave_out_geography() -> None:
    database.FUNCTIONS = [path for path in database.FUNCTIONS if path.stem != "geography"]


# -- 6. After a kill: a client that waits for a job of the previous server must not wait for ever.


def end_interrupted_jobs() -> None:
    error = BigQueryError("stopped", "The emulator was stopped while this job ran: run it under a new job id")
    unfinished = database.fetch("SELECT resource FROM emulator.jobs WHERE state <> 'DONE'")
    for (resource,) in unfinished:
        job = Job.model_validate_json(resource)
        status = {"state": "DONE", "errorResult": error.proto(), "errors": [error.proto()]}
        store.save(Job.model_validate(job.dump() | {"status": status}))


def drop_query_results() -> None:
    """Drop the results of queries: the stock server keeps them for ever, and they would fill the disk."""
    kept = database.fetch(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'emulator' AND schema_name = ?",
        [tables.RESULTS],
    )
    for (name,) in kept:
        database.execute(f"DROP TABLE {database.quote('emulator', tables.RESULTS, name)}")
    database.execute("DELETE FROM emulator.tables WHERE dataset_id = ?", [tables.RESULTS])


# -- 7. Look up one name alone: the stock server reads all of DuckDB's catalogue, 20 ms for each question.

TEMPORARY = "SELECT table_name FROM duckdb_tables() WHERE temporary"
SCHEMA = "SELECT 1 FROM {lake}.ducklake_schema WHERE schema_name = ? AND end_snapshot IS NULL"
OBJECT = """
SELECT t.table_name, 'TABLE', coalesce(s.record_count, 0)
FROM {lake}.ducklake_table AS t
JOIN {lake}.ducklake_schema AS d ON d.schema_id = t.schema_id AND d.end_snapshot IS NULL
LEFT JOIN {lake}.ducklake_table_stats AS s ON s.table_id = t.table_id
WHERE d.schema_name = $1 AND t.table_name = $2 AND t.end_snapshot IS NULL
UNION ALL
SELECT v.view_name, 'VIEW', 0
FROM {lake}.ducklake_view AS v
JOIN {lake}.ducklake_schema AS d ON d.schema_id = v.schema_id AND d.end_snapshot IS NULL
WHERE d.schema_name = $1 AND v.view_name = $2 AND v.end_snapshot IS NULL
"""


def look_up_single_names() -> None:
    stock_objects, stock_exists, stock_execute = database.objects, datasets.exists, query.execute

    def objects(project_id: str, dataset_id: str, table_id: str | None = None) -> Any:
        if table_id and (project_id, dataset_id) == ("emulator", tables.RESULTS):
            return kept_result(table_id)
        if table_id and project_id in database._attached:
            return ask_lake(project_id, OBJECT, [dataset_id, table_id])
        return stock_objects(project_id, dataset_id, table_id)

    def exists(project_id: str, dataset_id: str) -> bool:
        if project_id in database._attached:
            return bool(ask_lake(project_id, SCHEMA, [dataset_id]))
        return bool(stock_exists(project_id, dataset_id))

    def execute(cur: Any, *job: Any, **options: Any) -> Any:
        # Only the cursor of a session may hold temporary tables.
        return stock_execute(cur if options.get("session") else NewCursor(cur), *job, **options)

    database.objects, datasets.exists, query.execute = objects, exists, execute
    tables.columns, partitions._hidden = columns, has_ingestion_time


def ask_lake(project_id: str, text: str, values: list[str]) -> list[tuple[Any, ...]]:
    """Query the committed catalogue of a project, which DuckLake keeps in tables."""
    lake = database.quote(f"__ducklake_metadata_{project_id}")
    return database.fetch(text.format(lake=lake), values)  # type: ignore[no-any-return]


def kept_result(table_id: str) -> list[tuple[str, str, int]]:
    """Return the table of a query's result as `database.objects` does, or nothing."""
    try:
        found = database.fetch(f"SELECT count(*) FROM {database.quote('emulator', tables.RESULTS, table_id)}")
    except duckdb.CatalogException:
        return []
    return [(table_id, "TABLE", found[0][0])]


def columns(project_id: str, dataset_id: str, table_id: str) -> list[Any]:
    """Return the fields of one table or view, as the stock function of this name does."""
    name, is_result = tables.name(project_id, dataset_id, table_id), dataset_id == tables.RESULTS
    with database.cursor() as cur:
        try:
            relation = cur.sql(f"SELECT * FROM {name} LIMIT 0")
        except duckdb.CatalogException:
            raise tables.not_found("Table", tables.names.label(project_id, dataset_id, table_id)) from None
        required = set()  # a result has no NOT NULL
        if not is_result:
            cur.execute('SELECT name FROM pragma_table_info(?) WHERE "notnull"', [name])
            required = {column for (column,) in cur.fetchall()}
        return [
            types.field(column, kind, column in required)
            for column, kind in zip(relation.columns, relation.types, strict=True)
            if column != tables.INGESTION_TIME or is_result
        ]


def has_ingestion_time(table: exp.Table) -> bool:
    """Return whether a table that a query names is partitioned by ingestion time."""
    if not (table.catalog and table.db and isinstance(table.this, exp.Identifier)):
        return False
    if not database.objects(table.catalog, table.db, table.name):
        return False
    name = database.quote(table.catalog, table.db, table.name)
    question = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
    return bool(database.fetch(question, [name, tables.INGESTION_TIME]))


# -- 8. A view asks who reads it: the stock server writes the name of whoever made it into the view.

MOST_VIEWS_ON_VIEWS = 16


def let_views_ask() -> None:
    stock_view, secure = row_access._view, row_access._secure

    def view(reference: Reference, context: Any, depth: int) -> Any:
        if (policies := stock_view(reference, context, depth)) is not None:
            return policies
        stored = metadata.load(Table, *reference)
        if depth > MOST_VIEWS_ON_VIEWS or not (stored and stored.view and stored.view.query):
            return None
        names = {"project_id": reference[0], "dataset_id": reference[1], "temporary": set()}
        # With the views below it in their place.
        query = secure(parse_view(stored.view.query).copy(), replace(context, **names), depth + 1)
        return query if query.find(exp.SessionUser) else None

    row_access._view = view
    rules.STATEMENT_RULES[rules.STATEMENT_RULES.index(row_access.row_access_policies)] = secure


@lru_cache(maxsize=1024)
def parse_view(text: str) -> Any:
    return parse_one(text, dialect=BigQueryDialect)


class NewCursor:
    """A cursor that answers without a look at the catalogue that it has no temporary table."""

    def __init__(self, cur: Any) -> None:
        self._cur = cur

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cur, name)

    def sql(self, text: str, **options: Any) -> Any:
        return self._cur.sql("SELECT '' AS table_name LIMIT 0" if text == TEMPORARY else text, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    options = parser.parse_args()
    os.chdir("/")  # keep no folder of the caller busy
    settings.bigquery_host, settings.bigquery_port, settings.grpc_port = HOST, options.port, options.grpc_port
    settings.default_project_id, settings.data_dir = options.project, options.data_dir
    # Whoever does not say who asks is dbt, whose client cannot.
    settings.caller = f"serviceAccount:myproperty-dbt@{options.project}.iam.gserviceaccount.com"
    look_up_single_names()  # first: the additions wrap what it replaces
    add_ddl_destination()
    add_partition_decorators()
    add_set_struct()
    add_grants()
    leave_out_geography()
    let_views_ask()
    database.connection()  # a broken data folder ends the server here, not at the first request
    end_interrupted_jobs()
    drop_query_results()
    grpc, _ = grpc_server.start(HOST, options.grpc_port)
    uvicorn.run("local_bigquery:app", host=HOST, port=options.port, log_level="warning")
    grpc.stop(None)


if __name__ == "__main__":
    main()
