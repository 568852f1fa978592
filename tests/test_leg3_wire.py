"""Leg 3: run the production code of BigQuery on the wire: load jobs, dbt, gates and clients, on the emulator.

A small company's files go the whole way once with the emulator and once with PostgreSQL as the warehouse.
The emulator does not decide what SQL means. That the two agree is worth something because the other legs
hold PostgreSQL to the scenarios, and GoogleSQL's own engine to PostgreSQL.

dbt's tests of data: leg 1 has each of them analyzed and run by Google's engine, and each passes on PostgreSQL
end to end. So the emulator runs one test of each kind, and each singular test. The gates run on the emulator;
PostgreSQL, whose rows must be equal, runs neither tests nor gates here.

The second run repeats the landing and load of one table of each kind, every model of reading dates, every
snapshot, and one model of each kind that dbt replaces as a whole. All tables of a kind are loaded by the same
code. The other models of these kinds do not read their own rows: the second run shows that dated models and
snapshots are equal, and PostgreSQL computes each of them a second time, later, with equal rows.
"""

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pyarrow as pa
import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from commands.databases import prepare_databases
from dagster_project import runner
from dagster_project.build import build_defs
from dagster_project.defs.warehouse.jobs import pipeline
from dagster_project.defs.warehouse.translator import asset_key
from dagster_project.instance import open_instance
from dagster_project.partitions import run_tags
from dagster_project.resources.platform import Platform
from data.demo import DemoScope, apply_company, generate_files
from data.demo.billing import apply_billing
from data.ingest.errors import QueryRefused
from data.landing.entities import ENTITIES, RECORDS
from data.landing.quality import count_days, count_runs
from data.landing.read import LandedRows, fingerprint_landing
from data.raw.bigquery import BigQueryWarehouse, open_bigquery
from data.raw.transfer import transfer
from data.raw.warehouse import open_warehouse
from data.warehouse import project as dbt_calls
from data.warehouse.readers import list_own_logins, list_readers, list_views
from myproperty import engines
from myproperty.dates import Window
from myproperty.engines import EngineError
from myproperty.engines.emulator import installation
from myproperty.engines.emulator.client import bigquery_client
from myproperty.settings import Settings
from tests.engine_support import emulator_venv, temporary_home
from tests.googlesql.sent import find_refusals, list_statements

pytestmark = [pytest.mark.emulator, pytest.mark.engine, pytest.mark.slow(minutes=5.5)]

READINGS = ENTITIES["meter_readings"]
FACT = "core.fact_energy_usage"
# In a snapshot: the hash of an instant as each engine writes it, and when the run copied the row.
OF_ENGINE_AND_RUN = {"dbt_scd_id", "landed_at"}
STORED = {"table", "incremental", "seed", "snapshot"}
# dbt replaces these as a whole in every run; seeds by `+full_refresh`.
REPLACED = {"table", "view", "seed"}
READS_ITSELF = re.compile(r"\{\{\s*this\b|\bis_incremental\(")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
# By reading date, the rows landed since the last load, and whole.
LOADED_AGAIN = ("meter_readings", "invoices", "meters")
LOCAL_ENERGY = ("import", "export", "generation", "consumption")
# Nobody reads dbt's log of each event.
WITHOUT_TESTS = ["--exclude-resource-type", "test", "--log-level-file", "none"]
# tests/dagster/test_definitions.py holds that every candidate has a suite in this folder.
GATE_D_SUITES = Path(__file__).parents[1] / "expectations" / "suites" / "warehouse"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Wire:
    """The company in the emulator: `dates` have been rebuilt and published, `reports` say how."""

    settings: Settings
    plan: DemoScope
    dates: Window
    reports: list[runner.RunReport]

    @property
    def client(self) -> bigquery.Client:
        """A client of one's own."""
        endpoint = engines.status(self.settings).warehouse["endpoint"]
        return bigquery_client(endpoint, self.settings.bigquery_project, self.settings.bigquery_location)


@pytest.fixture(scope="module")
def wire(parsed_home: Path) -> Iterator[Wire]:
    try:
        installation.find_python()
    except EngineError as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patch, temporary_home() as home:
        patch.setenv("MYPROPERTY_EMULATOR_VENV", str(emulator_venv()))
        settings = Settings(
            home=home, warehouse="emulator", oltp_dsn=None, warehouse_dsn=None, bigquery_endpoint=None
        )
        shutil.copytree(parsed_home / "dbt_target", home / "dbt_target")
        engines.up(settings)
        dsn = engines.dsn(settings)
        prepare_databases(settings)
        apply_company(dsn, "small")
        plan = generate_files(Path(settings.inbox), "small", 5)
        runner.ingest_inbox(settings)
        runner.validate_due(settings)
        assert apply_billing(dsn, since=plan.start) > 0
        pending = runner.pending_dates(settings)
        with builds_without_tests():
            reports = runner.run_pending(settings)
        yield Wire(settings, plan, Window(pending[0], pending[-1] + timedelta(days=1)), reports)


