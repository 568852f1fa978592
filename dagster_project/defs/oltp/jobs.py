"""The job `validate`, which checks reading dates as whole days and fills their gaps."""

import dagster as dg

validate = dg.define_asset_job(
    "validate",
    selection=dg.AssetSelection.assets("reading_issues"),
    description="Checks whole days of readings, and fills their gaps with estimates.",
    executor_def=dg.in_process_executor,
)

jobs = [validate]
