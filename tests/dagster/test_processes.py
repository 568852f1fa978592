"""A run whose process is killed does not block the sensors of its job."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.launcher.base import WorkerStatus

from dagster_project.instance import open_instance
from dagster_project.processes import PROCESS, describe_process, find_unfinished_runs, has_ended, is_gone

RUN = """
import sys, time
from pathlib import Path
import dagster as dg
from dagster_project.processes import PROCESS, describe_process
from dagster_project.instance import open_instance

@dg.op
def wait():
    print("running", flush=True)
    time.sleep(600)

@dg.job
def pipeline():
    wait()

with open_instance(Path(sys.argv[1])) as opened:
    pipeline.execute_in_process(instance=opened, tags={PROCESS: describe_process()})
"""


@pytest.mark.slow
def test_a_killed_run_is_ended_and_a_living_one_is_not(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", RUN, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert worker.stdout is not None
    try:
        assert "running" in worker.stdout.readline()
        with open_instance(tmp_path) as opened:
            (run,) = find_unfinished_runs(opened, "pipeline")
            assert run.status == dg.DagsterRunStatus.STARTED
            assert not has_ended(opened, run.run_id)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            assert has_ended(opened, run.run_id)
            assert not has_ended(opened, "an invocation of dbt by hand")
            assert find_unfinished_runs(opened, "pipeline") == []
            ended = opened.get_run_by_id(run.run_id)
            assert ended is not None
            assert ended.status == dg.DagsterRunStatus.FAILURE
            assert "was killed" in str([event.message for event in opened.all_logs(run.run_id)])
    finally:
        worker.kill()
        worker.stdout.close()


def test_a_process_is_known_by_host_id_and_start() -> None:
    host, number, started = describe_process().rsplit("/", 2)
    assert not is_gone(describe_process())
    assert is_gone(f"{host}/{number}/{float(started) - 100}"), "the id is used again"
    assert not is_gone(f"another-host/{number}/{started}"), "nothing is known of another machine"
    assert PROCESS == "process"


def test_a_run_that_begins_no_step_in_time_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was killed before it could name its process."""

    @dg.op
    def do_nothing() -> None:
        """Do nothing."""

    @dg.job
    def pipeline() -> None:
        do_nothing()

    with open_instance(tmp_path) as opened:
        run = opened.create_run_for_job(job_def=pipeline)
        began = DagsterEvent(DagsterEventType.RUN_START.value, job_name=run.job_name)
        opened.report_dagster_event(began, run_id=run.run_id)
        launcher = opened.run_launcher
        assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
        monkeypatch.setattr("dagster_project.launcher.FIRST_STEP_S", 0)
        health = launcher.check_run_worker_health(run)
        assert health.status == WorkerStatus.FAILED
        assert "no step of this run began" in str(health.msg)
