"""The reading dates that are due to be validated.

A date is due if readings that its result depends on changed after it was validated. Not here: the validation
itself (`run`).
"""

import bisect
import datetime
import itertools
import uuid
from collections import defaultdict

from data.ingest.readings.store import read_archived_dates
from data.ingest.validation.acceptances import reopen_expired
from data.ingest.validation.inputs import BY_VALIDATION, DAY, HISTORY_DAYS, SOURCE
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import Session, transaction
from myproperty.tenants import Tenant

_NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)
# The issues that compare a date with the dates before it.
_COMPARED = ("VEE-GAP-LONG", "VEE-HIGH-LOW", "VEE-OUTLIER", "VEE-ZERO-RUN", "VEE-BOUND", "VEE-SLIP")
# An instant for each reading date.
Instants = dict[datetime.date, datetime.datetime]
# A date, and the first and last date that its result depends on.
Span = tuple[datetime.date, datetime.date, datetime.date]


def find_due_dates(
    dsn: str, first: datetime.date | None = None, last: datetime.date | None = None
) -> list[datetime.date]:
    """Return the dates that are due to be validated, of all tenants, in order; with bounds, those between."""
    with transaction(dsn, LOADER_ROLE) as session:
        reopen_expired(session, datetime.datetime.now(datetime.UTC).date())
        found = [choose_dates(session, tenant, first, last, True) for tenant in list_tenants(session)]
    return sorted({date for dates in found for date in dates})


def list_tenants(session: Session) -> list[Tenant]:
    """Return the active tenants, by name."""
    rows = session.rows("select id::text, name from myproperty.tenants where status = 'active' order by name")
    return [Tenant(uuid.UUID(found), name) for found, name in rows]


def choose_dates(
    session: Session,
    tenant: Tenant,
    first: datetime.date | None,
    last: datetime.date | None,
    due_only: bool,
) -> list[datetime.date]:
    """Return the dates to validate, in order: those that are due, or the range from `first` to `last`.

    With `due_only`, the due dates of the range. Archived dates are left out, and so are dates before the
    first or after the last loaded date.
    """
    changed = read_changes(session, tenant)
    if not changed:
        return []
    begin, end = max(first or min(changed), min(changed)), min(last or max(changed), max(changed))
    if (first is None and last is None) or due_only:
        validated = _read_validated(session, tenant)
        wanted = _find_due(changed, validated, _read_spans(session, tenant))
        wanted |= _find_before_retired(session, tenant, changed, validated)
        wanted |= _find_after_severe(_read_severe_changes(session, tenant), validated)
        wanted |= _find_with_other_limits(_read_limit_changes(session, tenant), validated)
    else:
        wanted = {begin + DAY * step for step in range((end - begin).days + 1)}
    return sorted({date for date in wanted if begin <= date <= end} - read_archived_dates(session))


def _find_due(changed: Instants, validated: Instants, spans: list[Span]) -> set[datetime.date]:
    """Return the dates whose result depends on a date that changed after the result.

    A result depends on its date and on the date before it. On a date without a file, it depends on the dates
    beside it that have one. With a gap, an estimate, a mark or a register read, it depends on a span: the
    dates that the gap is or may be estimated from, or that the day or read is compared with.
    """
    loaded = sorted(changed)
    depends_on: defaultdict[datetime.date, set[datetime.date]] = defaultdict(set)
    for date in loaded:
        depends_on[date] |= {date, date - DAY}.intersection(changed)
    for before, date in itertools.pairwise(loaded):
        if (date - before).days <= HISTORY_DAYS:
            for step in range(1, (date - before).days):
                depends_on[before + DAY * step] |= {before, date}
    for date, first, last in spans:
        depends_on[date].update(loaded[bisect.bisect_left(loaded, first) : bisect.bisect_right(loaded, last)])
    return {
        date
        for date, others in depends_on.items()
        if any(changed[other] > validated.get(date, _NEVER) for other in others)
    }


def _find_before_retired(
    session: Session, tenant: Tenant, changed: Instants, validated: Instants
) -> set[datetime.date]:
    """Return the dates before a changed date that has readings of retired meters: due until the last one."""
    later = [date for date, at in changed.items() if at > validated.get(date - DAY, at)]
    rows = session.rows(
        """
        select distinct reading_date from myproperty.meter_readings
        where tenant_id = $1::uuid and reading_date = any($2::date[]) and meter_id in (
            select id from myproperty.meters where tenant_id = $1::uuid and status <> 'active'
        )
        """,
        (str(tenant.id), later),
    )
    return {date - DAY for (date,) in rows}


