"""One build of the dbt project on the in-memory BigQuery for all legs: a small company, then its revision."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from . import scenario
from .compile import Build, build
from .in_memory import Stored
from .raw import raw_tables

WAREHOUSE = Path(__file__).resolve().parents[2] / "data" / "warehouse"
NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")


@dataclass(frozen=True)
class Stages:
    """All days with all tests of data and unit tests; then the company's revision, for its second day."""

    first: Build
    revised: Build


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """Each stage starts from the tables of the one before; the raw ones are replaced.

    The revision is built without tests of data: their statements are those of the first stage.
    """
    work = tmp_path_factory.mktemp("bigquery")
    first = build(WAREHOUSE, raw_tables(scenario.rows()), work, [(["build"], scenario.VARIABLES)])
    tables = [*_built(first.tables), *raw_tables(scenario.rows(revised=True))]
    revised = build(WAREHOUSE, tables, work, [(["build"], scenario.REVISED_VARIABLES)], *NO_TESTS)
    return Stages(first, revised)


@pytest.fixture(scope="session")
def bigquery_build(stages: Stages) -> Build:
    """Every statement of both stages, and the tables after them."""
    return Build(
        [*stages.first.invocations, *stages.revised.invocations], stages.first.manifest, stages.revised.tables
    )


def _built(tables: list[Stored]) -> list[Stored]:
    return [table for table in tables if table.relation.path[1] != "raw"]
