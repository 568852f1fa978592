"""One asset an entity: its landing table is loaded into the warehouse, one load a table and date."""

import dagster as dg

from dagster_project.defs.landing.assets import is_dated
from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.partitions import READING_DATES, SINGLE_RUN, Window, partitions, window
from dagster_project.resources.platform import Platform
from data.ingest.entities import ENTITIES


def raw_asset(entity: str) -> dg.AssetsDefinition:
    """`raw/<entity>`: each partition replaced whole from landing."""
    dated = is_dated(entity)

    @dg.asset(
        key=dg.AssetKey(["raw", entity]),
        deps=[dg.AssetKey(["landing", entity])],
        partitions_def=READING_DATES if dated else None,
        backfill_policy=SINGLE_RUN if dated else None,
        group_name="raw",
        description=f"raw.{entity} in the warehouse, replaced from warehouse_staging.{entity}.",
        retry_policy=RETRY,
        kinds={"bigquery"},
    )
    def load_entity(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult[None]:
        dates = window(context) if dated else None
        with permanent_unless_retryable():
            rows = load(platform, entity, dates, context.run.run_id)
        platform.progress(f"loaded raw.{entity}: {rows} rows")
        return dg.MaterializeResult(metadata={"rows": rows})

    return load_entity


def load(platform: Platform, entity: str, dates: Window | None, run_id: str) -> int:
    """Load one entity's partitions; returns its rows.

    The load key is the run's and the partition's: a step that is tried again finds its own load job.
    """
    from data.ingest.landing import read_landing

    described = ENTITIES[entity]
    rows = 0
    with platform.warehouse() as warehouse:
        warehouse.ensure_table(described)
        for day in partitions(dates):
            landed = read_landing(entity, platform.oltp_dsn, day)
            rows += warehouse.load_partition(described, landed, day, load_key(run_id, entity, day))
    return rows


def load_key(run_id: str, entity: str, day: object) -> str:
    """One key a run, table and partition."""
    return f"{run_id}-{entity}-{day or 'all'}"


assets = [raw_asset(entity) for entity in ENTITIES]
