"""The raw layer of the warehouse, behind one small interface; the PostgreSQL that stands in for BigQuery.

Here: the interface, its choice by settings, and the embedded engine. Not here: BigQuery (`bigquery`), what is
loaded (`landing`), and everything downstream of raw (dbt).
"""

import datetime
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data.ingest.errors import IngestError, QueryRefused
from data.landing.entities import Entity
from data.landing.fingerprint import fingerprint_frame, fingerprint_schema, fingerprint_sql
from myproperty import engines
from myproperty.database.session import DatabaseError, Session, transaction
from myproperty.settings import Settings


class Warehouse(Protocol):
    """A warehouse as the pipeline needs it. Ids and documents are text in it."""

    @property
    def kind(self) -> str:
        """`postgres`, `bigquery` or `emulator`."""

    def ensure_table(self, entity: Entity) -> None:
        """Make raw.<entity> if it is not there."""

    def load_partition(
        self, entity: Entity, rows: pa.Table, partition: datetime.date | None, load_key: str
    ) -> int:
        """Replace one partition, or the whole table, by `rows` (the entity's schema); returns their number.

        The same `load_key` with the same rows is loaded once. Raises ValueError for rows of another date.
        """

    def merge(self, entity: Entity, rows: pa.Table, load_key: str) -> None:
        """Put `rows` (the entity's schema) in the place of those with their keys, and add the others."""

    def latest_landing(self, entity: Entity) -> datetime.datetime | None:
        """The newest `landed_at` of raw.<entity>; None where it is empty."""

    def settle(self, entity: Entity) -> None:
        """What a table needs once after all of its loads."""

    def fingerprint(
        self, entity: Entity, start: datetime.date | None = None, end: datetime.date | None = None
    ) -> pd.DataFrame:
        """The columns of `fingerprint_schema` over reading dates in [start, end), or the whole table."""

    def query(self, statement: str) -> pa.Table:
        """Run one statement that reads, and return its rows; decimals are decimals."""

    def ask(self, statement: str) -> pa.Table:
        """The rows of a person's query. Raises `QueryRefused` for one that writes or is wrong."""

    def close(self) -> None:
        """Let go of what it holds."""


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse of the settings. Raises `IngestError` for an unknown kind or one that is not up."""
    if settings.warehouse == "postgres":
        return PostgresWarehouse(engines.dsn(settings, "warehouse"), settings.dataset_prefix)
    if settings.warehouse in ("bigquery", "emulator"):
        from data.raw.bigquery import open_bigquery

        return open_bigquery(settings)
    raise IngestError(
        f"unknown warehouse {settings.warehouse!r}: "
        "set MYPROPERTY_WAREHOUSE to postgres, bigquery or emulator"
    )


def check_partition(entity: Entity, rows: pa.Table, partition: datetime.date | None) -> None:
    """Raises ValueError unless the rows are of the entity's schema and of this partition alone."""
    if rows.schema.names != entity.schema.names:
        raise ValueError(f"rows of {entity.name} have the columns {rows.schema.names}")
    if (partition is None) != (entity.partition_column is None):
        raise ValueError(f"{entity.name} is loaded {'by date' if entity.partition_column else 'whole'}")
    if entity.partition_column is not None:
        others = {date for date in rows[entity.partition_column].unique().to_pylist() if date != partition}
        if others:
            raise ValueError(f"rows of {entity.name} for {partition} hold other dates: {sorted(others)}")


def range_filter(entity: Entity, start: datetime.date | None, end: datetime.date | None) -> str:
    """SQL that keeps reading dates in [start, end), as constants; `true` for a table without dates."""
    if entity.partition_column is None:
        return "true"
    column = entity.partition_column
    return f"{column} >= date '{start:%Y-%m-%d}' and {column} < date '{end:%Y-%m-%d}'"


