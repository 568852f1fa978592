"""The sensor that copies archived WAL to the bucket of backups; it starts no run."""

import dagster as dg

from dagster_project.environments import AUTOMATIONS
from dagster_project.resources.platform import Platform


@dg.sensor(
    name="copied_wal",
    minimum_interval_seconds=AUTOMATIONS["copied_wal"].seconds,
    description="Copies archived WAL to the bucket of MYPROPERTY_BACKUP_URL.",
)
def copied_wal(_: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SkipReason:
    """Copy what was archived since the last tick."""
    from myproperty.engines.backups import copy_wal

    return dg.SkipReason(copy_wal(platform.settings))


sensors = [copied_wal]
