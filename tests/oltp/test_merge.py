"""Merging into dates that have rows: whatever the loader sends, every reading keeps a meter and a job.

The database switches the row triggers of foreign keys off while it merges, so what they would refuse is tried
here, past the program that loads files.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import errors

pytestmark = pytest.mark.engine
DAY = date(2026, 3, 4)
LOADER: LiteralString = "set local role myproperty_loader"
ORPHANS: LiteralString = """
    select count(*) from (
        select tenant_id, meter_id, ingestion_job_id from myproperty.meter_readings where reading_date = %s
        union all
        select tenant_id, meter_id, ingestion_job_id from myproperty.meter_reading_versions
        where reading_date = %s
    ) as r
    left join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
    left join myproperty.ingestion_jobs as j on j.tenant_id = r.tenant_id and j.id = r.ingestion_job_id
    where m.id is null or j.id is null
"""


class Loader:
    """A tenant with a meter and a job, in a database of its own whose date has its partition."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.tenant, self.meter = self.add_tenant("Ours")
        self.job = self.add_job(self.tenant)
        with psycopg.connect(dsn) as db:
            db.execute("select myproperty.ensure_readings_partition(%s)", (DAY,))

    def add_tenant(self, name: str) -> tuple[uuid.UUID, uuid.UUID]:
        """(tenant, its one meter)."""
        tenant, site, meter = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
        with psycopg.connect(self.dsn) as db:
            db.execute(
                "insert into myproperty.tenants (id, name, region) values (%s, %s, 'AU')", (tenant, name)
            )
            db.execute(
                "insert into myproperty.properties (id, tenant_id, name, timezone) "
                "values (%s, %s, 'Site', 'UTC')",
                (site, tenant),
            )
            db.execute(
                "insert into myproperty.meters (id, tenant_id, property_id, type, serial_number, timezone) "
                "values (%s, %s, %s, 'grid', 'M1', 'UTC')",
                (meter, tenant, site),
            )
        return tenant, meter

    def add_job(self, tenant: uuid.UUID) -> uuid.UUID:
        job = uuid.uuid4()
        with psycopg.connect(self.dsn) as db:
            db.execute(
                "insert into myproperty.ingestion_jobs (id, tenant_id, source_uri, content_hash, status) "
                "values (%s, %s, 'a.csv', %s, 'loaded')",
                (job, tenant, job.hex * 2),
            )
        return job

    def merge(self, db: psycopg.Connection, **changed: Any) -> list[tuple[Any, ...]]:
        """Merge one reading as the loader, with the `changed` columns."""
        row = {
            "meter_id": self.meter, "channel": "import", "reading_date": DAY,
            "reading_ts": datetime(2026, 3, 4, 5, tzinfo=UTC), "interval_seconds": 3600, "value_native": 1,
            "unit": "kWh", "value_kwh": 1, "quality": "actual", "is_estimated": False, "source": "test",
            "source_version": datetime(2026, 3, 5, tzinfo=UTC), **changed,
        }  # fmt: skip
        job = row.pop("job", self.job)
        db.execute(LOADER)
        db.execute("select myproperty.begin_readings_merge()")
        names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        db.execute(f"insert into pg_temp.arriving ({names}) values ({marks})".encode(), list(row.values()))
        return db.execute("select * from myproperty.merge_readings(%s, %s)", (job, [DAY])).fetchall()

    def orphans(self) -> int:
        with psycopg.connect(self.dsn) as db:
            return int(db.execute(ORPHANS, (DAY, DAY)).fetchall()[0][0])

    def readings(self) -> int:
        with psycopg.connect(self.dsn) as db:
            query = "select count(*) from myproperty.meter_readings where reading_date = %s"
            return int(db.execute(query, (DAY,)).fetchall()[0][0])


@pytest.fixture(scope="module")
def loader(migrated_database: Callable[[str], AbstractContextManager[str]]) -> Iterator[Loader]:
    with migrated_database("merging") as dsn:
        yield Loader(dsn)


