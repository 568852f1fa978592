"""Start and stop the engines of one environment, and report their state and address.

How each engine works is in `myproperty.engines.postgres` and `myproperty.engines.emulator`. An environment is
described by `myproperty.settings.Settings`.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from myproperty.database.roles import OLTP_LOGINS, WAREHOUSE_LOGINS, WAREHOUSE_READER, Login
from myproperty.engines.backup.folder import archive_settings, find_folder
from myproperty.engines.emulator.server import Emulator
from myproperty.engines.errors import EngineError
from myproperty.engines.postgres import DATABASES, Postgres, server_account
from myproperty.engines.settings import EngineSettings, read_engine_settings
from myproperty.engines.superset.server import Superset
from myproperty.settings import CHECKOUT, Settings

GOOGLE = "https://bigquery.googleapis.com"


@dataclass(frozen=True)
class Status:
    """The state of the engines: running, stopped, or external (a server that we do not start)."""

    postgres: dict[str, str | None]
    warehouse: dict[str, str | None]
    home: Path
    notes: list[str] = field(default_factory=list)
    grpc_endpoint: str | None = None  # the emulator's Storage API, host:port without TLS

    def as_json(self) -> dict[str, Any]:
        """Return the document of `myproperty status --json`."""
        return {"postgres": self.postgres, "warehouse": self.warehouse, "home": str(self.home)}


def up(settings: Settings, *, emulator: bool | None = None) -> Status:
    """Start the engines that do not run yet.

    `emulator` overrides the warehouse of the settings: True starts the emulator and returns it as the
    warehouse, False leaves it out. Raises `EngineError`.
    """
    with_emulator = _wants_emulator(settings) if emulator is None else emulator
    notes = find_postgres(settings).start() if _wants_postgres(settings) else []
    if with_emulator:
        notes += find_emulator(settings).start()
    return _status(settings, notes, with_emulator)


def down(settings: Settings) -> Status:
    """Stop the engines, the warehouse's first, so that its clients finish; data and logs stay."""
    find_emulator(settings).stop()
    find_postgres(settings).stop()
    return status(settings)


def status(settings: Settings) -> Status:
    """Return the current state of the engines; starts nothing."""
    return _status(settings, [], _wants_emulator(settings))


def dsn(settings: Settings, database: str = "myproperty") -> str:
    """Return the libpq URI of the database `myproperty` or `warehouse` for migrations and rights.

    On the embedded server it is the superuser's: jobs connect by `login_dsn`. Raises `EngineError` if the
    server does not run.
    """
    if database not in DATABASES:
        raise ValueError(f"unknown database {database!r}: one of {', '.join(DATABASES)}")
    return _external(settings, database) or find_postgres(settings).dsn(database, _running_port(settings))


def login_dsn(settings: Settings, login: Login) -> str:
    """Return the libpq URI of a job: its own, or where that is not set the external database's.

    Raises `EngineError` if the embedded server does not run or does not have the login yet, or if a reader of
    an external database has no DSN: another login could do more than read.
    """
    database = "myproperty" if login in OLTP_LOGINS else "warehouse"
    own = getattr(settings, login.setting) if login.setting else None
    external = _external(settings, database)
    if external and not own and login is WAREHOUSE_READER:
        raise EngineError(
            f"no login may read for you: `myproperty migrate` makes {login.name} on the server of "
            f"MYPROPERTY_WAREHOUSE_DSN; as a superuser run ALTER ROLE {login.name} LOGIN PASSWORD '...', and "
            "give its DSN in MYPROPERTY_WAREHOUSE_READER_DSN"
        )
    if found := own or external:
        return str(found)
    port, server = _running_port(settings), find_postgres(settings)
    return server.dsn(database, port, login.name, server.login_password(login.name))


def reader_dsn(settings: Settings, name: str) -> str:
    """Return the DSN of a reader of the warehouse on PostgreSQL.

    On a server of your own libpq finds its password (`PGPASSWORD`, `~/.pgpass`). Raises `EngineError` if the
    embedded server does not run or does not have the login yet.
    """
    if external := settings.warehouse_reader_dsn or settings.warehouse_dsn:
        given = {key: str(value) for key, value in conninfo_to_dict(external).items() if key != "password"}
        return make_conninfo(**given | {"user": name})
    port, server = _running_port(settings), find_postgres(settings)
    return server.dsn("warehouse", port, name, server.login_password(name))


def account(settings: Settings, login: Login) -> str | None:
    """Return the service account that a job acts as on BigQuery; None for the machine's own credentials.

    Raises `EngineError` if other jobs have an account and the reader has none: it could do more than read.
    """
    found = getattr(settings, login.account) if login.account else None
    if found is None and login is WAREHOUSE_READER and _accounts(settings):
        raise EngineError(
            "no account may read for you: give one in MYPROPERTY_BIGQUERY_READER_ACCOUNT; docs/logins.md "
            "lists the commands that make it"
        )
    return found


def describe_accounts(settings: Settings) -> str:
    """Say which jobs act as an account of their own on BigQuery."""
    with_account = _accounts(settings)
    missing = [login.account for login in WAREHOUSE_LOGINS if login.account and login not in with_account]
    if not with_account:
        return "one for all jobs: the default credentials"
    if missing:
        names = ", ".join(f"MYPROPERTY_{name.upper()}" for name in missing)
        return f"the default credentials where unset: {names}"
    return "one for each job"


