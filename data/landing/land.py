"""Landing: tables of the OLTP copied into `warehouse_staging`.

Here: replacing a table or the dates of a range, and copying the changes of a growing table. Not here: whether
the source still has the columns (`drift`), or reading the copy (`read`).
"""

import datetime
from collections.abc import Collection

from psycopg import sql

from data.ingest.errors import IngestError
from data.landing.entities import ISSUES, READINGS, Entity, find_entity
from data.landing.published_dates import withdraw_dates, withdraw_held_dates
from data.landing.sql_forms import filter_dates, landing_table, source_column, source_table
from myproperty.database.locks import lock_landing, share_reading_dates
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import Session, transaction

# A row carries the start of its transaction as updated_at and is visible at its end: no writer of these
# tables takes longer than this.
OVERLAP = datetime.timedelta(hours=1)


def land(
    entity: str,
    dsn: str,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
    *,
    is_whole: bool = False,
    left_out: Collection[str] = (),
) -> int:
    """Replace the landed rows of an entity, all or for reading dates in [start, end); returns their number.

    Of a growing table only the changes are written, and deleted rows are removed, unless `is_whole`, which
    replaces all of its rows. The number counts all rows. The rows of the tenants `left_out` (ids) on these
    dates stay as they were landed before.
    If a row with effect on past dates changed, those dates become pending again (`published_dates`). One
    transaction: readers see the old rows or the new. Raises `IngestError` for an archived date, and
    ValueError for an unknown entity, or for dates of an entity without dates.
    """
    described, dates = find_entity(entity, start, end)
    with transaction(dsn, ETL_ROLE) as session:
        lock_landing(session, entity)
        if dates is None:
            if described.effective is not None:
                withdraw_dates(session, described, described.effective)
            if described.is_growing and not is_whole:
                return _merge_changes(session, described)
            return _replace(session, described)
        where = filter_dates(described, dates)
        if left_out:
            where = sql.SQL("{} and tenant_id <> all ({}::uuid[])").format(
                where, sql.Literal(sorted(left_out))
            )
        if described.name == ISSUES:
            withdraw_held_dates(session)
        if described.name == READINGS:
            _prepare_readings(session, described, dates, where)
        return _replace(session, described, where)


def _prepare_readings(
    session: Session, entity: Entity, dates: list[datetime.date], where: sql.Composable
) -> None:
    """Wait for loads of these dates, refuse an archived date, and make the landing partitions."""
    # The lock of `begin_readings_partition`: landing waits for a running load of a date and sees its rows.
    # A later load touches the date after it was landed, so the date is pending again.
    share_reading_dates(session, dates)
    archived = "select min(reading_date) from warehouse_staging.archived_dates where reading_date = any($1)"
    date = session.rows(archived, (dates,))[0][0]
    if date is not None:
        raise IngestError(
            f"the readings of {date} are archived, and landing the date would empty its marts: "
            f"run `myproperty partitions restore {date}` first, or leave the date out"
        )
    ensure = sql.SQL(
        "select warehouse_staging.ensure_readings_partition(reading_date)"
        " from (select distinct reading_date from {} where {}) as found order by reading_date"
    )
    session.execute(ensure.format(source_table(entity), where))


def _replace(session: Session, entity: Entity, where: sql.Composable | None = None) -> int:
    where = where or sql.SQL("true")
    session.execute(sql.SQL("delete from {} where {}").format(landing_table(entity), where))
    session.execute(_insert(entity, where))
    return _count_rows(session, entity, where)


def _merge_changes(session: Session, entity: Entity) -> int:
    """Copy the rows changed since the last landed one, minus `OVERLAP`, and remove the deleted rows."""
    target, source = landing_table(entity), source_table(entity)
    latest = session.rows(sql.SQL("select max(updated_at) from {}").format(target))[0][0]
    changed = sql.SQL("updated_at >= {}").format(sql.Literal(latest - OVERLAP)) if latest else sql.SQL("true")
    taken = [name for name in (*entity.columns.names, "landed_at") if name not in entity.key]
    # An unchanged row keeps its landed_at, so that it is not loaded into the warehouse again.
    session.execute(
        sql.SQL(
            "{insert} on conflict ({key}) do update set ({columns}) = row({values}) "
            "where {target}.version is distinct from excluded.version"
        ).format(
            insert=_insert(entity, changed),
            key=sql.SQL(", ").join(map(sql.Identifier, entity.key)),
            columns=sql.SQL(", ").join(map(sql.Identifier, taken)),
            values=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in taken),
            target=sql.Identifier(entity.name),
        )
    )
    same = sql.SQL(" and ").join(sql.SQL("s.{0} = t.{0}").format(sql.Identifier(name)) for name in entity.key)
    session.execute(
        sql.SQL("delete from {} as t where not exists (select from {} as s where {})").format(
            target, source, same
        )
    )
    return _count_rows(session, entity, sql.SQL("true"))


def _insert(entity: Entity, where: sql.Composable) -> sql.Composed:
    return sql.SQL("insert into {target} ({columns}) select {forms} from {source} where {where}").format(
        target=landing_table(entity),
        columns=sql.SQL(", ").join(map(sql.Identifier, entity.columns.names)),
        forms=sql.SQL(", ").join(source_column(entity, name) for name in entity.columns.names),
        source=source_table(entity),
        where=where,
    )


def _count_rows(session: Session, entity: Entity, where: sql.Composable) -> int:
    counted = sql.SQL("select count(*) from {} where {}").format(landing_table(entity), where)
    return int(session.rows(counted)[0][0])
