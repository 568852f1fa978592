"""Load landing tables into the warehouse: dated tables one load for each date, all others in one step."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.defs.landing.assets import DATED, UNDATED, landing_key
from dagster_project.environments import WAREHOUSE_POOL
from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.fences import LANDING_PASSED, RAW_PASSED, make_fence
from dagster_project.partitions import READING_DATES, SINGLE_RUN, window
from dagster_project.resources.platform import Platform
from data.landing.entities import ENTITIES
from myproperty.database.roles import WAREHOUSE_RAW


def raw_key(entity: str) -> dg.AssetKey:
    """Return the key `raw/<entity>`."""
    return dg.AssetKey(["raw", entity])


def describe_asset(entity: str) -> str:
    """Describe the asset of an entity."""
    way = "merged with the rows landed since the last load" if ENTITIES[entity].is_growing else "replaced"
    return f"raw.{entity} in the warehouse, {way} from warehouse_staging.{entity}."


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            raw_key(entity),
            deps=[landing_key(entity), LANDING_PASSED],
            group_name="raw",
            description=describe_asset(entity),
            kinds={"bigquery"},
        )
        for entity in UNDATED
    ],
    can_subset=True,
    retry_policy=RETRY,
    pool=WAREHOUSE_POOL,
)
def load_entities(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.MaterializeResult[None]]:
    """The tables without dates; running it again changes nothing."""
    from data.raw.transfer import transfer

    selected = [entity for entity in UNDATED if raw_key(entity) in context.selected_asset_keys]
    total = 0
    watching = platform.watch_locks(context, WAREHOUSE_RAW)
    with permanent_unless_retryable(), watching, platform.warehouse_to_write(context) as warehouse:
        for entity in selected:
            rows = transfer(
                warehouse, entity, platform.oltp_dsn, context.run.run_id, progress=platform.progress
            )
            total += rows
            yield dg.MaterializeResult(asset_key=raw_key(entity), metadata={"rows": rows})
    platform.progress(f"loaded {len(selected)} tables into raw: {total} rows")


def raw_asset(entity: str) -> dg.AssetsDefinition:
    """Define `raw/<entity>` by reading date: each partition is replaced from landing."""

    @dg.asset(
        key=raw_key(entity),
        deps=[landing_key(entity), LANDING_PASSED],
        partitions_def=READING_DATES,
        backfill_policy=SINGLE_RUN,
        group_name="raw",
        description=describe_asset(entity),
        retry_policy=RETRY,
        pool=WAREHOUSE_POOL,
        kinds={"bigquery"},
    )
    def load_entity(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult[None]:
        from data.raw.transfer import transfer

        dates = window(context).dates
        watching = platform.watch_locks(context, WAREHOUSE_RAW)
        with permanent_unless_retryable(), watching, platform.warehouse_to_write(context) as warehouse:
            rows = transfer(
                warehouse,
                entity,
                platform.oltp_dsn,
                context.run.run_id,
                dates,
                progress=platform.progress,
            )
        platform.progress(f"loaded raw.{entity}: {rows} rows")
        return dg.MaterializeResult(metadata={"rows": rows})

    return load_entity


assets = [
    load_entities,
    *(raw_asset(entity) for entity in DATED),
    make_fence(RAW_PASSED, map(raw_key, ENTITIES)),
]
