"""The raw layer on both engines: loads can be repeated, partitions are independent, queries only read."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from data.ingest.errors import QueryRefused
from data.landing.entities import ENTITIES
from data.landing.land import land
from data.landing.read import fingerprint_landing, read_landing
from data.raw.postgres import PostgresWarehouse
from data.raw.transfer import transfer
from data.raw.warehouse import Warehouse, open_warehouse
from myproperty import engines
from myproperty.settings import Settings
from tests.conftest import DatabaseMaker
from tests.ingest.conftest import Company
from tests.landing.conftest import CALLED, CHANGED, DAYS, DELETED, END, READINGS, call_tools

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


def test_raw_in_postgres(landed: Company, postgres: Warehouse) -> None:
    check_raw(landed, postgres)


@pytest.mark.emulator
def test_raw_in_bigquery(landed: Company, emulator: Warehouse) -> None:
    check_raw(landed, emulator)


def check_raw(landed: Company, warehouse: Warehouse) -> None:
    """Load two dates, load them again, then replace one by fewer rows: the other is unchanged."""
    tables = [read_landing("meter_readings", landed.dsn, day) for day in DAYS]
    warehouse.ensure_table(READINGS)
    warehouse.ensure_table(READINGS)
    for run in ("first", "first", "second"):
        for day, rows in zip(DAYS, tables, strict=True):
            assert warehouse.load_partition(READINGS, rows, day, f"{run}-{day}") == rows.num_rows
            assert_equals_landing(landed, warehouse, day)
    assert warehouse.load_partition(READINGS, tables[1].slice(0, 1), DAYS[1], "third") == 1
    assert list(warehouse.fingerprint(READINGS, DAYS[1], END)["rows"]) == [1]
    assert_equals_landing(landed, warehouse, DAYS[0])
    # The first rows come back: a new run loads them again.
    warehouse.load_partition(READINGS, tables[1], DAYS[1], "fourth")
    assert_equals_landing(landed, warehouse, DAYS[1])


def assert_equals_landing(landed: Company, warehouse: Warehouse, day: date) -> None:
    dates = day, day + timedelta(days=1)
    copy = warehouse.fingerprint(READINGS, *dates)
    source = fingerprint_landing("meter_readings", landed.dsn, "warehouse_staging", *dates)
    assert copy.to_dict("records") == source.to_dict("records")
    assert len(copy) > 1


def test_rows_of_another_date_are_refused(landed: Company, postgres: Warehouse) -> None:
    rows = read_landing("meter_readings", landed.dsn, DAYS[0])
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


def test_a_growing_table_in_postgres(company: Company, postgres: Warehouse) -> None:
    check_growing(company, postgres)


@pytest.mark.emulator
def test_a_growing_table_in_bigquery(company: Company, emulator: Warehouse) -> None:
    check_growing(company, emulator)


def check_growing(company: Company, warehouse: Warehouse) -> None:
    """First load, no change, changed and added rows, deleted rows: raw equals landing each time."""
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
            rows = land(entity.name, company.dsn)
            assert transfer(warehouse, entity.name, company.dsn, run) == rows
            assert (wholes[-1:] == [f"{run}-agent_audit-all"]) == is_whole
            landed = fingerprint_landing(entity.name, company.dsn)
            assert landed.equals(warehouse.fingerprint(entity))
