"""Leg 1: no join that dbt sends to BigQuery lets rows of two tenants meet."""

import pytest

from .compile import Build
from .joins import leaks

MODELS_WITH_JOINS = ("fact_energy_usage", "int_solar__daily_performance")


def test_every_join_of_the_build_carries_the_tenant(bigquery_build: Build) -> None:
    """A snapshot's joins are dbt's own, on its unique key under other names; that key holds the tenant."""
    sent = [s for i in bigquery_build.invocations for s in i.statements if '"kind": "snapshot"' not in s.sql]
    statements = [s for s in sent if " join " in s.sql.lower()]
    for model in MODELS_WITH_JOINS:
        assert any(f'"node": "{model}"' in s.sql for s in statements), f"no join of {model} was seen"
    found = [str(leak) for s in statements for leak in leaks(s.sql)]
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
