"""The schedule of the job `ingest`."""

import dagster as dg

from dagster_project.defs.ingest.jobs import ingest
from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import LAUNCHED_BY

schedules = [
    dg.ScheduleDefinition(
        name="ingest_hourly",
        job=ingest,
        tags={LAUNCHED_BY: "schedule ingest_hourly"},
        cron_schedule=AUTOMATIONS["ingest_hourly"].cron,
        execution_timezone="UTC",
    )
]
