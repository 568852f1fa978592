"""Contracts, costs, invoices, arrears and tickets, compared with the OLTP database and pandas."""

from datetime import UTC, date, datetime

import psycopg
import pytest

from data.demo.tariffs import BANDS as BANDS_FILE
from myproperty import engines
from tests import marts_by_pandas as by_pandas
from tests.end_to_end.costs import check_costs
from tests.end_to_end.support import Platform

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_contracts_of_the_demo_have_the_published_prices(platform: Platform) -> None:
    """Compare the seed, in the warehouse and as a file, with the rate plans of the residents."""
    band = "b.charge, b.band, b.day_kind, b.minutes_from, b.minutes_to, b.unit_amount, b.tax_rate"
    contracts = platform.query(
        f"select distinct p.rate_plan_name, p.currency, {band}, b.valid_from, b.valid_to "
        "from core.dim_rate_plan_band as b join core.dim_rate_plan as p "
        "on p.tenant_id = b.tenant_id and p.rate_plan_id = b.rate_plan_id and p.is_current"
    )
    published = platform.query(
        f"select b.plan_name, b.currency, {band}, b.valid_from, b.valid_to from core.demo_tariff_bands as b"
    )
    assert set(contracts.itertuples(index=False, name=None)) == set(
        published.itertuples(index=False, name=None)
    )
    assert len(contracts) == len(published) == len(BANDS_FILE.read_text(encoding="utf-8").splitlines()) - 1


def test_the_cost_of_each_interval_equals_that_of_pandas_and_zoneinfo(platform: Platform) -> None:
    check_costs(platform)


def test_invoices_tie_to_the_ledger_and_the_meter(platform: Platform) -> None:
    """The invoice lines of an allocation bill the allocated energy, and the metered energy."""
    ties = platform.query(
        """
        select l.allocation_id, l.solar_kwh, l.grid_kwh,
            (select sum(d.energy_kwh) from core.fact_energy_daily d
             where d.tenant_id = l.tenant_id and d.unit_id = l.unit_id and d.channel = 'consumption'
               and d.reading_date >= l.period_from and d.reading_date < l.period_to) as metered_kwh,
            (select coalesce(sum(i.quantity), 0) from core.fact_invoice i where i.tenant_id = l.tenant_id
               and i.allocation_id = l.allocation_id and i.category = 'solar') as billed_solar_kwh,
            (select coalesce(sum(i.quantity), 0) from core.fact_invoice i where i.tenant_id = l.tenant_id
               and i.allocation_id = l.allocation_id and i.category = 'grid') as billed_grid_kwh
        from staging.stg_oltp__allocation_ledger l where l.tenancy_id is not null
        """
    )
    assert len(ties) > 5
    assert (ties["solar_kwh"] + ties["grid_kwh"] == ties["metered_kwh"]).all()
    assert (ties["billed_solar_kwh"] == ties["solar_kwh"]).all()
    assert (ties["billed_grid_kwh"] == ties["grid_kwh"]).all()
    amounts = platform.query(
        "select (select sum(total_amount) from core.fact_invoice) as lines, "
        "(select sum(settled_amount) from core.fact_payment) as paid"
    )
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        billed = connection.execute(
            "select (select sum(total_amount) from myproperty.invoices), "
            "(select sum(amount) from myproperty.payments where status = 'received')"
        ).fetchone()
    assert amounts.iloc[0].tolist() == list(billed or ())


def test_no_ticket_and_no_session_is_lost(platform: Platform) -> None:
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        counted = connection.execute(
            "select (select count(*) from myproperty.service_tickets), "
            "(select count(distinct session_id) from "
            "(select session_id from myproperty.agent_messages union all "
            "select session_id from myproperty.agent_audit) as s)"
        ).fetchone()
    facts = platform.query(
        "select (select count(*) from core.fact_service_ticket) as tickets, "
        "(select count(*) from core.fact_agent_session) as sessions"
    )
    assert facts.iloc[0].tolist() == list(counted or ())
    assert min(facts.iloc[0]) > 0


def test_every_bill_ties_from_the_meter_to_the_payment(platform: Platform) -> None:
    expected = by_pandas.reconciliation(engines.dsn(platform.settings))
    assert len(expected) > 5
    assert platform.figures("mart_billing_reconciliation", by_pandas.RECONCILIATION) == expected
    findings = platform.query("select distinct finding from marts.mart_billing_reconciliation")
    assert set(findings["finding"]) == {"ties"}


def test_arrears_are_invoices_less_payments_by_age(platform: Platform) -> None:
    """Before the bills, at the end of the month when some are overdue, and a year later."""
    dsn = engines.dsn(platform.settings)
    dates = platform.query("select distinct as_of_date, is_latest from marts.mart_arrears")
    (latest,) = dates.loc[dates["is_latest"], "as_of_date"]
    assert list(dates["as_of_date"]).count(date(2025, 10, 31)) == 0
    for as_of in (date(2025, 11, 30), latest):
        expected = by_pandas.arrears(dsn, as_of)
        assert expected
        found = platform.figures("mart_arrears", by_pandas.ARREARS, f"as_of_date = date '{as_of}'")
        assert found == expected


def test_months_of_tickets_equal_those_of_pandas(platform: Platform) -> None:
    expected = by_pandas.sla(engines.dsn(platform.settings), datetime.now(UTC))
    assert platform.figures("mart_ticket_sla", by_pandas.SLA) == expected
    assert sum(figures[4] for figures in expected.values()) > 0, "no promise was broken"
