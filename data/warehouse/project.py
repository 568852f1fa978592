"""The dbt project of this checkout: its parse, its programs, their arguments and their connection.

Here: what is asked of dbt by its command line, without loading it. Not here: dbt in a run of Dagster
(`dagster_project.resources.dbt`), or which models are assets (`dagster_project.defs.warehouse`).
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock
from psycopg.conninfo import conninfo_to_dict

from data.warehouse.preparsed import UNCHANGED
from myproperty.children import bind, name_parent
from myproperty.database.roles import WAREHOUSE_DBT
from myproperty.dates import Window
from myproperty.files import close_folder
from myproperty.settings import CHECKOUT, Settings

PROJECT_DIR = CHECKOUT / "data" / "warehouse"
_NOT_SOURCES = {"target", "logs", "dbt_packages"}
_PARTIAL_PARSE = "partial_parse.msgpack"
# The names of relations and the version of dbt that the last parse holds for.
_PARSED_FOR = "parsed_for.json"
KEPT_STEPS = 30
# A step writes neither the parse again nor each event of dbt: that takes a fifth of its time. What it did is
# in its compiled SQL, in Dagster and, at this level, in `dbt.log`.
QUIET = {"DBT_WRITE_JSON": "false", "DBT_LOG_LEVEL_FILE": os.environ.get("DBT_LOG_LEVEL_FILE", "info")}


def executable(name: str = "dbt") -> str:
    """Return a program of this Python environment, ignoring PATH. Raises FileNotFoundError if missing."""
    found = Path(sys.executable).parent / name
    if not found.is_file():
        raise FileNotFoundError(f"{found} is missing: any `make` target installs the pinned libraries")
    return str(found)


def target_path(settings: Settings) -> Path:
    """Return the folder that dbt writes to: one for each kind of warehouse, since their manifests differ."""
    return settings.home.absolute() / "dbt_target" / settings.warehouse


def digest_folder(folder: Path) -> str:
    """Return a digest of the parse in a folder."""
    with (folder / _PARTIAL_PARSE).open("rb") as parsed:
        return hashlib.file_digest(parsed, "sha256").hexdigest()


def connection(settings: Settings) -> dict[str, str]:
    """Return the environment variables by which dbt's profile connects to the warehouse.

    Raises EngineError if the embedded engine is not running.
    """
    from myproperty import engines

    variables = {"MYPROPERTY_DBT_TARGET": settings.warehouse, **names_of_relations(settings)}
    if settings.warehouse == "postgres":
        return variables | from_dsn(engines.login_dsn(settings, WAREHOUSE_DBT))
    variables["MYPROPERTY_BIGQUERY_LOCATION"] = settings.bigquery_location
    variables["MYPROPERTY_DBT_MAXIMUM_BYTES_BILLED"] = str(settings.bigquery_maximum_bytes_billed)
    variables["MYPROPERTY_DBT_ACCOUNT"] = engines.account(settings, WAREHOUSE_DBT) or ""
    endpoint = settings.bigquery_endpoint or engines.status(settings).warehouse.get("endpoint")
    return variables | ({"MYPROPERTY_BIGQUERY_ENDPOINT": endpoint} if endpoint else {})


def names_of_relations(settings: Settings) -> dict[str, str]:
    """Return the environment variables that dbt names relations by; a parse holds for the same ones only."""
    variables = {"MYPROPERTY_DATASET_PREFIX": settings.dataset_prefix}
    if settings.warehouse != "postgres":
        return variables | {"MYPROPERTY_BIGQUERY_PROJECT": settings.bigquery_project}
    external = from_dsn(settings.warehouse_dsn) if settings.warehouse_dsn else {}
    database = external.get("MYPROPERTY_DBT_DATABASE", "warehouse")
    return variables | {"MYPROPERTY_DBT_DATABASE": database}


_VARIABLES_OF_DBT = {
    "host": "MYPROPERTY_DBT_HOST",
    "port": "MYPROPERTY_DBT_PORT",
    "user": "MYPROPERTY_DBT_USER",
    "password": "MYPROPERTY_DBT_PASSWORD",
    "dbname": "MYPROPERTY_DBT_DATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}


def from_dsn(dsn: str) -> dict[str, str]:
    """Return the environment variables for a libpq URI. Raises psycopg.ProgrammingError if invalid.

    What verifies the server has no place in dbt's profile: libpq takes it from variables of its own.
    """
    parts = conninfo_to_dict(dsn)
    return {name: str(parts[part]) for part, name in _VARIABLES_OF_DBT.items() if parts.get(part)}


def arguments(command: str, window: Window | None = None, left_out: Collection[str] = ()) -> list[str]:
    """Return the arguments of one dbt call; `window` becomes the vars that say which dates are rebuilt.

    Marts keep the rows of the tenants `left_out`.
    `build` excludes unit tests: they test the code, not the data of a run, and the test suite runs them.
    """
    words = [command, "--exclude-resource-type", "unit_test"] if command == "build" else [command]
    if window is not None:
        variables: dict[str, Any] = {
            "start_date": window.start.isoformat(),
            "end_date": window.end.isoformat(),
        }
        variables |= {"left_out": sorted(left_out)} if left_out else {}
        words += ["--vars", json.dumps(variables)]
    return words


def command(settings: Settings, words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words and the environment of a dbt call by a person, with project, target and state added.

    Raises EngineError if the embedded engine is not running.
    """
    folders = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    target = target_path(settings) / "by_hand"
    folders += ["--target", settings.warehouse, "--target-path", str(target), "--log-path", str(target)]
    return [executable(), *words, *folders], {"DBT_STATE": str(state_path(settings)), **connection(settings)}


