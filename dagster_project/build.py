"""Put the definitions of all stages and the resources together.

Nothing is defined here: definitions are in `dagster_project.defs.<stage>`.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg

from dagster_project.defs.alerts import sensors as alert_sensors
from dagster_project.defs.backups import jobs as backup_jobs
from dagster_project.defs.backups import schedules as backup_schedules
from dagster_project.defs.backups import sensors as backup_sensors
from dagster_project.defs.exports import jobs as export_jobs
from dagster_project.defs.exports import schedules as export_schedules
from dagster_project.defs.history import jobs as history_jobs
from dagster_project.defs.history import sensors as history_sensors
from dagster_project.defs.ingest import assets as ingest_assets
from dagster_project.defs.ingest import jobs as ingest_jobs
from dagster_project.defs.ingest import schedules as ingest_schedules
from dagster_project.defs.ingest import sensors as ingest_sensors
from dagster_project.defs.landing import assets as landing_assets
from dagster_project.defs.landing import checks as landing_checks
from dagster_project.defs.oltp import assets as oltp_assets
from dagster_project.defs.oltp import checks as oltp_checks
from dagster_project.defs.oltp import jobs as oltp_jobs
from dagster_project.defs.oltp import sensors as oltp_sensors
from dagster_project.defs.quality import assets as quality_assets
from dagster_project.defs.quality import jobs as quality_jobs
from dagster_project.defs.quality import sensors as quality_sensors
from dagster_project.defs.raw import assets as raw_assets
from dagster_project.defs.raw import checks as raw_checks
from dagster_project.defs.raw import jobs as raw_jobs
from dagster_project.defs.raw import schedules as raw_schedules
from dagster_project.defs.warehouse import assets as warehouse_assets
from dagster_project.defs.warehouse import checks as warehouse_checks
from dagster_project.defs.warehouse import jobs as warehouse_jobs
from dagster_project.defs.warehouse import schedules as warehouse_schedules
from dagster_project.defs.warehouse import sensors as warehouse_sensors
from dagster_project.environments import freshness_policy, switch
from dagster_project.partitions import READING_DATES, begin_with
from dagster_project.resources import dbt
from dagster_project.resources.platform import Platform
from data.landing.published_dates import read_first_date
from data.warehouse.project import manifest
from myproperty import engines
from myproperty.database.roles import PIPELINE
from myproperty.errors import PlatformError
from myproperty.settings import Settings, get_settings

# Of assets that dbt does not give an owner.
OWNERS = ["data-platform@myproperty.example"]


def find_first_date(settings: Settings) -> date | None:
    """Return the first reading date, at the latest three days ago: the nightly run covers three dates.

    None before the first reading, and if the database cannot be asked: definitions load without engines.
    """
    try:
        first = read_first_date(engines.login_dsn(settings, PIPELINE))
    except (PlatformError, psycopg.Error):
        return None
    return None if first is None else min(first, datetime.now(UTC).date() - timedelta(days=3))


def build_defs(
    *,
    settings: Settings | None = None,
    resources: Mapping[str, Any] | None = None,
    first_date: date | None = None,
) -> dg.Definitions:
    """Build all definitions. `resources` replaces resources by name, as tests do.

    Reading dates begin with `first_date`, if given: Dagster's pages then show no dates before it.
    """
    settings = settings or get_settings()
    reading_dates = begin_with(first_date) if first_date else READING_DATES

    written_by_others = {table.key for table in oltp_assets.tables}

    def complete(spec: dg.AssetSpec) -> dg.AssetSpec:
        dates = reading_dates if spec.partitions_def is not None else None
        return spec.replace_attributes(
            owners=spec.owners or OWNERS,
            partitions_def=dates,
            freshness_policy=None
            if spec.key in written_by_others
            else freshness_policy(spec.group_name, settings.environment),
        )

    return dg.Definitions(
        assets=dg.map_asset_specs(
            complete,
            [
                *ingest_assets.assets,
                *oltp_assets.assets,
                *landing_assets.assets,
                *raw_assets.assets,
                *quality_assets.assets,
                *warehouse_assets.make_assets(manifest(settings)),
            ],
        ),
        asset_checks=[
            *oltp_checks.checks,
            *landing_checks.checks,
            *raw_checks.checks,
            *warehouse_checks.checks,
        ],
        jobs=[
            *ingest_jobs.jobs,
            *oltp_jobs.jobs,
            *raw_jobs.jobs,
            *warehouse_jobs.jobs,
            *history_jobs.jobs,
            *quality_jobs.jobs,
            *backup_jobs.jobs,
            *export_jobs.jobs,
        ],
        schedules=switch(
            [
                *ingest_schedules.schedules,
                *raw_schedules.schedules,
                *warehouse_schedules.schedules,
                *backup_schedules.schedules,
                *export_schedules.schedules,
            ],
            settings.environment,
        ),
        sensors=switch(
            [
                *ingest_sensors.sensors,
                *oltp_sensors.sensors,
                *warehouse_sensors.sensors,
                *quality_sensors.sensors,
                *alert_sensors.sensors,
                *history_sensors.sensors,
                *backup_sensors.sensors,
            ],
            settings.environment,
        ),
        # Runs that people start in the UI: the default starts a process for each step, 10 s for each.
        executor=dg.in_process_executor,
        resources={
            "platform": Platform(settings),
            "dbt": dbt.resource(settings),
            "warm_dbt": dbt.warm_resource(settings),
            **(resources or {}),
        },
    )
