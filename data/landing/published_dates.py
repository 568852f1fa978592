"""Published and pending reading dates: the ingestion ledger compared with the marts that were built.

Here too: which dates a changed row withdraws, and the lock that lets one dbt run build at a time. Not here:
building the marts (`dagster_project`).
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

import psycopg
from psycopg import sql

from data.landing.entities import ENTITIES, Entity
from data.landing.sql_forms import landing_table, source_column, source_table
from myproperty.database.locks import lock_dbt_of_session
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import Session, transaction

# A date counts as published since it was landed, by the database's clock. So a file that changes the date
# later makes it pending, even while the run that landed it still builds. The bounds
# `first` and `last` let PostgreSQL prune partitions.
_PUBLISH = """
insert into warehouse_staging.published_dates (reading_date, published_at, run_id)
select d.day, coalesce(min(r.landed_at), clock_timestamp()), %(run_id)s
from unnest(%(dates)s::date[]) as d (day)
left join warehouse_staging.meter_readings as r
    on r.reading_date = d.day and r.reading_date >= %(first)s and r.reading_date <= %(last)s
        and r.tenant_id <> all(%(left_out)s::uuid[])
group by d.day
on conflict (reading_date) do update set published_at = excluded.published_at, run_id = excluded.run_id
"""
# The tenants of files that touched the dates: another tenant has nothing to be left out.
_LEAVE_OUT = """
insert into warehouse_staging.left_out_tenants (tenant_id, reading_date, run_id, failed_run_id)
select distinct tenant_id, reading_date, %(run_id)s, %(failed_run_id)s from myproperty.ingestion_job_dates
where reading_date = any(%(dates)s) and tenant_id = any(%(left_out)s::uuid[])
"""
_LEFT_OUT = """
select l.reading_date, l.tenant_id::text, t.name, l.left_out_at, l.failed_run_id
from warehouse_staging.left_out_tenants as l
inner join myproperty.tenants as t on t.id = l.tenant_id
where not exists (select from warehouse_staging.archived_dates as a where a.reading_date = l.reading_date)
order by t.name, l.tenant_id, l.reading_date
"""
_TENANTS = """
select reading_date, array_agg(distinct tenant_id::text) from myproperty.ingestion_job_dates
where reading_date = any(%s) group by reading_date
"""
_CHANGES = """
select reading_date, sum(readings)::bigint from myproperty.ingestion_job_dates
where reading_date = any(%s) group by reading_date
"""
_PENDING = """
select
    d.reading_date,
    coalesce(
        min(w.withdrawn_at), min(d.touched_at) filter (where d.touched_at > p.published_at), min(d.touched_at)
    ),
    greatest(min(w.withdrawn_at), max(d.touched_at)),
    p.published_at is not null or min(w.withdrawn_at) is not null,
    min(w.reason)
from myproperty.ingestion_job_dates as d
inner join myproperty.ingestion_jobs as j on j.tenant_id = d.tenant_id and j.id = d.ingestion_job_id
left join warehouse_staging.published_dates as p on p.reading_date = d.reading_date
left join warehouse_staging.withdrawn_dates as w on w.reading_date = d.reading_date
where j.status = 'loaded'
  and not exists (select from warehouse_staging.archived_dates as a where a.reading_date = d.reading_date)
