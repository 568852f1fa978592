"""Energy from the files to the marts, compared with the files as other libraries read them."""

from datetime import date
from decimal import Decimal

import pandas as pd
import psycopg
import pytest

from dagster_project.runner import (
    pending_dates,
)
from data.demo.generate import SILENT_DAY
from data.ingest.validation.due import find_due_dates
from myproperty import engines
from myproperty.settings import Settings
from tests import marts_by_pandas as by_pandas
from tests.end_to_end.support import DAYS, FACT, MART, Platform
from tests.wide_usage import WIDE_USAGE

pytestmark = [pytest.mark.engine, pytest.mark.slow]

# The same column names in each layer; the daily aggregate counts intervals instead of readings.
OF_A_DAY = """
select tenant_id::text as tenant_id, reading_date, count(*) as readings, sum(value_kwh) as energy_kwh
from {table} where reading_date >= date '2000-01-01' and {energy} group by 1, 2 order by 1, 2
"""
SENT = "quality_method is distinct from '17'"
KWH = "channel in ('import', 'export', 'generation', 'consumption') and unit in ('kWh', 'Wh', 'MWh')"
PARTLY = {date(2025, 10, 28), date(2025, 11, 4)}


def test_the_range_is_published_and_every_gate_passed(platform: Platform) -> None:
    assert [report.success for report in platform.reports] == [True]
    assert {verdict.gate for verdict in platform.reports[0].verdicts} == {"A", "B", "C", "D"}
    assert pending_dates(platform.settings) == []


def test_dbt_replaced_rows_in_transactions(platform: Platform, postgres_settings: Settings) -> None:
    """PostgreSQL warns where a commit ends nothing: what came before it was committed by the statement."""
    log = (postgres_settings.home / "logs" / "postgres.log").read_text()
    assert [line for line in log.splitlines() if "myproperty_dbt@" in line and "WARNING" in line] == []
    left = platform.query(
        "select relname from pg_class where relname like '%\\_\\_dbt\\_%' and relkind <> 'i'"
    )
    assert list(left["relname"]) == []


