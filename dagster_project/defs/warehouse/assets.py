"""The dbt project in four steps, and `published_dates`, written when those of the pipeline have succeeded.

Seeds, snapshots, dimensions and small facts have no dates; large facts and marts are rebuilt for the run's
window. The marts are a separate step, so that gate D stands between a candidate and its mart. The marts of
quality are a step of the job `quality`, behind no gate. One dbt runs at a time: two would collide on
temporary tables and take a snapshot twice. Asset names are in `translator.py`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from dagster_project.defs.warehouse.translator import LAYERS, Translator, asset_key
from dagster_project.defs.warehouse.unchanged import (
    Built,
    Unchanged,
    adopt_built,
    find_unchanged,
    keep_built,
    read_built,
)
from dagster_project.environments import WAREHOUSE_POOL
from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.fences import DIMENSIONS_PASSED, FACTS_PASSED, RAW_PASSED, make_fence
from dagster_project.logs import printed_by
from dagster_project.partitions import READING_DATES, SINGLE_RUN, SPLIT_FROM, left_out_of_tags, window
from dagster_project.resources.dbt import WarmDbt
from dagster_project.resources.platform import Platform
from dagster_project.splitting import describe_tenants
from data.landing.published_dates import one_dbt_at_a_time, publish_dates
from data.warehouse import project as dbt_calls
from expectations.suites import warehouse_suites
from myproperty.database.roles import PIPELINE, WAREHOUSE_DBT
from myproperty.dates import Window
from myproperty.settings import Settings

# Staging models that are read by reading date: they and their tests need the window.
_DATED_STAGING = "stg_oltp__meter_readings stg_oltp__reading_issues stg_oltp__solar_reference_yields"
_DATED = f"{_DATED_STAGING} tag:fact,config.materialized:incremental tag:mart_candidate"
_QUALITY = "tag:quality"
READERS = "tenant_readers"
QUALITY_STEP = "dbt_quality"
# Before all gates: a right that was taken away does not wait for a night that passes them.
READERS_STEP = "dbt_readers"
DIMENSIONS_STEP = "dbt_dimensions"
FACTS_STEP = "dbt_facts"
MARTS_STEP = "dbt_marts"
# They leave out what is unchanged since the last published run.
_CHANGED_ALONE = (DIMENSIONS_STEP, FACTS_STEP, MARTS_STEP)
# Of a run, beside its dbt: what the step was built from, and what it built.
_BUILT = "built.json"
_NOTHING = Unchanged()
# step -> (dbt selection, dbt exclusion, has reading dates, the fence before it)
# A step excludes the later steps: dbt would run the tests that a later model has on an earlier one.
STEPS: dict[str, tuple[str, str, bool, dg.AssetKey | None]] = {
    READERS_STEP: (READERS, "", False, None),
    DIMENSIONS_STEP: (
        "tag:seed tag:staging tag:snapshot tag:dimension tag:fact,config.materialized:table",
        f"{_DATED} tag:mart {_QUALITY} {READERS}",
        False,
        RAW_PASSED,
    ),
    FACTS_STEP: (_DATED, "tag:mart", True, DIMENSIONS_PASSED),
    MARTS_STEP: ("tag:mart tag:public", _QUALITY, True, FACTS_PASSED),
    QUALITY_STEP: (_QUALITY, "", False, None),
}


def dbt_step(name: str, manifest: Path) -> dg.AssetsDefinition:
    """Define one dbt build as a multi-asset over its selection; it also runs the tests of its models."""
    select, exclude, has_dates, fence = STEPS[name]

    @dbt_assets(
        manifest=manifest,
        select=select,
        exclude=exclude or None,
        name=name,
        dagster_dbt_translator=Translator(fence),
        partitions_def=READING_DATES if has_dates else None,
        backfill_policy=SINGLE_RUN if has_dates else None,
        retry_policy=RETRY,
        pool=WAREHOUSE_POOL,
    )
    def build(
        context: dg.AssetExecutionContext,
        dbt: DbtCliResource,
        warm_dbt: dg.ResourceParam[WarmDbt],
        platform: dg.ResourceParam[Platform],
    ) -> Iterator[Any]:
        watching = platform.watch_locks(context, PIPELINE, WAREHOUSE_DBT)
        with permanent_unless_retryable(), watching, one_dbt_at_a_time(platform.oltp_dsn):
            dates = window(context) if has_dates else None
            if name in _CHANGED_ALONE:
                yield from _build_changed(context, dbt, warm_dbt, platform, dates)
            elif name == READERS_STEP:
                yield from _build_readers(context, dbt, warm_dbt, platform)
            else:
                yield from _build(context, dbt, warm_dbt, platform, dates=dates)

    return build


def _build(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    warm: WarmDbt,
    platform: Platform,
    *,
    dates: Window | None = None,
    unchanged: Unchanged = _NOTHING,
) -> Iterator[Any]:
    """Run dbt, but not on what is unchanged, and stream its events.

    A failure has dbt's own message as its reason and is not retried.
    """
    settings = platform.settings
    run_id = context.run.run_id
    with platform.warehouse_to_write(context):
        pass  # dbt connects by itself
    target = _folder_of(settings, run_id, context.op.name)
    variables = dbt_calls.connection(settings) | dbt_calls.with_parse(settings, target)
    variables |= warm.variables(target) | dbt_calls.without(unchanged.nodes, unchanged.views, target)
    with dbt_calls.environment(variables | dbt_calls.QUIET | {"MYPROPERTY_RUN_ID": run_id}):
        words = dbt_calls.arguments("build", dates, left_out_of_tags(context.run.tags))
        call = dbt.cli(words, context=context, target_path=target)
    with printed_by("dbt", context):
        for event in call.stream():
            if isinstance(event, dg.Output):
                platform.progress(f"dbt built {event.output_name.replace('__', '/', 1)}")
            yield event


def _build_changed(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    warm: WarmDbt,
    platform: Platform,
    dates: Window | None,
) -> Iterator[Any]:
    """Run dbt on the nodes that would not come out as they stand; the others are reported as they are.

    What the last published run left is what may stay: a gate may have stopped the runs since. Assets that a
    person chose are all built.
    """
    settings, step = platform.settings, context.op.name
    manifest = json.loads(dbt_calls.manifest(settings).read_text())
    now = Built(dbt_calls.digest_parse(settings), dict(platform.raw_digests), stamp_relations(platform))
    before = None if context.is_subset else read_built(_built_by(settings, step))
    unchanged = find_unchanged(manifest, before, now)
    # Nodes first: nothing that stays is built from what is built now. A view may read it, so views come last:
    # Dagster wants parents before children.
    nodes, views = (_report_unchanged(context, manifest, each) for each in (unchanged.nodes, unchanged.views))
    if nodes or views:
        platform.progress(f"{len(nodes) + len(views)} tables and views are those of the last run")
    yield from nodes
    yield from _build(context, dbt, warm, platform, dates=dates, unchanged=unchanged)
    yield from views
    # Marts keep the former rows of a tenant that is left out.
    if not context.is_subset and not (dates and left_out_of_tags(context.run.tags)):
        built = replace(now, relations=stamp_relations(platform))
        keep_built(_folder_of(settings, context.run.run_id, step) / _BUILT, built)


def _report_unchanged(
    context: dg.AssetExecutionContext, manifest: Mapping[str, Any], ids: Sequence[str]
) -> list[dg.Output[None]]:
    """Return the outputs of those of these nodes that the step has."""
    keys = [asset_key(manifest["nodes"][each]) for each in ids]
    return [
        dg.Output(None, key.to_python_identifier(), metadata={"unchanged": True})
        for key in keys
        if key in context.assets_def.keys
    ]


def _build_readers(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, warm: WarmDbt, platform: Platform
) -> Iterator[Any]:
    """Run dbt on the seed of the readers, unless its table has the rows of this file."""
    kept = _built_by(platform.settings, READERS_STEP)
    manifest = json.loads(dbt_calls.manifest(platform.settings).read_text())
    now = Built(dbt_calls.digest_parse(platform.settings), {}, stamp_relations(platform))
    if f"seed.myproperty.{READERS}" in find_unchanged(manifest, read_built(kept), now).nodes:
        [key] = context.assets_def.keys
        yield dg.Output(None, key.to_python_identifier(), metadata={"unchanged": True})
        return
    yield from _build(context, dbt, warm, platform)
    keep_built(kept, replace(now, relations=stamp_relations(platform)))


def _folder_of(settings: Settings, run_id: str, step: str) -> Path:
    """Return the folder into which dbt writes in a step of a run."""
    return dbt_calls.target_path(settings) / "runs" / f"{run_id[:8]}-{step}"


def _built_by(settings: Settings, step: str) -> Path:
    """Return the file with what a step was built from and what it built, in the last published run."""
    return dbt_calls.target_path(settings) / f"{step}.json"


def stamp_relations(platform: Platform) -> dict[str, str]:
    """Return what tells whether a relation of the warehouse has changed, by `schema.name`."""
    with platform.warehouse() as warehouse:
        return warehouse.stamp_relations()


def publish_step(dbt_steps: Sequence[dg.AssetsDefinition]) -> dg.AssetsDefinition:
    """Define the asset `published_dates`, downstream of every layer that people read."""
    public = [key for step in dbt_steps for key in sorted(step.keys) if key.path[0] in LAYERS[1:]]

    @dg.asset(
        deps=public,
        partitions_def=READING_DATES,
        backfill_policy=SINGLE_RUN,
        group_name="published",
        retry_policy=RETRY,
        kinds={"postgres"},
    )
    def published_dates(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult[None]:
        """The dates whose marts are built. A date that a file touches later is pending again."""
        dates, tags = window(context), context.run.tags
        left_out = left_out_of_tags(tags)
        with permanent_unless_retryable():
            publish_dates(
                platform.oltp_dsn,
                dates.dates,
                context.run.run_id,
                left_out=left_out,
                failed_run_id=tags.get(SPLIT_FROM),
            )
            dbt_calls.keep_manifest(platform.settings)
            for step in _CHANGED_ALONE:
                of_run = _folder_of(platform.settings, context.run.run_id, step) / _BUILT
                adopt_built(_built_by(platform.settings, step), of_run)
            dbt_calls.delete_old_runs(platform.settings)
        without = f" without {describe_tenants(left_out)}" if left_out else ""
        platform.progress(f"published {dates.start} to before {dates.end}{without}")
        return dg.MaterializeResult(metadata={"dates": len(dates.dates), "tenants_left_out": len(left_out)})

    return published_dates


def checked_by_gate_d(*, by_date: bool) -> list[dg.AssetKey]:
    """Return the assets that gate D checks: those of the steps by reading date, or the others."""
    suites = [suite for suite in warehouse_suites() if suite.is_step_partitioned == by_date]
    return [dg.AssetKey([suite.schema, suite.table]) for suite in suites]


def make_assets(manifest: Path) -> list[dg.AssetsDefinition]:
    """Define all assets of the stage: unlike the lists of other stages they need dbt's manifest."""
    steps = [dbt_step(name, manifest) for name in STEPS]
    fences = [
        make_fence(DIMENSIONS_PASSED, checked_by_gate_d(by_date=False)),
        make_fence(FACTS_PASSED, checked_by_gate_d(by_date=True)),
    ]
    by_gates = [step for step in steps if step.node_def.name not in (QUALITY_STEP, READERS_STEP)]
    return [*steps, *fences, publish_step(by_gates)]
