"""The raw layer on both engines: loads can be repeated, partitions are independent, queries only read."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from psycopg import sql
from psycopg.conninfo import make_conninfo

from data.ingest.errors import QueryRefused
from data.landing.entities import ENTITIES, Entity
from data.landing.land import land
from data.landing.read import LandedRows, fingerprint_landing
from data.raw.bigquery import BigQueryWarehouse
from data.raw.columns import RawTableDiffers
from data.raw.postgres import PostgresWarehouse
from data.raw.rights import prepare_warehouse
from data.raw.transfer import transfer
from data.raw.warehouse import Warehouse, open_warehouse
from myproperty import engines
from myproperty.database.roles import WAREHOUSE_DBT, WAREHOUSE_RAW, WAREHOUSE_READER
from myproperty.settings import Settings
from tests.conftest import DatabaseMaker
from tests.ingest.conftest import Company
from tests.landing.conftest import CALLED, CHANGED, DAYS, DELETED, END, READINGS, call_tools

pytestmark = pytest.mark.engine


@pytest.fixture
def postgres(fresh_database: DatabaseMaker) -> Iterator[Warehouse]:
    with fresh_database("warehouse") as dsn, closing(PostgresWarehouse(dsn)) as warehouse:
        yield warehouse


@pytest.fixture
def emulator(postgres_settings: Settings) -> Iterator[Warehouse]:
    settings = postgres_settings.model_copy(update={"warehouse": "emulator", "dataset_prefix": "ingest_"})
    try:
        engines.up(settings)
    except engines.EngineError as error:
        pytest.skip(f"no BigQuery emulator here: {error}")
    warehouse = open_warehouse(settings, "the-run-of-the-test")
    yield warehouse
    warehouse.close()


def test_raw_in_postgres(landed: Company, postgres: Warehouse) -> None:
    check_raw(landed, postgres)


@pytest.mark.emulator
def test_raw_in_bigquery(landed: Company, emulator: BigQueryWarehouse) -> None:
    check_raw(landed, emulator)
    emulator.query("select 1 as one")
    jobs = [*emulator._client(WAREHOUSE_RAW).list_jobs()]
    labels = [job.labels for job in jobs]
    for work in ("load", "gate"):
        assert {"app": "myproperty", "work": work, "run": "the-run-of-the-test"} in labels
    assert {} not in labels
    queries = [job for job in jobs if isinstance(job, bigquery.QueryJob)]
    assert queries and {job.maximum_bytes_billed for job in queries} == {100 * 2**30}


def check_raw(landed: Company, warehouse: Warehouse) -> None:
    """Load two dates, load them again, then replace one by fewer rows: the other is unchanged."""
    tables = [pa.concat_tables(LandedRows("meter_readings", landed.dsn, [day])) for day in DAYS]
    warehouse.ensure_table(READINGS)
    warehouse.ensure_table(READINGS)
    for run in ("first", "first", "second"):
        for day, rows in zip(DAYS, tables, strict=True):
            assert warehouse.load_partitions(READINGS, [rows], [day], f"{run}-{day}") == rows.num_rows
            assert_equals_landing(landed, warehouse, day)
    assert warehouse.load_partitions(READINGS, [tables[1].slice(0, 1)], [DAYS[1]], "third") == 1
    assert list(warehouse.fingerprint(READINGS, DAYS[1], END)["rows"]) == [1]
    assert_equals_landing(landed, warehouse, DAYS[0])
    # The first rows come back: a new run loads them again.
    warehouse.load_partitions(READINGS, [tables[1]], [DAYS[1]], "fourth")
    assert_equals_landing(landed, warehouse, DAYS[1])
    check_range(landed, warehouse, pa.concat_tables(tables))


def check_range(landed: Company, warehouse: Warehouse, rows: pa.Table) -> None:
    """Both dates are replaced at once, and once; a date of the range without rows is emptied."""
    few = rows.filter(pc.equal(rows["reading_date"], DAYS[0])).slice(0, 1)
    assert warehouse.load_partitions(READINGS, [few], DAYS, "fifth") == 1
    assert int(warehouse.fingerprint(READINGS, DAYS[0], END)["rows"].sum()) == 1
    for _ in range(2):
        assert (
            warehouse.load_partitions(READINGS, [rows.slice(0, 7), rows.slice(7)], DAYS, "sixth")
            == rows.num_rows
        )
        for day in DAYS:
            assert_equals_landing(landed, warehouse, day)


def test_a_new_column_is_added_in_postgres(landed: Company, postgres: Warehouse) -> None:
    check_new_column(landed, postgres)


@pytest.mark.emulator
def test_a_new_column_is_added_in_bigquery(landed: Company, emulator: Warehouse) -> None:
    check_new_column(landed, emulator)


def check_new_column(landed: Company, warehouse: Warehouse) -> None:
    """An earlier release's table with rows gets the new columns, and the other date keeps its rows."""
    entity = replace(READINGS, name="upgraded_readings")
    former = without(entity, "value_native", "is_estimated")
    assert warehouse.ensure_table(former) == []
    tables = [pa.concat_tables(LandedRows("meter_readings", landed.dsn, [day])) for day in DAYS]
    for day, rows in zip(DAYS, tables, strict=True):
        warehouse.load_partitions(former, [rows.select(former.schema.names)], [day], f"former-{day}")
    before = warehouse.fingerprint(former, *DAYS).to_dict("records")
    assert set(warehouse.ensure_table(entity)) == {"value_native", "is_estimated"}
    assert warehouse.ensure_table(entity) == []
    warehouse.load_partitions(entity, [tables[1]], [DAYS[1]], "upgraded")
    assert_equals_landing(landed, warehouse, DAYS[1], entity)
    assert before and warehouse.fingerprint(former, *DAYS).to_dict("records") == before
    # A former release may still load what it knows.
    assert warehouse.ensure_table(former) == []


