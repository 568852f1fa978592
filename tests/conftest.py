"""What every test may ask for: one PostgreSQL a test session, and databases on it.

Not here: rows. A test says itself what it needs in a table.
"""

import gc
import os
import re
import shutil
import signal
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from xdist.scheduler.loadscope import LoadScopeScheduling

from myproperty import engines
from myproperty.settings import Settings

# A test never opens the Dagster instance of the person who starts it.
os.environ.pop("DAGSTER_HOME", None)
# Nor does its server archive WAL to that person's backups.
os.environ.pop("MYPROPERTY_BACKUP_FOLDER", None)
DatabaseMaker = Callable[[str], AbstractContextManager[str]]


# Folders of tests that share one expensive session fixture: one worker runs all of them, each marked `slow`.
# Minutes on two quiet cores; only the order of the scopes depends on them.
FOLDERS = {"tests/googlesql": 5.0, "tests/end_to_end": 5.0}
# Of its folder: what it needs is being installed while the others run.
LAST = "tests/end_to_end/test_dashboards.py"
# Modules of `tests/end_to_end` that break the platform and run it again are a scope of their own: another
# worker builds the platform once more, which takes less than to wait for them.
BREAKING = ("test_killed_run.py", "test_planted.py", "test_rebuild.py", "test_without_tenants.py")
BREAKING_SCOPE, BREAKING_MINUTES = "tests/end_to_end, breaking", 4.5
# The tests of this folder load Great Expectations, which takes seconds: one worker runs all of them.
TOGETHER = ("tests/gates",)
# Minutes of modules that take long for their number of tests, and so must not come last.
FEW_TESTS = {
    "tests/ingest/rules/test_slips.py": 0.15,
    "tests/ingest/rules/test_bounds.py": 0.05,
    "tests/test_cli.py": 0.05,
    "tests/dagster/test_event_log.py": 0.05,
}
# Where no `slow(minutes=...)` says more.
MINUTES = {"slow": 1.0, "emulator": 0.5, "engine": 0.2}
# Each module here that needs an engine builds the dbt project.
DBT_BUILDS, DBT_MINUTES = "tests/warehouse/", 1.5
# The embedded PostgreSQL of the tests is thrown away: a crash of the machine may lose it.
WITHOUT_DISK_WAITS = ("fsync", "full_page_writes", "synchronous_commit")


def scope_of(nodeid: str) -> str:
    """Return what one worker keeps together: a folder of `FOLDERS` or `TOGETHER`, else the module."""
    module = nodeid.split("::", maxsplit=1)[0]
    if module in [f"tests/end_to_end/{name}" for name in BREAKING]:
        return BREAKING_SCOPE
    return next((folder for folder in (*FOLDERS, *TOGETHER) if module.startswith(f"{folder}/")), module)