def _accounts(settings: Settings) -> list[Login]:
    return [login for login in WAREHOUSE_LOGINS if login.account and getattr(settings, login.account)]


def make_passwords(settings: Settings, readers: Iterable[str] = ()) -> dict[str, str]:
    """Return the passwords of all logins of the embedded server, by name; missing ones are made.

    `readers` are logins of the warehouse besides those of the jobs.
    """
    server = find_postgres(settings)
    names = [*(login.name for login in (*OLTP_LOGINS, *WAREHOUSE_LOGINS)), *readers]
    return {name: server.make_login_password(name) for name in names}


def _external(settings: Settings, database: str) -> str | None:
    return settings.oltp_dsn if database == "myproperty" else settings.warehouse_dsn


def _running_port(settings: Settings) -> int:
    port = find_postgres(settings).listening_on()
    if port is None:
        raise EngineError(f"the PostgreSQL server of {settings.home} is stopped: run `myproperty up`")
    return port


def _wants_postgres(settings: Settings) -> bool:
    warehouse_is_here = settings.warehouse == "postgres" and settings.warehouse_dsn is None
    return settings.oltp_dsn is None or warehouse_is_here


def _wants_emulator(settings: Settings) -> bool:
    return settings.warehouse == "emulator" and settings.bigquery_endpoint is None


def find_postgres(settings: Settings) -> Postgres:
    """Return the embedded PostgreSQL of an environment, running or not."""
    home, own = settings.home.resolve(), read_engine_settings()
    server = Postgres(
        root=_reachable_root(home) / "postgres",
        log=home / "logs" / "postgres.log",
        port=own.postgres_port,
    )
    if own.backup_folder is not None:
        server.more_settings = partial(_archive, server, settings, own)
    return server


def _archive(server: Postgres, settings: Settings, own: EngineSettings) -> Mapping[str, str]:
    """Return the settings by which a server archives its WAL in the backup folder, at its start."""
    folder = find_folder(own.backup_folder, settings)
    return archive_settings(server, folder, settings.home, own.backup_wal_seconds)


def find_server_to_back_up(settings: Settings) -> tuple[Postgres, Path]:
    """Return the embedded PostgreSQL and its backup folder. Raises `EngineError` if there is none."""
    if not _wants_postgres(settings):
        raise EngineError(
            "the databases are on servers of your own (MYPROPERTY_OLTP_DSN): back them up there, as "
            "docs/backups.md says"
        )
    return find_postgres(settings), find_folder(read_engine_settings().backup_folder, settings)


def find_emulator(settings: Settings) -> Emulator:
    """Return the BigQuery emulator of an environment, running or not."""
    home, own = settings.home.resolve(), read_engine_settings()
    return Emulator(
        root=home / "emulator",
        logs=home / "logs",
        venv=own.emulator_venv or _shared_folder(home) / "emulator-venv",
        project=settings.bigquery_project,
        port=own.emulator_port,
        python=own.emulator_python,
    )


def find_superset(settings: Settings) -> Superset:
    """Return the Superset of an environment, running or not."""
    home, own = settings.home.resolve(), read_engine_settings()
    return Superset(
        root=home / "superset",
        logs=home / "logs",
        venv=own.superset_venv or _shared_folder(home) / "superset-venv",
        port=own.superset_port,
    )


def _shared_folder(home: Path) -> Path:
    """Return the checkout's own folder if it is writable (560 MB once for all homes), else the home."""
    return CHECKOUT / ".local" if os.access(CHECKOUT, os.W_OK) else home


def _reachable_root(home: Path) -> Path:
    """Return the folder of the data: the home, with one exception.

    The server's account cannot reach the default home of a checkout in root's private home: the data then
    goes to /var/lib/myproperty. A home that the user set is always used.
    """
    if home != (CHECKOUT / ".local").resolve() or server_account() is None:
        return home
    if all(folder.stat().st_mode & 0o001 for folder in CHECKOUT.resolve().parents):
        return home
    return Path("/var/lib/myproperty") / hashlib.sha256(str(home).encode()).hexdigest()[:12]


def _status(settings: Settings, notes: list[str], with_emulator: bool) -> Status:
    server = find_postgres(settings)
    port = server.listening_on()

    def database(name: str, external: str | None) -> dict[str, str | None]:
        if external is not None:
            return {"state": "external", "dsn": external}
        if port is None:
            return {"state": "stopped", "dsn": None}
        return {"state": "running", "dsn": server.dsn(name, port)}

    grpc_endpoint = None
    if with_emulator:
        found = find_emulator(settings).running()
        warehouse = {
            "kind": "emulator",
            "state": "running" if found else "stopped",
            "endpoint": f"http://127.0.0.1:{found.port}" if found else None,
            "project": settings.bigquery_project,
        }
        grpc_endpoint = f"127.0.0.1:{found.grpc_port}" if found else None
    elif settings.warehouse == "postgres":
        here = database("warehouse", settings.warehouse_dsn)
        warehouse = {"kind": "postgres", **here, "project": None}
    else:
        warehouse = {
            "kind": settings.warehouse,
            "state": "external",
            "endpoint": settings.bigquery_endpoint or GOOGLE,
            "project": settings.bigquery_project,
            "accounts": describe_accounts(settings),
        }
    oltp = database("myproperty", settings.oltp_dsn)
    return Status(oltp, warehouse, settings.home, notes, grpc_endpoint)
