"""The life of the daily partitions of readings: made ahead, listed, archived by retention, restored.

Here: a date's partition to a Parquet file and back, and the proof that both say the same. Not here: how
files are loaded into a date (`store`), nor what may be dropped: the database's functions decide that.
"""

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from psycopg import sql
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from data.ingest.errors import IngestError
from data.ingest.readings.load import LOADER_ROLE
from data.landing.entities import ENTITIES
from data.landing.fingerprint import arrow_checksum, fingerprint_schema, fingerprint_sql
from myproperty.database.ids import as_bytes
from myproperty.database.session import DatabaseError, Session, transaction

READINGS = ENTITIES["meter_readings"]
LOCK_NOT_AVAILABLE, FOREIGN_KEY_VIOLATION = "55P03", "23503"
# 500 ms of waiting each, in the database.
ATTEMPTS = 5
# (channel, unit) to the number of readings and the sum of their values, None where none has a value.
Totals = dict[tuple[str, str], tuple[int, Decimal | None]]


class PartitionError(IngestError):
    """A partition cannot be made, archived or restored; the message says why and what to do."""


@dataclass(frozen=True)
class Partition:
    """A reading date that has its partition; `readings` is the estimate of the last ANALYZE."""

    reading_date: datetime.date
    readings: int
    bytes: int


@dataclass(frozen=True)
class ArchivedDate:
    """A reading date whose readings are in a file; `checksum` is that of `arrow_checksum`."""

    reading_date: datetime.date
    readings: int
    url: str
    checksum: int
    archived_at: datetime.datetime


@dataclass(frozen=True)
class ArchiveResult:
    """What became of one date: `removed` means that its partition was empty; `reason` says why not."""

    reading_date: datetime.date
    status: Literal["archived", "removed", "refused"]
    readings: int = 0
    url: str | None = None
    reason: str | None = None


def ensure(dsn: str, first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """Make the partitions of a range that are not there, both dates included; returns all of the range.

    For sources that write single readings: a file makes its partitions itself, and faster. Raises
    `PartitionError` for a range that is empty or longer than 366 dates, and for an archived date.
    """
    call = sql.SQL("select right(made, 8) from myproperty.ensure_readings_partitions({}, {}) as made")
    with transaction(dsn, LOADER_ROLE) as session, _explained():
        rows = session.rows(call.format(sql.Literal(first), sql.Literal(last)))
    return [_date(row[0]) for row in rows]


def partitions(dsn: str) -> list[Partition]:
    """The dates that have a partition, in order."""
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
    return [Partition(_date(name), readings, size) for name, readings, size in rows]


def archived(dsn: str, date: datetime.date | None = None) -> list[ArchivedDate]:
    """The dates that are archived, or the one asked for if it is, in order."""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            """
            select reading_date, readings, url, checksum, archived_at
            from warehouse_staging.archived_dates
            where $1 = '' or reading_date::text = $1
            order by reading_date
            """,
            (date.isoformat() if date else "",),
        )
    return [ArchivedDate(*row) for row in rows]


def archive(
    dsn: str, url: str, *, before: datetime.date, even_if_pending: bool = False
) -> list[ArchiveResult]:
    """Write each partition before `before` to a file below `url`, prove the file, drop the partition.

    One transaction a date, and a date that is refused stops none of the others. After a crash the next call
    replaces a file whose partition is still there. Replaced readings (`meter_reading_versions`), the landing
    copy and the marts stay. Raises `PartitionError` if the place cannot be written, or a file does not hold
    what its partition does: nothing of that date is dropped.
    """
    dates = [found.reading_date for found in partitions(dsn) if found.reading_date < before]
    return [_archive_or_refuse(dsn, url, date, even_if_pending) for date in dates]


def restore(dsn: str, date: datetime.date) -> ArchivedDate:
    """Bring an archived date back: the same rows, foreign keys checked. The file stays where it is.

    Raises `PartitionError` if the date is not archived, its file is gone or not the one that was archived, or
    a row belongs to a meter or job that is no more.
    """
    found = archived(dsn, date)
    if not found:
        raise PartitionError(f"{date} is not archived: `myproperty partitions list` shows the dates that are")
    record = found[0]
    rows = _read(record.url)
    if (rows.num_rows, arrow_checksum(READINGS, rows)) != (record.readings, record.checksum):
        raise PartitionError(
            f"{record.url} does not hold the {record.readings} readings that were archived of {date}: put "
            "the file back as it was, from a backup, and restore again"
        )
    with transaction(dsn, LOADER_ROLE) as session, _explained():
        begin = sql.SQL("select myproperty.begin_readings_restore({})").format(sql.Literal(date))
        _, name = session.rows(begin)[0][0].split(".")
        session.copy(_with_ids(rows), name, "myproperty", is_of_this_transaction=True)
        if _checksum(session, sql.Identifier("myproperty", name), date) != record.checksum:
            raise PartitionError(f"{record.url} was not restored: the database took its rows as others")
        session.execute(sql.SQL("select myproperty.attach_restored_readings({})").format(sql.Literal(date)))
    return record


def _archive_or_refuse(dsn: str, url: str, date: datetime.date, even_if_pending: bool) -> ArchiveResult:
    retrying = Retrying(
        retry=retry_if_exception(_is_busy),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(max=2),
        reraise=True,
    )
    try:
        return retrying(_archive, dsn, url, date, even_if_pending)
    except DatabaseError as error:
        if _is_busy(error):
            reason = "the table of readings was busy all the time, so nothing was dropped: try again later"
            return ArchiveResult(date, "refused", reason=reason)
        if error.sqlstate == "MP004":
            return ArchiveResult(date, "refused", reason=_message(error))
        raise


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, DatabaseError) and error.sqlstate == LOCK_NOT_AVAILABLE


