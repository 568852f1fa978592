"""The same raw rows through the same dbt project in two engines, and the comparison of what comes out.

GoogleSQL's reference implementation runs in `in_memory`; here is PostgreSQL's side and the difference.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from .engine import Row
from .in_memory import Stored

POSTGRES_TYPES = {
    "STRING": "text",
    "INT64": "bigint",
    "NUMERIC": "numeric",
    "BOOL": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamptz",
}
Table = tuple[str, str]


def load_raw(dsn: str, raw: Sequence[Stored]) -> None:
    """Put raw tables into a PostgreSQL warehouse, replacing what they hold."""
    with psycopg.connect(dsn) as connection:
        connection.execute("create schema if not exists raw")
        for table in raw:
            name = sql.Identifier("raw", table.relation.path[2])
            columns = [
                sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(POSTGRES_TYPES[c.type]))
                for c in table.relation.columns
            ]
            create = sql.SQL("create table if not exists {} ({})").format(name, sql.SQL(", ").join(columns))
            connection.execute(create)
            connection.execute(sql.SQL("truncate {}").format(name))
            marks = sql.SQL(", ").join(sql.Placeholder() * len(columns))
            insert = sql.SQL("insert into {} values ({})").format(name, marks)
            with connection.cursor() as cursor:
                cursor.executemany(insert, table.rows)


def postgres_rows(dsn: str, table: Table, columns: Sequence[str]) -> list[Row]:
    """All rows of a table or view, the columns in the order asked for."""
    chosen = sql.SQL(", ").join(sql.Identifier(c) for c in columns)
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        query = sql.SQL("select {} from {}").format(chosen, sql.Identifier(*table))
        return connection.execute(query).fetchall()


def _plain(value: Any) -> Any:
    """One text for one value, whatever the engine's scale or zone of showing it."""
    if isinstance(value, Decimal):
        return f"decimal {format(value.normalize(), 'f') if value else '0'}"
    if isinstance(value, datetime):
        return (
            f"instant {value.astimezone(UTC).isoformat()}" if value.tzinfo else f"local {value.isoformat()}"
        )
    return f"{type(value).__name__} {value}"


def differences(google: Sequence[Row], postgres: Sequence[Row]) -> list[str]:
    """The rows, as often as they differ, that one engine gives and the other does not; none if equal."""
    left = Counter(tuple(_plain(v) for v in row) for row in google)
    right = Counter(tuple(_plain(v) for v in row) for row in postgres)
    only_left = [f"GoogleSQL only:  {row}" for row in sorted((left - right).elements())]
    only_right = [f"PostgreSQL only: {row}" for row in sorted((right - left).elements())]
    return only_left + only_right
