"""Leg 2: Google's reference implementation and PostgreSQL give the same rows from the same raw rows."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Protocol

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row
from sqlglot import exp, parse_one

from data.warehouse.metrics import Metrics, Question
from tests.analyst_questions import questions
from tests.warehouse.dbt_project import SCENARIOS, run_dbt, scenario_rows

from . import reference, scenario
from .compile import PROJECT, Build
from .conftest import NO_TESTS, WAREHOUSE, Stages
from .engine import Row
from .in_memory import InMemoryBigQuery, Stored
from .raw import raw_tables
from .scenario_row import FIRST_DAY, LAST_DAY

pytestmark = pytest.mark.engine
# Views hold no rows of their own: staging reads raw, and bi reads the tables that are compared.
VIEWS = {"staging", "bi"}


def stored_tables() -> set[str]:
    """Names of the seeds, snapshots and models that dbt stores, as the project's files name them.

    Snapshots can be compared: their strategy stamps a row with the time of its source, not of the run.
    """
    models = {path.stem for path in WAREHOUSE.glob("models/*/*.sql") if path.parent.name not in VIEWS}
    seeds = {path.stem for path in WAREHOUSE.glob("seeds/*.csv")}
    return models | seeds | {path.stem for path in WAREHOUSE.glob("snapshots/snap_*.yml")}


class DatabaseMaker(Protocol):
    """The fixture of the test session that makes a database on its PostgreSQL."""

    def __call__(self, name: str) -> AbstractContextManager[str]: ...


@dataclass(frozen=True)
class Compared:
    """The rows of both engines by table, after the first run and after the revision; and both at the end."""

    google: list[dict[str, list[Row]]]
    postgres: list[dict[str, list[Row]]]
    tables: list[Stored]
    dsn: str
    metrics: dict[str, Metrics]


def _tables(tables: list[Stored]) -> dict[str, Stored]:
    return {t.relation.path[2]: t for t in tables if t.relation.path[1] != "raw" and t.query is None}


@pytest.fixture(scope="module")
def compared(
    stages: Stages, fresh_database: DatabaseMaker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Compared]:
    """What Google's engine made in each stage, and PostgreSQL's rows after the same stages."""
    work = tmp_path_factory.mktemp("leg2")
    google: list[dict[str, list[Row]]] = []
    postgres: list[dict[str, list[Row]]] = []
    with fresh_database("warehouse_leg2") as dsn:
        for made, revised, variables in (
            (_tables(stages.first.tables), False, scenario.VARIABLES),
            (_tables(stages.revised.tables), True, scenario.REVISED_VARIABLES),
        ):
            reference.load_raw(dsn, raw_tables(scenario.rows(revised)))
            dates = (date.fromisoformat(variables[bound]) for bound in ("start_date", "end_date"))
            ran = run_dbt(dsn, work, ("build", *NO_TESTS), *dates, left_out=variables.get("left_out", ()))
            assert ran.success, ran.failures
            google.append({name: t.rows for name, t in made.items()})
            postgres.append(
                {
                    name: reference.postgres_rows(
                        dsn, (t.relation.path[1], name), [c.name for c in t.relation.columns]
                    )
                    for name, t in made.items()
                }
            )
        (work / "of_google.json").write_text(stages.revised.semantic_manifest)
        metrics = {
            "postgres": Metrics(work / "semantic_manifest.json", "postgres"),
            "bigquery": Metrics(work / "of_google.json", "bigquery"),
        }
        yield Compared(google, postgres, stages.revised.tables, dsn, metrics)


@pytest.mark.parametrize("stage", [0, 1], ids=["first", "revised"])
@pytest.mark.parametrize("table", sorted(stored_tables()))
def test_both_engines_give_the_same_rows(compared: Compared, stage: int, table: str) -> None:
    found = reference.differences(compared.google[stage][table], compared.postgres[stage][table])
    assert compared.google[stage][table], f"{table} has no rows to compare"
    assert not found, f"{table}:\n" + "\n".join(found[:40])


# The dates of the page are those of the demo; the scenario has its own.
SCENARIO_DATES = (("2025-10-21", "2026-10-03"), ("2025-11-04", "2026-10-05"), ("2025-11-30", "2026-10-06"))


@pytest.mark.parametrize("number", questions())
def test_an_analysts_question_has_one_answer_on_both_engines(compared: Compared, number: int) -> None:
    """As numbers, to nine places: BigQuery divides integers to floats, PostgreSQL sums them to decimals."""
    sql = questions()[number]
    for of_the_demo, of_the_scenario in SCENARIO_DATES:
        sql = sql.replace(of_the_demo, of_the_scenario)
    google = InMemoryBigQuery(PROJECT, compared.tables)
    quoted = re.sub(r"\bbi\.(\w+)", rf"`{PROJECT}`.`bi`.`\1`", sql)
    with psycopg.connect(compared.dsn, options="-c timezone=UTC") as connection:
        postgres = connection.execute(sql.encode()).fetchall()
    assert postgres, "the scenario has nothing to answer with"
    answers = [
        [tuple(_to_nine_places(v) for v in row) for row in rows]
        for rows in (google.select(quoted)[1], postgres)
    ]
    assert not reference.differences(*answers)


SEMANTIC = {
    model["name"]: model
    for path in (WAREHOUSE / "models" / "semantic").glob("*.yml")
    for model in yaml.safe_load(path.read_text()).get("semantic_models", [])
}


def questions_of_metrics(model: str) -> list[Question]:
    """All metrics of a model by each of its dimensions, by parts of the time, in a range, and in all.

    Amounts are asked by currency as well.
    """
    described = SEMANTIC[model]
    measures = {measure["name"] for measure in described["measures"]}
    texts = yaml.safe_load((WAREHOUSE / "models" / "semantic" / "_metrics.yml").read_text())["metrics"]
    simple = {m["name"]: m["type_params"]["measure"] for m in texts if m["type"] == "simple"}
    own = [name for name, measure in simple.items() if measure in measures]
    inputs = {m["name"]: m["type_params"]["numerator"] for m in texts if m["type"] == "ratio"}
    own += [name for name, numerator in inputs.items() if numerator in own]
    names = [f"{described['primary_entity']}__{each['name']}" for each in described["dimensions"]]
    money = [name for name in names if name.endswith("__currency")]
    groups = [[name, *money] for name in names if name not in money] + [money]
    groups += [[f"metric_time__{part}", *money] for part in ("day", "month", "quarter", "year")]
    asked = [Question(own, group) for group in groups]
    asked += [Question([name], money) for name in own]
    return [*asked, Question(own, ["metric_time", *money], first=FIRST_DAY, last=LAST_DAY)]


@pytest.mark.parametrize("model", sorted(SEMANTIC))
def test_metrics_by_each_dimension_are_the_same_on_both_engines(compared: Compared, model: str) -> None:
    engine = InMemoryBigQuery(PROJECT, compared.tables)
    asked = questions_of_metrics(model)
    assert len(asked) > 8 and all(question.metrics for question in asked)
    has_rows = False
    for question in asked:
        sql = compared.metrics["bigquery"].write_sql(question)
        # Nothing but public views is read, and none of them needs a filter (leg 4).
        read = [table for table in parse_one(sql, dialect="bigquery").find_all(exp.Table) if table.db]
        assert read and {(table.catalog, table.db) for table in read} == {("local", "bi")}, sql
        columns, rows = engine.select(sql)
        names = [column.name for column in columns]
        with psycopg.connect(compared.dsn, options="-c timezone=UTC", row_factory=dict_row) as connection:
            postgres = connection.execute(
                compared.metrics["postgres"].write_sql(question).encode()
            ).fetchall()
        answers = [
            [tuple(_comparable(value) for value in row) for row in rows],
            [tuple(_comparable(row[name]) for name in names) for row in postgres],
        ]
        found = reference.differences(*answers)
        assert not found, f"{question}\n{sql}\n" + "\n".join(found[:20])
        has_rows |= any(value is not None for row in rows for value in row)
    assert has_rows or model in {"data_quality", "pipeline_runs"}, "nothing was compared"


def test_every_metric_is_asked(compared: Compared) -> None:
    asked = {
        name for model in SEMANTIC for question in questions_of_metrics(model) for name in question.metrics
    }
    assert asked == {row["metric"] for row in compared.metrics["bigquery"].list_metrics()}


def _comparable(value: Any) -> Any:
    """One form of both: a truncated date is a DATETIME on BigQuery, an instant on PostgreSQL."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return datetime.combine(value, time()) if isinstance(value, date) else _to_nine_places(value)


