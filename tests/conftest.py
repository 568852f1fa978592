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
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from xdist.scheduler.loadscope import LoadScopeScheduling

from myproperty import engines
from myproperty.settings import Settings
from oltp_schema.migrate import upgrade

DatabaseMaker = Callable[[str], AbstractContextManager[str]]
GOOGLESQL = "tests/googlesql"


class ByModule(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps what shares an expensive fixture on one worker: a module, or the proofs by Google's engine.

    Not by `xdist_group`: xdist writes the group into a field of pytest that pytest 9.2 does not have.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::", maxsplit=1)[0]
        return GOOGLESQL if module.startswith(GOOGLESQL) else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    """How xdist hands out tests, whatever its option --dist says."""
    return ByModule(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, the longest ahead: no worker is left with one while the others idle."""
    for item in items:
        if item.path.parent.name == "googlesql":
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ("slow", "emulator")])


@pytest.fixture(scope="session")
def postgres_settings() -> Iterator[Settings]:
    """Settings of a home of its own with a running PostgreSQL, both gone after the session."""
    # Below the system's /tmp and open to pass through: as root the server runs under another account.
    home = Path(tempfile.mkdtemp(prefix="myproperty-test-", dir="/tmp"))
    home.chmod(0o711)
    settings = Settings(home=home, warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
    try:
        engines.up(settings, emulator=False)
        yield settings
    finally:
        engines.down(settings)
        if not os.environ.get("MYPROPERTY_KEEP_TEST_HOME"):
            shutil.rmtree(home)


@pytest.fixture(scope="session")
def fresh_database(postgres_settings: Settings) -> DatabaseMaker:
    """A maker of empty databases: `with fresh_database("name") as dsn:`; dropped at the end of the block."""
    admin = engines.dsn(postgres_settings)

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
