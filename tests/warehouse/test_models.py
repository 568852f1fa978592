"""Test the dbt models on PostgreSQL: the scenario folders, and the effect of a rebuild of a range.

All tests share one build of all scenarios, each with its own tenants. A test that changes something works on
a copy of that database.
"""

import csv
import json
import re
import runpy
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from data.landing.entities import LOADED
from data.raw.postgres import PostgresWarehouse
from docs.lineage import Lineage
from expectations.frames import read_warehouse_frame
from expectations.gate import run_gate
from expectations.rules import WarehouseSuite
from expectations.suites import warehouse_suites
from myproperty.dates import Window
from myproperty.personal import PSEUDONYMS
from tests.wide_usage import WIDE_USAGE

from .dbt_project import (
    PROJECT,
    SCENARIOS,
    DbtRun,
    create_raw,
    fetch,
    insert_rows,
    load_scenario,
    own_tenant,
    run_dbt,
)
from .second_routes import forecast_of, random_appraisals, random_property, returns_of

pytestmark = pytest.mark.engine

FOLDERS = {folder.name: folder for folder in sorted(SCENARIOS.iterdir()) if folder.is_dir()}
THEN = sorted(path for folder in FOLDERS.values() for path in (folder / "then").glob("*.csv"))
# Without rows of tenants: the calendar, the hours of a day, the published emission factors, and the runs.
WITHOUT_TENANT = {"dim_date", "dim_hour", "dim_emission_factor", "mart_pipeline_runs"}
DATED = ("run", "--select", "fact_energy_usage+")
REBUILT = {
    "core.fact_energy_usage": ("meter_key", "channel", "reading_ts"),
    "marts.mart_solar_performance": ("tenant_id", "property_id", "reading_date"),
}


@dataclass(frozen=True)
class Built:
    """The database in which all scenarios are built, and the result of dbt."""

    dsn: str
    ran: DbtRun


@pytest.fixture(scope="module")
def target_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for dbt's output, so that a second run parses only changed files."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def built(fresh_database: Callable[[str], AbstractContextManager[str]], target_path: Path) -> Iterator[Built]:
    """Run `dbt build` once for the dates of all scenarios, with snapshots, data tests and unit tests."""
    with fresh_database("warehouse") as dsn:
        create_raw(dsn)
        for folder in FOLDERS.values():
            load_scenario(dsn, folder)
        ranges = [scenario_range(folder) for folder in FOLDERS.values()]
        first, last = min(start for start, _ in ranges), max(end for _, end in ranges)
        yield Built(dsn, run_dbt(dsn, target_path, ("build",), first, last))


@pytest.fixture
def copied(built: Built) -> Iterator[str]:
    """Yield a copy of the built database that a test may change."""
    assert built.ran.success, built.ran.failures
    source = urlsplit(built.dsn)
    name = f"copy_{uuid.uuid4().hex[:8]}"
    admin = source._replace(path="/postgres").geturl()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(source.path.lstrip("/"))
            )
        )
        yield source._replace(path=f"/{name}").geturl()
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def scenario_range(folder: Path) -> tuple[date, date]:
    """Return the half-open range in the line `range: FROM TO` of a scenario's README."""
    found = re.search(r"^range: (\S+) (\S+)$", (folder / "README.md").read_text(), re.MULTILINE)
    assert found, f"{folder}/README.md has no line 'range: FROM TO'"
    return date.fromisoformat(found[1]), date.fromisoformat(found[2])


def run(dsn: str, target_path: Path, words: tuple[str, ...], first: str, last: str) -> DbtRun:
    """Run a dbt command that must succeed, for the days from first to last (both included)."""
    end = date.fromordinal(date.fromisoformat(last).toordinal() + 1)
    ran = run_dbt(dsn, target_path, words, date.fromisoformat(first), end)
    assert ran.success, ran.failures
    return ran


def as_text(value: Any) -> str:
    """Spell a value of a CSV file or of the database in the same way."""
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


