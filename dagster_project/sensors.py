"""Sensors: off until somebody switches them on in the UI."""

import json
from typing import Any

import dagster as dg
import fsspec

from dagster_project.defs.ingest import inbox
from dagster_project.resources.platform import Platform

# A tick reads each file of a batch for its hash, and has a minute.
BATCH = 200
BUSY = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def sensors(jobs: list[Any]) -> list[dg.SensorDefinition]:
    """The inbox, every minute: one run a batch."""
    job = {each.name: each for each in jobs}["ingest"]

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
        found = inbox.waiting(filesystem, root)
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
            run_key=inbox.batch_key(filesystem, settled),
            run_config={"ops": {"meter_files": {"config": {"files": [file.path for file in settled]}}}},
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return [inbox_files]
