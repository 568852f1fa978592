"""A command on a database that is empty, of another release or down names the next command."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from commands.main import app
from docs.generate import list_leaves
from myproperty.settings import Settings, get_settings
from oltp_schema.migrate import describe_missing_migrations
from tests.conftest import DatabaseMaker

pytestmark = pytest.mark.engine

ID = "0199a2b0-0000-7000-8000-000000000000"
DATES = "--from 2026-01-01 --to 2026-01-02"
KEY = "main:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
# One call, at least, of each command that needs the tables of the operational database.
CALLS = [
    f"billing adjust --task {ID} --by me --because x",
    "billing balance --tenant T",
    "billing run --tenant T --property P --from 2026-01-01 --to 2026-01-31",
    "billing show 2026-00001 --tenant T",
    "billing tasks --tenant T",
    "billing ties --tenant T",
    "gates",
    "ingest README.md --tenant T",
    f"issues accept {ID} --reason x --by me --until TOMORROW",
    "issues list",
    f"issues resolve {ID} --note x --by me",
    "keys erase --tenant T --because x --yes",
    "keys list",
    "keys replay",
    "keys rotate --tenant T",
    "partitions archive --before 2020-01-01",
    "partitions ensure",
    "partitions list",
    "partitions restore 2020-01-01",
    "pending",
    "quality",
    "quality-docs",
    "quarantine list",
    f"quarantine replay {ID}",
    f"quarantine resolve {ID} --note x --by me",
    f"quarantine show {ID}",
    "reload meters",
    "run",
    f"run {DATES}",
    "validate",
]
# These work without the tables, ask the warehouse, or migrate themselves.
OTHERS = {
    "alerts send",
    "alerts status",
    "alerts test",
    "doctor",
    "backup",
    "backups",
    "bi",
    "dbt",
    "demo",
    "dev",
    "down",
    "dsn",
    "inspect",
    "metrics export",
    "metrics list",
    "metrics query",
    "metrics values",
    "migrate",
    "prometheus",
    "query",
    "restore",
    "status",
    "up",
}


@pytest.fixture(scope="module")
def empty_dsn(fresh_database: DatabaseMaker) -> Iterator[str]:
    with fresh_database("empty") as dsn:
        yield dsn


def call(monkeypatch: pytest.MonkeyPatch, settings: Settings, dsn: str, words: str) -> Result:
    """Call the command in this process, on the database `dsn`."""
    monkeypatch.setenv("MYPROPERTY_HOME", str(settings.home))
    monkeypatch.setenv("MYPROPERTY_OLTP_DSN", dsn)
    monkeypatch.setenv("MYPROPERTY_MASTER_KEYS", KEY)
    get_settings.cache_clear()
    # Not in CALLS: the workers of a test session that runs over midnight would collect different names.
    words = words.replace("TOMORROW", str(datetime.now(UTC).date() + timedelta(days=1)))
    try:
        return CliRunner().invoke(app, words.split())
    finally:
        get_settings.cache_clear()


@pytest.mark.parametrize("words", CALLS)
def test_a_database_without_tables_is_migrated_next(
    words: str, empty_dsn: str, postgres_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = call(monkeypatch, postgres_settings, empty_dsn, words)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 1, done.output
    assert "has no tables yet: run `myproperty migrate`" in done.stderr


def test_every_command_is_called_here_or_needs_no_tables() -> None:
    known = {" ".join(path.split()[1:]) for path, _ in list_leaves(get_command(app), ("myproperty",))}
    called = {name for name in known if any(f"{words} ".startswith(f"{name} ") for words in CALLS)}
    assert known == called | OTHERS
    assert not called & OTHERS


@pytest.mark.parametrize("words", ["gates", "run"])
def test_a_database_that_does_not_answer_is_named(
    words: str, postgres_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = call(monkeypatch, postgres_settings, "postgresql://me:secret@127.0.0.1:1/oltp", words)
    assert done.exit_code == 1
    assert "cannot be reached at 127.0.0.1:1/oltp" in done.stderr and "myproperty up" in done.stderr
    assert "secret" not in done.output


@pytest.mark.parametrize(
    ("revision", "remedy"),
    [
        ("0001_schemas_and_audit", r"this release needs \d+_.*: run `myproperty migrate`"),
        ("9999_later", "install the release that made it"),
    ],
)
def test_a_database_of_another_release_is_named(
    revision: str, remedy: str, migrated_database: DatabaseMaker
) -> None:
    with migrated_database("other") as dsn:
        assert describe_missing_migrations(dsn) is None
        with psycopg.connect(dsn) as connection:
            connection.execute("update alembic_version set version_num = %s", (revision,))
        assert re.search(remedy, str(describe_missing_migrations(dsn)))
