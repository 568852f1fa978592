"""The job `source_freshness`, which asks dbt whether the tables of `raw` were loaded in time."""

import dagster as dg

from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.resources.platform import Platform
from data.landing.entities import ENTITIES
from data.warehouse import project as dbt_calls

# Growing tables are left out: a load without changed rows leaves no trace in them.
LOADED_IN_EACH_RUN = sorted(name for name, entity in ENTITIES.items() if not entity.is_growing)


@dg.op(retry_policy=RETRY)
def check_source_freshness(context: dg.OpExecutionContext, platform: dg.ResourceParam[Platform]) -> None:
    """Fail, naming tables and their last load, if a table is older than its limit in `_sources.yml`."""
    with permanent_unless_retryable():
        found = dbt_calls.read_source_freshness(platform.settings, LOADED_IN_EACH_RUN)
    late = [f"{each.table}: {each.status}, last loaded {each.loaded_at}" for each in found if each.is_late]
    for line in late:
        context.log.warning(line)
        platform.progress(line)
    if any(each.status == "error" for each in found if each.is_late):
        raise dg.Failure(
            description=f"{len(late)} of {len(found)} tables of raw are late: {'; '.join(late)}. Next: "
            "`myproperty pending` says which runs failed",
            allow_retries=False,
        )


@dg.job(
    name="source_freshness",
    description="Asks dbt whether every table of raw was loaded in time.",
    executor_def=dg.in_process_executor,
)
def source_freshness() -> None:
    """Check every table that each run loads."""
    check_source_freshness()


jobs = [source_freshness]