def without(entity: Entity, *names: str) -> Entity:
    """Return the entity as it was before these columns."""
    return replace(
        entity,
        columns=pa.schema([field for field in entity.columns if field.name not in names]),
        measures=tuple(name for name in entity.measures if name not in names),
    )


def test_a_column_of_another_type_is_refused_in_postgres(postgres: Warehouse) -> None:
    check_other_type(postgres)


@pytest.mark.emulator
def test_a_column_of_another_type_is_refused_in_bigquery(emulator: Warehouse) -> None:
    check_other_type(emulator)


def check_other_type(warehouse: Warehouse) -> None:
    entity = replace(READINGS, name="other_readings")
    number = entity.columns.get_field_index("interval_seconds")
    warehouse.ensure_table(
        replace(entity, columns=entity.columns.set(number, pa.field("interval_seconds", pa.string())))
    )
    with pytest.raises(
        RawTableDiffers, match=r"interval_seconds is .*myproperty reload other_readings --from"
    ):
        warehouse.ensure_table(entity)


def assert_equals_landing(
    landed: Company, warehouse: Warehouse, day: date, entity: Entity = READINGS
) -> None:
    dates = day, day + timedelta(days=1)
    copy = warehouse.fingerprint(entity, *dates)
    source = fingerprint_landing("meter_readings", landed.dsn, "warehouse_staging", *dates)
    assert copy.to_dict("records") == source.to_dict("records")
    assert len(copy) > 1


def test_rows_of_another_date_are_refused(landed: Company, postgres: Warehouse) -> None:
    """What was loaded before stays: the rows are looked at while they are loaded."""
    first, second = ([*LandedRows("meter_readings", landed.dsn, [day])] for day in DAYS)
    postgres.ensure_table(READINGS)
    postgres.load_partitions(READINGS, second, [DAYS[1]], "right")
    with pytest.raises(ValueError, match="other dates"):
        postgres.load_partitions(READINGS, [*second, *first], [DAYS[1]], "wrong")
    assert_equals_landing(landed, postgres, DAYS[1])


def test_a_query_keeps_every_digit(postgres: Warehouse) -> None:
    found = postgres.query(
        "select sum(x) as total from (values (0.1::numeric), (12345678901.000000001)) as t(x)"
    )
    assert found == pa.table({"total": pa.array([Decimal("12345678901.100000001")], pa.decimal128(38, 9))})


ATTACKS = [
    ("delete from marts.figures returning n", "read-only transaction|permission denied"),
    ("select 1; select 2", "multiple commands"),
    ("commit; begin read write; create table marts.mine (n int)", "multiple commands"),
    ("copy marts.figures to program 'id > /tmp/shell'", "permission denied"),
    ("copy (select 1) to '/tmp/written'", "permission denied"),
    ("select pg_read_file('/etc/passwd')", "permission denied"),
    ("select pg_ls_dir('.')", "permission denied"),
    ("select * from raw.secrets", "permission denied"),
    ("select * from pg_authid", "permission denied"),
    ("reset role", "no rows"),
    ("set role postgres", "permission denied"),
    ("set session authorization postgres", "permission denied"),
    ("set transaction read write", "no rows"),
    ("create temporary table mine (n int)", "read-only transaction|permission denied"),
    ("create table public.mine (n int)", "read-only transaction|permission denied"),
    ("create function public.f() returns int language sql as 'select 1'", "read-only|permission denied"),
    ("do $$ begin perform pg_sleep(1); end $$", "permission denied"),
    ("select pg_advisory_lock(1)", "permission denied"),
    ("select pg_try_advisory_lock_shared(1)", "permission denied"),
    ("select lo_create(0)", "permission denied|read-only"),
    ("select lo_from_bytea(0, 'x')", "permission denied|read-only"),
    ("select pg_sleep(100)", "permission denied"),
    ("select dblink('', 'select 1')", "does not exist"),
    (
        "select pg_terminate_backend(pid) from pg_stat_activity where usename <> current_user",
        "permission denied|must be",
    ),
    ("select set_config('transaction_read_only', 'off', false)", "read-write mode|cannot set"),
    ("lock table marts.figures in access exclusive mode", "permission denied|read-only|can only be used"),
    ("vacuum full marts.figures", "permission denied|no rows|cannot"),
    ("alter role myproperty_reader superuser", "permission denied|read-only"),
    ("selec 1", "syntax error"),
    ("select * from marts.mart_nothing", "does not exist"),
]


