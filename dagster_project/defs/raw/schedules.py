"""The schedule of the job `source_freshness`."""

import dagster as dg

from dagster_project.defs.raw.jobs import source_freshness
from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import LAUNCHED_BY

schedules = [
    dg.ScheduleDefinition(
        name="source_freshness_six_hourly",
        job=source_freshness,
        tags={LAUNCHED_BY: "schedule source_freshness_six_hourly"},
        cron_schedule=AUTOMATIONS["source_freshness_six_hourly"].cron,
        execution_timezone="UTC",
    )
]
