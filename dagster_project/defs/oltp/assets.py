"""Reading issues, readings, reference yields, and the operational tables that other systems write."""

from collections import Counter

import dagster as dg

from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.fences import READINGS_PASSED, make_fence
from dagster_project.partitions import READING_DATES, SINGLE_RUN, window
from dagster_project.processes import tag_process
from dagster_project.resources.platform import Platform
from data.landing.entities import ENTITIES
from myproperty.database.roles import INGEST, PIPELINE
from myproperty.dates import Window
from myproperty.errors import PlatformError

tables = [
    dg.AssetSpec(name, group_name="oltp", kinds={"postgres"}, description=f"The table myproperty.{name}.")
    for name, entity in ENTITIES.items()
    if not entity.is_dated
]

COUNT = """
select count(*), count(distinct tenant_id), coalesce(sum(value_kwh), 0), count(*) filter (where is_estimated),
    (
        select string_agg(t.name, ', ' order by t.name) from myproperty.tenants as t
        where t.id = any (array_agg(distinct r.tenant_id))
    )
from myproperty.meter_readings as r where reading_date >= %s and reading_date < %s
"""
MOST_ROUNDS = 5
# Dagster shows a tag on one line.
TAG_LENGTH = 200


class StaysDue(PlatformError):
    """Dates are due again each time that they were validated."""


@dg.asset(
    deps=["meter_files"],
    partitions_def=READING_DATES,
    backfill_policy=SINGLE_RUN,
    group_name="oltp",
    retry_policy=RETRY,
    kinds={"python", "postgres"},
)
def reading_issues(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult[None]:
    """Validation of the dates as whole days: it records issues and fills gaps with estimates.

    Only due dates are validated: those that changed since their last validation, or depend on one that did.
    """
    from data.ingest.validation.run import validate

    tag_process(context)
    dates = window(context)
    with permanent_unless_retryable(), platform.watch_locks(context, INGEST):
        found = validate(platform.dsn_of(INGEST), first=dates.dates[0], last=dates.dates[-1], due_only=True)
    platform.validated += found
    issues = sum((each.found for each in found), Counter[str]())
    estimated = sum(each.estimated for each in found)
    validated = {date for each in found for date in each.dates}
    platform.progress(
        f"validated {len(validated)} of {len(dates.dates)} dates: {issues.total()} issues, "
        f"{estimated} readings estimated"
    )
    return dg.MaterializeResult(
        metadata={
            "validated": sorted(date.isoformat() for date in validated),
            "found_by_rule": dict(sorted(issues.items())),
            "estimated": estimated,
            "no_longer_found": sum(each.resolved for each in found),
        }
    )


@dg.asset(
    deps=["meter_files", "reading_issues"],
    partitions_def=READING_DATES,
    backfill_policy=SINGLE_RUN,
    group_name="oltp",
    retry_policy=RETRY,
    kinds={"postgres"},
)
def meter_readings(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult[None]:
    """The current readings of the dates, ingested and validated: counted here, checked by gate A.

    From here on until they are landed, loads of these dates wait: what gate A judges is what is landed.
    """
    import psycopg

    from myproperty.database.roles import ETL_ROLE

    dates = window(context)
    with permanent_unless_retryable(), platform.watch_locks(context, PIPELINE, INGEST):
        hold_validated(platform, dates)
    with permanent_unless_retryable(), psycopg.connect(platform.oltp_dsn) as connection:
        connection.execute(f"set role {ETL_ROLE}")
        counted = connection.execute(COUNT, (dates.start, dates.end)).fetchone() or (0, 0, 0, 0, None)
    rows, tenants, energy, estimated, names = counted
    context.instance.add_run_tags(context.run.run_id, {"tenants": (names or "none")[:TAG_LENGTH]})
    platform.progress(
        f"{dates.start} to before {dates.end}: {rows} readings of {tenants} tenants, {energy:f} kWh"
    )
    return dg.MaterializeResult(
        metadata={"rows": rows, "tenants": tenants, "value_kwh": float(energy), "estimated": estimated}
    )


def hold_validated(platform: Platform, dates: Window) -> None:
    """Hold off loads of these dates; first validate those that a later file has made due again.

    Raises StaysDue.
    """
    from data.ingest.validation.due import find_due_dates
    from data.ingest.validation.run import validate

    first, last = dates.dates[0], dates.dates[-1]
    for _ in range(MOST_ROUNDS):
        platform.hold_loads(dates)
        if not find_due_dates(platform.dsn_of(INGEST), first, last):
            return
        platform.release_loads()
        platform.validated += validate(platform.dsn_of(INGEST), first=first, last=last, due_only=True)
        platform.progress("dates were due again after their validation: validated again")
    raise StaysDue(
        f"dates of {first} to {last} were due again after each of {MOST_ROUNDS} validations, as when files "
        "keep coming. Nothing was landed: run the dates again, `myproperty run`, when fewer files come"
    )


@dg.asset(
    deps=["properties", "solar_assets"],
    partitions_def=READING_DATES,
    backfill_policy=SINGLE_RUN,
    group_name="oltp",
    retry_policy=RETRY,
    kinds={"postgres"},
)
def solar_reference_yields(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult[None]:
    """The yield of each array under a clear sky, by pvlib; computing it again changes no row."""
    from data.solar.store import write_reference_yields

    dates = window(context)
    with permanent_unless_retryable():
        rows = write_reference_yields(platform.oltp_dsn, dates.start, dates.end)
    platform.progress(f"computed reference yields: {rows} intervals")
    return dg.MaterializeResult(metadata={"rows": rows})


assets: list[dg.AssetSpec | dg.AssetsDefinition] = [
    *tables,
    reading_issues,
    meter_readings,
    solar_reference_yields,
    make_fence(READINGS_PASSED, [meter_readings.key]),
]
