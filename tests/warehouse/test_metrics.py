"""Ask MetricFlow on PostgreSQL and compare with SQL on what the metrics are made of.

All tests share one build of some scenarios. Not here: the rows of the marts (`test_models`).
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from metricflow_semantic_interfaces.implementations.semantic_manifest import PydanticSemanticManifest
from metricflow_semantic_interfaces.validations.semantic_manifest_validator import SemanticManifestValidator
from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
from psycopg import sql
from psycopg.rows import dict_row

from data.warehouse.metrics import AmbiguousSum, MetricRefused, Metrics, Question

from .dbt_project import SCENARIOS, create_raw, fetch, load_scenario, run_dbt

pytestmark = pytest.mark.engine

ASKED = (
    "settled_accounts",
    "carried_over_balance",
    "bill_to_payment",
    "local_months",
    "two_solar_meters",
    "vacancy",
)
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Asked:
    """A database with the scenarios `ASKED`, and the metrics of the project for it."""

    dsn: str
    manifest: Path

    def query(self, metrics: str, group_by: str = "", *where: str, **more: Any) -> Rows:
        """Return the rows of a question, with values as text."""
        question = Question(metrics.split(","), [name for name in group_by.split(",") if name], where, **more)
        sql_text = Metrics(self.manifest, "postgres").write_sql(question)
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            found = connection.execute(sql_text.encode()).fetchall()
        return [{name: "" if value is None else str(value) for name, value in row.items()} for row in found]


@pytest.fixture(scope="module")
def asked(
    fresh_database: Callable[[str], AbstractContextManager[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asked]:
    target = tmp_path_factory.mktemp("metrics") / "target"
    with fresh_database("metrics") as dsn:
        create_raw(dsn)
        for name in ASKED:
            load_scenario(dsn, SCENARIOS / name)
        words = ("build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
        ran = run_dbt(dsn, target, words, date(2026, 1, 1), date(2026, 8, 1))
        assert ran.success, ran.failures
        yield Asked(dsn, target / "semantic_manifest.json")


def amounts(rows: Rows, *keys: str) -> dict[tuple[str, ...], Decimal]:
    """Return outstanding less overpaid by the columns `keys`."""
    return {
        tuple(row[key] for key in keys): Decimal(row["outstanding_amount"]) - Decimal(row["overpaid_amount"])
        for row in rows
    }


def receivables(dsn: str, *keys: str) -> dict[tuple[str, ...], Decimal]:
    """Return the balance of receivables by columns of the ledger entries in raw."""
    by = sql.SQL(", ").join(map(sql.Identifier, keys))
    balance = (
        "select {}, sum(case when debit_account = 'receivables' then amount else -amount end) as balance"
        " from raw.ledger_entries where 'receivables' in (debit_account, credit_account) group by {}"
    )
    found = fetch(dsn, sql.SQL(balance).format(by, by))
    return {tuple(row[key] for key in keys): row["balance"] for row in found}


def test_metrics_are_valid(asked: Asked) -> None:
    manifest = parse_manifest_from_dbt_generated_manifest(
        manifest_json_string=asked.manifest.read_text(encoding="utf-8")
    )
    found = SemanticManifestValidator[PydanticSemanticManifest]().validate_semantic_manifest(manifest)
    assert [issue.message for issue in found.all_issues] == []


def test_every_metric_and_dimension_says_what_it_is(asked: Asked) -> None:
    metrics = Metrics(asked.manifest, "postgres")
    assert len(metrics.list_metrics()) > 40
    for row in metrics.list_metrics():
        assert row["meaning"] and "metric_time" in row["dimensions"], row
    assert "property_day__tenant_name" in metrics.list_dimensions(["solar_generation_kwh"])
    assert "property_day__tenant_name" not in metrics.list_dimensions(["invoiced_amount"])


def test_each_value_of_a_dimension_is_listed_once(asked: Asked) -> None:
    """A drop-down of a BI tool asks so."""
    sql_text = Metrics(asked.manifest, "postgres").write_values_sql(
        "meter_day__channel", ["metered_import_kwh"]
    )
    with psycopg.connect(asked.dsn) as connection:
        found = connection.execute(sql_text.encode()).fetchall()
    assert [value for (value,) in found] == ["import"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (Question(), "name --metrics or a --saved-query"),
        (Question(["solar_generatoin_kwh"]), "solar_generation_kwh"),
        (Question(["solar_generation_kwh"], ["meter_day__channel"]), "meter_day__channel"),
        (Question(["solar_generation_kwh"], where=["{{ Dimension('nothing__x') }} = 1"]), "nothing__x"),
        (Question(["solar_generation_kwh"], where=["{{ ''.__class__.__mro__ }} = 1"]), "where"),
        (Question(["solar_generation_kwh"], where=["{% for"]), "where"),
        (Question(["solar_generation_kwh"], order_by=["nothing"]), "nothing"),
        (Question(saved_query="nothing"), "no saved query is called 'nothing'"),
    ],
    ids=str,
)
def test_a_question_without_an_answer_is_refused(asked: Asked, question: Question, said: str) -> None:
    with pytest.raises(MetricRefused, match=r"(?is)" + re.escape(said)):
        Metrics(asked.manifest, "postgres").write_sql(question)


def test_energy_and_its_share_equal_sql(asked: Asked) -> None:
    rows = asked.query("solar_generation_kwh,self_consumption", "property_day__tenant_id")
    found = {row["property_day__tenant_id"]: row for row in rows}
    expected = fetch(
        asked.dsn,
        sql.SQL(
            "select tenant_id, sum(generation_kwh) as generation, sum(self_consumed_kwh) "
            "/ sum(generation_kwh) filter (where self_consumed_kwh is not null) as share "
            "from marts.mart_solar_performance group by tenant_id"
        ),
    )
    assert expected and {row["tenant_id"] for row in expected} == set(found)
    for row in expected:
        metrics = found[row["tenant_id"]]
        for name, value in (("solar_generation_kwh", row["generation"]), ("self_consumption", row["share"])):
            assert (metrics[name] == "") == (value is None)
            assert value is None or float(metrics[name]) == pytest.approx(float(value), rel=1e-9)


def test_what_residents_owe_is_the_ledger_and_ends_at_zero(asked: Asked) -> None:
    keys = ("resident_date__tenant_id", "resident_date__currency")
    rows = asked.query("outstanding_amount,overdue_amount,overpaid_amount", ",".join(keys))
    expected = receivables(asked.dsn, "tenant_id", "currency")
    # A payment that was received and not booked: gate D of the bills blocks it, the ledger does not know it.
    assert amounts(rows, *keys) == expected
    assert expected["settled_accounts/acme", "EUR"] == 0
    (settled,) = (row for row in rows if row[keys[0]] == "settled_accounts/acme")
    assert Decimal(settled["outstanding_amount"]) == Decimal(settled["overdue_amount"]) == 0


def test_the_total_keeps_the_debt_of_a_tenant_that_landed_earlier(asked: Asked) -> None:
    rows = asked.query("outstanding_amount,overpaid_amount", "resident_date__currency")
    assert amounts(rows, "resident_date__currency") == receivables(asked.dsn, "currency")
    landed = fetch(asked.dsn, sql.SQL("select count(distinct landed_at) as dates from raw.tenants"))
    assert landed[0]["dates"] > 1


def test_a_month_shows_the_last_date_of_each_tenant_in_it(asked: Asked) -> None:
    rows = asked.query("outstanding_amount", "resident_date__currency", last=date(2026, 1, 31))
    # By hand, from the README files: 10 January, and 20 January for the tenant that landed then.
    assert {row["resident_date__currency"]: Decimal(row["outstanding_amount"]) for row in rows} == {
        "EUR": Decimal("48.52") + 7 + Decimal("718.79") + 80,
        "AUD": Decimal(60),
    }


SAVED = (
    "bills_by_month", "carbon_by_month", "forecast_by_month", "receivables", "returns", "solar_by_month",
)  # fmt: skip


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_query_gives_its_metrics_by_its_dimensions(asked: Asked, name: str) -> None:
    metrics = Metrics(asked.manifest, "postgres")
    saved = {row["saved_query"]: row for row in metrics.list_saved_queries()}
    assert saved.keys() == set(SAVED)
    sql_text = metrics.write_sql(Question(saved_query=name, limit=5))
    with psycopg.connect(asked.dsn) as connection:
        cursor = connection.execute(sql_text.encode())
        found = {column.name for column in cursor.description or ()}
    row = saved[name]
    assert found == {*row["metrics"].split(", "), *row["dimensions"].split(", ")}


AMBIGUOUS = ("invoiced_amount", "paid_amount", "outstanding_amount", "metered_cost_amount")


@pytest.mark.parametrize("metric", AMBIGUOUS)
def test_amounts_of_several_currencies_are_not_added(asked: Asked, metric: str) -> None:
    said = f"{metric} adds up within one currency only: add .*__currency to --group-by"
    with pytest.raises(AmbiguousSum, match=said):
        asked.query(metric)


def test_one_currency_may_be_asked_for_by_a_filter(asked: Asked) -> None:
    euros = "{{ Dimension('resident_date__currency') }} = 'EUR'"
    (row,) = asked.query("outstanding_amount,overpaid_amount", "metric_time__year", euros)
    assert amounts([row]) == {(): receivables(asked.dsn, "currency")["EUR",]}
    for several in (f"{euros} or {euros.replace('EUR', 'USD')}", f"not {euros}", f"1 = 1 or {euros}"):
        with pytest.raises(AmbiguousSum):
            asked.query("outstanding_amount", "metric_time__year", several)
    (row,) = asked.query("outstanding_amount,overpaid_amount", "metric_time__year", euros, "1 = 1")
    assert amounts([row]) == {(): receivables(asked.dsn, "currency")["EUR",]}


def test_each_sum_of_amounts_says_within_what_it_adds_up(asked: Asked) -> None:
    manifest = json.loads(asked.manifest.read_text())
    sums = {
        measure["name"]
        for model in manifest["semantic_models"]
        for measure in model["measures"]
        if measure["name"].endswith("_amount")
    }
    said = {
        metric["type_params"]["measure"]["name"]
        for metric in manifest["metrics"]
        if ((metric["config"] or {}).get("meta") or {}).get("adds_up_within") == "currency"
    }
    assert sums and said == sums
    energy = [
        m
        for m in manifest["metrics"]
        if m["type_params"].get("measure", {}) and m["type_params"]["measure"]["name"] == "metered_energy_kwh"
    ]
    assert energy and all(metric["filter"] for metric in energy), "import and export do not add up"


def test_metered_energy_is_that_of_one_channel(asked: Asked) -> None:
    channels = ("import", "export", "generation", "consumption")
    names = ",".join(f"metered_{channel}_kwh" for channel in channels)
    (row,) = asked.query(names, "metric_time__year", "{{ TimeDimension('metric_time') }} < '2027-01-01'")
    sums = fetch(
        asked.dsn,
        sql.SQL("select channel, sum(energy_kwh) as energy from marts.mart_energy_daily group by channel"),
    )
    expected = {found["channel"]: found["energy"] for found in sums}
    assert {channel: Decimal(row[f"metered_{channel}_kwh"]) for channel in channels} == expected


def test_months_of_bills_payments_and_tickets_are_those_of_the_property(asked: Asked) -> None:
    """By hand, from `local_months`: each happened on 31 January at 15:00 UTC, 1 February in Sydney."""
    here = "{{ Dimension('%s__tenant_id') }} = 'local_months/acme'"
    for metric, entity in (("invoiced_amount", "invoice_line"), ("paid_amount", "payment")):
        by = f"metric_time__month,{entity}__currency"
        rows = asked.query(metric, by, here % entity)
        found = [(row["metric_time__month"][:10], Decimal(row[metric])) for row in rows]
        assert found == [("2026-02-01", Decimal(11))]
    rows = asked.query("tickets_opened", "metric_time__month", here % "ticket")
    assert [(row["metric_time__month"][:10], row["tickets_opened"]) for row in rows] == [("2026-02-01", "1")]
