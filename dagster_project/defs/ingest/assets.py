"""The asset `meter_files`: what waits in the inbox becomes readings, and the ledger says which dates."""

import dagster as dg

from dagster_project.defs.ingest import inbox
from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.resources.platform import Platform


@dg.asset(group_name="ingest", retry_policy=RETRY, kinds={"python", "postgres"})
def meter_files(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
    """Every file of the inbox, ingested once by its content; a revised reading becomes a new version.

    Not partitioned: a file may touch many dates. Those it changed are pending until their marts are built.
    """
    results = []
    with permanent_unless_retryable():
        for result in inbox.ingest(platform):
            results.append(result)
            platform.ingested.append(result)
            platform.progress(
                f"{result.path}: {result.status}, {result.accepted} accepted,"
                f" {result.unchanged} unchanged, {result.new_versions} new versions,"
                f" {result.quarantined} quarantined"
            )
    touched = sorted({day.isoformat() for result in results for day in result.dates_touched})
    return dg.MaterializeResult(
        metadata={
            "files": len(results),
            "refused": sum(result.status == "refused" for result in results),
            "accepted": sum(result.accepted for result in results),
            "quarantined": sum(result.quarantined for result in results),
            "dates_touched": touched,
        }
    )