def command_on_parse(
    settings: Settings, words: Sequence[str], target: Path
) -> tuple[list[str], dict[str, str]]:
    """Return the words and the environment of a dbt call that parses nothing and writes to `target`.

    Raises RuntimeError with dbt's output if the project cannot be parsed, EngineError if the embedded engine
    is not running.
    """
    (_, *arguments), variables = command(settings, words)
    program = executable("myproperty-dbt")
    return [program, *arguments, "--target-path", str(target)], variables | with_parse(settings, target)


@dataclass(frozen=True)
class SourceFreshness:
    """What dbt found of one table of `raw`: `status` is pass, warn, error or runtime error."""

    table: str
    status: str
    loaded_at: str

    @property
    def is_late(self) -> bool:
        """Return whether the table is older than a limit. A table without rows is not: dbt says year 1."""
        return self.status != "pass" and not self.loaded_at.startswith("0001-")


def read_source_freshness(settings: Settings, tables: Sequence[str]) -> list[SourceFreshness]:
    """Ask dbt when these tables of `raw` were loaded.

    Raises RuntimeError with dbt's output if it cannot ask, EngineError if the embedded engine is not running.
    """
    target = target_path(settings) / "freshness"
    found = target / "sources.json"
    found.unlink(missing_ok=True)
    selected = [f"source:raw.{table}" for table in tables]
    words, variables = command_on_parse(settings, ["source", "freshness", "--select", *selected], target)
    done = subprocess.run(words, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    if not found.is_file():
        raise RuntimeError(f"dbt cannot read the freshness of raw: {done.stdout}{done.stderr}")
    return [
        SourceFreshness(
            each["unique_id"].rsplit(".", 1)[-1],
            each["status"],
            each.get("max_loaded_at") or each.get("error") or "never",
        )
        for each in json.loads(found.read_text())["results"]
    ]


def state_path(settings: Settings) -> Path:
    """Return the folder of the last published manifest, which dbt's `state:modified` compares with."""
    return target_path(settings) / "published"


def keep_manifest(settings: Settings) -> None:
    """Copy the manifest that the marts were built from to `state_path`."""
    state = state_path(settings)
    state.mkdir(parents=True, exist_ok=True)
    new = state / "manifest.json.new"
    shutil.copyfile(manifest(settings), new)
    new.replace(state / "manifest.json")


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process while dbt is started: dbt takes its connection from the environment."""
    previous = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in previous.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def newest_source(project: Path) -> float:
    """Return the modification time of a dbt project's newest source file, in seconds; 0 without files."""
    files = (
        path
        for path in project.rglob("*")
        if path.is_file() and not _NOT_SOURCES.intersection(path.relative_to(project).parts)
    )
    return max((path.stat().st_mtime for path in files), default=0.0)


def manifest(settings: Settings, project: Path = PROJECT_DIR) -> Path:
    """Return the path of the project's manifest; parse the project if the last parse no longer holds.

    Parsing needs no server. Raises RuntimeError with dbt's output if the project cannot be parsed.
    """
    target = target_path(settings)
    found = target / "manifest.json"
    close_folder(target.parent)  # compiled SQL and logs name tenants
    target.mkdir(exist_ok=True)
    with FileLock(target / "parse.lock"):
        if not _is_current(settings, project, found):
            _parse_project(settings, project, target)
            # A parse without changes may keep the old file, so mark it as new.
            found.touch()
            (target / _PARSED_FOR).write_text(_conditions(settings))
    return found


def semantic_manifest(settings: Settings, project: Path = PROJECT_DIR) -> Path:
    """Return the path of the metrics of the project, as MetricFlow reads them; parses as `manifest` does."""
    return manifest(settings, project).with_name("semantic_manifest.json")


def with_parse(settings: Settings, target: Path) -> dict[str, str]:
    """Copy a current parse to `target`; return the variables that tell dbt to run on it for this process.

    A copy, because a change of the project's files makes another process replace the parse. Raises
    RuntimeError with dbt's output if the project cannot be parsed.
    """
    parsed = manifest(settings).with_name(_PARTIAL_PARSE)
    target.mkdir(parents=True, exist_ok=True)
    with FileLock(parsed.with_name("parse.lock")):
        shutil.copyfile(parsed, target / _PARTIAL_PARSE)
    return {"MYPROPERTY_DBT_PARSED": str(target), **name_parent()}


def without(nodes: Sequence[str], views: Sequence[str], target: Path) -> dict[str, str]:
    """Return the variable by which our dbt leaves these nodes (ids) as they are; `target` gets their list.

    The tests of `nodes` are not asked, those of `views` are.
    """
    if not nodes and not views:
        return {}
    listed = target / "unchanged.json"
    listed.write_text(json.dumps({"nodes": sorted(nodes), "views": sorted(views)}))
    return {UNCHANGED: str(listed)}


def digest_parse(settings: Settings) -> str:
    """Return a digest of the parsed project. Raises RuntimeError if it cannot be parsed."""
    return digest_folder(manifest(settings).parent)


def delete_old_runs(settings: Settings) -> None:
    """Keep the folders that dbt wrote in the last KEPT_STEPS steps; each has some MB."""
    runs = [path for path in (target_path(settings) / "runs").glob("*") if path.is_dir()]
    newest_first = sorted(runs, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[KEPT_STEPS:]:
        shutil.rmtree(path)


def _is_current(settings: Settings, project: Path, found: Path) -> bool:
    parsed_for = found.with_name(_PARSED_FOR)
    return (
        found.is_file()
        and found.with_name(_PARTIAL_PARSE).is_file()
        and found.stat().st_mtime >= newest_source(project)
        and parsed_for.is_file()
        and parsed_for.read_text() == _conditions(settings)
    )


def _conditions(settings: Settings) -> str:
    return json.dumps({"dbt": metadata.version("dbt-core"), **names_of_relations(settings)}, sort_keys=True)


def _parse_project(settings: Settings, project: Path, target: Path) -> None:
    options = ["--target", settings.warehouse, "--project-dir", str(project), "--profiles-dir", str(project)]
    options += ["--target-path", str(target), "--log-path", str(target)]
    done = subprocess.run(
        bind([executable(), "parse", *options]),
        env={**os.environ, **names_of_relations(settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"dbt cannot parse {project}: correct the project and try again.\n{done.stdout}")
