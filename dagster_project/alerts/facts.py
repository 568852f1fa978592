"""Read what messages say: the broken rules of a run, silent senders, and the facts of the daily digest."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError

from dagster_project.alerts.messages import DigestFacts, RuleReport, SilentSender
from dagster_project.alerts.outbox import Outbox
from dagster_project.partitions import dates_of_tags
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import transaction

# Steps that a failed check stops end in this error; the check itself is reported.
_STOPPED_BY_CHECK = DagsterAssetCheckFailedError.__name__
_VERDICTS = """
select table_name, failed from warehouse_staging.gate_results
where run_id = $1 and not passed order by gate, table_name
"""
# An estimate is loaded by a job of its own: it is no file of a sender.
_SENDERS = """
select j.tenant_id::text, j.format, max(j.started_at)
from myproperty.ingestion_jobs as j
inner join myproperty.tenants as t on t.id = j.tenant_id and t.status = 'active'
where j.status = 'loaded' and j.format is not null and j.format <> 'estimation'
group by 1, 2 having max(j.started_at) < $1
order by 1, 2
"""
_RULES = """
select broken ->> 'rule', count(*) from warehouse_staging.gate_results,
    jsonb_array_elements(failed) as broken
where checked_at >= $1 group by 1
"""
_QUARANTINED = """
select rule, count(*) from warehouse_staging.quarantined_readings where status = 'open' group by 1
"""


def read_broken_rules(
    dsn: str | None, instance: dg.DagsterInstance, run: dg.DagsterRun, failures: Sequence[dg.DagsterEvent]
) -> list[RuleReport]:
    """Return every broken rule of a failed run: of gates, of dbt tests, and its crashed steps.

    Gates come from their verdicts. Without a database (`dsn` is None) the event log names only the checks.
    Raises `PlatformError` or `psycopg.Error`.
    """
    reports = _read_verdicts(dsn, run.run_id) if dsn else []
    judged = bool(reports)
    for check in _failed_checks(instance, run.run_id):
        if not (judged and check.check_name.startswith("gate_")):
            reports.append(_describe_check(check))
    for event in failures:
        report = _describe_crash(event)
        if report is not None:
            reports.append(report)
    if not reports:
        reports.append(
            RuleReport(
                rule="RUN-STOPPED",
                place=run.job_name,
                expected="the run ends by itself",
                observed="its process ended before a step failed",
                mend="look for a killed process, a full disk or memory, then run again",
            )
        )
    return reports


def _read_verdicts(dsn: str, run_id: str) -> list[RuleReport]:
    with transaction(dsn, ETL_ROLE) as session:
        rows = session.rows(_VERDICTS, [run_id])
    return [
        RuleReport(
            rule=str(broken.get("rule")),
            place=table,
            expected=str(broken.get("what")),
            observed=str(broken.get("observed")),
            mend=str(broken.get("remedy")),
            tenants=_find_tenants(broken.get("sample") or []),
        )
        for table, failed in rows
        for broken in failed
        if broken.get("severity") == "block"
    ]


def _find_tenants(sample: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted({str(row["tenant_id"]) for row in sample if row.get("tenant_id")}))


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.AssetCheckEvaluation]:
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    for record in records:
        event = record.event_log_entry.dagster_event
        if event is None:
            continue
        check = event.asset_check_evaluation_data
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
            yield check


def _describe_check(check: dg.AssetCheckEvaluation) -> RuleReport:
    rows = check.metadata.get("dagster_dbt/failed_row_count")
    return RuleReport(
        rule=check.check_name,
        place=check.asset_key.to_user_string(),
        expected="no row breaks the check",
        observed=f"{rows.value} rows" if rows is not None else "the check failed",
        mend="correct the rows that the check names in the run's page of Dagster",
    )


def _describe_crash(event: dg.DagsterEvent) -> RuleReport | None:
    """Describe a crashed step by the class of its error: its text may hold rows, names and logins."""
    error = event.step_failure_data.error
    names = []
    while error is not None:
        names.append(error.cls_name or "error")
        error = error.cause
    if _STOPPED_BY_CHECK in names:
        return None
    return RuleReport(
        rule=f"STEP {event.step_key}",
        place="pipeline step",
        expected="the step ends without an error",
        observed=names[-1] if names else "no error was recorded",
        mend="read the error in the run's page of Dagster, mend its cause",
    )


def read_silent_senders(dsn: str, hours: int, now: datetime) -> list[SilentSender]:
    """Return the senders whose last loaded file is older than `hours`. Raises `PlatformError`."""
    with transaction(dsn, ETL_ROLE) as session:
        rows = session.rows(_SENDERS, [now - timedelta(hours=hours)])
    return [SilentSender(tenant, format, last_at) for tenant, format, last_at in rows]


def read_digest(
    dsn: str, instance: dg.DagsterInstance, outbox: Outbox, hours: int, now: datetime
) -> DigestFacts:
    """Read the facts of the daily digest. Raises `PlatformError`."""
    from data.landing.published_dates import pending_dates

    since = now - timedelta(days=1)
    with transaction(dsn, ETL_ROLE) as session:
        rules = session.rows(_RULES, [since])
        quarantined = session.rows(_QUARANTINED)
    runs = instance.get_runs(dg.RunsFilter(created_after=since))
    return DigestFacts(
        runs=dict(Counter(f"{run.job_name} {run.status.value.lower()}" for run in runs)),
        rules=dict(rules),
        quarantined=dict(quarantined),
        pending=pending_dates(dsn),
        silent=read_silent_senders(dsn, hours, now),
        open_causes=[cause["title"] for cause in outbox.open_causes()],
    )


def dates_of_run(run: dg.DagsterRun) -> list[date]:
    """Return the reading dates of a run; none if it has no partitions."""
    window = dates_of_tags(run.tags)
    return window.dates if window else []


def utc_now() -> datetime:
    """Return the instant of now."""
    return datetime.now(UTC)