@pytest.fixture(scope="module")
def published(fresh_database: DatabaseMaker) -> Iterator[PostgresWarehouse]:
    """A warehouse with a published table, a raw one, and a second database with the superuser's own."""
    with fresh_database("readers") as dsn:
        with psycopg.connect(dsn) as connection:
            for schema in ("raw", "core", "marts", "bi"):
                connection.execute(f"create schema {schema}".encode())
            connection.execute("create table raw.secrets as select 1 as n")
            connection.execute("create table marts.figures as select n from generate_series(1, 50) as n")
            prepare_warehouse(connection, passwords={WAREHOUSE_READER.name: "of the test"})
        yield PostgresWarehouse(
            dsn, find_reader=lambda _: make_conninfo(dsn, user=WAREHOUSE_READER.name, password="of the test")
        )


@pytest.mark.parametrize(("question", "reason"), ATTACKS)
def test_a_question_cannot_leave_the_published_layers(
    published: PostgresWarehouse, question: str, reason: str
) -> None:
    with pytest.raises(QueryRefused, match=rf"(?s)({reason}).*docs/warehouse\.md"):
        published.ask(question, 10)
    assert published.ask("select current_user::text as login", 1).to_pylist() == [
        {"login": WAREHOUSE_READER.name}
    ]
    with psycopg.connect(published._dsn) as connection:
        found = connection.execute(
            "select (select count(*) from marts.figures), (select count(*) from pg_largeobject_metadata),"
            " (select count(*) from pg_class where relname = 'mine'),"
            " (select count(*) from pg_locks where locktype = 'advisory')"
        ).fetchone()
    assert found == (50, 0, 0, 0)
    assert not Path("/tmp/shell").exists() and not Path("/tmp/written").exists()


def test_a_question_reads_published_tables_that_were_created_again(published: PostgresWarehouse) -> None:
    assert published.ask("select n from marts.figures order by n", 3).to_pydict() == {"n": [1, 2, 3]}
    assert published.ask("select n from marts.figures where n < 0", 3).to_pydict() == {"n": []}
    with psycopg.connect(published._dsn) as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(WAREHOUSE_DBT.name)))
        connection.execute("create table marts.again as select 7 as n")
        connection.execute("create view bi.shown as select n from marts.again")
    assert published.ask("select n from bi.shown", 3).to_pydict() == {"n": [7]}
    assert published.ask("table marts.again", 3).to_pydict() == {"n": [7]}
    assert published.ask("select 'a % b' as text", 3).to_pydict() == {"text": ["a % b"]}


def test_a_question_that_takes_too_long_ends(
    published: PostgresWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WAREHOUSE_READER.limits, "statement_timeout", "200ms")
    with pytest.raises(QueryRefused, match="statement timeout"):
        published.ask("select count(*) from generate_series(1, 100000000000) as n", 1)


@pytest.mark.emulator
def test_a_question_reads_published_datasets_only_in_bigquery(emulator: BigQueryWarehouse) -> None:
    for statement in (
        "create schema if not exists ingest_raw",
        "create schema if not exists ingest_marts",
        "create or replace table ingest_raw.secrets as select 1 as n",
        "create or replace table ingest_marts.figures as select 7 as n",
    ):
        emulator.query(statement)
    assert emulator.ask("select n from ingest_marts.figures", 3).to_pydict() == {"n": [7]}
    for question in (
        "select n from ingest_raw.secrets",
        "select f.n from ingest_marts.figures as f cross join (select * from ingest_raw.secrets) as s",
    ):
        with pytest.raises(QueryRefused, match=r"ingest_raw\.secrets is not published"):
            emulator.ask(question, 3)


