"""Sensors of ended runs that lose none: a run that could not be handled waits, and holds up no other.

Dagster's own sensors of run statuses move on when the handler raises, so a run that fails while the database
is down would never be handled.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from dagster_project.environments import AUTOMATIONS
from dagster_project.resources.platform import Platform

# Two runs may end in the same instant, and one of them be read before the other is written.
_OVERLAP = timedelta(minutes=1)
# In one tick.
_MOST_RUNS = 100
# At a try every 30 seconds: twelve hours.
MOST_TRIES = 1440

# Handles a run that has ended; returns the runs that it requests, or why it requests none.
Handler = Callable[[dg.DagsterInstance, Platform, dg.DagsterRun], Sequence[dg.RunRequest] | str]


@dataclass
class Progress:
    """How far a sensor is: `handled` ended since `since`; `waiting` has the tries of the others by run."""

    since: datetime
    handled: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> "Progress | None":
        """Read a cursor; None if `write` did not make it."""
        kept = json.loads(cursor) if cursor else {}
        if kept.keys() != {"since", "handled", "waiting"}:
            return None
        return cls(datetime.fromisoformat(kept["since"]), kept["handled"], kept["waiting"])

    def write(self) -> str:
        """Return the cursor."""
        kept = {"since": self.since.isoformat(), "handled": self.handled, "waiting": self.waiting}
        return json.dumps(kept)


def ended_runs_sensor(
    name: str, status: dg.DagsterRunStatus, description: str, handle: Handler, job: Any = None
) -> dg.SensorDefinition:
    """Define a sensor that calls `handle` once for each run that ends in `status`, in that order.

    A handler that raises is called again at each tick, MOST_TRIES times; the tick says so.
    """

    @dg.sensor(
        name=name,
        job=job,
        minimum_interval_seconds=AUTOMATIONS[name].seconds,
        description=description,
    )
    def ended_runs(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        instance, progress = context.instance, Progress.read(context.cursor)
        if progress is None:
            progress = Progress(datetime.now(UTC))
            _find_runs(instance, status, progress)
            context.update_cursor(progress.write())
            return dg.SkipReason("runs that end from now on are handled")
        requests: list[dg.RunRequest] = []
        said: list[str] = []
        for run in _find_runs(instance, status, progress):
            try:
                found = handle(instance, platform, run)
            except Exception as error:  # noqa: BLE001  whatever it is, the run is handled at a later tick
                said.append(_keep_waiting(context, progress, run.run_id, error))
                continue
            progress.waiting.pop(run.run_id, None)
            if isinstance(found, str):
                said.append(f"{run.run_id[:8]}: {found}")
            else:
                requests += found
        context.update_cursor(progress.write())
        return requests or dg.SkipReason("; ".join(said) or f"no other run has ended in {status.value}")

    return ended_runs


def _find_runs(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, progress: Progress
) -> list[dg.DagsterRun]:
    """Return the runs that wait, then those that have ended since; note the latter as handled."""
    found = {run_id: instance.get_run_by_id(run_id) for run_id in progress.waiting}
    waiting = [run for run in found.values() if run]
    # A run that a person deleted waits no longer.
    progress.waiting = {run.run_id: progress.waiting[run.run_id] for run in waiting}
    # A run whose tags change later is updated, but ended when it ended.
    changed = dg.RunsFilter(statuses=[status], updated_after=progress.since - _OVERLAP)
    ended = [(_end_of(record), record.dagster_run) for record in instance.get_run_records(changed)]
    first = progress.since - _OVERLAP
    new = [(at, run) for at, run in ended if at > first and run.run_id not in progress.handled]
    new = sorted(new, key=lambda found: found[0])[:_MOST_RUNS]
    progress.handled |= {run.run_id: at.isoformat() for at, run in new}
    progress.since = max([progress.since, *(at for at, _ in new)])
    horizon = (progress.since - _OVERLAP).isoformat()
    progress.handled = {run_id: at for run_id, at in progress.handled.items() if at > horizon}
    return waiting + [run for _, run in new]


def _end_of(record: dg.RunRecord) -> datetime:
    """Return when a run ended; a run that ended before it began has no end of its own."""
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp


def _keep_waiting(
    context: dg.SensorEvaluationContext, progress: Progress, run_id: str, error: Exception
) -> str:
    """Count a failed try; return what happened."""
    tries = progress.waiting.get(run_id, 0) + 1
    progress.waiting[run_id] = tries
    said = f"{run_id[:8]}: {type(error).__name__} at try {tries} of {MOST_TRIES}"
    if tries >= MOST_TRIES:
        del progress.waiting[run_id]
        context.log.error("run %s was given up: %s", run_id, said, exc_info=error)
    return said
