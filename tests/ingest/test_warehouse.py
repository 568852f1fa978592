"""Landing and the raw layer: twice is once, one partition at a time, and a copy that differs is seen."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
import pyarrow as pa
import pytest

from data.ingest.errors import IngestError, QueryRefused
from data.ingest.readings.load import ingest_file
from data.landing import drift, landing
from data.landing.entities import ENTITIES
from data.raw.transfer import transfer
from data.raw.warehouse import PostgresWarehouse, Warehouse, open_warehouse
from myproperty import engines
from myproperty.settings import Settings
from oltp_schema.migrate import upgrade
from tests.conftest import DatabaseMaker
from tests.ingest.conftest import Company, FileMaker, hours, make_company

READINGS = ENTITIES["meter_readings"]
DAYS = (date(2025, 6, 1), date(2025, 6, 2))
END = date(2025, 6, 3)
SCHEMAS: tuple[landing.SourceSchema, landing.SourceSchema] = ("myproperty", "warehouse_staging")

pytestmark = pytest.mark.engine


@pytest.fixture
def postgres(fresh_database: DatabaseMaker) -> Iterator[Warehouse]:
    with fresh_database("warehouse") as dsn:
        yield PostgresWarehouse(dsn)


@pytest.fixture
def emulator(postgres_settings: Settings) -> Iterator[Warehouse]:
    settings = postgres_settings.model_copy(update={"warehouse": "emulator", "dataset_prefix": "ingest_"})
    try:
        engines.up(settings)
    except engines.EngineError as error:
        pytest.skip(f"no BigQuery emulator here: {error}")
    warehouse = open_warehouse(settings)
    yield warehouse
    warehouse.close()


@pytest.fixture
def oltp_copy(fresh_database: DatabaseMaker) -> Iterator[str]:
    """A migrated database of one's own, whose tables may be changed."""
    with fresh_database("drift") as dsn:
        upgrade(dsn)
        yield dsn


@pytest.fixture
def landed(company: Company, csv_file: FileMaker) -> Company:
    """30 hours of two tenants, landed."""
    other = make_company(company.dsn, f"second {company.name}")
    ingest_file(csv_file("a.csv", [*hours(29), ""]), tenant=company.name, dsn=company.dsn)
    ingest_file(csv_file("b.csv", hours(30, "0.000000001")), tenant=other.name, dsn=company.dsn)
    landing.land("meter_readings", company.dsn, DAYS[0], END)
    return company


@pytest.mark.parametrize("entity", [name for name, entity in ENTITIES.items() if not entity.partition_column])
def test_landing_a_whole_table_twice_equals_its_source(landed: Company, entity: str) -> None:
    rows = {landing.land(entity, landed.dsn) for _ in range(2)}
    source, copy = (landing.fingerprint(entity, landed.dsn, schema) for schema in SCHEMAS)
    assert source.equals(copy)
    assert rows == {source["rows"].sum()}
    assert landing.read_landing(entity, landed.dsn).num_rows == source["rows"].sum()


def test_landing_dates_twice_equals_their_source(landed: Company) -> None:
    def prints() -> list[object]:
        return [
            landing.fingerprint("meter_readings", landed.dsn, schema, DAYS[0], END).to_dict("records")
            for schema in SCHEMAS
        ]

    source, copy = prints()
    assert source == copy
    assert landing.land("meter_readings", landed.dsn, DAYS[0], END) > 0
    assert prints() == [source, source]


def test_a_changed_digit_changes_the_fingerprint(landed: Company) -> None:
    def checksums() -> list[int]:
        frame = landing.fingerprint("meter_readings", landed.dsn, "warehouse_staging", DAYS[0], END)
        return list(frame["checksum"])

    before = checksums()
    with psycopg.connect(landed.dsn) as connection:
        connection.execute(
            "update warehouse_staging.meter_readings set value_native = value_native + 0.000000001 "
            "where reading_date = %s and tenant_id = %s and reading_ts = "
            "(select min(reading_ts) from warehouse_staging.meter_readings where reading_date = %s)",
            (DAYS[0], landed.tenant_id, DAYS[0]),
        )
    assert sum(old != new for old, new in zip(before, checksums(), strict=True)) == 1


def test_raw_in_postgres(landed: Company, postgres: Warehouse) -> None:
    check_raw(landed, postgres)


@pytest.mark.emulator
def test_raw_in_bigquery(landed: Company, emulator: Warehouse) -> None:
    check_raw(landed, emulator)