def test_a_missing_hour_is_estimated_and_reported_in_the_mart(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    """The four estimated quarter-hours lie on the line between 11:45 and 13:00, or above it.

    The roof made at least what was used and left, less what came from the grid.
    """
    assert sum(result.estimated for result in platform.validated) == 4
    assert find_due_dates(engines.dsn(platform.settings)) == []
    quarters = platform.query(
        "select reading_ts, value_kwh, quality, is_estimated from core.fact_energy_usage "
        f"where reading_date = date '{SILENT_DAY}' and channel = 'generation' and quality_method = '17'"
    ).sort_values("reading_ts")
    around = platform.query(
        f"select reading_ts, value_kwh from {WIDE_USAGE} as u where meter_id in ("
        f"select meter_id from {WIDE_USAGE} as v where reading_date = date '{SILENT_DAY}' "
        "and quality_method = '17') and channel = 'generation' "
        f"and reading_ts in ('{SILENT_DAY} 10:45:00+00', '{SILENT_DAY} 12:00:00+00') order by reading_ts"
    )
    before, after = (Decimal(value) for value in around["value_kwh"])
    line = [round(before + (after - before) * step / 5, 6) for step in range(1, 5)]
    needed = platform.query(
        "select sum(case when channel = 'import' then -value_kwh else value_kwh end) as kwh "
        f"from {WIDE_USAGE} as u where property_id in ("
        f"select property_id from {WIDE_USAGE} as v where reading_date = date '{SILENT_DAY}' "
        "and quality_method = '17' and channel = 'generation') and channel <> 'generation' "
        f"and reading_ts >= '{SILENT_DAY} 11:00:00+00' and reading_ts < '{SILENT_DAY} 12:00:00+00' "
        "group by reading_ts order by reading_ts"
    )["kwh"]
    found = [Decimal(value) for value in quarters["value_kwh"]]
    assert found == [max(on_line, Decimal(kwh)) for on_line, kwh in zip(line, needed, strict=True)]
    assert found != line, "one quarter-hour is raised"
    assert set(quarters["quality"]) == {"estimated"}
    mart = platform.query(MART)
    reported = mart[mart["estimated_share_pct"] > 0]
    assert list(reported["reading_date"]) == [SILENT_DAY]
    # 96 intervals of generation and 96 of export.
    assert float(reported["estimated_share_pct"].iloc[0]) == pytest.approx(100 * 4 / 192, abs=1e-4)
    sent = energy_of_files[
        (energy_of_files["property_id"] == reported["property_id"].iloc[0])
        & (energy_of_files["reading_date"] == SILENT_DAY)
        & (energy_of_files["channel"] == "generation")
    ]["energy_kwh"].sum()
    assert reported["generation_kwh"].iloc[0] == sent + sum(map(Decimal, quarters["value_kwh"]))


def test_energy_in_the_fact_equals_the_energy_in_the_files(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    keys = ["tenant_id", "meter_id", "channel", "reading_date"]
    files = energy_of_files.groupby(keys)["energy_kwh"].agg(["sum", "count"]).reset_index()
    both = files.merge(platform.query(FACT), on=keys, how="outer", indicator=True)
    assert (both["_merge"] == "both").all()
    assert both[both["sum"] != both["energy_kwh"]].empty
    assert both[both["count"] != both["readings"]].empty
    assert len(both) == len(platform.plan.expected)


def test_energy_in_the_mart_equals_the_energy_in_the_files(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    solar = energy_of_files[energy_of_files["channel"].isin(["generation", "export", "import"])]
    files = solar.pivot_table(
        index=["tenant_id", "property_id", "reading_date"],
        columns="channel",
        values="energy_kwh",
        aggfunc="sum",
    ).reset_index()
    both = files.merge(platform.query(MART), on=["tenant_id", "property_id", "reading_date"])
    whole = both[(both["completeness_pct"] == 100) & (both["estimated_share_pct"] == 0)]
    assert len(whole) >= 3 * DAYS - 1
    for channel, column in (
        ("generation", "generation_kwh"),
        ("export", "exported_kwh"),
        ("import", "imported_kwh"),
    ):
        assert (whole[channel] == whole[column]).all(), column
    assert (whole["generation"] - whole["export"] == whole["self_consumed_kwh"]).all()


def test_energy_ties_through_every_layer(platform: Platform, energy_of_files: pd.DataFrame) -> None:
    """Compare files, readings, landing, raw, fact and daily sums, per tenant and day, to the last decimal."""
    keys = ["tenant_id", "reading_date"]
    sums = energy_of_files.groupby(keys)["energy_kwh"].agg(["count", "sum"]).reset_index()
    files = sums.sort_values(keys).to_numpy().tolist()
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        oltp = [
            [
                list(row)
                for row in connection.execute(
                    OF_A_DAY.format(table=table, energy=f"{KWH} and {SENT}").encode()
                )
            ]
            for table in ("myproperty.meter_readings", "warehouse_staging.meter_readings")
        ]
    warehouse = [
        platform.query(OF_A_DAY.format(table=table, energy=energy)).to_numpy().tolist()
        for table, energy in (("raw.meter_readings", f"{KWH} and {SENT}"), ("core.fact_energy_usage", SENT))
    ]
    daily = OF_A_DAY.replace("count(*)", "sum(actual_intervals)").replace("value_kwh", "energy_kwh")
    for layer in (*oltp, *warehouse):
        assert layer == files
    of_fact, of_days = (
        platform.query(query.format(table=table, energy="true")).to_numpy().tolist()
        for query, table in ((OF_A_DAY, "core.fact_energy_usage"), (daily, "core.fact_energy_daily"))
    )
    assert of_fact == of_days, "estimates included"


def test_completeness_counts_what_came_against_what_was_due(platform: Platform) -> None:
    """Sydney's files hold whole days of UTC+10, so their first and last local days are incomplete."""
    expected = by_pandas.completeness(engines.dsn(platform.settings))
    found = platform.figures(
        "mart_data_completeness", by_pandas.COMPLETENESS, "reading_date >= date '2000-01-01'"
    )
    assert found == expected
    # Half-hours in Sydney, quarter-hours elsewhere; in Los Angeles the clocks go back.
    assert {figures[0] for figures in found.values()} == {48, 96, 100}
    assert sum(figures[2] for figures in found.values()) == 4
    assert {key[-1] for key, figures in found.items() if figures[3]} == PARTLY


def test_nobody_else_enters_what_the_platform_keeps(platform: Platform) -> None:
    """Logs, compiled SQL, events and archived files name tenants; senders write to the inbox."""
    folders = [child for child in platform.settings.home.iterdir() if child.is_dir()]
    is_open = {folder.name for folder in folders if folder.stat().st_mode & 0o077}
    assert {folder.name for folder in folders} >= {"archive", "dagster", "dbt_target"}
    assert is_open <= {"inbox"}
