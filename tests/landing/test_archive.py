"""The archive of partitions: written, proven, dropped, restored, and refused."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from data.ingest.errors import IngestError
from data.ingest.readings import load as load_module
from data.ingest.readings import quarantine
from data.ingest.readings.load import ingest_file
from data.ingest.readings.partitions import PartitionError, ensure_partitions, list_partitions
from data.ingest.readings.results import IngestResult
from data.ingest.rules.table import RULES
from data.landing import archive as archive_module
from data.landing.archive import archive_partitions, list_archived, restore_date
from data.landing.entities import ENTITIES
from data.landing.land import land
from data.landing.published_dates import pending_dates, publish_dates
from myproperty.tenants import find_tenant
from tests.ingest.conftest import HEADER, V1, V2, Company, make_company

pytestmark = pytest.mark.engine

DAY, NEXT = date(2025, 6, 1), date(2025, 6, 2)
BEFORE = date(2025, 6, 3)
LineMaker = Callable[..., Path]


@pytest.fixture(scope="module")
def pair(oltp_dsn: str) -> tuple[Company, Company]:
    return make_company(oltp_dsn, "Acacia"), make_company(oltp_dsn, "Banksia")


@pytest.fixture
def lines(tmp_path: Path) -> LineMaker:
    """A function that writes readings of M1/E1 to a file: (hour from the start of DAY, value, quality)."""

    def make(name: str, *readings: tuple[int, str, str], version: str = V1) -> Path:
        start = datetime(2025, 6, 1, tzinfo=UTC)
        rows = [
            f"M1,E1,import,kWh,{(start + timedelta(hours=hour)).isoformat()},3600,{value},{quality},{version}"
            for hour, value, quality in readings
        ]
        path = tmp_path / name
        path.write_text("\n".join([HEADER, *rows]) + "\n")
        return path

    return make


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "readings")


@pytest.fixture
def loaded(pair: tuple[Company, Company], lines: LineMaker) -> Iterator[Company]:
    """Acacia and Banksia with published readings of DAY and NEXT; removed after the test."""
    acacia, banksia = pair
    first = [(hour, str(Decimal("1.000000001") * (hour + 1)), "actual") for hour in range(30)]
    ingest(acacia, lines("a.csv", *first, (30, "", "null"), (31, "99999999999.999999999", "estimated")))
    ingest(banksia, lines("b.csv", (0, "7", "actual"), (1, "0", "edited")))
    ingest(acacia, lines("c.csv", (3, "44.5", "actual"), version=V2))
    publish(acacia.dsn)
    yield acacia
    clear(acacia.dsn)


def ingest(company: Company, path: Path) -> IngestResult:
    return ingest_file(path, tenant=company.name, dsn=company.dsn)


def publish(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into warehouse_staging.published_dates (reading_date, run_id) "
            "values (%s, 'r'), (%s, 'r') "
            "on conflict (reading_date) do update set published_at = clock_timestamp()",
            (DAY, NEXT),
        )


def clear(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("drop table if exists myproperty.meter_readings_20250601")
        connection.execute("drop table if exists myproperty.meter_readings_20250602")
        # Without the triggers that protect the history.
        connection.execute("set local session_replication_role = replica")
        connection.execute(
            "truncate myproperty.ingestion_jobs, warehouse_staging.archived_dates, "
            "warehouse_staging.published_dates cascade"
        )


def frame(dsn: str, day: date = DAY) -> pd.DataFrame:
    """Return all columns of all readings of a day, by psycopg and pandas only."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "select * from myproperty.meter_readings where reading_date = %s "
            "order by tenant_id, meter_id, channel, reading_ts",
            (day,),
        )
        names = [column.name for column in found.description or ()]
        return pd.DataFrame(found.fetchall(), columns=names)


def dates(dsn: str) -> list[date]:
    return [found.reading_date for found in list_partitions(dsn)]


def statuses(results: list[Any]) -> list[tuple[date, str]]:
    return [(result.reading_date, result.status) for result in results]


