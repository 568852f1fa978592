"""The totals of each series and date, kept in `myproperty.reading_totals`: what a new date is compared with.

Here: adding up the dates whose readings changed, and reading totals. Not here: what a rule makes of them.
"""

import datetime
import uuid
from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa
from psycopg import sql

from data.ingest.readings.store import read_archived_dates
from data.ingest.validation.inputs import DAY, HISTORY_DAYS, SOURCE
from myproperty.database.session import Session
from myproperty.tenants import Tenant

_TOTALS = pa.schema(
    [
        ("meter_id", pa.string()),
        ("channel", pa.string()),
        ("reading_date", pa.timestamp("us")),
        ("total", pa.float64()),
        ("count", pa.int64()),
        ("seconds", pa.float64()),
        ("kwh", pa.float64()),
        ("peak_kw", pa.float64()),
    ]
)
_ADD_UP = """
insert into myproperty.reading_totals (
    tenant_id, meter_id, reading_date, channel, total, intervals, interval_seconds, kwh, peak_kw
)
select
    tenant_id, meter_id, reading_date, channel, sum(value_native), count(*), max(interval_seconds),
    sum(value_kwh), max(value_kwh::float8 * 3600 / interval_seconds)
from myproperty.meter_readings
where tenant_id = {tenant} and reading_date = any({dates}) and value_native is not null and source <> {source}
group by tenant_id, meter_id, reading_date, channel
"""
_KEEP = """
insert into myproperty.validated_dates (tenant_id, reading_date, totals_at)
select {tenant}, unnest({dates}::date[]), {began}
on conflict (tenant_id, reading_date) do update set totals_at = excluded.totals_at
"""


def list_unsummed(
    session: Session,
    tenant: Tenant,
    dates: Sequence[datetime.date],
    changed: Mapping[datetime.date, datetime.datetime],
) -> list[datetime.date]:
    """Return the dates of the window of `dates` whose readings changed after they were added up, in order."""
    rows = session.rows(
        "select reading_date, totals_at from myproperty.validated_dates"
        " where tenant_id = $1::uuid and totals_at is not null",
        (str(tenant.id),),
    )
    summed = dict(rows)
    first, last = _window(dates)
    stale = {date for date, at in changed.items() if date not in summed or at > summed[date]}
    return sorted({date for date in stale if first <= date <= last} - read_archived_dates(session))


def add_up(session: Session, tenant: Tenant, dates: Sequence[datetime.date]) -> None:
    """Add up the sender's readings of the dates, of which no load may run meanwhile."""
    [(began,)] = session.rows("select clock_timestamp()")
    words = {
        "tenant": sql.Literal(tenant.id),
        "dates": sql.Literal([*dates]),
        "source": sql.Literal(SOURCE),
        "began": sql.Literal(began),
    }
    gone = "delete from myproperty.reading_totals where tenant_id = {tenant} and reading_date = any({dates})"
    for statement in (gone, _ADD_UP, _KEEP):
        session.execute(sql.SQL(statement).format(**words))


def read_totals(
    session: Session, tenant: Tenant, dates: Sequence[datetime.date], meters: Sequence[str]
) -> pd.DataFrame:
    """Return the totals of the sender's readings, from 50 days before the dates to 50 days after."""
    first, last = _window(dates)
    query = sql.SQL(
        """
        select meter_id::text as meter_id, channel, reading_date::timestamp as reading_date, total,
               intervals::bigint as count, interval_seconds::float8 as seconds, kwh, peak_kw
        from myproperty.reading_totals
        where tenant_id = {} and meter_id = any({}) and reading_date between {} and {}
        """
    ).format(sql.Literal(tenant.id), sql.Literal([uuid.UUID(meter) for meter in meters]), first, last)
    found: pd.DataFrame = session.arrow(query, _TOTALS).to_pandas()
    return found


def _window(dates: Sequence[datetime.date]) -> tuple[datetime.date, datetime.date]:
    return min(dates) - DAY * HISTORY_DAYS, max(dates) + DAY * HISTORY_DAYS
