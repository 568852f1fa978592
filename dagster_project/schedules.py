"""Schedules: all are off until somebody switches them on in the UI."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from dagster_project.partitions import run_tags, window_of


def nightly_window(now: datetime, days: int = 3) -> tuple[str, str]:
    """First and last partition key of the `days` reading dates before the date of `now`."""
    last = now.date() - timedelta(days=1)
    return (last - timedelta(days=days - 1)).isoformat(), last.isoformat()


def schedules(jobs: list[Any]) -> list[dg.ScheduleDefinition]:
    """The inbox every hour, snapshots every six, and each night the last three reading dates."""
    by_name = {job.name: job for job in jobs}

    # 18:30 UTC: the day has ended in Sydney and Berlin; what Los Angeles lacks comes with the next night,
    # which is why each date is built on three nights.
    @dg.schedule(
        job=by_name["pipeline"],
        name="pipeline_nightly",
        cron_schedule="30 18 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def pipeline_nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        first, last = nightly_window(context.scheduled_execution_time.astimezone(UTC))
        return dg.RunRequest(run_key=last, tags=run_tags(window_of(first, last)))

    return [
        dg.ScheduleDefinition(
            name="ingest_hourly",
            job=by_name["ingest"],
            cron_schedule="5 * * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
        ),
        # A state that stands for less than the time between two snapshots is never seen.
        dg.ScheduleDefinition(
            name="snapshots_six_hourly",
            job=by_name["snapshots"],
            cron_schedule="35 */6 * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
        ),
        pipeline_nightly,
    ]
