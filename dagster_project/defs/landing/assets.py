"""One asset an entity: its operational table lands in `warehouse_staging`, by date where it has dates."""

import dagster as dg

from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.partitions import READING_DATES, SINGLE_RUN, Window, window
from dagster_project.resources.platform import Platform
from data.ingest.entities import ENTITIES


def is_dated(entity: str) -> bool:
    """Whether an entity flows by reading date; the others are copied whole."""
    return ENTITIES[entity].partition_column is not None


def landing_asset(entity: str) -> dg.AssetsDefinition:
    """`landing/<entity>`: replaced from its source, so that running it again changes nothing."""
    dated = is_dated(entity)

    @dg.asset(
        key=dg.AssetKey(["landing", entity]),
        deps=[dg.AssetKey([entity])],
        partitions_def=READING_DATES if dated else None,
        backfill_policy=SINGLE_RUN if dated else None,
        group_name="landing",
        description=f"warehouse_staging.{entity}, replaced from myproperty.{entity}.",
        retry_policy=RETRY,
        kinds={"postgres"},
    )
    def land_entity(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult[None]:
        dates = window(context) if dated else None
        with permanent_unless_retryable():
            rows = copy(platform, entity, dates)
        platform.progress(f"landed {entity}: {rows} rows")
        return dg.MaterializeResult(metadata={"rows": rows})

    return land_entity


def copy(platform: Platform, entity: str, dates: Window | None) -> int:
    """Land one entity; returns its rows."""
    from data.ingest.landing import land

    return land(entity, platform.oltp_dsn, *(dates.bounds if dates else ()))


assets = [landing_asset(entity) for entity in ENTITIES]
