"""A location whose names are hostile: a failed gate, a failed step, a log line, and metadata."""

import dagster as dg

from dagster_project.gates import to_check_result
from dagster_project.markdown import escape_text
from tests.hostile import ALL, make_verdict


@dg.asset(description=ALL, owners=["team:metering"], tags={"kind": "file"})
def meter_files(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    context.log.info(ALL)
    return dg.MaterializeResult(metadata={"file": ALL, "rows": dg.MetadataValue.md(escape_text(ALL))})


@dg.asset_check(asset=meter_files, name="gate_a", description=ALL)
def gate_a() -> dg.AssetCheckResult:
    return to_check_result(make_verdict())


@dg.asset
def refused_file() -> None:
    raise ValueError(f"the file {ALL} was refused")


defs = dg.Definitions(assets=[meter_files, refused_file], asset_checks=[gate_a])
