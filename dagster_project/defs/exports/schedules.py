"""The schedule of the job `exports`, which asks for a run only where a folder is set."""

import dagster as dg

from dagster_project.defs.exports.jobs import NOT_SET, exports
from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import LAUNCHED_BY
from dagster_project.resources.platform import Platform


@dg.schedule(
    name="exports_daily",
    job=exports,
    cron_schedule=AUTOMATIONS["exports_daily"].cron,
    execution_timezone="UTC",
    description="Writes the answers of the saved queries to MYPROPERTY_EXPORT_URL.",
)
def exports_daily(
    _: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.RunRequest | dg.SkipReason:
    """Request a run, unless no folder is set."""
    if platform.settings.export_url is None:
        return dg.SkipReason(NOT_SET)
    return dg.RunRequest(tags={LAUNCHED_BY: "schedule exports_daily"})


schedules = [exports_daily]