def check_raw(landed: Company, warehouse: Warehouse) -> None:
    """Load two dates; load them again; replace one by fewer rows, which leaves the other as it was."""
    tables = [landing.read_landing("meter_readings", landed.dsn, day) for day in DAYS]
    warehouse.ensure_table(READINGS)
    warehouse.ensure_table(READINGS)
    for run in ("first", "first", "second"):
        for day, rows in zip(DAYS, tables, strict=True):
            assert warehouse.load_partition(READINGS, rows, day, f"{run}-{day}") == rows.num_rows
            assert_equals_landing(landed, warehouse, day)
    assert warehouse.load_partition(READINGS, tables[1].slice(0, 1), DAYS[1], "third") == 1
    assert list(warehouse.fingerprint(READINGS, DAYS[1], END)["rows"]) == [1]
    assert_equals_landing(landed, warehouse, DAYS[0])
    # The same rows come back after others were there: a new run loads them again.
    warehouse.load_partition(READINGS, tables[1], DAYS[1], "fourth")
    assert_equals_landing(landed, warehouse, DAYS[1])


def assert_equals_landing(landed: Company, warehouse: Warehouse, day: date) -> None:
    dates = day, day + timedelta(days=1)
    copy = warehouse.fingerprint(READINGS, *dates)
    source = landing.fingerprint("meter_readings", landed.dsn, "warehouse_staging", *dates)
    assert copy.to_dict("records") == source.to_dict("records")
    assert len(copy) > 1


def test_rows_of_another_date_are_refused(landed: Company, postgres: Warehouse) -> None:
    rows = landing.read_landing("meter_readings", landed.dsn, DAYS[0])
    with pytest.raises(ValueError, match="other dates"):
        postgres.load_partition(READINGS, rows, DAYS[1], "key")


def test_a_query_keeps_every_digit(postgres: Warehouse) -> None:
    found = postgres.query(
        "select sum(x) as total from (values (0.1::numeric), (12345678901.000000001)) as t(x)"
    )
    assert found == pa.table({"total": pa.array([Decimal("12345678901.100000001")], pa.decimal128(38, 9))})


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("delete from pg_class returning oid", "read-only transaction"),
        ("rollback; delete from pg_class returning oid", "read-only transaction"),
        ("selec 1", "syntax error"),
        ("select * from marts.mart_nothing", "does not exist"),
    ],
)
def test_a_question_that_writes_or_is_wrong_is_refused(
    postgres: Warehouse, question: str, reason: str
) -> None:
    assert postgres.ask("select 1 as one") == pa.table({"one": pa.array([1], pa.int32())})
    with pytest.raises(QueryRefused, match=rf"(?s){reason}.*docs/warehouse\.md"):
        postgres.ask(question)


def call_tools(company: Company, *changes: LiteralString) -> None:
    """Statements on agent_audit, which keeps what it has: past its triggers, as a restore would."""
    with psycopg.connect(company.dsn) as connection:
        connection.execute("set session_replication_role = replica")
        for change in changes:
            connection.execute(change, {"tenant": company.tenant_id})


CALLED: LiteralString = (
    "insert into myproperty.agent_audit (tenant_id, agent_id, tool_name, input_hash, outcome, latency_ms, "
    "trace_id) select %(tenant)s, 'helpdesk', 'search', repeat('c', 64), 'succeeded', n, repeat('d', 32) "
    "from generate_series(1, 5) as n"
)
CHANGED: LiteralString = (
    "update myproperty.agent_audit set outcome = 'failed', version = version + 1, updated_at = now() "
    "where tenant_id = %(tenant)s and latency_ms = 2"
)
DELETED: LiteralString = "delete from myproperty.agent_audit where tenant_id = %(tenant)s and latency_ms = 3"


def test_a_growing_table_takes_over_what_changed_and_what_was_deleted(company: Company) -> None:
    def landed_at() -> dict[str, datetime]:
        rows = landing.read_landing("agent_audit", company.dsn).to_pylist()
        return {row["id"]: row["landed_at"] for row in rows if row["tenant_id"] == str(company.tenant_id)}

    call_tools(company, CALLED)
    landing.land("agent_audit", company.dsn)
    first = landed_at()
    landing.land("agent_audit", company.dsn)
    assert landed_at() == first, "what did not change is not landed again"
    call_tools(company, CHANGED, DELETED, CALLED)
    landing.land("agent_audit", company.dsn)
    second = landed_at()
    assert len(second) == 9
    assert sum(second.get(row) == at for row, at in first.items()) == 3
    source, copy = (landing.fingerprint("agent_audit", company.dsn, schema) for schema in SCHEMAS)
    assert source.equals(copy)


