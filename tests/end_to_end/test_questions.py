"""The questions of docs/analyst-questions.md have plausible answers."""

from decimal import Decimal
from typing import Any

import pandas as pd
import psycopg
import pytest

from myproperty import engines
from tests.end_to_end.support import DAYS, Platform

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PLACES = {"Wattlebird Terraces (demo)", "Cedar Canyon Lofts (demo)", "Sonnenhof 7 (demo)"}


def test_questions_on_solar_are_answered_within_physics(
    platform: Platform, energy_of_files: pd.DataFrame
) -> None:
    made, performance, carbon = (platform.answer(number) for number in (1, 2, 3))
    for rows_ in (made, performance, carbon):
        assert {row["property_name"] for row in rows_} == PLACES
    of_roofs = energy_of_files[energy_of_files["channel"] == "generation"]
    sent = sum(of_roofs["energy_kwh"], Decimal(0))
    generated = sum((row["generation_kwh"] for row in made), Decimal(0))
    # The estimates for a missing hour come on top of the energy in the files.
    assert sent <= generated < sent * Decimal("1.01")
    for row in made:
        assert 0 < row["exported_kwh"] < row["generation_kwh"]
        own = 100 * (row["generation_kwh"] - row["exported_kwh"]) / row["generation_kwh"]
        assert float(row["self_consumption_pct"]) == pytest.approx(float(own), abs=0.05)
        assert 99 < row["completeness_pct"] <= 100
    for row in performance:
        assert 0.05 < row["clear_sky_ratio"] < 1.1
        assert 0 < row["kwh_per_kw_and_day"] < 8, "a kilowatt makes no more on the longest day"
        assert row["days_known"] in (DAYS, DAYS + 1)
        assert 0 <= row["worst_energy_availability"] <= 1
    for row in carbon:
        assert 0.1 < row["avoided_location_kg"] / row["self_consumed_kwh"] < 1
    assert {row["emission_region"] for row in carbon} == {"AU-NSW", "US-CAMX", "DE"}


def test_questions_on_money_are_answered_to_the_cent(platform: Platform) -> None:
    returns, billed, ties, owed = (platform.answer(number) for number in (4, 7, 8, 9))
    for row in returns:
        assert 0 < row["irr_pct"] < 40 and row["npv_amount"] > 0
        assert 3 < row["payback_years"] < 20 and 0.03 < row["lcoe_per_kwh"] < 0.3
        assert row["residents_saving_amount"] > 0
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        issued: dict[str, Decimal] = dict(
            connection.execute(
                "select currency, sum(total_amount) from myproperty.invoices "
                "where status not in ('draft', 'void') group by currency"
            ).fetchall()
        )
        receivable: dict[str, Decimal] = dict(
            connection.execute(
                "select currency, balance from myproperty.account_balances where code = 'receivables'"
            ).fetchall()
        )

    def by_currency(rows_: list[dict[str, Any]], column: str) -> dict[str, Decimal]:
        return {c: sum((r[column] for r in rows_ if r["currency"] == c), Decimal(0)) for c in issued}

    assert len(issued) == 3
    for rows_, column in ((billed, "total_amount"), (ties, "invoiced_amount"), (ties, "booked_amount")):
        assert by_currency(rows_, column) == issued
    for rows_ in (ties, owed):
        assert by_currency(rows_, "outstanding_amount") == receivable
    assert {row["finding"] for row in ties} == {"ties"}
    assert all(0 < row["solar_share_pct"] < 100 for row in billed)
    assert all(0 < row["max_days_overdue"] <= 30 for row in owed)


def test_questions_on_units_meters_and_tickets_are_answered(platform: Platform) -> None:
    units, data, promises = (platform.answer(number) for number in (5, 6, 10))
    for row in units:
        assert 1 < row["kwh_a_day"] < 40 and 0.1 < row["amount_per_kwh"] < 0.6
    assert {row["property_name"] for row in data} == PLACES
    assert {row["property_name"] for row in data if row["missing_intervals"]} == {
        "Wattlebird Terraces (demo)"
    }
    assert [row["estimated_intervals"] for row in data if row["estimated_intervals"]] == [4]
    assert all(99 < row["completeness_pct"] <= 100 for row in data)
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        tickets = connection.execute("select count(*) from myproperty.service_tickets").fetchone()
    assert (sum(row["opened"] for row in promises),) == tickets
    for row in promises:
        assert row["open_past_target"] <= row["missed_sla"] <= row["opened"]
