"""The records of quality: counted from the operational tables and loaded into raw.

No gate stands before or behind them: they say what the gates said. The marts are dbt's step `dbt_quality`, in
`defs.warehouse.assets`.
"""

from collections.abc import Iterator

import dagster as dg

from dagster_project.environments import WAREHOUSE_POOL
from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.processes import tag_process
from dagster_project.resources.platform import Platform
from dagster_project.run_history import record_runs
from data.landing.entities import QUALITY_DAYS, QUALITY_RUNS, RECORDS

_SOURCES = {
    QUALITY_DAYS: ("meter_files", "reading_issues", "meter_readings"),
    QUALITY_RUNS: (),
}
_DESCRIPTIONS = {
    QUALITY_DAYS: "Readings, files, issues and quarantined rows of each tenant and reading date.",
    QUALITY_RUNS: "The finished runs of Dagster and what their gates said.",
}


def record_key(name: str) -> dg.AssetKey:
    """Return the key `raw/<record>`."""
    return dg.AssetKey(["raw", name])


@dg.multi_asset(
    name="load_quality",
    specs=[
        dg.AssetSpec(
            record_key(name),
            deps=[dg.AssetKey(source) for source in _SOURCES[name]],
            group_name="raw",
            description=_DESCRIPTIONS[name],
            kinds={"postgres", "bigquery"},
        )
        for name in RECORDS
    ],
    retry_policy=RETRY,
    pool=WAREHOUSE_POOL,
)
def load_quality(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.MaterializeResult[None]]:
    """Count what changed since the last count, and load it; running it again changes nothing."""
    from data.landing.quality import count_days, count_runs
    from data.raw.transfer import transfer

    tag_process(context)
    dsn = platform.oltp_dsn
    with permanent_unless_retryable(), platform.warehouse_to_write(context) as warehouse:
        record_runs(context.instance, dsn)
        for name, count in {QUALITY_DAYS: count_days, QUALITY_RUNS: count_runs}.items():
            changed = count(dsn)
            rows = transfer(warehouse, name, dsn, context.run.run_id, progress=platform.progress)
            platform.progress(f"counted {name}: {changed} of {rows} rows changed")
            yield dg.MaterializeResult(
                asset_key=record_key(name), metadata={"rows": rows, "changed": changed}
            )


assets = [load_quality]
