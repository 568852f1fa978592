"""The job `base_backup`, which takes a base backup of the embedded PostgreSQL and copies it to the bucket."""

import dagster as dg

from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.resources.platform import Platform


@dg.op(retry_policy=RETRY)
def take_base_backup(context: dg.OpExecutionContext, platform: dg.ResourceParam[Platform]) -> None:
    """Do what `myproperty backup` does, where backups are on."""
    from myproperty.engines.backups import back_up, backups_are_on

    if not backups_are_on(platform.settings):
        context.log.info("there are no backups here: MYPROPERTY_BACKUP_FOLDER is not set")
        return
    with permanent_unless_retryable():
        done = back_up(platform.settings)
    copied = "copied" if done.copied else "not copied: MYPROPERTY_BACKUP_URL is not set"
    context.log.info(
        f"{done.backup.name} is verified and {copied}; {len(done.removed)} older ones are removed"
    )


@dg.job(
    name="base_backup",
    description="Takes a verified base backup of the embedded PostgreSQL and copies it to the bucket.",
    executor_def=dg.in_process_executor,
)
def base_backup() -> None:
    """Take one backup."""
    take_base_backup()


jobs = [base_backup]
