"""The asset `meter_files`: files in the inbox become readings, and the ledger records their dates."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from dagster_project.environments import INGEST_POOL
from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.markdown import escape_text, write_table
from dagster_project.processes import tag_process
from dagster_project.resources.platform import Platform
from myproperty.database.roles import INGEST
from myproperty.files import remove_left_folders
from myproperty.logs import log_fields

if TYPE_CHECKING:
    from data.ingest.readings.results import IngestResult


class InboxConfig(dg.Config):
    """The paths in the inbox to ingest; an empty list means all files."""

    files: list[str] = Field(default_factory=list)


@dg.asset(group_name="ingest", retry_policy=RETRY, pool=INGEST_POOL, kinds={"python", "postgres"})
def meter_files(
    context: dg.AssetExecutionContext, config: InboxConfig, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult[None]:
    """Every file of the inbox, ingested once by its content; a revised reading becomes a new version.

    A file that fails stays in the inbox and is named; the other files are ingested.

    Not partitioned: a file may touch many dates. Changed dates are pending until their marts are built.
    """
    from data.ingest.readings import inbox

    tag_process(context)
    for folder in remove_left_folders(inbox.INBOX_COPY):
        platform.progress(f"removed {folder}: the process that read a file there was killed")
    results = []
    with permanent_unless_retryable(), platform.watch_locks(context, INGEST):
        for result in inbox.ingest_waiting(platform.settings, platform.dsn_of(INGEST), config.files):
            results.append(result)
            platform.ingested.append(result)
            with log_fields(tenant=result.tenant_id):
                platform.progress(
                    f"{result.path}: {result.status}, {result.accepted} accepted,"
                    f" {result.unchanged} unchanged, {result.new_versions} new versions,"
                    f" {result.quarantined} quarantined"
                )
                if result.refusal is not None:
                    context.log.error(f"{result.status}: {result.refusal.describe(result.path)}")
    touched = sorted({day.isoformat() for result in results for day in result.dates_touched})
    return dg.MaterializeResult(
        metadata={
            "files": len(results),
            "refused": sum(result.status == "refused" for result in results),
            "failed": [result.path for result in results if result.status == "failed"],
            "not_loaded": dg.MetadataValue.md(describe_refusals(results)),
            "accepted": sum(result.accepted for result in results),
            "quarantined": sum(result.quarantined for result in results),
            "quarantined_by_rule": dict(sum((Counter(result.rules) for result in results), Counter())),
            "adjustment_tasks": sorted({task for result in results for task in result.adjustment_tasks}),
            "dates_touched": touched,
        }
    )


def describe_refusals(results: Sequence["IngestResult"]) -> str:
    """Return a Markdown table of the refused and failed files, with the reason and the remedy of each."""
    refused = [(result, result.refusal) for result in results if result.refusal is not None]
    if not refused:
        return "none"
    cells = [
        (result.path, result.status, refusal.line, refusal.rule, refusal.reason, refusal.remedy)
        for result, refusal in refused
    ]
    return write_table(
        ("file", "result", "line", "rule", "reason", "next"), [[*map(escape_text, row)] for row in cells]
    )


assets = [meter_files]