def _archive(dsn: str, url: str, date: datetime.date, even_if_pending: bool) -> ArchiveResult:
    target = f"{url.rstrip('/')}/meter_readings_{date:%Y%m%d}.parquet"
    table = sql.Identifier("myproperty", READINGS.name)
    with transaction(dsn, LOADER_ROLE) as session:
        session.execute(
            sql.SQL("select myproperty.begin_readings_archive({}, {})").format(date, even_if_pending)
        )
        rows = _current(session, date)
        checksum = _checksum(session, table, date)
        if rows.num_rows:
            _write(rows, target)
            _prove(target, _totals(session, date), checksum)
        session.execute(
            sql.SQL("select myproperty.drop_readings_partition({}, {}, {}, {}, {})").format(
                date, rows.num_rows, target, checksum, even_if_pending
            )
        )
    if rows.num_rows:
        return ArchiveResult(date, "archived", rows.num_rows, target)
    return ArchiveResult(date, "removed")


def _current(session: Session, date: datetime.date) -> pa.Table:
    query = sql.SQL(
        "select {columns} from myproperty.meter_readings as r where reading_date = {date} order by {key}"
    ).format(
        columns=sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier("r", name))
            if name in READINGS.uuids
            else sql.Identifier("r", name)
            for name in READINGS.columns.names
        ),
        date=date,
        key=sql.SQL(", ").join(sql.Identifier("r", name) for name in READINGS.key),
    )
    return session.arrow(query, READINGS.columns)


def _totals(session: Session, date: datetime.date) -> Totals:
    query = sql.SQL(
        "select channel, unit, count(*), sum(value_native)::text from myproperty.meter_readings "
        "where reading_date = {} group by channel, unit"
    )
    return {
        (channel, unit): (count, None if total is None else Decimal(total))
        for channel, unit, count, total in session.rows(query.format(date))
    }


def _checksum(session: Session, table: sql.Identifier, date: datetime.date) -> int:
    """The checksum of a date as PostgreSQL makes it of its own rows."""
    where = sql.SQL("reading_date = {}").format(date).as_string()
    query = fingerprint_sql(READINGS, table.as_string(), "postgres", where)
    position = fingerprint_schema(READINGS).get_field_index("checksum")
    return sum(int(row[position]) for row in session.rows(query))


def _write(rows: pa.Table, url: str) -> None:
    """Write a file that is there whole or not at all, and on the disk before its rows are dropped."""
    filesystem, path = fsspec.core.url_to_fs(url)
    part = f"{path}.part"
    try:
        filesystem.makedirs(filesystem._parent(path), exist_ok=True)
        with filesystem.open(part, "wb") as stream:
            pq.write_table(rows, stream, compression="zstd")
        if isinstance(filesystem, LocalFileSystem):
            _sync(Path(part))
            Path(part).replace(path)
            _sync(Path(path).parent)
        else:
            filesystem.mv(part, path)
    except OSError as error:
        raise PartitionError(
            f"{url} cannot be written ({error}), so nothing was dropped: mend the place, or name another in "
            "MYPROPERTY_READINGS_ARCHIVE_URL"
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(url: str) -> pa.Table:
    filesystem, path = fsspec.core.url_to_fs(url)
    try:
        with filesystem.open(path, "rb") as stream:
            rows = pq.read_table(stream)
    except (OSError, pa.ArrowInvalid) as error:
        raise PartitionError(f"{url} cannot be read: {error}. Put the file back, from a backup") from error
    if not rows.schema.equals(READINGS.columns):
        raise PartitionError(f"{url} does not have the columns of readings: it is not a file of this archive")
    return rows


def _prove(url: str, totals: Totals, checksum: int) -> None:
    """Hold the file, read back, against what PostgreSQL counted and summed itself."""
    rows = _read(url)
    grouped = rows.group_by(["channel", "unit"]).aggregate([([], "count_all"), ("value_native", "sum")])
    names = ("channel", "unit", "count_all", "value_native_sum")
    columns = (grouped[name].to_pylist() for name in names)
    in_file = {(channel, unit): (count, total) for channel, unit, count, total in zip(*columns, strict=True)}
    if in_file != totals or arrow_checksum(READINGS, rows) != checksum:
        raise PartitionError(
            f"{url} does not hold what its partition does, so nothing was dropped: look at the disk, and "
            "archive again"
        )


def _with_ids(rows: pa.Table) -> pa.Table:
    """Uuids as COPY takes them."""
    return pa.table(
        {name: as_bytes(rows[name]) if name in READINGS.uuids else rows[name] for name in rows.column_names}
    )


def _date(name: str) -> datetime.date:
    return datetime.datetime.strptime(name, "%Y%m%d").date()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the functions of partitions refuse into an error with their words."""
    try:
        yield
    except DatabaseError as error:
        if error.sqlstate not in ("MP003", "MP004", FOREIGN_KEY_VIOLATION):
            raise
        raise PartitionError(_message(error)) from error


def _message(error: DatabaseError) -> str:
    """What PostgreSQL said and its hint, without the driver's frame."""
    said = (error.diag.message_primary or str(error), error.diag.message_detail, error.diag.message_hint)
    return ". ".join(text.rstrip(".") for text in said if text)
