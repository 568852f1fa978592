"""A transaction on PostgreSQL with Arrow in and out: statements, queries and COPY on one connection.

This module knows no table of the platform. `copying` turns columns into the bytes of COPY.
"""

import io
import re
import select
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
from psycopg import sql

from myproperty.ahead import read_ahead
from myproperty.database.blockers import describe_holders
from myproperty.database.copying import encode
from myproperty.errors import DatabaseUnavailable

DatabaseError = psycopg.Error
# Arrow types by PostgreSQL's type names; a column of any other type takes the type of its Python values.
_KINDS = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
    "varchar": pa.string(),
}


# Bytes of text that a stream of rows reads at once.
_BLOCK = 16 << 20
_BINARY_BLOCK = 1 << 18
# The server ends the statement of a client that was killed; it holds its locks no longer.
_START = "set local timezone = 'UTC'; set local client_connection_check_interval = '2s'"


class LockHeld(DatabaseUnavailable, psycopg.errors.LockNotAvailable):
    """Another session held a lock for too long; the message names the sessions that hold locks."""


class Session:
    """An open transaction; instants are in UTC."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str | sql.Composable, parameters: Sequence[Any] = ()) -> int:
        """Run a statement and return the number of its rows. Parameters are $1, $2 ..."""
        with self._run(statement, parameters) as cursor:
            return cursor.rowcount

    def begin_snapshot(self) -> None:
        """Commit, and go on in a transaction that sees the database as it is at its first query.

        Locks of the session stay, so this instant comes after what the session has waited for.
        """
        role = self.rows("select current_user")[0][0]
        self._connection.commit()
        self.execute("set transaction isolation level repeatable read")
        self.execute(_START)
        self.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))

    def export_snapshot(self) -> str:
        """Name what the transaction sees, for `import_snapshot` of another one while this one lasts."""
        name: str = self.rows("select pg_export_snapshot()")[0][0]
        return name

    def import_snapshot(self, name: str, role: str) -> None:
        """See what the transaction sees that exported the snapshot; run as `role`."""
        self.roll_back()
        self.execute("set transaction isolation level repeatable read")
        self.execute(sql.SQL("set transaction snapshot {}").format(name))
        self.execute(_START)
        self.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))

    def roll_back(self) -> None:
        """Undo what the transaction has done so far."""
        self._connection.rollback()

    @contextmanager
    def keys_by_index(self) -> Iterator[None]:
        """Check foreign keys by index inside the block, whatever size the referenced table has.

        A connection keeps the plan of a check. A plan from the time when the table was small scans it, and
        would scan it for each row of a table that has grown.
        """
        self.execute("set local enable_seqscan = off")
        yield
        self.execute("set local enable_seqscan to default")

    def rows(self, statement: str | sql.Composable, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and return its rows as tuples of Python values."""
        with self._run(statement, parameters) as cursor:
            return cursor.fetchall()

    def arrow(
        self, statement: str | sql.Composable, schema: pa.Schema, parameters: Sequence[Any] = ()
    ) -> pa.Table:
        """Run a query and return its rows in `schema`; names and order of the columns must match.

        Raises `pyarrow.ArrowInvalid` where a value does not fit exactly.
        """
        with self._copy_out(statement, parameters) as stream:
            text = b"".join(bytes(block) for block in stream)
        parse, convert = _csv_options(schema)
        found = pacsv.read_csv(io.BytesIO(text), parse_options=parse, convert_options=convert)
        return _conform(found, schema)

    def stream(
        self, statement: str | sql.Composable, schema: pa.Schema, parameters: Sequence[Any] = ()
    ) -> Iterator[pa.Table]:
        """Run a query as `arrow` does and yield its rows in order, as many at once as `_BLOCK` bytes hold."""
        parse, convert = _csv_options(schema)
        read = pacsv.ReadOptions(block_size=_BLOCK)
        with self._copy_out(statement, parameters) as stream:
            text = pa.PythonFile(_Blocks(map(bytes, stream)), mode="r")
            for batch in pacsv.open_csv(text, read, parse, convert):
                yield _conform(pa.Table.from_batches([batch]), schema)

    def stream_binary(self, statement: str | sql.Composable) -> Generator[bytes, None, None]:
        """Run a query and yield its rows in the binary form of COPY, for `copy_binary` on another server."""
        parts: list[bytes] = []
        size = 0
        with self._copy_out(statement, (), "binary") as stream:
            for row in stream:
                parts.append(bytes(row))
                size += len(row)
                if size > _BINARY_BLOCK:
                    yield b"".join(parts)
                    parts, size = [], 0
        yield b"".join(parts)

    @contextmanager
    def _copy_out(
        self, statement: str | sql.Composable, parameters: Sequence[Any], form: str = "csv, header"
    ) -> Iterator[psycopg.Copy]:
        query = _with_literals(_as_text(statement), parameters)
        command = f"copy ({query}) to stdout (format {form})".encode()
        with psycopg.RawCursor(self._connection) as cursor, cursor.copy(command) as stream:
            yield stream

    def table(self, statement: str) -> pa.Table:
        """Run a query and return its rows in the types of the server; a numeric keeps all digits."""
        with self._run(statement, ()) as cursor:
            described = [(column.name, column.type_code) for column in cursor.description or []]
            return make_table(self._connection, described, cursor.fetchall())

    def copy(
        self,
        rows: pa.Table | Iterable[pa.Table],
        name: str,
        schema: str | None = None,
        *,
        is_of_this_transaction: bool = False,
    ) -> int:
        """Append rows to a table by binary COPY, columns by name; without `schema` it is a temporary table.

        All tables have the columns of the first. A uuid column takes binary(16). Rows of a table that this
        transaction created are frozen at once: otherwise the first reader, and vacuum after it, would write
        each page again. Returns the number of rows.
        """
        tables = iter((rows,) if isinstance(rows, pa.Table) else rows)
        first = next(tables, None)
        if first is None or (isinstance(rows, pa.Table) and not first.num_rows):
            return 0
        encoded = encode(_chain(first, tables))
        blocks = encoded if isinstance(rows, pa.Table) else read_ahead(encoded)
        return self.copy_binary(
            blocks, first.column_names, name, schema, is_of_this_transaction=is_of_this_transaction
        )

    def copy_binary(
        self,
        blocks: Iterable[bytes | memoryview],
        columns: Sequence[str],
        name: str,
        schema: str | None = None,
        *,
        is_of_this_transaction: bool = False,
    ) -> int:
        """Append rows in the binary form of COPY, as `copy` does; each column in its table's type."""
        command = sql.SQL("copy {} ({}) from stdin (format binary, freeze {})").format(
            sql.Identifier(schema or "pg_temp", name),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.Literal(is_of_this_transaction),
        )
        with psycopg.RawCursor(self._connection) as cursor:
            with cursor.copy(command) as stream:
                for block in blocks:
                    stream.write(block)
            return cursor.rowcount

    def _run(self, statement: str | sql.Composable, parameters: Sequence[Any]) -> psycopg.RawCursor[Any]:
        cursor = psycopg.RawCursor(self._connection)
        cursor.execute(_as_text(statement).encode(), tuple(parameters) or None)
        return cursor


