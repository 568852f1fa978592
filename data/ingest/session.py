"""One transaction on PostgreSQL that speaks Arrow: statements, queries and binary COPY on one connection.

Here: the connection, its role and its types. Not here: any statement of the platform, nor its tables.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from psycopg import sql

from myproperty.errors import DatabaseUnavailable

DatabaseError = adbc_driver_manager.Error


class Session:
    """A transaction. A numeric comes as text from ADBC: `arrow` casts to the schema that is asked for."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str | sql.Composable, parameters: Sequence[Any] = ()) -> None:
        """Run a statement whose rows, if any, nobody wants. Parameters are $1, $2 ..."""
        with self._connection.cursor() as cursor:
            cursor.execute(_text(statement), tuple(parameters) or None)
            # A query that fails tells so when it is read: unread, the commit would be a silent rollback.
            cursor.fetchall()

    def rows(self, statement: str | sql.Composable, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and fetch its rows as tuples of Python values."""
        with self._connection.cursor() as cursor:
            cursor.execute(_text(statement), tuple(parameters) or None)
            return list(cursor.fetchall())

    def arrow(
        self, statement: str | sql.Composable, schema: pa.Schema, parameters: Sequence[Any] = ()
    ) -> pa.Table:
        """Run a query and return its rows in `schema`, whose names and order the query must give.

        Raises `pyarrow.ArrowInvalid` where a value does not fit exactly.
        """
        with self._connection.cursor() as cursor:
            cursor.execute(_text(statement), tuple(parameters) or None)
            found = cursor.fetch_arrow_table()
        if found.column_names != schema.names:
            raise ValueError(f"the query gives {found.column_names}, not {schema.names}")
        columns = [
            _storage(column).cast(field.type) for column, field in zip(found.columns, schema, strict=True)
        ]
        return pa.table(columns, schema=schema)

    def table(self, statement: str) -> pa.Table:
        """Run a query and return its rows as the server types them; a numeric keeps all its digits."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            found = cursor.fetch_arrow_table()
        columns = [_decimals(column) for column in found.columns]
        return pa.table(columns, names=found.column_names)

    def copy(self, table: pa.Table, name: str, schema: str | None = None) -> int:
        """Append rows to a table by binary COPY, columns by name; without `schema` it is a temporary table.

        A uuid column takes binary(16). Returns the rows written.
        """
        if table.num_rows == 0:
            return 0
        place: dict[str, Any] = {"temporary": True} if schema is None else {"db_schema_name": schema}
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(name, table, mode="append", **place)
        return int(table.num_rows)


@contextmanager
def transaction(dsn: str, role: str | None = None) -> Iterator[Session]:
    """Open a connection, take on `role`, commit at the end of the block and roll back on any error.

    Raises `DatabaseUnavailable` if the database cannot be reached, is lost on the way or has no room.
    """
    try:
        connection = adbc.connect(dsn)
    except DatabaseError as error:
        raise DatabaseUnavailable(
            f"the database cannot be reached: {error}. Start the embedded server with `myproperty up`, "
            "or check the DSN in MYPROPERTY_OLTP_DSN and MYPROPERTY_WAREHOUSE_DSN."
        ) from error
    with connection:
        session = Session(connection)
        try:
            if role is not None:
                session.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            yield session
        except BaseException as error:
            is_lost = not _roll_back(connection)
            if isinstance(error, DatabaseError) and (is_lost or _is_out_of_room(error)):
                raise _unavailable(error, is_lost) from error
            raise
        try:
            connection.commit()
        except DatabaseError as error:
            if _roll_back(connection) and not _is_out_of_room(error):
                raise
            raise _unavailable(error, is_lost=True) from error


def _roll_back(connection: Any) -> bool:
    """Whether there still was a connection to roll back on; the server rolls back one that is lost."""
    try:
        connection.rollback()
    except DatabaseError:
        return False
    return True


def _is_out_of_room(error: DatabaseError) -> bool:
    """SQLSTATE class 53: the disk is full, memory or connections are used up."""
    return (error.sqlstate or "").startswith("53")


def _unavailable(error: DatabaseError, is_lost: bool) -> DatabaseUnavailable:
    if is_lost:
        return DatabaseUnavailable(
            f"the connection to the database was lost: {error}. Nothing is written by halves: see that "
            "it runs (`myproperty status`, `myproperty up`), then ingest the file again: it is loaded once"
        )
    return DatabaseUnavailable(
        f"the database has no room: {error}. Nothing of the file was written: make room, then ingest it again"
    )


def _text(statement: str | sql.Composable) -> str:
    return statement if isinstance(statement, str) else statement.as_string()


def _storage(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Unwrap the extension type in which ADBC hands over what Arrow has no type for."""
    if not isinstance(column.type, pa.BaseExtensionType):
        return column
    return pa.chunked_array([chunk.storage for chunk in column.chunks], type=column.type.storage_type)


def _decimals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A numeric, which has come as text, as a decimal that holds every value; others unwrapped."""
    if getattr(column.type, "type_name", None) != "numeric":
        return _storage(column)
    values = [None if text is None else Decimal(text) for text in _storage(column).to_pylist()]
    scale = max((-int(value.as_tuple().exponent) for value in values if value is not None), default=0)
    whole = max((value.adjusted() + 1 for value in values if value is not None), default=1)
    precision = max(whole, 1) + max(scale, 0)
    kind = pa.decimal128(38, max(scale, 0)) if precision <= 38 else pa.decimal256(76, max(scale, 0))
    return pa.chunked_array([pa.array(values, kind)])
