"""Readings into their partitions: what is new, what replaces an older reading, and what is kept as history.

Here: the two ways in, a date that has no partition (built apart and attached) and a date that has one (a
temporary table, merged by the database). Not here: reading or judging a file, the ledger of jobs and the
quarantine (`load`), nor which of two readings is the current one (`myproperty.merge_readings`).
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

# What a reading says itself; the database adds the tenant and the job, which are the same for all of a load.
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
    """What became of the readings of a file. `touched` counts the rows that changed on each reading date.

    Among the unchanged are those that carry a newer source version: the current reading takes it on, so that
    a value made before the confirmation and arriving after it cannot replace the reading.
    """

    accepted: int = 0
    unchanged: int = 0
    new_versions: int = 0
    superseded: int = 0
    touched: Counter[datetime.date] = field(default_factory=Counter)


@dataclass
class Staged:
    """Readings that are on the server and not yet in `meter_readings`: `new_dates` lie in tables apart.

    `merged_dates` have their partition; `arriving` counts the readings that wait to be merged into them.
    """

    outcome: Outcome
    new_dates: list[datetime.date]
    merged_dates: list[datetime.date]
    arriving: int = 0

    @property
    def needs_ledger_lock(self) -> bool:
        """Whether a partition will be attached, which wants the lock before the first write to the ledger."""
        return bool(self.new_dates)


def archived_dates(session: Session) -> set[datetime.date]:
    """The reading dates that nothing is loaded into before they are restored."""
    return {row[0] for row in session.rows("select reading_date from warehouse_staging.archived_dates")}


def stage(session: Session, tables: Iterable[pa.Table], tenant_id: uuid.UUID, job_id: uuid.UUID) -> Staged:
    """Copy readings (schema `READING`) to the server, those of new dates into tables apart with their key.

    No table has a date before one of the tables before it. So the locks of all dates are taken in order of
    date, and two loads never wait for each other in a ring. Nothing of it is seen before `publish`, in the
    same transaction.
    """
    staged = Staged(Outcome(), [], [])
    last: datetime.date | None = None
    for table in tables:
        arriving: list[pa.Table] = []
        for date, part in _by_date(as_stored(table)):
            if date != last:
                _index(session, staged, last)
                is_new = _begin(session, date, tenant_id, job_id)
                (staged.new_dates if is_new else staged.merged_dates).append(date)
                last = date
            if date in staged.new_dates[-1:]:
                session.copy(part, _partition(date), "myproperty", is_of_this_transaction=True)
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
    _index(session, staged, last)
    return staged


def _index(session: Session, staged: Staged, date: datetime.date | None) -> None:
    """Give the table apart of a date its key, where it has one and all of its rows."""
    if date is not None and date in staged.new_dates[-1:]:
        _call(session, "index_readings_partition", date)


def publish(session: Session, staged: Staged, job_id: uuid.UUID) -> None:
    """Merge what has to be, which completes `staged.outcome`, and attach the tables apart.

    The job must be in the ledger by now.
    """
    if staged.merged_dates:
        _merge(session, staged, job_id)
    for date in staged.new_dates:
        _call(session, "attach_readings_partition", date)


def as_stored(readings: pa.Table) -> pa.Table:
    """The rows as they are sent, sorted by date and key: sorted input halves the cost of the key."""
    columns = {name: readings[name] for name in _COLUMNS} | {"meter_id": as_bytes(readings["meter_id"])}
    table = _sorted(pa.table(columns).combine_chunks())
    return table.add_column(0, "id", uuid7s(table.num_rows))


def _sorted(rows: pa.Table) -> pa.Table:
    """Rows in order of date, meter, channel and instant; of meters and channels, being few, the ranks."""
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
    """The place of each value among the different ones, in their order."""
    encoded = column.combine_chunks().dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    place = {value: rank for rank, value in enumerate(sorted(distinct))}
    ranks = np.array([place[value] for value in distinct], dtype=np.int64)
    return np.asarray(ranks[encoded.indices.to_numpy()])


def _by_date(rows: pa.Table) -> list[tuple[datetime.date, pa.Table]]:
    """Cut rows that are sorted by date into one table a date."""
    runs = pc.run_end_encode(rows["reading_date"].combine_chunks())
    ends = runs.run_ends.to_pylist()
    starts = [0, *ends][:-1]
    return [
        (date, rows.slice(start, end - start))
        for date, start, end in zip(runs.values.to_pylist(), starts, ends, strict=True)
    ]


def _partition(date: datetime.date) -> str:
    return f"meter_readings_{date:%Y%m%d}"


def _begin(session: Session, date: datetime.date, tenant_id: uuid.UUID, job_id: uuid.UUID) -> bool:
    """Lock a date; True if a table apart was made for it, False if it has its partition."""
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
    # Room for the readings of some dates in a hash table; the default spills a single one.
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
