"""The dbt models on PostgreSQL: the scenario folders, and what a rebuild of a range touches."""

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from .dbt_project import SCENARIOS, Ran, create_raw, fetch, load_csv, run_dbt

pytestmark = pytest.mark.engine

THEN_KEYS = {
    "core.fact_energy_usage": ("tenant_id", "meter_id", "channel", "reading_ts"),
    "marts.mart_solar_performance": ("tenant_id", "property_id", "reading_date"),
}
BUILD = ("build", "--exclude-resource-type", "unit_test")
RUN = ("run",)


@pytest.fixture(scope="module")
def warehouse_dsn(fresh_database: Callable[[str], AbstractContextManager[str]]) -> Iterator[str]:
    """An empty database for the warehouse, dropped after this module."""
    with fresh_database("warehouse") as dsn:
        yield dsn


@pytest.fixture(scope="module")
def target_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for dbt's output, so that a second run parses only what changed."""
    return tmp_path_factory.mktemp("dbt")


def scenario_range(folder: Path) -> tuple[date, date]:
    """The half-open range that a scenario's README names in its line `range: FROM TO`."""
    found = re.search(r"^range: (\S+) (\S+)$", (folder / "README.md").read_text(), re.MULTILINE)
    assert found, f"{folder}/README.md has no line 'range: FROM TO'"
    return date.fromisoformat(found[1]), date.fromisoformat(found[2])


def reset(dsn: str, *folders: Path) -> None:
    """Only raw tables, holding the rows of the folders."""
    with psycopg.connect(dsn) as connection:
        for schema in ("staging", "core", "marts", "snapshots"):
            connection.execute(f"drop schema if exists {schema} cascade")
    create_raw(dsn)
    for folder in folders:
        load_csv(dsn, folder / "when")


def build(dsn: str, target_path: Path, start: date, end: date, words: tuple[str, ...] = RUN) -> Ran:
    """The models built for [start, end), which has to succeed; BUILD adds snapshots and every data test."""
    ran = run_dbt(dsn, target_path, words, start, end)
    assert ran.success, ran.failures
    return ran


