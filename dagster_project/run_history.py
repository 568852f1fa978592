"""Record the runs of Dagster in `warehouse_staging.pipeline_runs`: what each covered, how it ended, and why.

Dagster's own storage is the source. So a run is recorded whoever launched it, and a killed one too.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from dagster_project.broken_rules import read_broken_rules, read_events
from dagster_project.partitions import LAUNCHED_BY, dates_of_tags
from dagster_project.processes import find_unfinished_runs
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import transaction

_STATES = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "canceled",
}
_PAGE = 200
# Two runs may change in the same instant, and one of them be read before the other is written.
_OVERLAP = timedelta(minutes=1)
_WRITE = """
insert into warehouse_staging.pipeline_runs (
    run_id, job, launched_by, reading_date_from, reading_date_to, status, requested_at, started_at, ended_at,
    changed_at, retries, seconds, reasons
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::jsonb, $13::jsonb)
on conflict (run_id) do update set
    launched_by = excluded.launched_by, status = excluded.status, started_at = excluded.started_at,
    ended_at = excluded.ended_at, changed_at = excluded.changed_at, retries = excluded.retries,
    seconds = excluded.seconds, reasons = excluded.reasons
where pipeline_runs.changed_at is distinct from excluded.changed_at
"""


def record_runs(instance: dg.DagsterInstance, dsn: str) -> int:
    """Record the runs that changed since the last record; return how many were read.

    Runs whose process is gone are ended first. Raises `PlatformError` or `psycopg.Error`.
    """
    find_unfinished_runs(instance)
    with transaction(dsn, ETL_ROLE) as session:
        ((last,),) = session.rows("select max(changed_at) from warehouse_staging.pipeline_runs")
    rows: list[list[Any]] = []
    cursor = None
    changed = dg.RunsFilter(updated_after=last - _OVERLAP) if last else None
    while records := instance.get_run_records(changed, limit=_PAGE, cursor=cursor):
        rows += [_describe_run(instance, dsn, record) for record in records]
        cursor = records[-1].dagster_run.run_id
    # All or none: the newest run comes first, and the next record begins after it.
    with transaction(dsn, ETL_ROLE) as session:
        for row in rows:
            session.execute(_WRITE, row)
    return len(rows)


def _describe_run(instance: dg.DagsterInstance, dsn: str, record: dg.RunRecord) -> list[Any]:
    run = record.dagster_run
    dates = dates_of_tags(run.tags)
    status = _STATES.get(run.status, "unfinished")
    seconds, retries = _read_steps(instance, run.run_id) if status != "unfinished" else ({}, 0)
    return [
        run.run_id,
        run.job_name,
        run.tags.get(LAUNCHED_BY),
        dates.start if dates else None,
        dates.end if dates else None,
        status,
        record.create_timestamp,
        _to_instant(record.start_time),
        _to_instant(record.end_time),
        record.update_timestamp,
        retries,
        json.dumps(seconds),
        json.dumps(_read_reasons(instance, dsn, run) if status == "failed" else []),
    ]


def _to_instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _read_steps(instance: dg.DagsterInstance, run_id: str) -> tuple[dict[str, float], int]:
    """Return the seconds of each finished step, and the number of retries."""
    seconds: dict[str, float] = {}
    for event in read_events(instance, run_id, dg.DagsterEventType.STEP_SUCCESS):
        seconds[str(event.step_key)] = round(event.step_success_data.duration_ms / 1000, 3)
    return seconds, len(read_events(instance, run_id, dg.DagsterEventType.STEP_UP_FOR_RETRY))


def _read_reasons(instance: dg.DagsterInstance, dsn: str, run: dg.DagsterRun) -> list[dict[str, Any]]:
    broken = read_broken_rules(dsn, instance, run, with_texts=True)
    return [
        {
            "rule": rule.rule,
            "place": rule.place,
            "expected": rule.expected,
            "observed": rule.observed,
            "mend": rule.mend,
        }
        for rule in broken
    ]
