"""Landing: tables of the OLTP copied into `warehouse_staging`, and what they held at that instant.

Here: replacing a table or the dates of a range, and copying the changes of a growing table. The application
writes on meanwhile, so tables that are landed together are copied from one snapshot, and the fingerprint of
the source is taken in it, for gate B. Not here: whether the source still has the columns (`drift`), or
reading the copy (`read`).
"""

import datetime
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from psycopg import sql

from data.ingest.errors import IngestError
from data.landing.entities import ENTITIES, ISSUES, READINGS, Entity, find_entity
from data.landing.published_dates import withdraw_dates, withdraw_held_dates
from data.landing.read import fingerprint_query
from data.landing.sql_forms import filter_dates, landing_table, source_column, source_table
from myproperty.database.locks import lock_landing_of_session, share_reading_dates_of_session
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import Session, transaction

# A row carries the start of its transaction as updated_at and is visible at its end: no writer of these
# tables takes longer than this.
OVERLAP = datetime.timedelta(hours=1)
_KEEP_SOURCE = """
insert into warehouse_staging.landed_sources (entity, tenant_id, partition_date, row_count, sums, checksum)
select
    {entity},
    (f ->> 'tenant_id')::uuid,
    (f ->> {partition}::text)::date,
    (f ->> 'rows')::bigint,
    f - '{{tenant_id,rows,checksum}}'::text[] - coalesce({partition}, ''),
    (f ->> 'checksum')::bigint
from jsonb_array_elements($1::text::jsonb) as f
"""


def land(
    entity: str,
    dsn: str,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
    *,
    is_whole: bool = False,
    left_out: Collection[str] = (),
    are_loads_held: bool = False,
) -> int:
    """Replace the landed rows of an entity, all or for reading dates in [start, end); returns their number.

    Of a growing table only the changes are written, and deleted rows are removed, unless `is_whole`, which
    replaces all of its rows. The number counts all rows. The rows of the tenants `left_out` (ids) on these
    dates stay as they were landed before. `are_loads_held` says that another session holds off loads of the
    dates: waiting for them again would be waiting behind the loads that wait for it.
    If a row with effect on past dates changed, those dates become pending again (`published_dates`). One
    transaction: readers see the old rows or the new. Raises `IngestError` for an archived date, and
    ValueError for an unknown entity, or for dates of an entity without dates.
    """
    described, dates = find_entity(entity, start, end)
    if dates is None:
        with _snapshot(dsn, [entity]) as session:
            return _land_whole(session, described, is_whole=is_whole)
    tenants: sql.Composable = sql.SQL("true")
    if left_out:
        tenants = sql.SQL("tenant_id <> all ({}::uuid[])").format(sql.Literal(sorted(left_out)))
    where = sql.SQL("{} and {}").format(filter_dates(described, dates), tenants)
    waits_for_loads = entity == READINGS and not are_loads_held
    with _snapshot(dsn, [entity], dates if waits_for_loads else ()) as session:
        if entity == ISSUES:
            withdraw_held_dates(session)
        if entity == READINGS:
            _prepare_readings(session, described, dates, where)
        landed = sql.SQL("partition_date = any({}::date[]) and {}").format(sql.Literal(dates), tenants)
        # A statement that writes has one core: what a day of many meters held is added up beside it.
        with ThreadPoolExecutor(1) as beside:
            found = beside.submit(_read_source, dsn, session.export_snapshot(), described, where)
            rows = _replace(session, described, where)
            _keep_source(session, described, found.result(), landed)
        return rows


def land_together(entities: Sequence[str], dsn: str) -> dict[str, int]:
    """Land entities without dates from one snapshot, in one transaction; return the rows of each.

    A ticket and its activities, an invoice and its entries belong together: a later snapshot of one of them
    would have rows that refer to nothing. Otherwise as `land`.
    """
    described = [find_entity(entity, None, None)[0] for entity in entities]
    with _snapshot(dsn, entities) as session:
        return {entity.name: _land_whole(session, entity) for entity in described}


@contextmanager
def _snapshot(dsn: str, entities: Sequence[str], dates: Sequence[datetime.date] = ()) -> Iterator[Session]:
    """Open a transaction that sees one instant, after other landings of these tables and loads of `dates`.

    The locks come first, and belong to the session: the snapshot of a transaction is that of its first query.
    The lock of a date is that of `begin_readings_partition`: landing waits for a running load and sees its
    rows. A later load touches the date after it was landed, so the date is pending again.
    """
    with transaction(dsn, ETL_ROLE) as session:
        for entity in sorted(entities, key=list(ENTITIES).index):
            lock_landing_of_session(session, entity)
        if dates:
            share_reading_dates_of_session(session, dates)
        session.begin_snapshot()
        yield session


def _land_whole(session: Session, entity: Entity, *, is_whole: bool = False) -> int:
    if entity.effective is not None:
        withdraw_dates(session, entity, entity.effective)
    rows = (
        _merge_changes(session, entity)
        if entity.is_growing and not is_whole
        else _replace(session, entity, sql.SQL("true"))
    )
    everything = sql.SQL("true")
    _keep_source(session, entity, _add_up_source(session, entity, everything), everything)
    return rows


def _read_source(dsn: str, snapshot: str, entity: Entity, where: sql.Composable) -> str:
    """Return the fingerprints of the rows `where` of the source, as another transaction sees it."""
    with transaction(dsn) as session:
        session.import_snapshot(snapshot, ETL_ROLE)
        return _add_up_source(session, entity, where)


def _add_up_source(session: Session, entity: Entity, where: sql.Composable) -> str:
    """Return the fingerprints of the rows `where` of the source, as a JSON array."""
    found = sql.SQL("select coalesce(jsonb_agg(to_jsonb(f)), '[]')::text from ({}) as f").format(
        sql.SQL(fingerprint_query(entity, "myproperty", where))
    )
    fingerprints: str = session.rows(found)[0][0]
    return fingerprints


def _keep_source(session: Session, entity: Entity, fingerprints: str, kept: sql.Composable) -> None:
    """Keep fingerprints of the source in the place of the fingerprints `kept`."""
    name = sql.Literal(entity.name)
    session.execute(
        sql.SQL("delete from warehouse_staging.landed_sources where entity = {} and {}").format(name, kept)
    )
    session.execute(
        sql.SQL(_KEEP_SOURCE).format(entity=name, partition=sql.Literal(entity.partition_column)),
        [fingerprints],
    )


def _prepare_readings(
    session: Session, entity: Entity, dates: list[datetime.date], where: sql.Composable
) -> None:
    """Refuse an archived date, and make the landing partitions."""
    archived = "select min(reading_date) from warehouse_staging.archived_dates where reading_date = any($1)"
    date = session.rows(archived, (dates,))[0][0]
    if date is not None:
        raise IngestError(
            f"the readings of {date} are archived, and landing the date would empty its marts: "
            f"run `myproperty partitions restore {date}` first, or leave the date out"
        )
    ensure = sql.SQL(
        "select warehouse_staging.ensure_readings_partition(day) from unnest($1::date[]) as day"
        " where (select true from {} where reading_date = day and {} limit 1) order by day"
    )
    session.execute(ensure.format(source_table(entity), where), (dates,))


def _replace(session: Session, entity: Entity, where: sql.Composable) -> int:
    session.execute(sql.SQL("delete from {} where {}").format(landing_table(entity), where))
    return session.execute(_insert(entity, where))


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
