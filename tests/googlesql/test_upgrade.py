"""Upgrade on BigQuery: tables by reading date of an earlier release take their new shape and keep their rows.

dbt adds columns by a call of the API; the other statements are run by Google's engine. Not here: PostgreSQL
(`tests/warehouse/test_upgrade.py`), and raw tables (`tests/raw`).
"""

import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from . import scenario
from .compile import Build, Stage, build
from .conftest import NO_TESTS, WAREHOUSE, Stages
from .engine import Column, Relation
from .in_memory import Stored
from .prune import unpruned

FORMER: dict[str, dict[str, str]] = json.loads(
    (WAREHOUSE.parents[1] / "tests" / "warehouse" / "releases" / "0.2.0.json").read_text()
)
DATED = ("core.fact_energy_daily", "staging.candidate_data_completeness", "marts.mart_data_completeness")


def name_of(stored: Stored) -> str:
    return ".".join(stored.relation.path[1:])


def as_former(stored: Stored) -> Stored:
    """Return the table with the columns that it had in the previous release."""
    former = FORMER[name_of(stored)]
    places = [place for place, column in enumerate(stored.relation.columns) if column.name in former]
    columns = tuple(stored.relation.columns[place] for place in places)
    rows = [tuple(row[place] for place in places) for row in stored.rows]
    relation = Relation(stored.relation.path, columns)
    return replace(stored, relation=relation, rows=rows, requires_filter=True)


@pytest.fixture(scope="module")
def upgraded(stages: Stages, tmp_path_factory: pytest.TempPathFactory) -> Build:
    tables = [as_former(t) if name_of(t) in DATED else t for t in stages.revised.tables]
    chosen = ("--select", *(name.split(".")[1] for name in DATED), *NO_TESTS)
    stage = Stage(tables, scenario.REVISED_VARIABLES, chosen)
    (built,) = build(WAREHOUSE, tmp_path_factory.mktemp("upgraded"), [stage])
    return built


@pytest.mark.parametrize("name", DATED)
def test_a_table_by_date_gets_its_new_columns_and_keeps_its_rows(
    stages: Stages, upgraded: Build, name: str
) -> None:
    before, after = (
        next(stored for stored in tables if name_of(stored) == name)
        for tables in (stages.revised.tables, upgraded.tables)
    )
    new = {column.name for column in before.relation.columns} - set(FORMER[name])
    assert new
    assert {c.name: c.type for c in after.relation.columns} == {
        c.name: c.type for c in before.relation.columns
    }
    kept = [row for row in as_dicts(before) if is_kept(name, row)]
    assert len({row["reading_date"] for row in kept}) > 1
    if name.startswith("marts."):
        assert scenario.LEFT_OUT in {row["tenant_id"] for row in kept}
    expected = [row | dict.fromkeys(new) if is_kept(name, row) else row for row in as_dicts(before)]
    assert in_order(as_dicts(after)) == in_order(expected)


SET_FILTER = re.compile(r"alter table (\S+) set options \(require_partition_filter = (\w+)\)")


@pytest.mark.parametrize("name", DATED)
def test_a_table_of_days_no_longer_asks_for_a_filter(upgraded: Build, name: str) -> None:
    (after,) = (stored for stored in upgraded.tables if name_of(stored) == name)
    assert after.partition_field == "reading_date" and not after.requires_filter
    set_on = {table: value for table, value in list_filters_set(upgraded) if after.relation.quoted == table}
    assert set_on == {after.relation.quoted: "false"}


def test_a_table_that_is_as_its_model_says_is_not_altered(stages: Stages) -> None:
    of_intervals = {name_of(table) for table in stages.revised.tables if table.requires_filter}
    assert of_intervals == {FACT, INTERVALS}
    assert list_filters_set(stages.revised) == []


def list_filters_set(build: Build) -> list[tuple[str, str]]:
    statements = [statement.sql for each in build.invocations for statement in each.statements]
    return [(found[1], found[2]) for sql in statements if (found := SET_FILTER.search(sql))]


def is_kept(name: str, row: dict[str, object]) -> bool:
    """Whether the run leaves the row as it is: it is of another date, or published for a tenant left out."""
    first, last = (scenario.REVISED_VARIABLES[key] for key in ("start_date", "end_date"))
    is_left_out = name.startswith("marts.") and row["tenant_id"] == scenario.LEFT_OUT
    return is_left_out or not first <= str(row["reading_date"]) < last


def as_dicts(stored: Stored) -> list[dict[str, object]]:
    names = [column.name for column in stored.relation.columns]
    return [dict(zip(names, row, strict=True)) for row in stored.rows]


def in_order(rows: list[dict[str, object]]) -> list[list[tuple[str, str]]]:
    return sorted(sorted((name, repr(value)) for name, value in row.items()) for row in rows)


