"""Migrations: from nothing, step by step with rows, twice, at once, and messages of failures."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from multiprocessing import get_context
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from myproperty.database.roles import OWNERS, ROLES
from oltp_schema.migrate import MigrationError, current, revisions, upgrade
from oltp_schema.roles import RoleError, ensure_roles
from tests.oltp.company import TAKEN_AWAY

pytestmark = pytest.mark.engine
DatabaseMaker = Callable[[str], AbstractContextManager[str]]


def test_from_nothing_to_head_and_again(fresh_database: DatabaseMaker) -> None:
    with fresh_database("nothing") as dsn:
        assert current(dsn) is None
        assert upgrade(dsn) == revisions()[-1] == current(dsn)
        before = _objects(dsn)
        assert upgrade(dsn) == revisions()[-1]
        assert _objects(dsn) == before


def test_each_revision_keeps_the_rows_that_it_finds(
    fresh_database: DatabaseMaker, make_company: Any, insert: Any
) -> None:
    waiting = make_company("Acacia").rows_in_order()
    kept: dict[str, list[dict[str, Any]]] = {}
    with fresh_database("steps") as dsn:
        for revision in revisions():
            assert upgrade(dsn, revision) == revision
            with psycopg.connect(dsn) as connection:
                columns = _columns(connection)
                if revision == "0019_erase_texts":
                    kept = _without(kept, TAKEN_AWAY)
                assert _rows(connection, kept) == kept, revision
                for schema in ("myproperty", "warehouse_staging"):
                    if f"{schema}.meter_readings" in columns:
                        maker = sql.Identifier(schema, "ensure_readings_partition")
                        connection.execute(sql.SQL("select {}('2026-01-01')").format(maker))
                for table, row in [pair for pair in waiting if pair[0] in columns]:
                    insert(connection, table, {k: v for k, v in row.items() if k in columns[table]})
                waiting = [pair for pair in waiting if pair[0] not in columns]
            with psycopg.connect(dsn) as connection:
                every = {table: [dict.fromkeys(names)] for table, names in columns.items()}
                kept = {table: rows for table, rows in _rows(connection, every).items() if rows}
        assert waiting == []
        with (
            psycopg.connect(dsn) as connection,
            pytest.raises(psycopg.Error, match="bypass the audit trail"),
        ):
            # The partition is as old as the first revision, and guarded as those that are made today.
            connection.execute("delete from myproperty.meter_readings_20260101")
    assert {"myproperty.meter_readings", "audit.logged_actions", "audit.invoices_history"} <= kept.keys()


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_two_at_once_in_one_database_and_in_another(fresh_database: DatabaseMaker, workers: str) -> None:
    pool = (
        ThreadPoolExecutor(3)
        if workers == "threads"
        else ProcessPoolExecutor(3, mp_context=get_context("spawn"))
    )
    with fresh_database("one") as one, fresh_database("two") as two, pool:
        assert list(pool.map(upgrade, [one, one, two])) == [revisions()[-1]] * 3


def test_a_failed_revision_leaves_nothing(fresh_database: DatabaseMaker) -> None:
    with fresh_database("failed") as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute("create schema warehouse_staging")
        with pytest.raises(MigrationError, match="warehouse_staging"):
            upgrade(dsn)
        assert current(dsn) is None
        with psycopg.connect(dsn) as connection:
            assert connection.execute("select to_regnamespace('myproperty')").fetchone() == (None,)


def test_an_unknown_revision_is_named(fresh_database: DatabaseMaker) -> None:
    with fresh_database("unknown") as dsn, pytest.raises(MigrationError, match="0099_nothing"):
        upgrade(dsn, "0099_nothing")


def test_a_database_out_of_reach_says_what_to_do_and_hides_the_password() -> None:
    with pytest.raises(MigrationError, match="myproperty up") as caught:
        upgrade("postgresql://someone:hush@127.0.0.1:1/myproperty")
    assert "127.0.0.1:1/myproperty" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_malformed_dsn_says_how_to_write_one() -> None:
    with pytest.raises(MigrationError, match="postgresql://user"):
        current("server=here")


def test_a_login_without_superuser_can_migrate(fresh_database: DatabaseMaker) -> None:
    with fresh_database("plain") as dsn, psycopg.connect(dsn, autocommit=True) as admin:
        database = sql.Identifier(urlsplit(dsn).path[1:])
        admin.execute("create role migrator login createrole bypassrls password 'migrator'")
        try:
            for role in OWNERS:
                grant = sql.SQL("grant {} to migrator with admin option")
                admin.execute(grant.format(sql.Identifier(role.name)))
            admin.execute(sql.SQL("alter database {} owner to migrator").format(database))
            admin.execute("alter schema public owner to migrator")
            host = urlsplit(dsn).netloc.rpartition("@")[2]
            assert upgrade(f"postgresql://migrator:migrator@{host}{urlsplit(dsn).path}") == revisions()[-1]
        finally:
            admin.execute(sql.SQL("alter database {} owner to postgres").format(database))
            admin.execute("drop owned by migrator cascade")
            admin.execute("drop role migrator")


def test_a_login_that_may_not_create_roles_gets_a_remedy(db: psycopg.Connection) -> None:
    db.execute("alter role myproperty_readonly rename to set_aside")
    db.execute("create role nobody_special")
    db.execute("set local role nobody_special")
    with pytest.raises(RoleError, match=r"myproperty_readonly is missing.*CREATEROLE"):
        ensure_roles(db)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_with_other_attributes_is_refused(db: psycopg.Connection, role: Any) -> None:
    wrong = "nobypassrls" if role.bypasses_rls else "bypassrls"
    db.execute(sql.SQL("alter role {} {}").format(sql.Identifier(role.name), sql.SQL(wrong)))
    with pytest.raises(RoleError, match=f"ALTER ROLE {role.name}"):
        ensure_roles(db)


def test_the_owner_may_act_on_partitions_but_not_become_the_role_that_passes_policies_by(
    db: psycopg.Connection,
) -> None:
    query = "select pg_has_role('myproperty_owner', 'myproperty_partitioner', %s)"
    assert db.execute(query, ("USAGE",)).fetchone() == (True,)
    assert db.execute(query, ("SET",)).fetchone() == (False,)


def _columns(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Table to its columns, of every table but partitions and Alembic's own."""
    query = """
        select c.relnamespace::regnamespace || '.' || c.relname, array_agg(a.attname::text order by a.attnum)
        from pg_class as c join pg_attribute as a on a.attrelid = c.oid
        where c.relnamespace::regnamespace::text in ('audit', 'myproperty', 'originfd', 'warehouse_staging')
          and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
        group by 1
    """
    return dict(connection.execute(query).fetchall())


def _rows(
    connection: psycopg.Connection, like: dict[str, list[dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """Every row of the tables of `like`, with the columns that its rows have."""
    found = {}
    for table, rows in like.items():
        query = sql.SQL("select {} from {} order by 1, 2").format(
            sql.SQL(", ").join(map(sql.Identifier, rows[0])), sql.Identifier(*table.split("."))
        )
        with connection.cursor(row_factory=dict_row) as cursor:
            found[table] = cursor.execute(query).fetchall()
    return found


def _without(
    kept: dict[str, list[dict[str, Any]]], columns: dict[str, set[str]]
) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [{k: v for k, v in row.items() if k not in columns.get(table, ())} for row in rows]
        for table, rows in kept.items()
    }


def _objects(dsn: str) -> list[Any]:
    """Return the objects of the catalogue with their oids: a recreated object has another oid."""
    query = """
        select oid, oid::regclass::text from pg_class where relnamespace >= 16384
        union all select oid, oid::regprocedure::text from pg_proc where pronamespace >= 16384
        union all select oid, polname::text from pg_policy
        order by 1
    """
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()
