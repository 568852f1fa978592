"""Partitions of readings: made on demand, once, also at the same moment, and pruned by the planner."""

import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

pytestmark = pytest.mark.engine
NEW_DAY = date(2026, 2, 1)
SCHEMAS = (("myproperty", "myproperty_loader"), ("warehouse_staging", "myproperty_etl"))


def ensure(db: psycopg.Connection, schema: str, day: date) -> str:
    statement = sql.SQL("select {}.ensure_readings_partition({})").format(
        sql.Identifier(schema), sql.Literal(day)
    )
    row = db.execute(statement).fetchone()
    assert row is not None
    return str(row[0])


def partitions(db: psycopg.Connection, schema: str) -> list[str]:
    query = "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass order by 1"
    return [row[0] for row in db.execute(query, (f"{schema}.meter_readings",))]


@pytest.mark.parametrize(("schema", "role"), SCHEMAS)
def test_made_on_demand_and_only_once(db: psycopg.Connection, schema: str, role: str) -> None:
    db.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    name = f"{schema}.meter_readings_20260201"
    before = partitions(db, schema)
    assert ensure(db, schema, NEW_DAY) == name
    assert ensure(db, schema, NEW_DAY) == name
    assert partitions(db, schema) == [*before, name]


@pytest.mark.parametrize(("schema", "role"), SCHEMAS)
def test_made_at_the_same_moment(
    migrated_database: Callable[[str], AbstractContextManager[str]], schema: str, role: str
) -> None:
    together = threading.Barrier(4)
    with migrated_database("together") as dsn:

        def make(_: int) -> str:
            with psycopg.connect(dsn) as db:
                db.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
                together.wait(30)
                return ensure(db, schema, NEW_DAY)

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(make, range(4))) == {f"{schema}.meter_readings_20260201"}
        with psycopg.connect(dsn) as db:
            assert partitions(db, schema) == [f"{schema}.meter_readings_20260201"]


@pytest.mark.parametrize(("schema", "role"), SCHEMAS)
def test_a_date_without_partition_has_no_default_to_hide_in(
    db: psycopg.Connection, companies: Any, insert: Any, schema: str, role: str
) -> None:
    query = "select partdefid from pg_partitioned_table where partrelid = %s::regclass"
    assert db.execute(query, (f"{schema}.meter_readings",)).fetchone() == (0,)
    row = {**companies[0].rows()[f"{schema}.meter_readings"], "reading_date": date(2026, 1, 2)}
    with pytest.raises(errors.CheckViolation, match="no partition of relation"):
        insert(db, f"{schema}.meter_readings", row)


@pytest.mark.parametrize("day", ["1989-12-31", "2100-01-01", "infinity", None])
def test_an_impossible_date_is_refused(db: psycopg.Connection, day: str | None) -> None:
    with pytest.raises(psycopg.errors.DatabaseError, match="1990-01-01 to 2099-12-31"):
        db.execute("select myproperty.ensure_readings_partition(%s::date)", (day,))


def test_a_partition_built_apart_is_attached_with_its_checks(
    db: psycopg.Connection, companies: Any, insert: Any
) -> None:
    company = companies[0]
    apart = begin(db, NEW_DAY)
    assert apart == "myproperty.meter_readings_20260201"
    insert(db, apart, reading_on(company, NEW_DAY))
    assert count(db, NEW_DAY) == 0
    attach(db, NEW_DAY)
    assert count(db, NEW_DAY) == 1
    assert begin(db, NEW_DAY) is None
    with pytest.raises(errors.UniqueViolation):
        insert(db, "myproperty.meter_readings", reading_on(company, NEW_DAY))


@pytest.mark.parametrize("column", ["meter_id", "ingestion_job_id"])
def test_attach_checks_foreign_keys_across_tenants(
    db: psycopg.Connection, companies: Any, insert: Any, column: str
) -> None:
    acacia, banksia = companies
    foreign = {"meter_id": banksia.meter, "ingestion_job_id": banksia.job}[column]
    insert(db, str(begin(db, NEW_DAY)), {**reading_on(acacia, NEW_DAY), column: foreign})
    with pytest.raises(errors.ForeignKeyViolation, match=column):
        attach(db, NEW_DAY)