@pytest.fixture
def stranger(loader: Loader) -> tuple[uuid.UUID, uuid.UUID]:
    return loader.add_tenant(f"Theirs {uuid.uuid4()}")


def test_a_meter_or_job_that_is_not_there_or_of_another_tenant_is_refused(
    loader: Loader, stranger: tuple[uuid.UUID, uuid.UUID]
) -> None:
    their_tenant, their_meter = stranger
    their_job = loader.add_job(their_tenant)
    wrong: list[dict[str, Any]] = [
        {"meter_id": uuid.uuid4()},
        {"meter_id": their_meter},
        {"job": uuid.uuid4()},
        {"job": their_job},
    ]
    before = loader.readings()
    for changed in wrong:
        with psycopg.connect(loader.dsn) as db:
            with pytest.raises(
                (errors.ForeignKeyViolation, errors.RaiseException, errors.DatabaseError)
            ) as said:
                loader.merge(db, **changed)
            assert said.value.sqlstate in ("23503", "MP004"), changed
            db.rollback()
    assert (loader.readings(), loader.orphans()) == (before, 0)


def test_keys_and_checks_hold_while_row_triggers_are_off(loader: Loader) -> None:
    with psycopg.connect(loader.dsn) as db:
        with pytest.raises(errors.CheckViolation):
            loader.merge(db, value_native=-1, value_kwh=-1)
        db.rollback()
        with pytest.raises(errors.DatabaseError, match="a date that the merge does not name"):
            loader.merge(db, reading_date=date(2026, 3, 5), reading_ts=datetime(2026, 3, 5, tzinfo=UTC))


def test_the_loader_has_row_checks_before_and_after_and_cannot_switch_them_off(loader: Loader) -> None:
    with psycopg.connect(loader.dsn) as db:
        assert [row[1:] for row in loader.merge(db)] in ([("new", 1)], [])
        assert db.execute("show session_replication_role").fetchall() == [("origin",)]
        with pytest.raises(errors.ForeignKeyViolation), db.transaction():
            db.execute(
                "insert into myproperty.meter_readings (tenant_id, meter_id, channel, reading_ts, "
                "reading_date, interval_seconds, value_native, unit, value_kwh, quality, is_estimated, "
                "source, source_version, ingestion_job_id) values (%s, %s, 'import', %s, %s, 3600, 1, 'kWh', "
                "1, 'actual', false, 'test', now(), %s)",
                (loader.tenant, uuid.uuid4(), datetime(2026, 3, 4, 9, tzinfo=UTC), DAY, loader.job),
            )
            db.execute("set constraints all immediate")
        for statement in (
            b"set session_replication_role = replica",
            b"select myproperty.write_without_row_checks('select 1')",
            b"drop table pg_temp.arriving",
        ):
            with pytest.raises(errors.InsufficientPrivilege), db.transaction():
                db.execute(statement)


def test_a_table_of_the_loaders_own_making_is_not_merged(loader: Loader) -> None:
    with psycopg.connect(loader.dsn) as db:
        db.execute(LOADER)
        db.execute("create temporary table arriving (like myproperty.meter_readings)")
        with pytest.raises(errors.DatabaseError, match="has no table arriving"):
            db.execute("select * from myproperty.merge_readings(%s, %s)", (loader.job, [DAY]))


def test_a_merge_reads_its_own_meters_whatever_the_tenant_has(loader: Loader) -> None:
    """Counted by PostgreSQL: the rows of `meters` that a transaction has read."""
    counter = (
        "select pg_stat_get_xact_tuples_returned(o) + pg_stat_get_xact_tuples_fetched(o) "
        "from to_regclass('myproperty.meters') as o"
    )

    def read_meters(hour: int) -> int:
        with psycopg.connect(loader.dsn) as db:
            loader.merge(db, reading_ts=datetime(2026, 3, 4, hour, tzinfo=UTC))
            return int(db.execute(counter).fetchall()[0][0])

    with psycopg.connect(loader.dsn) as db:
        db.execute(
            "insert into myproperty.meters (tenant_id, property_id, type, serial_number, timezone) "
            "select tenant_id, property_id, type, 'more ' || n, timezone "
            "from myproperty.meters, generate_series(1, 2000) as n where id = %s",
            (loader.meter,),
        )
    assert read_meters(10) < 10


