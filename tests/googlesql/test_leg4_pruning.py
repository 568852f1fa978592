"""Leg 4: every statement that dbt sends to BigQuery names the partitions that it reads."""

import pytest

from data.landing.entities import ENTITIES
from tests.analyst_questions import questions, relations

from .compile import Build
from .engine import Relation
from .in_memory import without_labels
from .prune import unpruned

FACT = ("local", "core", "fact_energy_usage")
PARTITIONS = {FACT: "reading_date", ("local", "raw", "meter_readings"): "reading_date"}
FACT_SQL = "`local`.`core`.`fact_energy_usage`"
BOTH = {"lower", "upper"}
# One row a tenant and date: the table behind it is small and has no partitions.
UNPARTITIONED = "data_quality_v1"
RANGE = "reading_date >= date '2026-01-01' and reading_date < date '2026-01-03'"
SOURCE = f"(select * from `local`.`raw`.`meter_readings` where {RANGE})"


def _partitions(build: Build) -> dict[tuple[str, str, str], str]:
    return {t.relation.path: t.partition_field for t in build.tables if t.partition_field}


def _public_views(build: Build) -> dict[tuple[str, str, str], str]:
    """Views for people, which read partitions without naming them: whoever reads a view has to."""
    views = [
        t.relation for t in build.tables if t.relation.path[1] == "bi" and t.relation.path[2] != UNPARTITIONED
    ]
    return {v.path: "reading_date" for v in views if "reading_date" in {c.name for c in v.columns}}


def test_every_statement_of_the_build_prunes(bigquery_build: Build) -> None:
    public = _public_views(bigquery_build)
    models = [n for n in bigquery_build.manifest["nodes"].values() if n["resource_type"] == "model"]
    assert {path[2] for path in public} == {
        n["alias"] for n in models if n["access"] == "public" and "reading_date" in n["columns"]
    } - {UNPARTITIONED}
    assert public
    partitions = _partitions(bigquery_build) | public
    made = tuple("create or replace view " + ".".join(f"`{part}`" for part in path) for path in public)
    # The engine finds a table by its quoted name, so a statement without one reads no partition.
    names = [Relation(path, ()).quoted for path in partitions]
    sent = {without_labels(s.sql) for i in bigquery_build.invocations for s in i.statements}
    statements = [sql for sql in sent if any(name in sql for name in names)]
    assert statements
    found = [
        str(u)
        for sql in statements
        if not any(view in sql for view in made)
        for u in unpruned(sql, partitions)
    ]
    assert not found, "\n\n".join(found)


def test_an_analysts_questions_prune_and_read_public_views_alone(bigquery_build: Build) -> None:
    views = {t.relation.path[2] for t in bigquery_build.tables if t.relation.path[1] == "bi"}
    asked = questions()
    assert sorted(asked) == list(range(1, 13))
    for sql in asked.values():
        assert relations(sql) <= {f"bi.{view}" for view in views}
        quoted = sql.replace(" bi.", " local.bi.")
        assert unpruned(quoted, _public_views(bigquery_build)) == [], sql


def test_a_public_view_needs_no_filter_of_its_readers(bigquery_build: Build) -> None:
    """Previews, lists of values and metrics name no dates; a scan of intervals would cost money."""
    nodes = bigquery_build.manifest["nodes"]
    needed = {name for name, node in nodes.items() if node["config"].get("require_partition_filter")}
    assert {name.rpartition(".")[2] for name in needed} == {"fact_energy_usage", "int_allocation__intervals"}
    public = [node for node in nodes.values() if node.get("access") == "public" and node["fqn"][1] == "bi"]
    assert len(public) > 10
    for node in public:
        assert not needed & set(node["depends_on"]["nodes"]), node["name"]


def test_the_proof_saw_reads_of_every_partitioned_table(bigquery_build: Build) -> None:
    partitions = _partitions(bigquery_build)
    declared = {
        node["alias"]
        for node in bigquery_build.manifest["nodes"].values()
        if node["config"].get("partition_by")
    }
    landed = {name for name, entity in ENTITIES.items() if entity.partition_column}
    assert {"fact_energy_usage", "mart_solar_performance"} <= declared
    assert {path[2] for path in partitions} == declared | landed
    sqls = [s.sql for i in bigquery_build.invocations for s in i.statements]
    for path in partitions:
        quoted = ".".join(f"`{part}`" for part in path)
        assert any(quoted in sql for sql in sqls), f"no statement reads {quoted}"


@pytest.mark.parametrize(
    "sql",
    [
        f"select * from {FACT_SQL} where {RANGE}",
        f"select * from {FACT_SQL} where reading_date = '2026-01-01'",
        f"select * from {FACT_SQL} f where f.reading_date between date '2026-01-01' and date '2026-01-02'",
        f"with x as (select * from {FACT_SQL} where {RANGE}) select * from x union all select * from x",
        f"select * from unnest([1]) left join {FACT_SQL} as f on f.reading_date in (date '2026-01-01')",
        f"create or replace table `local`.`core`.`x` as (select * from {FACT_SQL} where {RANGE})",
        f"merge into {FACT_SQL} as d using {SOURCE} as s on false "
        "when not matched by source and date(d.reading_date) in (date '2026-01-01') then delete "
        "when not matched then insert (tenant_id) values (tenant_id)",
    ],
)
def test_a_statement_that_names_its_partitions_passes(sql: str) -> None:
    assert unpruned(sql, PARTITIONS) == []


@pytest.mark.parametrize(
    ("sql", "missing"),
    [
        (f"select * from {FACT_SQL}", BOTH),
        (f"select * from {FACT_SQL} where reading_date >= date '2026-01-01'", {"upper"}),
        (f"select * from {FACT_SQL} where {RANGE} or tenant_id = 'a'", BOTH),
        (f"select * from {FACT_SQL} where reading_date = current_date()", BOTH),
        (
            f"select * from {FACT_SQL} where date_trunc(reading_date, month) = date '2026-01-01'",
            BOTH,
        ),
        (
            f"select * from {FACT_SQL} where reading_date in (select d from `local`.`core`.`dim_date`)",
            BOTH,
        ),
        (
            f"select * from {FACT_SQL} a join {SOURCE} b on a.reading_date = b.reading_date",
            BOTH,
        ),
        (
            f"select * from {FACT_SQL} a left join {SOURCE} b on a.reading_date = date '2026-01-01'",
            BOTH,
        ),
        (f"select 1 from unnest([1]) where exists (select 1 from {FACT_SQL})", BOTH),
        (
            f"merge into {FACT_SQL} as d using {SOURCE} as s on false when not matched by source then delete",
            BOTH,
        ),
        (
            f"merge into {FACT_SQL} as d using {SOURCE} as s on d.meter_id = s.meter_id "
            "when matched then update set value_kwh = s.value_kwh",
            BOTH,
        ),
        (f"delete from {FACT_SQL} where reading_date < date '2026-01-01'", {"lower"}),
    ],
)
def test_a_planted_scan_fails(sql: str, missing: set[str]) -> None:
    (found,) = unpruned(sql, PARTITIONS)
    assert found.table == FACT
    assert found.missing == missing
    assert "reading_date" in str(found)


def test_a_scan_in_the_source_of_a_merge_fails() -> None:
    sql = (
        f"merge into {FACT_SQL} as d using (select * from `local`.`raw`.`meter_readings`) as s "
        "on d.reading_date = date '2026-01-01' and d.meter_id = s.meter_id when not matched then insert row"
    )
    assert [u.table[2] for u in unpruned(sql, PARTITIONS)] == ["meter_readings"]
