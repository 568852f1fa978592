"""Severe values on a database: held back, accepted by a person for a time, ended by a corrected file."""

import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data.ingest.errors import IngestError
from data.ingest.resolutions import ISSUES, Selection, count_left_out, resolve_selected
from data.ingest.validation.acceptances import accept_issues, list_held, reopen_expired
from data.ingest.validation.due import find_due_dates
from data.ingest.validation.issues import Issue, list_issues, resolve_issue
from data.ingest.validation.run import validate
from data.landing.published_dates import pending_dates, publish_dates
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import transaction
from tests.ingest.validation.sites import Site, block

pytestmark = pytest.mark.engine

DAY = datetime.date(2025, 6, 12)
GAP = DAY + datetime.timedelta(days=7)
TODAY = datetime.date(2026, 11, 28)
UNTIL = datetime.date(2026, 12, 31)
METER = {
    "meter": "M1",
    "type": "grid",
    "timezone": "UTC",
    "channel": "import",
    "interval_seconds": "3600",
}
DECISION: dict[str, Any] = {"by": "ann", "reason": "the sauna was tested", "until": UNTIL, "today": TODAY}


@pytest.fixture
def flat(oltp_dsn: str, tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    """A flat of 12 kWh a day. 12 June, a Thursday, is in the wrong unit; 19 June has a gap of four hours."""
    site = Site(oltp_dsn, request.node.name, [METER], tmp_path)
    site.load(
        "a.csv",
        [
            block("0.5", "2025-06-01T00:00Z", "2025-06-12T00:00Z"),
            block("500", "2025-06-12T00:00Z", "2025-06-13T00:00Z"),
            block("0.5", "2025-06-13T00:00Z", "2025-06-19T06:00Z"),
            block("0.5", "2025-06-19T10:00Z", "2025-06-20T00:00Z"),
        ],
    )
    validate(oltp_dsn, tenant=site.name)
    return site


def find_severe(site: Site) -> Issue:
    [issue] = [each for each in list_issues(site.dsn, tenant=site.name) if each.severity == "severe"]
    return issue


def correct(site: Site) -> None:
    """Load the day again in the right unit, a little higher than usual."""
    site.load("b.csv", [block("0.6", "2025-06-12T00:00Z", "2025-06-13T00:00Z", version="2025-06-30T00:00Z")])


def land(site: Site) -> None:
    """Copy the issues to landing and publish the day, as a run of the pipeline does."""
    with psycopg.connect(site.dsn) as connection:
        connection.execute("delete from warehouse_staging.reading_issues")
        connection.execute(
            "insert into warehouse_staging.reading_issues (id, tenant_id, reading_date, severity, status, "
            "accepted_until) select id, tenant_id, reading_date, severity, status, accepted_until "
            "from myproperty.reading_issues"
        )
    publish_dates(site.dsn, [DAY], "a run")


def estimate(site: Site) -> float:
    """Return the estimate of an hour of the gap."""
    [(value,)] = site.rows(
        "select value_native from myproperty.meter_readings where tenant_id = %s and reading_ts = %s",
        site.tenant_id,
        "2025-06-19T07:00Z",
    )
    return float(value)


def test_the_life_of_an_acceptance(flat: Site) -> None:
    """Held back, accepted, expired, accepted again, and ended by a corrected file without a person."""
    [held] = list_held(flat.dsn, tenant=flat.name)
    assert (held.meter, held.reading_date, held.rule) == ("M1", DAY, "VEE-BOUND")
    assert estimate(flat) == 0.5  # of the fifth of June alone
    land(flat)
    assert DAY not in pending_dates(flat.dsn)

    assert accept_issues(flat.dsn, [held.issue_id], tenant=flat.name, **DECISION) == 1
    assert list_held(flat.dsn, tenant=flat.name) == []
    assert DAY in pending_dates(flat.dsn)
    accepted = find_severe(flat)
    assert (accepted.status, accepted.accepted_by, accepted.accepted_until) == ("accepted", "ann", UNTIL)
    assert accepted.acceptance_reason == "the sauna was tested"
    # The estimate rests on the day now, so it is made again: the median of 0.5 and 500.
    assert GAP in find_due_dates(flat.dsn)
    validate(flat.dsn, tenant=flat.name)
    assert (find_severe(flat).status, estimate(flat)) == ("accepted", 250.25)

    land(flat)
    with transaction(flat.dsn, LOADER_ROLE) as session:
        assert reopen_expired(session, UNTIL) == 0
        assert reopen_expired(session, UNTIL + datetime.timedelta(days=1)) == 1
    assert [each.issue_id for each in list_held(flat.dsn, tenant=flat.name)] == [held.issue_id]
    assert DAY in pending_dates(flat.dsn)
    validate(flat.dsn, tenant=flat.name)
    assert estimate(flat) == 0.5

    accept_issues(flat.dsn, [held.issue_id], **DECISION)
    correct(flat)
    validate(flat.dsn, tenant=flat.name)
    assert list_held(flat.dsn) == []
    [ended] = [each for each in list_issues(flat.dsn, tenant=flat.name, with_resolved=True)
               if each.severity == "severe"]  # fmt: skip
    assert (ended.status, ended.resolved_by, ended.accepted_by) == ("resolved", "validation", None)
    assert estimate(flat) == 0.55


def test_a_rated_power_that_is_entered_later_ends_the_issue(flat: Site) -> None:
    """The date is due by itself: who enters the power, as the remedy says, need not validate it."""
    # Far above what is usual in a part of the day: no slip of a unit.
    newer = {"version": "2025-06-30T00:00Z"}
    usual = block("0.5", "2025-06-12T00:00Z", "2025-06-12T12:00Z", **newer)
    flat.load("b.csv", [usual, block("60", "2025-06-12T12:00Z", "2025-06-13T00:00Z", **newer)])
    validate(flat.dsn, tenant=flat.name)
    assert find_severe(flat).rule == "VEE-BOUND"
    assert find_due_dates(flat.dsn) == []
    with psycopg.connect(flat.dsn) as connection:
        connection.execute(
            "update myproperty.meters set rated_kw = 1000 where tenant_id = %s", [flat.tenant_id]
        )
    assert find_due_dates(flat.dsn) == [DAY]
    validate(flat.dsn, tenant=flat.name)
    assert list_held(flat.dsn, tenant=flat.name) == []
    # The estimate rests on the day again.
    validate(flat.dsn, tenant=flat.name)
    assert find_due_dates(flat.dsn) == []


def test_an_acceptance_holds_while_the_meter_measured_the_same(flat: Site) -> None:
    issue = find_severe(flat)
    accept_issues(flat.dsn, [issue.id], **DECISION)
    # What is usual rises: the limit of the day changes, its energy does not.
    usual = block("4", "2025-06-01T00:00Z", "2025-06-12T00:00Z", version="2025-06-30T00:00Z")
    flat.load("usual.csv", [usual])
    validate(flat.dsn, tenant=flat.name)
    assert find_severe(flat).status == "accepted"
    worse = block("600", "2025-06-12T00:00Z", "2025-06-13T00:00Z", version="2025-06-30T00:00Z")
    flat.load("worse.csv", [worse])
    validate(flat.dsn, tenant=flat.name)
    again = find_severe(flat)
    assert (again.id, again.status, again.accepted_by) == (issue.id, "open", None)


def test_a_refused_acceptance_says_why_and_changes_nothing(flat: Site) -> None:
    issue = find_severe(flat)
    other = Site(flat.dsn, "another tenant", [METER], flat.folder)
    refusals: list[tuple[str, list[str], dict[str, Any]]] = [
        ("names who decided and why", [issue.id], {"reason": " "}),
        ("names who decided and why", [issue.id], {"by": ""}),
        ("ends between 2026-11-28 and 366 days later, not on 2026-11-27", [issue.id],
         {"until": TODAY - datetime.timedelta(days=1)}),
        ("not on 2028-01-01", [issue.id], {"until": datetime.date(2028, 1, 1)}),
        (f"no issue {issue.id} of this tenant exists", [issue.id], {"tenant": other.name}),
        ("no issue nonsense exists: `myproperty issues list`", [issue.id, "nonsense"], {}),
    ]  # fmt: skip
    for message, ids, changes in refusals:
        with pytest.raises(IngestError, match=message):
            accept_issues(flat.dsn, ids, **DECISION | changes)
    assert find_severe(flat).status == "open"
    accept_issues(flat.dsn, [issue.id], **DECISION)
    # It is listed before the issues that are not severe, so no limit hides it.
    assert next(each.status for each in list_issues(flat.dsn, tenant=flat.name)) == "accepted"
    with pytest.raises(IngestError, match="is already accepted by ann until 2026-12-31"):
        accept_issues(flat.dsn, [issue.id], **DECISION)
    [mild] = [each for each in list_issues(flat.dsn, tenant=flat.name) if each.severity == "issue"]
    with pytest.raises(IngestError, match=f"{mild.id} is not severe: `myproperty issues resolve"):
        accept_issues(flat.dsn, [mild.id], **DECISION)


def test_a_severe_issue_is_never_resolved_without_an_end(flat: Site) -> None:
    issue = find_severe(flat)
    with pytest.raises(IngestError, match=f"{issue.id} is severe: .*issues accept {issue.id} --by WHO"):
        resolve_issue(flat.dsn, issue.id, by="ann", note="all right")
    selection = Selection(tenant=flat.name, file="a.csv")
    assert count_left_out(flat.dsn, ISSUES, selection) == 1
    resolve_selected(flat.dsn, ISSUES, selection, by="ann", note="all right")
    assert [each.id for each in list_issues(flat.dsn, tenant=flat.name)] == [issue.id]
