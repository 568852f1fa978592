"""The sensor of the inbox."""

import json

import dagster as dg

from dagster_project.defs.ingest.jobs import ingest
from dagster_project.environments import AUTOMATIONS
from dagster_project.partitions import LAUNCHED_BY
from dagster_project.processes import find_unfinished_runs
from dagster_project.resources.platform import Platform
from data.ingest.readings import inbox
from data.ingest.readings.own_files import open_inbox

# A tick reads each of these files for its hash, and has a minute.
FILES_PER_RUN = 200


@dg.sensor(
    job=ingest,
    name="inbox_files",
    minimum_interval_seconds=AUTOMATIONS["inbox_files"].seconds,
)
def inbox_files(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SensorResult | dg.SkipReason:
    """Request a run for the files that have not changed since the last tick; others are still being written.

    The run key is the hash of their content, so the same files are run once even if the cursor is lost. A
    file that stays in the inbox after its run is tried again only when it or a mapping of its tenant changes,
    and does not hold up other files.
    """
    if find_unfinished_runs(context.instance, ingest.name):
        return dg.SkipReason("the files of the last run are being ingested")
    filesystem, root = open_inbox(platform.settings.inbox)
    found = inbox.list_waiting(filesystem, root)
    # For each path: the state at the last tick, and whether a run was requested for that state.
    seen = json.loads(context.cursor or "{}")
    settled = [file for file in found if seen.get(file.path) == [file.state, False]][:FILES_PER_RUN]
    tried = {file.path for file in found if seen.get(file.path) == [file.state, True]}
    tried |= {file.path for file in settled}
    cursor = json.dumps({file.path: [file.state, file.path in tried] for file in found})
    if not settled:
        reason = f"all {len(found)} files are new, still growing, or stayed after their run"
        return dg.SensorResult(skip_reason=reason, cursor=cursor)
    request = dg.RunRequest(
        tags={LAUNCHED_BY: "sensor inbox_files"},
        run_key=inbox.files_key(filesystem, settled),
        run_config={"ops": {"meter_files": {"config": {"files": [file.path for file in settled]}}}},
    )
    return dg.SensorResult(run_requests=[request], cursor=cursor)


sensors = [inbox_files]
