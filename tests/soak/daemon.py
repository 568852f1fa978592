"""Dagster's daemon with a clock of its own: it asks the real sensors and schedules, and makes their runs.

One run at a time, in this process or, for a run that a fault shall hit, in a process of its own. The platform
stamps what it writes with the real clock; only the instants at which schedules are asked are simulated. Not
here: monitoring, queue and launcher (`tests/dagster/test_daemon.py`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._utils.schedules import cron_string_iterator

from dagster_project.build import build_defs
from dagster_project.environments import AUTOMATIONS
from dagster_project.instance import open_instance
from dagster_project.partitions import LAUNCHED_BY
from dagster_project.resources.platform import Platform
from myproperty.settings import Settings

# `source_freshness_six_hourly` is left out: it compares loads with the real clock.
SCHEDULES = ("pipeline_nightly", "snapshots_six_hourly", "ingest_hourly")
DATES_SENSORS = ("due_dates", "pending_dates")
# A sensor that still requests runs after so many has lost its way.
MOST_RUNS = 50
_RUN_KEY = "dagster/run_key"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Order:
    """A run to be made: a job with its tags and configuration."""

    job: str
    tags: dict[str, str]
    config: dict[str, Any]


@dataclass(frozen=True)
class DoneRun:
    """A run that was made, at a simulated instant; `failed` names its failed steps."""

    at: datetime
    order: Order
    failed: list[str]

    @property
    def success(self) -> bool:
        return not self.failed

    def describe(self) -> str:
        """Return job, dates, who requested it, and how it ended, in a line."""
        tags = self.order.tags
        how = f"failed in {', '.join(self.failed)}" if self.failed else "succeeded"
        return f"{self.order.job} {tags.get('reading_dates', '')} by {tags.get(LAUNCHED_BY)} {how}"


# Reads what a run in a process of its own says, and hits it; False if the run ended before that.
Hit = Callable[["subprocess.Popen[str]"], bool]


class Daemon:
    """The automations of one platform; `first` is the first reading date of its definitions."""

    def __init__(
        self,
        settings: Settings,
        first: date,
        every: Mapping[str, int] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings, self.first, self.tell = settings, first, tell
        # Of a schedule named here, only each n-th requested run is made.
        self.every = dict(every or {})
        self.cursors: dict[str, str | None] = {}
        self.runs: list[DoneRun] = []
        # The faults of machines that wait for the next runs of the pipeline.
        self.hits: list[Hit] = []
        self._requested: dict[str, int] = {}
        self._open = ExitStack()
        self.start()

    def start(self) -> None:
        """Open the instance and load the definitions, as a daemon does when it starts."""
        self.platform = Platform(self.settings)
        self.instance = self._open.enter_context(open_instance(self.settings.home))
        self.definitions = load_definitions(self.platform, self.first)

    def stop(self) -> None:
        """Close the instance; cursors stay, as in Dagster's storage."""
        self._open.close()

    def work(self, at: datetime) -> None:
        """Do what the daemon does in the hour from `at`: sensors, then the schedules of the hour."""
        self.tick_sensors(at)
        for name in SCHEDULES:
            tick = next(iter(cron_string_iterator(at.timestamp(), AUTOMATIONS[name].cron, "UTC")))
            if tick < at + timedelta(hours=1) and self.tick_schedule(name, tick):
                self.tick_sensors(at)

    def tick_sensors(self, at: datetime) -> None:
        """Ask the sensors until none requests a run."""
        self.take_files(at)
        for name in DATES_SENSORS:
            for _ in range(MOST_RUNS):
                if not self._run_all(self._ask_sensor(name), at):
                    break
            else:
                raise AssertionError(f"the sensor {name} requested {MOST_RUNS} runs in a row")
        self._ask_sensor("recorded_runs")

    def take_files(self, at: datetime) -> None:
        """Ask the sensor of the inbox twice: it takes a file that has not changed since its first look."""
        for _ in range(2):
            self._run_all(self._ask_sensor("inbox_files"), at)

    def tick_schedule(self, name: str, at: datetime) -> int:
        """Ask a schedule at an instant and make the runs that it requests; return their number."""
        schedule = self.definitions.resolve_schedule_def(name)
        context = dg.build_schedule_context(
            self.instance, scheduled_execution_time=at, resources={"platform": self.platform}
        )
        found = list(schedule.evaluate_tick(context).run_requests or [])
        return self._run_all(self._choose(name, self._make_orders(schedule.job_name, found)), at)

    def _ask_sensor(self, name: str) -> list[Order]:
        sensor = self.definitions.resolve_sensor_def(name)
        context = dg.build_sensor_context(
            self.instance,
            cursor=self.cursors.get(name),
            resources={"platform": self.platform},
            sensor_name=name,
        )
        data = sensor.evaluate_tick(context)
        self.cursors[name] = data.cursor
        requests = list(data.run_requests or [])
        return self._make_orders(str(sensor.job_name), requests) if requests else []

    def _make_orders(self, job: str, requests: list[dg.RunRequest]) -> list[Order]:
        """Leave out requests whose key had a run: so does the daemon."""
        return [
            Order(
                job,
                {**request.tags, **({_RUN_KEY: request.run_key} if request.run_key else {})},
                dict(request.run_config or {}),
            )
            for request in requests
            if not request.run_key
            or not self.instance.get_runs_count(dg.RunsFilter(job_name=job, tags={_RUN_KEY: request.run_key}))
        ]

    def _choose(self, name: str, orders: list[Order]) -> Iterator[Order]:
        for order in orders:
            number = self._requested[name] = self._requested.get(name, 0) + 1
            if number % self.every.get(name, 1) == 0:
                yield order

    def _run_all(self, orders: Iterator[Order] | list[Order], at: datetime) -> int:
        count = 0
        for order in orders:
            count += 1
            if order.job == "pipeline" and self.hits:
                failed = self._run_apart(order)
            else:
                failed = execute(self.platform, self.instance, self.definitions, order)
            self.runs.append(DoneRun(at, order, failed))
            self.tell(f"         {at:%m-%d %H:%M} {self.runs[-1].describe()}")
        return count

    def _run_apart(self, order: Order) -> list[str]:
        """Make the run in a process of its own, and let the next fault hit it."""
        settings = self.settings
        words = [str(settings.home), str(settings.oltp_dsn), str(settings.warehouse_dsn), str(self.first)]
        words += [order.job, json.dumps(order.tags), json.dumps(order.config)]
        with (settings.home / "worker.log").open("w") as log:
            worker = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.soak.daemon", *words],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
        if self.hits[0](worker):
            self.hits.pop(0)
        worker.communicate()
        return [] if worker.returncode == 0 else [f"its process, exit {worker.returncode}"]


