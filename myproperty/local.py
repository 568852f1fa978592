"""The engines of one environment: bring them up, take them down, say how they are and where.

How each engine works is in `myproperty.postgres` and `myproperty.emulator`; what an environment is, in
`myproperty.settings`.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from myproperty.engine import EngineError, EngineSettings
from myproperty.postgres import DATABASES, Postgres, server_account
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

    def as_json(self) -> dict[str, Any]:
        """The document of `myproperty status --json`."""
        return {"postgres": self.postgres, "warehouse": self.warehouse, "home": str(self.home)}


def up(settings: Settings, *, emulator: bool | None = None) -> Status:
    """Start what is not running. Raises EngineError, whose message ends with what to do."""
    notes = _postgres(settings).start() if _wants_postgres(settings) else []
    return _status(settings, notes)


def down(settings: Settings) -> Status:
    """Stop what runs; data and logs stay."""
    _postgres(settings).stop()
    return _status(settings, [])


def status(settings: Settings) -> Status:
    """How the engines are now; starts nothing."""
    return _status(settings, [])


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


def _postgres(settings: Settings) -> Postgres:
    home = settings.home.resolve()
    return Postgres(
        root=_reachable_root(home) / "postgres",
        log=home / "logs" / "postgres.log",
        port=EngineSettings().postgres_port,
    )


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


def _status(settings: Settings, notes: list[str]) -> Status:
    server = _postgres(settings)
    port = server.listening_on()

    def database(name: str, external: str | None) -> dict[str, str | None]:
        if external is not None:
            return {"state": "external", "dsn": external}
        if port is None:
            return {"state": "stopped", "dsn": None}
        return {"state": "running", "dsn": server.dsn(name, port)}

    if settings.warehouse == "postgres":
        here = database("warehouse", settings.warehouse_dsn)
        warehouse = {"kind": "postgres", **here, "project": None}
    else:
        warehouse = {
            "kind": "bigquery",
            "state": "external",
            "endpoint": settings.bigquery_endpoint or GOOGLE,
            "project": settings.bigquery_project,
        }
    return Status(database("myproperty", settings.oltp_dsn), warehouse, settings.home, notes)