def test_a_table_apart_fills_in_tenant_and_job_and_ceases_when_attached(
    db: psycopg.Connection, companies: Any, insert: Any
) -> None:
    company = companies[0]
    apart = "myproperty.meter_readings_20260201"
    defaults = sql.SQL("""
        select a.attname, pg_get_expr(d.adbin, d.adrelid) from pg_attribute as a
        join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = {}::regclass order by a.attname
    """)
    ordinary = db.execute(defaults.format("myproperty.meter_readings")).fetchall()
    db.execute(
        "select myproperty.begin_readings_partition(%s, %s, %s)", (NEW_DAY, company.tenant, company.job)
    )
    row = reading_on(company, NEW_DAY)
    insert(db, apart, {name: row[name] for name in row if name not in ("tenant_id", "ingestion_job_id")})
    attach(db, NEW_DAY)
    stored = db.execute(
        "select tenant_id, ingestion_job_id from myproperty.meter_readings where reading_date = %s",
        (NEW_DAY,),
    ).fetchall()
    assert stored == [(company.tenant, company.job)]
    assert db.execute(defaults.format(apart)).fetchall() == ordinary


def test_attach_checks_foreign_keys_in_bulk(db: psycopg.Connection, companies: Any) -> None:
    """Row by row each reading would look its meter up: as readings do that join an attached partition."""
    rows = 5_000
    before = meter_lookups(db)
    fill(db, str(begin(db, NEW_DAY)), companies[0], "import", rows)
    attach(db, NEW_DAY)
    attached = meter_lookups(db)
    fill(db, "myproperty.meter_readings", companies[0], "export", rows)
    assert attached - before < rows / 100
    assert meter_lookups(db) - attached >= rows


def test_the_wrong_order_is_explained(db: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.DatabaseError, match="no separate table of 2026-02-01") as attached:
        attach(db, NEW_DAY)
    assert "begin_readings_partition" in str(attached.value.diag.message_hint)
    db.rollback()
    begin(db, NEW_DAY)
    with pytest.raises(psycopg.errors.DatabaseError, match="created but not attached"):
        begin(db, NEW_DAY)


def test_loads_of_different_dates_at_once_do_not_deadlock(
    migrated_database: Callable[[str], AbstractContextManager[str]], make_company: Any, insert: Any
) -> None:
    company = make_company("Acacia")
    together = threading.Barrier(3)
    with migrated_database("parallel") as dsn:
        with psycopg.connect(dsn) as db:
            for table in ("tenants", "properties", "meters"):
                insert(db, f"myproperty.{table}", company.rows()[f"myproperty.{table}"])

        def load(offset: int) -> None:
            job, day = uuid.uuid4(), NEW_DAY + timedelta(days=offset)
            with psycopg.connect(dsn) as db:
                db.execute("set local role myproperty_loader")
                apart = db.execute(
                    "select myproperty.begin_readings_partition(%s, %s, %s)", (day, company.tenant, job)
                ).fetchall()[0][0]
                insert(db, apart, {**reading_on(company, day), "ingestion_job_id": job})
                together.wait(30)
                db.execute("select myproperty.lock_ledger()")
                insert(
                    db,
                    "myproperty.ingestion_jobs",
                    {
                        **company.rows()["myproperty.ingestion_jobs"],
                        "id": job,
                        "content_hash": str(offset) * 64,
                    },
                )
                attach(db, day)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(load, range(3)))
        with psycopg.connect(dsn) as db:
            assert [count(db, NEW_DAY + timedelta(days=offset)) for offset in range(3)] == [1, 1, 1]


def test_a_constant_reading_date_prunes_and_the_instant_does_not(
    db: psycopg.Connection, companies: Any
) -> None:
    for offset in range(3):
        ensure(db, "myproperty", NEW_DAY + timedelta(days=offset))
    assert planned(db, "reading_date = '2026-02-02'") == {"meter_readings_20260202"}
    assert planned(db, "reading_date >= '2026-02-01' and reading_date < '2026-02-03'") == {
        "meter_readings_20260201",
        "meter_readings_20260202",
    }
    assert len(planned(db, "reading_ts >= '2026-02-01 00:00+00'")) == 4