FACT, INTERVALS = "core.fact_energy_usage", "staging.int_allocation__intervals"
# Computed from the ids that the fact had: these have the values of this release.
COMPUTED = {"rate_plan_band_key", "tenancy_key", "emission_factor_key"}
TYPES = {
    "text": "STRING", "bigint": "INT64", "boolean": "BOOL", "date": "DATE",
    "timestamp with time zone": "TIMESTAMP", "timestamp without time zone": "DATETIME",
}  # fmt: skip


def of_dimension(tables: list[Stored], name: str, key: str) -> dict[object, dict[str, Any]]:
    rows = as_dicts(next(stored for stored in tables if name_of(stored) == f"core.{name}"))
    return {row[key]: row for row in rows}


def with_former_columns(tables: list[Stored]) -> list[dict[str, Any]]:
    """Return the rows of the fact with what it had in 0.2.0: keys were md5 texts, ids stood beside them."""
    names = {"property_key": "dim_property", "unit_key": "dim_unit", "meter_key": "dim_meter"}
    names |= {"rate_plan_key": "dim_rate_plan"}
    versions = {key: of_dimension(tables, name, key) for key, name in names.items()}
    tenancies = of_dimension(tables, "bridge_unit_tenancy", "tenancy_key")
    bands = of_dimension(tables, "dim_rate_plan_band", "rate_plan_band_key")
    factors = of_dimension(tables, "dim_emission_factor", "emission_factor_key")
    found: list[dict[str, Any]] = []
    for row in as_dicts(next(stored for stored in tables if name_of(stored) == FACT)):
        of_row: dict[str, Any] = {key: versions[key][row[key]] for key in names}
        former: dict[str, Any] = dict(row)
        for key, version in of_row.items():
            parts = row["tenant_id"], version[key.replace("_key", "_id")], micros(version["valid_from"])
            former[key] = hashlib.md5("|".join(map(str, parts)).encode()).hexdigest()
        former["tenancy_id"] = tenancies.get(row["tenancy_key"], {}).get("tenancy_id")
        former["rate_plan_band_id"] = bands.get(row["rate_plan_band_key"], {}).get("rate_plan_band_id")
        former["emission_factor_id"] = factors.get(row["emission_factor_key"], {}).get("factor_id")
        found.append(former)
    return found


def micros(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def as_former_keys(stored: Stored, rows: list[dict[str, Any]]) -> Stored:
    """Return the table with all columns of 0.2.0; those that nothing is computed from are NULL."""
    former = FORMER[name_of(stored)]
    columns = tuple(Column(name, TYPES.get(kind, "NUMERIC")) for name, kind in former.items())
    relation = Relation(stored.relation.path, columns)
    return replace(stored, relation=relation, rows=[tuple(row.get(name) for name in former) for row in rows])


@pytest.fixture(scope="module")
def converted(stages: Stages, tmp_path_factory: pytest.TempPathFactory) -> Build:
    former = {FACT: with_former_columns(stages.revised.tables)}
    tables = []
    for stored in stages.revised.tables:
        name = name_of(stored)
        rows = former.get(name) or as_dicts(stored)
        tables.append(as_former_keys(stored, rows) if name in (FACT, INTERVALS) else stored)
    chosen = ("--select", "fact_energy_usage", "int_allocation__intervals", *NO_TESTS)
    stage = Stage(tables, scenario.REVISED_VARIABLES, chosen)
    (built,) = build(WAREHOUSE, tmp_path_factory.mktemp("converted"), [stage])
    return built


@pytest.mark.parametrize("name", [FACT, INTERVALS])
def test_rows_of_a_table_with_keys_of_text_are_converted(stages: Stages, converted: Build, name: str) -> None:
    before, after = (
        next(stored for stored in tables if name_of(stored) == name)
        for tables in (stages.revised.tables, converted.tables)
    )
    assert after.relation == before.relation
    assert (after.partition_field, after.cluster_fields) == (before.partition_field, before.cluster_fields)
    assert after.requires_filter
    kept = [row for row in as_dicts(before) if is_kept(name, row)]
    assert len({row["reading_date"] for row in kept}) > 1
    new = {column.name for column in before.relation.columns} - set(FORMER[name]) - COMPUTED
    expected = [row | dict.fromkeys(new) if is_kept(name, row) else row for row in as_dicts(before)]
    assert in_order(as_dicts(after)) == in_order(expected)
    if name == FACT:
        assert all(any(row[key] is not None for row in kept) for key in COMPUTED)
    sent = [s.sql for i in converted.invocations for s in i.statements if before.relation.quoted in s.sql]
    assert any("__converted" in sql for sql in sent)
    assert [str(u) for sql in sent for u in unpruned(sql, {before.relation.path: "reading_date"})] == []
