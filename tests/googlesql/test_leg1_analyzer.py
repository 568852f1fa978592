"""Leg 1: all that dbt sends to BigQuery is GoogleSQL, by Google's own analyzer, and keeps its contracts."""

import re

import pytest

from commands import demo, quality
from data.raw import names

from .compile import Build
from .engine import Column, GoogleSqlError, analyse, type_name

SENT = {"model", "test", "snapshot"}


def test_every_model_test_and_snapshot_was_analysed(bigquery_build: Build) -> None:
    """The models and snapshots in both runs, the tests in the first."""
    for invocation, sent in zip(bigquery_build.invocations, (SENT, SENT - {"test"}), strict=True):
        nodes = [n for n in bigquery_build.manifest["nodes"].values() if n["resource_type"] in sent]
        expected = {n["name"].lower() for n in nodes if n["config"]["materialized"] != "ephemeral"}
        assert expected
        text = "\n".join(s.sql for s in invocation.statements)
        assert {name for name in expected if f'"node": "{name}"' not in text} == set()


def test_the_second_run_replaces_partitions_and_merges_the_snapshot(bigquery_build: Build) -> None:
    first, second = bigquery_build.invocations
    assert "Merge" not in {s.kind for s in first.statements}
    merges = [s.sql for s in second.statements if s.kind == "Merge"]
    incremental = [
        n["name"]
        for n in bigquery_build.manifest["nodes"].values()
        if n["config"]["materialized"] in ("incremental", "snapshot")
    ]
    assert len(incremental) == len(merges)
    for name in incremental:
        assert any(f"`{name}`" in sql for sql in merges), f"{name} is not merged"


def test_tables_have_the_columns_and_types_of_their_contracts(bigquery_build: Build) -> None:
    made = {t.relation.path: t.relation.columns for t in bigquery_build.tables}
    nodes = [
        n
        for n in bigquery_build.manifest["nodes"].values()
        if n["config"].get("contract", {}).get("enforced")
    ]
    assert {"dim_property", "fact_energy_usage", "mart_solar_performance"} <= {n["name"] for n in nodes}
    for node in nodes:
        promised = [Column(c["name"], type_name(c["data_type"])) for c in node["columns"].values()]
        path = (node["database"], node["schema"], node["alias"])
        assert sorted(made[path], key=str) == sorted(promised, key=str), node["name"]


AN_ID = ["4b0cd623-73f7-5ab2-b46f-98b64a5764ac"]
OF_COMMANDS = {
    "quality: dates": quality.DATES,
    "quality: runs": quality.RUNS,
    "query: names of ids": names.write_sql(dict.fromkeys(names.NAMED_BY, AN_ID)),
    **demo.MARTS,
}


@pytest.mark.parametrize("name", OF_COMMANDS)
def test_the_questions_of_commands_are_accepted(bigquery_build: Build, name: str) -> None:
    """What else reaches BigQuery is in leg 3: loads, gates and questions; metrics are in leg 2."""
    sql = OF_COMMANDS[name].format(prefix="", start="2026-01-01", end="2026-01-03")
    sql = re.sub(r"(?<![.`\w])(bi|marts|core)\.(\w+)", r"`local`.`\1`.`\2`", sql)
    relations = [table.relation for table in bigquery_build.tables]
    assert "`local`." in sql and analyse(sql, relations).columns


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("select * from {fact} where tenant_id = reading_date", "No matching signature"),
        ("select * from {fact} where reading_date = reading_ts", "No matching signature"),
        ("select no_such_column from {fact}", "Unrecognized name"),
        ("select interval_seconds::int64 from {fact}", "Syntax error"),
        ("select tenant_id from {fact} union all select value_kwh from {fact}", "UNION ALL"),
        ("select no_such_function(tenant_id) from {fact}", "Function not found"),
        ("select channel, sum(value_kwh) from {fact}", "neither grouped nor aggregated"),
        ("select * from `local`.`core`.`no_such_table`", "not found"),
        ("create or replace table `local`.`core`.`t` (n int64) as (select value_kwh from {fact})", "coerced"),
        (
            "merge into {fact} d using {fact} s on false when not matched then insert (version) values ('1')",
            "type",
        ),
    ],
)
def test_a_planted_error_is_refused(bigquery_build: Build, sql: str, refusal: str) -> None:
    relations = [t.relation for t in bigquery_build.tables]
    with pytest.raises(GoogleSqlError, match=refusal):
        analyse(sql.format(fact="`local`.`core`.`fact_energy_usage`"), relations)


def test_a_type_error_and_a_broken_contract_fail_the_build(planted: Build) -> None:
    failures = {
        failure.split(":")[0].rsplit(".", 1)[1]: failure for failure in planted.invocations[0].failures
    }
    assert set(failures) == {"fact_payment", "fact_agent_session"}
    refusal = "No matching signature for operator = for argument types: STRING, DATE"
    assert refusal in failures["fact_payment"]
    assert "enforced contract" in failures["fact_agent_session"]
