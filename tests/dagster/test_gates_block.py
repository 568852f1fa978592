"""A gate that fails stops what is downstream of it, in the same run, and is not tried again."""

from datetime import date
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from dagster_project.checks import gate_check
from dagster_project.partitions import READING_DATES, SINGLE_RUN, Window, run_tags, window
from dagster_project.resources.platform import Platform
from expectations.gate import last_verdicts
from expectations.suites.oltp.meter_readings import COLUMNS
from myproperty.settings import Settings

DATES = Window(date(2026, 1, 5), date(2026, 1, 8))


def run(dsn: str, negative_rows: int) -> tuple[dg.ExecuteInProcessResult, list[Window], Platform, list[str]]:
    """A run over DATES of: readings, gate A on a profile with `negative_rows`, and an asset downstream."""
    judged: list[Window] = []
    ran: list[str] = []
    told: list[str] = []

    @dg.asset(partitions_def=READING_DATES, backfill_policy=SINGLE_RUN)
    def readings(context: dg.AssetExecutionContext) -> None:
        assert window(context) == DATES

    @dg.asset(deps=[readings], partitions_def=READING_DATES, backfill_policy=SINGLE_RUN)
    def landed() -> None:
        ran.append("landed")

    @dg.asset(deps=[landed])
    def undated() -> None:
        ran.append("undated")

    def profile(_: Platform, dates: Window | None) -> pd.DataFrame:
        assert dates is not None
        judged.append(dates)
        row: dict[str, Any] = dict.fromkeys(COLUMNS, 0) | {"rows": 96, "negative_rows": negative_rows}
        return pd.DataFrame([row])

    platform = Platform(Settings(oltp_dsn=dsn), progress=told.append)
    definitions = dg.Definitions(
        assets=[readings, landed, undated],
        asset_checks=[gate_check(readings.key, "A", "meter_readings", profile, partitioned=True)],
        jobs=[dg.define_asset_job("all", partitions_def=READING_DATES, executor_def=dg.in_process_executor)],
        resources={"platform": platform},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("all").execute_in_process(
            instance=instance, tags=run_tags(DATES), raise_on_error=False
        )
    return result, judged, platform, ran


@pytest.mark.engine
def test_a_gate_that_passes_lets_the_run_go_on(oltp_dsn: str) -> None:
    result, judged, platform, ran = run(oltp_dsn, negative_rows=0)
    assert result.success
    assert ran == ["landed", "undated"]
    assert judged == [DATES]
    assert [verdict.passed for verdict in platform.verdicts] == [True]


@pytest.mark.engine
def test_a_gate_that_fails_stops_what_is_downstream(oltp_dsn: str) -> None:
    result, judged, platform, ran = run(oltp_dsn, negative_rows=2)
    assert not result.success
    assert ran == []
    assert judged == [DATES], "a verdict is not tried again"
    (kept,) = last_verdicts(oltp_dsn, failed_only=True)
    assert kept.run_id == result.run_id
    assert [broken["rule"] for broken in kept.failed] == ["A-READINGS-004"]
    assert kept.failed == platform.verdicts[0].failed
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert "A-READINGS-004" in (evaluation.description or "")
