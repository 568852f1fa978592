"""The archive of readings: partitions written to Parquet files by retention, and restored from them.

Here: a date's partition to a file and back, and the proof that both hold the same rows. Not here: making
partitions (`data.ingest.readings.partitions`), or what may be dropped: the functions of the database decide.
"""

import datetime
import os
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

from data.ingest.readings.partitions import (
    PartitionError,
    explain_error,
    explain_refusals,
    list_partitions,
)
from data.landing.entities import ENTITIES
from data.landing.fingerprint import arrow_checksum, fingerprint_schema, fingerprint_sql
from myproperty.database.ids import as_bytes
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import DatabaseError, Session, transaction
from myproperty.files import close_folder

READINGS = ENTITIES["meter_readings"]
LOCK_NOT_AVAILABLE = "55P03"
# Each attempt waits 500 ms for the lock, in the database.
ATTEMPTS = 5
# (channel, unit) to the number of readings and the sum of their values, None where every value is null.
Totals = dict[tuple[str, str], tuple[int, Decimal | None]]


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
    """The result for one date: `removed` if its partition was empty; `reason` explains `refused`."""

    reading_date: datetime.date
    status: Literal["archived", "removed", "refused"]
    readings: int = 0
    url: str | None = None
    reason: str | None = None


def list_archived(dsn: str, date: datetime.date | None = None) -> list[ArchivedDate]:
    """Return the archived dates in order, or only `date` if it is archived."""
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


def archive_partitions(
    dsn: str, url: str, *, before: datetime.date, even_if_pending: bool = False
) -> list[ArchiveResult]:
    """Write each partition before `before` to a file below `url`, prove the file, drop the partition.

    Each date has its own transaction, and a refused date does not stop the others. After a crash, the next
    call replaces a file whose partition still exists. Replaced readings (`meter_reading_versions`), the
    landing copy and the marts stay. Raises `PartitionError` if the place cannot be written, or if a file
    differs from its partition; the partition of that date is then kept.
    """
    dates = [found.reading_date for found in list_partitions(dsn) if found.reading_date < before]
    return [_archive_or_refuse(dsn, url, date, even_if_pending) for date in dates]


def restore_date(dsn: str, date: datetime.date) -> ArchivedDate:
    """Restore an archived date with the same rows, foreign keys checked. The file stays where it is.

    Raises `PartitionError` if the date is not archived, if its file is missing or is another file, or if a
    row belongs to a meter or job that no longer exists.
    """
    found = list_archived(dsn, date)
    if not found:
        raise PartitionError(f"{date} is not archived: `myproperty partitions list` shows the dates that are")
    record = found[0]
    rows = _read_file(record.url)
    if (rows.num_rows, arrow_checksum(READINGS, rows)) != (record.readings, record.checksum):
        raise PartitionError(
            f"{record.url} does not hold the {record.readings} readings that were archived of {date}: put "
            "the file back as it was, from a backup, and restore again"
        )
    with transaction(dsn, LOADER_ROLE) as session, explain_refusals():
        begin = sql.SQL("select myproperty.begin_readings_restore({})").format(sql.Literal(date))
        _, name = session.rows(begin)[0][0].split(".")
        session.copy(_encode_ids(rows), name, "myproperty", is_of_this_transaction=True)
        if _read_checksum(session, sql.Identifier("myproperty", name), date) != record.checksum:
            raise PartitionError(f"{record.url} was not restored: the database stored other rows")
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
        return retrying(_archive_date, dsn, url, date, even_if_pending)
    except DatabaseError as error:
        if _is_busy(error):
            reason = "the table of readings was busy all the time, so nothing was dropped: try again later"
            return ArchiveResult(date, "refused", reason=reason)
        if error.sqlstate == "MP004":
            return ArchiveResult(date, "refused", reason=explain_error(error))
        raise


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, DatabaseError) and error.sqlstate == LOCK_NOT_AVAILABLE


