"""Reads of landing: the rows of an entity, and fingerprints of landing and of its source.

Not here: whether the two sides agree (gate B).
"""

import datetime
from collections.abc import Sequence
from typing import Literal

import pandas as pd
import pyarrow as pa
from psycopg import sql

from data.landing.entities import find_dated_entity, find_entity
from data.landing.fingerprint import fingerprint_frame, fingerprint_schema, fingerprint_sql
from data.landing.sql_forms import arrow_column, filter_dates, landing_table
from myproperty.database.roles import CHECKER_ROLE, ETL_ROLE
from myproperty.database.session import Connections, transaction

SourceSchema = Literal["myproperty", "warehouse_staging"]


def read_landing(
    entity: str,
    dsn: str,
    dates: Sequence[datetime.date] | None = None,
    since: datetime.datetime | None = None,
) -> pa.Table:
    """Return the landed rows of an entity, all or of these reading dates, in its schema, sorted by key.

    `since` leaves out rows that were landed before that instant.
    """
    described = find_dated_entity(entity, dates)
    where = filter_dates(described, dates)
    if since is not None:
        where = sql.SQL("{} and landed_at >= {}").format(where, sql.Literal(since))
    query = sql.SQL("select {columns} from {table} where {where} order by {key}").format(
        columns=sql.SQL(", ").join(arrow_column(described, name) for name in described.schema.names),
        table=landing_table(described),
        where=where,
        key=sql.SQL(", ").join(sql.Identifier(described.name, name) for name in described.key),
    )
    with transaction(dsn, ETL_ROLE) as session:
        return session.arrow(query, described.schema)


def count_landing(entity: str, dsn: str, dates: Sequence[datetime.date]) -> dict[datetime.date, int]:
    """Return the number of landed rows of each of these reading dates that has any."""
    described = find_dated_entity(entity, dates)
    assert described.partition_column is not None  # else it has no dates
    query = sql.SQL("select {day}, count(*) from {table} where {where} group by {day}").format(
        day=sql.Identifier(described.partition_column),
        table=landing_table(described),
        where=filter_dates(described, dates),
    )
    with transaction(dsn, ETL_ROLE) as session:
        return dict(session.rows(query))


def fingerprint_landing(
    entity: str,
    database: str | Connections,
    schema: SourceSchema = "warehouse_staging",
    start: datetime.date | None = None,
    end: datetime.date | None = None,
    *,
    role: str = CHECKER_ROLE,
) -> pd.DataFrame:
    """Return the fingerprint of landing, or of its source in `myproperty`, whole or over [start, end).

    `database` is a DSN or reusable connections. Gates read as `role`, which another job replaces by its own.
    """
    described, dates = find_entity(entity, start, end)
    query = fingerprint_sql(
        described,
        table=sql.Identifier(schema, entity).as_string(),
        dialect="postgres",
        where=filter_dates(described, dates).as_string(),
        forms=dict(described.source_columns) if schema == "myproperty" else {},
    )
    with transaction(database, role) as session:
        return fingerprint_frame(described, session.arrow(query, fingerprint_schema(described)))
