"""Sensors of reading dates that wait for a job.

Which dates wait for which job is in `dagster_project.defs.<stage>.sensors`.
"""

from collections.abc import Callable
from datetime import date
from typing import Any

import dagster as dg

from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import READING_DATES, run_tags
from dagster_project.processes import find_unfinished_runs
from dagster_project.resources.platform import Platform
from myproperty.dates import contiguous

_RUN_KEY = "dagster/run_key"


def dates_sensor(name: str, job: Any, find_dates: Callable[[str], list[date]]) -> dg.SensorDefinition:
    """Define a sensor that requests a run of `job` for the first range of `find_dates(dsn)` not yet tried.

    It requests one run at a time, of one contiguous range. A range whose run failed waits until the range
    changes, another run of the job succeeds, or a person launches it. So a range that a gate blocks is not
    tried every five minutes and does not hold up other ranges.
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
        waiting = find_dates(platform.oltp_dsn)
        known = [day for day in waiting if READING_DATES.has_partition_key(day.isoformat())]
        for dates in contiguous(known):
            key = f"{dates.start}/{dates.end}/{since}"
            if not instance.get_runs_count(dg.RunsFilter(job_name=job.name, tags={_RUN_KEY: key})):
                return dg.RunRequest(run_key=key, tags=run_tags(dates, f"sensor {name}"))
        failed = f"{len(known)} dates wait for a person: their runs failed"
        return dg.SkipReason(failed if known else "no dates wait")

    return waiting_dates