def _archive_date(dsn: str, url: str, date: datetime.date, even_if_pending: bool) -> ArchiveResult:
    target = f"{url.rstrip('/')}/meter_readings_{date:%Y%m%d}.parquet"
    table = sql.Identifier("myproperty", READINGS.name)
    with transaction(dsn, LOADER_ROLE) as session:
        session.execute(
            sql.SQL("select myproperty.begin_readings_archive({}, {})").format(date, even_if_pending)
        )
        rows = _read_partition(session, date)
        checksum = _read_checksum(session, table, date)
        if rows.num_rows:
            _write_file(rows, target)
            _prove_file(target, _read_totals(session, date), checksum)
        session.execute(
            sql.SQL("select myproperty.drop_readings_partition({}, {}, {}, {}, {})").format(
                date, rows.num_rows, target, checksum, even_if_pending
            )
        )
    if rows.num_rows:
        return ArchiveResult(date, "archived", rows.num_rows, target)
    return ArchiveResult(date, "removed")


def _read_partition(session: Session, date: datetime.date) -> pa.Table:
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


def _read_totals(session: Session, date: datetime.date) -> Totals:
    query = sql.SQL(
        "select channel, unit, count(*), sum(value_native)::text from myproperty.meter_readings "
        "where reading_date = {} group by channel, unit"
    )
    return {
        (channel, unit): (count, None if total is None else Decimal(total))
        for channel, unit, count, total in session.rows(query.format(date))
    }


def _read_checksum(session: Session, table: sql.Identifier, date: datetime.date) -> int:
    """Return the checksum of a date that PostgreSQL computes from its own rows."""
    where = sql.SQL("reading_date = {}").format(date).as_string()
    query = fingerprint_sql(READINGS, table.as_string(), "postgres", where)
    position = fingerprint_schema(READINGS).get_field_index("checksum")
    return sum(int(row[position]) for row in session.rows(query))


def _write_file(rows: pa.Table, url: str) -> None:
    """Write a file completely or not at all, and sync it to disk before its rows are dropped."""
    filesystem, path = fsspec.core.url_to_fs(url)
    part = f"{path}.part"
    try:
        if isinstance(filesystem, LocalFileSystem):
            close_folder(Path(path).parent)
        else:
            filesystem.makedirs(filesystem._parent(path), exist_ok=True)
        with filesystem.open(part, "wb") as stream:
            pq.write_table(rows, stream, compression="zstd")
        if isinstance(filesystem, LocalFileSystem):
            _sync_to_disk(Path(part))
            Path(part).replace(path)
            _sync_to_disk(Path(path).parent)
        else:
            filesystem.mv(part, path)
    except OSError as error:
        raise PartitionError(
            f"{url} cannot be written ({error}), so nothing was dropped: correct the place, or name another "
            "in MYPROPERTY_READINGS_ARCHIVE_URL"
        ) from error


def _sync_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_file(url: str) -> pa.Table:
    filesystem, path = fsspec.core.url_to_fs(url)
    try:
        with filesystem.open(path, "rb") as stream:
            rows = pq.read_table(stream)
    except (OSError, pa.ArrowInvalid) as error:
        raise PartitionError(f"{url} cannot be read: {error}. Put the file back, from a backup") from error
    if not rows.schema.equals(READINGS.columns):
        raise PartitionError(
            f"{url} does not have the columns of readings, so it is not a file of this archive"
        )
    return rows


def _prove_file(url: str, totals: Totals, checksum: int) -> None:
    """Read the file back and compare it with the totals and the checksum of PostgreSQL."""
    rows = _read_file(url)
    grouped = rows.group_by(["channel", "unit"]).aggregate([([], "count_all"), ("value_native", "sum")])
    names = ("channel", "unit", "count_all", "value_native_sum")
    columns = (grouped[name].to_pylist() for name in names)
    in_file = {(channel, unit): (count, total) for channel, unit, count, total in zip(*columns, strict=True)}
    if in_file != totals or arrow_checksum(READINGS, rows) != checksum:
        raise PartitionError(
            f"{url} differs from its partition, so nothing was dropped: check the disk, and archive again"
        )


def _encode_ids(rows: pa.Table) -> pa.Table:
    """Return the rows with their uuids as COPY takes them."""
    return pa.table(
        {name: as_bytes(rows[name]) if name in READINGS.uuids else rows[name] for name in rows.column_names}
    )
