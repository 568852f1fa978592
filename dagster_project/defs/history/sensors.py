"""The sensors of what runs leave behind: the record of runs, the site of the gates, the metrics."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project.defs.history.jobs import quality_docs
from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import LAUNCHED_BY
from dagster_project.processes import find_unfinished_runs
from dagster_project.resources.platform import Platform
from dagster_project.run_history import record_runs
from expectations.verdicts import newest_verdict_at

# While runs follow each other, the site is at most this old.
OLDEST_SITE = timedelta(hours=1)


@dg.sensor(
    name="recorded_runs",
    minimum_interval_seconds=AUTOMATIONS["recorded_runs"].seconds,
    description="Records the runs that have changed, for `myproperty pending` and the marts of quality.",
)
def recorded_runs(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SkipReason:
    """Record the runs since the last tick; runs whose process is gone are ended."""
    return dg.SkipReason(f"{record_runs(context.instance, platform.oltp_dsn)} runs are recorded")


@dg.sensor(
    job=quality_docs,
    name="new_verdicts",
    minimum_interval_seconds=AUTOMATIONS["new_verdicts"].seconds,
    description="Builds the site of the gates when gates have run and no run is under way, or once an hour.",
)
def new_verdicts(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.RunRequest | dg.SkipReason:
    """Request a run of `quality_docs` for the newest verdict; after a failure the next verdict does."""
    newest = newest_verdict_at(platform.oltp_dsn)
    if newest is None or context.cursor == newest.isoformat():
        return dg.SkipReason("no gate has run since the site was built")
    if find_unfinished_runs(context.instance, quality_docs.name):
        return dg.SkipReason("the site is being built")
    if find_unfinished_runs(context.instance) and not _is_overdue(context.instance):
        return dg.SkipReason("a run is under way: the site is built after it")
    context.update_cursor(newest.isoformat())
    return dg.RunRequest(tags={LAUNCHED_BY: "sensor new_verdicts"})


@dg.sensor(
    name="metrics_file",
    minimum_interval_seconds=AUTOMATIONS["metrics_file"].seconds,
    description="Writes the metrics for Prometheus to the file of MYPROPERTY_METRICS_FILE.",
)
def metrics_file(_: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SkipReason:
    """Write the metrics of now."""
    from dagster_project.prometheus import write_metrics

    path = platform.settings.metrics_path
    write_metrics(platform.settings, path)
    return dg.SkipReason(f"the metrics are in {path}")


def _is_overdue(instance: dg.DagsterInstance) -> bool:
    last = instance.get_run_records(dg.RunsFilter(job_name=quality_docs.name), limit=1)
    return not last or last[0].create_timestamp < datetime.now(UTC) - OLDEST_SITE


sensors = [recorded_runs, new_verdicts, metrics_file]