def test_a_meter_cannot_be_deleted_while_its_first_reading_is_merged(
    loader: Loader, stranger: tuple[uuid.UUID, uuid.UUID]
) -> None:
    """The delete waits for the merge, as it would for a row trigger, and then finds the reading."""
    tenant, meter = stranger
    job = loader.add_job(tenant)
    outcome: list[str | None] = []

    def delete() -> None:
        try:
            with psycopg.connect(loader.dsn) as db:
                db.execute("delete from myproperty.meters where id = %s", (meter,))
                outcome.append(None)
        except errors.Error as error:
            outcome.append(error.sqlstate)

    with psycopg.connect(loader.dsn) as db:
        loader.merge(db, meter_id=meter, job=job)
        deleting = threading.Thread(target=delete)
        deleting.start()
        deleting.join(timeout=1)
        assert outcome == []
        db.commit()
    deleting.join(timeout=30)
    assert outcome in (["23503"], ["23001"])
    assert loader.orphans() == 0


def test_a_meter_deleted_before_the_merge_proves_it_is_refused(
    loader: Loader, stranger: tuple[uuid.UUID, uuid.UUID]
) -> None:
    """The merge waits for the delete, and then finds no meter."""
    tenant, meter = stranger
    job = loader.add_job(tenant)
    failed: list[str | None] = []

    def merge() -> None:
        try:
            with psycopg.connect(loader.dsn) as db:
                loader.merge(db, meter_id=meter, job=job)
        except errors.Error as error:
            failed.append(error.sqlstate)

    with psycopg.connect(loader.dsn) as db:
        db.execute("delete from myproperty.meters where id = %s", (meter,))
        merging = threading.Thread(target=merge)
        merging.start()
        merging.join(timeout=1)
        assert failed == []
        db.commit()
    merging.join(timeout=30)
    assert failed == ["23503"]
    assert loader.orphans() == 0


def test_versions_move_and_replaced_readings_are_kept_and_logged(loader: Loader) -> None:
    with psycopg.connect(loader.dsn) as db:
        at = datetime(2026, 3, 4, 7, tzinfo=UTC)
        assert loader.merge(db, reading_ts=at) == [(DAY, "new", 1)]
        newer = {"value_native": 2, "value_kwh": 2, "source_version": datetime(2026, 3, 6, tzinfo=UTC)}
        assert loader.merge(db, reading_ts=at, **newer) == [(DAY, "newer", 1)]
        assert loader.merge(db, reading_ts=at, **newer) == []
        db.execute("reset role")
        current = db.execute(
            "select value_kwh, version from myproperty.meter_readings "
            "where reading_date = %s and reading_ts = %s",
            (DAY, at),
        ).fetchall()
        kept = db.execute(
            "select value_kwh, version from myproperty.meter_reading_versions "
            "where reading_date = %s and reading_ts = %s",
            (DAY, at),
        ).fetchall()
        logged = db.execute(
            "select action from audit.logged_actions where table_name = 'meter_readings'"
        ).fetchall()
    assert (current, kept, logged) == ([(2, 2)], [(1, 1)], [("update",)])


def test_without_the_right_to_skip_them_row_checks_do_the_same(loader: Loader) -> None:
    with psycopg.connect(loader.dsn) as db:
        db.execute("revoke set on parameter session_replication_role from myproperty_partitioner")
        at = datetime(2026, 3, 4, 8, tzinfo=UTC)
        assert loader.merge(db, reading_ts=at) == [(DAY, "new", 1)]
        with pytest.raises(errors.ForeignKeyViolation):
            loader.merge(db, reading_ts=at, meter_id=uuid.uuid4())
        db.rollback()
