"""Records of quality: what is known of each tenant's dates and of each run, counted for the warehouse.

Here: `warehouse_staging.quality_days` and `quality_runs`, from the operational tables and not from copies, so
that a night that failed a gate is counted too. Not here: loading them (`data.raw.transfer`), or the trend and
what is unusual (the dbt models).
"""

import datetime
from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from typing import Any

from psycopg import sql

from data.landing.entities import QUALITY_DAYS, QUALITY_RUNS
from data.landing.land import OVERLAP
from myproperty.database.locks import lock_landing
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import Session, transaction

# A sender is silent on a date if it sent for SENDER_DATES or more of the SENDER_DAYS dates before, and not
# for this date. A single corrected file makes no sender.
SENDER_DAYS, SENDER_DATES = 7, 3
# A statement counts so many dates: a plan for all partitions of a long history would be large.
MOST_DATES = 31

# A tenant's dates: from its first one to the newest date of anybody's files or runs that has ended in all of
# its zones. So a silent tenant has rows, and a day that has just begun has none. A tenant whose files were
# all refused has one date.
_SPANS = """
own as (
    select d.tenant_id, min(d.reading_date) as first, max(d.reading_date) as last
    from myproperty.ingestion_job_dates as d
    inner join myproperty.ingestion_jobs as j on j.tenant_id = d.tenant_id and j.id = d.ingestion_job_id
    where j.status = 'loaded'
    group by d.tenant_id
),
ended as (
    select t.id as tenant_id, min((now() at time zone coalesce(p.timezone, 'UTC'))::date) - 1 as last
    from myproperty.tenants as t
    left join myproperty.properties as p on p.tenant_id = t.id
    group by t.id
),
newest as (
    select greatest(
        (select max(last) from own),
        (select max(reading_date_to) - 1 from warehouse_staging.pipeline_runs where job = 'pipeline')
    ) as last
),
ends as (
    select
        t.id as tenant_id, t.name, o.first,
        case when t.status = 'active' then least(e.last, n.last) else o.last end as last,
        exists (select from warehouse_staging.invalid_files as f where f.tenant_id = t.id) as has_refused
    from myproperty.tenants as t
    inner join ended as e on e.tenant_id = t.id
    cross join newest as n
    left join own as o on o.tenant_id = t.id
),
spans as (
    select tenant_id, name, coalesce(first, last) as first, last from ends
    where first is not null or has_refused
)"""
# A row or file without a date of the tenant counts on the nearest one: none is lost. A quarantined row has
# the local date of its time, by the zone of its identifier's meter.
_PLACED = """
zones as (
    select distinct on (r.tenant_id, r.identifier) r.tenant_id, r.identifier, m.timezone
    from myproperty.meter_registers as r
    inner join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
    order by r.tenant_id, r.identifier, r.id
),
quarantined as (
    select
        q.tenant_id, q.status, q.updated_at,
        case
            when own.day between s.first and s.last then own.day
            else least(greatest((j.started_at at time zone 'UTC')::date, s.first), s.last)
        end as reading_date
    from warehouse_staging.quarantined_readings as q
    inner join spans as s on s.tenant_id = q.tenant_id
    inner join myproperty.ingestion_jobs as j on j.tenant_id = q.tenant_id and j.id = q.ingestion_job_id
    left join zones as z on z.tenant_id = q.tenant_id and z.identifier = q.identifier
    cross join lateral (select (q.reading_ts at time zone coalesce(z.timezone, 'UTC'))::date as day) as own
),
refused as (
    select
        f.tenant_id, f.created_at,
        least(greatest((f.received_at at time zone 'UTC')::date, s.first), s.last) as reading_date
    from warehouse_staging.invalid_files as f
    inner join spans as s on s.tenant_id = f.tenant_id
)"""
# The ends that are known are counted again when a span grows: rows that count on the nearest date move.
_DUE = f"""
with {_SPANS}, {_PLACED},
known as (
    select tenant_id, min(reading_date) as first, max(reading_date) as last
    from warehouse_staging.quality_days group by tenant_id
),
touched as (
    select distinct tenant_id, reading_date from myproperty.ingestion_job_dates where touched_at >= $1
),
shown as (
    select reading_date from warehouse_staging.published_dates where updated_at >= $1
    union
    select reading_date from warehouse_staging.withdrawn_dates where withdrawn_at >= $1
    union
    select reading_date from warehouse_staging.left_out_tenants where left_out_at >= $1
),
changed as (
    select t.tenant_id, t.reading_date + later.days as reading_date
    from touched as t cross join generate_series(0, {SENDER_DAYS}) as later (days)
    union
    select tenant_id, reading_date from myproperty.reading_issues where updated_at >= $1
    union
    select tenant_id, reading_date from quarantined where updated_at >= $1
    union
    select tenant_id, reading_date from refused where created_at >= $1
    union
    select s.tenant_id, p.reading_date from shown as p cross join spans as s
    union
    select s.tenant_id, d.day::date
    from spans as s
    left join known as k on k.tenant_id = s.tenant_id
    cross join lateral (
        select generate_series(s.first, coalesce(k.first, s.last), interval '1 day') where k.first is null
            or k.first > s.first
        union all
        select generate_series(k.last, s.last, interval '1 day') where k.last < s.last
    ) as d (day)
)
select c.tenant_id, c.reading_date
from changed as c
inner join spans as s on s.tenant_id = c.tenant_id
where c.reading_date between s.first and s.last
order by c.reading_date, c.tenant_id
"""  # noqa: S608 - filled in with constants of this module alone
_FIGURES = (
    "tenant_name", "estimated_readings", "energy_kwh", "readings", "open_infos", "open_issues",
    "open_severe_issues", "accepted_issues", "quarantined_readings", "open_quarantined_readings", "files",
    "refused_files", "first_loaded_at", "silent_formats", "publication",
)  # fmt: skip
# NULL for an archived date, whose readings are no longer in the table: what was counted before stays.
_OF_READINGS = ("readings", "estimated_readings", "energy_kwh")
_NEW = {
    name: f"coalesce(excluded.{name}, t.{name})" if name in _OF_READINGS else f"excluded.{name}"
    for name in _FIGURES
}
_COUNT = f"""
with {_SPANS}, {_PLACED},
due as (
    select s.tenant_id, s.name, d.reading_date, a.reading_date is not null as is_archived
    from unnest($1::uuid[], $2::date[]) as d (tenant_id, reading_date)
    inner join spans as s on s.tenant_id = d.tenant_id
    left join warehouse_staging.archived_dates as a on a.reading_date = d.reading_date
),
counted as (
    select
        r.tenant_id, r.reading_date, count(*) as readings,
        count(*) filter (where r.is_estimated) as estimated, sum(r.value_kwh) as energy_kwh
    from myproperty.meter_readings as r
    inner join due as d on d.tenant_id = r.tenant_id and d.reading_date = r.reading_date
    where r.reading_date = any({{dates}}::date[])
    group by r.tenant_id, r.reading_date
),
issues as (
    select
        i.tenant_id, i.reading_date,
        count(*) filter (where i.status = 'open' and i.severity = 'info') as infos,
        count(*) filter (where i.status = 'open' and i.severity = 'issue') as issues,
        count(*) filter (where i.status = 'open' and i.severity = 'severe') as severe,
        count(*) filter (where i.status = 'accepted') as accepted
    from myproperty.reading_issues as i
    where i.reading_date = any({{dates}}::date[])
    group by i.tenant_id, i.reading_date
),
held as (
    select tenant_id, reading_date, count(*) as rows, count(*) filter (where status = 'open') as open
    from quarantined where tenant_id = any($1::uuid[]) group by tenant_id, reading_date
),
sent as (
    select d.tenant_id, j.format, d.reading_date, count(*) as files, min(j.started_at) as first_at
    from myproperty.ingestion_job_dates as d
    inner join myproperty.ingestion_jobs as j on j.tenant_id = d.tenant_id and j.id = d.ingestion_job_id
    where d.reading_date >= {{first}}::date - {SENDER_DAYS} and d.reading_date <= {{last}}::date
      and j.status = 'loaded' and j.format <> 'estimation'
    group by d.tenant_id, j.format, d.reading_date
),
files as (
    select tenant_id, reading_date, sum(files) as files, min(first_at) as first_at
    from sent group by tenant_id, reading_date
),
expected as (
    select d.tenant_id, d.reading_date, s.format
    from due as d
    inner join sent as s
        on s.tenant_id = d.tenant_id and s.reading_date < d.reading_date
        and s.reading_date >= d.reading_date - {SENDER_DAYS}
    group by d.tenant_id, d.reading_date, s.format
    having count(*) >= {SENDER_DATES}
),
touched as (
    select d.tenant_id, d.reading_date, max(d.touched_at) as touched_at
    from myproperty.ingestion_job_dates as d
    inner join myproperty.ingestion_jobs as j on j.tenant_id = d.tenant_id and j.id = d.ingestion_job_id
    where d.reading_date = any({{dates}}::date[]) and j.status = 'loaded'
    group by d.tenant_id, d.reading_date
),
publications as (
    select
        t.tenant_id, t.reading_date,
        case
            when a.reading_date is not null then 'published'
            when l.tenant_id is not null then 'left out'
            when p.published_at >= t.touched_at then 'published'
            else 'pending'
        end as publication
    from touched as t
    left join warehouse_staging.published_dates as p on p.reading_date = t.reading_date
    left join warehouse_staging.archived_dates as a on a.reading_date = t.reading_date
    left join warehouse_staging.left_out_tenants as l
        on l.tenant_id = t.tenant_id and l.reading_date = t.reading_date
),
silent as (
    select e.tenant_id, e.reading_date, count(*) as formats
    from expected as e
    where not exists (
        select from sent as s
        where s.tenant_id = e.tenant_id and s.format = e.format and s.reading_date = e.reading_date
    )
    group by e.tenant_id, e.reading_date
),
refusals as (
    select tenant_id, reading_date, count(*) as files from refused group by tenant_id, reading_date
),
written as (
    insert into warehouse_staging.quality_days as t (
        tenant_id, reading_date, landed_at, {", ".join(_FIGURES)}
    )
    select
        d.tenant_id, d.reading_date, now(), d.name,
        case when not d.is_archived then coalesce(c.estimated, 0) end,
        case when not d.is_archived then coalesce(c.energy_kwh, 0) end,
        case when not d.is_archived then coalesce(c.readings, 0) end,
        coalesce(i.infos, 0), coalesce(i.issues, 0), coalesce(i.severe, 0), coalesce(i.accepted, 0),
        coalesce(h.rows, 0), coalesce(h.open, 0), coalesce(f.files, 0), coalesce(n.files, 0), f.first_at,
        coalesce(s.formats, 0), p.publication
    from due as d
    left join counted as c on c.tenant_id = d.tenant_id and c.reading_date = d.reading_date
    left join issues as i on i.tenant_id = d.tenant_id and i.reading_date = d.reading_date
    left join held as h on h.tenant_id = d.tenant_id and h.reading_date = d.reading_date
    left join files as f on f.tenant_id = d.tenant_id and f.reading_date = d.reading_date
    left join refusals as n on n.tenant_id = d.tenant_id and n.reading_date = d.reading_date
    left join silent as s on s.tenant_id = d.tenant_id and s.reading_date = d.reading_date
    left join publications as p on p.tenant_id = d.tenant_id and p.reading_date = d.reading_date
    on conflict (tenant_id, reading_date) do update
    set ({", ".join(_FIGURES)}, landed_at) = row({", ".join(_NEW.values())}, now())
    where ({", ".join(f"t.{name}" for name in _FIGURES)}) is distinct from ({", ".join(_NEW.values())})
    returning 1
)
select count(*) from written
"""  # noqa: S608 - filled in with constants of this module alone
_FOLLOW_TENANTS = (
    "delete from warehouse_staging.quality_days as q"
    " where not exists (select from myproperty.tenants as t where t.id = q.tenant_id)",
    "update warehouse_staging.quality_days as q set tenant_name = t.name, landed_at = now()"
    " from myproperty.tenants as t where t.id = q.tenant_id and t.name <> q.tenant_name",
)
# Ids of rules and names of steps, never a text of an error or the name of a person: these may hold personal
# data, and stay in `pipeline_runs`.
_RUNS = """
with taken as (
    select
        p.run_id, p.job, coalesce(substring(p.launched_by from '^(schedule|sensor) '), 'person') as launcher,
        p.reading_date_from, p.reading_date_to, p.status, p.requested_at, p.started_at, p.ended_at, p.retries,
        (select count(*) from jsonb_object_keys(p.seconds)) as steps, slowest.step, slowest.seconds,
        nullif(p.seconds::text, '{}') as step_seconds,
        g.passed, g.warned, g.failed, b.rules, g.rows, g.seconds as gate_seconds
    from warehouse_staging.pipeline_runs as p
    left join lateral (
        select s.key as step, s.value::numeric as seconds from jsonb_each_text(p.seconds) as s
        order by 2 desc, 1 limit 1
    ) as slowest on true
    cross join lateral (
        select
            count(*) filter (where v.passed) as passed,
            count(*) filter (where v.passed and v.failed <> '[]') as warned,
            count(*) filter (where not v.passed) as failed,
            coalesce(sum(v.row_count), 0) as rows, coalesce(sum(v.seconds), 0)::numeric(20, 9) as seconds
        from warehouse_staging.gate_results as v where v.run_id = p.run_id
    ) as g
    cross join lateral (
        select string_agg(distinct reason ->> 'rule', ',' order by reason ->> 'rule') as rules
        from jsonb_array_elements(p.reasons) as reason
    ) as b
    where p.status <> 'unfinished' and ($1::timestamptz is null or p.updated_at >= $1)
),
written as (
    insert into warehouse_staging.quality_runs as t (
        run_id, job, launcher, reading_date_from, reading_date_to, status, requested_at, started_at, ended_at,
        retries, steps, slowest_step, slowest_step_seconds, step_seconds, gates_passed, gates_warned,
        gates_failed, broken_rules, judged_rows, gate_seconds, landed_at
    )
    select *, now() from taken
    on conflict (run_id) do update set
        (status, started_at, ended_at, retries, steps, slowest_step, slowest_step_seconds, step_seconds,
         gates_passed, gates_warned, gates_failed, broken_rules, judged_rows, gate_seconds, landed_at)
        = row(excluded.status, excluded.started_at, excluded.ended_at, excluded.retries, excluded.steps,
              excluded.slowest_step, excluded.slowest_step_seconds, excluded.step_seconds,
              excluded.gates_passed, excluded.gates_warned, excluded.gates_failed, excluded.broken_rules,
              excluded.judged_rows, excluded.gate_seconds, now())
    where (t.status, t.ended_at, t.retries, t.steps, t.gates_passed, t.gates_failed)
        is distinct from (excluded.status, excluded.ended_at, excluded.retries, excluded.steps,
                          excluded.gates_passed, excluded.gates_failed)
    returning 1
)
select count(*) from written
"""