class _Blocks(io.RawIOBase):
    """A file of blocks of bytes, each read once."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._left = blocks, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes; fewer only at the end. Without a size, all that are left."""
        parts, length = [self._left], len(self._left)
        while (size < 0 or length < size) and (block := next(self._blocks, b"")):
            parts.append(block)
            length += len(block)
        text = b"".join(parts)
        cut = length if size < 0 else size
        self._left = text[cut:]
        return text[:cut]


def _csv_options(schema: pa.Schema) -> tuple[pacsv.ParseOptions, pacsv.ConvertOptions]:
    """Return how `copy to (format csv)` is read; a quoted value is a text, even an empty one."""
    return pacsv.ParseOptions(newlines_in_values=True), pacsv.ConvertOptions(
        column_types=schema,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        true_values=["t"],
        false_values=["f"],
    )


def _conform(found: pa.Table, schema: pa.Schema) -> pa.Table:
    if found.column_names != schema.names:
        raise ValueError(f"the query gives {found.column_names}, not {schema.names}")
    return found.cast(schema)


class Connections:
    """Reusable connections to one database, one transaction at a time on each.

    A new connection costs more than the statements of a small load, because it first has to read all
    partitions. The end of the context closes the connections. Threads may share it.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._idle: list[psycopg.Connection] = []

    def __enter__(self) -> "Connections":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next transaction opens a new one."""
        while self._idle:
            self._idle.pop().close()

    def take(self) -> psycopg.Connection:
        """Return an idle connection, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            incoming = select.poll()
            incoming.register(connection, select.POLLIN)
            # An idle connection receives data only when the server closes it.
            if not incoming.poll(0):
                return connection
            connection.close()
        # A prepared statement may get a plan for all dates, which would open all partitions.
        return psycopg.connect(self._dsn, prepare_threshold=None)

    def give_back(self, connection: psycopg.Connection) -> None:
        """Keep a connection for the next transaction."""
        self._idle.append(connection)


@contextmanager
def transaction(database: str | Connections, role: str | None = None) -> Iterator[Session]:
    """Run a transaction as `role`; commit at the end of the block, roll back on any error.

    `database` is a DSN or reusable connections. Raises `DatabaseUnavailable` if the database cannot be
    reached, is lost during the transaction or is out of space; `LockHeld` if another session held a lock too
    long.
    """
    try:
        connection = database.take() if isinstance(database, Connections) else psycopg.connect(database)
    except DatabaseError as error:
        raise DatabaseUnavailable(
            f"the database cannot be reached: {error}. Start the embedded server with `myproperty up`, "
            "or check the DSN in MYPROPERTY_OLTP_DSN and MYPROPERTY_WAREHOUSE_DSN."
        ) from error
    try:
        session = Session(connection)
        try:
            session.execute(_START)
            if role is not None:
                session.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            yield session
        except BaseException as error:
            is_lost = not _roll_back(connection)
            if isinstance(error, psycopg.errors.LockNotAvailable) and not is_lost:
                raise LockHeld(f"{_describe_wait(error)}: {describe_holders(connection)}") from error
            if isinstance(error, DatabaseError) and (is_lost or _is_out_of_room(error)):
                raise _describe_loss(error, is_lost) from error
            raise
        try:
            connection.commit()
        except DatabaseError as error:
            if _roll_back(connection) and not _is_out_of_room(error):
                raise
            raise _describe_loss(error, is_lost=True) from error
    except BaseException:
        connection.close()
        raise
    if isinstance(database, Connections):
        database.give_back(connection)
    else:
        connection.close()


def _roll_back(connection: psycopg.Connection) -> bool:
    """Roll back; return whether the connection still works. The server rolls back a lost one itself."""
    try:
        connection.rollback()
    except DatabaseError:
        return False
    return not connection.closed


def _is_out_of_room(error: DatabaseError) -> bool:
    """Return whether the error is of SQLSTATE class 53: disk, memory or connections are used up."""
    return (error.sqlstate or "").startswith("53")


def _describe_loss(error: DatabaseError, is_lost: bool) -> DatabaseUnavailable:
    if is_lost:
        return DatabaseUnavailable(
            f"the connection to the database was lost: {error}. The transaction was rolled back: check that "
            "the server runs (`myproperty status`, `myproperty up`), then ingest the file again"
        )
    return DatabaseUnavailable(
        f"the database has no room: {error}. Nothing of the file was written: make room, then ingest it again"
    )


def _describe_wait(error: DatabaseError) -> str:
    """Say in PostgreSQL's words what was waited for; the transaction was rolled back."""
    context = (error.diag.context or "").splitlines()
    return f"gave up waiting for a lock, and changed nothing ({context[0] if context else error})"


