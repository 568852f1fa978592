"""The readings of a file in the partitions of `meter_readings`: new ones, newer versions, and the history.

Here: two ways to write. The readings of a date without a partition go to a separate table, which is attached
as the partition. The readings of a date with a partition go to a temporary table, which the database merges.
Not here: reading or judging a file, the ledger and the quarantine (`load`), or which of two readings is
current (`myproperty.merge_readings`).
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from data.ingest.errors import IngestError
from myproperty.database.ids import as_bytes, uuid7s
from myproperty.database.session import DatabaseError, Session

# The database adds the tenant and the job, which all readings of a load share.
_COLUMNS = (
    "meter_id",
    "channel",
    "reading_ts",
    "reading_date",
    "interval_seconds",
    "value_native",
    "unit",
    "value_kwh",
    "quality",
    "quality_method",
    "reason_code",
    "is_estimated",
    "source",
    "source_version",
)


@dataclass
class Outcome:
    """The counts of the readings of a file. `touched` counts the rows that changed on each reading date.

    A reading that has the same value and a newer source version is unchanged: the current reading takes on
    the newer version. So a value made before that version, and arriving after it, cannot replace the reading.
    """

    accepted: int = 0
    unchanged: int = 0
    new_versions: int = 0
    superseded: int = 0
    touched: Counter[datetime.date] = field(default_factory=Counter)


@dataclass
class Staged:
    """Readings that are on the server and not yet in `meter_readings`.

    The readings of `new_dates` are in separate tables. `merged_dates` have a partition; `arriving` counts the
    readings that wait to be merged into them.
    """

    outcome: Outcome
    new_dates: list[datetime.date]
    merged_dates: list[datetime.date]
    arriving: int = 0

    @property
    def needs_ledger_lock(self) -> bool:
        """Whether a partition will be attached: this needs the lock before the first write to the ledger."""
        return bool(self.new_dates)


def read_archived_dates(session: Session) -> set[datetime.date]:
    """Return the reading dates that accept no readings until they are restored."""
    return {row[0] for row in session.rows("select reading_date from warehouse_staging.archived_dates")}


def stage_readings(
    session: Session, tables: Iterable[pa.Table], tenant_id: uuid.UUID, job_id: uuid.UUID
) -> Staged:
    """Copy readings (schema `READING`) to the server, those of new dates into separate tables with their key.

    `tables` come in order of date. So the locks of all dates are taken in order of date, and two loads cannot
    deadlock. No reading is visible before `write_staged`, in the same transaction.
    """
    staged = Staged(Outcome(), [], [])
    last: datetime.date | None = None
    for table in tables:
        arriving: list[pa.Table] = []
        for date, part in _split_by_date(prepare_for_copy(table)):
            if date != last:
                _index_new_date(session, staged, last)
                is_new = _begin_date(session, date, tenant_id, job_id)
                (staged.new_dates if is_new else staged.merged_dates).append(date)
                last = date
            if date in staged.new_dates[-1:]:
                session.copy(part, _partition_name(date), "myproperty", is_of_this_transaction=True)
                staged.outcome.accepted += part.num_rows
                staged.outcome.touched[date] += part.num_rows
            else:
                arriving.append(part)
        if arriving:
            if not staged.arriving:
                # Room for the readings of a file; the default of 8 MB writes them out and reads them back.
                session.execute("set temp_buffers = '64MB'")
                session.execute("select myproperty.begin_readings_merge()")
            staged.arriving += session.copy(arriving, "arriving")
    _index_new_date(session, staged, last)
    return staged


def _index_new_date(session: Session, staged: Staged, date: datetime.date | None) -> None:
    """Create the key of the separate table of a date, if it has one, once it has all of its rows."""
    if date is not None and date in staged.new_dates[-1:]:
        _call(session, "index_readings_partition", date)


def write_staged(session: Session, staged: Staged, job_id: uuid.UUID) -> None:
    """Merge and attach the staged readings, and complete `staged.outcome`. The job must be in the ledger."""
    if staged.merged_dates:
        _merge(session, staged, job_id)
    for date in staged.new_dates:
        _call(session, "attach_readings_partition", date)


def prepare_for_copy(readings: pa.Table) -> pa.Table:
    """Return the rows with ids, sorted by date and key: sorted input halves the cost of the key."""
    columns = {name: readings[name] for name in _COLUMNS} | {"meter_id": as_bytes(readings["meter_id"])}
    table = _sort_rows(pa.table(columns).combine_chunks())
    return table.add_column(0, "id", uuid7s(table.num_rows))


def _sort_rows(rows: pa.Table) -> pa.Table:
    """Sort rows by date, meter, channel and instant. Meters and channels are few, so their ranks are used."""
    date, instant = (
        rows[name].cast(kind).cast(pa.int64()).to_numpy()
        for name, kind in (("reading_date", pa.int32()), ("reading_ts", pa.int64()))
    )
    keys = (instant, _ranks(rows["channel"]), _ranks(rows["meter_id"]), date)
    order = np.lexsort(keys)
    if (order[1:] > order[:-1]).all():
        return rows
    return rows.take(pa.array(order))


def _ranks(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the rank of each value among the distinct values."""
    encoded = column.combine_chunks().dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    place = {value: rank for rank, value in enumerate(sorted(distinct))}
    ranks = np.array([place[value] for value in distinct], dtype=np.int64)
    return np.asarray(ranks[encoded.indices.to_numpy()])


def _split_by_date(rows: pa.Table) -> list[tuple[datetime.date, pa.Table]]:
    """Split rows that are sorted by date into one table for each date."""
    runs = pc.run_end_encode(rows["reading_date"].combine_chunks())
    ends = runs.run_ends.to_pylist()
    starts = [0, *ends][:-1]
    return [
        (date, rows.slice(start, end - start))
        for date, start, end in zip(runs.values.to_pylist(), starts, ends, strict=True)
    ]


def _partition_name(date: datetime.date) -> str:
    return f"meter_readings_{date:%Y%m%d}"


def _begin_date(session: Session, date: datetime.date, tenant_id: uuid.UUID, job_id: uuid.UUID) -> bool:
    """Lock a date. Returns True if a separate table was made for it, False if it has a partition."""
    call = sql.SQL("select myproperty.begin_readings_partition({}) is not null").format(
        sql.SQL(", ").join(map(sql.Literal, (date, tenant_id, job_id)))
    )
    try:
        return bool(session.rows(call)[0][0])
    except DatabaseError as error:
        if error.sqlstate != "MP003":
            raise
        raise IngestError(
            f"the readings of {date} were archived while the file was judged, so nothing was written: ingest "
            "it again, and its readings of that date go to quarantine"
        ) from error


def _merge(session: Session, staged: Staged, job_id: uuid.UUID) -> None:
    # Room for the readings of some dates in a hash table; the default spills the readings of one date.
    session.execute("set local work_mem = '64MB'")
    query = sql.SQL("select reading_date, outcome, readings from myproperty.merge_readings({}, {})").format(
        sql.Literal(job_id), sql.Literal(staged.merged_dates)
    )
    outcome = staged.outcome
    outcome.unchanged = staged.arriving
    names = {"new": "accepted", "newer": "new_versions", "older": "superseded"}
    for date, what, count in session.rows(query):
        if what in names:
            setattr(outcome, names[what], getattr(outcome, names[what]) + count)
            outcome.unchanged -= count
        if what in ("new", "newer"):
            outcome.touched[date] += count


def _call(session: Session, function: str, date: datetime.date) -> None:
    session.execute(
        sql.SQL("select {}({})").format(sql.Identifier("myproperty", function), sql.Literal(date))
    )
