"""Sensors: off until somebody switches them on in the UI."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import dagster as dg
import fsspec

from dagster_project.partitions import READING_DATES, contiguous, run_tags
from dagster_project.resources.platform import Platform
from data.ingest.readings import inbox
from data.landing.published_dates import pending_dates

# A tick reads each file of a batch for its hash, and has a minute.
BATCH = 200
RUN_KEY = "dagster/run_key"
BUSY = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def sensors(jobs: list[Any]) -> list[dg.SensorDefinition]:
    """The inbox, every minute: one run a batch. Dates to validate and to publish: one run a range."""
    by_name = {each.name: each for each in jobs}
    job = by_name["ingest"]

    @dg.sensor(
        job=job,
        name="inbox_files",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
    )
    def inbox_files(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        """A run for the files that have not changed since the last look: what grows is still being written.

        Its key is the hash of their content: the same batch is run once, even if the cursor is lost. A file
        that stays in the inbox after its run is not tried again before it or a mapping of its tenant changes,
        and holds up no other.
        """
        if context.instance.get_runs_count(dg.RunsFilter(job_name=job.name, statuses=BUSY)):
            return dg.SkipReason("the last batch is being ingested")
        filesystem, root = fsspec.core.url_to_fs(platform.settings.inbox)
        found = inbox.list_waiting(filesystem, root)
        # By path: the state at the last look, and whether a run was asked for with it.
        seen = json.loads(context.cursor or "{}")
        settled = [file for file in found if seen.get(file.path) == [file.state, False]][:BATCH]
        tried = {file.path for file in found if seen.get(file.path) == [file.state, True]}
        tried |= {file.path for file in settled}
        cursor = json.dumps({file.path: [file.state, file.path in tried] for file in found})
        if not settled:
            reason = f"of {len(found)} files all have just come, grow or stayed after their run"
            return dg.SensorResult(skip_reason=reason, cursor=cursor)
        request = dg.RunRequest(
            run_key=inbox.files_key(filesystem, settled),
            run_config={"ops": {"meter_files": {"config": {"files": [file.path for file in settled]}}}},
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return [
        inbox_files,
        dates_sensor("due_dates", by_name["validate"], due_dates),
        dates_sensor("pending_dates", by_name["pipeline"], pending_dates),
    ]


def due_dates(dsn: str) -> list[date]:
    """See `find_due_dates`, which is imported at the first call."""
    from data.ingest.validation.due import find_due_dates

    return find_due_dates(dsn)


def dates_sensor(name: str, job: Any, find: Callable[[str], list[date]]) -> dg.SensorDefinition:
    """A run of `job` for the first of the ranges of `find` that was not tried since the last success.

    One run at a time. A range whose run failed waits until it changes, another run of the job succeeds, or
    somebody launches it: what a gate refuses is not tried every five minutes, and holds up no other range.
    """

    @dg.sensor(
        job=job,
        name=name,
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"Runs `{job.name}` for dates that wait for it, one contiguous range a run.",
    )
    def waiting_dates(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.RunRequest | dg.SkipReason:
        instance = context.instance
        if instance.get_runs_count(dg.RunsFilter(job_name=job.name, statuses=BUSY)):
            return dg.SkipReason(f"a run of {job.name} is under way")
        succeeded = dg.RunsFilter(job_name=job.name, statuses=[dg.DagsterRunStatus.SUCCESS])
        since = next((run.run_id for run in instance.get_runs(succeeded, limit=1)), "start")
        known = [day for day in find(platform.oltp_dsn) if READING_DATES.has_partition_key(day.isoformat())]
        for dates in contiguous(known):
            key = f"{dates.start}/{dates.end}/{since}"
            if not instance.get_runs_count(dg.RunsFilter(job_name=job.name, tags={RUN_KEY: key})):
                return dg.RunRequest(run_key=key, tags=run_tags(dates))
        failed = f"{len(known)} dates wait for somebody to look: their runs failed"
        return dg.SkipReason(failed if known else "no dates wait")

    return waiting_dates
