"""Reads of landing: the rows of an entity, and fingerprints of landing and of its source.

The source of a copy is what it held at the instant of the copy, which landing keeps. Not here: whether the
two sides agree (gate B).
"""

import datetime
from collections.abc import Generator, Iterator, Sequence
from typing import Literal

import pandas as pd
import pyarrow as pa
from psycopg import sql

from data.landing.entities import Entity, find_dated_entity, find_entity
from data.landing.fingerprint import fingerprint_frame, fingerprint_schema, fingerprint_sql, group_columns
from data.landing.sql_forms import arrow_column, filter_dates, landing_table
from myproperty.ahead import read_ahead
from myproperty.database.roles import CHECKER_ROLE, ETL_ROLE
from myproperty.database.session import Connections, transaction

SourceSchema = Literal["myproperty", "warehouse_staging"]


class LandedRows:
    """The landed rows of an entity, all or of these reading dates, in its schema and in any order.

    Iterated, they are tables of bounded size: a day of many meters does not fit into memory. The next table
    is read while one is used. `since` leaves out rows that were landed before that instant.
    """

    def __init__(
        self,
        entity: str,
        dsn: str,
        dates: Sequence[datetime.date] | None = None,
        since: datetime.datetime | None = None,
    ) -> None:
        self.entity = find_dated_entity(entity, dates)
        self.dates = dates
        self._dsn = dsn
        self._where = filter_dates(self.entity, dates)
        if since is not None:
            self._where = sql.SQL("{} and landed_at >= {}").format(self._where, sql.Literal(since))

    def __iter__(self) -> Iterator[pa.Table]:
        return read_ahead(self._read())

    def in_binary(self) -> Iterator[bytes]:
        """Yield the rows as blocks of PostgreSQL's binary form, which another server takes as they are."""
        return read_ahead(self._read_binary())

    def _read(self) -> Generator[pa.Table, None, None]:
        with transaction(self._dsn, ETL_ROLE) as session:
            yield from session.stream(self._query(), self.entity.schema)

    def _read_binary(self) -> Generator[bytes, None, None]:
        with transaction(self._dsn, ETL_ROLE) as session:
            yield from session.stream_binary(self._query())

    def _query(self) -> sql.Composed:
        names = self.entity.schema.names
        return sql.SQL("select {columns} from {table} where {where}").format(
            columns=sql.SQL(", ").join(arrow_column(self.entity, name) for name in names),
            table=landing_table(self.entity),
            where=self._where,
        )


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
    """Return the fingerprint of landing, or of its source in `myproperty` now, whole or over [start, end).

    `database` is a DSN or reusable connections. Gates read as `role`, which another job replaces by its own.
    """
    described, dates = find_entity(entity, start, end)
    query = fingerprint_query(described, schema, filter_dates(described, dates))
    with transaction(database, role) as session:
        return fingerprint_frame(described, session.arrow(query, fingerprint_schema(described)))


def fingerprint_query(entity: Entity, schema: SourceSchema, where: sql.Composable) -> str:
    """Return the query of the fingerprint of landing, or of its source in `myproperty`."""
    return fingerprint_sql(
        entity,
        table=sql.Identifier(schema, entity.name).as_string(),
        dialect="postgres",
        where=where.as_string(),
        forms=dict(entity.source_columns) if schema == "myproperty" else {},
    )


def read_landed_source(
    entity: str,
    database: str | Connections,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
) -> pd.DataFrame:
    """Return the fingerprint of the source as it was when it was landed, whole or over [start, end).

    It is read as the gates. `database` is a DSN or reusable connections.
    """
    described, dates = find_entity(entity, start, end)
    schema = fingerprint_schema(described)
    forms: dict[str, sql.Composable] = {
        "tenant_id": sql.SQL("tenant_id::text"),
        "rows": sql.SQL("row_count"),
        "checksum": sql.SQL("checksum"),
    }
    for name in schema.names:
        if name.startswith("sum_"):
            forms[name] = sql.SQL("(sums ->> {})::numeric").format(name)
    if described.partition_column is not None:
        forms[described.partition_column] = sql.SQL("partition_date")
    query = sql.SQL(
        "select {columns} from warehouse_staging.landed_sources where entity = {entity} and {where} "
        "order by {key}"
    ).format(
        columns=sql.SQL(", ").join(
            sql.SQL("{} as {}").format(forms[name], sql.Identifier(name)) for name in schema.names
        ),
        entity=entity,
        where=sql.SQL("true") if dates is None else sql.SQL("partition_date = any({}::date[])").format(dates),
        key=sql.SQL(", ").join(map(sql.Identifier, group_columns(described))),
    )
    with transaction(database, CHECKER_ROLE) as session:
        return fingerprint_frame(described, session.arrow(query, schema))
