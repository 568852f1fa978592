"""The jobs, and the functions by which the command runs them in its own process.

`ingest` empties the inbox; `validate` judges reading dates as whole days and fills their gaps; `pipeline`
does so too and takes them from the operational database to the marts; `snapshots` keeps how slowly changing
rows stand, between two runs of the pipeline. What a step does is in `dagster_project.defs`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_project.partitions import READING_DATES, Window, contiguous, run_tags
from dagster_project.resources.platform import Platform
from expectations.verdicts import Verdict
from myproperty.errors import PlatformError
from myproperty.settings import Settings

if TYPE_CHECKING:
    from data.ingest.readings.results import IngestResult
    from data.ingest.validation.run import Validation

INGEST, VALIDATE, PIPELINE, SNAPSHOTS = "ingest", "validate", "pipeline", "snapshots"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(PlatformError):
    """A Dagster run failed outside a gate; the message names the step, the reason and the remedy."""


@dataclass(frozen=True)
class RunReport:
    """What one run of the pipeline over [start, end) did.

    `seconds` has one entry a finished step. `error` is the first failed step's reason; None on success.
    `validated` says what validation of the dates came to, one entry a tenant.
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

    @property
    def failed(self) -> list[Verdict]:
        """The verdicts that stopped the run."""
        return [verdict for verdict in self.verdicts if not verdict.passed]

    def as_json(self) -> dict[str, Any]:
        """The report with dates as ISO text."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "dates": [day.isoformat() for day in self.dates],
            "run_id": self.run_id,
            "success": self.success,
            "seconds": self.seconds,
            "error": self.error,
            "validated": [found.as_json() for found in self.validated],
            "failed_gates": [verdict.as_json() for verdict in self.failed],
        }


def jobs() -> list[Any]:
    """The jobs. One process runs a job's steps: they wait for engines, and imports are paid once."""
    files = dg.AssetSelection.assets("meter_files")
    issues = dg.AssetSelection.assets("reading_issues")
    snapshots = dg.AssetSelection.groups("snapshots")
    return [
        dg.define_asset_job(
            INGEST,
            selection=files,
            description="Every file of the inbox becomes readings.",
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            VALIDATE,
            selection=issues,
            partitions_def=READING_DATES,
            description="Whole days of readings judged, and their gaps filled.",
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            PIPELINE,
            selection=dg.AssetSelection.all() - files,
            partitions_def=READING_DATES,
            description="Reading dates, from the operational database to the marts, with gates A to D.",
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            SNAPSHOTS,
            selection=snapshots.upstream(),
            description="How slowly changing rows stand now: landed, loaded and kept as versions.",
            executor_def=dg.in_process_executor,
        ),
    ]


def pending_dates(settings: Settings) -> list[date]:
    """The reading dates that files touched after their marts were built."""
    from data.landing import published_dates

    return published_dates.pending_dates(Platform(settings).oltp_dsn)


def ingest_inbox(settings: Settings, progress: Callable[[str], None] | None = None) -> list["IngestResult"]:
    """Run the job `ingest`; returns one result a file. Raises RunFailed, naming the file."""
    platform = _platform(settings, progress)
    result = _execute(INGEST, platform, {})
    if not result.success:
        raise RunFailed(f"the inbox was not emptied.\n{_error(result)}")
    return platform.ingested


def run_pipeline(
    start: date, end: date, settings: Settings, progress: Callable[[str], None] | None = None
) -> RunReport:
    """Run the job `pipeline` over reading dates in [start, end).

    A failed gate or step gives a report with success False; nothing downstream of it ran. Raises ValueError
    when the range is empty or has dates outside the partitions.
    """
    dates = Window(start, end)
    _check(dates)
    platform = _platform(settings, progress)
    result = _execute(PIPELINE, platform, run_tags(dates))
    return RunReport(
        start=start,
        end=end,
        dates=dates.dates,
        run_id=result.run_id,
        success=result.success,
        verdicts=list(platform.verdicts),
        validated=list(platform.validated),
        seconds=_seconds(result),
        error=None if result.success else _error(result),
    )


def validate_due(settings: Settings, progress: Callable[[str], None] | None = None) -> list["Validation"]:
    """Run the job `validate` over the dates that are due, one run a contiguous range. Raises RunFailed.

    An estimate makes its date pending, so this goes before `pending_dates` is asked.
    """
    from data.ingest.validation.due import find_due_dates

    platform = _platform(settings, progress)
    known = [
        day for day in find_due_dates(platform.oltp_dsn) if READING_DATES.has_partition_key(day.isoformat())
    ]
    for dates in contiguous(known):
        result = _execute(VALIDATE, platform, run_tags(dates))
        if not result.success:
            raise RunFailed(f"readings were not validated.\n{_error(result)}")
    return platform.validated


def run_pending(settings: Settings, progress: Callable[[str], None] | None = None) -> list[RunReport]:
    """Run the pipeline over exactly the pending dates, one run a contiguous range; stop at a failed one.

    A run lands what changed with effect on past dates, which may make more dates pending: these are run too,
    and no date twice.
    """
    reports: list[RunReport] = []
    ran: set[date] = set()
    while waiting := contiguous([day for day in pending_dates(settings) if day not in ran]):
        dates = waiting[0]
        reports.append(run_pipeline(dates.start, dates.end, settings, progress))
        ran.update(dates.dates)
        if not reports[-1].success:
            break
    return reports


def _check(dates: Window) -> None:
    if dates.end <= dates.start:
        raise ValueError(f"no reading date from {dates.start} to before {dates.end}")
    for day in (dates.dates[0], dates.dates[-1]):
        if not READING_DATES.has_partition_key(day.isoformat()):
            first, last = READING_DATES.get_first_partition_key(), READING_DATES.get_last_partition_key()
            raise ValueError(f"{day} is no reading date of this platform: from {first} to {last}")


def _platform(settings: Settings, progress: Callable[[str], None] | None) -> Platform:
    return Platform(settings, progress) if progress else Platform(settings)


def _execute(job: str, platform: Platform, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    from dagster_project.build import build_defs

    definitions = build_defs(settings=platform.settings, resources={"platform": platform})
    with instance(platform.settings.home) as kept:
        return definitions.resolve_job_def(job).execute_in_process(
            instance=kept, tags=tags, run_config=_QUIET, raise_on_error=False
        )


@contextmanager
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of an environment, shared with the UI: SQLite below `<home>/dagster`."""
    folder = home.absolute() / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "dagster.yaml"
    if not config.exists():
        config.write_text("telemetry:\n  enabled: false\nnux:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(folder)) as found:
        yield found


def _seconds(result: dg.ExecuteInProcessResult) -> dict[str, float]:
    return {
        str(event.step_key): round(event.step_success_data.duration_ms / 1000, 2)
        for event in result.all_events
        if event.is_step_success
    }


def _error(result: dg.ExecuteInProcessResult) -> str:
    """The first failed step and its innermost own words."""
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
