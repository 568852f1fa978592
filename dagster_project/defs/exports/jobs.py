"""The job `exports`, which writes the answers of the saved queries to the folder of the settings."""

from datetime import UTC, datetime

import dagster as dg

from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.resources.platform import Platform

NOT_SET = "there are no exports here: MYPROPERTY_EXPORT_URL is not set"


@dg.op(retry_policy=RETRY)
def write_exports(context: dg.OpExecutionContext, platform: dg.ResourceParam[Platform]) -> None:
    """Do what `myproperty metrics export` does, where a folder is set; a second run replaces the files."""
    from data.raw.exports import export_saved_queries

    settings = platform.settings
    if settings.export_url is None:
        context.log.info(NOT_SET)
        return
    with permanent_unless_retryable():
        done = export_saved_queries(
            settings,
            settings.export_url,
            datetime.now(UTC).date(),
            reader=settings.export_reader,
            progress=context.log.info,
        )
    context.add_output_metadata({each.saved_query: each.rows for each in done})


@dg.job(
    name="exports",
    description="Writes the answers of the saved queries as Parquet and CSV, named by the date.",
    executor_def=dg.in_process_executor,
)
def exports() -> None:
    """Write all saved queries once."""
    write_exports()


jobs = [exports]
