"""Adjustment tasks: a load that changes billed readings opens a task for a person, in its transaction.

Here: which billing periods a load touches, and what it changed in them. Not here: deciding a task
(`data.billing.adjustments`).
"""

import datetime
import uuid

from psycopg import sql

from data.ingest.readings.store import Staged
from myproperty.database.locks import share_billing
from myproperty.database.session import Session

# The channels that an allocation uses; a voltage or a water meter does not change a bill.
_BILLED_CHANNELS = ("generation", "import", "export", "consumption")

# One lookup in the index of periods: date by date, a year of dates took seconds among 60,000 periods.
_BILLED_PERIODS = sql.SQL(
    """
    select distinct lower(billing_period), upper(billing_period)
    from myproperty.allocation_periods
    where tenant_id = {tenant} and billing_period && (
        select range_agg(daterange(d.day, d.day + 1)) from unnest({dates}) as d (day)
    )
    """
)
# Merged readings have the values they replaced; a new partition replaces nothing.
_MERGED = sql.SQL(
    """
    select meter_id, channel, reading_date, readings, before_kwh, after_kwh from pg_temp.merged_readings
    where reading_date = any({dates})
    """
)
_ATTACHED = sql.SQL(
    """
    select meter_id, channel, reading_date, 1, 0::numeric, coalesce(value_kwh, 0)
    from myproperty.meter_readings
    where reading_date = any({dates})
    """
)
# In order of period, so that two loads cannot deadlock.
_OPEN_TASKS = sql.SQL(
    """
    with changed as (
        select p.id as period_id, c.meter_id, c.channel, c.reading_date, sum(c.readings)::bigint as readings,
            sum(c.before_kwh) as before_kwh, sum(c.after_kwh) as after_kwh
        from ({readings}) as c (meter_id, channel, reading_date, readings, before_kwh, after_kwh)
        join myproperty.meters as m on m.tenant_id = {tenant} and m.id = c.meter_id
        join myproperty.allocation_periods as p
            on p.tenant_id = m.tenant_id and p.property_id = m.property_id
            and p.billing_period @> c.reading_date
        where c.channel = any({channels})
        group by p.id, c.meter_id, c.channel, c.reading_date
    ), tasks as (
        insert into myproperty.adjustment_tasks (tenant_id, allocation_period_id)
        select distinct {tenant}, period_id from changed order by period_id
        on conflict (tenant_id, allocation_period_id) where status = 'open'
        do update set version = adjustment_tasks.version
        returning id, allocation_period_id
    )
    insert into myproperty.adjustment_task_readings (
        tenant_id, adjustment_task_id, ingestion_job_id, meter_id, channel, reading_date, readings,
        energy_before_kwh, energy_after_kwh
    )
    select {tenant}, t.id, {job}, c.meter_id, c.channel, c.reading_date, c.readings, c.before_kwh, c.after_kwh
    from changed as c join tasks as t on t.allocation_period_id = c.period_id
    returning adjustment_task_id::text
    """
)


def wait_for_billing(session: Session, tenant_id: uuid.UUID) -> None:
    """Wait until no period of the tenant is being allocated, and block allocation until this load is done.

    Otherwise a load that begins before a period is allocated, and ends after, would open no task for it.
    """
    share_billing(session, tenant_id)


def open_adjustment_tasks(
    session: Session, staged: Staged, tenant_id: uuid.UUID, job_id: uuid.UUID
) -> list[str]:
    """Open or extend a task for each allocated period in which the load changed readings; returns their ids.

    Readings and job must be in their tables. A load that touches no allocated period costs one query.
    """
    if not staged.outcome.touched:
        return []
    tenant = sql.Literal(tenant_id)
    query = _BILLED_PERIODS.format(dates=sql.Literal(list(staged.outcome.touched)), tenant=tenant)
    periods = session.rows(query)
    billed = {date for date in staged.outcome.touched for first, end in periods if first <= date < end}
    if not billed:
        return []
    statement = _OPEN_TASKS.format(
        readings=_changed_readings(staged, billed),
        tenant=tenant,
        job=sql.Literal(job_id),
        channels=sql.Literal(list(_BILLED_CHANNELS)),
    )
    return sorted({row[0] for row in session.rows(statement)})


def _changed_readings(staged: Staged, billed: set[datetime.date]) -> sql.Composed:
    places = ((_MERGED, staged.merged_dates), (_ATTACHED, staged.new_dates))
    parts = [
        source.format(dates=sql.Literal(sorted(billed.intersection(dates))))
        for source, dates in places
        if billed.intersection(dates)
    ]
    return sql.SQL(" union all ").join(parts)