def _to_nine_places(value: Any) -> Any:
    return round(Decimal(str(value)), 9) if isinstance(value, int | float | Decimal) else value


def test_a_reader_sees_its_tenants_alone_on_googles_engine(compared: Compared) -> None:
    """PostgreSQL: `tests/end_to_end/test_readers.py`, by the logins themselves."""
    readers = next(t for t in compared.tables if t.relation.path[2] == "tenant_readers")
    tenants = {row[0] for row in _tables(compared.tables)["mart_energy_daily"].rows}
    own = sorted(tenants)[0]
    given = replace(readers, rows=[*readers.rows, ("a_reader", own), ("anna@example.com", own)])
    tables = [t for t in compared.tables if t is not readers] + [given]
    views = [t for t in compared.tables if t.relation.path[1] == "bi"]
    assert len(tenants) > 1 and len(views) > 10
    seen: dict[str, dict[str, set[str]]] = {}
    for asking in ("myproperty_dbt", "a_reader", "anna@example.com", "myproperty_dbt@example.com"):
        engine = InMemoryBigQuery(PROJECT, tables, asking)
        for each in views:
            column = "tenant_id" if "tenant_id" in {c.name for c in each.relation.columns} else "'of none'"
            rows = engine.select(f"select distinct {column} from {each.relation.quoted}")[1]
            seen.setdefault(asking, {})[each.relation.path[2]] = {row[0] for row in rows}
    assert seen["myproperty_dbt"]["energy_daily_v1"] == tenants
    assert set().union(*seen["myproperty_dbt@example.com"].values()) == set(), "an account of elsewhere"
    for asking in ("a_reader", "anna@example.com"):
        for view, found in seen["myproperty_dbt"].items():
            assert seen[asking][view] == found & {own}, view