def test_archived_and_restored_is_the_same_to_the_last_digit(
    loaded: Company, pair: tuple[Company, Company], store: str
) -> None:
    dsn = loaded.dsn
    before, tomorrow = frame(dsn), frame(dsn, NEXT)
    assert (len(before), len(tomorrow)) == (26, 8)
    results = archive_partitions(dsn, store, before=NEXT)
    assert statuses(results) == [(DAY, "archived")]
    assert dates(dsn) == [NEXT]
    assert frame(dsn).empty and frame(dsn, NEXT).equals(tomorrow)
    record = list_archived(dsn)[0]
    assert (record.reading_date, record.readings, record.url) == (DAY, 26, results[0].url)
    file = pd.read_parquet(record.url, dtype_backend="pyarrow")
    assert sorted(file["value_native"]) == sorted(before["value_native"])
    assert set(file.columns) == set(before.columns)

    assert archive_partitions(dsn, store, before=NEXT) == []

    assert restore_date(dsn, DAY) == record
    pd.testing.assert_frame_equal(frame(dsn), before)
    assert list_archived(dsn) == [] and dates(dsn) == [DAY, NEXT]
    assert pending_dates(dsn) == []
    for company, count in zip(pair, (24, 2), strict=True):
        assert visible(company) == (count, [company.tenant_id])
    assert protection(dsn, "meter_readings_20250601") == (True, True, True, True, False)
    with pytest.raises(PartitionError, match=r"not archived.*partitions list"):
        restore_date(dsn, DAY)


def visible(company: Company) -> tuple[int, list[str]]:
    """Return the number of readings of DAY and their tenants, as the application of this tenant sees them."""
    with psycopg.connect(company.dsn) as connection:
        connection.execute("set local role myproperty_app")
        connection.execute("select set_config('app.tenant_id', %s, true)", (company.tenant_id,))
        rows = connection.execute(
            "select tenant_id::text, count(*) from myproperty.meter_readings "
            "where reading_date = %s group by 1",
            (DAY,),
        ).fetchall()
    return sum(row[1] for row in rows), [row[0] for row in rows]


def protection(dsn: str, table: str) -> tuple[Any, ...]:
    """Return (row security, forced, has policy, both foreign keys, granted to anyone) of a partition."""
    query = """
        select relrowsecurity, relforcerowsecurity,
               exists (select from pg_policy where polrelid = c.oid),
               (select count(*) = 2 from pg_constraint where conrelid = c.oid and contype = 'f'),
               exists (select from aclexplode(relacl) where grantee <> relowner)
        from pg_class c where oid = to_regclass(%s)
    """
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query, (f"myproperty.{table}",)).fetchone()
    assert row is not None
    return row


def test_the_archive_has_every_column_of_the_table(oltp_dsn: str) -> None:
    with psycopg.connect(oltp_dsn) as connection:
        rows = connection.execute(
            "select attname from pg_attribute "
            "where attrelid = 'myproperty.meter_readings'::regclass and attnum > 0 and not attisdropped"
        ).fetchall()
    assert {row[0] for row in rows} == set(ENTITIES["meter_readings"].columns.names)


