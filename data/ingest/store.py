"""Readings into their partitions: what is new, what replaces an older reading, and what is kept as history.

Here: the two ways in, a date that has no partition (built apart and attached) and a date that has one (a
temporary table and MERGE), and which of two readings is the current one. Not here: reading or judging a
file, the ledger of jobs and the quarantine (`load`).
"""

import datetime
import uuid
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from data.ingest.errors import IngestError
from data.ingest.ids import as_bytes, repeated, uuid7s
from data.ingest.schema import TIMESTAMP
from data.ingest.session import DatabaseError, Session

KEY = ("tenant_id", "meter_id", "channel", "reading_ts", "reading_date")
_CONTENT = (
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
    "ingestion_job_id",
)
_COLUMNS = ("id", *KEY, *_CONTENT, "version", "created_at", "updated_at")
# What a reading says; how the sender got there (method, reason) makes no new version by itself.
_SAME = ("value_native", "unit", "interval_seconds", "quality")


@dataclass
class Outcome:
    """What became of the readings of a file. `touched` counts the rows that changed on each reading date.

    `confirmed` are those of the unchanged that carry a newer source version: the current reading takes it
    on, so that a value made before the confirmation and arriving after it cannot replace the reading.
    """

    accepted: int = 0
    unchanged: int = 0
    new_versions: int = 0
    superseded: int = 0
    confirmed: int = 0
    touched: Counter[datetime.date] = field(default_factory=Counter)


@dataclass
class Staged:
    """Readings that are on the server and not yet in `meter_readings`: `new_dates` lie in tables apart."""

    outcome: Outcome
    new_dates: list[datetime.date]
    merged_dates: list[datetime.date]

    @property
    def needs_ledger_lock(self) -> bool:
        """Whether a partition will be attached, which wants the lock before the first write to the ledger."""
        return bool(self.new_dates)


def archived_dates(session: Session) -> set[datetime.date]:
    """The reading dates that nothing is loaded into before they are restored."""
    return {row[0] for row in session.rows("select reading_date from warehouse_staging.archived_dates")}


def stage(session: Session, readings: pa.Table, tenant_id: uuid.UUID, job_id: uuid.UUID) -> Staged:
    """Copy readings (schema `READING`) to the server and decide what each of them is.

    Takes the locks of all dates in order of date, so that two loads never wait for each other in a ring.
    Nothing of it is seen before `publish`, in the same transaction.
    """
    rows = _rows(readings, tenant_id, job_id)
    outcome = Outcome()
    apart: list[datetime.date] = []
    there: list[datetime.date] = []
    parts: list[pa.Table] = []
    for date, part in _by_date(rows):
        if _begin(session, date):
            session.copy(part, _partition(date), "myproperty")
            outcome.accepted += part.num_rows
            outcome.touched[date] += part.num_rows
            apart.append(date)
        else:
            parts.append(part)
            there.append(date)
    if there:
        _decide(session, pa.concat_tables(parts), there, outcome)
    return Staged(outcome, apart, there)


def publish(session: Session, staged: Staged, job_id: uuid.UUID) -> None:
    """Attach the tables apart and merge the rest; the job must be in the ledger by now."""
    for date in staged.new_dates:
        session.execute(sql.SQL("select myproperty.attach_readings_partition({})").format(sql.Literal(date)))
    if staged.merged_dates:
        _merge(session, staged, job_id)


def _rows(readings: pa.Table, tenant_id: uuid.UUID, job_id: uuid.UUID) -> pa.Table:
    """The rows as the table has them, sorted by date and key: sorted input halves the cost of the key."""
    count = readings.num_rows
    now = pa.repeat(pa.scalar(datetime.datetime.now(datetime.UTC), TIMESTAMP), count)
    made = {
        "tenant_id": repeated(tenant_id, count),
        "meter_id": as_bytes(readings["meter_id"]),
        "ingestion_job_id": repeated(job_id, count),
        "version": pa.repeat(pa.scalar(1, pa.int32()), count),
        "created_at": now,
        "updated_at": now,
    }
    taken = {name: made[name] if name in made else readings[name] for name in _COLUMNS if name != "id"}
    order = [("reading_date", "ascending"), ("meter_id", "ascending"), ("channel", "ascending")]
    table = pa.table(taken).sort_by([*order, ("reading_ts", "ascending")])
    return table.add_column(0, "id", uuid7s(count))


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


def _begin(session: Session, date: datetime.date) -> bool:
    """Lock a date; True if a table apart was made for it, False if it has its partition."""
    call = sql.SQL("select myproperty.begin_readings_partition({}) is not null").format(sql.Literal(date))
    try:
        return bool(session.rows(call)[0][0])
    except DatabaseError as error:
        if error.sqlstate != "MP003":
            raise
        raise IngestError(
            f"the readings of {date} were archived while the file was judged, so nothing was written: ingest "
            "it again, and its readings of that date go to quarantine"
        ) from error