group by d.reading_date, p.published_at
having p.published_at is null or max(d.touched_at) > p.published_at
order by d.reading_date
"""

_WITHDRAW = """
with l as (select {columns} from {landing}),
s as (select {forms} from {source}),
both_sides as (
    select
        case when l.id is null then '{{}}' else datemultirange(daterange(l.{first}, l.{end})) end as before,
        case when s.id is null then '{{}}' else datemultirange(daterange(s.{first}, s.{end})) end as after,
        to_jsonb(l) - {moves}::text[] is not distinct from to_jsonb(s) - {moves}::text[] as is_same
    from l full join s on l.tenant_id = s.tenant_id and l.id = s.id
),
withdrawn as (
    delete from warehouse_staging.published_dates as p
    using both_sides as b
    where p.reading_date <@ case
        when b.is_same then (b.before - b.after) + (b.after - b.before) else b.before + b.after
    end
    returning p.reading_date
)
insert into warehouse_staging.withdrawn_dates (reading_date, reason)
select reading_date, {reason} from withdrawn
on conflict do nothing
"""

# What is held back or accepted decides what a date shows.
_WITHDRAW_HELD = """
with l as (
    select id, tenant_id, reading_date, status = 'open' as is_held, accepted_until
    from warehouse_staging.reading_issues where severity = 'severe' and status <> 'resolved'
),
s as (
    select id, tenant_id, reading_date, status = 'open' as is_held, accepted_until
    from myproperty.reading_issues where severity = 'severe' and status <> 'resolved'
),
withdrawn as (
    delete from warehouse_staging.published_dates as p
    using l full join s on l.id = s.id
    where p.reading_date = coalesce(s.reading_date, l.reading_date)
      and not exists (
          select from warehouse_staging.left_out_tenants as o
          where o.tenant_id = coalesce(s.tenant_id, l.tenant_id) and o.reading_date = p.reading_date
      )
      and (l.is_held, l.accepted_until) is distinct from (s.is_held, s.accepted_until)
    returning p.reading_date
)
insert into warehouse_staging.withdrawn_dates (reading_date, reason)
select reading_date, 'a severe issue was found, resolved, accepted or has expired' from withdrawn
on conflict do nothing
"""

_NEWEST = """
select t.name, max(p.reading_date)
from myproperty.tenants as t
left join myproperty.ingestion_job_dates as d on d.tenant_id = t.id
left join warehouse_staging.published_dates as p on p.reading_date = d.reading_date
where exists (select from myproperty.meters as m where m.tenant_id = t.id)
group by t.id, t.name
order by t.name
"""


@contextmanager
def one_dbt_at_a_time(dsn: str) -> Iterator[None]:
    """Wait until no other run of this environment builds with dbt. Raises psycopg.Error."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        # A long range may build for hours.
        connection.execute("set lock_timeout = 0")
        lock_dbt_of_session(connection)
        yield


def publish_dates(
    dsn: str,
    dates: Sequence[date],
    run_id: str,
    *,
    left_out: Collection[str] = (),
    failed_run_id: str | None = None,
) -> None:
    """Mark the dates as published by this run, without the tenants `left_out` (ids). Raises psycopg.Error.

    They are left out because the run `failed_run_id` failed for them.
    """
    if not dates:
        return
    values = {
        "dates": list(dates),
        "run_id": run_id,
        "first": min(dates),
        "last": max(dates),
        "left_out": sorted(left_out),
        "failed_run_id": failed_run_id,
    }
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        connection.execute(_PUBLISH, values)
        for table in ("withdrawn_dates", "left_out_tenants"):
            connection.execute(
                sql.SQL("delete from warehouse_staging.{} where reading_date = any(%s)").format(
                    sql.Identifier(table)
                ),
                (list(dates),),
            )
        connection.execute(_LEAVE_OUT, values)


@dataclass(frozen=True)
class PendingDate:
    """A reading date that the marts do not show as it is.

    `since` is when the first change came after its marts were built, or its first reading; `changed_at` is
    when the last came. `change` says what changed if it was not readings.
    """

    reading_date: date
    since: datetime
    changed_at: datetime
    was_published: bool
    change: str | None = None


def pending_dates(dsn: str) -> list[date]:
    """Return the dates of `find_pending_dates`."""
    return [found.reading_date for found in find_pending_dates(dsn)]


