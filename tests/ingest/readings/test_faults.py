"""Faults during a load: killed processes and servers, a full disk, impossible values.

The expected rows come from the file itself, never from another load.
"""

import multiprocessing
import random
import subprocess
import tempfile
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import sql

from data.ingest.readings.load import ingest_file
from myproperty import engines
from myproperty.database.session import Session
from myproperty.errors import DatabaseUnavailable
from myproperty.settings import Settings
from oltp_schema.migrate import upgrade
from tests.engine_support import kill_server, temporary_home
from tests.ingest import victim
from tests.ingest.conftest import HEADER, V1, V2, Company, FileMaker, hours, make_company

pytestmark = [pytest.mark.engine, pytest.mark.slow]

DAYS, HOURS = 12, 24
SERVER_KILLS = 5
SPREAD = ["0001-01-01T00:00:00Z", "9999-12-31T23:00:00Z"]


def written(path: Path) -> list[tuple[datetime, Decimal]]:
    """Return the good readings in the text of a file."""
    lines = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return [(datetime.fromisoformat(line[4]), Decimal(line[6])) for line in lines if float(line[6]) >= 0]


def medium(folder: Path, start: datetime, version: str = V1, step: str = "0.001") -> Path:
    """Write a file of quarter hours of twelve days, with one bad reading."""
    lines = [HEADER]
    for number in range(DAYS * HOURS * 4):
        at = (start + timedelta(minutes=15 * number)).isoformat()
        lines.append(f"M1,E1,import,kWh,{at},900,{(number + 1) * Decimal(step)},actual,{version}")
    lines[7] = lines[7].replace(f",{7 * Decimal(step)},", ",-1,")
    path = folder / f"{start:%Y%m%d}-{version[:10]}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def stored(company: Company, path: Path) -> list[tuple[datetime, Decimal]]:
    """Return the current readings of the days of a file."""
    first, last = written(path)[0][0], written(path)[-1][0]
    return company.rows(
        "select reading_ts, value_native from myproperty.meter_readings "
        "where tenant_id = %s and reading_ts between %s and %s order by 1",
        company.tenant_id, first, last,
    )  # type: ignore[return-value]  # fmt: skip


def is_whole(company: Company, path: Path) -> None:
    """Check that the tables hold the readings of the file once, and no rest of a killed load."""
    assert stored(company, path) == written(path)
    job = company.rows(
        "select j.id, j.accepted + j.new_versions, j.quarantined, j.finished_at is not null, "
        "(select count(*) from warehouse_staging.quarantined_readings q where q.ingestion_job_id = j.id), "
        "(select sum(readings) from myproperty.ingestion_job_dates d where d.ingestion_job_id = j.id) "
        "from myproperty.ingestion_jobs j where j.tenant_id = %s and j.source_uri = %s",
        company.tenant_id, str(path),
    )  # fmt: skip
    good = len(written(path))
    assert [row[1:] for row in job] == [(good, 1, True, 1, good)]
    apart = company.rows(
        "select relname from pg_class where relname ~ '^meter_readings_\\d+$' and relkind = 'r' "
        "and relnamespace = 'myproperty'::regnamespace and not relispartition"
    )
    assert apart == []


