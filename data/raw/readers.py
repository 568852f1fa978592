"""Questions of people on PostgreSQL, by a login that reads the published layers and can do nothing else.

Not here: what the login may read (`data.raw.rights`), or which tenant a reader may see.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pyarrow as pa

from data.ingest.errors import QueryRefused
from myproperty.database.roles import WAREHOUSE_READER
from myproperty.database.session import make_table


def ask_as_reader(reader: str, statement: str, most: int) -> pa.Table:
    """Return at most `most` rows of one statement, run by the reader's login; `reader` is its DSN.

    The statement goes alone by the extended protocol, in a read-only transaction with a timeout. Raises
    `QueryRefused`.
    """
    try:
        with _connect(reader) as connection, psycopg.RawCursor(connection) as cursor:
            rows = []
            for row in cursor.stream(statement.encode()):
                rows.append(row)
                if len(rows) == most:
                    break
            return make_table(connection, _describe_columns(connection, statement), rows)
    except psycopg.ProgrammingError as error:
        # psycopg's own words for a statement without rows, such as SET.
        raise QueryRefused("the statement gives no rows" if error.sqlstate is None else error) from error
    except psycopg.Error as error:
        raise QueryRefused(error) from error


@contextmanager
def _connect(reader: str) -> Iterator[psycopg.Connection]:
    # The login has them too; an operator may name another one.
    limits = {name: value for name, value in WAREHOUSE_READER.limits.items() if name != "temp_file_limit"}
    options = " ".join(f"-c {name}={value}" for name, value in limits.items())
    connection = psycopg.connect(reader, autocommit=True, options=f"{options} -c timezone=UTC")
    try:
        yield connection
    finally:
        connection.close()


def _describe_columns(connection: psycopg.Connection, statement: str) -> list[tuple[str, int]]:
    """Return name and type of each column: a stream does not describe a result without rows."""
    connection.pgconn.prepare(b"question", statement.encode())
    described = connection.pgconn.describe_prepared(b"question")
    return [((described.fname(n) or b"").decode(), described.ftype(n)) for n in range(described.nfields)]
