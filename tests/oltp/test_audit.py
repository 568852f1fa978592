"""The trail: who changed what, when, before and after; written for every change and rewritten by nobody."""

from collections import Counter
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

pytestmark = pytest.mark.engine

Row = dict[str, Any]
ROLES = ("app", "readonly", "auditor", "loader", "etl", "owner")


def trail(db: psycopg.Connection) -> list[Row]:
    """Return what this transaction wrote to the trail, oldest first."""
    with db.transaction(force_rollback=True), db.cursor(row_factory=dict_row) as cursor:
        cursor.execute("reset role")
        query = "select * from audit.logged_actions where transaction_id = pg_current_xact_id() order by id"
        return cursor.execute(query).fetchall()


def row_of(db: psycopg.Connection, table: str, key: UUID) -> Row:
    """A row as the client reads it."""
    query = sql.SQL("select * from {} where id = %s").format(sql.Identifier(*table.split(".")))
    with db.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query, (key,)).fetchone()
    assert row is not None
    return row


def as_told(values: Row, columns: Row) -> Row:
    """Values of the trail in the types of the row that they are compared with."""
    told: Row = {}
    for name, value in values.items():
        like = columns[name]
        if isinstance(like, datetime):
            told[name] = datetime.fromisoformat(value)
        else:
            told[name] = UUID(value) if isinstance(like, UUID) else value
    return told


def test_what_was_put_in_is_in_the_trail_once(db: psycopg.Connection, companies: Any) -> None:
    for company in companies:
        put = Counter(table for table, _ in company.rows_in_order())
        query = """
            select schema_name || '.' || table_name, count(*) from audit.logged_actions
            where tenant_id = %s and action = 'insert' group by 1
        """
        logged: dict[str, int] = dict(db.execute(query, (company.tenant,)).fetchall())
        # Loads are in the ledger of ingestion, landing is a copy, and originfd is another's.
        missing = {name.removeprefix("myproperty.") for name in put if name not in logged}
        assert {name for name in missing if "." not in name} == {
            "ingestion_jobs", "ingestion_job_dates", "meter_readings", "meter_reading_versions",
            "solar_reference_yields", "reading_totals",
        }  # fmt: skip
        assert all(put[name] == number for name, number in logged.items())


def test_an_insert_an_update_and_a_delete_tell_what_changed(app: Any, companies: Any) -> None:
    """The changed columns are found by comparing what the client reads before and after."""
    acacia = companies[0]
    db = app.connection
    table = "myproperty.notification_preferences"
    row = {**acacia.second_rows()[table], "id": UUID(int=7)}
    app.insert(table, row)
    inserted = row_of(db, table, row["id"])
    update = """
        update myproperty.notification_preferences set enabled = false, topic = 'outage', channel = channel
        where id = %s
    """
    app.execute(update, (row["id"],))
    updated = row_of(db, table, row["id"])
    app.execute("delete from myproperty.notification_preferences where id = %s", (row["id"],))
    changed = {name for name in inserted if inserted[name] != updated[name]} - {"updated_at"}

    first, second, third = trail(db)
    assert [action["action"] for action in (first, second, third)] == ["insert", "update", "delete"]
    for action in (first, second, third):
        assert action["row_key"] == {"id": str(row["id"])}
        assert (action["schema_name"], action["table_name"]) == tuple(table.split("."))
        assert action["tenant_id"] == acacia.tenant
    del inserted["updated_at"]
    assert first["old_values"] is None
    assert as_told(first["new_values"], inserted) == inserted
    assert changed == {"enabled", "topic", "version"}
    assert as_told(second["old_values"], inserted) == {name: inserted[name] for name in changed}
    assert as_told(second["new_values"], updated) == {name: updated[name] for name in changed}
    del updated["updated_at"]
    assert as_told(third["old_values"], updated) == updated
    assert third["new_values"] is None


