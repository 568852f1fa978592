"""Databases of the revisions before release 0.2.0: the old head is carried over, anything else is refused.

`OLD_HEAD` and `NEW_HEAD` are the same schema but for comments and messages, so a database at `NEW_HEAD` that
records `OLD_HEAD`, with other texts, stands for a database of the old head.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from oltp_schema.fingerprint import describe_schema, take_fingerprint
from oltp_schema.migrate import MigrationError, current, revisions, upgrade
from oltp_schema.squash import FINGERPRINT, NEW_HEAD, OLD_HEAD, SquashError, adopt_old_head
from tests.oltp.company import TAKEN_AWAY

pytestmark = pytest.mark.engine
DatabaseMaker = Callable[[str], AbstractContextManager[str]]


@contextmanager
def old_database(fresh_database: DatabaseMaker) -> Iterator[str]:
    """A database as the old revisions left it: their last name, and comments and a message in old words."""
    with fresh_database("old") as dsn:
        upgrade(dsn, NEW_HEAD)
        with psycopg.connect(dsn) as connection:
            connection.execute("update public.alembic_version set version_num = %s", (OLD_HEAD,))
            connection.execute("comment on table myproperty.units is 'in old words'")
            connection.execute("comment on column audit.invoices_history.number is 'in old words'")
            connection.execute("""
                create or replace function myproperty.refuse_change() returns trigger language plpgsql
                set search_path = pg_catalog, pg_temp
                as $$ begin raise exception 'in old words' using errcode = 'MP002'; end; $$
            """)
        yield dsn


@pytest.fixture(scope="module")
def dsn_of_old_head(fresh_database: DatabaseMaker) -> Iterator[str]:
    with old_database(fresh_database) as dsn:
        yield dsn


@pytest.fixture
def old(dsn_of_old_head: str) -> Iterator[psycopg.Connection]:
    """A connection to a database of the old head, whose transaction is rolled back."""
    with psycopg.connect(dsn_of_old_head) as connection:
        yield connection
        connection.rollback()


def test_the_fingerprint_is_that_of_the_new_head(old: psycopg.Connection) -> None:
    assert take_fingerprint(old) != FINGERPRINT
    adopt_old_head(old)
    assert take_fingerprint(old) == FINGERPRINT


@pytest.mark.parametrize(
    "change",
    [
        "alter table myproperty.units add column colour text",
        "alter table myproperty.units alter column floor set default '1'",
        "alter table myproperty.units drop constraint sq_ft_is_positive",
        "alter table myproperty.units disable trigger move_version",
        "alter table myproperty.units no force row level security",
        "alter table myproperty.units owner to myproperty_guardian",
        "drop index myproperty.meters_of_property",
        'drop policy "A tenant sees only its own rows" on myproperty.units',
        "drop view myproperty.invoice_ties",
        "grant delete on myproperty.units to myproperty_app",
        "grant update (name) on myproperty.properties to myproperty_readonly",
        "grant execute on function myproperty.lock_ledger() to public",
        "alter function myproperty.lock_ledger() rename to lock_everything",
        "create function myproperty.extra() returns int language sql return 1",
        "alter domain myproperty.sealed set not null",
        "alter default privileges in schema myproperty grant select on tables to myproperty_app",
    ],
)
def test_an_old_head_with_another_schema_is_refused(old: psycopg.Connection, change: str) -> None:
    old.execute(change.encode())
    with pytest.raises(
        SquashError, match=rf"at {OLD_HEAD}, and its schema differs.*oltp_schema\.fingerprint"
    ):
        adopt_old_head(old)


def test_the_old_head_is_carried_over_with_its_rows(
    fresh_database: DatabaseMaker, make_company: Any, insert: Any
) -> None:
    with old_database(fresh_database) as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute("select myproperty.ensure_readings_partition('2026-01-01')")
            connection.execute("select warehouse_staging.ensure_readings_partition('2026-01-01')")
            old_columns = _list_columns(connection)
            for table, row in make_company("Acacia").rows_in_order():
                if table in old_columns:
                    insert(connection, table, {k: v for k, v in row.items() if k in old_columns[table]})
            columns = {
                table: [name for name in names if name not in TAKEN_AWAY.get(table, ())]
                for table, names in old_columns.items()
            }
            rows = _checksum_rows(connection, columns)
        assert upgrade(dsn) == revisions()[-1] == current(dsn)
        assert upgrade(dsn) == revisions()[-1] == current(dsn)
        with psycopg.connect(dsn) as connection:
            # Later revisions add columns and tables.
            assert _checksum_rows(connection, columns) == rows
            found = describe_schema(connection)
    with fresh_database("new") as dsn:
        upgrade(dsn)
        with psycopg.connect(dsn) as connection:
            assert describe_schema(connection) == found


def test_a_refused_database_stays_as_it_is(fresh_database: DatabaseMaker) -> None:
    refusals = {
        OLD_HEAD: "its schema differs",
        "0021_say_once_what_is_the_same": rf"at 0021_say.*migrate there to {OLD_HEAD}",
        "0099_of_a_later_release": "at 0099_of.*install the newer release",
    }
    with old_database(fresh_database) as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute("alter table myproperty.units add column colour text")
            before = describe_schema(connection)
        for revision, message in refusals.items():
            with psycopg.connect(dsn) as connection:
                connection.execute("update public.alembic_version set version_num = %s", (revision,))
            with pytest.raises(MigrationError, match=message):
                upgrade(dsn)
            assert current(dsn) == revision
        with psycopg.connect(dsn) as connection:
            assert describe_schema(connection) == before


def _list_columns(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Table to its columns, in order."""
    rows = connection.execute("""
        select c.oid::regclass::text, array_agg(a.attname::text order by a.attnum)
        from pg_class as c join pg_attribute as a on a.attrelid = c.oid
        where c.relnamespace::regnamespace::text in ('audit', 'myproperty', 'originfd', 'warehouse_staging')
          and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
        group by c.oid
    """).fetchall()
    return dict(rows)


def _checksum_rows(connection: psycopg.Connection, columns: dict[str, list[str]]) -> dict[str, str]:
    """Table to the rows that it holds in these columns, as one checksum."""
    query = sql.SQL("select md5(string_agg(t::text, ';' order by t::text)) from (select {} from {}) as t")
    return {
        table: connection.execute(
            query.format(sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(*table.split(".")))
        ).fetchall()[0][0]
        for table, names in columns.items()
    }
