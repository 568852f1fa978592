"""The sensor of waiting dates requests one range at a time, and does not repeat a range that failed."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.plan.objects import StepFailureData

from dagster_project.partitions import READING_DATES, run_tags
from dagster_project.resources.platform import Platform
from dagster_project.waiting import MOST_KILLED, dates_sensor
from myproperty.database.roles import PIPELINE
from myproperty.dates import Window
from myproperty.settings import Settings

FIRST = Window(date(2026, 7, 1), date(2026, 7, 3))
SECOND = Window(date(2026, 7, 9), date(2026, 7, 10))


@dg.op
def nothing() -> None:
    """Give the job a step."""


SENSOR = "sensor pending_dates"


@dg.job(name="pipeline", partitions_def=READING_DATES)
def pipeline() -> None:
    """Stand in for the job that the dates wait for."""
    nothing()


class Ticks:
    """The sensor over dates that a test sets."""

    def __init__(self, instance: dg.DagsterInstance, home: Path) -> None:
        self.instance = instance
        self.changed: datetime | None = None
        self.dates = [*SECOND.dates, *FIRST.dates]
        self._platform = Platform(Settings(home=home, oltp_dsn="postgresql://nowhere/oltp"))
        self._sensor = dates_sensor(
            "pending_dates", pipeline, PIPELINE, lambda _: dict.fromkeys(self.dates, self.changed)
        )

    def tick(self) -> dg.RunRequest | None:
        """Return the run that one tick requests."""
        context = dg.build_sensor_context(
            self.instance, resources={"platform": self._platform}, sensor_name="pending_dates"
        )
        requested = self._sensor.evaluate_tick(context).run_requests or []
        assert len(requested) <= 1
        return next(iter(requested), None)

    def window(self) -> dict[str, str] | None:
        """Return the dates that one tick requests, and record their run as failed."""
        request = self.tick()
        if request is None:
            return None
        self.fail(self.record_run(request, dg.DagsterRunStatus.FAILURE))
        return {name: value for name, value in request.tags.items() if name in run_tags(FIRST, SENSOR)}

    def fail(self, run: dg.DagsterRun) -> None:
        """Record that a step of the run failed: without one, its process was killed."""
        error = StepFailureData(error=None, user_failure_data=None)  # type: ignore[no-untyped-call]
        event = dg.DagsterEvent(
            dg.DagsterEventType.STEP_FAILURE.value,
            run.job_name,
            step_key="nothing",
            event_specific_data=error,
        )
        self.instance.report_dagster_event(event, run.run_id)

    def record_run(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """Record a run as the daemon launches it."""
        tags = {**request.tags, "dagster/run_key": request.run_key or ""}
        return self.instance.create_run_for_job(pipeline, tags=tags, status=status)


@pytest.fixture
def ticks(tmp_path: Path) -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(instance, tmp_path)


def test_ranges_are_requested_in_order_and_a_failed_range_does_not_hold_up_others(ticks: Ticks) -> None:
    assert ticks.window() == run_tags(FIRST, SENSOR)
    assert ticks.window() == run_tags(SECOND, SENSOR)
    assert ticks.window() is None, "both failed and nothing has changed since"
    ticks.dates.append(date(2026, 7, 3))
    assert ticks.window() == run_tags(Window(FIRST.start, date(2026, 7, 4)), SENSOR)


def test_a_failed_range_is_tried_again_when_a_date_of_it_changes(ticks: Ticks) -> None:
    ticks.dates = FIRST.dates
    assert ticks.window() == run_tags(FIRST, SENSOR)
    assert ticks.window() is None
    ticks.changed = datetime(2026, 7, 5, tzinfo=UTC)
    assert ticks.window() == run_tags(FIRST, SENSOR)
    assert ticks.window() is None, "the new file did not mend it"


def test_a_killed_run_is_made_again_but_not_for_ever(ticks: Ticks) -> None:
    ticks.dates = FIRST.dates
    for _ in range(MOST_KILLED):
        request = ticks.tick()
        assert request is not None
        ticks.record_run(request, dg.DagsterRunStatus.FAILURE)
    assert ticks.tick() is None


def test_a_range_that_is_pending_again_after_a_success_is_requested_again(ticks: Ticks) -> None:
    request = ticks.tick()
    assert request is not None
    ticks.record_run(request, dg.DagsterRunStatus.SUCCESS)
    assert ticks.window() == run_tags(FIRST, SENSOR)


def test_no_run_is_requested_while_one_is_under_way_or_when_no_date_waits(ticks: Ticks) -> None:
    request = ticks.tick()
    assert request is not None
    run = ticks.record_run(request, dg.DagsterRunStatus.STARTED)
    assert ticks.tick() is None
    ticks.instance.delete_run(run.run_id)
    ticks.dates.clear()
    assert ticks.tick() is None


def test_a_date_outside_of_the_partitions_is_ignored(ticks: Ticks) -> None:
    ticks.dates = [date(1999, 12, 31)]
    assert ticks.tick() is None
