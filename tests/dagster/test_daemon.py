"""The real daemon on the instance of production ends a killed run, goes on, and logs JSON lines."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import yaml

from dagster_project.instance import PRODUCTION, open_instance
from myproperty.settings import CHECKOUT
from tests.conftest import DatabaseMaker
from tests.dagster.instances import production_variables
from tests.planted import DATES, plant_wrong_reading

pytestmark = [pytest.mark.engine, pytest.mark.slow(minutes=1)]

WORKER = """
import sys
from datetime import date
from dagster_project.runner import run_pipeline
from myproperty.settings import Settings
run_pipeline(date.fromisoformat(sys.argv[1]), date.fromisoformat(sys.argv[2]), Settings())
"""
PATIENCE = 180


@contextmanager
def started(words: list[str], variables: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a Python program; at the end kill it and everything that it started."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *words],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **variables},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(find: Callable[[], dg.DagsterRun | None], log: Path) -> dg.DagsterRun:
    """Return the run as soon as it is found; a process that does not get there shows its log."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if (run := find()) is not None:
            return run
        time.sleep(0.5)
    raise AssertionError(log.read_text()[-5000:])


def test_a_killed_run_is_ended_and_the_sensor_goes_on(
    parsed_home: Path,
    migrated_database: DatabaseMaker,
    fresh_database: DatabaseMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with migrated_database("oltp") as oltp, fresh_database("dagster") as dagster:
        plant_wrong_reading(oltp)
        home = write_instance(tmp_path)
        variables = production_variables(dagster, tmp_path / "files", home) | {
            "MYPROPERTY_HOME": str(shutil.copytree(parsed_home, tmp_path / "home")),
            "MYPROPERTY_OLTP_DSN": oltp,
            "MYPROPERTY_INBOX_URL": str(tmp_path / "inbox"),
            "MYPROPERTY_ENVIRONMENT": "production",
            "MYPROPERTY_LOG_FORMAT": "json",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with open_instance(tmp_path) as instance:
            killed = kill_a_run(instance, variables, tmp_path / "worker.log")
            check_daemon(instance, killed, variables, tmp_path / "daemon.log")


def write_instance(folder: Path) -> Path:
    """Write the instance of production with a monitoring that looks every second."""
    config = yaml.safe_load((PRODUCTION / "dagster.yaml").read_text())
    config["run_monitoring"]["poll_interval_seconds"] = 1
    home = folder / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    return home


def kill_a_run(instance: dg.DagsterInstance, variables: dict[str, str], log: Path) -> dg.DagsterRun:
    """Run the pipeline as the command does, and kill the process with SIGKILL in the middle."""
    dates = [str(DATES.start), str(DATES.end)]
    under_way = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    with started(["-c", WORKER, *dates], variables, log):
        run = wait_for(lambda: next(iter(instance.get_runs(under_way)), None), log)
    left = instance.get_run_by_id(run.run_id)
    assert left is not None and left.status == dg.DagsterRunStatus.STARTED
    return run


def check_daemon(
    instance: dg.DagsterInstance, killed: dg.DagsterRun, variables: dict[str, str], log: Path
) -> None:
    """Check that the daemon ends the killed run, and that the sensor requests a run of its dates."""
    requested = dg.RunsFilter(job_name="pipeline", tags={"launched_by": "sensor pending_dates"})
    words = ["-m", "dagster._daemon", "run", "--log-format", "json", "-m", "dagster_project.definitions"]
    with started(words, variables, log):
        wait_for(lambda: next(iter(instance.get_runs(requested)), None), log)
    assert [line for line in log.read_text().splitlines() if not line.startswith("{")] == []
    ended = instance.get_run_by_id(killed.run_id)
    assert ended is not None and ended.status == dg.DagsterRunStatus.FAILURE
    said = " ".join(str(entry.message) for entry in instance.all_logs(killed.run_id))
    assert "Detected run worker status FAILED" in said and "was killed or has crashed" in said
