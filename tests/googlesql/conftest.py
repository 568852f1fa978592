"""One build of the dbt project on the in-memory BigQuery for all legs: a small company, then its revision."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from . import scenario
from .compile import Build, Stage, build
from .raw import raw_tables
from .scenario_row import FIRST_DAY, LAST_DAY

WAREHOUSE = Path(__file__).resolve().parents[2] / "data" / "warehouse"
NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")


@dataclass(frozen=True)
class Stages:
    """All days with all tests of data and unit tests; then the company's revision, for its second day."""

    first: Build
    revised: Build


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """Build the company, replace the raw tables by the revised ones, and build again.

    The revision is built without tests of data: their statements are those of the first stage.
    """
    planned = [
        Stage(raw_tables(scenario.rows()), scenario.VARIABLES),
        Stage(raw_tables(scenario.rows(revised=True)), scenario.REVISED_VARIABLES, NO_TESTS),
    ]
    first, revised = build(WAREHOUSE, tmp_path_factory.mktemp("bigquery"), planned)
    return Stages(first, revised)


@pytest.fixture(scope="session")
def bigquery_build(stages: Stages) -> Build:
    """Every statement of both stages, and the tables after them."""
    return Build(
        [*stages.first.invocations, *stages.revised.invocations], stages.first.manifest, stages.revised.tables
    )


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build both days of the company with a type error, a broken contract, and local time read as UTC.

    The faults are in three places that do not read each other, so that one build shows all of them.
    """
    work = tmp_path_factory.mktemp("planted")
    project = work / "warehouse"
    shutil.copytree(WAREHOUSE, project, ignore=shutil.ignore_patterns("target", "logs"))
    facts = project / "models" / "facts"
    change(
        facts / "fact_payment.sql",
        lambda sql: f"select * from (\n{sql}\n) where tenant_id = date '2026-01-01'\n",
    )
    change(
        facts / "fact_agent_session.sql", lambda sql: f"select * replace (1 as agent_id) from (\n{sql}\n)\n"
    )
    local = "extract(datetime from {{ instant }} at time zone {{ zone }})"
    change(
        project / "macros" / "dialect.sql",
        lambda sql: sql.replace(local, local.replace("{{ zone }}", "'UTC'")),
    )
    dates = {"start_date": str(FIRST_DAY), "end_date": str(LAST_DAY + timedelta(days=1))}
    chosen = ("--select", "+fact_payment", "+fact_agent_session", "+fact_energy_usage", *NO_TESTS)
    stage = Stage(raw_tables(scenario.rows()), scenario.VARIABLES | dates, chosen)
    (built,) = build(project, work, [stage], may_fail=True)
    return built


def change(path: Path, changed: Callable[[str], str]) -> None:
    """Change the text of a file, which must not stay the same."""
    text = path.read_text()
    assert changed(text) != text, path
    path.write_text(changed(text))
