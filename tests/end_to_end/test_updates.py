"""Changes after the first run: break a gate, revise a file, change a price.

These tests change the platform, so they run last: pytest runs the modules of a folder in the order of their
names.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from dagster_project.runner import (
    ingest_inbox,
    pending_dates,
    run_pending,
    run_pipeline,
)
from data.demo import generate_files
from data.demo.company import list_tenants
from data.landing import land as landing
from data.raw.postgres import PostgresWarehouse
from myproperty import engines
from tests.end_to_end.costs import check_costs
from tests.end_to_end.support import DAYS, FACT, MART, Platform, archived_files, rows_of

# Not a date that a file of the demo revises, misses or damages.
BROKEN = timedelta(days=1)
# What people read: its views read dimensions, which a run builds again before gate D.
SHOWN = """
select meter_id, channel, reading_date, energy_kwh, property_name, tenant_name from bi.energy_daily_v1
where reading_date >= date '2000-01-01' order by 1, 2, 3
"""
COST = "select sum(cost_amount) as cost from core.fact_energy_daily"

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_files_loaded_twice_change_nothing(platform: Platform) -> None:
    generate_files(Path(platform.settings.inbox), "small", DAYS)
    again = ingest_inbox(platform.settings)
    assert {result.status for result in again} == {"unchanged"}
    assert sum(result.accepted + result.new_versions for result in again) == 0
    assert sum(result.unchanged for result in again) == sum(file.readings for file in platform.plan.files)
    assert run_pending(platform.settings) == []


def test_a_run_builds_only_dimensions_that_would_not_come_out_as_they_are(platform: Platform) -> None:
    """A run finds the company as the one before left it, but for a dimension changed by hand."""
    day = platform.plan.start + BROKEN
    names = "select unit_label from core.dim_unit order by unit_key"
    before, lines = platform.query(names), list[str]()
    with psycopg.connect(engines.dsn(platform.settings, "warehouse")) as connection:
        connection.execute("update core.dim_unit set unit_label = 'by hand'")
    report = run_pipeline(day, day + timedelta(days=1), platform.settings, progress=lines.append)
    assert report.success, report.error
    pd.testing.assert_frame_equal(before, platform.query(names))
    built = {line.removeprefix("dbt built ") for line in lines if line.startswith("dbt built ")}
    assert "core/dim_unit" in built
    assert not {"core/dim_date", "core/dim_meter", "snapshots/snap_units", "staging/stg_oltp__units"} & built
    assert any("tables and views are those of the last run" in line for line in lines)


Break = Callable[[Platform, pytest.MonkeyPatch, date], None]


def break_readings(platform: Platform, _: pytest.MonkeyPatch, day: date) -> None:
    """Gate A: far too much energy in each generation interval of the date."""
    platform.oltp(
        "update myproperty.meter_readings set value_native = 90000000, value_kwh = 90000000 "
        "where reading_date = %s and channel = 'generation'",
        day,
    )


def break_landing(platform: Platform, patch: pytest.MonkeyPatch, day: date) -> None:
    """Gate B: landing loses rows."""
    from data.landing import land as landing

    land = landing.land

    def lossy(entity: str, dsn: str, *dates: date, **how: Any) -> int:
        rows = land(entity, dsn, *dates, **how)
        platform.oltp(
            "delete from warehouse_staging.meter_readings where reading_date = %s and channel = 'export'", day
        )
        return rows

    patch.setattr(landing, "land", lossy)


def break_load(_: Platform, patch: pytest.MonkeyPatch, __: date) -> None:
    """Gate C: a load omits a row."""
    load = PostgresWarehouse.load_partitions

    def lossy(self: object, entity: object, rows: object, *rest: object) -> object:
        return load(self, entity, [table.slice(1) for table in rows], *rest)  # type: ignore[arg-type, attr-defined]

    patch.setattr(PostgresWarehouse, "load_partitions", lossy)


@pytest.fixture(scope="module")
def sound_facts(platform: Platform) -> pd.DataFrame:
    """The energy of each meter and date before the first failed run."""
    return platform.query(FACT)


@pytest.fixture
def restored(platform: Platform, sound_facts: pd.DataFrame) -> Iterator[date]:
    """A reading date that a test may break in the OLTP tables; its values are restored afterwards."""
    day = platform.plan.start + BROKEN
    platform.oltp(
        "create table public.kept as select id, value_native, value_kwh from myproperty.meter_readings "
        f"where reading_date = date '{day}'"
    )
    yield day
    platform.oltp(
        "update myproperty.meter_readings as r set value_native = k.value_native, value_kwh = k.value_kwh "
        f"from public.kept as k where r.id = k.id and r.reading_date = date '{day}'"
    )
    platform.oltp("drop table public.kept")


@pytest.mark.parametrize(
    ("gate", "breaks"),
    [("A", break_readings), ("B", break_landing), ("C", break_load)],
)
def test_a_failed_gate_leaves_the_marts_unchanged(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, restored: date, gate: str, breaks: Break
) -> None:
    """Gate D: `test_without_tenants`."""
    before, shown = platform.query(MART), platform.query(SHOWN)
    breaks(platform, monkeypatch, restored)
    report = run_pipeline(restored, restored + timedelta(days=1), platform.settings)
    assert not report.success
    assert {verdict.gate for verdict in report.failed} == {gate}, report.error
    pd.testing.assert_frame_equal(before, platform.query(MART))
    pd.testing.assert_frame_equal(shown, platform.query(SHOWN))


def differing_rows(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that only one of both has."""
    merged = before.merge(after, how="outer", indicator=True)
    return merged[merged["_merge"] != "both"]


