"""Landing: tables of the OLTP copied into `warehouse_staging`, and read from there for the warehouse.

Here: replacing a table or the dates of a range, taking over what changed in a growing table, and
fingerprints of both sides. Not here: whether the source still has the columns (`drift`), the warehouse
(`warehouse`, `bigquery`), or whether the two sides agree (gate B).
"""

import datetime
from typing import Literal

import pandas as pd
import pyarrow as pa
from psycopg import sql

from data.ingest.errors import IngestError
from data.landing.entities import ENTITIES, Entity
from data.landing.fingerprint import fingerprint_frame, fingerprint_schema, fingerprint_sql
from myproperty.database.session import Session, transaction

ETL_ROLE = "myproperty_etl"
READINGS = "meter_readings"
# updated_at is when a transaction began, and it shows when that ends: no writer of these tables takes longer.
OVERLAP = datetime.timedelta(hours=1)
_WITHDRAW = """
with l as (select {columns} from {landing}),
s as (select {forms} from {source}),
both_sides as (
    select
        case when l.id is null then '{{}}' else datemultirange(daterange(l.{first}, l.{end})) end as before,
        case when s.id is null then '{{}}' else datemultirange(daterange(s.{first}, s.{end})) end as after,
        to_jsonb(l) - {moves}::text[] is not distinct from to_jsonb(s) - {moves}::text[] as is_same
    from l full join s on l.tenant_id = s.tenant_id and l.id = s.id
)
delete from warehouse_staging.published_dates as p
using both_sides as b
where p.reading_date <@ case
    when b.is_same then (b.before - b.after) + (b.after - b.before) else b.before + b.after
end
"""
SourceSchema = Literal["myproperty", "warehouse_staging"]


def land(entity: str, dsn: str, start: datetime.date | None = None, end: datetime.date | None = None) -> int:
    """Replace the landing rows of an entity, whole or for reading dates in [start, end); returns the rows.

    Of a growing table only what changed is written, and deleted rows go; the rows returned are all of it.
    Where a row with effect on past dates changed, those dates are pending again (`published_dates`).
    One transaction: readers see the old rows or the new. Raises `IngestError` for an archived date, and
    ValueError for an unknown entity, or dates where they do not belong.
    """
    described, dates = _described(entity, start, end)
    with transaction(dsn, ETL_ROLE) as session:
        # Two runs at once would both delete the rows that were there, and both insert.
        session.execute("select pg_advisory_xact_lock(hashtextextended('landing of ' || $1, 0))", (entity,))
        if dates is None:
            if described.effective is not None:
                _withdraw_dates(session, described, described.effective)
            return _merge(session, described) if described.is_growing else _replace(session, described)
        where = _where(described, dates)
        if described.name == READINGS:
            _prepare_readings(session, described, dates, where)
        return _replace(session, described, where)


def withdraw_changed_dates(dsn: str) -> None:
    """Make the dates pending again on which a row holds that is other than it was landed."""
    with transaction(dsn, ETL_ROLE) as session:
        for entity in ENTITIES.values():
            if entity.effective is not None:
                _withdraw_dates(session, entity, entity.effective)


def read_landing(
    entity: str, dsn: str, date: datetime.date | None = None, since: datetime.datetime | None = None
) -> pa.Table:
    """The landed rows of an entity, whole or of one reading date, in its schema and in order of its key.

    `since` leaves out what was landed before that instant.
    """
    described, dates = _described(entity, date, date + datetime.timedelta(days=1) if date else None)
    where = _where(described, dates)
    if since is not None:
        where = sql.SQL("{} and landed_at >= {}").format(where, sql.Literal(since))
    query = sql.SQL("select {columns} from {table} where {where} order by {key}").format(
        columns=sql.SQL(", ").join(_read_form(described, name) for name in described.schema.names),
        table=sql.Identifier("warehouse_staging", entity),
        where=where,
        key=sql.SQL(", ").join(sql.Identifier(described.name, name) for name in described.key),
    )
    with transaction(dsn, ETL_ROLE) as session:
        return session.arrow(query, described.schema)


def fingerprint(
    entity: str,
    dsn: str,
    schema: SourceSchema = "warehouse_staging",
    start: datetime.date | None = None,
    end: datetime.date | None = None,
) -> pd.DataFrame:
    """The fingerprint of landing, or of its source in schema `myproperty`, over [start, end) or the whole."""
    described, dates = _described(entity, start, end)
    query = fingerprint_sql(
        described,
        table=sql.Identifier(schema, entity).as_string(),
        dialect="postgres",
        where=_where(described, dates).as_string(),
        forms=dict(described.source_columns) if schema == "myproperty" else {},
    )
    with transaction(dsn, ETL_ROLE) as session:
        return fingerprint_frame(described, session.arrow(query, fingerprint_schema(described)))