@contextmanager
def builds_without_tests() -> Iterator[None]:
    """Have the pipeline's `dbt build` leave out dbt's tests of data."""
    stock = dbt_calls.arguments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbt_calls, "arguments", lambda *given: [*stock(*given), *WITHOUT_TESTS])
        yield


@pytest.fixture(scope="module")
def first_state(wire: Wire) -> dict[str, Any]:
    """What the first run wrote; read once for the tests that compare with it."""
    return state(wire)


def nodes(settings: Settings) -> list[dict[str, Any]]:
    """The nodes of the pipeline, without those of the job `quality`."""
    found = json.loads(dbt_calls.manifest(settings).read_text())["nodes"].values()
    return [node for node in found if "quality" not in node["tags"]]


def tables(settings: Settings) -> dict[str, bool]:
    """Everything that dbt stores, seeds and snapshots too: whether it is partitioned by date."""
    stored = [node for node in nodes(settings) if node["config"].get("materialized") in STORED]
    return {table_name(node): node["config"].get("partition_by") is not None for node in stored}


def table_name(node: dict[str, Any]) -> str:
    return f"{node['schema']}.{node['alias']}"


def rows(settings: Settings, table: str, dates: Window | None) -> Rows:
    """The rows of a table (of a dated one, on the dates), in an order that is the same on both engines."""
    warehouse = open_warehouse(settings)
    where = f"where reading_date between '{dates.start}' and '{dates.dates[-1]}'" if dates else ""
    try:
        found = plain(warehouse.query(f"select * from {table} {where}"))
    finally:
        warehouse.close()
    return sorted(found, key=lambda row: [repr(row[name]) for name in sorted(row.keys() - OF_ENGINE_AND_RUN)])


def plain(found: pa.Table) -> Rows:
    """Rows of Python values: a decimal equals another of the same number, whatever its scale."""
    return [
        {
            name: value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value
            for name, value in row.items()
        }
        for row in found.to_pylist()
    ]


def state(wire: Wire) -> dict[str, Any]:
    """Everything that a run writes, but for the instants of copying and building."""
    return {"raw": raw_fingerprints(wire), "built": all_rows(wire.settings, wire.dates)}


def raw_fingerprints(wire: Wire) -> dict[str, Any]:
    warehouse = open_bigquery(wire.settings)
    try:
        return {
            name: warehouse.fingerprint(
                entity, *(wire.dates.bounds if entity.partition_column else ())
            ).to_dict("records")
            for name, entity in ENTITIES.items()
        }
    finally:
        warehouse.close()


def all_rows(settings: Settings, dates: Window) -> dict[str, Rows]:
    return {
        table: rows(settings, table, dates if dated else None) for table, dated in tables(settings).items()
    }


def test_load_jobs_dbt_and_every_gate_pass(wire: Wire) -> None:
    assert [report.error for report in wire.reports] == [None]
    passed = {(verdict.gate, verdict.table) for verdict in wire.reports[0].verdicts if verdict.passed}
    assert passed == {
        ("A", "meter_readings"),
        *((gate, entity) for gate in "BC" for entity in ENTITIES),
        *(("D", path.stem) for path in GATE_D_SUITES.glob("[a-z]*.py")),
    }
    assert runner.pending_dates(wire.settings) == []


def test_energy_is_that_of_the_files(wire: Wire, first_state: dict[str, Any]) -> None:
    meters = {row["meter_key"]: row["meter_id"] for row in first_state["built"]["core.dim_meter"]}
    energy: dict[tuple[str, str, date], Decimal] = {}
    for row in first_state["built"][FACT]:
        if row["quality_method"] != "17":  # estimated by validation: no file has sent it
            key = (meters[row["meter_key"]], row["channel"], row["reading_date"])
            energy[key] = energy.get(key, Decimal(0)) + row["value_kwh"]
    expected = wire.plan.expected[wire.plan.expected["channel"].isin(LOCAL_ENERGY)]
    assert energy == {
        (str(row["meter_id"]), row["channel"], row["reading_date"]): row["energy_kwh"]
        for row in expected.to_dict("records")
    }


