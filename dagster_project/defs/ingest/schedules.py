"""The schedule of the job `ingest`, off until a person switches it on in the UI."""

import dagster as dg

from dagster_project.defs.ingest.jobs import ingest
from dagster_project.partitions import LAUNCHED_BY

schedules = [
    dg.ScheduleDefinition(
        name="ingest_hourly",
        job=ingest,
        tags={LAUNCHED_BY: "schedule ingest_hourly"},
        cron_schedule="5 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
]
