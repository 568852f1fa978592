"""Upgrade on BigQuery: tables by reading date of an earlier release get new columns and keep their rows.

dbt adds columns by a call of the API; the other statements are run by Google's engine. Not here: PostgreSQL
(`tests/warehouse/test_upgrade.py`), and raw tables (`tests/raw`).
"""

import json
from dataclasses import replace

import pytest

from . import scenario
from .compile import Build, Stage, build
from .conftest import NO_TESTS, WAREHOUSE, Stages
from .engine import Relation
from .in_memory import Stored

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
    return replace(stored, relation=Relation(stored.relation.path, columns), rows=rows)


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