def test_every_table_of_the_project_is_compared(compared: Compared) -> None:
    assert set(compared.google[0]) == stored_tables()


def test_the_revision_changed_the_second_day_and_kept_the_first(compared: Compared) -> None:
    before, after = (set(compared.google[stage]["fact_energy_usage"]) for stage in (0, 1))
    names = [column.name for column in _tables(compared.tables)["fact_energy_usage"].relation.columns]
    days = {row[names.index("reading_date")] for row in before ^ after}
    assert days == {LAST_DAY}
    assert len(compared.google[1]["snap_properties"]) == len(compared.google[0]["snap_properties"]) + 1


@pytest.mark.parametrize("table", ["mart_energy_daily", "mart_solar_performance", "mart_arrears"])
def test_a_tenant_left_out_of_the_revision_keeps_its_rows_of_the_mart(compared: Compared, table: str) -> None:
    """The equality of both engines is tested above for all tables."""
    names = [column.name for column in _tables(compared.tables)[table].relation.columns]
    tenant = names.index("tenant_id")
    before, after = (
        {row for row in compared.google[stage][table] if row[tenant] == scenario.LEFT_OUT} for stage in (0, 1)
    )
    assert before == after
    facts = [
        {row for row in compared.google[stage]["fact_energy_daily"] if scenario.LEFT_OUT in row}
        for stage in (0, 1)
    ]
    assert facts[0] != facts[1], "the revision changed readings of the tenant"


def test_silent_meters_are_missing_on_both_engines(compared: Compared) -> None:
    """One of two roofs in Sydney on its day of 23 hours; Berlin's only one, from its second day on."""
    for stage in (compared.google[0], compared.postgres[0]):
        days = {(row[1], row[2]): row for row in stage["mart_solar_performance"]}
        sydney = days["p-syd", LAST_DAY]
        assert sydney[3] is None, "generation"
        assert 138 in sydney, "expected intervals: two roofs and export, 46 half-hours each"
        silent = (date.fromisoformat(scenario.VARIABLES["end_date"]) - LAST_DAY).days
        assert sorted(day for house, day in days if house == "p-ber") == [
            LAST_DAY + timedelta(days=number) for number in range(silent)
        ]
        assert 96 in days["p-ber", LAST_DAY], "expected intervals"


def test_every_scenario_and_both_changes_of_clocks_are_compared(compared: Compared) -> None:
    """Each folder with readings has facts but the leap day's; two folders have days of 23 and 25 hours."""
    folders = {path.name: scenario_rows(path) for path in SCENARIOS.iterdir() if path.is_dir()}
    facts = compared.google[0]["fact_energy_usage"]
    with_readings = {name for name, found in folders.items() if found.get("meter_readings")}
    assert {row[0].split("/")[0] for row in facts} >= with_readings - {"leap_day"}
    mart = next(t for t in compared.tables if t.relation.path[2] == "mart_data_completeness")
    names = [column.name for column in mart.relation.columns]
    rows = [dict(zip(names, row, strict=True)) for row in compared.google[0]["mart_data_completeness"]]
    for folder, day, hours in (
        ("summer_time_starts", date(2026, 10, 4), 23),
        ("winter_time_starts", date(2026, 10, 25), 25),
    ):
        intervals = {
            row["expected_intervals"]
            for row in rows
            if row["tenant_id"].startswith(f"{folder}/") and row["reading_date"] == day
        }
        assert intervals and all(number % hours == 0 for number in intervals), (folder, intervals)


def test_a_planted_difference_is_found(compared: Compared) -> None:
    rows = compared.postgres[0]["fact_energy_usage"]
    whole = next(row for row in rows if any(isinstance(v, Decimal) for v in row))
    nearly = tuple(v + Decimal("0.000000001") if isinstance(v, Decimal) else v for v in whole)
    planted = [nearly if row == whole else row for row in rows]
    assert len(reference.differences(rows, planted)) == 2
    assert len(reference.differences(rows, rows[1:])) == 1
    assert len(reference.differences(rows, [*rows, rows[0]])) == 1


def test_a_difference_planted_in_the_dialect_is_found(compared: Compared, planted: Build) -> None:
    """Local time read as UTC on one engine only: the hours differ, and the comparison says so."""
    made = _tables(planted.tables)["fact_energy_usage"]
    place = [column.name for column in made.relation.columns].index("reading_date")
    of_days = [
        row for row in compared.postgres[0]["fact_energy_usage"] if row[place] in (FIRST_DAY, LAST_DAY)
    ]
    assert len(made.rows) == len(of_days) > 0
    assert reference.differences(made.rows, of_days)