def _as_text(statement: str | sql.Composable) -> str:
    return statement if isinstance(statement, str) else statement.as_string()


def _with_literals(query: str, parameters: Sequence[Any]) -> str:
    """Write the parameters into a query, because COPY accepts none."""
    if not parameters:
        return query
    return re.sub(r"\$(\d+)", lambda found: sql.Literal(parameters[int(found[1]) - 1]).as_string(), query)


def _chain(first: pa.Table, others: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from others


def make_table(
    connection: psycopg.Connection, described: Sequence[tuple[str, int]], rows: Sequence[tuple[Any, ...]]
) -> pa.Table:
    """Return fetched rows as a table in the types of the server; a numeric keeps all digits.

    `described` has the name and the type's OID of each column.
    """
    columns = list(zip(*rows, strict=True)) or [() for _ in described]
    types = connection.adapters.types
    arrays = []
    for (_, code), values in zip(described, columns, strict=True):
        kind = types.get(code)
        arrays.append(_make_column(kind.name if kind else "", values))
    return pa.table(arrays, names=[name for name, _ in described])


def _make_column(kind: str, values: tuple[Any, ...]) -> pa.Array:
    if kind in _KINDS:
        return pa.array(values, _KINDS[kind])
    if kind == "numeric":
        return _make_decimals(values)
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _make_decimals(values: tuple[Decimal | None, ...]) -> pa.Array:
    """Choose a decimal type that holds every value."""
    given = [value for value in values if value is not None]
    scale = max((-int(value.as_tuple().exponent) for value in given), default=0)
    whole = max((value.adjusted() + 1 for value in given), default=1)
    precision = max(whole, 1) + max(scale, 0)
    kind = pa.decimal128(38, max(scale, 0)) if precision <= 38 else pa.decimal256(76, max(scale, 0))
    return pa.array(values, kind)
