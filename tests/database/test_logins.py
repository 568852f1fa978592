"""Each job has its login: what it may do, what it may not, and that no job connects as the superuser."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors, sql
from typer.testing import CliRunner

from commands.main import app
from docs.generate import NOTE
from docs.logins import logins_page
from myproperty.database.roles import (
    OLTP_LOGINS,
    OWNERS,
    READONLY_ROLE,
    ROLES,
    WAREHOUSE_DASHBOARDS,
    WAREHOUSE_DBT,
    WAREHOUSE_GATES,
    WAREHOUSE_LOGINS,
    WAREHOUSE_RAW,
    WAREHOUSE_READER,
    Login,
)
from myproperty.settings import Settings
from tests.conftest import DatabaseMaker
from tests.logins import log_in, with_logins

pytestmark = pytest.mark.engine
ROOT = Path(__file__).resolve().parents[2]
# What a login tries for itself, before it takes on a role and after `reset role`.
ATTEMPTS: dict[str, LiteralString] = {
    "read a table": "select 1 from myproperty.tenants",
    "read the landing": "select 1 from warehouse_staging.gate_results",
    "read another's statements": "select 1 from pg_authid",
    "read a file": "select pg_read_file('/etc/passwd')",
    "run a program": "copy (select 1) to program 'true'",
    "make a schema": "create schema mine",
    "make a table": "create table public.mine (n int)",
    "make a temporary table": "create temporary table mine (n int)",
    "take a lock": "select pg_advisory_lock(1)",
    "take a lock for a transaction": "select pg_advisory_xact_lock_shared(1, 1)",
    "write a large object": "select lo_create(0)",
    "sleep": "select pg_sleep(1)",
    "notify": "select pg_notify('all', 'x')",
    "become the superuser": "set role postgres",
    "make a login": "create role mine login",
    "lift its limits for ever": "alter role myproperty_owner superuser",
    "switch triggers off": "set session_replication_role = replica",
}


@pytest.fixture(scope="module")
def settings(
    migrated_database: DatabaseMaker,
    fresh_database: DatabaseMaker,
    postgres_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Settings]:
    """An environment on two databases, with the DSN of each job."""
    with migrated_database("oltp") as oltp, fresh_database("warehouse") as warehouse:
        home = tmp_path_factory.mktemp("logins")
        given = Settings(home=home, warehouse="postgres", oltp_dsn=oltp, warehouse_dsn=warehouse)
        yield with_logins(given, postgres_settings)


@pytest.fixture(scope="module")
def dashboards(settings: Settings, postgres_settings: Settings) -> str:
    from myproperty import engines

    password = engines.make_passwords(postgres_settings)[WAREHOUSE_DASHBOARDS.name]
    return log_in(str(settings.warehouse_dsn), WAREHOUSE_DASHBOARDS, password)


def dsn_of(settings: Settings, login: Login) -> str:
    assert login.setting is not None
    return str(getattr(settings, login.setting))


@pytest.mark.parametrize("login", OLTP_LOGINS, ids=lambda login: login.name)
def test_a_login_can_do_nothing_by_itself(settings: Settings, login: Login) -> None:
    with psycopg.connect(dsn_of(settings, login), autocommit=True) as connection:
        done = []
        for role in (None, *login.roles):
            if role is not None:
                connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
                connection.execute("reset role")
            for what, statement in ATTEMPTS.items():
                try:
                    connection.execute(statement)
                    done.append(f"{what}, after {role}")
                except (errors.InsufficientPrivilege, errors.UndefinedFile):
                    continue
        assert done == []


@pytest.mark.parametrize("login", OLTP_LOGINS, ids=lambda login: login.name)
def test_a_login_takes_on_its_roles_and_no_other(settings: Settings, login: Login) -> None:
    with psycopg.connect(dsn_of(settings, login), autocommit=True) as connection:
        taken = []
        for role in ROLES:
            try:
                connection.execute(sql.SQL("set role {}").format(sql.Identifier(role.name)))
                taken.append(role.name)
            except errors.InsufficientPrivilege:
                continue
            connection.execute("reset role")
        assert sorted(taken) == sorted(login.roles)


def test_a_login_has_its_limits(settings: Settings) -> None:
    for login in OLTP_LOGINS:
        with psycopg.connect(dsn_of(settings, login)) as connection:
            for name, value in login.limits.items():
                found = connection.execute("select current_setting(%s)", (name,)).fetchone()
                assert found == (value,), f"{login.name} {name}"


def test_a_reader_cannot_hold_up_a_load(settings: Settings) -> None:
    """A lock of a read-only login held an ingest: the lock is out of its reach."""
    with psycopg.connect(str(settings.oltp_dsn)) as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(READONLY_ROLE)))
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("select pg_advisory_lock(7310, 0)")


def test_everybody_else_may_not_connect(settings: Settings) -> None:
    query = "select has_database_privilege('public', current_database(), %s)"
    for dsn in (settings.oltp_dsn, settings.warehouse_dsn):
        with psycopg.connect(str(dsn)) as connection:
            for right in ("connect", "temporary", "create"):
                assert connection.execute(query, (right,)).fetchone() == (False,), f"{dsn} {right}"


def test_a_login_of_one_database_is_refused_by_the_other(settings: Settings) -> None:
    raw = dsn_of(settings, WAREHOUSE_RAW)
    oltp = str(settings.oltp_dsn).rpartition("/")[2]
    with pytest.raises(psycopg.OperationalError, match="CONNECT privilege"):
        psycopg.connect(f"{raw.rpartition('/')[0]}/{oltp}")


def test_each_layer_of_the_warehouse_has_one_writer(settings: Settings, dashboards: str) -> None:
    """dbt drops and makes a table again, in a schema that it owns: readers keep their rights."""
    with psycopg.connect(dsn_of(settings, WAREHOUSE_RAW)) as connection:
        connection.execute("create table raw.units as select 1 as n")
    with psycopg.connect(dsn_of(settings, WAREHOUSE_DBT)) as connection:
        for _ in range(2):
            connection.execute("drop table if exists marts.made cascade")
            connection.execute("create table marts.made as select n from raw.units")
        connection.execute("create view bi.shown as select n from marts.made")
        connection.execute("create temporary table scratch (n int)")
    reads = {
        dsn_of(settings, WAREHOUSE_RAW): {"raw.units"},
        dsn_of(settings, WAREHOUSE_GATES): {"raw.units", "marts.made", "bi.shown"},
        dsn_of(settings, WAREHOUSE_READER): {"marts.made", "bi.shown"},
        dashboards: {"bi.shown"},
    }
    for dsn, allowed in reads.items():
        with psycopg.connect(dsn, autocommit=True) as connection:
            found = set()
            for name in ("raw.units", "marts.made", "bi.shown"):
                try:
                    connection.execute(sql.SQL("table {}").format(sql.Identifier(*name.split("."))))
                    found.add(name)
                except errors.InsufficientPrivilege:
                    continue
            assert found == allowed
            with pytest.raises((errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)):
                connection.execute("delete from marts.made")
            with pytest.raises((errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)):
                connection.execute("create table marts.mine (n int)")


def test_a_run_with_another_prefix_makes_schemas_that_its_next_step_reads(settings: Settings) -> None:
    with psycopg.connect(dsn_of(settings, WAREHOUSE_RAW)) as connection:
        connection.execute("create schema qa_raw")
        connection.execute("create table qa_raw.units as select 1 as n")
    with psycopg.connect(dsn_of(settings, WAREHOUSE_DBT)) as connection:
        connection.execute("create schema qa_marts")
        connection.execute("create table qa_marts.made as select n from qa_raw.units")
    with psycopg.connect(dsn_of(settings, WAREHOUSE_GATES)) as connection:
        assert connection.execute("select n from qa_marts.made natural join qa_raw.units").fetchall() == [
            (1,)
        ]
    with (
        psycopg.connect(dsn_of(settings, WAREHOUSE_READER)) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute("table qa_marts.made")
    with psycopg.connect(str(settings.warehouse_dsn)) as connection:
        connection.execute("drop schema qa_marts, qa_raw cascade")


def test_what_a_superuser_built_passes_to_its_owner(
    fresh_database: DatabaseMaker, postgres_settings: Settings
) -> None:
    """A warehouse of a release that built everything as the superuser."""
    from data.raw.rights import prepare_warehouse

    with fresh_database("old") as dsn, psycopg.connect(dsn) as connection:
        connection.execute("create schema raw")
        connection.execute("create schema marts")
        connection.execute("create table raw.units (id integer generated always as identity)")
        connection.execute("create table marts.old as select 7 as n")
        connection.execute("create view marts.seen as select n from marts.old")
        for _ in range(2):
            prepare_warehouse(connection)
        owners = connection.execute(
            "select relname, pg_get_userbyid(relowner) from pg_class where relnamespace in "
            "('raw'::regnamespace, 'marts'::regnamespace) order by 1"
        ).fetchall()
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(WAREHOUSE_READER.name)))
        assert connection.execute("select n from marts.seen").fetchall() == [(7,)]
    assert owners == [
        ("old", WAREHOUSE_DBT.name),
        ("seen", WAREHOUSE_DBT.name),
        ("units", WAREHOUSE_RAW.name),
        ("units_id_seq", WAREHOUSE_RAW.name),
    ]


def test_a_login_that_may_not_make_logins_is_told_so(
    migrated_database: DatabaseMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It owns both databases, and the roles belong to another: what it reports is what happened."""
    with migrated_database("plain") as dsn, psycopg.connect(dsn, autocommit=True) as admin:
        database = sql.Identifier(urlsplit(dsn).path[1:])
        admin.execute("create role somebody login password 'somebody'")
        try:
            for role in OWNERS:
                admin.execute(sql.SQL("grant {} to somebody").format(sql.Identifier(role.name)))
            admin.execute(sql.SQL("alter database {} owner to somebody").format(database))
            admin.execute("grant all on public.alembic_version to somebody")
            place = urlsplit(dsn).netloc.rpartition("@")[2]
            own = f"postgresql://somebody:somebody@{place}{urlsplit(dsn).path}"
            settings = Settings(home=tmp_path, warehouse="postgres", oltp_dsn=own, warehouse_dsn=own)
            monkeypatch.setattr("commands.engines.get_settings", lambda: settings)
            done = CliRunner().invoke(app, ["migrate"])
        finally:
            admin.execute(sql.SQL("alter database {} owner to postgres").format(database))
            admin.execute("drop owned by somebody cascade")
            admin.execute("drop role somebody")
    assert done.exit_code == 0, done.output
    assert "each job has its login" not in done.output
    words = " ".join(done.output.split())
    assert "the logins of the jobs were left as they are" in words
    assert "the rights in the warehouse were left as they are" in words
    assert "run `myproperty migrate` once with a superuser's DSN" in words


def test_the_page_is_that_of_the_databases(settings: Settings) -> None:
    page = NOTE + logins_page(str(settings.oltp_dsn), str(settings.warehouse_dsn))
    assert (ROOT / "docs" / "logins.md").read_text() == page, "run `make docs`"
    assert all(f"`{login.name}`" in page for login in (*OLTP_LOGINS, *WAREHOUSE_LOGINS))


def test_only_migrations_connect_as_the_superuser() -> None:
    """`engines.dsn` is the superuser's on the embedded server; jobs use `engines.login_dsn`."""
    users = set()
    for package in ("commands", "dagster_project", "data", "expectations", "oltp_schema"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Attribute)
                    and node.attr == "dsn"
                    and ast.unparse(node) == "engines.dsn"
                ):
                    users.add(str(path.relative_to(ROOT)))
    # `myproperty dsn` prints it.
    assert users == {"commands/databases.py", "commands/engines.py"}