def load_definitions(platform: Platform, first: date) -> dg.Definitions:
    """Load the real definitions, of the environment in which every schedule and sensor is on."""
    return build_defs(settings=platform.settings, resources={"platform": platform}, first_date=first)


def execute(
    platform: Platform, instance: dg.DagsterInstance, definitions: dg.Definitions, order: Order
) -> list[str]:
    """Make a run in this process; return its failed steps."""
    try:
        result = definitions.resolve_job_def(order.job).execute_in_process(
            instance=instance, tags=order.tags, run_config=_QUIET | order.config, raise_on_error=False
        )
    finally:
        # As the end of the process of a run does.
        platform.release_loads()
    return [str(event.step_key) for event in result.all_events if event.is_step_failure]


def main() -> None:
    """Make one run, and say what it does line by line: the process that a fault hits."""
    home, oltp, warehouse, first, job, tags, config = sys.argv[1:]

    def tell(line: str) -> None:
        print(line, flush=True)  # noqa: T201

    settings = Settings(home=Path(home), warehouse="postgres", oltp_dsn=oltp, warehouse_dsn=warehouse)
    platform = Platform(settings, tell)
    with open_instance(platform.settings.home) as instance:
        definitions = load_definitions(platform, date.fromisoformat(first))
        failed = execute(platform, instance, definitions, Order(job, json.loads(tags), json.loads(config)))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