def plan_reading(*tables: str) -> bigquery.QueryJob:
    """Return what Google answers to a dry run of a query over tables, each `project.dataset.table`."""
    names = [
        dict(zip(("projectId", "datasetId", "tableId"), table.split("."), strict=True)) for table in tables
    ]
    return bigquery.QueryJob.from_api_repr(
        {
            "jobReference": {"projectId": "ours", "jobId": "planned", "location": "EU"},
            "configuration": {"query": {"query": "select 1"}, "dryRun": True},
            "statistics": {"query": {"statementType": "SELECT", "referencedTables": names}},
        },
        bigquery.Client("ours", AnonymousCredentials()),  # type: ignore[no-untyped-call]
    )


def test_a_question_reads_neither_another_project_nor_more_tables_than_are_listed() -> None:
    warehouse = BigQueryWarehouse(lambda _: pytest.fail("no client is needed"), "ours")
    warehouse._check_plan(plan_reading(*(f"ours.bi.v{number}" for number in range(49))))
    with pytest.raises(QueryRefused, match=r"bi\.v is not published"):
        warehouse._check_plan(plan_reading("theirs.bi.v"))
    with pytest.raises(QueryRefused, match="50 tables or more"):
        warehouse._check_plan(plan_reading(*(f"ours.bi.v{number}" for number in range(50))))


@pytest.mark.emulator
def test_what_a_killed_merge_left_is_dropped_by_the_next(
    emulator: BigQueryWarehouse, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between load and drop; a merge that is younger than an hour may still be at work."""
    entity = ENTITIES["agent_audit"]
    emulator.ensure_table(entity)
    client = emulator._client(WAREHOUSE_RAW)
    call_tools(company, CALLED)
    land(entity.name, company.dsn)
    changed = list(LandedRows(entity.name, company.dsn))
    with monkeypatch.context() as killed:
        killed.setattr(bigquery.Client, "delete_table", lambda *_, **__: None)
        emulator.merge(entity, changed, "a killed run")
    (left,) = [name for name in list_names(client) if "_changed_" in name]
    others = ("agent_audit_changed_by_hand", "invoices_changed_0123456789abcdef")
    for name in others:
        emulator.query(f"create or replace table ingest_raw.{name} as select 1 as n")
    emulator.merge(entity, [], "the next run")
    assert left in list_names(client)
    monkeypatch.setattr("data.raw.bigquery.LEFT_AFTER", timedelta(0))
    emulator.merge(entity, [], "the run after")
    assert left not in list_names(client) and {*others} <= {*list_names(client)}
    client.delete_table("ingest_raw.agent_audit")  # the next test begins without it


def list_names(client: bigquery.Client) -> list[str]:
    return [table.table_id for table in client.list_tables("ingest_raw")]


def test_a_growing_table_in_postgres(company: Company, postgres: Warehouse) -> None:
    check_growing(company, postgres)


@pytest.mark.emulator
def test_a_growing_table_in_bigquery(company: Company, emulator: Warehouse) -> None:
    check_growing(company, emulator)


def check_growing(company: Company, warehouse: Warehouse) -> None:
    """First load, no change, changed and added rows, deleted rows: raw equals landing each time."""
    entity = ENTITIES["agent_audit"]
    wholes: list[str] = []
    load_partitions = warehouse.load_partitions

    def watched(*given: Any) -> int:
        wholes.append(given[3])
        return load_partitions(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warehouse, "load_partitions", watched)
        for run, changes, is_whole in (
            ("first", (CALLED,), True),
            ("second", (), False),
            ("third", (CHANGED, CALLED), False),
            ("fourth", (DELETED, CALLED), True),
        ):
            call_tools(company, *changes)
            rows = land(entity.name, company.dsn)
            assert transfer(warehouse, entity.name, company.dsn, run) == rows
            assert (wholes[-1:] == [f"{run}-agent_audit-all"]) == is_whole
            landed = fingerprint_landing(entity.name, company.dsn)
            assert landed.equals(warehouse.fingerprint(entity))


def test_dates_are_loaded_together_as_far_as_memory_allows(
    landed: Company, postgres: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, parts = postgres.load_partitions, []

    def watched(entity: Entity, rows: pa.Table, dates: list[date], key: str) -> int:
        parts.append((dates, key))
        return load(entity, rows, dates, key)

    monkeypatch.setattr(postgres, "load_partitions", watched)
    rows = sum(table.num_rows for table in LandedRows(READINGS.name, landed.dsn, DAYS))
    for most, expected in (
        (rows, [[*DAYS]]),
        (rows - 1, [[day] for day in DAYS]),
        (1, [[day] for day in DAYS]),
    ):
        parts.clear()
        monkeypatch.setattr("data.raw.transfer.ROWS_OF_LOAD", most)
        assert transfer(postgres, READINGS.name, landed.dsn, "a-run", DAYS) == rows
        assert [dates for dates, _ in parts] == expected
        assert len({key for _, key in parts}) == len(parts)
        for day in DAYS:
            assert_equals_landing(landed, postgres, day)
