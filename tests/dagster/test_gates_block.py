"""A failed gate blocks everything downstream in the same run, and is not retried."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
import pandas as pd
import psycopg
import pytest

from dagster_project.gates import Sides, copies_check, gate_check
from dagster_project.partitions import READING_DATES, SINGLE_RUN, run_tags, window
from dagster_project.resources.platform import Platform, Sources
from expectations.suites.oltp.meter_readings import COLUMNS, SUITE
from expectations.verdicts import failing_verdicts
from myproperty.dates import Window
from myproperty.settings import Settings
from tests.gates.test_gate import sides_of

DATES = Window(date(2026, 1, 5), date(2026, 1, 8))


def run(dsn: str, negative_rows: int) -> tuple[dg.ExecuteInProcessResult, list[Window], Platform, list[str]]:
    """Run over DATES: readings, gate A on a profile with `negative_rows`, and two assets downstream."""
    checked: list[Window] = []
    ran: list[str] = []
    lines: list[str] = []

    @dg.asset(partitions_def=READING_DATES, backfill_policy=SINGLE_RUN)
    def readings(context: dg.AssetExecutionContext) -> None:
        assert window(context) == DATES

    @dg.asset(deps=[readings], partitions_def=READING_DATES, backfill_policy=SINGLE_RUN)
    def landed() -> None:
        ran.append("landed")

    @dg.asset(deps=[landed])
    def undated() -> None:
        ran.append("undated")

    def read_profile(_: Sources, dates: Window | None) -> pd.DataFrame:
        assert dates is not None
        checked.append(dates)
        row: dict[str, Any] = dict.fromkeys(COLUMNS, 0) | {"silent_sender": None}
        row |= {"rows": 96, "negative_rows": negative_rows}
        return pd.DataFrame([row])

    platform = Platform(Settings(oltp_dsn=dsn), progress=lines.append)
    definitions = dg.Definitions(
        assets=[readings, landed, undated],
        asset_checks=[gate_check(readings.key, SUITE, read_profile, partitioned=True)],
        jobs=[dg.define_asset_job("all", partitions_def=READING_DATES, executor_def=dg.in_process_executor)],
        resources={"platform": platform},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("all").execute_in_process(
            instance=instance, tags=run_tags(DATES, "a test"), raise_on_error=False
        )
    return result, checked, platform, ran


@pytest.mark.engine
def test_a_run_continues_after_a_gate_that_passes(oltp_dsn: str) -> None:
    result, checked, platform, ran = run(oltp_dsn, negative_rows=0)
    assert result.success
    assert ran == ["landed", "undated"]
    assert checked == [DATES]
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.passed, evaluation.partition) == (True, None)
    assert [verdict.passed for verdict in platform.verdicts] == [True]


@pytest.mark.engine
def test_a_failed_gate_blocks_everything_downstream(oltp_dsn: str) -> None:
    result, checked, platform, ran = run(oltp_dsn, negative_rows=2)
    assert not result.success
    assert ran == []
    assert checked == [DATES], "a verdict is not retried"
    (kept,) = failing_verdicts(oltp_dsn)
    assert kept.run_id == result.run_id
    assert [broken["rule"] for broken in kept.failed] == ["A-READINGS-004"]
    assert kept.failed == platform.verdicts[0].failed
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    page = evaluation.description or ""
    assert "| A-READINGS-004 (`docs/gates.md#gate-a-meter_readings`) | blocks |" in page
    assert SUITE.rules[3].remedy.split("`")[0] in page


@pytest.mark.engine
def test_the_verdicts_of_many_tables_are_stored_before_the_step_goes_on(oltp_dsn: str) -> None:
    """A process that is killed in a step with many tables has stored what it judged."""
    tables = ("units", "meters")
    stored: list[list[str]] = []

    def look() -> None:
        with psycopg.connect(oltp_dsn) as connection:
            query = "select table_name from warehouse_staging.gate_results where gate = 'B' order by id"
            stored.append([name for (name,) in connection.execute(query)])

    @dg.multi_asset(specs=[dg.AssetSpec(table) for table in tables])
    def landed() -> Iterator[dg.MaterializeResult[None]]:
        yield from (dg.MaterializeResult(asset_key=table) for table in tables)

    def read_sides(_: Sources, table: str, dates: Window | None) -> Sides:
        look()
        return sides_of(table, wrong=True)

    platform = Platform(Settings(oltp_dsn=oltp_dsn), progress=lambda _: look())
    check = copies_check("landing_gate_b", "B", {dg.AssetKey(table): table for table in tables}, read_sides)
    definitions = dg.Definitions(
        assets=[landed],
        asset_checks=[check],
        jobs=[dg.define_asset_job("all", executor_def=dg.in_process_executor)],
        resources={"platform": platform},
    )
    job = definitions.resolve_job_def("all")
    assert not job.execute_in_process(raise_on_error=False).success
    assert stored[:3] == [[], [], list(tables)]
    assert [verdict.table for verdict in platform.verdicts] == list(tables)
    assert not any(verdict.passed for verdict in platform.verdicts)
