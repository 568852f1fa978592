"""The sensors of waiting dates: one range a run, one run at a time, and no refused range over and over."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.partitions import READING_DATES, Window, run_tags
from dagster_project.resources.platform import Platform
from dagster_project.sensors import dates_sensor
from myproperty.settings import Settings

FIRST = Window(date(2026, 7, 1), date(2026, 7, 3))
SECOND = Window(date(2026, 7, 9), date(2026, 7, 10))


@dg.op
def nothing() -> None:
    """A job has to have a step."""


@dg.job(name="pipeline", partitions_def=READING_DATES)
def pipeline() -> None:
    """Stands in for the job that the dates wait for."""
    nothing()


class Looks:
    """The sensor over dates that a test says."""

    def __init__(self, instance: dg.DagsterInstance, home: Path) -> None:
        self.instance = instance
        self.dates = [*SECOND.dates, *FIRST.dates]
        self._platform = Platform(Settings(home=home, oltp_dsn="postgresql://nowhere/oltp"))
        self._sensor = dates_sensor("pending_dates", pipeline, lambda _: self.dates)

    def look(self) -> dg.RunRequest | None:
        """What one tick asks for."""
        context = dg.build_sensor_context(
            self.instance, resources={"platform": self._platform}, sensor_name="pending_dates"
        )
        asked = self._sensor.evaluate_tick(context).run_requests or []
        assert len(asked) <= 1
        return next(iter(asked), None)

    def window(self) -> dict[str, str] | None:
        """The dates that one tick asks for; their run is there afterwards, and failed."""
        request = self.look()
        if request is None:
            return None
        self.ran(request, dg.DagsterRunStatus.FAILURE)
        return {name: value for name, value in request.tags.items() if "range" in name}

    def ran(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """A run as the daemon would have launched it."""
        tags = {**request.tags, "dagster/run_key": request.run_key or ""}
        return self.instance.create_run_for_job(pipeline, tags=tags, status=status)


@pytest.fixture
def looks(tmp_path: Path) -> Iterator[Looks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Looks(instance, tmp_path)


def test_ranges_are_asked_for_in_order_and_a_failed_one_holds_up_no_other(looks: Looks) -> None:
    assert looks.window() == run_tags(FIRST)
    assert looks.window() == run_tags(SECOND)
    assert looks.window() is None, "both failed: nothing changed since"
    looks.dates.append(date(2026, 7, 3))
    assert looks.window() == run_tags(Window(FIRST.start, date(2026, 7, 4)))


def test_what_is_pending_again_after_a_success_is_asked_for_again(looks: Looks) -> None:
    request = looks.look()
    assert request is not None
    looks.ran(request, dg.DagsterRunStatus.SUCCESS)
    assert looks.window() == run_tags(FIRST)


def test_nothing_is_asked_for_while_a_run_is_under_way_or_nothing_waits(looks: Looks) -> None:
    request = looks.look()
    assert request is not None
    run = looks.ran(request, dg.DagsterRunStatus.STARTED)
    assert looks.look() is None
    looks.instance.delete_run(run.run_id)
    looks.dates.clear()
    assert looks.look() is None


def test_a_date_outside_of_the_partitions_is_left_alone(looks: Looks) -> None:
    looks.dates = [date(1999, 12, 31)]
    assert looks.look() is None
