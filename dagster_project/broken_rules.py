"""Why a run failed: the broken rules of its gates, the failed tests of dbt, and the steps that crashed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError

from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import transaction

LONGEST_TEXT = 2000
# Steps that a failed check stops end in this error; the check itself is reported.
_STOPPED_BY_CHECK = DagsterAssetCheckFailedError.__name__
_VERDICTS = """
select table_name, failed from warehouse_staging.gate_results
where run_id = $1 and not passed order by gate, table_name
"""


@dataclass(frozen=True)
class RuleReport:
    """A broken rule, a failed dbt test or a crashed step: what was expected and what was observed.

    `tenants` are ids; empty if the rule does not name tenants.
    """

    rule: str
    place: str
    expected: str
    observed: str
    mend: str
    tenants: tuple[str, ...] = ()


def read_broken_rules(
    dsn: str | None,
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    *,
    with_texts: bool = False,
) -> list[RuleReport]:
    """Return every broken rule of a failed run: of gates, of dbt tests, and its crashed steps.

    Gates come from their verdicts. Without a database (`dsn` is None) the event log names only the checks.
    `with_texts` adds the texts of errors, which may hold rows and names: not for messages. Raises
    `PlatformError` or `psycopg.Error`.
    """
    reports = _read_verdicts(dsn, run.run_id) if dsn else []
    judged = bool(reports)
    for check in _failed_checks(instance, run.run_id):
        if not (judged and check.check_name.startswith("gate_")):
            reports.append(_describe_check(check))
    for event in read_events(instance, run.run_id, dg.DagsterEventType.STEP_FAILURE):
        report = _describe_crash(event, with_texts)
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
            tenants=_find_tenants(broken),
        )
        for table, failed in rows
        for broken in failed
        if broken.get("severity") == "block"
    ]


def _find_tenants(broken: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all tenants that break the rule; those of its samples if the verdict does not keep all."""
    of_sample = {str(row["tenant_id"]) for row in broken.get("sample") or [] if row.get("tenant_id")}
    return tuple(sorted({tenant for tenant, _ in broken.get("tenant_dates") or []} or of_sample))


def read_events(
    instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType
) -> list[dg.DagsterEvent]:
    """Return the events of a kind in a run, in their order."""
    records = instance.get_records_for_run(run_id, of_type=kind).records
    events = [record.event_log_entry.dagster_event for record in records]
    return [event for event in events if event is not None]


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.AssetCheckEvaluation]:
    for event in read_events(instance, run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
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


def _describe_crash(event: dg.DagsterEvent, with_text: bool) -> RuleReport | None:
    """Describe a crashed step by the class of its error: its text may hold rows, names and logins."""
    data = event.step_failure_data
    error, errors = data.error, []
    while error is not None:
        errors.append(error)
        error = error.cause
    if _STOPPED_BY_CHECK in [error.cls_name for error in errors]:
        return None
    observed = (errors[-1].cls_name or "error") if errors else "no error was recorded"
    if with_text:
        told = data.user_failure_data.description if data.user_failure_data else None
        text = told or (errors[-1].message if errors else "")
        observed = f"{observed}: {text.strip()}"[:LONGEST_TEXT] if text.strip() else observed
    return RuleReport(
        rule=f"STEP {event.step_key}",
        place="pipeline step",
        expected="the step ends without an error",
        observed=observed,
        mend="read the error in the run's page of Dagster, mend its cause",
    )
