"""Measure the bytes of a reading: in PostgreSQL, and in each layer of the warehouse as BigQuery counts them.

Run it on a home whose warehouse is built, such as that of the demo: `python -m benchmarks.sizes`. BigQuery
bills by the types of the values and not by what they take on its disks, so its bytes can be counted in the
rows of the embedded warehouse. Only tables by reading date count: the others do not grow with readings.
docs/costs.py has the figures.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from data.warehouse import project as dbt
from myproperty import engines
from myproperty.settings import Settings, get_settings

# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#data_type_sizes
FIXED = {"numeric": 16, "boolean": 1}
TEXTS = {"text", "character varying", "uuid", "USER-DEFINED"}
OTHERS = 8
LAYERS = ("raw", "staging", "core", "marts", "snapshots")


class Size(NamedTuple):
    """Rows of a table, and their logical bytes."""

    rows: int
    bytes: int


@dataclass(frozen=True)
class Reads:
    """What one run asks of BigQuery: statements, tables that they read, and the bytes of those tables."""

    statements: int
    tables: int
    bytes: float


def main() -> None:
    """Print the figures."""
    settings = get_settings()
    sizes = measure_tables(settings)
    readings = sizes["raw", "meter_readings"].rows
    for layer in LAYERS:
        own = {name: size for (schema, name), size in sizes.items() if schema == layer}
        largest = sorted(own, key=lambda name: -own[name].bytes)[:3]
        each = ", ".join(f"{name} {own[name].bytes / readings:.0f}" for name in largest)
        _say(f"{layer}: {sum(size.bytes for size in own.values()) / readings:.0f} bytes a reading ({each})")
    reads = count_reads(settings, sizes)
    _say(f"a build: {reads.statements} statements read {reads.tables} tables")
    _say(f"a build: {reads.bytes / readings:.0f} bytes a reading at most")
    for name, rows, size in list_days(settings, sizes):
        _say(f"{name}: {rows:.2f} rows a meter and date, {size:.0f} bytes a row")
    day = sizes["marts", "mart_energy_daily"]
    _say(f"a meter's day in mart_energy_daily: {day.bytes / day.rows:.0f} bytes")
    _say(f"PostgreSQL: {measure_oltp(settings):.0f} bytes a reading; {readings} readings measured")


def measure_tables(settings: Settings) -> dict[tuple[str, str], Size]:
    """Return rows and logical bytes of each table by reading date, by schema and name."""
    with psycopg.connect(engines.dsn(settings, "warehouse")) as connection:
        return {
            (schema, name): Size(*_row(connection, _count_bytes(schema, name, columns)))
            for schema, name, columns in _list_tables(connection)
            if "reading_date" in columns
        }


def list_days(settings: Settings, sizes: dict[tuple[str, str], Size]) -> Iterator[tuple[str, float, float]]:
    """Yield the tables by reading date without intervals: name, rows for each meter and date, bytes a row."""
    with psycopg.connect(engines.dsn(settings, "warehouse")) as connection:
        (meters,) = _row(connection, sql.SQL("select count(*) from raw.meters").format())
        (dates,) = _row(
            connection, sql.SQL("select count(distinct reading_date) from raw.meter_readings").format()
        )
        for schema, name, columns in _list_tables(connection):
            size = sizes.get((schema, name))
            if size and size.rows and not columns.keys() & {"reading_ts", "interval_seconds"}:
                yield f"{schema}.{name}", size.rows / meters / dates, size.bytes / size.rows


def measure_oltp(settings: Settings) -> float:
    """Return the bytes of a reading in PostgreSQL, its landing copy and the indexes of both.

    Of the partition with the most readings: a file of PostgreSQL has at least a page.
    """
    with psycopg.connect(engines.dsn(settings)) as connection:
        total = 0.0
        for parent in ("myproperty.meter_readings", "warehouse_staging.meter_readings"):
            name, size = _row(
                connection,
                sql.SQL(
                    "select relid::regclass::text, pg_total_relation_size(relid) from "
                    "pg_partition_tree({}) where isleaf order by 2 desc limit 1"
                ).format(sql.Literal(parent)),
            )
            rows = _row(
                connection, sql.SQL("select count(*) from {}").format(sql.Identifier(*str(name).split(".")))
            )
            total += size / rows[0]
    return total


def count_reads(settings: Settings, sizes: dict[tuple[str, str], Size]) -> Reads:
    """Return what the statements of dbt read in a build of everything in the warehouse, by their parents.

    An upper bound: a statement that reads a table is counted with all of its columns.
    """
    manifest = json.loads(dbt.manifest(settings).read_text())
    nodes: dict[str, Any] = {**manifest["nodes"], **manifest["sources"]}
    statements = tables = 0
    total = 0.0
    for node in manifest["nodes"].values():
        if node["resource_type"] in {"seed", "operation", "analysis"} or _is_view(node):
            continue
        statements += 1
        for relation in {
            found for parent in node["depends_on"]["nodes"] for found in _resolve(nodes, parent)
        }:
            tables += 1
            total += sizes[relation].bytes if relation in sizes else 0
    return Reads(statements, tables, total)


def _resolve(nodes: dict[str, Any], name: str) -> Iterator[tuple[str, str]]:
    """Yield the tables behind a node: itself, or those that a view reads."""
    node = nodes[name]
    if _is_view(node):
        for parent in node["depends_on"]["nodes"]:
            yield from _resolve(nodes, parent)
    else:
        yield node["schema"], node.get("alias") or node["identifier"]


def _is_view(node: dict[str, Any]) -> bool:
    return bool(node["resource_type"] == "model" and node["config"]["materialized"] in {"view", "ephemeral"})


def _list_tables(connection: psycopg.Connection) -> list[tuple[str, str, dict[str, str]]]:
    rows = connection.execute(
        "select c.table_schema, c.table_name, jsonb_object_agg(c.column_name, c.data_type) "
        "from information_schema.columns as c join information_schema.tables as t "
        "using (table_schema, table_name) "
        "where t.table_type = 'BASE TABLE' and c.table_schema = any(%s) group by 1, 2 order by 1, 2",
        (list(LAYERS),),
    ).fetchall()
    return [(schema, name, columns) for schema, name, columns in rows]


def _count_bytes(schema: str, name: str, columns: dict[str, str]) -> sql.Composed:
    parts = [
        sql.SQL("count({column}) * {bytes}").format(
            column=sql.Identifier(column), bytes=sql.Literal(FIXED.get(kind, OTHERS))
        )
        if kind not in TEXTS
        else sql.SQL("coalesce(sum(2 + octet_length({column}::text)), 0)").format(
            column=sql.Identifier(column)
        )
        for column, kind in columns.items()
    ]
    return sql.SQL("select count(*), ({parts})::bigint from {table}").format(
        parts=sql.SQL(" + ").join(parts), table=sql.Identifier(schema, name)
    )


def _row(connection: psycopg.Connection, query: sql.Composed) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
