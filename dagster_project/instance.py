"""The Dagster instance: where runs, events and ticks are stored.

`DAGSTER_HOME` names the instance, as for Dagster's own programs; `production/dagster.yaml` is the one of
production. Without it, the instance is in files below the home of the platform.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from myproperty.errors import PlatformError
from myproperty.files import close_folder

# Dagster stores the events that it has at once, such as the planned ones of a run, together.
_BATCH = ("DAGSTER_EVENT_BATCH_SIZE", "1000")
PRODUCTION = Path(__file__).resolve().parent / "production"
_UNSET = f"unset DAGSTER_HOME to use the instance in files below MYPROPERTY_HOME, or copy {PRODUCTION} there"
# A value that Dagster takes from the environment, as `env: NAME`.
_ENV = re.compile(r"^\s*env:\s*[\"']?(\w+)", re.MULTILINE)

# What `<home>/dagster/dagster.yaml` says; one that a person changed is kept.
_QUIET = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
_EVENTS = """\
event_log_storage:
  module: dagster_project.event_log
  class: PooledSqliteEventLogStorage
  config:
    base_dir: {events}
"""
_MONITORING = """\
run_monitoring:
  enabled: true
  start_timeout_seconds: 600
  max_runtime_seconds: 21600
"""
_IN_FILES = (
    _QUIET
    + _MONITORING
    + """\
run_launcher:
  module: dagster_project.launcher
  class: CheckedRunLauncher
concurrency:
  pools:
    default_limit: 1
    granularity: run
freshness:
  enabled: true
"""
    + _EVENTS
)
_FORMER = (_QUIET, _QUIET + _MONITORING + _EVENTS)


class InstanceError(PlatformError):
    """The Dagster instance cannot be opened; the message names its folder, the cause and the remedy."""


def find_instance(home: Path) -> Path:
    """Return the folder of the instance: DAGSTER_HOME, else `<home>/dagster`, made when it is missing.

    Raises InstanceError if DAGSTER_HOME has no `dagster.yaml`.
    """
    named = os.environ.get("DAGSTER_HOME")
    if not named:
        return _make_instance_in_files(home)
    folder = Path(named).expanduser().absolute()
    if not (folder / "dagster.yaml").is_file():
        raise InstanceError(f"DAGSTER_HOME is {named}, which has no dagster.yaml: {_UNSET}")
    return folder


@contextmanager
def open_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """Open the instance of `find_instance`.

    Raises InstanceError if its storage is set wrongly, is down or is lost inside the block.
    """
    folder = find_instance(home)
    _check_variables(folder)
    os.environ.setdefault(*_BATCH)
    try:
        instance = dg.DagsterInstance.from_config(str(folder))
        _check_driver(instance)
    except _storage_errors() as error:
        raise InstanceError(_describe_failure(folder, error, "cannot be opened")) from error
    try:
        with instance:
            yield instance
    except SQLAlchemyError as error:
        raise InstanceError(_describe_failure(folder, error, "was lost")) from error


def _storage_errors() -> tuple[type[Exception], ...]:
    """Return the errors of a storage; PostgreSQL's if Dagster has loaded it, which takes half a second."""
    postgres = sys.modules.get("dagster_postgres.utils")
    of_postgres = [postgres.DagsterPostgresException] if postgres else []
    return (dg.DagsterError, SQLAlchemyError, *of_postgres)


def _make_instance_in_files(home: Path) -> Path:
    folder = home.absolute() / "dagster"
    close_folder(folder)
    config = folder / "dagster.yaml"
    events = json.dumps(str(folder / "history" / "runs"))
    if not config.exists() or config.read_text() in [former.format(events=events) for former in _FORMER]:
        config.write_text(_IN_FILES.format(events=events))
    return folder


def _check_variables(folder: Path) -> None:
    """Refuse a configuration whose variables are not set: Dagster's own message fills pages."""
    named = _ENV.findall((folder / "dagster.yaml").read_text())
    missing = sorted({name for name in named if name not in os.environ})
    if missing:
        raise InstanceError(
            f"{folder / 'dagster.yaml'} needs {', '.join(missing)}: set them (docs/settings.md), or unset "
            "DAGSTER_HOME"
        )


def _check_driver(instance: dg.DagsterInstance) -> None:
    """Refuse psycopg 3 for Dagster's storage: the first stored event would fail."""
    address = getattr(instance.event_log_storage, "postgres_url", None)
    if address is not None:
        driver = make_url(address).get_driver_name()
        if driver != "psycopg2":
            raise dg.DagsterInvariantViolationError(
                f"its storage uses the driver {driver}, on which dagster-postgres cannot store events: set "
                "`scheme: postgresql+psycopg2`, or begin `postgres_url` with it"
            )


def _describe_failure(folder: Path, error: Exception, what: str) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    config, why = folder / "dagster.yaml", " ".join(str(cause).split())[:500]
    return (
        f"the Dagster instance of {folder} {what}: {why}. Correct {config} or the variables "
        "that it names (docs/settings.md), or start its database"
    )
