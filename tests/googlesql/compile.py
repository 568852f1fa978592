"""The dbt project built for BigQuery without a server: the statements that dbt sends and the rows they make.

Belongs here: how dbt is started on the in-memory BigQuery, and the reading of its manifest.
"""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .in_memory import Stored
from .session import Invocation, Session

PROJECT = "local"
HERE = Path(__file__).resolve()
DBT_TIMEOUT_S = 1800


@dataclass(frozen=True)
class Build:
    """What came of a run of dbt commands: the manifest of the last, and the tables after it."""

    invocations: list[Invocation]
    manifest: dict[str, Any]
    tables: list[Stored]


class DbtFailed(AssertionError):
    """A dbt command that did not succeed; the message holds its failures."""


def dbt_words(
    command: Sequence[str], project: Path, target: Path, variables: Mapping[str, Any], *more: str
) -> list[str]:
    """One dbt command for the target `bigquery` that writes nothing beside `target`."""
    paths = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
    quiet = ["--log-path", str(target / "logs"), "--quiet", "--no-partial-parse", "--threads", "1"]
    return [*command, "--target", "bigquery", *paths, *quiet, *more, "--vars", json.dumps(dict(variables))]


def _environment(project: str) -> dict[str, str]:
    package = __package__ or ""
    root = HERE.parents[len(package.split("."))]
    search = [str(root), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(part for part in search if part),
        "MYPROPERTY_BIGQUERY_PROJECT": project,
        "MYPROPERTY_DATASET_PREFIX": "",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_PARTIAL_PARSE": "false",
        "DBT_USE_COLORS": "false",
    }


def build(
    project: Path,
    raw: Sequence[Stored],
    work: Path,
    runs: Sequence[tuple[Sequence[str], Mapping[str, Any]]],
    *more: str,
    may_fail: bool = False,
) -> Build:
    """Run dbt commands, each with its vars, on raw tables; DbtFailed where one fails, unless it may.

    `work` is a scratch folder; `runs` are pairs such as (["build"], {"start_date": ..., "end_date": ...}).
    """
    target = work / "target"
    target.mkdir(parents=True, exist_ok=True)
    state = work / "session.pickle"
    state.write_bytes(pickle.dumps(Session(PROJECT, list(raw))))
    commands = [json.dumps(dbt_words(command, project, target, vars_, *more)) for command, vars_ in runs]
    ended = subprocess.run(
        [sys.executable, "-m", f"{__package__}.dbt_process", str(state), *commands],
        env=_environment(PROJECT),
        cwd=work,
        capture_output=True,
        text=True,
        timeout=DBT_TIMEOUT_S,
        check=False,
    )
    if ended.returncode:
        raise DbtFailed(f"dbt's process ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}")
    session: Session = pickle.loads(state.read_bytes())
    failed = [f"{i.words[0]}: {i.failures}" for i in session.invocations if not i.success]
    if failed and not may_fail:
        raise DbtFailed("\n".join([*failed, ended.stdout[-4000:]]))
    written = target / "manifest.json"
    if not written.exists():
        raise DbtFailed("\n".join(["dbt did not get as far as a manifest", *failed, ended.stdout[-4000:]]))
    return Build(session.invocations, json.loads(written.read_text()), session.tables)