def test_the_trail_tells_who_and_when(session: Any, companies: Any) -> None:
    acacia = companies[0]
    db = session.connection
    rename: LiteralString = "update myproperty.properties set name = name || '!' where id = %s"
    started = session.execute("select clock_timestamp()").fetchone()
    session.execute("set local application_name = 'billing run'")
    session.execute(rename, (acacia.property,))
    session.sign_in("myproperty_owner", acacia)
    session.execute(rename, (acacia.property,))
    session.sign_in("myproperty_app", acacia, acacia.user)
    session.execute(rename, (acacia.property,))
    actions = trail(db)
    ended = session.execute("select clock_timestamp()").fetchone()

    login = db.info.user
    assert [(a["role_name"], a["login_name"], a["user_id"]) for a in actions] == [
        (login, login, None), ("myproperty_owner", login, None), ("myproperty_app", login, acacia.user),
    ]  # fmt: skip
    assert {a["application_name"] for a in actions} == {"billing run"}
    times = [started[0], *(a["occurred_at"] for a in actions), ended[0]]
    assert times == sorted(set(times))


def test_the_trail_names_the_role_whose_change_fired_the_trigger(app: Any, companies: Any) -> None:
    acacia = companies[0]
    app.sign_in("myproperty_app", acacia, acacia.user)
    adjust = """
        update myproperty.allocation_ledger set solar_kwh = 5, grid_kwh = 4, adjusted_by = %s, notes = 'meter'
        where id = %s
    """
    app.execute(adjust, (acacia.user, acacia.allocation))
    told = {(a["table_name"], a["action"], a["role_name"], a["user_id"]) for a in trail(app.connection)}
    assert told == {
        ("allocation_ledger", "update", "myproperty_app", acacia.user),
        ("allocation_adjustments", "insert", "myproperty_app", acacia.user),
    }


def test_personal_data_stays_out_of_the_trail(session: Any, companies: Any) -> None:
    acacia = companies[0]
    session.sign_in("myproperty_owner", acacia)
    row = {**acacia.second_rows()["myproperty.users"], "email": "zoe@casuarina.example"}
    session.insert("myproperty.users", row)
    session.execute(
        "update myproperty.users set email = 'zed@casuarina.example', status = 'suspended' where id = %s",
        (row["id"],),
    )
    session.execute("delete from myproperty.users where id = %s", (row["id"],))
    inserted, updated, deleted = trail(session.connection)
    assert inserted["new_values"]["email"] == "(personal)"
    assert inserted["new_values"]["role"] == "resident"
    assert updated["old_values"] == {"email": "(personal)", "status": "active", "version": 1}
    assert updated["new_values"] == {"email": "(personal)", "status": "suspended", "version": 2}
    assert deleted["old_values"]["email"] == "(personal)"
    assert "casuarina" not in str([inserted, updated, deleted])


def test_an_update_of_any_table_is_logged(db: psycopg.Connection, companies: Any) -> None:
    query = """
        select tgrelid::regclass::text from pg_trigger as t
        where tgfoid = 'audit.log_action'::regproc and tgtype & 16 <> 0 and not exists (
            select from pg_trigger as r
            where r.tgrelid = t.tgrelid and r.tgfoid = 'myproperty.refuse_change'::regproc
        )
        order by 1
    """
    tables = [row[0] for row in db.execute(query)]
    assert len(tables) >= 30
    for table in tables:
        update = sql.SQL("update {} set version = version where tenant_id = %s")
        changed = db.execute(
            update.format(sql.Identifier(*table.split("."))), (companies[0].tenant,)
        ).rowcount
        actions = [a for a in trail(db) if f"{a['schema_name']}.{a['table_name']}" == table]
        assert changed == len(actions) > 0, table
        for action in actions:
            assert action["action"] == "update"
            assert action["new_values"]["version"] == action["old_values"]["version"] + 1 == 2
            assert set(action["new_values"]) == {"version"}
            assert all(action["row_key"].values()), table


def test_loads_are_not_logged_and_what_they_replace_is_once_a_tenant(session: Any, companies: Any) -> None:
    acacia, banksia = companies
    session.sign_in("myproperty_loader", acacia)
    for channel in ("export", "generation"):
        session.insert("myproperty.meter_readings", acacia.reading(channel=channel))
    assert trail(session.connection) == []
    update = """
        update myproperty.meter_readings set value_native = 2, value_kwh = 2
        where reading_date = '2026-01-01' and quality = %s
    """
    session.execute(update, ("estimated",))
    assert trail(session.connection) == []
    session.execute(update, ("actual",))
    updates = trail(session.connection)
    told = {a["tenant_id"]: (a["action"], a["role_name"], a["row_key"], a["old_values"]) for a in updates}
    assert len(updates) == 2
    assert told == {
        company.tenant: (
            "update",
            "myproperty_loader",
            {"readings": number, "reading_dates": ["2026-01-01"]},
            {"ingestion_job_ids": [str(company.job)]},
        )
        for company, number in ((acacia, 3), (banksia, 1))
    }


