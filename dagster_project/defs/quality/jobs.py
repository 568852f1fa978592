"""The job `quality`, which counts and publishes the figures of quality.

No other job has its assets, but for the seed of the readers, by which their views filter.
"""

import dagster as dg

from dagster_project.defs.quality.assets import record_key
from data.landing.entities import RECORDS

# The records, and every model that is built from them.
QUALITY = dg.AssetSelection.assets(*map(record_key, RECORDS)).downstream()

quality = dg.define_asset_job(
    "quality",
    selection=QUALITY | dg.AssetSelection.assets(dg.AssetKey(["core", "tenant_readers"])),
    description="Builds mart_data_quality and mart_pipeline_runs, whatever the gates said.",
    executor_def=dg.in_process_executor,
)

jobs = [quality]
