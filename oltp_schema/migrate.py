"""Migrate a database to a revision of the OLTP schema; only a DSN is needed.

Here: connecting, locking, Alembic. Not here: tables (`migrations/sql`), roles (`roles`), the old revisions
(`squash`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from myproperty.database.locks import lock_migrations
from myproperty.errors import PlatformError
from oltp_schema.roles import RoleError, ensure_roles
from oltp_schema.squash import NEW_HEAD, OLD_HEAD, SquashError, adopt_old_head

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
# Alembic keeps the running migration in module globals, so a process runs one at a time.
_ALEMBIC = threading.Lock()


class MigrationError(PlatformError):
    """A migration could not be applied; the message says why and what to do."""


def upgrade(dsn: str, revision: str = "head") -> str:
    """Apply every revision up to `revision`, in one transaction, and return the revision reached.

    `dsn` is a libpq URI or keyword string. A second call changes nothing; simultaneous calls wait for each
    other. Raises `MigrationError` if the database cannot be reached or a revision fails; then this call
    changes nothing.
    """
    with _ALEMBIC, _connect(dsn) as connection:
        try:
            with connection.begin():
                lock_migrations(_driver_connection(connection))
                ensure_roles(_driver_connection(connection))
                config = alembic_config()
                config.attributes["connection"] = connection
                _replace_old_revision(connection, config)
                command.upgrade(config, revision)
                reached = _revision(connection)
        except (DBAPIError, CommandError, RoleError, SquashError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise MigrationError(f"cannot migrate {_place(dsn)} to {revision}: {cause}") from error
    if reached is None:
        raise MigrationError(f"no revision was applied to {_place(dsn)}: use 'head' instead of {revision!r}")
    return reached


def current(dsn: str) -> str | None:
    """Return the revision of a database, or None. Raises `MigrationError` if it cannot be reached."""
    with _connect(dsn) as connection:
        return _revision(connection)


def require_current_schema(dsn: str) -> None:
    """Raise `MigrationError`, naming the next command, if the schema is not the one of this release."""
    missing = describe_missing_migrations(dsn)
    if missing is not None:
        raise MigrationError(missing)


def describe_missing_migrations(dsn: str) -> str | None:
    """Say how the revision of a database differs from the newest of this release, and what to do.

    None if it does not differ. Raises `MigrationError` if the database cannot be reached.
    """
    found, known = current(dsn), revisions()
    if found == known[-1]:
        return None
    if found is not None and found not in [*known, OLD_HEAD]:
        return (
            f"{_place(dsn)} is at revision {found}, which this release does not have: install the release "
            "that made it"
        )
    state = f"is at revision {found}, this release needs {known[-1]}" if found else "has no tables yet"
    return f"{_place(dsn)} {state}: run `myproperty migrate`, or `myproperty demo` for invented data"


def alembic_config() -> Config:
    """Build the configuration of Alembic without a file; it only names the folder of the revisions."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def revisions() -> list[str]:
    """Return every revision, oldest first."""
    return [r.revision for r in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]


def _replace_old_revision(connection: Connection, config: Config) -> None:
    """Record the revision that replaces the last one before the squash; refuse a revision without a file."""
    reached = _revision(connection)
    if reached == OLD_HEAD:
        adopt_old_head(_driver_connection(connection))
        command.stamp(config, NEW_HEAD, purge=True)
    elif reached is not None and reached not in revisions():
        raise SquashError(
            f"it is at {reached}, a revision that this release does not have. If the database is older than "
            "release 0.2.0, check out the last commit before that release, migrate there to "
            f"{OLD_HEAD}, then migrate again with this release. If the database is newer than this release, "
            "install the newer release"
        )


@contextmanager
def _connect(dsn: str) -> Iterator[Connection]:
    engine = create_engine("postgresql+psycopg://", creator=lambda: _open(dsn), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def _open(dsn: str) -> psycopg.Connection:
    try:
        return psycopg.connect(dsn, connect_timeout=10, application_name="myproperty migrate")
    except psycopg.OperationalError as error:
        raise MigrationError(
            f"the OLTP database cannot be reached at {_place(dsn)}: {error}. "
            "Start the embedded server with `myproperty up`, or set MYPROPERTY_OLTP_DSN to a running server."
        ) from error
    except psycopg.ProgrammingError as error:
        raise MigrationError(
            "the DSN of the OLTP database is malformed: write postgresql://user:password@host:port/database"
        ) from error


def _driver_connection(connection: Connection) -> psycopg.Connection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"migrations need psycopg 3, not {type(driver).__name__}")
    return driver


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": "public"})
    return context.get_current_revision()


def _place(dsn: str) -> str:
    """Return host, port and database of a DSN, without the password."""
    parts = conninfo_to_dict(dsn)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
