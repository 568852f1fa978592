"""The sensor that records runs; it starts none."""

import dagster as dg

from dagster_project.environments import AUTOMATIONS
from dagster_project.resources.platform import Platform
from dagster_project.run_history import record_runs


@dg.sensor(
    name="recorded_runs",
    minimum_interval_seconds=AUTOMATIONS["recorded_runs"].seconds,
    description="Records the runs that have changed, for `myproperty pending` and the marts of quality.",
)
def recorded_runs(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SkipReason:
    """Record the runs since the last tick; runs whose process is gone are ended."""
    return dg.SkipReason(f"{record_runs(context.instance, platform.oltp_dsn)} runs are recorded")


sensors = [recorded_runs]
