"""How dbt is called: the project, its manifest, its connection from the settings, and its arguments.

Which models are assets is in `dagster_project.defs.warehouse`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import metadata
from pathlib import Path

from dagster_dbt import DbtCliResource
from filelock import FileLock
from packaging.version import Version
from psycopg.conninfo import conninfo_to_dict

from dagster_project.partitions import Window
from myproperty.settings import CHECKOUT, Settings

PROJECT_DIR = CHECKOUT / "data" / "warehouse"
_NOT_SOURCES = {"target", "logs", "dbt_packages"}


def executable() -> str:
    """The dbt of this environment, whatever the path says. Raises FileNotFoundError."""
    found = Path(sys.executable).parent / "dbt"
    if not found.is_file():
        raise FileNotFoundError(f"{found} is missing: any `make` target installs the pinned libraries")
    return str(found)


def target_path(settings: Settings) -> Path:
    """Where dbt writes for this environment: a folder a kind of warehouse, whose manifests differ."""
    return settings.home.absolute() / "dbt_target" / settings.warehouse


class Dbt(DbtCliResource):
    """dbt, without asking for its version: dagster-dbt starts one more dbt a step for that, which in turn
    asks the package index what the newest version is."""

    @cached_property
    def _cli_version(self) -> Version:
        return Version(metadata.version("dbt-core"))


def resource(settings: Settings) -> Dbt:
    """The dbt of this environment."""
    return Dbt(
        project_dir=str(PROJECT_DIR),
        profiles_dir=str(PROJECT_DIR),
        target=settings.warehouse,
        dbt_executable=executable(),
    )


def connection(settings: Settings) -> dict[str, str]:
    """The environment variables by which dbt's profile reaches the warehouse.

    Raises EngineError where the embedded engine does not run.
    """
    from myproperty import engines

    given = {
        "MYPROPERTY_DBT_TARGET": settings.warehouse,
        "MYPROPERTY_DATASET_PREFIX": settings.dataset_prefix,
    }
    if settings.warehouse == "postgres":
        return given | from_dsn(engines.dsn(settings, "warehouse"))
    given |= {
        "MYPROPERTY_BIGQUERY_PROJECT": settings.bigquery_project,
        "MYPROPERTY_BIGQUERY_LOCATION": settings.bigquery_location,
    }
    endpoint = settings.bigquery_endpoint or engines.status(settings).warehouse.get("endpoint")
    return given | ({"MYPROPERTY_BIGQUERY_ENDPOINT": endpoint} if endpoint else {})


def from_dsn(dsn: str) -> dict[str, str]:
    """The environment variables of a libpq URI. Raises psycopg.ProgrammingError on what is none."""
    parts = conninfo_to_dict(dsn)
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "DATABASE"}
    return {f"MYPROPERTY_DBT_{name}": str(parts[part]) for part, name in names.items() if parts.get(part)}


def arguments(command: str, window: Window | None = None) -> list[str]:
    """The arguments of one dbt call; `window` becomes the vars that partitioned models are rebuilt by.

    Unit tests are left to the test suite: they judge the code, not this run's data.
    """
    given = [command, "--exclude-resource-type", "unit_test"] if command == "build" else [command]
    if window is not None:
        dates = {"start_date": window.start.isoformat(), "end_date": window.end.isoformat()}
        given += ["--vars", json.dumps(dates)]
    return given


def command(settings: Settings, words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The words and the environment of a dbt call as a person gives it: project, target and state are known.

    Raises EngineError where the embedded engine does not run.
    """
    folders = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    target = target_path(settings) / "by_hand"
    folders += ["--target", settings.warehouse, "--target-path", str(target), "--log-path", str(target)]
    return [executable(), *words, *folders], {"DBT_STATE": str(state_path(settings)), **connection(settings)}


def metrics_command(settings: Settings, words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The words and the environment of a MetricFlow call; the project is parsed first, into its own `target`.

    Raises EngineError where the embedded engine does not run, RuntimeError where the project is broken.
    """
    # MetricFlow reads its manifest there and nowhere else.
    _parse(settings, PROJECT_DIR, PROJECT_DIR / "target")
    environment = {**connection(settings), "DBT_PROFILES_DIR": str(PROJECT_DIR)}
    return [str(Path(sys.executable).parent / "mf"), *words], environment


def state_path(settings: Settings) -> Path:
    """The folder of the manifest that was published last: what dbt's `state:modified` compares with."""
    return target_path(settings) / "published"


def keep_state(settings: Settings) -> None:
    """Keep the manifest that the marts were built from."""
    state = state_path(settings)
    state.mkdir(parents=True, exist_ok=True)
    new = state / "manifest.json.new"
    shutil.copyfile(manifest(settings), new)
    new.replace(state / "manifest.json")


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process while dbt is started, which takes its connection from nowhere else."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def newest_source(project: Path) -> float:
    """The modification time, in seconds, of the newest file of a dbt project; 0 without files."""
    files = (
        path
        for path in project.rglob("*")
        if path.is_file() and not _NOT_SOURCES.intersection(path.relative_to(project).parts)
    )
    return max((path.stat().st_mtime for path in files), default=0.0)


def manifest(settings: Settings, project: Path = PROJECT_DIR) -> Path:
    """The project's manifest, parsed anew when a file of the project is newer. Parsing needs no server.

    Raises RuntimeError with dbt's own words when the project cannot be parsed.
    """
    target = target_path(settings)
    found = target / "manifest.json"
    target.mkdir(parents=True, exist_ok=True)
    with FileLock(target / "parse.lock"):
        if not found.is_file() or found.stat().st_mtime < newest_source(project):
            _parse(settings, project, target)
            # A parse that finds nothing changed may keep the old file: mark it as seen.
            found.touch()
    return found


def _parse(settings: Settings, project: Path, target: Path) -> None:
    options = ["--target", settings.warehouse, "--project-dir", str(project), "--profiles-dir", str(project)]
    options += ["--target-path", str(target), "--log-path", str(target)]
    done = subprocess.run(
        [executable(), "parse", *options],
        env={**os.environ, "MYPROPERTY_DATASET_PREFIX": settings.dataset_prefix},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"dbt cannot parse {project}: mend the project and try again.\n{done.stdout}")
