"""The daily partitions of readings: made ahead, and listed.

Not here: loading a file into a date (`store`), or archiving a partition (`data.landing.archive`).
"""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from data.ingest.errors import IngestError
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import DatabaseError, transaction

_FOREIGN_KEY_VIOLATION = "23503"


class PartitionError(IngestError):
    """A partition cannot be made, archived or restored; the message says why and what to do."""


@dataclass(frozen=True)
class ReadingsPartition:
    """A reading date with a partition; `readings` is the estimate of the last ANALYZE."""

    reading_date: datetime.date
    readings: int
    bytes: int


def ensure_partitions(dsn: str, first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """Make the missing partitions of a range, both dates included; returns every date of the range.

    For sources that write single readings: a file makes its partitions itself, and faster. Raises
    `PartitionError` for a range that is empty or longer than 366 dates, and for an archived date.
    """
    call = sql.SQL("select right(made, 8) from myproperty.ensure_readings_partitions({}, {}) as made")
    with transaction(dsn, LOADER_ROLE) as session, explain_refusals():
        rows = session.rows(call.format(sql.Literal(first), sql.Literal(last)))
    return [_parse_date(row[0]) for row in rows]


def list_partitions(dsn: str) -> list[ReadingsPartition]:
    """Return the dates that have a partition, in order."""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            """
            select right(c.relname, 8), greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)
            from pg_inherits as i
            join pg_class as c on c.oid = i.inhrelid
            where i.inhparent = 'myproperty.meter_readings'::regclass
            order by c.relname
            """
        )
    return [ReadingsPartition(_parse_date(name), readings, size) for name, readings, size in rows]


@contextmanager
def explain_refusals() -> Iterator[None]:
    """Raise `PartitionError` with the words of the database when its partition functions refuse a call."""
    try:
        yield
    except DatabaseError as error:
        if error.sqlstate not in ("MP003", "MP004", _FOREIGN_KEY_VIOLATION):
            raise
        raise PartitionError(explain_error(error)) from error


def explain_error(error: DatabaseError) -> str:
    """Return the message, detail and hint of PostgreSQL, without the context that the driver adds."""
    said = (error.diag.message_primary or str(error), error.diag.message_detail, error.diag.message_hint)
    return ". ".join(text.rstrip(".") for text in said if text)


def _parse_date(name: str) -> datetime.date:
    return datetime.datetime.strptime(name, "%Y%m%d").date()
