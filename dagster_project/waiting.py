"""Sensors of reading dates that wait for a job.

Which dates wait for which job is in `dagster_project.defs.<stage>.sensors`.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import dagster as dg

from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import READING_DATES, run_tags
from dagster_project.processes import find_unfinished_runs
from dagster_project.resources.platform import Platform
from myproperty.database.roles import Login
from myproperty.dates import contiguous

_RUN_KEY = "dagster/run_key"
# Killed so often in a row, a run of the same dates would be killed again.
MOST_KILLED = 3


def dates_sensor(
    name: str, job: Any, login: Login, find_dates: Callable[[str], Mapping[date, datetime | None]]
) -> dg.SensorDefinition:
    """Define a sensor that requests a run of `job` for the first range of `find_dates(dsn)` not yet tried.

    The DSN is that of `login`.

    `find_dates` returns the waiting dates and when each last changed, if that is known. The sensor requests
    one run at a time, of one contiguous range. A range whose run failed waits until one of its dates changes,
    another run of the job succeeds, or a person launches it. So a range that a gate blocks is not tried every
    five minutes and does not hold up other ranges. A range whose run was killed is tried again, MOST_KILLED
    times.
    """

    @dg.sensor(
        job=job,
        name=name,
        minimum_interval_seconds=AUTOMATIONS[name].seconds,
        description=f"Runs `{job.name}` for dates that wait for it, one contiguous range for each run.",
    )
    def waiting_dates(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.RunRequest | dg.SkipReason:
        instance = context.instance
        if find_unfinished_runs(instance, job.name):
            return dg.SkipReason(f"a run of {job.name} is under way")
        succeeded = dg.RunsFilter(job_name=job.name, statuses=[dg.DagsterRunStatus.SUCCESS])
        since = next((run.run_id for run in instance.get_runs(succeeded, limit=1)), "start")
        waiting = find_dates(platform.dsn_of(login))
        known = [day for day in waiting if READING_DATES.has_partition_key(day.isoformat())]
        for dates in contiguous(known):
            changed = max((at for day in dates.dates if (at := waiting[day])), default=None)
            key = f"{dates.start}/{dates.end}/{changed.isoformat() if changed else ''}/{since}"
            if (untried := _find_untried(instance, job.name, key)) is not None:
                return dg.RunRequest(run_key=untried, tags=run_tags(dates, f"sensor {name}"))
        failed = f"{len(known)} dates wait for a person: their runs failed"
        return dg.SkipReason(failed if known else "no dates wait")

    return waiting_dates


def _find_untried(instance: dg.DagsterInstance, job_name: str, key: str) -> str | None:
    """Return the key of the next run of a range; None if one has failed by itself, or many were killed."""
    for attempt in range(MOST_KILLED):
        name = f"{key}/{attempt}" if attempt else key
        runs = instance.get_runs(dg.RunsFilter(job_name=job_name, tags={_RUN_KEY: name}), limit=1)
        if not runs:
            return name
        if not _was_killed(instance, runs[0]):
            return None
    return None


def _was_killed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether the run ended without a step that failed: its process was gone."""
    if run.status != dg.DagsterRunStatus.FAILURE:
        return False
    failures = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1)
    return not failures.records