def test_the_next_run_repairs_a_crash_between_file_and_drop(
    loaded: Company, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(archive_module, "_prove_file", crash)
        archive_partitions(loaded.dsn, store, before=NEXT)
    file = Path(store) / "meter_readings_20250601.parquet"
    assert file.exists() and len(frame(loaded.dsn)) == 26 and list_archived(loaded.dsn) == []
    file.write_bytes(b"cut short")
    assert statuses(archive_partitions(loaded.dsn, store, before=NEXT)) == [(DAY, "archived")]
    assert pq.read_metadata(file).num_rows == 26
    assert [path.name for path in Path(store).iterdir()] == [file.name]


@pytest.mark.parametrize("fault", ["row", "value"])
def test_a_partition_is_kept_if_its_file_differs(
    loaded: Company, store: str, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    write = archive_module._write_file

    def damaged(rows: Any, url: str) -> None:
        if fault == "row":
            return write(rows.slice(1), url)
        position = rows.schema.get_field_index("reason_code")
        return write(rows.set_column(position, rows.schema.field(position), [["x"] * rows.num_rows]), url)

    monkeypatch.setattr(archive_module, "_write_file", damaged)
    with pytest.raises(PartitionError, match="differs from its partition"):
        archive_partitions(loaded.dsn, store, before=NEXT)
    assert len(frame(loaded.dsn)) == 26 and list_archived(loaded.dsn) == []


def test_the_database_counts_the_readings_again(loaded: Company, store: str) -> None:
    with psycopg.connect(loaded.dsn) as connection:
        connection.execute("set local role myproperty_loader")
        with pytest.raises(psycopg.DatabaseError, match="has 26 readings, its archive has 25") as caught:
            connection.execute("select myproperty.drop_readings_partition(%s, 25, 'u', 1)", (DAY,))
    assert caught.value.sqlstate == "MP004"


@pytest.mark.parametrize("role", ["myproperty_app", "myproperty_etl", "myproperty_readonly"])
def test_only_the_loader_may_drop_a_partition(loaded: Company, role: str) -> None:
    with psycopg.connect(loaded.dsn) as connection:
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select myproperty.drop_readings_partition(%s, 26, 'u', 1)", (DAY,))


def test_a_date_with_pending_marts_is_refused_unless_forced(
    loaded: Company, lines: LineMaker, store: str
) -> None:
    ingest(loaded, lines("d.csv", (4, "45.5", "actual"), version=V2))
    results = archive_partitions(loaded.dsn, store, before=BEFORE)
    assert statuses(results) == [(DAY, "refused"), (NEXT, "archived")]
    assert "2025-06-01 have changed since its marts were built" in str(results[0].reason)
    assert "myproperty run" in str(results[0].reason)
    assert not (Path(store) / "meter_readings_20250601.parquet").exists()
    assert pending_dates(loaded.dsn) == [DAY]
    assert statuses(archive_partitions(loaded.dsn, store, before=BEFORE, even_if_pending=True)) == [
        (DAY, "archived")
    ]
    assert pending_dates(loaded.dsn) == []
    restore_date(loaded.dsn, DAY)
    assert pending_dates(loaded.dsn) == [DAY]


def test_a_date_published_without_a_tenant_is_refused_unless_forced(loaded: Company, store: str) -> None:
    tenant = str(find_tenant(loaded.dsn, loaded.name).id)
    publish_dates(loaded.dsn, [DAY], "r", left_out=[tenant], failed_run_id="f")
    results = archive_partitions(loaded.dsn, store, before=BEFORE)
    assert statuses(results) == [(DAY, "refused"), (NEXT, "archived")]
    assert "published without a tenant" in str(results[0].reason)
    assert "myproperty pending" in str(results[0].reason)
    publish_dates(loaded.dsn, [DAY], "r")
    assert statuses(archive_partitions(loaded.dsn, store, before=BEFORE)) == [(DAY, "archived")]


def test_a_busy_table_is_refused(loaded: Company, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "ATTEMPTS", 1)
    with psycopg.connect(loaded.dsn) as reader:
        reader.execute("select count(*) from myproperty.meter_readings where reading_date = %s", (NEXT,))
        results = archive_partitions(loaded.dsn, store, before=NEXT)
    assert statuses(results) == [(DAY, "refused")] and "busy" in str(results[0].reason)
    assert len(frame(loaded.dsn)) == 26
    assert statuses(archive_partitions(loaded.dsn, store, before=NEXT)) == [(DAY, "archived")]


def test_recent_dates_are_not_archived(oltp_dsn: str, store: str) -> None:
    today = datetime.now(UTC).date()
    made = ensure_partitions(oltp_dsn, today, today + timedelta(days=2))
    assert made == [today + timedelta(days=offset) for offset in range(3)] == dates(oltp_dsn)
    assert ensure_partitions(oltp_dsn, today, today + timedelta(days=2)) == made
    results = archive_partitions(oltp_dsn, store, before=today + timedelta(days=1))
    assert statuses(results) == [(today, "refused")] and "too recent" in str(results[0].reason)
    with psycopg.connect(oltp_dsn) as connection:
        for day in made:
            name = sql.Identifier("myproperty", f"meter_readings_{day:%Y%m%d}")
            connection.execute(sql.SQL("drop table {}").format(name))


def test_a_file_loads_into_a_date_made_ahead_like_into_a_new_one(
    pair: tuple[Company, Company], lines: LineMaker, store: str
) -> None:
    company = pair[0]
    readings = [(hour, f"{hour}.25", "actual") for hour in range(24)]
    assert ensure_partitions(company.dsn, DAY, NEXT) == [DAY, NEXT]
    assert protection(company.dsn, "meter_readings_20250601") == (True, True, True, True, False)
    ahead = ingest(company, lines("a.csv", *readings))
    loaded_ahead = frame(company.dsn)
    # An empty partition is removed without a file; its date is not archived, so it can be loaded.
    assert statuses(archive_partitions(company.dsn, store, before=BEFORE)) == [
        (DAY, "refused"),
        (NEXT, "removed"),
    ]
    assert not Path(store).exists() and list_archived(company.dsn) == []
    clear(company.dsn)
    alone = ingest(company, lines("a.csv", *readings))
    assert (ahead.accepted, ahead.dates_touched) == (alone.accepted, alone.dates_touched) == (24, [DAY])
    of_the_load = ["id", "ingestion_job_id", "created_at", "updated_at"]
    pd.testing.assert_frame_equal(
        loaded_ahead.drop(columns=of_the_load), frame(company.dsn).drop(columns=of_the_load)
    )
    clear(company.dsn)


@pytest.mark.parametrize(("first", "last"), [(NEXT, DAY), (DAY, date(2026, 6, 2))])
def test_an_empty_or_too_long_range_is_refused(oltp_dsn: str, first: date, last: date) -> None:
    with pytest.raises(PartitionError, match="at least one date and at most 366"):
        ensure_partitions(oltp_dsn, first, last)


def test_late_readings_of_an_archived_date_are_quarantined(
    loaded: Company, lines: LineMaker, store: str
) -> None:
    dsn = loaded.dsn
    archive_partitions(dsn, store, before=NEXT)
    late = lines("late.csv", (3, "55.5", "actual"), (26, "66.5", "actual"), version="2025-06-21T00:00:00Z")
    result = ingest(loaded, late)
    assert (result.new_versions, result.quarantined, result.rules) == (1, 1, {"VEE-ARCHIVED": 1})
    assert result.dates_touched == [NEXT] and dates(dsn) == [NEXT]
    waiting = quarantine.list_quarantined(dsn, tenant=loaded.name)[0]
    assert (waiting.rule, waiting.identifier, waiting.value_native) == ("VEE-ARCHIVED", "M1", "55.5")
    assert "partitions restore" in RULES["VEE-ARCHIVED"].remedy
    restore_date(dsn, DAY)
    replayed = quarantine.replay_quarantined(dsn, waiting.id, archive=store)
    assert (replayed.new_versions, replayed.quarantined) == (1, 0)
    assert quarantine.show_quarantined(dsn, waiting.id).status == "replayed"
    assert frame(dsn).query("version == 3")["value_native"].tolist() == [Decimal("55.5")]


def test_no_other_path_writes_into_an_archived_date(
    loaded: Company, lines: LineMaker, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = loaded.dsn
    archive_partitions(dsn, store, before=NEXT)
    with pytest.raises(PartitionError, match=r"2025-06-01 are archived.*partitions restore 2025-06-01"):
        ensure_partitions(dsn, DAY, DAY)
    with pytest.raises(
        IngestError, match="2025-06-01 are archived, and landing the date would empty its marts"
    ):
        land("meter_readings", dsn, DAY, NEXT)
    with monkeypatch.context() as patched:
        patched.setattr(load_module, "read_archived_dates", lambda _: set())
        with pytest.raises(IngestError, match=r"were archived while the file was judged.*ingest it again"):
            ingest(loaded, lines("late.csv", (3, "55.5", "actual")))
    assert dates(dsn) == [NEXT]


def test_a_missing_or_changed_file_is_not_restored(loaded: Company, store: str) -> None:
    archive_partitions(loaded.dsn, store, before=NEXT)
    file = Path(store) / "meter_readings_20250601.parquet"
    rows = pq.read_table(file)
    faults: dict[str, Callable[[], object]] = {
        "cannot be read": file.unlink,
        "does not hold the 26 readings": lambda: pq.write_table(rows.slice(1), file),
        "does not have the columns": lambda: pq.write_table(rows.drop_columns(["unit"]), file),
    }
    for said, damage in faults.items():
        damage()
        with pytest.raises(PartitionError, match=said):
            restore_date(loaded.dsn, DAY)
    assert dates(loaded.dsn) == [NEXT] and len(list_archived(loaded.dsn)) == 1


def test_readings_of_a_deleted_meter_are_not_restored(
    loaded: Company, pair: tuple[Company, Company], store: str
) -> None:
    archive_partitions(loaded.dsn, store, before=NEXT)
    with psycopg.connect(loaded.dsn) as connection:
        connection.execute("set session_replication_role = replica")
        gone = (pair[1].tenant_id,)
        connection.execute("update myproperty.meters set id = uuidv7() where tenant_id = %s", gone)
    try:
        with pytest.raises(PartitionError, match="violates foreign key constraint"):
            restore_date(loaded.dsn, DAY)
        assert len(list_archived(loaded.dsn)) == 1
    finally:
        with psycopg.connect(loaded.dsn) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(
                "update myproperty.meters m set id = r.meter_id from myproperty.meter_registers r "
                "where m.tenant_id = %s and r.tenant_id = m.tenant_id",
                gone,
            )


def test_fewer_rows_than_were_archived_are_not_attached(loaded: Company, store: str) -> None:
    archive_partitions(loaded.dsn, store, before=NEXT)
    said = "0 readings of 2025-06-01 were restored, 26 were archived"
    with psycopg.connect(loaded.dsn) as connection:
        connection.execute("set local role myproperty_loader")
        connection.execute("select myproperty.begin_readings_restore(%s)", (DAY,))
        with pytest.raises(psycopg.DatabaseError, match=said) as caught:
            connection.execute("select myproperty.attach_restored_readings(%s)", (DAY,))
    assert caught.value.sqlstate == "MP004"


def test_no_partition_is_dropped_if_the_place_cannot_be_written(loaded: Company, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PartitionError, match="MYPROPERTY_READINGS_ARCHIVE_URL"):
        archive_partitions(loaded.dsn, str(tmp_path / "file"), before=NEXT)
    assert len(frame(loaded.dsn)) == 26
