"""What every test may ask for: one PostgreSQL a test session, and databases on it.

Not here: rows. A test says itself what it needs in a table.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from myproperty import local
from myproperty.settings import Settings
from oltp_schema.migrate import upgrade

DatabaseMaker = Callable[[str], AbstractContextManager[str]]


# First, since xdist reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares an expensive fixture on one worker: a module, or the proofs by Google's engine.

    The long ones come first, so that no worker is left with one while the others have nothing to do.
    """
    for item in items:
        group = "googlesql" if item.path.parent.name == "googlesql" else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
        if group == "googlesql":
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def postgres_settings() -> Iterator[Settings]:
    """Settings of a home of its own with a running PostgreSQL, both gone after the session."""
    # Below the system's /tmp and open to pass through: as root the server runs under another account.
    home = Path(tempfile.mkdtemp(prefix="myproperty-test-", dir="/tmp"))
    home.chmod(0o711)
    settings = Settings(home=home, warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
    try:
        local.up(settings, emulator=False)
        yield settings
    finally:
        local.down(settings)
        if not os.environ.get("MYPROPERTY_KEEP_TEST_HOME"):
            shutil.rmtree(home)


@pytest.fixture(scope="session")
def fresh_database(postgres_settings: Settings) -> DatabaseMaker:
    """A maker of empty databases: `with fresh_database("name") as dsn:`; dropped at the end of the block."""
    admin = local.dsn(postgres_settings)

    @contextmanager
    def make(name: str) -> Iterator[str]:
        database = f"{name}_{uuid.uuid4().hex[:8]}"
        _execute(admin, sql.SQL("create database {}").format(sql.Identifier(database)))
        try:
            yield urlsplit(admin)._replace(path=f"/{database}").geturl()
        finally:
            _execute(admin, sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))

    return make


@pytest.fixture(scope="module")
def oltp_dsn(fresh_database: DatabaseMaker) -> Iterator[str]:
    """The DSN of a database at the head of the migrations, empty at the start of each test module."""
    with fresh_database("oltp") as dsn:
        upgrade(dsn)
        yield dsn


def _execute(dsn: str, statement: sql.Composed) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)
