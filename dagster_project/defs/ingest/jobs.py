"""The job `ingest`, which empties the inbox."""

import dagster as dg

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.assets("meter_files"),
    description="Reads every file of the inbox and stores its readings.",
    # One process runs all steps of a job: they wait for engines, and imports are paid once.
    executor_def=dg.in_process_executor,
)

jobs = [ingest]
