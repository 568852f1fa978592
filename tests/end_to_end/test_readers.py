"""Who reads which rows of the warehouse: each login, relation and tenant, asked by the logins themselves."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import errors, sql
from typer.testing import CliRunner, Result

from commands.main import app
from data.raw.rights import OWNS, RAW, READS
from data.raw.warehouse import open_warehouse
from data.warehouse.readers import EVERY_TENANT, list_own_logins, list_readers, list_views
from myproperty.database.roles import (
    WAREHOUSE_LOGINS,
    WAREHOUSE_RAW,
    WAREHOUSE_TENANT_READERS,
)
from tests.end_to_end.support import RELATIONS, STRANGER, Platform
from tests.logins import log_in_as

pytestmark = pytest.mark.engine

OTHERS = [login.name for login in WAREHOUSE_LOGINS]
READERS = [*OTHERS, *list_own_logins(), STRANGER]
Rows = Counter[str | None]


@contextmanager
def connect(platform: Platform, passwords: dict[str, str], reader: str) -> Iterator[psycopg.Connection[Any]]:
    dsn = log_in_as(str(platform.settings.warehouse_dsn), reader, passwords[reader])
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def count_rows(connection: psycopg.Connection[Any], schema: str, name: str, by_tenant: bool) -> Rows | None:
    """Return the number of rows of each tenant, or under None of all; None if the login may not read it."""
    of_tenant = sql.SQL("tenant_id::text" if by_tenant else "null::text")
    query = sql.SQL("select {}, count(*) from {} group by 1").format(of_tenant, sql.Identifier(schema, name))
    try:
        return Counter(dict(connection.execute(query).fetchall()))
    except errors.InsufficientPrivilege:
        return None


@pytest.fixture(scope="module")
def everything(platform: Platform, quality: None) -> dict[tuple[str, str], tuple[bool, Rows]]:
    """All relations of the warehouse, as the superuser sees them."""
    with psycopg.connect(str(platform.settings.warehouse_dsn)) as connection:
        relations = connection.execute(RELATIONS).fetchall()
        found = {}
        for schema, name, by_tenant in relations:
            rows = count_rows(connection, schema, name, by_tenant)
            assert rows is not None
            found[schema, name] = by_tenant, rows
    return found


def expected(reader: str, schema: str, name: str, all_rows: Rows) -> Rows | None:
    """Return what the declared rights and the seed let a reader see."""
    granted = {login.name: {*OWNS.get(login, ()), *READS.get(login, ())} for login in {*OWNS, *READS}}
    if schema not in granted.get(reader, granted[WAREHOUSE_TENANT_READERS.name]):
        return None
    if schema != "bi":
        return all_rows
    tenants = list_readers().get(reader, [])
    if EVERY_TENANT in tenants:
        return all_rows
    return Counter({tenant: n for tenant, n in all_rows.items() if tenant in tenants})


@pytest.mark.parametrize("reader", READERS)
def test_a_login_sees_what_is_declared_and_no_other_row(
    platform: Platform,
    passwords: dict[str, str],
    everything: dict[tuple[str, str], tuple[bool, Rows]],
    reader: str,
) -> None:
    assert {name for schema, name in everything if schema == "bi"} == list_views().keys()
    with connect(platform, passwords, reader) as connection:
        found = {
            (schema, name): count_rows(connection, schema, name, by_tenant)
            for (schema, name), (by_tenant, _) in everything.items()
        }
    wanted = {
        (schema, name): expected(reader, schema, name, rows)
        for (schema, name), (_, rows) in everything.items()
    }
    assert found == wanted


def test_each_tenant_has_rows_in_every_view_of_tenants(
    everything: dict[tuple[str, str], tuple[bool, Rows]],
) -> None:
    """Otherwise the test above would compare nothing with nothing."""
    of_tenants = {name for name, has_tenants in list_views().items() if has_tenants}
    assert len(of_tenants) > 10
    for name in of_tenants:
        by_tenant, rows = everything["bi", name]
        assert by_tenant and len(rows) > 1, name


@pytest.mark.parametrize("reader", [*list_own_logins(), STRANGER])
def test_a_reader_learns_nothing_by_errors_and_takes_on_nobody(
    platform: Platform, passwords: dict[str, str], quality: None, reader: str
) -> None:
    """A division by zero for every foreign row would tell of it, if it were computed before the filter."""
    own = list_readers().get(reader, [])
    probe = "select count(*) from bi.{} where 1 / (case when tenant_id = any (%s) then 1 else 0 end) = 1"
    with connect(platform, passwords, reader) as connection:
        for name, has_tenants in list_views().items():
            if has_tenants:
                connection.execute(sql.SQL(probe).format(sql.Identifier(name)), (own,))
        for login in (*OTHERS, WAREHOUSE_TENANT_READERS.name, "postgres"):
            for attempt in ("set role {}", "set session authorization {}"):
                with pytest.raises(psycopg.Error):
                    connection.execute(sql.SQL(attempt).format(sql.Identifier(login)))
        # A default of its login, which a reader may switch off.
        connection.execute("set default_transaction_read_only = off")
        for attempt in (
            "create temporary table t (n int)",
            "create function bi.f() returns int language sql as 'select 1'",
            "insert into core.tenant_readers values (session_user, '*')",
            "select * from core.tenant_readers",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(attempt.encode())


def test_every_view_computes_its_filter_first(platform: Platform) -> None:
    query = "select relname from pg_class where relnamespace = 'bi'::regnamespace and reloptions is null"
    with psycopg.connect(str(platform.settings.warehouse_dsn)) as connection:
        assert connection.execute(query).fetchall() == []


def test_a_question_is_asked_as_the_reader_that_is_named(
    platform: Platform, passwords: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "select distinct tenant_id from bi.energy_daily_v1 where reading_date >= date '2000-01-01'"
    warehouse = open_warehouse(platform.settings)
    try:
        everyone = set(warehouse.ask(question, 10).column(0).to_pylist())
        for reader, tenants in list_readers().items():
            if reader in list_own_logins():
                monkeypatch.setenv("PGPASSWORD", passwords[reader])
                found = set(warehouse.ask(question, 10, reader).column(0).to_pylist())
                assert found == everyone & set(tenants) and len(found) == 1
    finally:
        warehouse.close()
    assert len(everyone) == 2


@pytest.fixture
def command(
    platform: Platform, passwords: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Call a command in this process, on the platform, with the password of a reader for libpq."""
    for module in ("warehouse", "metrics", "engines"):
        monkeypatch.setattr(f"commands.{module}.get_settings", lambda: platform.settings)
    monkeypatch.setenv("PGPASSWORD", passwords["demo_sonnenhof"])
    return lambda *words: CliRunner().invoke(app, words)


