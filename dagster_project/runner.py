"""Run jobs in the caller's process, as the command does, and report what they did.

The jobs are defined in `dagster_project.defs.<stage>.jobs`.
"""

import getpass
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg

from dagster_project import pending
from dagster_project.defs.ingest.jobs import ingest
from dagster_project.defs.oltp.jobs import validate
from dagster_project.defs.quality.jobs import quality
from dagster_project.defs.warehouse.jobs import pipeline
from dagster_project.instance import open_instance
from dagster_project.logs import configure_logs
from dagster_project.partitions import LAUNCHED_BY, READING_DATES, SPLIT_BY, dates_of_tags, run_tags
from dagster_project.pending import Pending
from dagster_project.processes import PROCESS, describe_process, end_dead_runs
from dagster_project.resources.platform import Platform
from dagster_project.run_history import record_runs
from dagster_project.splitting import MOST_FAILED_IN_A_ROW, Part, describe_tenants, split_failed
from expectations.verdicts import Verdict
from myproperty.database.roles import INGEST
from myproperty.dates import Window, contiguous, limited
from myproperty.errors import PlatformError
from myproperty.logs import is_json, log_fields
from myproperty.settings import Settings
from oltp_schema.migrate import require_current_schema

if TYPE_CHECKING:
    from data.ingest.readings.results import IngestResult
    from data.ingest.validation.acceptances import HeldDay
    from data.ingest.validation.run import Validation

# A run publishes before the next begins. Its dates can be halved in less than MOST_FAILED_IN_A_ROW runs until
# one is left, and one transaction holds its rows.
MOST_DATES, MOST_READINGS = 184, 1_000_000
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(PlatformError):
    """A Dagster run failed outside a gate; the message names the step, the reason and the remedy."""


