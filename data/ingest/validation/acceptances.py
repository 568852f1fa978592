"""Severe issues that hold a meter back on a date, and the people who accept them for a time.

Here: what is held, accepting an issue, and the end of an acceptance. Not here: how validation writes issues
(`issues`), or how the warehouse leaves out what is held (`core.fact_energy_usage`).
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from data.ingest.errors import IngestError
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import Session, transaction
from myproperty.tenants import find_tenant

# A year, and a day in leap years: whoever accepts a value for longer corrects the reading or the meter.
LONGEST_DAYS = 366


@dataclass(frozen=True)
class HeldDay:
    """A meter that is held back on a date by an open severe issue; `since` is when the issue was found."""

    issue_id: str
    tenant: str
    property: str
    meter: str
    channel: str | None
    reading_date: datetime.date
    rule: str
    details: str
    since: datetime.datetime


def list_held(dsn: str, *, tenant: str | None = None) -> list[HeldDay]:
    """Return what is held back, the oldest date first."""
    owner = str(find_tenant(dsn, tenant).id) if tenant is not None else ""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            """
            select i.id::text, t.name, p.name, m.serial_number, i.channel, i.reading_date, i.rule,
                   i.details::text, i.changed_at
            from myproperty.reading_issues as i
            join myproperty.tenants as t on t.id = i.tenant_id
            join myproperty.properties as p on p.tenant_id = i.tenant_id and p.id = i.property_id
            join myproperty.meters as m on m.tenant_id = i.tenant_id and m.id = i.meter_id
            where i.severity = 'severe' and i.status = 'open' and ($1 = '' or i.tenant_id::text = $1)
            order by i.reading_date, t.name, p.name, m.serial_number, i.channel, i.rule
            """,
            (owner,),
        )
    return [HeldDay(*row) for row in rows]


def accept_issues(
    dsn: str,
    issue_ids: Sequence[str],
    *,
    by: str,
    reason: str,
    until: datetime.date,
    today: datetime.date | None = None,
) -> int:
    """Accept severe issues: their values are published until the end of `until`. Returns their number.

    All of them are accepted or none. Raises `IngestError` if an id is no open severe issue, if name or reason
    is missing, or if `until` is past or more than `LONGEST_DAYS` ahead.
    """
    today = today or datetime.datetime.now(datetime.UTC).date()
    if not by.strip() or not reason.strip():
        raise IngestError("an acceptance names who decided and why: give --by and --reason")
    if not today <= until <= today + datetime.timedelta(days=LONGEST_DAYS):
        raise IngestError(
            f"an acceptance ends between {today} and {LONGEST_DAYS} days later, not on {until}: "
            "give another date with --until; if the values are right for ever, run "
            "`myproperty issues resolve`"
        )
    wanted = sorted({issue_id.strip().lower() for issue_id in issue_ids})
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            """
            update myproperty.reading_issues
            set status = 'accepted', accepted_by = $2, accepted_at = clock_timestamp(),
                acceptance_reason = $3, accepted_until = $4, changed_at = clock_timestamp()
            where id::text = any($1::text[]) and severity = 'severe' and status = 'open'
            returning id::text
            """,
            (wanted, by.strip(), reason.strip(), until),
        )
        missing = sorted(set(wanted) - {found for (found,) in rows})
        if missing:
            raise IngestError(
                f"nothing was accepted: no open severe issue {', '.join(missing)}; "
                "`myproperty issues list` shows the open ones, and `myproperty issues resolve` closes one "
                "that is not severe"
            )
    return len(rows)


def reopen_expired(session: Session, today: datetime.date) -> int:
    """Open the issues again whose acceptance ended before `today`; returns their number."""
    return len(
        session.rows(
            """
            update myproperty.reading_issues
            set status = 'open', accepted_by = null, accepted_at = null, accepted_until = null,
                acceptance_reason = null, changed_at = clock_timestamp()
            where status = 'accepted' and accepted_until < $1
            returning 1
            """,
            (today,),
        )
    )
