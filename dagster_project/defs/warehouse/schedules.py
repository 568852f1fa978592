"""The schedules of `pipeline` and `snapshots`."""

import dagster as dg

from dagster_project.defs.warehouse.jobs import pipeline, snapshots
from dagster_project.defs.warehouse.nights import find_night, find_night_dates
from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import LAUNCHED_BY, READING_DATES, run_tags
from dagster_project.resources.platform import Platform
from data.landing.published_dates import list_published_dates, list_time_zones


@dg.schedule(
    job=pipeline,
    name="pipeline_nightly",
    cron_schedule=AUTOMATIONS["pipeline_nightly"].cron,
    execution_timezone="UTC",
    description=AUTOMATIONS["pipeline_nightly"].does,
)
def pipeline_nightly(
    context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]
) -> list[dg.RunRequest] | dg.SkipReason:
    """Request runs for the zones in which it is night: the date that has ended, and unpublished ones before.

    The date that has ended runs even if nobody sent a file: tables without dates are copied with it.
    """
    night = find_night(list_time_zones(platform.oltp_dsn), context.scheduled_execution_time)
    if night is None:
        return dg.SkipReason("no property has its night in this hour")
    dates = find_night_dates(night, list_published_dates(platform.oltp_dsn))
    zones = ", ".join(night.zones)
    return [
        dg.RunRequest(
            run_key=f"{zones} {night.today} {window.start}",
            tags={**run_tags(window, "schedule pipeline_nightly"), "time_zones": zones},
        )
        for window in dates
        if READING_DATES.has_partition_key(window.dates[-1].isoformat())
    ]


schedules = [
    pipeline_nightly,
    dg.ScheduleDefinition(
        name="snapshots_six_hourly",
        job=snapshots,
        tags={LAUNCHED_BY: "schedule snapshots_six_hourly"},
        cron_schedule=AUTOMATIONS["snapshots_six_hourly"].cron,
        execution_timezone="UTC",
    ),
]
