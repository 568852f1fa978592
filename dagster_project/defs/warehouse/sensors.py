"""The sensors of dates to publish, and of failed runs that are split."""

from datetime import date, datetime

import dagster as dg

from dagster_project.defs.warehouse.jobs import pipeline
from dagster_project.ended_runs import ended_runs_sensor
from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import SPLIT_BY, SPLIT_FROM, dates_of_tags, left_out_of_tags, run_tags
from dagster_project.resources.platform import Platform
from dagster_project.splitting import MOST_FAILED_IN_A_ROW, Part, split_failed
from dagster_project.waiting import dates_sensor
from data.landing.published_dates import find_pending_dates, list_tenants_of
from expectations.verdicts import failed_verdicts_of
from myproperty.database.roles import PIPELINE

_PUBLISHED = dg.AssetKey("published_dates")


def request_parts(
    instance: dg.DagsterInstance, platform: Platform, run: dg.DagsterRun
) -> list[dg.RunRequest] | str:
    """Request a run for each part of a failed run that may pass: of a schedule, a sensor, or a backfill.

    A run that `myproperty run` started is split by that command.
    """
    dates = dates_of_tags(run.tags)
    if dates is None or not _publishes(run):
        return "the run publishes no dates"
    if SPLIT_BY in run.tags:
        return f"the run is split by {run.tags[SPLIT_BY]}"
    if _count_failed_in_a_row(instance, run) >= MOST_FAILED_IN_A_ROW:
        return f"{MOST_FAILED_IN_A_ROW} runs failed, each a part of the one before"
    part = Part(dates, left_out_of_tags(run.tags))
    failed = failed_verdicts_of(platform.oltp_dsn, run.run_id)
    rest = split_failed(part, failed, list_tenants_of(platform.oltp_dsn, dates.dates))
    return [
        dg.RunRequest(
            run_key=f"{run.run_id} {each.window.start}",
            tags=run_tags(each.window, "sensor failed_ranges", each.left_out, run.run_id),
        )
        for each in rest
    ] or "no part of the run may pass alone"


def _publishes(run: dg.DagsterRun) -> bool:
    """Return whether the run is one of the job, or one of its assets up to the last, as a backfill is."""
    return run.job_name == pipeline.name or _PUBLISHED in (run.asset_selection or ())


def _count_failed_in_a_row(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int:
    """Return how many runs have failed in a row, each a part of the one before, up to this one."""
    count, before = 1, run.tags.get(SPLIT_FROM)
    while before and count < MOST_FAILED_IN_A_ROW:
        found = instance.get_run_by_id(before)
        before = found.tags.get(SPLIT_FROM) if found else None
        count += 1
    return count


def find_changes(dsn: str) -> dict[date, datetime | None]:
    """Return the pending dates and when each last changed."""
    return {found.reading_date: found.changed_at for found in find_pending_dates(dsn)}


sensors = [
    dates_sensor("pending_dates", pipeline, PIPELINE, find_changes),
    ended_runs_sensor(
        "failed_ranges",
        dg.DagsterRunStatus.FAILURE,
        AUTOMATIONS["failed_ranges"].does,
        request_parts,
        pipeline,
    ),
]
