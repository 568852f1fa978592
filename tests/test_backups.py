"""Backups of the embedded PostgreSQL, on real servers: what a restore brings back, and what is refused."""

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import fsspec
import psutil
import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner, Result

from commands.main import app
from dagster_project.alerts.facts import read_old_backups
from dagster_project.alerts.messages import compose_old_backup
from dagster_project.defs.backups.jobs import base_backup
from dagster_project.prometheus import format_metrics
from dagster_project.resources.platform import Platform
from data.demo import apply_company
from data.demo.company import list_tenants
from myproperty import engines
from myproperty.engines.backup import take
from myproperty.engines.backup.folder import find_chain, list_backups
from myproperty.engines.backups import copy_wal, read_backup_times
from myproperty.engines.environment import find_postgres, find_server_to_back_up
from myproperty.sealing import Sealer
from myproperty.sealing.errors import SealingError
from myproperty.settings import CHECKOUT, Settings, get_settings
from oltp_schema.fingerprint import describe_schema
from oltp_schema.migrate import upgrade
from tests.engine_support import kill, temporary_home

pytestmark = [pytest.mark.engine, pytest.mark.slow(minutes=1.0)]
AS_ROOT = os.geteuid() == 0
# Each test syncs a hundred megabytes or more to disk, in vain: no test crashes the machine.
SHARED = Path("/dev/shm")
HAS_MEMORY = SHARED.is_dir() and shutil.disk_usage(SHARED).free > 2 * 2**30
MEMORY = SHARED if HAS_MEMORY else Path("/var/tmp")


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    """A home whose server was made and stopped; tests copy its data."""
    with temporary_home(MEMORY) as home:
        settings = Settings(home=home, warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
        engines.up(settings)
        engines.down(settings)
        yield home


@pytest.fixture
def home(made_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with a running server that archives to the folder `backups` beside the home."""
    with temporary_home(MEMORY) as place:
        home = place / "home"
        subprocess.run(["cp", "-a", made_home, home], check=True)
        use(monkeypatch, home, place / "backups")
        engines.up(get_settings())
        yield home
        engines.down(get_settings())
    get_settings.cache_clear()


def use(monkeypatch: pytest.MonkeyPatch, home: Path, folder: Path) -> None:
    """Let the commands of this process work on a home and a backup folder."""
    for name in ("OLTP_DSN", "WAREHOUSE_DSN", "KEY_STORE_URL", "MASTER_KEYS"):
        monkeypatch.delenv(f"MYPROPERTY_{name}", raising=False)
    monkeypatch.setenv("MYPROPERTY_WAREHOUSE", "postgres")
    monkeypatch.setenv("MYPROPERTY_HOME", str(home))
    monkeypatch.setenv("MYPROPERTY_BACKUP_FOLDER", str(folder))
    get_settings.cache_clear()


def run(words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == code, (done.output, done.stderr, done.exception)
    return done


def ask(statement: str, database: str = "myproperty") -> list[tuple[Any, ...]]:
    with psycopg.connect(engines.dsn(get_settings(), database), autocommit=True) as connection:
        result = connection.execute(statement.encode())
        return result.fetchall() if result.description else []


def now() -> str:
    """The instant by the clock of the server, between two transactions."""
    return str(ask("select clock_timestamp() at time zone 'UTC'")[0][0]).replace(" ", "T") + "Z"


def fingerprint() -> dict[str, str]:
    """A checksum of the rows of each table of both databases, and of the schema."""
    found = {}
    for database in ("myproperty", "warehouse"):
        with psycopg.connect(engines.dsn(get_settings(), database)) as connection:
            tables = connection.execute(
                "select schemaname, tablename from pg_tables "
                "where schemaname not in ('pg_catalog', 'information_schema')"
            ).fetchall()
            for schema, table in tables:
                rows = sql.SQL(
                    "select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {} as t"
                )
                row = connection.execute(rows.format(sql.Identifier(schema, table))).fetchone()
                found[f"{database}.{schema}.{table}"] = row[0] if row else ""
            schema_lines = "\n".join(describe_schema(connection))
            found[database] = hashlib.sha256(schema_lines.encode()).hexdigest()
    return found


def backup_folder(home: Path) -> Path:
    return home.parent / "backups"


def wal_of(home: Path) -> list[Path]:
    (chain,) = [path for path in backup_folder(home).iterdir() if path.is_dir()]
    return sorted(path for path in (chain / "wal").iterdir() if len(path.name) == 24)


def test_a_restore_brings_back_every_row_of_the_instant(home: Path) -> None:
    dsn, tenant = engines.dsn(get_settings()), list_tenants("small")[0].id
    upgrade(dsn)
    with Sealer(dsn, get_settings()) as sealer:
        apply_company(dsn, sealer=sealer)
    ask("create table figures as select 1 as figure", "warehouse")
    run("backup")
    ask("update myproperty.properties set name = name || ' (renamed)'")
    ask("insert into figures select generate_series(2, 5000)", "warehouse")
    before, instant = fingerprint(), now()
    assert len(before) > 60
    ask(f"delete from myproperty.notification_preferences where tenant_id = '{tenant}'")
    ask("drop table myproperty.agent_messages cascade")
    ask("truncate figures", "warehouse")
    after, later = fingerprint(), now()

    run(f"restore --to {instant} --yes")
    assert fingerprint() == before
    assert names(tenant) and all(name.endswith("(demo)") for name in names(tenant))
    shutil.move(home / "keys", home / "keys-elsewhere")
    with pytest.raises(SealingError):
        names(tenant)
    shutil.move(home / "keys-elsewhere", home / "keys")
    keys = [path.read_bytes().strip() for path in (home / "keys").rglob("*") if path.is_file()]
    for file in (path for path in backup_folder(home).rglob("*") if path.is_file()):
        content = file.read_bytes()
        assert not any(key in content for key in keys)

    # What was there before the restore is not lost: it can be restored in its turn.
    run(f"restore --to {later} --yes")
    assert fingerprint() == after
    assert len(list((home / "postgres").glob("data-before-*"))) == 2


def names(tenant: UUID) -> list[str]:
    query = f"select id, full_name from myproperty.users where tenant_id = '{tenant}' order by id"
    with Sealer(engines.dsn(get_settings()), get_settings()) as sealer:
        return [
            sealer.unseal(value, tenant=tenant, table="users", column="full_name", row=user)
            for user, value in ask(query)
        ]


def test_a_lost_disk_loses_what_was_not_archived_and_a_broken_folder_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("create table kept (i int)")
    run("backup")
    ask("insert into kept values (1)")
    ask("select pg_switch_wal()")
    ask("insert into kept values (2)")
    while len(wal_of(home)) < 2:
        time.sleep(0.05)
    found = find_postgres(get_settings())._postmaster()
    assert found
    kill(found[0])
    (home / "postgres" / "data" / "global" / "pg_control").unlink()
    with pytest.raises(engines.EngineError, match="broken"):
        engines.up(get_settings())
    # Another machine has the backups alone.
    with temporary_home(MEMORY) as other:
        use(monkeypatch, other / "home", backup_folder(home))
        done = json.loads(run("restore --to latest --json").stdout)
        assert done["old_data"] is None
        assert ask("table kept") == [(1,)]
        run("backup")
        run("backups")
        engines.down(get_settings())
    use(monkeypatch, home, backup_folder(home))
    run("restore --to latest --yes")
    assert ask("table kept") == [(1,), (2,)]


def test_written_wal_is_archived_within_the_promised_seconds(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines.down(get_settings())
    monkeypatch.setenv("MYPROPERTY_BACKUP_WAL_SECONDS", "1")
    engines.up(get_settings())
    run("backup")
    before = len(wal_of(home))
    ask("create table kept (i int)")
    written = time.monotonic()
    while len(wal_of(home)) == before:
        time.sleep(0.05)
        assert time.monotonic() - written < 10
    assert json.loads(run("backups --json").stdout)["wal"]["loses_at_most_s"] == 1


def kill_once_there_is(path: str, below: Path, words: str) -> None:
    """Run a command in a process of its own, and kill it as soon as a file of this pattern is there."""
    command = [sys.executable, "-m", "commands.main", *words.split()]
    running = subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.DEVNULL)
    while not list(below.glob(path)):
        time.sleep(0.001)
        assert running.poll() is None
    running.kill()
    assert running.wait() == -signal.SIGKILL


def test_a_killed_backup_is_no_backup(home: Path) -> None:
    ask("create table large as select i, repeat('x', 1000) as text from generate_series(1, 30000) as i")
    kill_once_there_is("*/.new-*/data/base", backup_folder(home), "backup")
    assert list_backups(backup_folder(home)) == []
    assert "no base backup" in run("backups", 1).stderr
    taken = json.loads(run("backup --json").stdout)["backup"]
    assert [backup.name for backup in list_backups(backup_folder(home))] == [taken]
    assert not list(backup_folder(home).glob("*/.new-*"))
    run("backups")


def test_a_killed_restore_changes_nothing(home: Path) -> None:
    run("backup")
    ask("create table kept (i int)")
    instant = now()
    ask("create table later (i int)")
    postgres = home / "postgres"
    kill_once_there_is("restore-*/data/postmaster.pid", postgres, f"restore --to {instant} --yes")
    assert ask("table later") == []
    run(f"restore --to {instant} --yes")
    assert ask("select to_regclass('kept')::text, to_regclass('later')::text") == [("kept", None)]
    assert not list(postgres.glob("restore*"))
    folders = [process.info["cwd"] for process in psutil.process_iter(["cwd"])]
    assert not [folder for folder in folders if folder and f"{postgres}/restore-" in folder]


def test_a_missing_segment_is_named(home: Path) -> None:
    run("backup")
    instants = []
    for number in range(4):
        ask(f"create table t{number} (i int)")
        instants.append(now())
        ask("select pg_switch_wal()")
    ask("create table last (i int)")
    instant = now()
    ask("create table after_it (i int)")
    engines.down(get_settings())  # archives the rest
    gone = wal_of(home)[-3]
    hidden = gone.rename(gone.with_suffix(".gone"))
    # The data folder still has the segment; a lost disk does not.
    (home / "postgres" / "data" / "pg_wal" / gone.name).unlink(missing_ok=True)
    for wanted in (instant, "latest"):
        done = run(f"restore --to {wanted} --yes", 1)
        assert gone.name in done.stderr and "missing" in done.stderr
    assert gone.name in run("backups", 1).stderr
    run(f"restore --to {instants[0]} --yes")
    assert ask("select to_regclass('t0')::text, to_regclass('t1')::text") == [("t0", None)]
    hidden.rename(gone)
    run(f"restore --to {instant} --yes")
    assert ask("select to_regclass('last')::text, to_regclass('after_it')::text") == [("last", None)]


def test_a_full_archive_is_a_problem_and_no_obstacle(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("backup")
    folder = wal_of(home)[0].parent
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.parents[:2])} == {0o700}
    folder.chmod(0o500)
    ask("create table kept (i int)")
    instant = now()
    ask("drop table kept")
    monkeypatch.setattr(take, "ARCHIVING_TIMEOUT_S", 1.0)
    assert "has not archived" in run("backup", 1).stderr
    assert "cannot archive" in run("backups", 1).stderr
    run(f"restore --to {instant} --yes")
    assert ask("table kept") == []
    folder.chmod(0o700)


def test_a_damaged_backup_is_refused_and_changes_nothing(home: Path) -> None:
    name = json.loads(run("backup --json").stdout)["backup"]
    instant = now()
    ask("create table kept (i int)")
    (file,) = backup_folder(home).glob(f"*/{name}/data/PG_VERSION")
    file.write_text("17\n")
    done = run(f"restore --to {instant} --yes", 1)
    assert f"{name} is damaged" in done.stderr and "PG_VERSION" in done.stderr
    assert ask("table kept") == []
    assert not list((home / "postgres").glob("restore-*"))


def test_instants_out_of_range_are_refused(home: Path) -> None:
    early = now()
    assert "there is no backup" in run(f"restore --to {early} --yes", 1).stderr
    name = json.loads(run("backup --json").stdout)["backup"]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for wanted in (early, f"{tomorrow:%Y-%m-%dT%H:%M:%SZ}"):
        done = run(f"restore --to {wanted} --yes", 1)
        assert "no backup reaches" in done.stderr and name in done.stderr
    assert "so its state is the latest" in run("restore --to latest --yes", 1).stderr
    assert "is no instant" in run("restore --to yesterday --yes", 2).stderr
    assert "no backup of-old" in run(f"restore --to {now()} --backup of-old --yes", 1).stderr


def test_old_backups_and_their_wal_are_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPROPERTY_BACKUPS_KEPT", "1")
    first = json.loads(run("backup --json").stdout)["backup"]
    ask("create table kept (i int)")
    done = json.loads(run("backup --json").stdout)
    assert done["removed"] == [first]
    (left,) = list_backups(backup_folder(home))
    assert min(path.name for path in wal_of(home)) == left.first_segment.name
    instant = now()
    ask("drop table kept")
    run(f"restore --to {instant} --yes")
    assert ask("table kept") == []
    # The restored server has a chain of its own; the old one goes with its last backup, and so does the
    # chain of a restore after which no backup was taken.
    run(f"restore --to {instant} --yes")
    run("backup")
    assert len([path for path in backup_folder(home).iterdir() if path.is_dir()]) == 1


def test_a_restore_that_was_killed_before_its_last_step_is_finished_by_up(home: Path) -> None:
    ask("create table kept (i int)")
    engines.down(get_settings())
    data = home / "postgres" / "data"
    data.rename(data.with_name("restored"))
    engines.up(get_settings())
    assert ask("table kept") == []


@pytest.mark.parametrize("folder", ["home/keys", "home/keys/backups", "home", "."])
def test_keys_and_backups_are_apart(folder: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, home, home.parent / folder)
    assert "are not apart" in run("backup", 1).stderr
    run("down")
    assert "are not apart" in run("up", 1).stderr


def test_a_server_that_does_not_archive_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, home, home.parent / "other")
    assert "does not archive" in run("backup", 1).stderr
    assert "does not archive" in run("backups", 1).stderr
    use(monkeypatch, home, backup_folder(home))
    engines.down(get_settings())
    shutil.move(backup_folder(home), home.parent / "unmounted")
    assert "Mount the disk" in run("up", 1).stderr
    monkeypatch.delenv("MYPROPERTY_BACKUP_FOLDER")
    engines.up(get_settings())
    assert "MYPROPERTY_BACKUP_FOLDER is not set" in run("backup", 1).stderr
    for name in ("OLTP", "WAREHOUSE"):
        monkeypatch.setenv(f"MYPROPERTY_{name}_DSN", "postgresql://other")
    get_settings.cache_clear()
    assert "servers of your own" in run("backup", 1).stderr
    use(monkeypatch, home, backup_folder(home))


@pytest.mark.skipif(not AS_ROOT, reason="only root mounts a small file system")
def test_a_full_disk_is_named_and_leaves_no_backup(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines.down(get_settings())
    small = home.parent / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m,mode=755", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let root mount a file system")
    try:
        use(monkeypatch, home, small / "backups")
        engines.up(get_settings())
        done = run("backup", 1)
        assert "is full" in done.stderr and str(small) in done.stderr
        assert list_backups(small / "backups") == []
        assert not list((small / "backups").glob("*/.new-*"))
        engines.down(get_settings())
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_two_commands_take_turns(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take, "OTHERS_TIMEOUT_S", 0.1)
    with take.only_user(backup_folder(home)):
        assert "another command" in run("backup", 1).stderr
    run("backup")


def archive_now(home: Path) -> None:
    """Have the server archive what is committed."""
    server, folder = find_server_to_back_up(get_settings())
    with take.connect(server, take.running_port(server)) as connection:
        chain = find_chain(server, folder, home)
        assert chain is not None
        take.archive_up_to_now(connection, server, chain)


def test_copies_outlive_both_disks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Home and backup folder are lost: a new machine restores from the bucket, with rows after the backup."""
    monkeypatch.setenv("MYPROPERTY_BACKUP_URL", f"file://{home.parent / 'bucket'}")
    ask("create table kept as select 1 as n")
    assert "copied to MYPROPERTY_BACKUP_URL" in run("backup").stdout
    ask("insert into kept values (2)")
    archive_now(home)
    assert "copied up to" in copy_wal(get_settings())
    engines.down(get_settings())
    shutil.rmtree(home)
    shutil.rmtree(backup_folder(home))
    use(monkeypatch, home.with_name("new"), home.parent / "again")
    assert "were copied" in run("backups --fetch").stderr
    run("restore --to latest")
    assert ask("table kept") == [(1,), (2,)]
    run("backup")
    engines.down(get_settings())
    use(monkeypatch, home, backup_folder(home))


def test_the_bucket_keeps_as_many_backups_and_mends_half_files(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYPROPERTY_BACKUP_URL", "memory://bucket/backups")
    monkeypatch.setenv("MYPROPERTY_BACKUPS_KEPT", "1")
    bucket = fsspec.filesystem("memory")
    names = [json.loads(run("backup --json").stdout)["backup"] for _ in range(2)]
    found = bucket.find("/bucket/backups")
    assert [path for path in found if path.endswith("/backup.json")] == [
        f"/bucket/backups/{names[1].split('-')[0]}/{names[1]}/backup.json"
    ]
    assert {Path(path).name for path in found if "/wal/" in path} == {
        path.name for path in (wal_of(home)[0].parent).iterdir()
    }
    half = next(path for path in found if "/wal/" in path)
    whole = bucket.size(half)
    bucket.pipe_file(half, b"half")
    copy_wal(get_settings())
    assert bucket.size(half) == whole


@pytest.mark.parametrize(
    ("url", "key_store", "reason"),
    [
        ("file://{home}/keys/copies", "", "are not apart"),
        ("file://{home}/../backups/copies", "", "leads into the backup folder"),
        ("memory://bucket/backups", "memory://bucket/keys", "are not apart"),
        ("nothing://bucket", "", "cannot be opened"),
    ],
)
def test_copies_and_keys_are_apart(
    url: str, key_store: str, reason: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYPROPERTY_BACKUP_URL", url.format(home=home))
    monkeypatch.setenv("MYPROPERTY_KEY_STORE_URL", key_store)
    get_settings.cache_clear()
    assert reason in run("backup", 1).stderr
    assert list_backups(backup_folder(home)) == []


def test_the_job_backs_up_and_an_old_backup_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPROPERTY_BACKUP_URL", "memory://told/backups")
    settings = get_settings()
    now = datetime.now(UTC)
    tomorrow = now + timedelta(hours=27)
    assert read_old_backups(settings, now) == []
    assert [old.newest_at for old in read_old_backups(settings, tomorrow)] == [None, None]
    assert base_backup.execute_in_process(resources={"platform": Platform(settings)}).success
    times = read_backup_times(settings)
    assert times is not None and times.copied is not None
    assert times.backup_at == times.copied.backup_at
    samples = dict(
        line.rsplit(" ", 1)
        for line in format_metrics(settings).splitlines()
        if line.startswith("myproperty_last_")
    )
    for place in ("folder", "bucket"):
        assert times.backup_at is not None
        value = samples[f'myproperty_last_backup_timestamp_seconds{{place="{place}"}}']
        assert float(value) == pytest.approx(times.backup_at.timestamp())
    assert times.copied.wal_at is not None
    assert float(samples["myproperty_last_copied_wal_timestamp_seconds"]) > now.timestamp() - 60
    assert read_old_backups(settings, now + timedelta(hours=25)) == []
    (folder, _) = read_old_backups(settings, tomorrow)
    alert = compose_old_backup(folder, settings.alert_backup_hours, tomorrow)
    assert "the newest base backup ended 2" in alert.body and "mend: myproperty backup" in alert.body