def in_order(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(rows, key=lambda row: list(row.values()))


def expected_rows(path: Path) -> list[dict[str, str]]:
    folder = path.parents[1]
    with path.open(newline="") as lines:
        rows = [{name: as_text(value) for name, value in row.items()} for row in csv.DictReader(lines)]
    assert rows, f"{path} has no rows"
    return [row | {"tenant_id": own_tenant(folder, row["tenant_id"])} for row in rows]


def actual_rows(dsn: str, path: Path, columns: list[str]) -> list[dict[str, str]]:
    """Return the rows of the scenario's tenants in a table of `then`; of dated tables, on its dates."""
    folder, table = path.parents[1], path.stem
    schema = {"mart": "marts", "int": "staging"}.get(table.split("_")[0], "core")
    query = sql.SQL("select {} from {} as t where starts_with(tenant_id, {})").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(WIDE_USAGE) if table == "fact_energy_usage" else sql.Identifier(schema, table),
        sql.Literal(own_tenant(folder, "")),
    )
    if "reading_date" in columns:
        days = map(sql.Literal, scenario_range(folder))
        query += sql.SQL(" and reading_date >= {} and reading_date < {}").format(*days)
    return [{name: as_text(value) for name, value in row.items()} for row in fetch(dsn, query)]


@pytest.mark.parametrize("path", THEN, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_a_scenario_gives_its_expected_rows(path: Path, built: Built) -> None:
    expected = expected_rows(path)
    assert in_order(actual_rows(built.dsn, path, list(expected[0]))) == in_order(expected)


def test_every_dimension_fact_and_mart_is_in_a_scenario() -> None:
    models = {path.stem for path in (PROJECT / "models").rglob("*.sql")}
    judged = {name for name in models if name.split("_")[0] in ("dim", "bridge", "fact", "mart")}
    missing = judged - {path.stem for path in THEN} - WITHOUT_TENANT
    assert not missing, f"write tests/warehouse/scenarios/*/then/<name>.csv for {sorted(missing)}"
    assert judged - {path.stem for path in THEN} >= WITHOUT_TENANT
    assert {path.parents[1].name for path in THEN} == set(FOLDERS), "a folder without expected rows"


def test_all_data_tests_and_unit_tests_ran_and_pass(built: Built, target_path: Path) -> None:
    """The raw rows are sound; gaps in readings are a part of them."""
    assert built.ran.success, built.ran.failures
    manifest = json.loads((target_path / "manifest.json").read_text())
    tests = {name for name, node in manifest["nodes"].items() if node["resource_type"] == "test"}
    passed = {name for name, status in built.ran.statuses.items() if status == "pass"}
    assert tests and manifest["unit_tests"]
    assert (tests | set(manifest["unit_tests"])) - passed == set()


def whole(dsn: str, where: str = "true") -> dict[str, list[dict[str, Any]]]:
    return {
        relation: fetch(dsn, sql.SQL(f"select * from {relation} where {where} order by {', '.join(key)}"))
        for relation, key in REBUILT.items()
    }


def test_days_built_one_by_one_twice_and_in_reverse_equal_one_run_over_the_range(
    built: Built, copied: str, target_path: Path
) -> None:
    with psycopg.connect(copied) as connection:
        connection.execute(
            "drop table core.fact_energy_usage, staging.candidate_solar_performance,"
            " marts.mart_solar_performance cascade"
        )
    run(copied, target_path, DATED, "2026-07-02", "2026-07-02")
    for relation, rows in whole(copied).items():
        days = {str(row["reading_date"]) for row in rows}
        assert days == {"2026-07-02"}, f"{relation}: the first run must keep to its range too"
    run(copied, target_path, DATED, "2026-07-01", "2026-07-01")
    run(copied, target_path, DATED, "2026-07-02", "2026-07-03")
    assert whole(copied) == whole(built.dsn, "reading_date between '2026-07-01' and '2026-07-03'")


def test_a_rebuild_changes_only_its_day(built: Built, copied: str, target_path: Path) -> None:
    with psycopg.connect(copied) as connection:
        connection.execute("delete from raw.meter_readings where reading_date = '2026-07-02'")
        connection.execute("delete from raw.meter_registers")
        connection.execute("update raw.meter_readings set value_kwh = 99 where channel = 'generation'")
    run(copied, target_path, DATED, "2026-07-02", "2026-07-02")
    kept = whole(built.dsn, "reading_date <> '2026-07-02'")
    assert all(kept.values())
    assert whole(copied) == kept, "the emptied day has no rows and the others are unchanged"


def test_a_planted_fault_fails_its_data_test(copied: str, target_path: Path) -> None:
    days = date(2026, 7, 1), date(2026, 7, 5)
    with psycopg.connect(copied) as connection:
        connection.execute(
            "update raw.meter_readings set reading_date = '2026-07-01' where tenant_id = 'vacancy/acme'"
        )
        connection.execute("delete from core.dim_tenant where tenant_id = 'silent_meter/acme'")
    chosen = ("--select", "fact_energy_usage", "--exclude-resource-type", "unit_test")
    ran = run_dbt(copied, target_path, ("build", *chosen), *days)
    assert "fact_energy_usage__keys_and_values_hold" in ran.failures
    with psycopg.connect(copied) as connection:
        connection.execute(
            "update raw.meter_assignments set unit_id = 'nowhere' where tenant_id = 'silent_meter/acme'"
        )
    ran = run_dbt(copied, target_path, ("run", "--select", "fact_energy_usage"), *days)
    assert 'null value in column "unit_key"' in ran.failures["fact_energy_usage"]


def test_gate_d_finds_an_interval_that_is_there_twice(copied: str) -> None:
    """No test of dbt asks for the grain of the fact: this is the rule that does."""
    day = Window(date(2026, 7, 2), date(2026, 7, 3))
    with psycopg.connect(copied) as connection:
        connection.execute(
            "insert into core.fact_energy_usage select * from core.fact_energy_usage"
            " where reading_date = '2026-07-02' and value_kwh > 0 limit 1"
        )
    (suite,) = (each for each in warehouse_suites() if each.table == "fact_energy_usage")
    with closing(PostgresWarehouse(copied)) as warehouse:
        verdict = run_gate(suite, read_warehouse_frame(suite, warehouse, day))
    assert {broken["rule"] for broken in verdict.failed} == {"D-FACT-002", "D-FACT-003", "D-FACT-004"}


def test_each_rule_of_a_row_of_the_fact_is_tested(copied: str, target_path: Path) -> None:
    """The rows of as many meters break one each."""
    faults = [
        *(f"{key} = -7" for key in ("property_key", "unit_key", "meter_key", "rate_plan_key")),
        *(f"{key} = -7" for key in ("rate_plan_band_key", "tenancy_key", "emission_factor_key")),
        "tenant_id = 'nobody'",
        "channel = 'water'",
        "quality = 'good'",
        "local_ts = local_ts - interval '1 day'",
        *(f"{value} = -1" for value in ("value_kwh", "held_kwh", "cost_amount", "feed_in_amount")),
    ]
    with psycopg.connect(copied) as connection:
        rows = connection.execute(
            "select distinct on (tenant_id, meter_key) ctid from core.fact_energy_usage"
            " where reading_date = '2026-07-02' limit %s",
            [len(faults)],
        )
        for (place,), fault in zip(rows.fetchall(), faults, strict=True):
            connection.execute(f"update core.fact_energy_usage set {fault} where ctid = %s", [place])
    chosen = ("test", "--select", "fact_energy_usage__keys_and_values_hold")
    ran = run_dbt(copied, target_path, chosen, date(2026, 7, 2), date(2026, 7, 3))
    assert ran.failures == {chosen[-1]: f"Got {len(faults)} results, configured to fail if != 0"}


def near(found: Decimal | None, expected: float | None, tolerance: float) -> bool:
    """Say whether both are None or differ by at most the tolerance."""
    if found is None or expected is None:
        return found is None and expected is None
    return abs(float(found) - expected) <= tolerance


def test_returns_equal_those_of_numpy_financial(copied: str, target_path: Path) -> None:
    """To half of the last decimal place: a cent, a millionth of a percent, a ten-thousandth of a year."""
    appraisals = random_appraisals(400, seed=7)
    with psycopg.connect(copied) as connection:
        insert_rows(connection, "solar_appraisals", appraisals)
    chosen = ("run", "--select", "int_roi__assumptions", "int_roi__years", "candidate_roi_summary")
    run(copied, target_path, chosen, "2026-07-01", "2026-07-01")
    query = "select * from staging.candidate_roi_summary where tenant_id = 'random/acme'"
    found = {row["appraisal_id"]: row for row in fetch(copied, sql.SQL(query))}
    with_return = with_later_cost = 0
    for appraisal in appraisals:
        row, expected = found[appraisal["id"]], returns_of(appraisal)
        with_return += expected.irr_pct is not None
        flows = [flow >= 0 for flow in forecast_of(appraisal).cash]
        with_later_cost += expected.irr_pct is not None and False in flows[flows.index(True) :]
        assert near(row["npv_amount"], expected.npv, 0.0051), appraisal
        assert near(row["irr_pct"], expected.irr_pct, 0.6e-6), appraisal
        assert near(row["payback_years"], expected.payback_years, 0.51e-4), appraisal
        assert near(row["discounted_payback_years"], expected.discounted_payback_years, 0.51e-4), appraisal
        assert near(row["lcoe_per_kwh"], expected.lcoe, 0.51e-6), appraisal
    assert 100 < with_return < 400, "appraisals with and without a rate of return"
    assert with_later_cost > 5, "a rate although a later year costs more than it brings"


def test_allocation_equals_the_code_that_bills(copied: str, target_path: Path) -> None:
    """To a billionth of a kWh, by all three methods, with a vacant flat, and with products beyond 64 bits."""
    expected: dict[tuple[Any, ...], Decimal] = {}
    with psycopg.connect(copied) as connection:
        for seed, participants, most_kwh in ((1, 3, 4), (2, 5, 4), (3, 12, 4), (4, 5, 10**6)):
            shared = random_property(seed, participants, intervals=24, most_kwh=most_kwh)
            for table, rows in shared.tables.items():
                insert_rows(connection, table, rows)
            expected |= {(f"random-{seed}/acme", *key): kwh for key, kwh in shared.solar_kwh.items()}
    no_tests = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    words = ("build", "--select", "+int_allocation__intervals", *no_tests)
    run(copied, target_path, words, "2026-07-01", "2026-07-03")
    query = (
        "select tenant_id, participant_id, interval_started_at, solar_kwh, is_left_over"
        " from staging.int_allocation__intervals where tenant_id like 'random-%'"
    )
    found = fetch(copied, sql.SQL(query))
    assert not any(row["is_left_over"] for row in found), "the rounds of the hybrid method are too few"
    key = "tenant_id", "participant_id", "interval_started_at"
    assert {tuple(row[name] for name in key): row["solar_kwh"] for row in found} == expected


@pytest.mark.parametrize("relation", ["core.dim_meter", "core.fact_energy_usage"])
def test_a_new_table_has_statistics_for_the_models_after_it(built: Built, relation: str) -> None:
    """The server itself counts tables of this size neither at once nor later."""
    query = "select count(*) as columns from pg_stats where schemaname || '.' || tablename = {}"
    assert fetch(built.dsn, sql.SQL(query).format(relation))[0]["columns"] > 0


def test_a_run_is_slow_against_the_runs_like_it(built: Built) -> None:
    """By hand, from `usual_days`: the medians of 60, 62, 300; then with 94; then with 93."""
    runs = fetch(built.dsn, sql.SQL("select * from marts.mart_pipeline_runs where job = 'nightly'"))
    columns = ("like_runs", "usual_seconds", "run_seconds_deviation_pct", "is_slow")
    found = {row["run_id"]: tuple(row[column] for column in columns) for row in runs}
    assert found == {
        "n1": (0, None, None, False),
        "n2": (1, None, None, False),
        "n3": (0, None, None, False),  # failed: neither compared nor a measure for others
        "n4": (2, None, None, False),
        "n5": (0, None, None, False),  # five dates
        "n6": (3, 62, Decimal("51.6129"), True),
        "n7": (4, 62, 50, False),
        "n8": (5, 93, Decimal("115.0538"), True),
    }


def test_a_run_without_a_range_is_refused(copied: str, target_path: Path) -> None:
    ran = run_dbt(copied, target_path, ("run", "--select", "mart_solar_performance"), None, None)
    assert not ran.success
    assert "The var 'start_date' is missing" in ran.failures["mart_solar_performance"]


@pytest.mark.parametrize("suite", warehouse_suites(), ids=lambda suite: suite.table)
def test_gate_d_has_a_verdict_on_a_date_on_which_nobody_sent_anything(
    built: Built, suite: WarehouseSuite
) -> None:
    silent = Window(date(2031, 5, 1), date(2031, 5, 2))
    verdict = run_gate(suite, read_warehouse_frame(suite, PostgresWarehouse(built.dsn), silent))
    assert not [broken for broken in verdict.failed if "could not be evaluated" in broken["observed"]]
    assert verdict.rows == 0 or not suite.is_dated


def test_a_seed_with_a_new_column_is_loaded_into_an_existing_warehouse(
    copied: str, target_path: Path
) -> None:
    with psycopg.connect(copied) as connection:
        connection.execute("alter table core.emission_factors drop column gases")
    run(copied, target_path, ("seed", "--select", "emission_factors"), "2026-07-01", "2026-07-01")
    found = fetch(copied, sql.SQL("select distinct gases from core.emission_factors"))
    assert {row["gases"] for row in found} == {"CO2", "CO2e"}


def test_the_snapshot_keeps_past_states_of_a_property(copied: str, target_path: Path) -> None:
    with psycopg.connect(copied) as connection:
        connection.execute(
            "update raw.properties set solar_capacity_kw = 12, updated_at = '2026-06-01Z'"
            " where tenant_id = 'leap_day/acme'"
        )
    for _ in range(2):
        run(copied, target_path, ("snapshot",), "2026-07-01", "2026-07-01")
    rows = fetch(
        copied,
        sql.SQL(
            "select solar_capacity_kw, dbt_valid_to is null as is_current"
            " from snapshots.snap_properties where tenant_id = 'leap_day/acme' order by is_current"
        ),
    )
    assert [(row["solar_capacity_kw"], row["is_current"]) for row in rows] == [
        (Decimal(10), False),
        (Decimal(12), True),
    ]


def test_a_source_without_recent_landing_is_stale(copied: str, target_path: Path) -> None:
    expected = {}
    with psycopg.connect(copied) as connection:
        for table in LOADED:
            age = {"meters": "40 hours", "meter_readings": "80 hours"}.get(table, "1 hour")
            update = sql.SQL("update raw.{} set landed_at = now() - {}::interval")
            updated = connection.execute(update.format(sql.Identifier(table), sql.Literal(age)))
            # The last landing of a table without rows is unknown.
            expected[table] = "pass" if updated.rowcount else "error"
    ran = run_dbt(copied, target_path, ("source", "freshness"), date(2026, 7, 1), date(2026, 7, 5))
    found = {name.rsplit(".", 1)[1]: status for name, status in ran.statuses.items()}
    assert expected["tenants"] == "pass"
    assert found == expected | {"meters": "warn", "meter_readings": "error"}


def test_a_changed_model_is_built_beside_what_is_published(built: Built, tmp_path: Path) -> None:
    """Slim CI builds only what differs from the published manifest, and reads the published tables."""
    state = tmp_path / "published"
    assert run_dbt(built.dsn, state, ("parse",), None, None).success
    project = tmp_path / "warehouse"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    changed = project / "models" / "dimensions" / "bridge_unit_tenancy.sql"
    text = changed.read_text()
    changed.write_text(text.replace("tenancies.user_id,", "upper(tenancies.user_id) as user_id,"))
    assert changed.read_text() != text
    words = ("run", "--select", "state:modified", "--defer", "--state", str(state))
    # The dates differ from the published ones: another range is not a change.
    first, last = date(2026, 1, 1), date(2026, 1, 2)
    ran = run_dbt(built.dsn, tmp_path / "target", words, first, last, project=project, prefix="slim_")
    assert ran.success, ran.failures
    assert list(ran.statuses) == ["model.myproperty.bridge_unit_tenancy"]
    with psycopg.connect(built.dsn) as connection:
        made = connection.execute(
            "select table_schema, table_name from information_schema.tables where table_schema like 'slim%'"
        ).fetchall()
        assert made == [("slim_core", "bridge_unit_tenancy")]
        differing = connection.execute(
            "select count(*), count(*) filter (where n.user_id <> upper(o.user_id)) "
            "from slim_core.bridge_unit_tenancy as n join core.bridge_unit_tenancy as o using (tenancy_key)"
        ).fetchone()
        connection.execute("drop schema slim_core cascade")
    assert differing is not None and differing[0] > 1 and differing[1] == 0


@pytest.fixture(scope="module")
def compiled(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder into which dbt compiled the models."""
    target = tmp_path_factory.mktemp("compiled")
    words = ("compile", "--no-introspect", "--no-populate-cache")
    assert run_dbt(built.dsn, target, words, date(2026, 1, 1), date(2026, 1, 2)).success
    return target


def test_an_id_of_a_person_has_its_tag_in_every_model_and_no_other_personal_column_exists(
    compiled: Path,
) -> None:
    """The columns of raw are those of the entities: tests/oltp/test_personal.py finds no personal field."""
    found = Lineage(compiled)
    raw = {f"{name}.{column}" for name, entity in LOADED.items() for column in entity.schema.names}
    seeds = {name for name, node in found.models.items() if node["resource_type"] == "seed"}
    ids, tagged = set(), set()
    for name, node in found.models.items():
        if node["resource_type"] == "seed":
            continue
        for column, sources in found.sources(name).items():
            assert {s for s in sources if s.split(".")[0] not in seeds} <= raw, f"{name}.{column}"
            if column.endswith(("_id", "_by", "_key")) and PSEUDONYMS & set(sources):
                ids.add(f"{name}.{column}")
        tagged |= {f"{name}.{c['name']}" for c in node["columns"].values() if c["meta"].get("personal")}
    assert len(ids) > 40
    assert ids == tagged


def test_the_page_of_lineage_is_up_to_date(compiled: Path) -> None:
    found = Lineage(compiled)
    energy = found.sources("energy_daily_v1")
    # A meter that is held back has no cost, nor has an export.
    assert energy["cost_amount"] == [
        "meter_readings.channel",
        "meter_readings.value_kwh",
        "rate_plan_bands.unit_amount",
        "reading_issues.status",
    ]
    assert energy["tenant_name"] == ["tenants.name"]
    carbon = found.sources("carbon_savings_v1")
    assert {"emission_factors.kg_co2e_per_kwh", "meter_readings.value_kwh"} <= set(
        carbon["avoided_location_kg"]
    )
    assert carbon["emission_region"] == ["emission_factor_regions.region"]
    assert found.sources("roi_summary_v1")["irr_pct"]
    generate = runpy.run_path(str(PROJECT.parents[1] / "docs" / "generate.py"))
    page = PROJECT.parents[1] / "docs" / "lineage.md"
    assert page.read_text() == generate["lineage_page"](compiled), "run `make docs`"
