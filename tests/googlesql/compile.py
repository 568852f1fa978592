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
from .session import Invocation, Run, Session

PROJECT = "local"
HERE = Path(__file__).resolve()
CHECKOUT = HERE.parents[2]
DBT_TIMEOUT_S = 1800


@dataclass(frozen=True)
class Stage:
    """One `dbt build`: the raw tables and the vars it runs with, and more words such as a selection."""

    raw: Sequence[Stored]
    variables: Mapping[str, Any]
    more: Sequence[str] = ()


@dataclass(frozen=True)
class Build:
    """The results of builds: the statements of each, the manifest, and the tables after the last.

    `semantic_manifest` is the text of the file from which metrics are asked.
    """

    invocations: list[Invocation]
    manifest: dict[str, Any]
    tables: list[Stored]
    semantic_manifest: str = ""


class DbtFailed(AssertionError):
    """A dbt command that did not succeed; the message holds its failures."""


def dbt_words(
    command: str, project: Path, target: Path, variables: Mapping[str, Any], *more: str
) -> list[str]:
    """One dbt command for the target `bigquery` that writes nothing beside `target`."""
    paths = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
    quiet = ["--log-path", str(target / "logs"), "--log-level-file", "none", "--quiet"]
    quiet += ["--no-partial-parse", "--threads", "1"]
    return [command, "--target", "bigquery", *paths, *quiet, *more, "--vars", json.dumps(dict(variables))]


def _environment(project: str) -> dict[str, str]:
    package = __package__ or ""
    root = HERE.parents[len(package.split("."))]
    search = [str(root), str(CHECKOUT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(part for part in search if part),
        "MYPROPERTY_BIGQUERY_PROJECT": project,
        "MYPROPERTY_DATASET_PREFIX": "",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_PARTIAL_PARSE": "false",
        "DBT_USE_COLORS": "false",
    }


def build(project: Path, work: Path, stages: Sequence[Stage], may_fail: bool = False) -> list[Build]:
    """Build the project once for each stage, each from the tables of the previous one.

    `work` is a scratch folder. Raises DbtFailed where a stage fails, unless it may, and without a manifest.
    """
    target = work / "target"
    target.mkdir(parents=True, exist_ok=True)
    state = work / "session.pickle"
    parse = dbt_words("parse", project, target, stages[0].variables)
    runs = [
        Run(dbt_words("build", project, target, stage.variables, *stage.more), list(stage.raw))
        for stage in stages
    ]
    state.write_bytes(pickle.dumps(Session(PROJECT, str(target), parse, runs)))
    ended = subprocess.run(
        [sys.executable, "-m", f"{__package__}.dbt_process", str(state)],
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
    written = target / "manifest.json"
    if failed and not (may_fail and written.exists()):
        raise DbtFailed("\n".join([*failed, ended.stdout[-4000:]]))
    manifest = json.loads(written.read_text())
    metrics = (target / "semantic_manifest.json").read_text()
    return [Build([each], manifest, each.tables, metrics) for each in session.invocations]