def test_each_kind_of_dbt_test_passes(wire: Wire) -> None:
    kinds: dict[str, str] = {}
    for node in nodes(wire.settings):
        if node["resource_type"] == "test":
            kinds.setdefault((node.get("test_metadata") or {}).get("name", node["name"]), node["name"])
    assert {"unique", "not_null", "unique_combination", "relationships_within_tenant"} < set(kinds)
    ran = run_dbt(wire.settings, "test", wire.dates, *kinds.values())
    assert {result["status"] for result in ran} == {"pass"}
    assert {result["unique_id"].split(".")[2] for result in ran} == set(kinds.values())


def test_postgres_says_the_same_row_for_row(wire: Wire, first_state: dict[str, Any]) -> None:
    postgres = wire.settings.model_copy(update={"warehouse": "postgres"})
    run_without_checks(postgres, wire.dates)
    ours, theirs = first_state["built"], all_rows(postgres, wire.dates)
    assert set(ours) == set(theirs)
    assert [table for table, found in ours.items() if not found] == []
    nothing: dict[str, Any] = {}
    differing = {
        f"{table} {name}": (one.get(name), other.get(name))
        for table, found in ours.items()
        for one, other in zip_longest(found, theirs[table], fillvalue=nothing)
        for name in {**one, **other}
        if name not in OF_ENGINE_AND_RUN and one.get(name) != other.get(name)
    }
    assert differing == {}


def test_the_same_range_again_changes_nothing(wire: Wire, first_state: dict[str, Any]) -> None:
    kinds = {(entity.is_dated, entity.is_growing) for entity in ENTITIES.values()}
    again = [ENTITIES[name] for name in LOADED_AGAIN]
    assert {(entity.is_dated, entity.is_growing) for entity in again} == kinds
    assert all(int(first_state["raw"][entity.name][0]["rows"]) for entity in again)
    repeated = repeated_nodes(nodes(wire.settings))
    dated = tables(wire.settings)
    run_again(wire, repeated)
    assert raw_fingerprints(wire) == first_state["raw"]
    names = [table_name(node) for node in repeated if node["config"]["materialized"] in STORED]
    built = {name: rows(wire.settings, name, wire.dates if dated[name] else None) for name in names}
    assert built == {name: first_state["built"][name] for name in names}