@dataclass(frozen=True)
class RunReport:
    """The outcome of one run of the pipeline over reading dates in [start, end).

    `seconds` has one entry for each finished step, `wall_seconds` is the time from the call to the end.
    `error` is the reason of the first failed step; None on success. `validated` is the outcome of validation,
    one entry for each tenant. `left_out` are the ids of the tenants that the run left as they were.
    """

    start: date
    end: date
    run_id: str
    success: bool
    verdicts: list[Verdict]
    seconds: dict[str, float]
    error: str | None = None
    dates: list[date] = field(default_factory=list)
    validated: list["Validation"] = field(default_factory=list)
    left_out: frozenset[str] = frozenset()
    wall_seconds: float = 0

    @property
    def failed(self) -> list[Verdict]:
        """Return the verdicts that stopped the run."""
        return [verdict for verdict in self.verdicts if not verdict.passed]

    @property
    def stops_all(self) -> bool:
        """Return whether the run failed by something that other dates have in common with its dates."""
        by_dates = self.failed and all(verdict.date_from is not None for verdict in self.failed)
        return not self.success and not by_dates

    def as_json(self) -> dict[str, Any]:
        """Return the report with dates as ISO text."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "dates": [day.isoformat() for day in self.dates],
            "tenants_left_out": sorted(self.left_out),
            "run_id": self.run_id,
            "success": self.success,
            "seconds": self.seconds,
            "wall_seconds": self.wall_seconds,
            "error": self.error,
            "validated": [found.as_json() for found in self.validated],
            "failed_gates": [verdict.as_json() for verdict in self.failed],
        }


def pending_dates(settings: Settings) -> list[date]:
    """Return the dates that were touched after their marts were built, or published without a tenant.

    What was mended for a tenant that was left out may be no reading, so these dates are always tried again.
    """
    from data.landing import published_dates

    dsn = Platform(settings).oltp_dsn
    left_out = {found.reading_date for found in published_dates.list_left_out(dsn)}
    return sorted(left_out | set(published_dates.pending_dates(dsn)))


def ingest_inbox(settings: Settings, progress: Callable[[str], None] | None = None) -> list["IngestResult"]:
    """Run the job `ingest`; return one result for each file. Raises RunFailed, naming the file."""
    platform = _make_platform(settings, progress)
    result = _execute_job(ingest.name, platform, {LAUNCHED_BY: _launcher()})
    if not result.success:
        raise RunFailed(f"the inbox was not emptied.\n{_describe_failure(result)}")
    return platform.ingested


def run_pipeline(
    start: date,
    end: date,
    settings: Settings,
    progress: Callable[[str], None] | None = None,
    *,
    left_out: frozenset[str] = frozenset(),
    split_from: str | None = None,
) -> RunReport:
    """Run the job `pipeline` over reading dates in [start, end), but for the tenants `left_out` (ids).

    They are left out because the run `split_from` failed for them. After a failed gate or step, `success` is
    False and nothing downstream has run. Raises ValueError if the range is empty or has dates outside the
    partitions.
    """
    dates = Window(start, end)
    _check_dates(dates)
    platform = _make_platform(settings, progress)
    tags = run_tags(dates, _launcher(), left_out, split_from)
    began = time.monotonic()
    result = _execute_job(pipeline.name, platform, {**tags, SPLIT_BY: "its caller"})
    return RunReport(
        start=start,
        end=end,
        dates=dates.dates,
        run_id=result.run_id,
        success=result.success,
        verdicts=list(platform.verdicts),
        validated=list(platform.validated),
        seconds=_step_seconds(result),
        error=None if result.success else _describe_failure(result),
        left_out=left_out,
        wall_seconds=round(time.monotonic() - began, 2),
    )


def validate_due(settings: Settings, progress: Callable[[str], None] | None = None) -> list["Validation"]:
    """Run the job `validate` over the due dates, one run for each contiguous range. Raises RunFailed.

    An estimate makes its date pending, so call this before `pending_dates`.
    """
    from data.ingest.validation.due import find_due_dates

    platform = _make_platform(settings, progress)
    known = [
        day
        for day in find_due_dates(platform.dsn_of(INGEST))
        if READING_DATES.has_partition_key(day.isoformat())
    ]
    for dates in contiguous(known):
        result = _execute_job(validate.name, platform, run_tags(dates, _launcher()))
        if not result.success:
            raise RunFailed(f"readings were not validated.\n{_describe_failure(result)}")
    return platform.validated


def run_pending(settings: Settings, progress: Callable[[str], None] | None = None) -> list[RunReport]:
    """Run the pipeline over exactly the pending dates: see `run_dates`.

    A run lands changes with effect on past dates, which may make more dates pending. These dates are run too;
    no date is planned twice.
    """
    reports: list[RunReport] = []
    planned: set[date] = set()
    while waiting := [day for day in pending_dates(settings) if day not in planned]:
        planned.update(waiting)
        reports += run_dates(waiting, settings, progress)
        if reports and reports[-1].stops_all:
            break
    return reports


def run_dates(
    dates: Iterable[date], settings: Settings, progress: Callable[[str], None] | None = None
) -> list[RunReport]:
    """Run the pipeline over these dates, in runs of contiguous dates, in their order.

    A run has at most MOST_DATES dates and MOST_READINGS readings, or one date, and publishes them when it has
    passed. A run that a gate stops is followed by runs of its good dates, and of the good tenants of its bad
    dates: see `splitting`. A tenant that is left out keeps what was published before. A failure that says
    nothing about dates, such as a lost connection, ends it. So do MOST_FAILED_IN_A_ROW runs that fail one
    after the other.
    """
    dates = list(dates)
    windows = limited(contiguous(dates), MOST_DATES, count_readings(settings, dates), MOST_READINGS)
    queue = deque((Part(window), "") for window in windows)
    tell = progress or (lambda _: None)
    tell(f"plan: {sum(len(part.window.dates) for part, _ in queue)} dates in {len(queue)} runs")
    reports: list[RunReport] = []
    failed_in_a_row = 0
    while queue and failed_in_a_row < MOST_FAILED_IN_A_ROW:
        part, split_from = queue.popleft()
        window = part.window
        without = f" without {describe_tenants(part.left_out)}" if part.left_out else ""
        tell(f"run of {window.start} to before {window.end}{without}; {len(queue)} runs wait")
        reports.append(
            run_pipeline(
                *window.bounds, settings, progress, left_out=part.left_out, split_from=split_from or None
            )
        )
        failed_in_a_row = 0 if reports[-1].success else failed_in_a_row + 1
        if reports[-1].stops_all:
            break
        if not reports[-1].success:
            rest = split_failed(part, reports[-1].failed, find_tenants(settings, window.dates))
            queue.extendleft((each, reports[-1].run_id) for each in reversed(rest))
            if rest:
                tell(_describe_split(rest, window))
    if queue:
        first, last = queue[0][0].window.start, queue[-1][0].window.end
        tell(f"{len(queue)} runs were not started: {first} to before {last} is not published")
    return reports


def _describe_split(rest: Sequence[Part], window: Window) -> str:
    again = sum(len(part.window.dates) for part in rest)
    names: frozenset[str] = frozenset().union(*(part.left_out for part in rest))
    without = f", some without {describe_tenants(names)}" if names else ""
    return f"failed; {again} of its {len(window.dates)} dates are run again in {len(rest)} runs{without}"


def find_tenants(settings: Settings, dates: Sequence[date]) -> dict[date, frozenset[str]]:
    """Return the ids of the tenants with readings on each date."""
    from data.landing import published_dates

    return published_dates.list_tenants_of(Platform(settings).oltp_dsn, dates)


def count_readings(settings: Settings, dates: Sequence[date]) -> dict[date, int]:
    """Return how many readings each date has at most."""
    from data.landing import published_dates

    return published_dates.count_changes(Platform(settings).oltp_dsn, dates)


def build_quality(settings: Settings, progress: Callable[[str], None] | None = None) -> None:
    """Run the job `quality`: count and publish the figures of dates and runs. Raises RunFailed."""
    result = _execute_job(quality.name, _make_platform(settings, progress), {LAUNCHED_BY: _launcher()})
    if not result.success:
        raise RunFailed(f"the marts of quality were not built.\n{_describe_failure(result)}")


def _launcher() -> str:
    """Name the person at the keyboard, as the run's tag shows it."""
    return f"{getpass.getuser()} by the command"