def _decide(session: Session, rows: pa.Table, dates: list[datetime.date], outcome: Outcome) -> None:
    """Compare rows with the current readings of their dates; leaves the temporary table `incoming`.

    Rank decides, then the source's version. Of the same rank and version the later arrival is current: the
    sender told us no order, and a corrected file often keeps the time of its first making.
    """
    session.execute(
        "create temporary table arriving (like myproperty.meter_readings including defaults) on commit drop"
    )
    session.copy(rows, "arriving")
    session.execute("analyze arriving")
    session.execute(
        sql.SQL(
            """
            create temporary table incoming on commit drop as
            select a.*, c.value_kwh as replaced_kwh,
                case
                    when c.id is null then 'new'
                    when {same_current} and a.source_version > c.source_version then 'confirmed'
                    when {same_current} then 'unchanged'
                    when exists (
                        select from myproperty.meter_reading_versions as h
                        where {key_history} and {same_history} and h.source_version = a.source_version
                    ) then 'unchanged'
                    when {rank_a} < {rank_c} then 'newer'
                    when {rank_a} = {rank_c} and a.source_version >= c.source_version then 'newer'
                    else 'older'
                end as outcome
            from arriving as a
            left join myproperty.meter_readings as c on {key_current} and c.reading_date = any({dates})
            """
        ).format(
            same_current=_all_equal("a", "c", _SAME),
            same_history=_all_equal("a", "h", _SAME),
            key_history=_equal("a", "h", KEY),
            key_current=_equal("a", "c", KEY),
            rank_a=_rank("a"),
            rank_c=_rank("c"),
            dates=sql.Literal(dates),
        )
    )
    session.execute("analyze incoming")
    counted = session.rows(
        "select outcome, reading_date, count(*) from incoming group by outcome, reading_date"
    )
    for what, date, count in counted:
        _count(outcome, what, date, count)


def _count(outcome: Outcome, what: str, date: datetime.date, count: int) -> None:
    names = {"new": "accepted", "newer": "new_versions", "older": "superseded"}
    if what == "confirmed":
        outcome.confirmed += count
    name = names.get(what, "unchanged")
    setattr(outcome, name, getattr(outcome, name) + count)
    if what in ("new", "newer"):
        outcome.touched[date] += count


def _merge(session: Session, staged: Staged, job_id: uuid.UUID) -> None:
    parts = {
        "columns": sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
        "columns_c": _columns("c", _COLUMNS),
        "columns_i": _columns("i", _COLUMNS),
        "key_c": _equal("i", "c", KEY),
        "key_h": _equal("i", "h", KEY),
        "dates": sql.Literal(staged.merged_dates),
        "job": sql.Literal(job_id),
    }
    if staged.outcome.new_versions:
        session.execute(_KEEP_REPLACED.format(**parts))
    if staged.outcome.new_versions or staged.outcome.accepted:
        session.execute(_MERGE.format(**parts, content=_assignments(("id", *_CONTENT))))
    if staged.outcome.confirmed:
        session.execute(_CONFIRM.format(**parts))
    if staged.outcome.superseded:
        session.execute(_KEEP_LATE.format(**parts, late_columns=_columns("i", _COLUMNS[:-3])))


_KEEP_REPLACED = sql.SQL(
    """
    insert into myproperty.meter_reading_versions ({columns}, replaced_at, replaced_by_job_id)
    select {columns_c}, now(), {job}
    from incoming as i
    join myproperty.meter_readings as c on {key_c} and c.reading_date = any({dates})
    where i.outcome = 'newer'
    """
)
_MERGE = sql.SQL(
    """
    merge into myproperty.meter_readings as c
    using (select * from incoming where outcome in ('new', 'newer')) as i
    on {key_c} and c.reading_date = any({dates})
    when matched then update set {content}
    when not matched then insert ({columns}) values ({columns_i})
    """
)
_CONFIRM = sql.SQL(
    """
    update myproperty.meter_readings as c
    set source_version = i.source_version
    from incoming as i
    where {key_c} and c.reading_date = any({dates}) and i.outcome = 'confirmed'
    """
)
# A reading that was never current has a version below 1, counted down: 1, 2, 3 ... stay those that were.
_KEEP_LATE = sql.SQL(
    """
    insert into myproperty.meter_reading_versions (
        {columns}, replaced_at, replaced_by_job_id
    )
    select
        {late_columns},
        least(1, (select min(h.version) from myproperty.meter_reading_versions as h where {key_h})) - 1,
        i.created_at, i.updated_at, now(), {job}
    from incoming as i
    where i.outcome = 'older'
    """
)


def _rank(alias: str) -> sql.Composed:
    # As strings: in the text of an array literal null is NULL, and nothing would be better than that.
    return sql.SQL("array_position(array['actual', 'edited', 'estimated', 'null'], {})").format(
        sql.Identifier(alias, "quality")
    )


def _equal(left: str, right: str, names: tuple[str, ...]) -> sql.Composed:
    pairs = (
        sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name)) for name in names
    )
    return sql.SQL(" and ").join(pairs)


def _all_equal(left: str, right: str, names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL("({}) is not distinct from ({})").format(_columns(left, names), _columns(right, names))


def _columns(alias: str, names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in names)


def _assignments(names: tuple[str, ...]) -> sql.Composed:
    pairs = (sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("i", name)) for name in names)
    return sql.SQL(", ").join(pairs)
