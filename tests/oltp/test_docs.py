"""The pages of docs/schema describe the database: compared with a migrated and with a drifted one."""

import re
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from oltp_schema.catalogue import Catalogue, read_catalogue
from oltp_schema.pages import UNPLACED

pytestmark = pytest.mark.engine
ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "docs" / "schema"
SQL = ROOT / "oltp_schema" / "migrations" / "sql"
GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))


@pytest.fixture(scope="module")
def catalogue(oltp_dsn: str) -> Catalogue:
    """Of a database that has a partition, as a production database has."""
    with psycopg.connect(oltp_dsn) as connection:
        connection.execute("select myproperty.ensure_readings_partition('2026-01-01')")
    return read_catalogue(oltp_dsn)


@pytest.fixture(scope="module")
def drifted(migrated_database: Callable[[str], AbstractContextManager[str]]) -> Iterator[str]:
    """A database where somebody changed things by hand."""
    with migrated_database("drifted") as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute("alter table myproperty.units add column colour text")
            connection.execute("grant delete on myproperty.payments to myproperty_readonly")
            connection.execute("alter table myproperty.users no force row level security")
            connection.execute("alter table myproperty.meters disable trigger move_version")
            connection.execute("create table myproperty.scratch (id integer)")
            connection.execute("drop view myproperty.invoice_ties")
        yield dsn


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`python docs/generate.py` with options; its exit status."""

    def _run(*options: str) -> int:
        monkeypatch.setattr(sys, "argv", ["generate.py", *options])
        return int(GENERATE["main"]())

    return _run


def test_the_pages_are_those_of_the_database(catalogue: Catalogue, oltp_dsn: str) -> None:
    wrong = GENERATE["differences"](GENERATE["schema_pages"](oltp_dsn), SCHEMA)
    assert not wrong, f"run `make docs`: {wrong}"


def test_missing_stale_and_left_over_pages_are_reported(oltp_dsn: str, tmp_path: Path) -> None:
    found = GENERATE["schema_pages"](oltp_dsn)
    for path, text in found.items():
        (tmp_path / path.name).write_text(text)
    assert GENERATE["differences"](found, tmp_path) == {}
    (tmp_path / "myproperty.units.md").unlink()
    (tmp_path / "myproperty.gone.md").write_text("# gone\n")
    stale = tmp_path / "myproperty.users.md"
    stale.write_text(stale.read_text().replace("`public.citext`", "`text`"))
    wrong = GENERATE["differences"](found, tmp_path)
    assert list(wrong) == ["myproperty.gone.md", "myproperty.units.md", "myproperty.users.md"]
    assert "not in the database" in wrong["myproperty.gone.md"]
    assert "not documented" in wrong["myproperty.units.md"]
    assert "+| `email` | `public.citext`" in wrong["myproperty.users.md"]


def test_the_check_passes_for_any_login_that_may_connect(
    run: Callable[..., int], oltp_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(oltp_dsn, autocommit=True) as admin:
        admin.execute("create role docs_reader login password 'docs_reader'")
        try:
            server = urlsplit(oltp_dsn)
            where = server.netloc.rpartition("@")[2]
            assert run("--check", "--dsn", f"postgresql://docs_reader:docs_reader@{where}{server.path}") == 0
        finally:
            admin.execute("drop role docs_reader")
    assert "as documented" in capsys.readouterr().out


def test_the_check_names_each_table_that_differs(
    run: Callable[..., int], drifted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--check", "--dsn", drifted) == 1
    told = capsys.readouterr().out
    names = set(re.findall(r"^(\S+): (?:differs|in the|documented)", told, flags=re.MULTILINE))
    assert names == {
        "README", "myproperty.units", "myproperty.payments", "myproperty.users", "myproperty.meters",
        "myproperty.scratch", "myproperty.invoice_ties",
    }  # fmt: skip
    assert "myproperty.scratch: in the database, not documented" in told
    assert "myproperty.invoice_ties: documented, not in the database" in told
    assert "+| `colour` | `text` | yes |" in told
    assert "+| `myproperty_readonly` | select, delete |" in told


def test_a_database_that_cannot_be_read_is_said(
    run: Callable[..., int],
    fresh_database: Callable[[str], AbstractContextManager[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--check", "--dsn", "postgresql://someone:hush@127.0.0.1:1/myproperty") == 1
    told = capsys.readouterr().err
    assert "catalogue cannot be read" in told
    assert "hush" not in told
    with fresh_database("empty") as dsn:
        assert run("--check", "--dsn", dsn) == 1
    assert "myproperty migrate" in capsys.readouterr().err


def test_every_table_has_a_page_with_its_columns_and_a_place(db: psycopg.Connection) -> None:
    query = """
        select table_schema || '.' || table_name, column_name, is_nullable = 'YES'
        from information_schema.columns as c
        where table_schema in ('audit', 'myproperty', 'warehouse_staging')
          and not exists (
              select from pg_inherits where inhrelid = format('%I.%I', table_schema, table_name)::regclass
          )
    """
    index = (SCHEMA / "README.md").read_text()
    pages = {path.stem: path.read_text() for path in SCHEMA.glob("*.*.md")}
    columns = db.execute(query).fetchall()
    assert {table for table, _, _ in columns} == pages.keys()
    for table, column, nullable in columns:
        row = re.search(rf"^\| `{column}` \| `[^`]+` \| (yes)?", pages[table], flags=re.MULTILINE)
        assert row is not None, (table, column)
        assert "\nView, owned" in pages[table] or bool(row[1]) == nullable, (table, column)
    assert f"## {UNPLACED}" not in index, "give the new table a place in AREAS of oltp_schema/pages.py"
    assert all(f"]({table}.md)" in index for table in pages)


def test_whatever_is_used_says_what_it_is_for(catalogue: Catalogue) -> None:
    mute = [table.full_name for table in catalogue.tables if not table.comment]
    mute += [f.name for f in catalogue.functions if (f.is_called or f.result == "trigger") and not f.comment]
    assert mute == []


def test_every_error_of_the_migrations_is_listed_with_its_remedy(
    catalogue: Catalogue, db: psycopg.Connection
) -> None:
    written = {c for path in SQL.glob("*.sql") for c in re.findall(r"errcode = '(MP\d+)'", path.read_text())}
    codes = catalogue.error_codes()
    assert {f"MP{number:03}" for number in range(1, 13)} <= {code.sqlstate for code in codes} == written
    assert all(code.remedy and "…" in code.message for code in codes)
    # Each way of raising one: counted in the source by the server.
    count = "select sum(regexp_count(prosrc, 'errcode = ''MP')) from pg_proc where prosrc ~ 'errcode = ''MP'"
    assert db.execute(count).fetchone() == (len(codes),)


def test_a_listed_error_is_the_one_that_is_raised(
    catalogue: Catalogue, db: psycopg.Connection, companies: Any
) -> None:
    with pytest.raises(psycopg.errors.DatabaseError) as caught:
        db.execute(
            "update myproperty.properties set version = 99 where id = %s",
            (companies[0].property,),
        )
    listed = next(code for code in catalogue.error_codes() if code.sqlstate == caught.value.sqlstate)
    pattern = ".*".join(map(re.escape, listed.message.split("…")))
    assert re.fullmatch(pattern, str(caught.value.diag.message_primary))
    assert caught.value.diag.message_hint == listed.remedy


def test_the_diagrams_are_drawn_from_the_foreign_keys(catalogue: Catalogue) -> None:
    index = (SCHEMA / "README.md").read_text()
    diagrams = re.findall(r"```mermaid\nerDiagram\n(.*?)```", index, flags=re.DOTALL)
    line = re.compile(
        r"    \w+ (\|\||\|o)--(o\{|o\|) \w+ : \"[\w, ]+\"|    \w+ \{|        \w+ \w+( PK| FK)?|    \}"
    )
    wrong = [text for diagram in diagrams for text in diagram.splitlines() if not line.fullmatch(text)]
    assert wrong == []
    for drawn in (
        'properties ||--o{ units : "property_id"',
        'units |o--o{ service_tickets : "unit_id"',
        'ledger_entries |o--o| ledger_entries : "reverses_id"',
        'originfd_projects ||--o{ project_links : "originfd_project_id"',
    ):
        assert index.count(f"    {drawn}\n") == 1, drawn
