"""The seed of the readers and the rule of each view of `bi`; in `tests/end_to_end` is who sees what."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from data.warehouse.readers import (
    EVERY_TENANT,
    ReadersRefused,
    check_reader,
    list_own_logins,
    list_readers,
    list_views,
)
from myproperty.database.roles import (
    WAREHOUSE_DBT,
    WAREHOUSE_GATES,
    WAREHOUSE_LOGINS,
    WAREHOUSE_RAW,
    WAREHOUSE_TENANT_READERS,
)
from oltp_schema.logins import LoginRefused, ensure_login, ensure_member
from tests.conftest import DatabaseMaker

from .dbt_project import PROJECT, run_dbt

HEADER = "reader,tenant_id\n"


@pytest.fixture
def warehouse(fresh_database: DatabaseMaker) -> Iterator[str]:
    with fresh_database("seeded") as dsn:
        yield dsn


def write(folder: Path, text: str) -> Path:
    path = folder / "tenant_readers.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_seed_has_the_jobs_that_read_bi_and_two_invented_readers() -> None:
    found = list_readers()
    jobs = {login.name for login in WAREHOUSE_LOGINS} - {WAREHOUSE_RAW.name}
    assert {name for name, tenants in found.items() if tenants == [EVERY_TENANT]} == jobs
    assert list_own_logins() == ["demo_sonnenhof", "demo_wattlebird"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: write the header"),
        ("tenant_id,reader\n", ":1: write the header"),
        (HEADER + "anna@example.com\n", ":2: write a reader and a tenant"),
        (HEADER + "anna@example.com,\n", ":2: write a reader and a tenant"),
        (HEADER + "anna@example.com,a\nanna@example.com,a\n", ":3: anna@example.com has a already"),
        (HEADER + "Anna@example.com,a\n", ":2: 'Anna@example.com' is no reader"),
        (HEADER + "anna;drop,a\n", ":2: 'anna;drop' is no reader"),
        (HEADER + "ann\u0430@example.com,a\n", "is no reader"),
        (HEADER + "a" * 64 + ",a\n", "at most 63"),
        (HEADER + "postgres,*\n", ":2: 'postgres' begins as roles of the server do"),
        (HEADER + "myproperty_owner,*\n", "begins as roles of the server do"),
        (HEADER + "pg_read_all_data,*\n", "begins as roles of the server do"),
    ],
)
def test_a_wrong_line_is_refused_by_its_number(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ReadersRefused, match=said):
        list_readers(write(tmp_path, text))


def test_people_ask_as_readers_and_not_as_jobs(tmp_path: Path) -> None:
    seed = write(tmp_path, HEADER + "anna@example.com,a\nanna@example.com,b\nmyproperty_dbt,*\n")
    assert list_readers(seed)["anna@example.com"] == ["a", "b"]
    for name in ("anna@example.com", "myproperty_reader", "myproperty_dashboards"):
        check_reader(name, seed)
    for name in (WAREHOUSE_DBT.name, WAREHOUSE_GATES.name, "postgres", "bert"):
        with pytest.raises(ReadersRefused, match="no reader is called"):
            check_reader(name, seed)


def test_every_view_has_a_rule() -> None:
    views = list_views()
    assert [name for name, has_tenants in views.items() if not has_tenants] == ["pipeline_runs_v1"]
    for name in views:
        text = (PROJECT / "models" / "bi" / f"{name}.sql").read_text().rstrip()
        assert text.splitlines()[-1].startswith("where {{ for_readers_of"), name


@pytest.mark.engine
def test_dbt_refuses_a_view_without_a_rule(
    warehouse: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = "where {{ for_readers_of('a.tenant_id') }}"
    united = f"with u as (select 1 union all select (2) where true) select * from u as a {rule}\n"
    for code, is_refused in (
        ("select 1", True),
        (f"select 1 -- {rule}", True),
        (f"select 1 /* {rule} */", True),
        (f"select 1 {{# {rule} #}}", True),
        (f"{rule} or true", True),
        (f"select 1 {rule} or true", True),
        (f"select 1 {rule} limit 1", True),
        (f"select 1 where true or 1 = 1 and exists (select 1 {rule})", True),
        (f"select * from b as a union all select * from a {rule}", True),
        ("select 1 where {{ for_readers_of('\\'*\\'') }}", True),
        ("select 1 where {{ for_readers_of('a.property_id') }}", True),
        (united, False),
        ("select 1 where {{ for_readers_of('tenant_id') }}", False),
        ("select 1 where {{ for_readers_of_all() }}", False),
    ):
        words = ["run-operation", "refuse_without_readers", "--args", json.dumps({"raw_code": code})]
        run = run_dbt(warehouse, tmp_path, words, None, None)
        assert run.success is not is_refused, code
    assert "who may read its rows" in capsys.readouterr().out


UNRULED = (
    "{{ config(contract={'enforced': false}) }} select cast('t' as {{ sql_type('string') }}) as tenant_id"
)
RULED = "with a as (" + UNRULED + ") select * from a where {{ for_readers_of('tenant_id') }}"


# What must not get into `bi`, and what is said.
LEAKS = {
    "models/bi/without_rule.sql": (UNRULED, "who may read its rows"),
    "models/marts/from_elsewhere.sql": ("{{ config(schema='bi') }} " + UNRULED, "who may read its rows"),
    "models/bi/stored.sql": ("{{ config(materialized='table') }} " + RULED, "is a view, and not 'table'"),
}


def copy_project(folder: Path) -> Path:
    project = folder / "warehouse"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
    return project


@pytest.mark.engine
def test_no_model_brings_rows_past_the_rule(warehouse: str, tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    for file, (text, said) in LEAKS.items():
        (project / file).write_text(text)
        words = ["build", "--select", Path(file).stem]
        run = run_dbt(warehouse, tmp_path / "target", words, None, None, project=project)
        assert not run.success and said in str(run.failures), file
        (project / file).unlink()
    names = [Path(file).stem for file in LEAKS]
    with psycopg.connect(warehouse) as connection:
        found = connection.execute("select relname from pg_class where relname = any (%s)", (names,))
        assert found.fetchall() == []


@pytest.mark.engine
def test_no_seed_brings_rows_past_the_rule(warehouse: str, tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    (project / "seeds" / "leak.csv").write_text("tenant_id\nt\n")
    (project / "seeds" / "leak.yml").write_text("seeds: [{name: leak, config: {schema: bi}}]\n")
    run = run_dbt(warehouse, tmp_path, ["build", "--select", "leak"], None, None, project=project)
    assert not run.success and "leak cannot be in `bi`" in str(run.failures)


@pytest.mark.engine
def test_a_seed_that_exists_keeps_its_place_and_the_views_on_it(warehouse: str, tmp_path: Path) -> None:
    def count() -> tuple[int, int]:
        with psycopg.connect(warehouse) as connection:
            found = connection.execute(
                "select 'core.tenant_readers'::regclass::oid::int, (select count(*)::int from core.seen)"
            ).fetchone()
        assert found is not None
        return found

    assert run_dbt(warehouse, tmp_path, ["seed"], None, None).success
    with psycopg.connect(warehouse) as connection:
        connection.execute("create view core.seen as select * from core.tenant_readers")
    before = count()
    with psycopg.connect(warehouse) as connection:
        connection.execute("delete from core.tenant_readers where tenant_id = '*'")
        connection.execute("insert into core.tenant_readers values ('wrong', '*')")
        connection.execute("alter table core.currencies drop column minor_units cascade")
    assert run_dbt(warehouse, tmp_path, ["seed"], None, None).success
    assert count() == before == (before[0], sum(map(len, list_readers().values())))
    with psycopg.connect(warehouse) as connection:
        columns = connection.execute("select minor_units from core.currencies where currency = 'EUR'")
        assert columns.fetchall() == [(2,)]


@pytest.mark.engine
def test_a_reader_is_no_role_that_may_do_more(warehouse: str) -> None:
    with psycopg.connect(warehouse) as connection:
        ensure_login(connection, WAREHOUSE_TENANT_READERS, connection.info.dbname)
        connection.execute("create role demo_admin createrole")
        with pytest.raises(LoginRefused, match="demo_admin may do more than read"):
            ensure_member(connection, "demo_admin", WAREHOUSE_TENANT_READERS, {})
        for _ in range(2):
            ensure_member(connection, "anna@example.com", WAREHOUSE_TENANT_READERS, {}, "of the test")
        found = connection.execute(
            "select r.rolname from pg_auth_members as m join pg_roles as r on r.oid = m.roleid"
            " where m.member = '\"anna@example.com\"'::regrole"
        ).fetchall()
        connection.rollback()
    assert found == [(WAREHOUSE_TENANT_READERS.name,)]
