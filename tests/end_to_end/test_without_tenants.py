"""A gate fails for one tenant: the other tenants of the date are published, and it keeps what it had.

These tests change the platform and run after `test_updates`.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd
import psycopg
import pytest

from dagster_project.defs.warehouse import assets
from dagster_project.defs.warehouse.sensors import request_parts
from dagster_project.instance import open_instance
from dagster_project.partitions import LEFT_OUT, SPLIT_BY, SPLIT_FROM
from dagster_project.resources.platform import Platform as PlatformResource
from dagster_project.runner import (
    RunReport,
    find_pending,
    find_tenants,
    pending_dates,
    run_dates,
    run_pending,
    run_pipeline,
)
from dagster_project.splitting import Part, split_failed
from data.demo.company import list_tenants
from data.landing import published_dates
from expectations.verdicts import failing_verdicts
from myproperty import engines
from myproperty.dates import Window
from tests.end_to_end.support import Platform

FAR_TOO_MUCH = Decimal(100_000)
BAD, GOOD = "demo-wattlebird", "demo-sonnenhof"
IDS = {tenant.name: str(tenant.id) for tenant in list_tenants("small")}
SHOWN = """
select tenant_id, meter_id, channel, reading_date, energy_kwh, cost_amount from bi.energy_daily_v1
where reading_date >= date '2000-01-01' order by 2, 3, 4
"""
RETURNS = "select tenant_id, appraisal_id, irr_pct, npv_amount from bi.roi_summary_v1 order by 2"

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def change_readings(platform: Platform, tenant: str, day: date, factor: Decimal) -> None:
    """Multiply the generation of a tenant on a date, behind the loader's back."""
    platform.oltp(
        "update myproperty.meter_readings set value_native = value_native * %s, value_kwh = value_kwh * %s "
        "where tenant_id = %s and reading_date = %s and channel = 'generation'",
        *(factor, factor, IDS[tenant], day),
    )


def landed_kwh(platform: Platform, tenant: str, day: date) -> Any:
    """Return the landed energy of a tenant on a date."""
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        found = connection.execute(
            "select sum(value_kwh) from warehouse_staging.meter_readings"
            " where tenant_id = %s and reading_date = %s",
            (IDS[tenant], day),
        ).fetchone()
    return found and found[0]


def rows_by_tenant(frame: pd.DataFrame, tenant: str, day: date) -> pd.DataFrame:
    wanted = (frame["tenant_id"] == IDS[tenant]) & (frame["reading_date"] == day)
    return frame[wanted].reset_index(drop=True)


def check_left_out(platform: Platform, day: date, rule: str) -> None:
    """What people are told of the tenant that was left out, and what a sensor would take up."""
    found = find_pending(platform.settings)
    (left,) = found.tenants
    assert (left.tenant, left.first, left.last) == (BAD, day, day)
    assert rule in left.why, left.why
    assert left.next.endswith(f"myproperty run --from {day} --to {day}")
    assert found.dates == []
    assert pending_dates(platform.settings) == [day], "the command tries it again"
    dsn = engines.dsn(platform.settings)
    assert published_dates.pending_dates(dsn) == [], "a sensor waits until its readings change"
    assert rule in {broken["rule"] for verdict in failing_verdicts(dsn) for broken in verdict.failed}


def request_split(platform: Platform, report: RunReport) -> list[dg.RunRequest]:
    """Return the runs that Dagster's sensor requests for a failed run that no command splits."""
    with open_instance(platform.settings.home) as instance:
        run = instance.get_run_by_id(report.run_id)
        assert run is not None and SPLIT_BY in run.tags
        tags = {name: value for name, value in run.tags.items() if name != SPLIT_BY}
        requests = request_parts(instance, PlatformResource(platform.settings), run.with_tags(tags))
        assert not isinstance(requests, str), requests
        return requests


@pytest.fixture
def day(platform: Platform) -> date:
    assert published_dates.pending_dates(engines.dsn(platform.settings)) == []
    return platform.plan.start + timedelta(days=2)


