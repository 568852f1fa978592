"""Measure the bytes of a reading: in PostgreSQL, and in each layer of the warehouse as BigQuery counts them.

Run it on a home whose warehouse is built, such as that of the demo: `python -m benchmarks.sizes`. BigQuery
bills by the types of the values and not by what they take on its disks, so its bytes can be counted in the
rows of the embedded warehouse. docs/costs.py has the figures.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
# What a statement bills at least for each table that it reads.
LEAST = 10 * 2**20


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
    readings = count_readings(settings)
    for layer in LAYERS:
        own = {name: size for (schema, name), size in sizes.items() if schema == layer}
        largest = sorted(own, key=lambda name: -own[name])[:3]
        sys.stdout.write(
            f"{layer}: {sum(own.values()) / readings:.0f} bytes a reading, most in {', '.join(largest)}\n"
        )
    reads = count_reads(settings, sizes)
    sys.stdout.write(
        f"a run: {reads.statements} statements read {reads.tables} tables, "
        f"{reads.bytes / readings:.0f} bytes a reading\n"
        f"PostgreSQL: {measure_oltp(settings) / readings:.0f} bytes a reading, {readings} readings\n"
    )


def count_readings(settings: Settings) -> int:
    """Return the number of readings in raw."""
    with psycopg.connect(engines.dsn(settings, "warehouse")) as connection:
        return _value(connection, sql.SQL("select count(*) from raw.meter_readings"))


def measure_tables(settings: Settings) -> dict[tuple[str, str], float]:
    """Return the logical bytes of each table of the warehouse, by schema and name."""
    with psycopg.connect(engines.dsn(settings, "warehouse")) as connection:
        return {
            (schema, name): _value(connection, _count_bytes(schema, name, columns))
            for schema, name, columns in _list_tables(connection)
        }


def measure_oltp(settings: Settings) -> int:
    """Return the bytes of the readings in PostgreSQL, their landing copy and their indexes."""
    with psycopg.connect(engines.dsn(settings)) as connection:
        return _value(
            connection,
            sql.SQL(
                "select sum(pg_total_relation_size(tree.relid)) from unnest(array["
                "'myproperty.meter_readings', 'warehouse_staging.meter_readings']) as root, "
                "pg_partition_tree(root::regclass) as tree"
            ),
        )


def count_reads(settings: Settings, sizes: dict[tuple[str, str], float]) -> Reads:
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
            total += sizes.get(relation, 0)
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
    return sql.SQL("select ({parts})::bigint from {table}").format(
        parts=sql.SQL(" + ").join(parts), table=sql.Identifier(schema, name)
    )


def _value(connection: psycopg.Connection, query: sql.SQL | sql.Composed) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()