def test_a_growing_table_in_postgres(company: Company, postgres: Warehouse) -> None:
    check_growing(company, postgres)


@pytest.mark.emulator
def test_a_growing_table_in_bigquery(company: Company, emulator: Warehouse) -> None:
    check_growing(company, emulator)


def check_growing(company: Company, warehouse: Warehouse) -> None:
    """A first load, nothing new, rows changed and added, rows deleted: raw equals landing each time."""
    entity = ENTITIES["agent_audit"]
    wholes: list[str] = []
    load_partition = warehouse.load_partition

    def watched(*given: Any) -> int:
        wholes.append(given[3])
        return load_partition(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warehouse, "load_partition", watched)
        for run, changes, is_whole in (
            ("first", (CALLED,), True),
            ("second", (), False),
            ("third", (CHANGED, CALLED), False),
            ("fourth", (DELETED, CALLED), True),
        ):
            call_tools(company, *changes)
            rows = landing.land(entity.name, company.dsn)
            assert transfer(warehouse, entity.name, company.dsn, run) == rows
            assert (wholes[-1:] == [f"{run}-agent_audit-all"]) == is_whole
            landed = landing.fingerprint(entity.name, company.dsn)
            assert landed.equals(warehouse.fingerprint(entity))


def test_the_sources_are_what_the_entities_say(company: Company) -> None:
    assert drift.check_sources(ENTITIES, company.dsn) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("rename column amount to sum", "myproperty.payments.amount is missing"),
        ("alter column method type varchar(20)", r"payments.method is character varying\(20\), not text"),
    ],
)
def test_a_drifted_column_is_named_before_anything_is_landed(
    oltp_copy: str, change: LiteralString, named: str
) -> None:
    with psycopg.connect(oltp_copy) as connection:
        connection.execute("alter table myproperty.payments " + change)
    with pytest.raises(IngestError, match=named):
        drift.check_sources(ENTITIES, oltp_copy)


def test_a_new_column_is_told_of_and_hurts_nothing(oltp_copy: str) -> None:
    with psycopg.connect(oltp_copy) as connection:
        connection.execute("alter table myproperty.payments add column fee numeric(14, 2)")
    (warning,) = drift.check_sources(ENTITIES, oltp_copy)
    assert warning.startswith("myproperty.payments.fee is new")
    assert landing.land("payments", oltp_copy) == 0


FLAT: LiteralString = """
with p as (
    insert into myproperty.providers (tenant_id, name, kind, region)
    values (%(tenant)s, 'Spark', 'retailer', 'AU') returning id
), r as (
    insert into myproperty.rate_plans (tenant_id, provider_id, name, currency)
    select %(tenant)s, id, 'Flat', 'AUD' from p returning id
)
insert into myproperty.rate_plan_bands
    (tenant_id, rate_plan_id, charge, band, day_kind, unit_amount, tax_rate, valid_during)
select %(tenant)s, r.id, 'grid', 'flat', 'weekday', 0.3, 0.1, during
from r, unnest(array['[2025-06-01,2025-06-04)', '[2025-06-04,)']::daterange[]) as during
"""


@pytest.mark.parametrize(
    ("change", "pending"),
    [
        ("update {} set valid_during = '[2025-06-04,2025-06-06)' where valid_during @> date 'today'", {6, 7}),
        ("update {} set unit_amount = 0.4 where valid_during @> date '2025-06-01'", {1, 2, 3}),
        ("update {} set valid_during = '[2025-06-05,)' where valid_during @> date 'today'", {4}),
        ("delete from {} where valid_during @> date '2025-06-01'", {1, 2, 3}),
        ("update {} set valid_during = valid_during", set()),
    ],
)
def test_a_change_with_effect_on_past_dates_makes_them_pending(
    company: Company, change: str, pending: set[int]
) -> None:
    dates = {date(2025, 6, day) for day in range(1, 8)}
    with psycopg.connect(company.dsn) as connection:
        connection.execute(FLAT, {"tenant": company.tenant_id})
        connection.commit()
        landing.land("rate_plan_bands", company.dsn)
        connection.execute("delete from warehouse_staging.published_dates")
        connection.execute(
            "insert into warehouse_staging.published_dates (reading_date, run_id) select unnest(%s), 'r'",
            (list(dates),),
        )
        connection.execute(change.format("myproperty.rate_plan_bands").encode())
        connection.commit()
        landing.land("rate_plan_bands", company.dsn)
        kept = {row[0] for row in connection.execute("select * from warehouse_staging.published_dates")}
        connection.execute("delete from myproperty.rate_plan_bands")
    assert {day.day for day in dates - kept} == pending