class ByScope(LoadScopeScheduling):  # type: ignore[misc]
    """Keep tests that share an expensive fixture on one worker.

    Not by `xdist_group`: xdist writes the group into a field of pytest that pytest 9.2 does not have.
    """

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByScope:
    """Schedule by scope, whatever the option --dist says."""
    return ByScope(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spare the imports of folders and modules whose own marks the option -m deselects."""
    deselected = set(re.findall(r"(?:^|and )not (\w+)(?= and |$)", config.option.markexpr))
    return True if deselected & marks_of(collection_path, config.rootpath) else None


def marks_of(path: Path, root: Path) -> set[str]:
    """Return the marks that each test below a path has: those of `pytestmark`, and `slow` in `FOLDERS`."""
    if path.is_dir():
        return {"slow"} if str(path.relative_to(root)) in FOLDERS else set()
    if path.suffix != ".py":
        return set()
    line = re.search(r"^pytestmark = .*$", path.read_text(), re.MULTILINE)
    return set(re.findall(r"pytest\.mark\.(\w+)", line[0])) if line else set()


def pytest_configure(config: pytest.Config) -> None:
    """Hear interrupts, and collect no garbage while the tests are imported.

    A shell lets what it runs in the background ignore interrupts, and so would every program of a test.
    Little of what an import makes is garbage.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave out of later collections of garbage what the imports made: it stays until the end."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest scopes: no worker is left with one of them while the others have nothing.

    Of scopes whose marks say the same, those with more tests come first.
    """
    minutes: dict[str, float] = {}
    tests = Counter(scope_of(item.nodeid) for item in items)
    for item in items:
        scope = scope_of(item.nodeid)
        if (minutes_of_scope := {**FOLDERS, BREAKING_SCOPE: BREAKING_MINUTES}.get(scope)) is not None:
            item.add_marker(pytest.mark.slow(minutes=minutes_of_scope))
        minutes[scope] = max(minutes.get(scope, FEW_TESTS.get(scope, 0)), minutes_of(item))
    longest_first = sorted(tests, key=lambda scope: (-minutes[scope], -tests[scope]))
    places = {scope: place for place, scope in enumerate(longest_first)}
    items.sort(key=lambda item: (places[scope_of(item.nodeid)], item.nodeid.startswith(LAST)))


def minutes_of(item: pytest.Item) -> float:
    """Return the minutes that a test's marks give its scope."""
    marks = [mark for name in MINUTES if (mark := item.get_closest_marker(name))]
    if not marks:
        return 0
    default = DBT_MINUTES if item.nodeid.startswith(DBT_BUILDS) else MINUTES[marks[0].name]
    return float(marks[0].kwargs.get("minutes", default))


@pytest.fixture(scope="session")
def postgres_settings() -> Iterator[Settings]:
    """Settings of a home of its own with a running PostgreSQL, both gone after the session."""
    # Below the system's /tmp and open to pass through: as root the server runs under another account.
    home = Path(tempfile.mkdtemp(prefix="myproperty-test-", dir="/tmp"))
    home.chmod(0o711)
    settings = Settings(home=home, warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
    try:
        engines.up(settings, emulator=False)
        with psycopg.connect(engines.dsn(settings), autocommit=True) as connection:
            for name in WITHOUT_DISK_WAITS:
                connection.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(name)))
            connection.execute("select pg_reload_conf()")
        yield settings
    finally:
        engines.down(settings)
        if not os.environ.get("MYPROPERTY_KEEP_TEST_HOME"):
            shutil.rmtree(home)


@pytest.fixture(scope="session")
def parsed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a parse of the dbt project, which takes 12 s, once for all workers; tests copy it.

    It holds for PostgreSQL and a warehouse in the database `warehouse`.
    """
    from data.warehouse import project as dbt

    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "parsed-home"
    dbt.manifest(Settings(home=home, warehouse="postgres", oltp_dsn=None, warehouse_dsn=None))
    return home


@pytest.fixture(scope="session")
def fresh_database(postgres_settings: Settings) -> DatabaseMaker:
    """Make empty databases: `with fresh_database("name") as dsn:`; the end of the block drops it."""
    return partial(_database, engines.dsn(postgres_settings), "template1")


@pytest.fixture(scope="session")
def migrated_database(postgres_settings: Settings) -> Iterator[DatabaseMaker]:
    """Make databases at the head of the migrations, as `fresh_database` does; the migrations run once."""
    from oltp_schema.migrate import upgrade  # spares most tests half a second of imports

    admin = engines.dsn(postgres_settings)
    with _database(admin, "template1", "migrated") as dsn:
        upgrade(dsn)
        yield partial(_database, admin, urlsplit(dsn).path.lstrip("/"))


@pytest.fixture(scope="module")
def oltp_dsn(migrated_database: DatabaseMaker) -> Iterator[str]:
    """The DSN of a database at the head of the migrations, empty at the start of each test module."""
    with migrated_database("oltp") as dsn:
        yield dsn


@contextmanager
def _database(admin: str, template: str, name: str) -> Iterator[str]:
    database = f"{name}_{uuid.uuid4().hex[:8]}"
    create = sql.SQL("create database {} template {}")
    _execute(admin, create.format(sql.Identifier(database), sql.Identifier(template)))
    try:
        yield urlsplit(admin)._replace(path=f"/{database}").geturl()
    finally:
        _execute(admin, sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))


def _execute(dsn: str, statement: sql.Composed) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)