def test_of_many_partitions_a_query_of_one_day_opens_one(db: psycopg.Connection, companies: Any) -> None:
    last = NEW_DAY + timedelta(days=59)
    db.execute("set local role myproperty_loader")
    made = [
        row[0] for row in db.execute("select myproperty.ensure_readings_partitions(%s, %s)", (NEW_DAY, last))
    ]
    assert len(made) == 60 and set(made) <= set(partitions(db, "myproperty"))
    indexed = sql.SQL("reading_date = '2026-03-01' and tenant_id = {} and meter_id = {}").format(
        sql.Literal(companies[0].tenant), sql.Literal(companies[0].meter)
    )
    assert planned(db, indexed.as_string(db)) == {"meter_readings_20260301"}
    assert len(planned(db, "reading_ts = '2026-03-01 12:00+00'")) == 61


@pytest.mark.parametrize("day", [NEW_DAY, NEW_DAY + timedelta(days=1)])
def test_a_partition_made_ahead_shows_no_other_tenant(
    db: psycopg.Connection, companies: Any, insert: Any, day: date
) -> None:
    acacia, banksia = companies
    db.execute("select myproperty.ensure_readings_partitions(%s, %s)", (NEW_DAY, NEW_DAY + timedelta(days=1)))
    for company in companies:
        insert(db, "myproperty.meter_readings", reading_on(company, day))
    db.execute("set local role myproperty_app")
    for tenant, seen in ((acacia.tenant, 1), (banksia.tenant, 1), ("", 0)):
        db.execute("select set_config('app.tenant_id', %s, true)", (str(tenant),))
        assert count(db, day) == seen
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied"):
        db.execute(
            sql.SQL("select from {}").format(sql.Identifier("myproperty", f"meter_readings_{day:%Y%m%d}"))
        )


def meter_lookups(db: psycopg.Connection) -> int:
    """Index scans of the meters in this transaction."""
    query = "select idx_scan from pg_stat_xact_user_tables where relid = 'myproperty.meters'::regclass"
    row = db.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def fill(db: psycopg.Connection, table: str, company: Any, channel: str, rows: int) -> None:
    """Readings without value, one a second of `NEW_DAY`."""
    statement = sql.SQL("""
        insert into {} (tenant_id, meter_id, channel, reading_ts, reading_date, interval_seconds, unit,
                        quality, is_estimated, source, source_version, ingestion_job_id)
        select %s, %s, %s, timestamptz '2026-02-01 00:00+00' + i * interval '1 second', '2026-02-01', 1,
               'kWh', 'null', false, 'test', now(), %s
        from generate_series(1, %s) as i
    """).format(sql.Identifier(*table.split(".")))
    db.execute(statement, (company.tenant, company.meter, channel, company.job, rows))


def begin(db: psycopg.Connection, day: date) -> str | None:
    row = db.execute("select myproperty.begin_readings_partition(%s)", (day,)).fetchone()
    assert row is not None
    return None if row[0] is None else str(row[0])


def attach(db: psycopg.Connection, day: date) -> None:
    db.execute("select myproperty.attach_readings_partition(%s)", (day,))


def count(db: psycopg.Connection, day: date) -> int:
    row = db.execute(
        "select count(*) from myproperty.meter_readings where reading_date = %s", (day,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def reading_on(company: Any, day: date) -> dict[str, Any]:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    row: dict[str, Any] = company.reading(reading_date=day, reading_ts=noon)
    return row


def planned(db: psycopg.Connection, condition: str) -> set[str]:
    """The tables that a plan over the readings would open."""
    query = f"explain (format json) select * from myproperty.meter_readings where {condition}"
    row = db.execute(query.encode()).fetchone()
    assert row is not None
    return set(_relations(json.loads(json.dumps(row[0]))))


def _relations(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _relations(item)]
    if isinstance(node, dict):
        own = [node["Relation Name"]] if "Relation Name" in node else []
        return own + [name for item in node.values() for name in _relations(item)]
    return []