TENANTS = "select tenant_name, count(*) as n from bi.energy_daily_v1 group by 1 order by 1"
BY_TENANT = ("--metrics", "solar_generation_kwh", "--group-by", "property_day__tenant_name")


def test_people_ask_as_a_reader_and_take_the_rows_with_them(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    everyone = json.loads(command("query", TENANTS, "--format", "json").stdout)
    asked = command("query", TENANTS, "--as", "demo_sonnenhof", "--format", "json")
    own = json.loads(asked.stdout)
    assert len(everyone) == 2 and own == [row for row in everyone if "sonnenhof" in row["tenant_name"]]
    files = {name: tmp_path / f"rows.{name}" for name in ("parquet", "csv", "json")}
    for name, file in files.items():
        words = ("query", TENANTS, "--as", "demo_sonnenhof", "--format", name, "--output", str(file))
        done = command(*words)
        assert done.exit_code == 0 and f"1 row is in {file}" in done.stdout, done.output
    assert pq.read_table(files["parquet"]).to_pylist() == own
    assert json.loads(files["json"].read_text()) == own
    assert files["csv"].read_text().splitlines() == [
        "tenant_name,n",
        f"{own[0]['tenant_name']},{own[0]['n']}",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(file.name for file in files.values())


def test_metrics_are_asked_as_a_reader_too(command: Callable[..., Result]) -> None:
    asked = ("metrics", "query", *BY_TENANT, "--format", "json")
    everyone = json.loads(command(*asked).stdout)
    own = json.loads(command(*asked, "--as", "demo_sonnenhof").stdout)
    assert len(everyone) == 2
    assert own == [row for row in everyone if "sonnenhof" in row["property_day__tenant_name"]]
    assert command(*asked, "--as", "demo_sonnenhof", "--explain").stdout.startswith("SELECT")
    values = ("metrics", "values", "property_day__tenant_name", "--as", "demo_sonnenhof", "--format", "csv")
    assert command(*values).stdout.split() == [
        "property_day__tenant_name",
        own[0]["property_day__tenant_name"],
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("query", "select 1", "--as", "myproperty_dbt"), "no reader is called 'myproperty_dbt'"),
        (("query", "select 1", "--as", "postgres"), "no reader is called 'postgres'"),
        (("query", "select 1", "--format", "parquet"), "--output"),
        (("metrics", "query"), "name --metrics or a --saved-query"),
        (("dsn", "warehouse", "--as", "postgres"), "no reader is called 'postgres'"),
        (("dsn", "postgres", "--as", "demo_sonnenhof"), "no login is called 'demo_sonnenhof'"),
    ],
)
def test_who_may_not_be_asked_as_is_refused(
    command: Callable[..., Result], words: tuple[str, ...], said: str
) -> None:
    done = command(*words)
    assert done.exit_code != 0 and said in " ".join(done.output.split())


def test_the_address_of_a_reader_is_printed_for_a_tool(command: Callable[..., Result]) -> None:
    dsn = command("dsn", "warehouse", "--as", "demo_sonnenhof").stdout.strip()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select session_user").fetchone() == ("demo_sonnenhof",)


def test_the_login_that_loads_raw_reads_no_other_layer() -> None:
    """The table above takes it from the declaration, which is held here."""
    assert OWNS[WAREHOUSE_RAW] == (RAW,) and WAREHOUSE_RAW not in READS