def repeated_nodes(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every model and snapshot that builds on its earlier rows, and one node of each kind in `REPLACED`."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for node in sorted(found, key=lambda node: str(node["unique_id"])):
        if node["resource_type"] in {"model", "seed", "snapshot"}:
            kinds.setdefault(node["config"]["materialized"], []).append(node)
    assert set(kinds) == {*REPLACED, "incremental", "snapshot", "ephemeral"}
    assert all(node["config"]["full_refresh"] for node in kinds["seed"])
    replaced = [node for kind in REPLACED for node in kinds[kind]]
    assert [node["name"] for node in replaced if READS_ITSELF.search(node["raw_code"])] == []
    one_of_each = [node for kind in REPLACED for node in kinds[kind][:1]]
    return [*kinds["incremental"], *kinds["snapshot"], *one_of_each]


def run_again(wire: Wire, repeated: list[dict[str, Any]]) -> None:
    """Run the pipeline for these nodes of dbt and `LOADED_AGAIN`. The gates passed on the same rows."""
    assets = {asset_key(node) for node in nodes(wire.settings) if is_asset(node)}
    kept = {asset_key(node) for node in repeated}
    others = ENTITIES.keys() - set(LOADED_AGAIN)
    copies = {dg.AssetKey([layer, name]) for layer in ("landing", "raw") for name in others}
    run_without_checks(wire.settings, wire.dates, skipped=(assets - kept) | copies)


def run_without_checks(
    settings: Settings, dates: Window, skipped: Collection[dg.AssetKey] = frozenset()
) -> None:
    """Run the job of the pipeline without its gates and dbt's tests of data."""
    platform = Platform(settings)
    job = build_defs(settings=settings, resources={"platform": platform}).resolve_job_def(pipeline.name)
    executable = set(job.asset_layer.executable_asset_keys)
    assert set(skipped) <= executable
    with builds_without_tests(), open_instance(settings.home) as opened:
        done = job.get_subset(
            asset_selection=executable - set(skipped), asset_check_selection=set()
        ).execute_in_process(instance=opened, tags=run_tags(dates, "a test"), run_config=QUIET)
    assert done.success


def is_asset(node: dict[str, Any]) -> bool:
    return (
        node["resource_type"] in {"model", "seed", "snapshot"}
        and node["config"]["materialized"] != "ephemeral"
    )


def test_the_records_of_quality_are_loaded_and_merged(wire: Wire) -> None:
    """Their marts are built by Google's own engine in leg 2."""
    dsn = engines.dsn(wire.settings)
    assert count_days(dsn) > 0 and count_runs(dsn) > 0
    warehouse = open_bigquery(wire.settings)
    try:
        for number in range(2):
            for name in RECORDS:
                transfer(warehouse, name, dsn, f"quality {number}")
                assert warehouse.fingerprint(RECORDS[name]).equals(fingerprint_landing(name, dsn)), name
            # The next load merges one row, and a run has no tenant to be known by.
            with psycopg.connect(dsn) as connection:
                connection.execute(
                    "update warehouse_staging.quality_runs set retries = 7, landed_at = now()"
                    " where job = 'pipeline'"
                )
    finally:
        warehouse.close()


def test_dbt_replaces_the_asked_partition_alone(wire: Wire) -> None:
    asked, other = wire.dates.dates[2:4]
    before = rows_by_date(wire)
    client = wire.client
    spoil(client, f"reading_date in (date '{asked}', date '{other}')", 1)
    # As an earlier release left it: here the model asks for no filter.
    client.query_and_wait(f"alter table {FACT} set options (require_partition_filter = true)")
    try:
        run_dbt(wire.settings, "run", one_day(asked), "fact_energy_usage")
        after = rows_by_date(wire)
        assert [row["value_kwh"] - 1 for row in after[other]] == [row["value_kwh"] for row in before[other]]
        assert {**after, other: before[other]} == before
        assert client.get_table(FACT).require_partition_filter is False
    finally:
        spoil(client, f"reading_date = date '{other}'", -1)


def rows_by_date(wire: Wire) -> dict[date, Rows]:
    """The rows of the fact, read by one query."""
    found: dict[date, Rows] = {day: [] for day in wire.dates.dates}
    for row in rows(wire.settings, FACT, wire.dates):
        found[row["reading_date"]].append(row)
    return found


def spoil(client: bigquery.Client, where: str, kwh: int) -> None:
    """Add energy to stored rows of the fact."""
    client.query_and_wait(f"update {FACT} set value_kwh = cast(value_kwh + {kwh} as numeric) where {where}")


def one_day(day: date) -> Window:
    return Window(day, day + timedelta(days=1))


def run_dbt(settings: Settings, command: str, dates: Window, *selected: str) -> list[dict[str, Any]]:
    """Run a dbt command on the nodes selected, with the pipeline's arguments; return dbt's results."""
    target = settings.home / f"dbt_{command}"
    project = str(dbt_calls.PROJECT_DIR)
    words = [dbt_calls.executable("myproperty-dbt"), *dbt_calls.arguments(command, dates)]
    words += ["--select", *selected]
    words += ["--project-dir", project, "--profiles-dir", project, "--target", settings.warehouse]
    words += ["--target-path", str(target), "--log-path", str(target)]
    variables = dbt_calls.connection(settings) | dbt_calls.with_parse(settings, target)
    with dbt_calls.environment(variables):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    found: list[dict[str, Any]] = json.loads((target / "run_results.json").read_text())["results"]
    return found


def test_a_reader_sees_its_tenants_alone(wire: Wire, first_state: dict[str, Any]) -> None:
    """Of each view, as far as the emulator goes: it believes who asks, and knows no authorized dataset."""
    views = [node for node in nodes(wire.settings) if node["schema"] == "bi"]
    question = " union distinct ".join(
        f"select distinct tenant_id, '{node['alias']}' as name from {table_name(node)}"
        + (" where reading_date >= '2000-01-01'" if "reading_date" in node["columns"] else "")
        for node in views
    )
    assert {node["alias"] for node in views} == {
        name for name, of_tenants in list_views().items() if of_tenants
    } - {"data_quality_v1"}
    with closing(open_warehouse(wire.settings)) as warehouse:
        everything = {(row["tenant_id"], row["name"]) for row in warehouse.ask(question, 1000).to_pylist()}
        assert len({name for _, name in everything}) > 9
        for reader in list_own_logins():
            found = warehouse.ask(question, 1000, reader).to_pylist()
            own = {seen for seen in everything if seen[0] in list_readers()[reader]}
            assert {(row["tenant_id"], row["name"]) for row in found} == own
        assert warehouse.ask(question, 1000, "a_stranger").num_rows == 0


@pytest.fixture
def apart(wire: Wire) -> Iterator[BigQueryWarehouse]:
    """Raw readings of two days in a dataset of the test's own."""
    warehouse = open_bigquery(wire.settings.model_copy(update={"dataset_prefix": "apart_"}))
    warehouse.ensure_table(READINGS)
    for day in wire.dates.dates[2:4]:
        # A key used before would find the job of then, whose table is gone.
        warehouse.load_partitions(READINGS, [landed(wire, day)], [day], uuid.uuid4().hex)
    yield warehouse
    warehouse.close()
    wire.client.delete_dataset("apart_raw", delete_contents=True)


def landed(wire: Wire, day: date) -> pa.Table:
    return pa.concat_tables(LandedRows("meter_readings", engines.dsn(wire.settings), [day]))


def count(warehouse: BigQueryWarehouse, day: date) -> int:
    return int(warehouse.fingerprint(READINGS, day, day + timedelta(days=1))["rows"].sum())


def test_a_load_replaces_its_partition_alone(wire: Wire, apart: BigQueryWarehouse) -> None:
    day, other = wire.dates.dates[2:4]
    rows_of_day = landed(wire, day)
    around = other, other + timedelta(days=1)
    before = apart.fingerprint(READINGS, *around).to_dict("records")
    assert count(apart, day) == rows_of_day.num_rows > 3
    apart.load_partitions(READINGS, [rows_of_day.slice(0, 3)], [day], "replaced")
    assert count(apart, day) == 3
    assert apart.fingerprint(READINGS, *around).to_dict("records") == before


def test_a_load_job_repeated_is_found_and_not_run_again(wire: Wire, apart: BigQueryWarehouse) -> None:
    day = wire.dates.dates[2]
    whole = landed(wire, day)
    part = whole.slice(0, 3)
    apart.load_partitions(READINGS, [part], [day], "tried")
    apart.load_partitions(READINGS, [whole], [day], "later")
    jobs_before = {job.job_id for job in wire.client.list_jobs()}
    assert apart.load_partitions(READINGS, [part], [day], "tried") == 3
    assert {job.job_id for job in wire.client.list_jobs()} == jobs_before
    assert count(apart, day) == whole.num_rows
    apart.load_partitions(READINGS, [part], [day], "another")
    assert count(apart, day) == 3


def test_a_range_of_dates_is_replaced_at_once(wire: Wire, apart: BigQueryWarehouse) -> None:
    days, before = wire.dates.dates[2:4], {job.job_id for job in wire.client.list_jobs()}
    rows = pa.concat_tables([landed(wire, day) for day in days]).slice(2)
    for _ in range(2):
        assert apart.load_partitions(READINGS, [rows], days, "a range") == rows.num_rows
    jobs = [job.job_type for job in wire.client.list_jobs() if job.job_id not in before]
    assert sorted(jobs) == ["load", "query"] and sum(count(apart, day) for day in days) == rows.num_rows
    assert "_changed_" not in str([table.table_id for table in wire.client.list_tables("apart_raw")])


def test_a_load_of_another_day_is_refused_by_the_server_too(wire: Wire, apart: BigQueryWarehouse) -> None:
    day, other = wire.dates.dates[2:4]
    with pytest.raises(ValueError, match="hold other dates"):
        apart.load_partitions(READINGS, [landed(wire, other)], [day], "wrong")
    with pytest.raises(BadRequest, match="different partitions"):
        wire.client.query_and_wait(
            f"select * from apart_raw.meter_readings where reading_date = date '{other}'",
            job_config=bigquery.QueryJobConfig(
                destination=f"{wire.settings.bigquery_project}.apart_raw.meter_readings${day:%Y%m%d}",
                write_disposition="WRITE_TRUNCATE",
            ),
        )
    assert count(apart, day) == landed(wire, day).num_rows


def test_a_question_that_writes_or_is_wrong_is_refused(wire: Wire, apart: BigQueryWarehouse) -> None:
    day = wire.dates.dates[2]
    assert apart.ask("select 1 as one", 10).to_pydict() == {"one": [1]}
    for question, reason in (
        (f"delete from apart_raw.meter_readings where reading_date = '{day}'", "would write"),
        ("selec 1", "yntax"),
        ("select * from apart_raw.nothing", "ot found"),
    ):
        with pytest.raises(QueryRefused, match=reason):
            apart.ask(question, 10)
    assert count(apart, day) == landed(wire, day).num_rows


def test_the_analyzer_accepts_every_statement_of_our_own(wire: Wire, first_state: dict[str, Any]) -> None:
    """Of loads, gates and questions, as the server has them after all tests above."""
    # Not those on `apart`, which is dropped: they are those on raw.
    sent = {statement for statement in list_statements(wire.client) if "apart_raw" not in statement}
    for part in ("merge into", "max(landed_at)", "candidate_", "bi.solar_performance_v1"):
        assert any(part in statement for statement in sent), part
    assert find_refusals(wire.client, sent) == []