Due = tuple[Any, datetime.date]


def count_days(dsn: str) -> int:
    """Count the tenants' dates that changed since the last count; return how many records changed.

    A date changes with its files, issues, quarantined rows and publication, and the files before it. The
    watermark is the start of the last count that changed a record, minus `OVERLAP` for transactions that were
    open then. Raises `psycopg.Error`.
    """
    with transaction(dsn, ETL_ROLE) as session:
        lock_landing(session, QUALITY_DAYS)
        for statement in _FOLLOW_TENANTS:
            session.execute(statement)
        due: list[Due] = session.rows(_DUE, (_find_watermark(session, QUALITY_DAYS),))
        # In one transaction: a part alone would move the watermark past the others.
        return sum(_count_some(session, some) for some in _by_dates(due, MOST_DATES))


def count_runs(dsn: str) -> int:
    """Count the runs that were recorded since the last count; return how many records changed.

    A run under way has no record. Raises `psycopg.Error`.
    """
    with transaction(dsn, ETL_ROLE) as session:
        lock_landing(session, QUALITY_RUNS)
        return int(session.rows(_RUNS, (_find_watermark(session, QUALITY_RUNS),))[0][0])


def _find_watermark(session: Session, table: str) -> datetime.datetime | None:
    newest = sql.SQL("select max(landed_at) from {}").format(sql.Identifier("warehouse_staging", table))
    ((last,),) = session.rows(newest)
    return last - OVERLAP if last else None


def _count_some(session: Session, due: Sequence[Due]) -> int:
    dates = sorted({day for _, day in due})
    statement = sql.SQL(_COUNT).format(
        # Constants, so that partitions are pruned.
        dates=sql.Literal(dates),
        first=sql.Literal(dates[0]),
        last=sql.Literal(dates[-1]),
    )
    pairs = [tenant for tenant, _ in due], [day for _, day in due]
    return int(session.rows(statement, pairs)[0][0])


def _by_dates(due: Iterable[Due], most: int) -> list[list[Due]]:
    """Cut pairs in the order of their dates into parts of at most `most` dates."""
    days = [list(pairs) for _, pairs in groupby(due, key=lambda pair: pair[1])]
    return [list(chain(*days[start : start + most])) for start in range(0, len(days), most)]