def test_a_tenant_that_breaks_gate_a_is_left_out_and_the_other_is_published(
    platform: Platform, day: date
) -> None:
    before, landed = platform.query(SHOWN), landed_kwh(platform, BAD, day)
    change_readings(platform, BAD, day, FAR_TOO_MUCH)
    change_readings(platform, GOOD, day, Decimal(2))
    lines: list[str] = []
    failed, passed = run_dates([day], platform.settings, lines.append)
    assert [failed.success, passed.success] == [False, True], passed.error
    assert passed.left_out == {IDS[BAD]}
    assert all(verdict.left_out == (IDS[BAD],) for verdict in passed.verdicts if verdict.date_from)
    after = platform.query(SHOWN)
    pd.testing.assert_frame_equal(rows_by_tenant(before, BAD, day), rows_by_tenant(after, BAD, day))
    changed = (
        rows_by_tenant(after, GOOD, day)["energy_kwh"] != rows_by_tenant(before, GOOD, day)["energy_kwh"]
    )
    assert changed.any(), "the good tenant shows its new readings"
    assert landed_kwh(platform, BAD, day) == landed, "bad readings do not pass the gate"
    check_left_out(platform, day, "A-READINGS-011")
    assert lines[1] == f"run of {day} to before {day + timedelta(days=1)}; 0 runs wait"
    assert f"run of {day} to before {day + timedelta(days=1)} without 1 tenant; 0 runs wait" in lines
    with open_instance(platform.settings.home) as instance:
        check = dg.AssetCheckKey(dg.AssetKey("meter_readings"), "gate_a")
        latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
    evaluation = latest[check].evaluation
    assert evaluation is not None
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    (request,) = request_split(platform, failed)
    assert request.tags[LEFT_OUT] == IDS[BAD]
    assert request.tags[SPLIT_FROM] == failed.run_id


def test_a_tenant_that_breaks_gate_d_keeps_its_marts(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, day: date
) -> None:
    change_readings(platform, BAD, day, 1 / FAR_TOO_MUCH)
    shown, returns = platform.query(SHOWN), platform.query(RETURNS)
    window = (day, day + timedelta(days=1))
    build = assets._build

    def wrong(context: Any, *rest: Any, **how: Any) -> Iterator[Any]:
        yield from build(context, *rest, **how)
        if context.op.name == "dbt_facts":
            with psycopg.connect(engines.dsn(platform.settings, "warehouse")) as connection:
                connection.execute(
                    "update core.fact_energy_daily set energy_kwh = energy_kwh + 1 where tenant_id = %s",
                    (IDS[BAD],),
                )
                connection.execute(
                    "update core.fact_energy_usage set value_kwh = value_kwh + 1"
                    " where reading_date = %s and tenant_id = %s",
                    (day, IDS[BAD]),
                )

    with monkeypatch.context() as patch:
        patch.setattr(assets, "_build", wrong)
        failed = run_pipeline(*window, platform.settings)
        assert {verdict.gate for verdict in failed.failed} == {"D"}, failed.error
        pd.testing.assert_frame_equal(shown, platform.query(SHOWN))
        (part,) = split_failed(Part(Window(*window)), failed.failed, find_tenants(platform.settings, [day]))
        assert part == Part(Window(*window), frozenset([IDS[BAD]]))
        passed = run_pipeline(*window, platform.settings, left_out=part.left_out, split_from=failed.run_id)
    assert passed.success, passed.error
    after = platform.query(SHOWN)
    pd.testing.assert_frame_equal(rows_by_tenant(shown, BAD, day), rows_by_tenant(after, BAD, day))
    pd.testing.assert_frame_equal(returns, platform.query(RETURNS))
    check_left_out(platform, day, "D-FACT-003")


def test_what_was_left_out_is_published_when_it_is_mended(platform: Platform, day: date) -> None:
    (report,) = run_pending(platform.settings)
    assert report.success and report.left_out == frozenset()
    found = find_pending(platform.settings)
    assert (found.tenants, found.dates) == ([], [])
    assert failing_verdicts(engines.dsn(platform.settings)) == []
