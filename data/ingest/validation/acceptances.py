"""Severe issues that hold a meter back on a date, and the people who accept them for a time.

Here: what is held, accepting an issue, and the end of an acceptance. Not here: how validation writes issues
(`issues`), or how the warehouse leaves out what is held (`core.fact_energy_usage`).
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from data.ingest.errors import IngestError
from myproperty.database.roles import ETL_ROLE, LOADER_ROLE
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
    with transaction(dsn, ETL_ROLE) as session:
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
    tenant: str | None = None,
    today: datetime.date | None = None,
) -> int:
    """Accept severe issues: their values are published until the end of `until`. Returns their number.

    All of them are accepted or none. Raises `IngestError` if an id is not an open severe issue, or not of
    `tenant` where it is given, if name or reason is missing, or if `until` is past or too far ahead.
    """
    today = today or datetime.datetime.now(datetime.UTC).date()
    if not by.strip() or not reason.strip():
        raise IngestError("an acceptance names who decided and why: give --by and --reason")
    if not today <= until <= today + datetime.timedelta(days=LONGEST_DAYS):
        raise IngestError(
            f"an acceptance ends between {today} and {LONGEST_DAYS} days later, not on {until}: "
            "give another date with --until, and accept again before it ends"
        )
    wanted = sorted({issue_id.strip().lower() for issue_id in issue_ids})
    owner = str(find_tenant(dsn, tenant).id) if tenant is not None else ""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            """
            update myproperty.reading_issues
            set status = 'accepted', accepted_by = $2, accepted_at = clock_timestamp(),
                acceptance_reason = $3, accepted_until = $4, changed_at = clock_timestamp()
            where id::text = any($1::text[]) and severity = 'severe' and status = 'open'
              and ($5 = '' or tenant_id::text = $5)
            returning id::text
            """,
            (wanted, by.strip(), reason.strip(), until, owner),
        )
        missing = sorted(set(wanted) - {found for (found,) in rows})
        if missing:
            raise IngestError(f"nothing was accepted: {_explain_missing(session, missing, owner)}")
    return len(rows)


def _explain_missing(session: Session, issue_ids: list[str], owner: str) -> str:
    """Say of each issue why it cannot be accepted; an issue of another tenant is not described."""
    rows = session.rows(
        """
        select id::text, severity, status, accepted_by, accepted_until from myproperty.reading_issues
        where id::text = any($1::text[]) and ($2 = '' or tenant_id::text = $2)
        """,
        (issue_ids, owner),
    )
    known = {row[0]: row[1:] for row in rows}
    of_tenant = " of this tenant" if owner else ""
    reasons = []
    for issue_id in issue_ids:
        severity, status, by, until = known.get(issue_id, (None, None, None, None))
        if severity is None:
            reasons.append(
                f"no issue {issue_id}{of_tenant} exists: `myproperty issues list` shows the open ones"
            )
        elif severity != "severe":
            reasons.append(f"{issue_id} is not severe: `myproperty issues resolve {issue_id}` closes it")
        elif status == "accepted":
            reasons.append(f"{issue_id} is already accepted by {by} until {until}")
        else:
            reasons.append(f"{issue_id} is resolved: it holds nothing back")
    return "; ".join(reasons)


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
