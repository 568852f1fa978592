"""One build of the dbt project on the in-memory BigQuery for all legs: a first run, then the same dates."""

from pathlib import Path

import pytest

from .compile import Build, build
from .raw import raw_tables

WAREHOUSE = Path(__file__).resolve().parents[2] / "data" / "warehouse"
VARIABLES = {
    "start_date": "2026-01-01",
    "end_date": "2026-01-03",
    "calendar_start": "2025-12-31",
    "calendar_end": "2026-01-04",
}


@pytest.fixture(scope="session")
def bigquery_build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Every statement of a first and of an incremental run, on raw tables without rows.

    The second run has no tests of data: their statements are those of the first.
    """
    again = ["build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
    work = tmp_path_factory.mktemp("bigquery")
    return build(WAREHOUSE, raw_tables(), work, [(["build"], VARIABLES), (again, VARIABLES)])
