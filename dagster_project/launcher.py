"""The run launcher, which tells the daemon's run monitoring whether the process of a run is still there."""

import time
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._serdes import ConfigurableClassData

from dagster_project.processes import PROCESS, is_gone

# The first step begins a second after its run.
FIRST_STEP_S = 300


class CheckedRunLauncher(DefaultRunLauncher):
    """Dagster's launcher of processes, with a check of them.

    Without the check a run whose process and code server were both killed stays started until the maximum
    runtime.
    """

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> "CheckedRunLauncher":
        """Make the launcher that `dagster.yaml` describes."""
        return cls(inst_data=inst_data, **config_value)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Return True: run monitoring asks `check_run_worker_health`."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return FAILED if the process of the run was on this machine and has ended, else RUNNING.

        A run names its process in its first step; one that does not get there in time has none. Of a process
        on another machine nothing is known.
        """
        process = run.tags.get(PROCESS)
        if process is None:
            return self._check_nameless(run)
        if not is_gone(process):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"the process of this run ({process}) was killed or has crashed"
        )

    def _check_nameless(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        record = self._instance.get_run_record_by_id(run.run_id)
        started = record.start_time if record else None
        if started is None or time.time() - started < FIRST_STEP_S:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"no step of this run began in {FIRST_STEP_S} s: its process was killed"
        )
