"""Texts that people write: which of them an erasure clears, which it finds by name, and which it keeps."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import errors

from myproperty.personal import DOCUMENTS, FIELDS, Protection, searched_columns
from myproperty.sealing import SealingError, erase_tenant, erase_user, replay
from myproperty.sealing.remains import tables_with_texts, write_anew
from myproperty.sealing.store import Tombstone
from tests.oltp.company import Company
from tests.oltp.sealed_company import BECAUSE, SealedCompany

pytestmark = pytest.mark.engine
ERASED = "(erased)"
ZIMT, NUMBER = 'Zoe "Zim" Zimtstern', "+61 491 570 156"


@contextmanager
def as_tenant(dsn: str, company: Company, role: str = "myproperty_app") -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('role', %s, true)", (role,))
        connection.execute("select set_config('app.tenant_id', %s, true)", (str(company.tenant),))
        yield connection


def sealed(oltp_dsn: str, settings: Any, company: Company) -> SealedCompany:
    """The company of the OLTP tests, with a key store."""
    found = object.__new__(SealedCompany)
    found.dsn, found.settings, found.name, found.id = oltp_dsn, settings, company.name, company.tenant
    return found


def set_text(dsn: str, field: str, tenant: uuid.UUID, value: object) -> None:
    """Write a text into each row of a tenant, whatever triggers say."""
    schema, table, column = field.split(".")
    value = json.dumps(value) if isinstance(value, (dict, list)) else value
    with psycopg.connect(dsn) as connection:
        connection.execute("set session_replication_role = replica")
        statement = f"update {schema}.{table} set {column} = %s where tenant_id = %s"
        assert connection.execute(statement.encode(), (value, tenant)).rowcount > 0, field


def texts(dsn: str, field: str, tenant: uuid.UUID) -> list[Any]:
    schema, table, column = field.split(".")
    with psycopg.connect(dsn) as connection:
        query = f"select {column} from {schema}.{table} where tenant_id = %s"
        return [row[0] for row in connection.execute(query.encode(), (tenant,))]


@pytest.fixture(scope="module")
def free_of_states(oltp_dsn: str) -> str:
    """The database without the checks that want a text, a person and a time together."""
    with psycopg.connect(oltp_dsn) as connection:
        for table, check in (
            ("adjustment_tasks", "decision_says_who_when_and_why"),
            ("reading_issues", "resolved_issue_says_who_when_and_why"),
            ("reading_issues", "accepted_issue_says_who_when_why_and_until"),
        ):
            connection.execute(f"alter table myproperty.{table} drop constraint {check}".encode())
    return oltp_dsn


@pytest.fixture
def pair(
    free_of_states: str, settings: Any, make_company: Any, insert: Any
) -> tuple[SealedCompany, Company, Company]:
    """Two companies with a row in each table; the resident of the first has a name and a number."""
    made = []
    for _ in range(2):
        company: Company = make_company(f"Company {uuid.uuid4().hex[:6]}")
        with psycopg.connect(free_of_states) as connection:
            connection.execute("select myproperty.ensure_readings_partition('2026-01-01')")
            connection.execute("select warehouse_staging.ensure_readings_partition('2026-01-01')")
            for table, row in company.rows_in_order():
                # The key and the sealed values there have no file.
                values = {k: v for k, v in row.items() if k != "full_name"}
                if table not in ("myproperty.agent_messages", "myproperty.data_keys"):
                    insert(connection, table, values)
        made.append(company)
    acacia, banksia = made
    owner = sealed(free_of_states, settings, acacia)
    with owner.sealer() as sealer:
        name = sealer.seal(
            ZIMT, tenant=acacia.tenant, user=acacia.user, table="users", column="full_name", row=acacia.user
        )
        preference = owner.one("select id from myproperty.notification_preferences")
        number = sealer.seal(
            NUMBER, tenant=acacia.tenant, user=acacia.user, table="notification_preferences",
            column="destination", row=preference,
        )  # fmt: skip
    owner.one("update myproperty.users set full_name = %s where id = %s returning id", name, acacia.user)
    owner.one("update myproperty.notification_preferences set destination = %s returning id", number)
    return owner, acacia, banksia


def test_every_text_of_a_resident_goes_and_none_of_another_tenant(
    pair: tuple[SealedCompany, Company, Company],
) -> None:
    owner, acacia, banksia = pair
    said = f"Ring {ZIMT}  or {NUMBER}"
    for field in FIELDS:
        if field.protection is Protection.MENTIONS or field.column in searched_columns():
            is_document = field.column in DOCUMENTS
            for company in (acacia, banksia):
                value: object = {"kept": 7, "said": [said, "b"]} if is_document else said
                if field.column.endswith(".attachments"):
                    value = [said]
                set_text(owner.dsn, field.column, company.tenant, value)
    set_text(owner.dsn, "myproperty.reading_issues.details", acacia.tenant, {"observed": 1})
    with owner.keys() as keys:
        done = erase_user(keys, owner.id, acacia.user, BECAUSE)
        again = erase_user(keys, owner.id, acacia.user, BECAUSE)
    assert done.people == 1 and again.people == 0 and again.texts == {}
    assert {column.rpartition(".")[0] for column in searched_columns()} <= done.texts.keys()
    for column in searched_columns():
        assert "Zimtstern" not in str(texts(owner.dsn, column, acacia.tenant)), column
        assert "570 156" not in str(texts(owner.dsn, column, acacia.tenant)), column
        assert "Zimtstern" in str(texts(owner.dsn, column, banksia.tenant)), column
    # Of a document only the part that names the person goes.
    assert texts(owner.dsn, "myproperty.properties.metadata", acacia.tenant) == [
        {"kept": 7, "said": [ERASED, "b"]}
    ]
    assert texts(owner.dsn, "myproperty.agent_audit.input_hash", acacia.tenant) == ["c" * 64]
    assert texts(owner.dsn, "myproperty.reading_issues.details", acacia.tenant) == [{"observed": 1}]
    with psycopg.connect(owner.dsn) as connection:
        query = "select old_values, new_values from audit.logged_actions where tenant_id = %s"
        logged = str(connection.execute(query, (acacia.tenant,)).fetchall())
    assert "Zimtstern" not in logged and "570 156" not in logged


def test_what_is_of_the_person_goes_without_a_name_in_it(
    pair: tuple[SealedCompany, Company, Company],
) -> None:
    owner, acacia, _ = pair
    set_text(owner.dsn, "myproperty.allocation_ledger.notes", acacia.tenant, "moved out early")
    set_text(owner.dsn, "myproperty.invoices.metadata", acacia.tenant, {"accepted_values": [1], "gone": 1})
    set_text(owner.dsn, "myproperty.adjustment_tasks.reason", acacia.tenant, "meter exchanged")
    set_text(owner.dsn, "myproperty.agent_audit.performed_by_user_id", acacia.tenant, acacia.user)
    # Staff opened it for the unit of the resident, in the middle of the tenancy.
    with psycopg.connect(owner.dsn) as connection:
        connection.execute(
            "insert into myproperty.users (tenant_id, email, role) "
            "values (%s, 'eve@acacia.example', 'manager')",
            (acacia.tenant,),
        )
        for day in ("2026-03-01", "2026-09-01"):
            connection.execute(
                "insert into myproperty.service_tickets "
                "(tenant_id, property_id, unit_id, opened_by, summary, category, opened_at) "
                "select %s, %s, %s, id, 'Her knee hurts', 'other', %s from myproperty.users "
                "where email = 'eve@acacia.example' and tenant_id = %s",
                (acacia.tenant, acacia.property, acacia.unit, day, acacia.tenant),
            )
    versions = [texts(owner.dsn, f"myproperty.{table}.version", acacia.tenant) for table in APPENDED]
    with owner.keys() as keys:
        erase_user(keys, owner.id, acacia.user, BECAUSE)
    assert texts(owner.dsn, "myproperty.allocation_ledger.notes", acacia.tenant) == [ERASED]
    assert texts(owner.dsn, "myproperty.allocation_adjustments.reason", acacia.tenant) == [ERASED]
    assert texts(owner.dsn, "myproperty.adjustment_tasks.reason", acacia.tenant) == ["meter exchanged"]
    assert texts(owner.dsn, "myproperty.invoices.metadata", acacia.tenant) == [{"accepted_values": [1]}]
    history = texts(owner.dsn, "audit.invoices_history.metadata", acacia.tenant)
    assert history and "gone" not in str(history)
    assert texts(owner.dsn, "myproperty.agent_audit.input_hash", acacia.tenant) == ["0" * 64]
    assert texts(owner.dsn, "myproperty.ticket_activities.body", acacia.tenant) == [None]
    # The first is the resident's own; the last was opened after the tenancy.
    assert sorted(texts(owner.dsn, "myproperty.service_tickets.summary", acacia.tenant)) == [
        ERASED, ERASED, "Her knee hurts",
    ]  # fmt: skip
    after = [texts(owner.dsn, f"myproperty.{table}.version", acacia.tenant) for table in APPENDED]
    assert after == [[version + 1 for version in of_table] for of_table in versions]
    with psycopg.connect(owner.dsn) as connection:
        query = """
            select table_name, new_values from audit.logged_actions
            where tenant_id = %s and action = 'update' and table_name = any(%s)
        """
        logged: dict[str, dict[str, Any]] = dict(
            connection.execute(query, (acacia.tenant, list(APPENDED))).fetchall()
        )
    assert logged.keys() == set(APPENDED)
    assert {"reason": "(personal)", "version": 2}.items() <= logged["allocation_adjustments"].items()


APPENDED = ("allocation_adjustments", "ticket_activities", "agent_audit")


def test_the_tickets_of_the_company_keep_the_names_of_its_staff(
    pair: tuple[SealedCompany, Company, Company],
) -> None:
    owner, acacia, _ = pair
    eve = owner.person("eve@acacia.example")
    owner.one("update myproperty.users set role = 'manager' where id = %s returning id", eve)
    set_text(owner.dsn, "myproperty.service_tickets.summary", acacia.tenant, "Ask eve@acacia.example")
    set_text(owner.dsn, "myproperty.reading_issues.resolved_by", acacia.tenant, "EVE@acacia.example")
    set_text(owner.dsn, "myproperty.reading_issues.accepted_by", acacia.tenant, "steve@acacia.example")
    with owner.keys() as keys:
        done = erase_user(keys, owner.id, eve, BECAUSE)
    assert done.texts == {"myproperty.reading_issues": 1}
    assert texts(owner.dsn, "myproperty.reading_issues.resolved_by", acacia.tenant) == [ERASED]
    assert texts(owner.dsn, "myproperty.reading_issues.accepted_by", acacia.tenant) == [
        "steve@acacia.example"
    ]
    assert texts(owner.dsn, "myproperty.service_tickets.summary", acacia.tenant) == ["Ask eve@acacia.example"]


def test_further_words_are_searched_and_the_books_are_kept(
    pair: tuple[SealedCompany, Company, Company],
) -> None:
    owner, acacia, _ = pair
    set_text(owner.dsn, "myproperty.properties.metadata", acacia.tenant, {"Mrs Quitte": 1, "lift": "no"})
    set_text(owner.dsn, "myproperty.payments.reference", acacia.tenant, "rent of MRS  QUITTE")
    with owner.keys() as keys:
        with pytest.raises(SealingError, match="'Zoe' has fewer than 4 letters"):
            erase_user(keys, owner.id, acacia.user, BECAUSE, ["Zoe "])
        assert owner.one("select status from myproperty.users where id = %s", acacia.user) == "active"
        done = erase_user(keys, owner.id, acacia.user, BECAUSE, ["Mrs Quitte"])
    assert texts(owner.dsn, "myproperty.properties.metadata", acacia.tenant) == [{"lift": "no"}]
    assert texts(owner.dsn, "myproperty.payments.reference", acacia.tenant) == ["rent of MRS  QUITTE"]
    assert done.in_books == {"myproperty.payments.reference": 1}


def test_a_name_whose_key_is_lost_is_reported_and_the_erasure_completes(
    pair: tuple[SealedCompany, Company, Company],
) -> None:
    owner, acacia, _ = pair
    set_text(owner.dsn, "myproperty.users.full_name", acacia.tenant, b"\x01" + bytes(44))
    with owner.keys() as keys:
        done = erase_user(keys, owner.id, acacia.user, BECAUSE)
    assert (done.people, done.unread) == (1, 1)
    assert set(done.names) == {"ann@acacia.example", NUMBER}


def test_a_restored_database_is_cleared_where_the_texts_were(
    pair: tuple[SealedCompany, Company, Company],
) -> None:
    """The key is gone, so the name is known to nobody: the tombstone knows the places."""
    owner, acacia, _ = pair
    address = {"lines": ["c/o", ZIMT], "to": {"name": ZIMT}}
    set_text(owner.dsn, "myproperty.properties.address", acacia.tenant, address)
    set_text(owner.dsn, "myproperty.project_links.scope_summary", acacia.tenant, f"roof of {ZIMT}")
    with owner.keys() as keys:
        erase_user(keys, owner.id, acacia.user, BECAUSE)
        stones = [file for file in owner.files() if isinstance(file, Tombstone)]
        assert sorted((m.field, m.path) for s in stones for m in s.erased_texts) == [
            ("myproperty.project_links.scope_summary", None),
            ("myproperty.properties.address", ("lines", "1")),
            ("myproperty.properties.address", ("to", "name")),
        ]
        assert "Zimtstern" not in str(stones)
        # As a backup from before has it.
        set_text(owner.dsn, "myproperty.users.status", acacia.tenant, "active")
        set_text(owner.dsn, "myproperty.properties.address", acacia.tenant, address)
        set_text(owner.dsn, "myproperty.project_links.scope_summary", acacia.tenant, f"roof of {ZIMT}")
        with psycopg.connect(owner.dsn) as connection:
            connection.execute("delete from myproperty.data_keys where user_id = %s", (acacia.user,))
        assert replay(keys).texts == {"myproperty.project_links": 1, "myproperty.properties": 2}
        assert replay(keys).texts == {}
    assert texts(owner.dsn, "myproperty.properties.address", acacia.tenant) == [
        {"lines": ["c/o", ERASED], "to": {}}
    ]
    assert texts(owner.dsn, "myproperty.project_links.scope_summary", acacia.tenant) == [ERASED]
    kept = owner.one("select erased_texts from myproperty.data_keys where user_id = %s", acacia.user)
    assert len(kept) == 3


def test_a_tenant_takes_the_texts_of_all_its_people_along(
    pair: tuple[SealedCompany, Company, Company],
) -> None:
    owner, acacia, banksia = pair
    for company in (acacia, banksia):
        set_text(owner.dsn, "myproperty.tenants.metadata", company.tenant, {"contact": ZIMT, "demo": True})
    with owner.keys() as keys:
        erase_tenant(keys, owner.id, "the contract ended")
    assert texts(owner.dsn, "myproperty.tenants.metadata", acacia.tenant) == [{"demo": True}]
    assert texts(owner.dsn, "myproperty.tenants.metadata", banksia.tenant)[0]["contact"] == ZIMT
    assert texts(owner.dsn, "myproperty.service_tickets.summary", acacia.tenant) == [ERASED]
    assert texts(owner.dsn, "myproperty.service_tickets.summary", banksia.tenant) == ["No hot water"]


def test_the_application_clears_no_text_of_somebody_who_is_not_erased(
    pair: tuple[SealedCompany, Company, Company],
) -> None:
    owner, acacia, banksia = pair
    call = "select * from audit.erase_texts(%s, %s)"
    for someone in (acacia.user, banksia.user):
        with as_tenant(owner.dsn, acacia) as connection:
            with pytest.raises(psycopg.Error, match="is not erased, so their texts stay") as caught:
                connection.execute(call, ([someone], "[]"))
            assert caught.value.sqlstate == "MP015"
    field = {"field": "myproperty.ledger_entries.description", "id": str(uuid.uuid4()), "path": None}
    refused = pytest.raises(psycopg.Error, match="is not a text that can be erased")
    with as_tenant(owner.dsn, acacia) as connection, refused:
        connection.execute(call, ([], json.dumps([field])))
    named = [{"field": "myproperty.service_tickets.summary", "id": str(banksia.ticket), "path": None}]
    with as_tenant(owner.dsn, acacia) as connection:
        rows = connection.execute(call, ([], json.dumps(named))).fetchall()
        assert sum(row[1] for row in rows) == 0
    assert texts(owner.dsn, "myproperty.service_tickets.summary", banksia.tenant) == ["No hot water"]
    for role in ("myproperty_readonly", "myproperty_etl", "myproperty_loader", "myproperty_auditor"):
        with as_tenant(owner.dsn, acacia, role) as connection, pytest.raises(errors.InsufficientPrivilege):
            connection.execute(call, ([], "[]"))


def test_the_texts_that_can_be_erased_are_those_of_the_map(db: psycopg.Connection) -> None:
    for column in searched_columns():
        path = ["a"] if column in DOCUMENTS else None
        named = json.dumps([{"field": column, "id": str(uuid.uuid4()), "path": path}])
        db.execute("select * from audit.erase_texts('{}', %s)", (named,))
    source = db.execute("select prosrc from pg_proc where proname = 'erase_texts'").fetchall()[0][0]
    listed = source[source.index("array[") : source.index("];")]
    assert {word.strip(" ',\n") for word in listed.removeprefix("array[").split(",")} == set(
        searched_columns()
    )


def test_a_table_that_is_busy_keeps_its_pages_and_is_named(
    oltp_dsn: str, companies: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myproperty.sealing.remains.LOCK_TIMEOUT", "100ms")
    with psycopg.connect(oltp_dsn) as reader:
        reader.execute("select from myproperty.users").fetchall()
        remains = write_anew(oltp_dsn, ["myproperty.users", "myproperty.tenants"])
    assert list(remains.kept) == ["myproperty.users"] and "busy" in remains.kept["myproperty.users"]
    assert write_anew(oltp_dsn, tables_with_texts()).kept == {}


def test_rows_that_an_older_transaction_sees_are_named(oltp_dsn: str, companies: Any) -> None:
    with psycopg.connect(oltp_dsn) as older:
        older.execute("set transaction isolation level repeatable read")
        older.execute("select from myproperty.units").fetchall()
        with psycopg.connect(oltp_dsn) as connection:
            connection.execute("update myproperty.users set last_login_at = now()")
        remains = write_anew(oltp_dsn, ["myproperty.users"])
        assert "older transaction" in remains.kept["myproperty.users"]
    assert write_anew(oltp_dsn, ["myproperty.users"]).kept == {}
