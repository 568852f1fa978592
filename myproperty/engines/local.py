"""The engines of one environment: bring them up, take them down, say how they are and where.

How each engine works is in `myproperty.engines.postgres` and `myproperty.engines.emulator`; what an
environment is, in `myproperty.settings`.
"""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from myproperty.engines.base import EngineError, EngineSettings
from myproperty.engines.emulator.server import Emulator
from myproperty.engines.postgres import DATABASES, Postgres, server_account
from myproperty.settings import CHECKOUT, Settings

__all__ = ["EngineError", "Status", "down", "dsn", "status", "up"]

GOOGLE = "https://bigquery.googleapis.com"


@dataclass(frozen=True)
class Status:
    """How the engines are. `state` is running, stopped, or external for what is not ours to start."""

    postgres: dict[str, str | None]
    warehouse: dict[str, str | None]
    home: Path
    notes: list[str] = field(default_factory=list)
    grpc_endpoint: str | None = None  # the emulator's Storage API, host:port without TLS

    def as_json(self) -> dict[str, Any]:
        """The document of `myproperty status --json`."""
        return {"postgres": self.postgres, "warehouse": self.warehouse, "home": str(self.home)}


def up(settings: Settings, *, emulator: bool | None = None) -> Status:
    """Start what is not running; `emulator` True or False overrules the settings' choice of warehouse.

    Raises EngineError, whose message ends with what to do. With the emulator asked for, it is the status's
    warehouse.
    """
    with_emulator = _wants_emulator(settings) if emulator is None else emulator
    notes = _postgres(settings).start() if _wants_postgres(settings) else []
    if with_emulator:
        notes += _emulator(settings).start()
    return _status(settings, notes, with_emulator)


def down(settings: Settings) -> Status:
    """Stop what runs, in the order that lets clients of the warehouse finish first; data and logs stay."""
    _emulator(settings).stop()
    _postgres(settings).stop()
    return status(settings)


def status(settings: Settings) -> Status:
    """How the engines are now; starts nothing."""
    return _status(settings, [], _wants_emulator(settings))


def dsn(settings: Settings, database: str = "myproperty", role: str | None = None) -> str:
    """A libpq URI of `myproperty` or `warehouse`, as the superuser or a login role.

    Raises EngineError where the server does not run.
    """
    if database not in DATABASES:
        raise ValueError(f"unknown database {database!r}: one of {', '.join(DATABASES)}")
    external = settings.oltp_dsn if database == "myproperty" else settings.warehouse_dsn
    if external is not None:
        if role is not None:
            raise EngineError(f"the DSN of {database} is set from outside: SET ROLE {role} after connecting")
        return external
    server = _postgres(settings)
    port = server.listening_on()
    if port is None:
        raise EngineError(f"PostgreSQL of {settings.home} does not run: run `myproperty up`")
    password = None if role is None else server.role_password(role, port)
    return server.dsn(database, port, role, password)


def _wants_postgres(settings: Settings) -> bool:
    warehouse_is_here = settings.warehouse == "postgres" and settings.warehouse_dsn is None
    return settings.oltp_dsn is None or warehouse_is_here


def _wants_emulator(settings: Settings) -> bool:
    return settings.warehouse == "emulator" and settings.bigquery_endpoint is None


def _postgres(settings: Settings) -> Postgres:
    home = settings.home.resolve()
    return Postgres(
        root=_reachable_root(home) / "postgres",
        log=home / "logs" / "postgres.log",
        port=EngineSettings().postgres_port,
    )


def _emulator(settings: Settings) -> Emulator:
    home, own = settings.home.resolve(), EngineSettings()
    return Emulator(
        root=home / "emulator",
        logs=home / "logs",
        venv=own.emulator_venv or _shared_folder(home) / "emulator-venv",
        project=settings.bigquery_project,
        port=own.emulator_port,
        python=own.emulator_python,
    )


def _shared_folder(home: Path) -> Path:
    """The checkout's own folder, so that the 560 MB are there once for all homes; else the home."""
    return CHECKOUT / ".local" if os.access(CHECKOUT, os.W_OK) else home


def _reachable_root(home: Path) -> Path:
    """Where the data lies: in the home.

    A checkout in root's private home is the exception: the server's account cannot reach the default home
    there, so the data goes to a folder of the system. A home chosen by name is never left.
    """
    if home != (CHECKOUT / ".local").resolve() or server_account() is None:
        return home
    if all(folder.stat().st_mode & 0o001 for folder in CHECKOUT.resolve().parents):
        return home
    return Path("/var/lib/myproperty") / hashlib.sha256(str(home).encode()).hexdigest()[:12]


def _status(settings: Settings, notes: list[str], with_emulator: bool) -> Status:
    server = _postgres(settings)
    port = server.listening_on()

    def database(name: str, external: str | None) -> dict[str, str | None]:
        if external is not None:
            return {"state": "external", "dsn": external}
        if port is None:
            return {"state": "stopped", "dsn": None}
        return {"state": "running", "dsn": server.dsn(name, port)}

    grpc_endpoint = None
    if with_emulator:
        found = _emulator(settings).running()
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
        }
    oltp = database("myproperty", settings.oltp_dsn)
    return Status(oltp, warehouse, settings.home, notes, grpc_endpoint)
