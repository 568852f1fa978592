"""The process of a run, and the end of runs whose process was killed.

Dagster keeps a killed run as started: for ever if a command ran it, else until its monitoring ends it.
"""

import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import psutil

# host/process id/start of the process in seconds since 1970: an id alone is used again by the system.
PROCESS = "process"
# `max_runtime_seconds` of the instance.
LONGEST_RUN = timedelta(hours=6)
_UNFINISHED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def describe_process() -> str:
    """Return the value of the tag `process` for this process."""
    process = psutil.Process()
    return f"{socket.gethostname()}/{process.pid}/{process.create_time():.2f}"


def tag_process(context: dg.AssetExecutionContext) -> None:
    """Record this process as the one that executes the run: the first step of each job does."""
    if context.run.tags.get(PROCESS) != describe_process():
        context.instance.add_run_tags(context.run.run_id, {PROCESS: describe_process()})


def is_gone(process: str) -> bool:
    """Return whether a process of this machine has ended. Of another machine's nothing is known: False."""
    if not process:
        return False
    host, number, started = process.rsplit("/", 2)
    if host != socket.gethostname():
        return False
    try:
        return bool(abs(psutil.Process(int(number)).create_time() - float(started)) > 1)
    except psutil.NoSuchProcess:
        return True


def has_ended(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Return whether a run has finished or its process is gone. Of an unknown run nothing is known: False."""
    run = instance.get_run_by_id(run_id)
    return run is not None and (run.is_finished or is_gone(run.tags.get(PROCESS, "")))


def list_stuck_runs(instance: dg.DagsterInstance) -> dict[str, str]:
    """Return why runs will not end by themselves, by their id; changes nothing."""
    limit = datetime.now(UTC) - LONGEST_RUN
    found = {}
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED)):
        run = record.dagster_run
        if is_gone(run.tags.get(PROCESS, "")):
            found[run.run_id] = "has no process any more"
        elif record.start_time and datetime.fromtimestamp(record.start_time, UTC) < limit:
            hours = LONGEST_RUN // timedelta(hours=1)
            found[run.run_id] = f"has been under way for more than {hours} hours"
    return found


def find_unfinished_runs(
    instance: dg.DagsterInstance, job_name: str | None = None
) -> Sequence[dg.DagsterRun]:
    """Return the runs of the job, or of all jobs, that are queued or under way.

    A run whose process is gone ends as failed.
    """
    dead = end_dead_runs(instance, job_name)
    unfinished = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED))
    return [run for run in unfinished if run not in dead]


def end_dead_runs(instance: dg.DagsterInstance, job_name: str | None = None) -> list[dg.DagsterRun]:
    """End the unfinished runs of the job, or of all jobs, whose process is gone, as failed; return them."""
    unfinished = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED))
    dead = [run for run in unfinished if PROCESS in run.tags and is_gone(run.tags[PROCESS])]
    for run in dead:
        instance.report_run_failed(
            run, f"The process of this run ({run.tags[PROCESS]}) was killed or has crashed."
        )
    return dead
