"""Put the definitions of all stages and the resources together.

Nothing is defined here: definitions are in `dagster_project.defs.<stage>`.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

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
from dagster_project.defs.raw import assets as raw_assets
from dagster_project.defs.raw import checks as raw_checks
from dagster_project.defs.warehouse import assets as warehouse_assets
from dagster_project.defs.warehouse import checks as warehouse_checks
from dagster_project.defs.warehouse import jobs as warehouse_jobs
from dagster_project.defs.warehouse import schedules as warehouse_schedules
from dagster_project.defs.warehouse import sensors as warehouse_sensors
from dagster_project.resources import dbt
from dagster_project.resources.platform import Platform
from myproperty.settings import Settings, get_settings


def build_defs(
    *, settings: Settings | None = None, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Build all definitions. `resources` replaces resources by name, as tests do."""
    settings = settings or get_settings()
    return dg.Definitions(
        assets=[
            *ingest_assets.assets,
            *oltp_assets.assets,
            *landing_assets.assets,
            *raw_assets.assets,
            *warehouse_assets.make_assets(dbt.manifest(settings)),
        ],
        asset_checks=[
            *oltp_checks.checks,
            *landing_checks.checks,
            *raw_checks.checks,
            *warehouse_checks.checks,
        ],
        jobs=[*ingest_jobs.jobs, *oltp_jobs.jobs, *warehouse_jobs.jobs],
        schedules=[*ingest_schedules.schedules, *warehouse_schedules.schedules],
        sensors=[*ingest_sensors.sensors, *oltp_sensors.sensors, *warehouse_sensors.sensors],
        resources={"platform": Platform(settings), "dbt": dbt.resource(settings), **(resources or {})},
    )
