"""The raw layer in PostgreSQL: plain tables on the embedded engine, which stands in for BigQuery.

Not here: the interface (`warehouse`), or the SQL of the fingerprint (`data.landing.fingerprint`).
"""

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data.ingest.errors import QueryRefused
from data.landing.entities import Entity
from data.landing.fingerprint import fingerprint_frame, fingerprint_schema, fingerprint_sql
from data.landing.read import LandedRows
from data.raw.columns import find_new_columns
from data.raw.partitions import check_partitions, range_filter
from data.raw.readers import ask_as_reader
from myproperty.database.locks import lock_raw_partition, lock_raw_schema
from myproperty.database.session import Connections, Session, transaction


class PostgresWarehouse:
    """Raw tables in PostgreSQL: plain tables, those of dated entities with an index by date."""

    kind = "postgres"

    def __init__(
        self,
        dsn: str,
        prefix: str = "",
        *,
        gates: str | None = None,
        find_reader: Callable[[str | None], str] | None = None,
    ) -> None:
        """`dsn` loads raw, `gates` reads every layer (by default `dsn`), `find_reader` is for `ask`."""
        self._dsn = dsn
        self._connections = Connections(dsn)
        self._gates = gates or dsn
        self._find_reader = find_reader
        self._prefix = prefix
        self._raw = f"{prefix}raw"

    def ensure_table(self, entity: Entity) -> list[str]:
        """See `Warehouse`. Under a lock, because two runs may start at once."""
        wanted = {field.name: _column_type(field.type) for field in entity.schema}
        columns = sql.SQL(", ").join(_column(name, kind) for name, kind in wanted.items())
        table = self._table(entity)
        with transaction(self._connections) as session:
            lock_raw_schema(session, self._raw)
            # Asked first: a login that may only load could not create it, even where it exists.
            if not session.rows("select from pg_namespace where nspname = $1", (self._raw,)):
                session.execute(sql.SQL("create schema {}").format(sql.Identifier(self._raw)))
            session.execute(sql.SQL("create table if not exists {} ({})").format(table, columns))
            if entity.partition_column is not None:
                self._index_partitions(session, entity)
            found = session.rows(_COLUMNS, (self._raw, entity.name))
            added = find_new_columns(f"{self._raw}.{entity.name}", entity, wanted, dict(found))
            for name in added:
                new = _column(name, wanted[name])
                session.execute(sql.SQL("alter table {} add column {}").format(table, new))
        return added

    def load_partitions(
        self,
        entity: Entity,
        rows: Iterable[pa.Table],
        partitions: Sequence[datetime.date] | None,
        load_key: str,
    ) -> int:
        """See `Warehouse`. One transaction that can be repeated, so `load_key` is not used."""
        where = self._partition_filter(entity, partitions)
        with transaction(self._connections) as session:
            for partition in [None] if partitions is None else sorted(partitions):
                self._lock_partition(session, entity, partition)
            session.execute(sql.SQL("delete from {} where {}").format(self._table(entity), where))
            if isinstance(rows, LandedRows) and (rows.entity, rows.dates) == (entity, partitions):
                # From one server to the other as they are: to read and write them cost half of a load.
                return session.copy_binary(rows.in_binary(), entity.schema.names, entity.name, self._raw)
            return session.copy(check_partitions(entity, rows, partitions), entity.name, self._raw)

    def merge(self, entity: Entity, rows: Iterable[pa.Table], load_key: str) -> None:
        """See `Warehouse`. One transaction: delete and insert."""
        changed = sql.Identifier("changed")
        same = sql.SQL(" and ").join(
            sql.SQL("changed.{0} = t.{0}").format(sql.Identifier(name)) for name in entity.key
        )
        table = self._table(entity)
        with transaction(self._connections) as session:
            self._lock_partition(session, entity, None)
            create = sql.SQL("create temporary table {} (like {}) on commit drop")
            session.execute(create.format(changed, table))
            if not session.copy(rows, "changed"):
                return
            session.execute(sql.SQL("delete from {} as t using changed where {}").format(table, same))
            session.execute(sql.SQL("insert into {} select * from changed").format(table))

    def latest_landing(self, entity: Entity) -> datetime.datetime | None:
        """See `Warehouse`."""
        with transaction(self._connections) as session:
            found = session.rows(sql.SQL("select max(landed_at) from {}").format(self._table(entity)))
        latest: datetime.datetime | None = found[0][0]
        return latest

    def settle(self, entity: Entity) -> None:
        """See `Warehouse`. Gathers statistics, which dbt's queries need and autovacuum gathers too late."""
        with transaction(self._connections) as session:
            if entity.partition_column is not None:
                # Pages that no entry describes yet are read by every query.
                index = sql.Identifier(self._raw, f"{entity.name}_by_partition").as_string()
                session.execute("select brin_summarize_new_values($1::regclass)", (index,))
            session.execute(sql.SQL("analyze {}").format(self._table(entity)))

    def fingerprint(
        self, entity: Entity, start: datetime.date | None = None, end: datetime.date | None = None
    ) -> pd.DataFrame:
        """See `Warehouse`."""
        query = fingerprint_sql(
            entity, self._table(entity).as_string(), "postgres", range_filter(entity, start, end)
        )
        with transaction(self._connections) as session:
            return fingerprint_frame(entity, session.arrow(query, fingerprint_schema(entity)))

    def query(self, statement: str) -> pa.Table:
        """See `Warehouse`. A numeric without a declared scale gets the scale that its values need."""
        given = conninfo_to_dict(self._gates).get("options") or ""
        # Set for the connection, not for a transaction, which the statement might end.
        reading = make_conninfo(self._gates, options=f"{given} -c default_transaction_read_only=on")
        with transaction(reading) as session:
            return session.table(statement)

    def ask(self, statement: str, most: int, reader: str | None = None) -> pa.Table:
        """See `Warehouse`. As the login of that name, or as the login of readers."""
        if self._find_reader is None:
            raise QueryRefused("this warehouse was opened without a login of readers")
        return ask_as_reader(self._find_reader(reader), statement, most)

    def cancel_jobs(self, has_ended: Callable[[str], bool]) -> list[str]:
        """See `Warehouse`. None: the server ends the statement of a client that is gone by itself."""
        return []

    def stamp_relations(self) -> dict[str, str]:
        """See `Warehouse`. The server counts the rows written; it counts from zero after a crash.

        A view is what its rule and its entry in the catalogue are, which hold its rights and options.
        """
        with transaction(self._connections) as session:
            found = session.rows(
                "select nspname || '.' || relname, concat_ws(' ', c.oid, relfilenode,"
                " pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)"
                " + pg_stat_get_tuples_deleted(c.oid),"
                " (select concat_ws(' ', c.xmin, max(r.xmin::text)) from pg_rewrite as r"
                " where r.ev_class = c.oid and relkind = 'v'))"
                " from pg_class as c join pg_namespace as n on n.oid = relnamespace"
                " where relkind in ('r', 'v')"
            )
        return dict(found)

    def close(self) -> None:
        """See `Warehouse`."""
        self._connections.close()

    def _index_partitions(self, session: Session, entity: Entity) -> None:
        """Index a table by ranges of its pages: rows of a date are loaded together.

        An index with an entry for each row took a third of the time of a load. A range whose pages were freed
        and filled again holds several dates, and so does its entry.
        """
        column, table = sql.Identifier(entity.partition_column or ""), self._table(entity)
        former = sql.Identifier(self._raw, f"{entity.name}_of_partition")
        session.execute(sql.SQL("drop index if exists {}").format(former))
        session.execute(
            sql.SQL("create index if not exists {} on {} using brin ({} date_minmax_multi_ops)").format(
                sql.Identifier(f"{entity.name}_by_partition"), table, column
            )
        )

    def _lock_partition(self, session: Session, entity: Entity, partition: datetime.date | None) -> None:
        """Allow one load of a partition at a time: two at once would store the rows of both."""
        lock_raw_partition(session, self._raw, entity.name, partition)

    def _table(self, entity: Entity) -> sql.Identifier:
        return sql.Identifier(self._raw, entity.name)

    @staticmethod
    def _partition_filter(entity: Entity, partitions: Sequence[datetime.date] | None) -> sql.Composable:
        if entity.partition_column is None or partitions is None:
            return sql.SQL("true")
        column = sql.Identifier(entity.partition_column)
        return sql.SQL("{} = any({}::date[])").format(column, sql.Literal([*partitions]))


_COLUMNS = (
    "select attname, format_type(atttypid, atttypmod) from pg_attribute"
    " join pg_class as c on c.oid = attrelid join pg_namespace as n on n.oid = relnamespace"
    " where nspname = $1 and relname = $2 and attnum > 0 and not attisdropped"
)
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
        return f"numeric({kind.precision},{kind.scale})"
    return _COLUMN_TYPES[kind]


def _column(name: str, kind: Any) -> sql.Composed:
    return sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
