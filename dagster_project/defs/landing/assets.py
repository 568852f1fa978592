"""Copy operational tables to `warehouse_staging`: dated tables by reading date, all others in one step.

The many small tables share a step: a step for each would cost a run more time than the copying.
"""

from collections.abc import Iterator

import dagster as dg

from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.fences import LANDING_PASSED, READINGS_PASSED, make_fence
from dagster_project.partitions import READING_DATES, SINGLE_RUN, left_out_of_tags, window
from dagster_project.processes import tag_process
from dagster_project.resources.platform import Platform
from data.landing.entities import ENTITIES, READINGS
from myproperty.database.roles import PIPELINE

DATED = [name for name, entity in ENTITIES.items() if entity.is_dated]
UNDATED = [name for name, entity in ENTITIES.items() if not entity.is_dated]


def landing_key(entity: str) -> dg.AssetKey:
    """Return the key `landing/<entity>`."""
    return dg.AssetKey(["landing", entity])


def describe_asset(entity: str) -> str:
    """Describe the asset of an entity."""
    way = "updated with changed rows" if ENTITIES[entity].is_growing else "replaced"
    return f"warehouse_staging.{entity}, {way} from myproperty.{entity}."


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            landing_key(entity),
            # After the rows that refer to these tables: a meter that is added meanwhile is landed with them.
            deps=[dg.AssetKey([entity]), READINGS_PASSED, *map(landing_key, DATED)],
            group_name="landing",
            description=describe_asset(entity),
            kinds={"postgres"},
        )
        for entity in UNDATED
    ],
    can_subset=True,
    retry_policy=RETRY,
)
def land_entities(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.MaterializeResult[None]]:
    """The tables without dates, all from one snapshot; running it again changes nothing."""
    from data.landing.land import land_together

    tag_process(context)
    selected = [entity for entity in UNDATED if landing_key(entity) in context.selected_asset_keys]
    check_sources(context, platform, selected)
    with permanent_unless_retryable(), platform.watch_locks(context, PIPELINE):
        landed = land_together(selected, platform.oltp_dsn)
    for entity, rows in landed.items():
        yield dg.MaterializeResult(asset_key=landing_key(entity), metadata={"rows": rows})
    platform.progress(f"landed {len(landed)} tables: {sum(landed.values())} rows")


def landing_asset(entity: str) -> dg.AssetsDefinition:
    """Define `landing/<entity>` by reading date: replaced from its source, so a rerun changes nothing."""

    @dg.asset(
        key=landing_key(entity),
        deps=[dg.AssetKey([entity]), READINGS_PASSED],
        partitions_def=READING_DATES,
        backfill_policy=SINGLE_RUN,
        group_name="landing",
        description=describe_asset(entity),
        retry_policy=RETRY,
        kinds={"postgres"},
    )
    def land_entity(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult[None]:
        from data.landing.land import land

        check_sources(context, platform, [entity])
        with permanent_unless_retryable(), platform.watch_locks(context, PIPELINE):
            is_held = entity == READINGS and platform.is_holding()
            rows = land(
                entity,
                platform.oltp_dsn,
                *window(context).bounds,
                left_out=left_out_of_tags(context.run.tags),
                are_loads_held=is_held,
            )
            if is_held:
                platform.require_hold()
        if entity == READINGS:
            platform.release_loads()
        platform.progress(f"landed {entity}: {rows} rows")
        return dg.MaterializeResult(metadata={"rows": rows})

    return land_entity


def check_sources(context: dg.AssetExecutionContext, platform: Platform, entities: list[str]) -> None:
    """Fail if a source lost a column or changed its type; warn about new columns."""
    from data.landing import drift

    with permanent_unless_retryable():
        for warning in drift.check_sources(entities, platform.oltp_dsn):
            context.log.warning(warning)
            platform.progress(f"warning: {warning}")


assets = [
    land_entities,
    *(landing_asset(entity) for entity in DATED),
    make_fence(LANDING_PASSED, map(landing_key, ENTITIES)),
]
