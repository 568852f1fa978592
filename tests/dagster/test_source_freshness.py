"""The job `source_freshness` asks the real dbt, and fails by the table that was not loaded in time."""

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from dagster_project.build import build_defs
from dagster_project.defs.raw.jobs import LOADED_IN_EACH_RUN
from myproperty.settings import Settings
from tests.conftest import DatabaseMaker

pytestmark = [pytest.mark.engine, pytest.mark.slow]
LATE, EMPTY = "properties", "tenants"


def test_a_table_that_was_not_loaded_fails_the_job(
    fresh_database: DatabaseMaker, postgres_settings: Settings
) -> None:
    with fresh_database("warehouse") as warehouse:
        load_raw(warehouse)
        settings = postgres_settings.model_copy(update={"warehouse_dsn": warehouse})
        job = build_defs(settings=settings).resolve_job_def("source_freshness")
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(instance=instance, raise_on_error=False)
    (failed,) = result.get_step_failure_events()
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    assert f"1 of {len(LOADED_IN_EACH_RUN)} tables of raw are late: {LATE}: error, last loaded" in str(
        data.description
    )
    assert "myproperty pending" in str(data.description)


def load_raw(dsn: str) -> None:
    """Make every table of raw with one row of now; LATE with one of five days ago, EMPTY without rows."""
    with psycopg.connect(dsn) as connection:
        connection.execute("create schema raw")
        for name in LOADED_IN_EACH_RUN:
            table = sql.Identifier("raw", name)
            create = sql.SQL("create table {} (landed_at timestamptz, reading_date date)")
            connection.execute(create.format(table))
            if name != EMPTY:
                days = 5 if name == LATE else 0
                row = sql.SQL("insert into {} values (now() - make_interval(days => {}), current_date)")
                connection.execute(row.format(table, sql.Literal(days)))
