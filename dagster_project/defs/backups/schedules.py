"""The schedule of the job `base_backup`."""

import dagster as dg

from dagster_project.defs.backups.jobs import base_backup
from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import LAUNCHED_BY

schedules = [
    dg.ScheduleDefinition(
        name="base_backup_nightly",
        job=base_backup,
        tags={LAUNCHED_BY: "schedule base_backup_nightly"},
        cron_schedule=AUTOMATIONS["base_backup_nightly"].cron,
        execution_timezone="UTC",
    )
]
