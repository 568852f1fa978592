"""Leg 1: no join that dbt sends to BigQuery lets rows of two tenants meet."""

import pytest

from .compile import Build
from .in_memory import without_labels
from .joins import TENANT, leaks


def test_every_join_of_the_build_carries_the_tenant(bigquery_build: Build) -> None:
    """A snapshot's joins are dbt's own, on its unique key under other names; that key holds the tenant."""
    # A unit test is its model on rows that stand in for tables: the model is looked at itself.
    apart = ('"kind": "snapshot"', '"kind": "unit_test"')
    sent = [
        s
        for i in bigquery_build.invocations
        for s in i.statements
        if not any(kind in s.sql for kind in apart)
    ]
    statements = [s for s in sent if " join " in s.sql.lower()]
    joining = [
        n["name"]
        for n in bigquery_build.manifest["nodes"].values()
        if n["resource_type"] == "model" and " join " in n["compiled_code"].lower()
    ]
    assert {"fact_energy_usage", "candidate_solar_performance"} <= set(joining)
    for model in joining:
        assert any(f'"node": "{model}"' in s.sql for s in statements), f"no join of {model} was seen"
    reference = [
        t.relation.path for t in bigquery_build.tables if TENANT not in {c.name for c in t.relation.columns}
    ]
    assert ("local", "core", "emission_factors") in reference
    different = {without_labels(s.sql) for s in statements}
    found = [str(leak) for sql in different for leak in leaks(sql, reference)]
    assert not found, "\n\n".join(found)
    snapshots = [n for n in bigquery_build.manifest["nodes"].values() if n["resource_type"] == "snapshot"]
    assert snapshots
    assert [n["name"] for n in snapshots if "tenant_id" not in n["config"]["unique_key"]] == []


@pytest.mark.parametrize(
    "sql",
    [
        "select * from a join b on a.tenant_id = b.tenant_id and a.meter_id = b.meter_id",
        "select * from a join b on (a.meter_id = b.meter_id and (b.tenant_id = a.tenant_id))",
        "select * from a join b using (tenant_id, meter_id)",
        "with days as (select d as day from unnest([1]) as d) select * from a cross join days",
        "create or replace table `local`.`core`.`x` as (select * from a join b on a.tenant_id = b.tenant_id)",
    ],
)
def test_a_join_with_the_tenant_passes(sql: str) -> None:
    assert leaks(sql) == []


FACTORS = ("local", "core", "factors")


@pytest.mark.parametrize(
    "sql",
    [
        "select * from a join `local`.`core`.`factors` f on a.region = f.region",
        "with f as (select region from `local`.`core`.`factors`), g as (select * from f) "
        "select * from a left join g on a.region = g.region",
    ],
)
def test_a_join_with_reference_data_passes(sql: str) -> None:
    assert leaks(sql, [FACTORS]) == []
    assert len(leaks(sql)) == 1


def test_a_tenant_that_a_query_leaves_out_is_no_reference() -> None:
    sql = (
        "with m as (select meter_id from `local`.`raw`.`meters` join `local`.`core`.`factors` on true) "
        "select * from a join m on a.meter_id = m.meter_id"
    )
    assert "m ON a.meter_id" in str(leaks(sql, [FACTORS])[0])


@pytest.mark.parametrize(
    "sql",
    [
        "select * from a join b on a.meter_id = b.meter_id",
        "select * from a join b on a.tenant_id = a.tenant_id",
        "select * from a join b on a.tenant_id = b.tenant_id or a.meter_id = b.meter_id",
        "select * from a join b using (meter_id)",
        "select * from a cross join b",
        "select * from a, b",
        "with b as (select * from c) select * from a cross join b",
        "select * from (select a.x from a left join b on a.meter_id = b.meter_id)",
        "create or replace table `local`.`core`.`x` as (select * from a join b on a.id = b.id)",
    ],
)
def test_a_planted_leak_is_found(sql: str) -> None:
    assert len(leaks(sql)) == 1
