"""The jobs that end in the warehouse.

`pipeline` validates reading dates and takes them from the operational database to the marts. `snapshots`
keeps the state of slowly changing rows between two runs of the pipeline.
"""

import dagster as dg

from dagster_project.partitions import READING_DATES

pipeline = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets("meter_files"),
    partitions_def=READING_DATES,
    description="Takes reading dates from the operational database to the marts, through gates A to D.",
    executor_def=dg.in_process_executor,
)
snapshots = dg.define_asset_job(
    "snapshots",
    selection=dg.AssetSelection.groups("snapshots").upstream(),
    description="Lands and loads slowly changing rows, and keeps their state as versions.",
    executor_def=dg.in_process_executor,
)

jobs = [pipeline, snapshots]