def _check_dates(dates: Window) -> None:
    if dates.end <= dates.start:
        raise ValueError(f"there is no reading date from {dates.start} to before {dates.end}")
    for day in (dates.dates[0], dates.dates[-1]):
        if not READING_DATES.has_partition_key(day.isoformat()):
            first, last = READING_DATES.get_first_partition_key(), READING_DATES.get_last_partition_key()
            raise ValueError(f"{day} is outside of the reading dates of this platform: {first} to {last}")


def _make_platform(settings: Settings, progress: Callable[[str], None] | None) -> Platform:
    return Platform(settings, progress) if progress else Platform(settings)


def _execute_job(job: str, platform: Platform, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    from dagster_project.build import build_defs, find_first_date  # dagster-dbt takes seconds to import

    require_current_schema(platform.oltp_dsn)
    # Dagster lists all reading dates in many steps: from 2000 on, that takes two seconds of each run.
    dates, first = dates_of_tags(tags), find_first_date(platform.settings)
    first = min(first, dates.start) if first and dates else first
    definitions = build_defs(settings=platform.settings, resources={"platform": platform}, first_date=first)
    configure_logs(platform.settings)
    run_id = str(uuid.uuid4())
    fields = log_fields(run_id=run_id, job=job, reading_dates=tags.get("reading_dates"))
    with fields, open_instance(platform.settings.home) as opened:
        _end_dead_runs(opened, platform)
        try:
            result = definitions.resolve_job_def(job).execute_in_process(
                run_id=run_id,
                instance=opened,
                tags=tags | {PROCESS: describe_process()},
                run_config={} if is_json() else _QUIET,
                raise_on_error=False,
            )
        finally:
            platform.release_loads()
        _record_runs(opened, platform)
    return result


def _end_dead_runs(opened: dg.DagsterInstance, platform: Platform) -> None:
    """End the runs of processes that were killed, and say so."""
    for run in end_dead_runs(opened):
        over = f" over {run.tags['reading_dates']}" if "reading_dates" in run.tags else ""
        platform.progress(
            f"the run {run.run_id[:8]} of {run.job_name}{over} was killed: it is ended as failed. What it "
            "did not publish stays pending"
        )


def _record_runs(opened: dg.DagsterInstance, platform: Platform) -> None:
    """Record the runs for `myproperty pending`; without a database a later record finds them."""
    try:
        record_runs(opened, platform.oltp_dsn)
    except (PlatformError, psycopg.Error) as error:
        platform.progress(f"the run is not recorded yet: {str(error).splitlines()[0]}")


def find_pending(settings: Settings) -> Pending:
    """Record the runs up to now and return what is not published. Raises PlatformError or psycopg.Error."""
    dsn = Platform(settings).oltp_dsn
    with open_instance(settings.home) as opened:
        record_runs(opened, dsn)
    return pending.find_pending(dsn)


def list_held_days(settings: Settings) -> list["HeldDay"]:
    """Return the meters that an open severe issue holds back, by date. Raises PlatformError."""
    from data.ingest.validation.acceptances import list_held

    return list_held(Platform(settings).oltp_dsn)


def _step_seconds(result: dg.ExecuteInProcessResult) -> dict[str, float]:
    return {
        str(event.step_key): round(event.step_success_data.duration_ms / 1000, 2)
        for event in result.all_events
        if event.is_step_success
    }


def _describe_failure(result: dg.ExecuteInProcessResult) -> str:
    """Return the first failed step and its innermost error message."""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data is not None and data.user_failure_data.description:
                return f"step {event.step_key}: {data.user_failure_data.description}"
            error = data.error
            while error is not None and error.cause is not None:
                error = error.cause
            return f"step {event.step_key}: {error.message.strip() if error else 'failed'}"
    return "the run failed before its first step: see the events of the run in Dagster"
