"""A sensor of ended runs handles each run once, and none is lost when its handler fails for a time."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType

from dagster_project import ended_runs
from dagster_project.ended_runs import ended_runs_sensor
from dagster_project.resources.platform import Platform
from myproperty.settings import Settings

FAILURE = dg.DagsterRunStatus.FAILURE


@dg.job
def pipeline() -> None:
    """A job that is never run: its runs are written into the instance."""


class Handled:
    """A handler that notes the runs, and raises while `is_down`."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.is_down: Callable[[dg.DagsterRun], bool] = lambda _: False

    def __call__(
        self, _: dg.DagsterInstance, __: Platform, run: dg.DagsterRun
    ) -> Sequence[dg.RunRequest] | str:
        if self.is_down(run):
            raise ConnectionError("the database is down")
        self.runs.append(run.run_id)
        return [dg.RunRequest(run_key=run.run_id)]


class Ticks:
    """The ticks of a sensor, as the daemon makes them: the cursor of a tick that fails is not kept."""

    def __init__(self, instance: dg.DagsterInstance, home: Path) -> None:
        self.handled, self.instance = Handled(), instance
        self.cursor: str | None = None
        self.platform = Platform(Settings(home=home))
        self.sensor = ended_runs_sensor("failed_ranges", FAILURE, "", self.handled, pipeline)
        self.tick()

    def tick(self) -> Any:
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources={"platform": self.platform}
        )
        data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return data

    def fail_run(self) -> str:
        run = self.instance.create_run_for_job(pipeline)
        kind = DagsterEventType.PIPELINE_FAILURE
        self.instance.report_dagster_event(DagsterEvent(kind.value, "pipeline"), run_id=run.run_id)
        return run.run_id


@pytest.fixture
def ticks(tmp_path: Path) -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        old = instance.create_run_for_job(pipeline)
        kind = DagsterEventType.PIPELINE_FAILURE
        instance.report_dagster_event(DagsterEvent(kind.value, "pipeline"), run_id=old.run_id)
        yield Ticks(instance, tmp_path)


def test_runs_that_end_after_the_first_tick_are_handled_once(ticks: Ticks) -> None:
    runs = [ticks.fail_run() for _ in range(3)]
    assert [request.run_key for request in ticks.tick().run_requests] == runs
    ticks.instance.add_run_tags(runs[0], {"changed": "later"})
    runs.append(ticks.fail_run())
    for _ in range(3):
        ticks.tick()
    assert ticks.handled.runs == runs


def test_a_run_that_ends_while_the_database_is_down_is_handled_when_it_is_back(ticks: Ticks) -> None:
    ticks.handled.is_down = lambda _: True
    run = ticks.fail_run()
    said = [ticks.tick().skip_message for _ in range(2)]
    assert said == [f"{run[:8]}: ConnectionError at try {tries} of 1440" for tries in (1, 2)]
    ticks.handled.is_down = lambda _: False
    assert [request.run_key for request in ticks.tick().run_requests] == [run]
    assert not ticks.tick().run_requests


def test_a_run_that_cannot_be_handled_holds_up_no_other_and_is_given_up(
    ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs, "MOST_TRIES", 3)
    bad = ticks.fail_run()
    ticks.handled.is_down = lambda run: run.run_id == bad
    good = [ticks.fail_run()]
    ticks.tick()
    good.append(ticks.fail_run())
    said = [ticks.tick().skip_message for _ in range(3)]
    assert ticks.handled.runs == good
    assert said[1] == f"{bad[:8]}: ConnectionError at try 3 of 3"
    assert "no other run has ended" in said[2]


def test_a_deleted_run_waits_no_longer(ticks: Ticks) -> None:
    ticks.handled.is_down = lambda _: True
    run = ticks.fail_run()
    ticks.tick()
    ticks.instance.delete_run(run)
    ticks.tick()
    assert run not in json.loads(str(ticks.cursor))["waiting"]


def test_more_runs_than_a_tick_takes_are_handled_by_the_next(
    ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs, "_MOST_RUNS", 2)
    runs = [ticks.fail_run() for _ in range(5)]
    for _ in range(4):
        ticks.tick()
    assert ticks.handled.runs == runs


def test_a_cursor_of_another_kind_begins_anew(ticks: Ticks) -> None:
    """Dagster's own sensor of run statuses had this name before, and left its cursor."""
    ticks.cursor = '{"__class__": "RunStatusSensorCursor", "record_id": 12}'
    ticks.fail_run()
    ticks.tick()
    later = ticks.fail_run()
    ticks.tick()
    assert ticks.handled.runs == [later]