def test_manual_changes_of_readings_are_logged_with_values(session: Any, companies: Any) -> None:
    """No load has kept them in meter_reading_versions."""
    acacia = companies[0]
    session.sign_in("myproperty_owner", acacia, acacia.user)
    of_the_day = "where reading_date = '2026-01-01'"
    with session.connection.cursor(row_factory=dict_row) as cursor:
        before = cursor.execute("select * from myproperty.meter_readings " + of_the_day).fetchone()
    assert before is not None
    change = "update myproperty.meter_readings set "
    session.execute(change + "value_native = 2, value_kwh = 2 " + of_the_day)
    session.execute(change + "channel = 'export' " + of_the_day)
    session.execute("delete from myproperty.meter_readings " + of_the_day)
    update, move, delete = trail(session.connection)

    key = {"meter_id", "channel", "reading_ts", "reading_date", "id"}
    assert set(update["row_key"]) == key
    assert update["row_id"] == str(before["id"])
    assert (update["action"], update["role_name"], update["user_id"]) == (
        "update", "myproperty_owner", acacia.user,
    )  # fmt: skip
    assert update["old_values"] == {"value_native": 1.5, "value_kwh": 1.5, "version": 1}
    assert update["new_values"] == {"value_native": 2, "value_kwh": 2, "version": 2}
    # Under another key the old reading is gone, and is logged completely.
    assert (move["row_key"]["channel"], move["new_values"]) == ("import", None)
    assert (delete["action"], delete["row_key"]["channel"]) == ("delete", "export")
    for gone in (move, delete):
        assert set(gone["old_values"]) == set(before) - {"updated_at"}
        assert gone["old_values"]["value_kwh"] == 2


def test_an_action_is_of_the_tenant_of_its_row_whatever_the_session_has_set(
    session: Any, companies: Any
) -> None:
    acacia, banksia = companies
    session.sign_in("myproperty_loader", banksia)
    session.insert("myproperty.meters", acacia.second_rows()["myproperty.meters"])
    session.sign_in("myproperty_app", acacia)
    session.execute("update myproperty.invoices set metadata = '{}', number = '3'")
    session.sign_in("myproperty_app", banksia)
    session.check()
    tables = [(a["table_name"], a["tenant_id"]) for a in trail(session.connection)]
    assert tables == [("meters", acacia.tenant), ("invoices", acacia.tenant)]


@pytest.mark.parametrize("actor", ["of another tenant", "of nobody"])
def test_nobody_acts_as_a_user_of_another_tenant(session: Any, companies: Any, actor: str) -> None:
    acacia, banksia = companies
    user = banksia.user if actor == "of another tenant" else uuid4()
    session.sign_in("myproperty_app", acacia, user)
    with session.refused("23503", "actor_is_a_user_of_the_tenant"):
        session.execute("update myproperty.properties set name = name || '!'")
    session.sign_in("myproperty_app", acacia, acacia.user)
    session.execute("update myproperty.properties set name = name || '!'")


@pytest.mark.parametrize(
    "statement",
    [
        "update audit.logged_actions set user_id = null",
        "delete from audit.logged_actions",
        "truncate audit.logged_actions",
    ],
)
def test_nobody_rewrites_the_trail(session: Any, companies: Any, statement: LiteralString) -> None:
    with session.refused("MP002", r"audit\.logged_actions is history"):
        session.execute(statement)
    for role in ROLES:
        session.sign_in(f"myproperty_{role}", companies[0])
        with session.refused("42501", "permission denied"):
            session.execute(statement)


def test_nobody_forges_the_trail_or_turns_it_off(session: Any, companies: Any) -> None:
    row = companies[0].second_rows()["audit.logged_actions"]
    for role in ROLES:
        session.sign_in(f"myproperty_{role}", companies[0])
        with session.refused("42501", "permission denied"):
            session.insert("audit.logged_actions", row)
        with session.refused("42501", "must be owner of table|permission denied for schema"):
            session.execute("alter table audit.logged_actions disable trigger all")
    query = """
        select r.rolname from pg_roles r
        where not r.rolsuper and r.rolname <> 'myproperty_guardian'
          and pg_has_role(r.oid, 'myproperty_guardian', 'member')
    """
    assert session.execute(query).fetchall() == []
