"""The jobs that end in the warehouse.

`pipeline` validates reading dates and takes them from the operational database to the marts. `snapshots`
keeps the state of slowly changing rows between two runs of the pipeline.
"""

import dagster as dg

from dagster_project.defs.landing.assets import landing_key
from dagster_project.defs.quality.jobs import QUALITY
from dagster_project.defs.raw.assets import raw_key
from dagster_project.fences import LANDING_PASSED, RAW_PASSED

# The entities whose states are kept as versions: data/warehouse/snapshots has one file for each.
VERSIONED = ("meters", "properties", "providers", "rate_plans", "solar_assets", "tenants", "units")

pipeline = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets("meter_files") - QUALITY,
    description="Takes reading dates from the operational database to the marts, through gates A to D.",
    executor_def=dg.in_process_executor,
)
snapshots = dg.define_asset_job(
    "snapshots",
    selection=dg.AssetSelection.groups("snapshots")
    | dg.AssetSelection.assets(
        *map(landing_key, VERSIONED),
        *map(raw_key, VERSIONED),
        *(dg.AssetKey(["staging", f"stg_oltp__{entity}"]) for entity in VERSIONED),
        LANDING_PASSED,
        RAW_PASSED,
    ),
    description="Lands and loads slowly changing rows, and keeps their state as versions.",
    executor_def=dg.in_process_executor,
)

jobs = [pipeline, snapshots]
