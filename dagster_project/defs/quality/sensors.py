"""The sensor of the job `quality`."""

import dagster as dg

from dagster_project.defs.quality.jobs import quality
from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import LAUNCHED_BY
from dagster_project.processes import find_unfinished_runs

# By name: the pipeline's own module imports this stage, to leave its assets out.
_PIPELINE = "pipeline"
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dg.sensor(
    job=quality,
    name="quality_marts",
    minimum_interval_seconds=AUTOMATIONS["quality_marts"].seconds,
    description="Runs `quality` once after the pipeline has ended, whether it succeeded or failed.",
)
def quality_marts(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Request a run for the newest run of the pipeline that has ended; runs before it are counted too."""
    instance = context.instance
    if find_unfinished_runs(instance, quality.name):
        return dg.SkipReason("a run of quality is under way")
    ended = instance.get_runs(dg.RunsFilter(job_name=_PIPELINE, statuses=_ENDED), limit=1)
    if not ended:
        return dg.SkipReason("no run of the pipeline has ended")
    # Dagster does not request the same key twice.
    return dg.RunRequest(run_key=ended[0].run_id, tags={LAUNCHED_BY: "sensor quality_marts"})


sensors = [quality_marts]
