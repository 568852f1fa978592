"""The schedules of `pipeline` and `snapshots`, off until a person switches them on in the UI."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project.defs.warehouse.jobs import pipeline, snapshots
from dagster_project.partitions import LAUNCHED_BY, run_tags, window_of


def nightly_window(now: datetime, days: int = 3) -> tuple[str, str]:
    """Return the first and last partition key of the `days` reading dates before the date of `now`."""
    last = now.date() - timedelta(days=1)
    return (last - timedelta(days=days - 1)).isoformat(), last.isoformat()


# 18:30 UTC: the day has ended in Sydney and Berlin. Los Angeles follows the next night, which is why each
# date is built on three nights.
@dg.schedule(
    job=pipeline,
    name="pipeline_nightly",
    cron_schedule="30 18 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def pipeline_nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Request a run over the last three reading dates."""
    first, last = nightly_window(context.scheduled_execution_time.astimezone(UTC))
    return dg.RunRequest(run_key=last, tags=run_tags(window_of(first, last), "schedule pipeline_nightly"))


schedules = [
    pipeline_nightly,
    # A state that lasts less than the time between two snapshots is lost.
    dg.ScheduleDefinition(
        name="snapshots_six_hourly",
        job=snapshots,
        tags={LAUNCHED_BY: "schedule snapshots_six_hourly"},
        cron_schedule="35 */6 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    ),
]