def _described(
    entity: str, start: datetime.date | None, end: datetime.date | None
) -> tuple[Entity, list[datetime.date] | None]:
    if entity not in ENTITIES:
        raise ValueError(f"unknown entity {entity!r}: one of {', '.join(ENTITIES)}")
    described = ENTITIES[entity]
    if described.partition_column is None:
        if start is not None or end is not None:
            raise ValueError(f"{entity} has no dates: it is landed whole")
        return described, None
    if start is None or end is None:
        raise ValueError(f"{entity} is landed by reading date: give start and end")
    return described, [start + datetime.timedelta(days=day) for day in range((end - start).days)]


def _where(entity: Entity, dates: list[datetime.date] | None) -> sql.Composable:
    """Dates as constants, so that partitions are pruned."""
    if dates is None or entity.partition_column is None:
        return sql.SQL("true")
    return sql.SQL("{} = any({}::date[])").format(sql.Identifier(entity.partition_column), sql.Literal(dates))


def _prepare_readings(
    session: Session, entity: Entity, dates: list[datetime.date], where: sql.Composable
) -> None:
    """Wait for loads of these dates, refuse an archived one, and have landing partitions for them."""
    # The lock of `begin_readings_partition`: a load of a date that is under way is waited for and seen.
    # One that comes later touches the date after it was landed, so the date is pending again.
    session.execute(
        "select pg_advisory_xact_lock_shared(7305, day - date '2000-01-01')"
        " from unnest($1::date[]) as day order by day",
        (dates,),
    )
    archived = "select min(reading_date) from warehouse_staging.archived_dates where reading_date = any($1)"
    date = session.rows(archived, (dates,))[0][0]
    if date is not None:
        raise IngestError(
            f"the readings of {date} are archived, and landing none would empty its marts: "
            f"run `myproperty partitions restore {date}` first, or leave the date out"
        )
    ensure = sql.SQL(
        "select warehouse_staging.ensure_readings_partition(reading_date)"
        " from (select distinct reading_date from {} where {}) as found order by reading_date"
    )
    session.execute(ensure.format(sql.Identifier("myproperty", entity.name), where))


def _withdraw_dates(session: Session, entity: Entity, stem: str) -> None:
    """Take back the publication of the dates on which the source says other than landing does.

    Of a row that only begins or ends on another date, these are the dates in between.
    """
    columns = sql.SQL(", ")
    session.execute(
        sql.SQL(_WITHDRAW).format(
            columns=columns.join(map(sql.Identifier, entity.columns.names)),
            forms=columns.join(
                sql.SQL("{} as {}").format(_source_form(entity, name), sql.Identifier(name))
                for name in entity.columns.names
            ),
            landing=_landing(entity),
            source=sql.Identifier("myproperty", entity.name),
            first=sql.Identifier(f"{stem}_from"),
            end=sql.Identifier(f"{stem}_to"),
            moves=sql.Literal([f"{stem}_from", f"{stem}_to", "version", "updated_at"]),
        )
    )


def _replace(session: Session, entity: Entity, where: sql.Composable | None = None) -> int:
    where = where or sql.SQL("true")
    session.execute(sql.SQL("delete from {} where {}").format(_landing(entity), where))
    session.execute(_insert(entity, where))
    return _count(session, entity, where)


def _merge(session: Session, entity: Entity) -> int:
    """Take over the rows changed since the last one landed, less `OVERLAP`, and drop those deleted since."""
    target, source = _landing(entity), sql.Identifier("myproperty", entity.name)
    latest = session.rows(sql.SQL("select max(updated_at) from {}").format(target))[0][0]
    changed = sql.SQL("updated_at >= {}").format(sql.Literal(latest - OVERLAP)) if latest else sql.SQL("true")
    taken = [name for name in (*entity.columns.names, "landed_at") if name not in entity.key]
    # What is the same stays as it was landed, so that it is not loaded again either.
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
    return _count(session, entity, sql.SQL("true"))


def _landing(entity: Entity) -> sql.Identifier:
    return sql.Identifier("warehouse_staging", entity.name)


def _insert(entity: Entity, where: sql.Composable) -> sql.Composed:
    return sql.SQL("insert into {target} ({columns}) select {forms} from {source} where {where}").format(
        target=_landing(entity),
        columns=sql.SQL(", ").join(map(sql.Identifier, entity.columns.names)),
        forms=sql.SQL(", ").join(_source_form(entity, name) for name in entity.columns.names),
        source=sql.Identifier("myproperty", entity.name),
        where=where,
    )


def _count(session: Session, entity: Entity, where: sql.Composable) -> int:
    counted = sql.SQL("select count(*) from {} where {}").format(_landing(entity), where)
    return int(session.rows(counted)[0][0])


def _source_form(entity: Entity, name: str) -> sql.Composable:
    if name in entity.source_columns:
        return sql.SQL(entity.source_columns[name])
    return sql.Identifier(name)


def _read_form(entity: Entity, name: str) -> sql.Composable:
    """A column as Arrow can have it: uuids and documents as text."""
    column = sql.Identifier(entity.name, name)
    if name in entity.uuids or name in entity.documents:
        return sql.SQL("{}::text as {}").format(column, sql.Identifier(name))
    return column