def _find_after_severe(changes: Instants, validated: Instants) -> set[datetime.date]:
    """Return the validated dates that learn from a date whose severe issues changed later.

    These are the previous date, whose last gap has its neighbour there, and the dates of its history after.
    """
    return {
        date + DAY * step
        for date, changed_at in changes.items()
        for step in (-1, *range(1, HISTORY_DAYS + 1))
        if changed_at > validated.get(date + DAY * step, changed_at)
    }


def _find_with_other_limits(changes: Instants, validated: Instants) -> set[datetime.date]:
    """Return the dates with a severe issue whose rated power or capacity was entered after it was found."""
    return {date for date, changed_at in changes.items() if changed_at > validated.get(date, changed_at)}


def _read_limit_changes(session: Session, tenant: Tenant) -> Instants:
    """Return when the meter or property of each severe issue last changed."""
    rows = session.rows(
        """
        select i.reading_date, max(greatest(m.updated_at, p.updated_at))
        from myproperty.reading_issues as i
        join myproperty.properties as p on p.tenant_id = i.tenant_id and p.id = i.property_id
        left join myproperty.meters as m on m.tenant_id = i.tenant_id and m.id = i.meter_id
        where i.tenant_id = $1::uuid and i.severity = 'severe' and i.status <> 'resolved'
        group by i.reading_date
        """,
        (str(tenant.id),),
    )
    return dict(rows)


def _read_severe_changes(session: Session, tenant: Tenant) -> Instants:
    rows = session.rows(
        """
        select reading_date, max(changed_at) from myproperty.reading_issues
        where tenant_id = $1::uuid and severity = 'severe' group by reading_date
        """,
        (str(tenant.id),),
    )
    return dict(rows)


def read_changes(session: Session, tenant: Tenant) -> Instants:
    """Return when the readings of each date, or a register read at its end, last changed."""
    rows = session.rows(
        """
        select reading_date, max(changed_at) from (
            select d.reading_date, d.touched_at as changed_at
            from myproperty.ingestion_job_dates as d
            join myproperty.ingestion_jobs as j on j.tenant_id = d.tenant_id and j.id = d.ingestion_job_id
            where d.tenant_id = $1::uuid and j.format is distinct from $2
            union all
            -- A null that arrives after a value changes no reading, but it is an issue.
            select reading_date, replaced_at from myproperty.meter_reading_versions
            where tenant_id = $1::uuid and version < 1 and quality = 'null'
            union all
            select ((r.read_at - interval '1 microsecond') at time zone m.timezone)::date, r.updated_at
            from myproperty.register_reads as r
            join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
            where r.tenant_id = $1::uuid
        ) as c
        group by reading_date
        """,
        (str(tenant.id), SOURCE),
    )
    return dict(rows)


def _read_validated(session: Session, tenant: Tenant) -> Instants:
    rows = session.rows(
        "select reading_date, validated_at from myproperty.validated_dates"
        " where tenant_id = $1::uuid and validated_at is not null",
        (str(tenant.id),),
    )
    return dict(rows)


def _read_spans(session: Session, tenant: Tenant) -> list[Span]:
    """Return the dates with a gap, an estimate, a mark or a register read, and the span that each depends on.

    A gap depends on the date after it, which has its neighbour or goes on with it. An open one depends on
    more dates: a reading there makes it a gap that may be estimated.
    """
    rows = session.rows(
        """
        select reading_date, reading_date, reading_date + 1
        from myproperty.reading_issues
        where tenant_id = $1::uuid and rule like 'VEE-GAP%'
            and (status <> 'resolved' or resolved_by <> $4)
        union
        select reading_date, reading_date - $2::integer, reading_date + $2::integer
        from myproperty.reading_issues
        where tenant_id = $1::uuid and rule = 'VEE-GAP' and status = 'open'
        union
        select reading_date, reading_date - $2::integer, reading_date
        from myproperty.reading_issues
        where tenant_id = $1::uuid and rule = any($3::text[]) and status <> 'resolved'
        union
        select read_date, lag(read_date, 1, read_date) over (
            partition by meter_id, channel order by read_date
        ), read_date
        from (
            select r.meter_id, r.channel,
                   ((r.read_at - interval '1 microsecond') at time zone m.timezone)::date as read_date
            from myproperty.register_reads as r
            join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
            where r.tenant_id = $1::uuid
        ) as dated
        """,
        (str(tenant.id), HISTORY_DAYS, list(_COMPARED), BY_VALIDATION),
    )
    return [(date, first, last) for date, first, last in rows]