def find_pending_dates(dsn: str, *, withdraw: bool = True) -> list[PendingDate]:
    """Return the dates that files changed after their marts were built, or whose marts were never built.

    A row that people changed with effect on past dates makes those dates pending too: no file says so, so
    the source is compared with its landed copy first. An archived date is never pending, because its marts
    could not be built. Without `withdraw` nothing is compared or written: such rows are left out until
    somebody asks with it. Raises psycopg.Error.
    """
    if withdraw:
        withdraw_changed_dates(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        return [PendingDate(*row) for row in connection.execute(_PENDING).fetchall()]


@dataclass(frozen=True)
class LeftOutTenant:
    """A tenant whose part of a published date is as it was before, because a run failed for it.

    `tenant` is its name, `failed_run_id` the run that failed.
    """

    reading_date: date
    tenant_id: str
    tenant: str
    since: datetime
    failed_run_id: str | None


def list_left_out(dsn: str) -> list[LeftOutTenant]:
    """Return the tenants left out of published dates, by name and date. Raises psycopg.Error."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        return [LeftOutTenant(*row) for row in connection.execute(_LEFT_OUT).fetchall()]


def list_tenants_of(dsn: str, dates: Sequence[date]) -> dict[date, frozenset[str]]:
    """Return the ids of the tenants whose files touched each date. Raises psycopg.Error."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        found = connection.execute(_TENANTS, (list(dates),)).fetchall()
    return {day: frozenset(tenants) for day, tenants in found}


def count_changes(dsn: str, dates: Sequence[date]) -> dict[date, int]:
    """Return how many readings files changed on each date, not fewer than it has. Raises psycopg.Error."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        found = connection.execute(_CHANGES, (list(dates),)).fetchall()
    return dict(found)


def list_published_dates(dsn: str) -> list[date]:
    """Return the published reading dates, archived ones too. Raises psycopg.Error."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        rows = connection.execute(
            "select reading_date from warehouse_staging.published_dates"
            " union select reading_date from warehouse_staging.archived_dates"
        )
        return [row[0] for row in rows.fetchall()]


def read_newest_dates(dsn: str) -> list[tuple[str, date | None]]:
    """Return, for each tenant with a meter, its name and newest published date that a file touched.

    Raises psycopg.Error.
    """
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        return connection.execute(_NEWEST).fetchall()


def list_time_zones(dsn: str) -> list[str]:
    """Return the time zones of all properties. Raises psycopg.Error."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        return [row[0] for row in connection.execute("select distinct timezone from myproperty.properties")]


def read_first_date(dsn: str) -> date | None:
    """Return the first reading date of the ledger, None without readings. Raises psycopg.Error."""
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        found = connection.execute("select min(reading_date) from myproperty.ingestion_job_dates").fetchone()
    return found[0] if found else None


def withdraw_changed_dates(dsn: str) -> None:
    """Make the dates pending again on which a row of the source differs from its landed copy.

    So does a date on which something is held back, accepted or resolved that was not so when it was landed.
    """
    with transaction(dsn, ETL_ROLE) as session:
        for entity in ENTITIES.values():
            if entity.effective is not None:
                withdraw_dates(session, entity, entity.effective)
        withdraw_held_dates(session)


def withdraw_held_dates(session: Session) -> None:
    """Withdraw the publication of dates on which other meters are held back or accepted than landed."""
    session.execute(_WITHDRAW_HELD)


def withdraw_dates(session: Session, entity: Entity, stem: str) -> None:
    """Withdraw the publication of the dates on which the source and landing of the entity differ.

    If a row only begins or ends on another date, these are the dates between the old and the new one.
    """
    columns = sql.SQL(", ")
    session.execute(
        sql.SQL(_WITHDRAW).format(
            columns=columns.join(map(sql.Identifier, entity.columns.names)),
            forms=columns.join(
                sql.SQL("{} as {}").format(source_column(entity, name), sql.Identifier(name))
                for name in entity.columns.names
            ),
            landing=landing_table(entity),
            source=source_table(entity),
            first=sql.Identifier(f"{stem}_from"),
            end=sql.Identifier(f"{stem}_to"),
            reason=sql.Literal(f"rows of {entity.name} changed"),
            moves=sql.Literal([f"{stem}_from", f"{stem}_to", "version", "updated_at"]),
        )
    )