@pytest.fixture(scope="module")
def processes() -> Any:
    """A context of processes that start with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.ingest.victim"])
    return context


def test_one_file_given_to_four_processes_is_loaded_once(
    company: Company, tmp_path: Path, processes: Any
) -> None:
    path = medium(tmp_path, datetime(2021, 1, 1, tzinfo=UTC))
    with ProcessPoolExecutor(4, mp_context=processes) as pool:
        started = [pool.submit(victim.ingest, str(path), company.name, company.dsn) for _ in range(4)]
        found = sorted(each.result(timeout=120) for each in started)
    assert found == ["loaded", "unchanged", "unchanged", "unchanged"]
    is_whole(company, path)


def test_a_process_killed_at_ten_points_leaves_all_or_nothing_and_a_rerun_completes_it(
    company: Company, tmp_path: Path, processes: Any
) -> None:
    """Half of the kills hit days without a partition, half a revision of existing readings."""
    points = random.Random(20261124)
    calls = calls_of_a_load(company, tmp_path)
    killed = 0
    for number in range(10):
        path = medium(tmp_path, datetime(2022, 1 + number // 2, 1, tzinfo=UTC))
        if number % 2:
            before = stored(company, path)
            path = medium(tmp_path, datetime(2022, 1 + number // 2, 1, tzinfo=UTC), V2, "0.002")
        else:
            before = []
        arguments = (str(path), company.name, company.dsn, points.randint(1, calls), points.random() / 50)
        process = processes.Process(target=victim.ingest, args=arguments)
        process.start()
        process.join(timeout=120)
        killed += process.exitcode == -9
        assert process.exitcode in (0, -9)
        assert stored(company, path) in (before, written(path))
        ingest_file(path, tenant=company.name, dsn=company.dsn)
        is_whole(company, path)
    assert killed >= 5


def calls_of_a_load(company: Company, folder: Path) -> int:
    """Return the number of database calls of an undisturbed load of new days."""
    made = 0

    def count(original: Any) -> Any:
        def call(self: Session, *given: Any, **named: Any) -> Any:
            nonlocal made
            made += 1
            return original(self, *given, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in victim.CALLS:
            patch.setattr(Session, name, count(getattr(Session, name)))
        path = medium(folder, datetime(2023, 1, 1, tzinfo=UTC))
        ingest_file(path, tenant=company.name, dsn=company.dsn)
    is_whole(company, path)
    return made


@pytest.fixture
def restore_session() -> Iterator[None]:
    """Restore the methods of a session after the test."""
    kept = {name: getattr(Session, name) for name in victim.CALLS}
    yield
    for name, original in kept.items():
        setattr(Session, name, original)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_backend_that_is_terminated_is_a_clear_error_and_leaves_nothing(
    company: Company, tmp_path: Path, restore_session: None, share: float
) -> None:
    calls = calls_of_a_load(company, tmp_path)

    def terminate(session: Session) -> None:
        pid = psycopg_pid(session)
        company.rows("select pg_terminate_backend(%s, 5000)", pid)

    path = medium(tmp_path, datetime(2024, 1, 1, tzinfo=UTC))
    victim.at_call(int(calls * share), terminate)
    with pytest.raises(DatabaseUnavailable, match=r"(?s)database was lost: .*ingest the file again"):
        ingest_file(path, tenant=company.name, dsn=company.dsn)
    assert stored(company, path) == []
    assert ingest_file(path, tenant=company.name, dsn=company.dsn).status == "loaded"
    is_whole(company, path)


def psycopg_pid(session: Session) -> int:
    """Return the id of the server process of a session."""
    return session._connection.info.backend_pid


def test_a_server_killed_during_a_load_is_a_clear_error_and_a_rerun_completes_the_file(
    tmp_path: Path,
) -> None:
    with temporary_home() as home:
        settings = Settings(home=home, warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
        engines.up(settings, emulator=False)
        try:
            upgrade(engines.dsn(settings))
            company = make_company(engines.dsn(settings), "Kestrel")
            # From the second to the last call, at equal distances.
            points = np.linspace(2, calls_of_a_load(company, tmp_path), SERVER_KILLS, dtype=int)
            for number, point in enumerate(points):
                path = medium(tmp_path, datetime(2022, 1 + number, 1, tzinfo=UTC))
                with pytest.MonkeyPatch.context() as patch:
                    for name in victim.CALLS:
                        patch.setattr(Session, name, getattr(Session, name))
                    victim.at_call(int(point), lambda _: kill_server(settings))
                    with pytest.raises(DatabaseUnavailable, match=r"was lost|cannot be reached"):
                        ingest_file(path, tenant="Kestrel", dsn=engines.dsn(settings))
                engines.up(settings, emulator=False)
                assert stored(company, path) == []
                ingest_file(path, tenant="Kestrel", dsn=engines.dsn(settings))
                is_whole(company, path)
        finally:
            engines.down(settings)


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(company: Company, tmp_path: Path) -> None:
    """A trigger raises the error of a full disk in the middle of the load."""
    path = medium(tmp_path, datetime(2025, 1, 1, tzinfo=UTC))
    with psycopg.connect(company.dsn, autocommit=True) as db:
        db.execute(
            "create function public.full_disk() returns trigger language plpgsql as "
            "$$ begin raise disk_full using message = 'No space left on device'; end $$"
        )
        db.execute(
            "create trigger full_disk before insert on myproperty.ingestion_job_dates "
            "for each row execute function public.full_disk()"
        )
        try:
            with pytest.raises(DatabaseUnavailable, match=r"(?s)No space left.*make room, then"):
                ingest_file(path, tenant=company.name, dsn=company.dsn)
        finally:
            db.execute("drop function public.full_disk() cascade")
    assert stored(company, path) == []
    ingest_file(path, tenant=company.name, dsn=company.dsn)
    is_whole(company, path)


@pytest.fixture
def small_disk(company: Company) -> Iterator[Path]:
    """A disk of 512 KB for new partitions; mounting it needs root."""
    data = Path(str(company.rows("show data_directory")[0][0]))
    disk = Path(tempfile.mkdtemp(prefix="myproperty-disk-", dir="/var/tmp"))
    owner = data.stat()
    size = f"size=512k,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        disk.rmdir()
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    database = sql.Identifier(str(company.rows("select current_database()")[0][0]))
    with psycopg.connect(company.dsn, autocommit=True) as db:
        db.execute(sql.SQL("create tablespace small location {}").format(sql.Literal(str(disk))))
        db.execute("grant create on tablespace small to public")
        db.execute(sql.SQL("alter database {} set default_tablespace = small").format(database))
    yield disk
    with psycopg.connect(company.dsn, autocommit=True) as db:
        db.execute(sql.SQL("alter database {} reset default_tablespace").format(database))
        there = db.execute("select schemaname, tablename from pg_tables where tablespace = 'small'")
        for table in there.fetchall():
            db.execute(sql.SQL("drop table {}").format(sql.Identifier(*table)))
        db.execute("drop tablespace small")
    subprocess.run(["umount", disk], check=True)
    disk.rmdir()


def test_a_really_full_disk_leaves_nothing_and_takes_the_file_once_there_is_room(
    company: Company, small_disk: Path, tmp_path: Path
) -> None:
    path = medium(tmp_path, datetime(2019, 1, 1, tzinfo=UTC))
    with pytest.raises(DatabaseUnavailable, match=r"(?s)No space left on device.*make room, then"):
        ingest_file(path, tenant=company.name, dsn=company.dsn)
    assert stored(company, path) == []
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    ingest_file(path, tenant=company.name, dsn=company.dsn)
    is_whole(company, path)
    in_small = company.rows("select count(*) from pg_tables where tablespace = 'small'")
    assert in_small[0][0] == DAYS


def test_impossible_values_and_dates_are_quarantined_one_by_one(
    company: Company, csv_file: FileMaker
) -> None:
    path = csv_file("a.csv", hours(1))
    lines = path.read_text().splitlines()
    good = lines[1].split(",")
    bad = [(at, "1") for at in SPREAD]
    bad += [
        (f"2025-06-02T0{hour}:00:00Z", value) for hour, value in enumerate(["NaN", "inf", "-inf", "1e308"])
    ]
    lines += [",".join([*good[:4], at, good[5], value, *good[7:]]) for at, value in bad]
    path.write_text("\n".join(lines) + "\n")
    result = ingest_file(path, tenant=company.name, dsn=company.dsn)
    assert (result.status, result.accepted, result.quarantined) == ("loaded", 1, len(bad))
    kept = company.rows(
        "select line, rule from warehouse_staging.quarantined_readings where tenant_id = %s order by line",
        company.tenant_id,
    )
    assert [line for line, _ in kept] == [3, 4, 5, 6, 7, 8]
    assert {rule for _, rule in kept} <= {
        "ROW-VALUE", "ROW-PRECISION", "ROW-TIMESTAMP", "VEE-FUTURE", "VEE-RANGE", "VEE-DATE",
    }  # fmt: skip


def test_another_tenants_identifier_is_unknown_and_not_revealed(
    company: Company, csv_file: FileMaker
) -> None:
    other = make_company(company.dsn, f"Other of {company.name}")
    theirs = csv_file("a.csv", hours(2), identifier="ONLY-THEIRS")
    assert ingest_file(theirs, tenant=other.name, dsn=other.dsn, create_meters="Site").accepted == 2
    result = ingest_file(theirs, tenant=company.name, dsn=company.dsn)
    assert (result.status, result.accepted) == ("refused", 0)
    reported = str(result.as_json()) + str(
        company.rows(
            "select to_jsonb(q) from warehouse_staging.invalid_files q where tenant_id = %s",
            company.tenant_id,
        )
    )
    meter = other.rows("select id::text from myproperty.meters where tenant_id = %s", other.tenant_id)
    for secret in (other.name, other.tenant_id, other.property_id, *(str(row[0]) for row in meter)):
        assert secret not in reported


@pytest.mark.parametrize("head", [HEADER, "100,NEM12,200506081149,A,B"])
def test_a_line_without_an_end_is_refused_in_bounded_memory(
    company: Company, tmp_path: Path, head: str
) -> None:
    """The line has 64 MB, of which only a few blocks are in memory."""
    path = tmp_path / "endless.csv"
    with path.open("wb") as file:
        file.write(head.encode() + b"\n")
        for _ in range(64):
            file.write(b"1" * (1 << 20))
    tracemalloc.start()
    result = ingest_file(path, tenant=company.name, dsn=company.dsn)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.refusal is not None
    assert "a line is longer than" in result.refusal.reason
    assert peak < 16 << 20