class PostgresWarehouse:
    """Raw tables in PostgreSQL: plain tables, with an index that leads to the rows of a date."""

    kind = "postgres"

    def __init__(self, dsn: str, prefix: str = "") -> None:
        self._dsn = dsn
        self._raw = f"{prefix}raw"

    def ensure_table(self, entity: Entity) -> None:
        """Make the schema and the table, under a lock, as two runs may start at once."""
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(field.name), sql.SQL(_column_type(field.type)))
            for field in entity.schema
        )
        table = self._table(entity)
        with transaction(self._dsn) as session:
            session.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", (self._raw,))
            session.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(self._raw)))
            session.execute(sql.SQL("create table if not exists {} ({})").format(table, columns))
            if entity.partition_column is not None:
                session.execute(
                    sql.SQL("create index if not exists {} on {} ({})").format(
                        sql.Identifier(f"{entity.name}_of_partition"),
                        table,
                        sql.SQL(", ").join(map(sql.Identifier, (entity.partition_column, *entity.cluster))),
                    )
                )

    def load_partition(
        self, entity: Entity, rows: pa.Table, partition: datetime.date | None, load_key: str
    ) -> int:
        """See `Warehouse`. One transaction, repeatable: `load_key` has nothing to tell here."""
        check_partition(entity, rows, partition)
        where = self._where(entity, partition)
        with transaction(self._dsn) as session:
            self._take_turns(session, entity, partition)
            session.execute(sql.SQL("delete from {} where {}").format(self._table(entity), where))
            return session.copy(rows, entity.name, self._raw)

    def merge(self, entity: Entity, rows: pa.Table, load_key: str) -> None:
        """See `Warehouse`. One transaction: delete and insert."""
        if rows.num_rows == 0:
            return
        changed = sql.Identifier("changed")
        same = sql.SQL(" and ").join(
            sql.SQL("changed.{0} = t.{0}").format(sql.Identifier(name)) for name in entity.key
        )
        table = self._table(entity)
        with transaction(self._dsn) as session:
            self._take_turns(session, entity, None)
            session.execute(sql.SQL("create temporary table {} (like {})").format(changed, table))
            session.copy(rows, "changed")
            session.execute(sql.SQL("delete from {} as t using changed where {}").format(table, same))
            session.execute(sql.SQL("insert into {} select * from changed").format(table))

    def latest_landing(self, entity: Entity) -> datetime.datetime | None:
        """See `Warehouse`."""
        with transaction(self._dsn) as session:
            found = session.rows(sql.SQL("select max(landed_at) from {}").format(self._table(entity)))
        latest: datetime.datetime | None = found[0][0]
        return latest

    def settle(self, entity: Entity) -> None:
        """See `Warehouse`. Statistics: nobody else gathers them before dbt plans its queries."""
        with transaction(self._dsn) as session:
            session.execute(sql.SQL("analyze {}").format(self._table(entity)))

    def fingerprint(
        self, entity: Entity, start: datetime.date | None = None, end: datetime.date | None = None
    ) -> pd.DataFrame:
        """See `Warehouse`."""
        query = fingerprint_sql(
            entity, self._table(entity).as_string(), "postgres", range_filter(entity, start, end)
        )
        with transaction(self._dsn) as session:
            return fingerprint_frame(entity, session.arrow(query, fingerprint_schema(entity)))

    def query(self, statement: str) -> pa.Table:
        """See `Warehouse`. A numeric without a declared scale comes with the scale that its values need."""
        given = conninfo_to_dict(self._dsn).get("options") or ""
        # Of the connection, not of a transaction, which the statement might end.
        reading = make_conninfo(self._dsn, options=f"{given} -c default_transaction_read_only=on")
        with transaction(reading) as session:
            return session.table(statement)

    def ask(self, statement: str) -> pa.Table:
        """See `Warehouse`."""
        try:
            return self.query(statement)
        except DatabaseError as error:
            raise QueryRefused(error) from error

    def close(self) -> None:
        """Every call has a connection of its own: nothing is held."""

    def _take_turns(self, session: Session, entity: Entity, partition: datetime.date | None) -> None:
        """One load of a partition at a time: of two at once each would add its rows to those of the other."""
        name = f"{self._raw}.{entity.name} {partition}"
        session.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", (name,))

    def _table(self, entity: Entity) -> sql.Identifier:
        return sql.Identifier(self._raw, entity.name)

    @staticmethod
    def _where(entity: Entity, partition: datetime.date | None) -> sql.Composable:
        if entity.partition_column is None:
            return sql.SQL("true")
        return sql.SQL("{} = {}").format(sql.Identifier(entity.partition_column), sql.Literal(partition))


_COLUMN_TYPES: dict[Any, Any] = {
    pa.string(): "text",
    pa.int32(): "integer",
    pa.bool_(): "boolean",
    pa.date32(): "date",
}


def _column_type(kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return "timestamp with time zone"
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision}, {kind.scale})"
    return _COLUMN_TYPES[kind]
