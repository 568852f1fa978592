"""October of the demo, billed and checked against its physics, its tariffs and the queries of the docs.

The oracle uses neither readings nor billing code. Energies come from the arrays behind the files; pandas
reads prices, methods and shares from the demo's tables.
"""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest

from data.billing import reports
from data.billing.database import as_tenant
from data.demo import apply_company, generate_files, generate_history
from data.demo.billing import apply_billing
from data.demo.company import DemoProperty, list_tenants
from data.demo.physics import simulate_energy
from data.ingest.readings.load import ingest_file

pytestmark = pytest.mark.engine

OCTOBER = date(2025, 10, 1)
DOCS = Path(__file__).parents[2] / "docs" / "billing.md"


@pytest.fixture(scope="module")
def billed(oltp_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo with a history from October, billed."""
    out = tmp_path_factory.mktemp("inbox")
    apply_company(oltp_dsn)
    scope = generate_files(out, "small", 14)
    for file in (*generate_history(out, start=OCTOBER, end=scope.start).files, *scope.files):
        ingest_file(file.path, tenant=file.tenant, dsn=oltp_dsn)
    # Sydney's October, and what Los Angeles and Berlin have of it.
    assert apply_billing(oltp_dsn, since=OCTOBER) == 4 + 6 + 2
    return oltp_dsn


@pytest.fixture
def wattlebird(billed: str) -> Iterator[psycopg.Connection]:
    tenant = next(tenant for tenant in list_tenants("small") if tenant.name == "demo-wattlebird")
    with as_tenant(billed, tenant.id) as connection:
        yield connection


def october(site: DemoProperty) -> pd.DataFrame:
    """Return local time, generation and the load of each participant by interval, in Wh."""
    series = simulate_energy(site, date(2025, 9, 30), date(2025, 11, 1))
    local = pd.DatetimeIndex(series.starts).tz_localize("UTC").tz_convert(site.timezone)
    frame = pd.DataFrame({"local": local, "generation": series.generation, "common": series.loads[0]})
    for label, load in zip(site.unit_labels, series.loads[1:], strict=True):
        frame[label] = load
    return frame[(local.year == 2025) & (local.month == 10)]


def test_sydneys_allocation_is_dynamic_sharing_of_the_physics(
    wattlebird: psycopg.Connection, sites: dict[str, DemoProperty]
) -> None:
    site = sites["sydney"]
    energy = october(site)
    loads = energy[["common", *site.unit_labels]]
    # 31 days less the hour that the clock skipped on the fifth.
    assert len(energy) == 31 * 48 - 2
    solar = loads.mul(np.minimum(1, energy["generation"] / loads.sum(axis=1)), axis=0).sum()
    rows = wattlebird.execute(
        "select coalesce(u.label, 'common'), l.solar_kwh, l.grid_kwh from myproperty.allocation_ledger l "
        "left join myproperty.units u on u.id = l.unit_id "
        "where l.property_id = %s and l.allocation_method = 'dynamic'",
        (site.id,),
    ).fetchall()
    used = loads.sum()
    assert {label for label, *_ in rows} == set(loads)
    for label, solar_kwh, grid_kwh in rows:
        assert float(solar_kwh) == pytest.approx(solar[label] / 1000, abs=1e-5), label
        assert solar_kwh + grid_kwh == Decimal(int(used[label])) / 1000, label


def test_a_bill_is_the_tariff_on_the_energy(
    wattlebird: psycopg.Connection, sites: dict[str, DemoProperty]
) -> None:
    """Unit 101 of Sydney: pandas applies the tariff from the database."""
    site = sites["sydney"]
    energy = october(site)
    share = np.minimum(1, energy["generation"] / energy[["common", *site.unit_labels]].sum(axis=1))
    used = pd.DataFrame({"solar": energy["101"] * share / 1000, "grid": energy["101"] * (1 - share) / 1000})
    local = energy["local"].dt
    used["minute"] = local.hour * 60 + local.minute
    used["day_kind"] = np.where(local.day_of_week < 5, "weekday", "weekend")
    quantities: dict[tuple[str, str, Decimal], float] = {}
    for charge, band, day_kind, first, end, gross in prices(wattlebird, site.unit_id("101")):
        if charge == "daily":
            quantity = used.loc[used["day_kind"] == day_kind, "minute"].eq(0).sum()
        else:
            in_band = (used["day_kind"] == day_kind) & (used["minute"] >= first) & (used["minute"] < end)
            quantity = used.loc[in_band, charge].sum()
        quantities[charge, band, gross] = quantities.get((charge, band, gross), 0.0) + float(quantity)
    total = sum(round(quantity * float(gross), 2) for (*_, gross), quantity in quantities.items())
    found = wattlebird.execute(
        "select i.total_amount from myproperty.invoices i join myproperty.tenancies t on t.id = i.tenancy_id "
        "where t.unit_id = %s",
        (site.unit_id("101"),),
    ).fetchall()
    assert [float(amount) for (amount,) in found] == [pytest.approx(total, abs=0.005)]


def prices(connection: psycopg.Connection, unit: Any) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select b.charge, b.band, b.day_kind, lower(b.minutes_of_day), upper(b.minutes_of_day), "
        "b.unit_amount * (1 + b.tax_rate) "
        "from myproperty.rate_plan_assignments a "
        "join myproperty.rate_plan_bands b on b.rate_plan_id = a.rate_plan_id "
        "where a.unit_id = %s and a.assigned_during @> date '2025-10-15' "
        "and b.valid_during @> date '2025-10-15'",
        (unit,),
    ).fetchall()


def test_every_invoice_ties_to_the_cent_and_the_watt_hour(wattlebird: psycopg.Connection) -> None:
    ties = reports.read_invoice_ties(wattlebird)
    assert len(ties) == 10
    assert [row for row in ties if not row["ties"]] == []


def test_the_query_that_the_demo_prints_ties_when_run_by_hand(
    billed: str, wattlebird: psycopg.Connection
) -> None:
    """A read-only login runs the copied query; its figures equal those of `read_invoice_ties`."""
    ties = reports.read_invoice_ties(wattlebird)
    asked = {row["invoice"]: reports.query_invoice(wattlebird, row["invoice"]) for row in ties}
    with psycopg.connect(billed) as reader:
        reader.execute("set local role myproperty_readonly")
        reader.execute(f"set local app.tenant_id = '{list_tenants('small')[1].id}'".encode())
        for row in ties:
            query, (answer,) = asked[row["invoice"]]
            assert "reading_date >= '2025-10-" in query
            assert answer == {name: row[name] for name in answer}
            assert answer["invoice_total"] == answer["sum_of_lines"] == answer["booked"]
            assert answer["billed_kwh"] == answer["allocated_kwh"] == answer["metered_kwh"] > 0
            assert reader.execute(query.encode()).fetchall() == [tuple(answer.values())]


def test_an_invoice_that_does_not_tie_is_reported(billed: str, wattlebird: psycopg.Connection) -> None:
    """A reading changed after billing, so the meter differs from the bill."""
    wattlebird.rollback()
    with psycopg.connect(billed) as db:
        db.execute(
            "update myproperty.meter_readings set value_kwh = value_kwh + 0.001 "
            "where reading_date = '2025-10-15' and channel = 'consumption' "
            "and reading_ts = '2025-10-15 02:00+00'"
        )
        db.execute("set local role myproperty_app")
        db.execute("select set_config('app.tenant_id', %s, true)", (str(list_tenants("small")[1].id),))
        assert [row["ties"] for row in reports.read_invoice_ties(db)].count(False) == 4
        db.rollback()


def test_the_queries_of_the_docs_show_no_difference(wattlebird: psycopg.Connection) -> None:
    (block,) = re.findall(r"```sql\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    invoices, periods, receivables, sheets = (
        wattlebird.execute(query.encode()).fetchall()
        for query in block.strip().removesuffix(";").split(";\n")
    )
    assert {row[1:] for row in invoices} == {(True, True)}
    assert {row[1:] for row in periods} == {(0, 0)}
    assert receivables == [(0,), (0,)]
    assert [row[5] for row in sheets] == [True, True]


def test_some_pay_late_in_parts_or_not_yet(wattlebird: psycopg.Connection) -> None:
    found = wattlebird.execute("select distinct status from myproperty.invoices order by 1").fetchall()
    assert found == [("overdue",), ("paid",)]
    parts = wattlebird.execute(
        "select count(*) from myproperty.payments where status = 'received' group by invoice_id"
    ).fetchall()
    reversed_ = wattlebird.execute("select 1 from myproperty.payments where status = 'reversed'").fetchall()
    assert parts and reversed_


def test_billing_again_changes_nothing(billed: str, wattlebird: psycopg.Connection) -> None:
    before = reports.read_balances(wattlebird)
    wattlebird.commit()
    assert apply_billing(billed, since=OCTOBER) == 0
    with as_tenant(billed, list_tenants("small")[1].id) as connection:
        assert reports.read_balances(connection) == before