def test_a_revised_file_and_a_price_of_the_past_change_only_what_depends_on_them(
    platform: Platform, sound_facts: pd.DataFrame
) -> None:
    """The revision makes its date pending; the price was valid on every date, so the run builds all again.

    The failed runs left wrong rows of the revised date in landing and raw: the run repairs them.
    """
    tenant, site = next(
        (tenant, site)
        for tenant in list_tenants("small")
        for site in tenant.sites
        if site.timezone == "Australia/Sydney"
    )
    solar = site.meter("solar")
    day = platform.plan.start + BROKEN
    (delivered,) = [path for path in archived_files(platform) if "grid-and-solar" in path.name]
    of_solar = delivered.read_text().split(f"200,{solar.identifier}")[1].split("\n200,")[0].splitlines()
    (record,) = [line for line in of_solar if line.startswith(f"300,{day:%Y%m%d}")]
    values = record.split(",")[2:50]
    values[24] = str(Decimal(values[24]) + Decimal("0.1"))
    revision = f"100,NEM12,202512010000,DEMO,DEMO\n200,{solar.identifier}{of_solar[0]}\n"
    revision += f"300,{day:%Y%m%d},{','.join(values)},A,,,20251201000000,\n900\n"
    inbox = Path(platform.settings.inbox) / tenant.name
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "20251201-revision.csv").write_text(revision)
    before = platform.query(MART)
    (result,) = ingest_inbox(platform.settings)
    assert (result.new_versions, result.unchanged, result.quarantined) == (1, 47, 0)
    assert result.dates_touched == [day]
    assert pending_dates(platform.settings) == result.dates_touched
    cost = platform.query(COST)
    platform.oltp(
        "update myproperty.rate_plan_bands set unit_amount = unit_amount * 2 "
        "where charge = 'grid' and valid_during @> %s",
        platform.plan.start + timedelta(days=3),
    )
    landing.land("rate_plan_bands", engines.dsn(platform.settings))
    reports = run_pending(platform.settings)
    assert all(report.success for report in reports), [report.error for report in reports]
    ran = [day for report in reports for day in report.dates]
    assert ran == [day for report in platform.reports for day in report.dates]
    assert pending_dates(platform.settings) == []
    assert platform.query(COST)["cost"][0] > cost["cost"][0]
    check_costs(platform)
    changed = differing_rows(before, platform.query(MART))
    assert set(changed["reading_date"]) == set(result.dates_touched)
    assert set(changed["property_id"]) == {str(site.id)}
    facts = differing_rows(sound_facts, platform.query(FACT))
    assert [(row.meter_id, row.reading_date) for row in rows_of(facts)] == [(str(solar.id), day)] * 2
