"""Optimistic locking: a version moves by one with every update, and an update after an older read fails."""

from typing import Any

import pytest
from psycopg import sql

pytestmark = pytest.mark.engine


def test_every_table_moves_its_version_and_refuses_a_stale_one(
    session: Any, companies: Any, system_rows: Any
) -> None:
    for table, row in system_rows.items():
        session.insert(table, row)
    query = """
        select tgrelid::regclass::text from pg_trigger as t
        where tgfoid = 'myproperty.move_version'::regproc and tgparentid = 0 and not exists (
            select from pg_trigger as r
            where r.tgrelid = t.tgrelid and r.tgfoid = 'myproperty.refuse_change'::regproc
        )
        order by 1
    """
    tables = [row[0] for row in session.execute(query)]
    assert len(tables) >= 34
    for table in tables:
        target = sql.Identifier(*table.split("."))
        # The row that was put in first: of readings, one through its partition.
        where = sql.SQL("true" if table in system_rows else "tenant_id = {}").format(companies[0].tenant)
        read = sql.SQL("select ctid, version, updated_at, created_at from {} where {} limit 1")
        ctid, version, updated_at, created_at = session.execute(read.format(target, where)).fetchone()
        update = sql.SQL("""
            update {} set version = {}, created_at = 'epoch', updated_at = 'epoch' where {} and ctid = {}
            returning ctid, version, updated_at, now(), created_at
        """)
        moved = session.execute(update.format(target, version, where, ctid)).fetchone()
        assert moved[1] == version + 1, table
        assert moved[2] == moved[3] >= updated_at, table
        assert moved[4] == created_at, table
        for sent in (version, version + 2):
            message = (
                rf"stale version of {table}(_20260101)?: the row is at version {version + 1}, "
                rf"the update was made for version {sent}"
            )
            with session.refused("MP001", message):
                session.execute(update.format(target, sent, where, moved[0]))
        session.execute(update.format(target, version + 1, where, moved[0]))


def test_of_two_updates_of_one_version_the_second_is_refused(app: Any, companies: Any) -> None:
    rename = "update myproperty.users set status = %s, version = %s where id = %s"
    (version,) = app.execute("select version from myproperty.users").fetchone()
    app.execute(rename, ("suspended", version, companies[0].user))
    with app.refused("MP001", r"stale version of myproperty\.users: the row is at version 2"):
        app.execute(rename, ("active", version, companies[0].user))
    assert app.execute("select status, version from myproperty.users").fetchone() == ("suspended", 2)
