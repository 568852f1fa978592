"""Puts the platform's assets, checks, jobs, schedules, sensors and resources together.

Nothing is defined here: a stage's parts are in `dagster_project.defs.<stage>`.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_project.defs.ingest import assets as ingest
from dagster_project.defs.landing import assets as landing
from dagster_project.defs.landing import checks as landing_checks
from dagster_project.defs.oltp import assets as oltp
from dagster_project.defs.oltp import checks as oltp_checks
from dagster_project.defs.raw import assets as raw
from dagster_project.defs.raw import checks as raw_checks
from dagster_project.defs.warehouse import assets as warehouse
from dagster_project.defs.warehouse import checks as warehouse_checks
from dagster_project.jobs import jobs
from dagster_project.resources import dbt
from dagster_project.resources.platform import Platform
from dagster_project.schedules import schedules
from dagster_project.sensors import sensors
from myproperty.settings import Settings, get_settings


def build_defs(
    *, settings: Settings | None = None, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """The whole of the platform. `resources` replaces resources by name, as tests do."""
    settings = settings or get_settings()
    all_jobs = jobs()
    return dg.Definitions(
        assets=[
            ingest.meter_files,
            *oltp.tables,
            oltp.reading_issues,
            oltp.meter_readings,
            oltp.solar_reference_yields,
            *landing.assets,
            *raw.assets,
            *warehouse.assets(dbt.manifest(settings)),
        ],
        asset_checks=[
            *oltp_checks.checks,
            *landing_checks.checks,
            *raw_checks.checks,
            *warehouse_checks.checks,
        ],
        jobs=all_jobs,
        schedules=schedules(all_jobs),
        sensors=sensors(all_jobs),
        resources={"platform": Platform(settings), "dbt": dbt.resource(settings), **(resources or {})},
    )
