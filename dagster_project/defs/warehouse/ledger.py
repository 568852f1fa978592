"""Which reading dates are published, and which are pending: the ledger of files against the marts built.

Here too: whose turn it is to build.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import psycopg

from dagster_project.partitions import Window
from expectations.frames import ETL_ROLE

# Published as of the landing of the date, by the database's own clock: what a file changes after that is
# pending, even while the run that landed it still builds.
PUBLISH = """
insert into warehouse_staging.published_dates (reading_date, published_at, run_id)
select d.day, coalesce(min(r.landed_at), clock_timestamp()), %(run_id)s
from unnest(%(dates)s::date[]) as d (day)
left join warehouse_staging.meter_readings as r
    on r.reading_date = d.day and r.reading_date >= %(start)s and r.reading_date < %(end)s
group by d.day
on conflict (reading_date) do update set published_at = excluded.published_at, run_id = excluded.run_id
"""
PENDING = """
select d.reading_date
from myproperty.ingestion_job_dates as d
inner join myproperty.ingestion_jobs as j on j.tenant_id = d.tenant_id and j.id = d.ingestion_job_id
left join warehouse_staging.published_dates as p on p.reading_date = d.reading_date
where j.status = 'loaded'
  and not exists (select from warehouse_staging.archived_dates as a where a.reading_date = d.reading_date)
group by d.reading_date, p.published_at
having p.published_at is null or max(d.touched_at) > p.published_at
order by d.reading_date
"""


@contextmanager
def one_dbt_at_a_time(dsn: str) -> Iterator[None]:
    """Wait until no other run of this environment builds with dbt. Raises psycopg.Error."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        # Of the session, not of a transaction: that would stay open for minutes.
        connection.execute("select pg_advisory_lock(7310, 0)")
        yield


def publish(dsn: str, dates: Window, run_id: str) -> None:
    """Mark the dates as published by this run. Raises psycopg.Error."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        connection.execute(
            PUBLISH, {"dates": dates.dates, "run_id": run_id, "start": dates.start, "end": dates.end}
        )


def pending(dsn: str) -> list[date]:
    """The dates that files touched after their marts were built, or whose marts were never built.

    What people changed with effect on past dates counts too, and has no file: the source is held against
    what was landed of it. An archived date is none: there is nothing to build its marts from.
    """
    from data.landing.landing import withdraw_changed_dates

    withdraw_changed_dates(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        return [row[0] for row in connection.execute(PENDING).fetchall()]
