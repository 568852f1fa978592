"""The job `quality_docs`, which builds the site of the gates.

It is a job of its own: a site that cannot be built fails no run of the pipeline.
"""

import dagster as dg

from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.resources.platform import Platform

# Pages for each gate and table; `myproperty quality-docs --verdicts` builds more.
VERDICTS = 3


@dg.op(retry_policy=RETRY)
def build_quality_docs(context: dg.OpExecutionContext, platform: dg.ResourceParam[Platform]) -> None:
    """Build the site from the newest kept verdicts."""
    from expectations.data_docs import build_data_docs
    from expectations.verdicts import recent_verdicts

    with permanent_unless_retryable():
        found = recent_verdicts(platform.oltp_dsn, VERDICTS)
        index = build_data_docs(found, platform.settings.quality_folder)
    context.log.info(f"{len(found)} verdicts are in {index}")


@dg.job(
    name="quality_docs",
    description="Builds the site of the gates (Great Expectations' Data Docs) from the kept verdicts.",
    executor_def=dg.in_process_executor,
)
def quality_docs() -> None:
    """Build the site."""
    build_quality_docs()


jobs = [quality_docs]