def as_text(value: Any) -> str:
    """One spelling a value, on the side of the CSV and on the side of the database."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            utc = value.astimezone(UTC) if value.tzinfo else value
            return utc.strftime("%Y-%m-%dT%H:%M:%S") + ("Z" if value.tzinfo else "")
        case Decimal():
            return format(value.normalize() + 0, "f")
    text = str(value)
    is_number = re.fullmatch(r"-?\d+(\.\d+)?", text)
    return format(Decimal(text).normalize() + 0, "f") if is_number else text


def in_order(rows: list[dict[str, str]], key: tuple[str, ...]) -> list[dict[str, str]]:
    return sorted(rows, key=lambda row: [row[column] for column in key])


def expected_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return [{name: as_text(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def actual_rows(dsn: str, relation: str, columns: list[str]) -> list[dict[str, str]]:
    found = fetch(dsn, f"select {', '.join(columns)} from {relation}")
    return [{name: as_text(value) for name, value in row.items()} for row in found]


@pytest.mark.parametrize("name", sorted(folder.name for folder in SCENARIOS.iterdir() if folder.is_dir()))
def test_a_scenario_gives_the_rows_an_expert_wrote_down(
    name: str, warehouse_dsn: str, target_path: Path
) -> None:
    folder = SCENARIOS / name
    reset(warehouse_dsn, folder)
    build(warehouse_dsn, target_path, *scenario_range(folder))
    for relation, key in THEN_KEYS.items():
        expected = expected_rows(folder / "then" / f"{relation.split('.')[1]}.csv")
        actual = actual_rows(warehouse_dsn, relation, list(expected[0]))
        assert in_order(actual, key) == in_order(expected, key), relation


def whole(dsn: str) -> dict[str, list[dict[str, Any]]]:
    return {
        relation: fetch(dsn, f"select * from {relation} order by {', '.join(key)}")
        for relation, key in THEN_KEYS.items()
    }


def test_days_built_apart_twice_and_backwards_equal_the_range_built_at_once(
    warehouse_dsn: str, target_path: Path
) -> None:
    folder = SCENARIOS / "vacancy"
    reset(warehouse_dsn, folder)
    build(warehouse_dsn, target_path, *scenario_range(folder))
    at_once = whole(warehouse_dsn)
    reset(warehouse_dsn, folder)
    for day in (2, 1, 2):
        build(warehouse_dsn, target_path, date(2026, 7, day), date(2026, 7, day + 1))
    assert {str(row["reading_date"]) for row in whole(warehouse_dsn)["marts.mart_solar_performance"]} == {
        "2026-07-01",
        "2026-07-02",
    }, "the first run has to keep to its range too"
    build(warehouse_dsn, target_path, date(2026, 7, 3), date(2026, 7, 4))
    assert whole(warehouse_dsn) == at_once


def test_a_rebuild_restates_its_day_and_no_other(warehouse_dsn: str, target_path: Path) -> None:
    folder = SCENARIOS / "unit_move"
    reset(warehouse_dsn, folder)
    build(warehouse_dsn, target_path, *scenario_range(folder))
    before = whole(warehouse_dsn)
    with psycopg.connect(warehouse_dsn) as connection:
        connection.execute("delete from raw.meter_readings where reading_date = '2026-07-02'")
        connection.execute("update raw.meter_readings set value_kwh = 99 where channel = 'generation'")
    build(warehouse_dsn, target_path, date(2026, 7, 2), date(2026, 7, 3))
    after = whole(warehouse_dsn)
    for relation, rows in before.items():
        kept = [row for row in rows if row["reading_date"] == date(2026, 7, 1)]
        assert kept
        assert after[relation] == kept, "the emptied day is gone and the other as it was"


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("update raw.meter_readings set reading_date = '2026-07-01'", "local_date_is_reading_date"),
        ("delete from raw.meters where id = 'roof'", "not_null_fact_energy_usage_property_id"),
        ("update raw.units set tenant_id = 'other'", "relationships_within_tenant_fact"),
    ],
)
def test_a_planted_fault_fails_the_data_test_that_guards_against_it(
    change: str, broken: str, warehouse_dsn: str, target_path: Path
) -> None:
    folder = SCENARIOS / "unit_move"
    reset(warehouse_dsn, folder)
    with psycopg.connect(warehouse_dsn) as connection:
        connection.execute(change)
    ran = run_dbt(warehouse_dsn, target_path, BUILD, *scenario_range(folder))
    assert any(broken in name for name in ran.failures), ran.failures


def test_the_data_tests_pass_on_sound_rows_gaps_and_all(warehouse_dsn: str, target_path: Path) -> None:
    folder = SCENARIOS / "missing_intervals"
    reset(warehouse_dsn, folder)
    ran = build(warehouse_dsn, target_path, *scenario_range(folder), BUILD)
    assert sum(status == "pass" for status in ran.statuses.values()) > 100


def test_the_dbt_unit_tests_pass(warehouse_dsn: str, target_path: Path) -> None:
    folder = SCENARIOS / "leap_day"
    reset(warehouse_dsn, folder)
    build(warehouse_dsn, target_path, *scenario_range(folder))
    ran = build(warehouse_dsn, target_path, *scenario_range(folder), ("test", "--select", "test_type:unit"))
    assert list(ran.statuses.values()) == ["pass"] * 3


def test_a_run_without_a_range_is_refused(warehouse_dsn: str, target_path: Path) -> None:
    reset(warehouse_dsn, SCENARIOS / "unit_move")
    ran = run_dbt(warehouse_dsn, target_path, ("run", "--select", "mart_solar_performance"), None, None)
    assert not ran.success
    assert "The var 'start_date' is missing" in ran.failures["mart_solar_performance"]


def test_the_snapshot_keeps_what_a_property_was(warehouse_dsn: str, target_path: Path) -> None:
    folder = SCENARIOS / "leap_day"
    reset(warehouse_dsn, folder)
    build(warehouse_dsn, target_path, *scenario_range(folder), BUILD)
    with psycopg.connect(warehouse_dsn) as connection:
        connection.execute("update raw.properties set solar_capacity_kw = 12, updated_at = '2026-06-01Z'")
    for _ in range(2):
        build(warehouse_dsn, target_path, *scenario_range(folder), ("snapshot",))
    rows = fetch(
        warehouse_dsn,
        "select solar_capacity_kw, dbt_valid_to is null as is_current"
        " from snapshots.snap_properties order by is_current",
    )
    assert [(row["solar_capacity_kw"], row["is_current"]) for row in rows] == [
        (Decimal(10), False),
        (Decimal(12), True),
    ]
