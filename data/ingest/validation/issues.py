"""The issues of validated dates: `reading_issues`, as validation writes them and as people use them.

Not here: what is an issue (`data.ingest.rules`).
"""

import datetime
import json
from dataclasses import dataclass

import pandas as pd
from psycopg import sql

from data.ingest.errors import IngestError
from data.ingest.rules.severe import MEASURED
from data.ingest.rules.table import RULES
from data.ingest.validation.inputs import BY_VALIDATION
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import Session, transaction
from myproperty.tenants import Tenant, find_tenant

_FOUND = sql.SQL(
    """
    jsonb_to_recordset({found}::jsonb) as f (
        property_id uuid, meter_id uuid, channel text, reading_date date, rule text, severity text,
        first_reading_ts timestamptz, last_reading_ts timestamptz, details jsonb
    )
    """
)
# An issue that a person resolved or accepted stays so while it is found unchanged; a changed one opens again.
# A severe one stays so while its meter measured the same: what is usual may change with the history.
_UPSERT = sql.SQL(
    """
    insert into myproperty.reading_issues as i (
        tenant_id, property_id, meter_id, channel, reading_date, rule, severity,
        first_reading_ts, last_reading_ts, details, changed_at
    )
    select {tenant}, f.*, {changed_at}::timestamptz from {found}
    on conflict (tenant_id, property_id, meter_id, channel, reading_date, rule) do update
    set severity = excluded.severity, first_reading_ts = excluded.first_reading_ts,
        last_reading_ts = excluded.last_reading_ts, details = excluded.details,
        status = 'open', resolved_by = null, resolved_at = null, resolution_note = null,
        accepted_by = null, accepted_at = null, accepted_until = null, acceptance_reason = null,
        changed_at = excluded.changed_at
    where i.resolved_by = {by} or (
        (i.severity, i.first_reading_ts, i.last_reading_ts, i.details)
            is distinct from (
                excluded.severity, excluded.first_reading_ts, excluded.last_reading_ts, excluded.details
            )
        and not (
            i.status <> 'open' and i.severity = 'severe' and excluded.severity = 'severe'
            and {measured}
        )
    )
    """
)
_IS_SAME = sql.SQL("i.details -> {name} is not distinct from excluded.details -> {name}")
_RESOLVE = sql.SQL(
    """
    update myproperty.reading_issues as i
    set status = 'resolved', resolved_by = {by}, resolved_at = clock_timestamp(),
        resolution_note = 'not found when the date was validated again',
        changed_at = {changed_at}::timestamptz,
        accepted_by = null, accepted_at = null, accepted_until = null, acceptance_reason = null
    where i.tenant_id = {tenant} and i.reading_date = any({dates}) and i.status <> 'resolved'
      and not exists (
          select from {found}
          where (f.rule, f.property_id, f.reading_date) = (i.rule, i.property_id, i.reading_date)
            and (f.meter_id, f.channel) is not distinct from (i.meter_id, i.channel)
      )
    returning 1
    """
)


def keep_effective(issues: pd.DataFrame) -> pd.DataFrame:
    """Keep the issues of rules that were in force on their dates."""
    since = pd.to_datetime(issues["rule"].map({rule.id: rule.effective_from for rule in RULES.values()}))
    return issues[pd.to_datetime(issues["reading_date"]) >= since].copy()


def replace_issues(
    session: Session, tenant: Tenant, dates: list[datetime.date], issues: pd.DataFrame, changed_at: str
) -> int:
    """Replace the issues of the dates; returns how many unresolved ones were not found again."""
    rows = issues.astype(object).where(issues.notna(), None)
    rows["severity"] = rows["rule"].map(lambda rule: RULES[rule].severity)
    order = ["property_id", "meter_id", "channel", "reading_date", "rule", "severity"]
    document = rows[[*order, "first_reading_ts", "last_reading_ts", "details"]].to_dict("records")
    parts = {
        "tenant": sql.Literal(tenant.id),
        "by": sql.Literal(BY_VALIDATION),
        "measured": sql.SQL(" and ").join(_IS_SAME.format(name=sql.Literal(name)) for name in MEASURED),
        "dates": sql.Literal(dates),
        "changed_at": sql.Literal(changed_at),
        "found": _FOUND.format(found=sql.Literal(json.dumps(document, default=str))),
    }
    session.execute(_UPSERT.format(**parts))
    return len(session.rows(_RESOLVE.format(**parts)))


@dataclass(frozen=True)
class Issue:
    """One issue, with names instead of ids."""

    id: str
    tenant: str
    property: str
    meter: str | None
    channel: str | None
    reading_date: datetime.date
    rule: str
    severity: str
    details: str
    status: str
    resolved_by: str | None
    resolution_note: str | None
    accepted_by: str | None
    acceptance_reason: str | None
    accepted_until: datetime.date | None


def list_issues(
    dsn: str, *, tenant: str | None = None, with_resolved: bool = False, limit: int = 100
) -> list[Issue]:
    """Return issues, the most severe first, then the newest date: accepted and open ones above severity info.

    With `with_resolved`, all issues.
    """
    owner = str(find_tenant(dsn, tenant).id) if tenant is not None else ""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            """
            select i.id::text, t.name, p.name, m.serial_number, i.channel, i.reading_date, i.rule, i.severity,
                   i.details::text, i.status, i.resolved_by, i.resolution_note,
                   i.accepted_by, i.acceptance_reason, i.accepted_until
            from myproperty.reading_issues as i
            join myproperty.tenants as t on t.id = i.tenant_id
            join myproperty.properties as p on p.tenant_id = i.tenant_id and p.id = i.property_id
            left join myproperty.meters as m on m.tenant_id = i.tenant_id and m.id = i.meter_id
            where ($1 = '' or i.tenant_id::text = $1)
              and ($2 or (i.status <> 'resolved' and i.severity <> 'info'))
            order by i.status <> 'resolved' desc,
                array_position(array['severe', 'issue', 'info'], i.severity),
                i.status = 'open' desc, i.reading_date desc, i.rule, i.id limit $3
            """,
            (owner, with_resolved, limit),
        )
    return [Issue(*row) for row in rows]


def resolve_issue(dsn: str, issue_id: str, *, by: str, note: str) -> None:
    """Resolve an issue: `by` is the person who decided, `note` the reason. It opens again if it changes.

    Raises `IngestError` if no open issue has this id, if it is severe, or if name or note is missing.
    """
    if not by.strip() or not note.strip():
        raise IngestError("a resolution names who decided and why: give both, no other record says so")
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            """
            update myproperty.reading_issues
            set status = 'resolved', resolved_by = $2, resolved_at = clock_timestamp(), resolution_note = $3,
                accepted_by = null, accepted_at = null, accepted_until = null, acceptance_reason = null,
                changed_at = clock_timestamp()
            where id::text = lower($1) and status <> 'resolved' and severity <> 'severe'
            returning 1
            """,
            (issue_id, by, note),
        )
        is_severe = not rows and session.rows(
            "select 1 from myproperty.reading_issues where id::text = lower($1) and severity = 'severe'",
            (issue_id,),
        )
    if is_severe:
        raise IngestError(
            f"{issue_id} is severe: a corrected file ends it, or for a time `myproperty issues accept "
            f"{issue_id} --by WHO --reason WHY --until YYYY-MM-DD`"
        )
    if not rows:
        raise IngestError(f"no open issue {issue_id}: `myproperty issues list` shows them")
