"""Invoices and ledger as of a time, compared with what a client read at that time."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, LiteralString

import pytest
from psycopg.rows import dict_row

pytestmark = pytest.mark.engine

Books = list[dict[str, Any]]
INVOICES: LiteralString = "select * from myproperty.invoices order by id"
INVOICES_THEN: LiteralString = "select * from myproperty.invoices_as_of(%s) order by id"
ENTRIES: LiteralString = "select * from myproperty.ledger_entries order by id"
ENTRIES_THEN: LiteralString = "select * from myproperty.ledger_entries_as_of(%s) order by id"


def read(app: Any, query: LiteralString, at: datetime | None = None) -> Books:
    """Rows without the time in which they were the current ones."""
    with app.connection.cursor(row_factory=dict_row) as cursor:
        rows: Books = cursor.execute(query, None if at is None else (at,)).fetchall()
    for row in rows:
        row.pop("recorded_during", None)
    return rows


def test_invoices_and_ledger_stand_as_they_were_read(app: Any, companies: Any) -> None:
    acacia = companies[0]
    rows = acacia.second_rows()
    second = {**rows["myproperty.invoices"], "total_amount": 0}
    entry = {
        **rows["myproperty.ledger_entries"], "debit_account": "receivables", "credit_account": "sales",
        "amount": "1.32", "reference_type": "invoice", "reference_id": acacia.invoice,
    }  # fmt: skip
    line = {**rows["myproperty.invoice_lines"], "invoice_id": second["id"], "line_number": 1}
    set_status: LiteralString = "update myproperty.invoices set status = %s where id = %s"
    issue = """
        update myproperty.invoices
        set status = 'issued', issued_at = '2026-02-03 00:00+00', due_at = '2026-02-17 00:00+00' where id = %s
    """
    app.insert("myproperty.ledger_accounts", rows["myproperty.ledger_accounts"])
    set_total = "update myproperty.invoices set total_amount = 1.32 where id = %s"
    steps: list[Callable[[], object]] = [
        lambda: None,
        lambda: app.insert("myproperty.invoices", second),
        lambda: app.insert("myproperty.invoice_lines", line),
        lambda: app.execute(set_total, (second["id"],)),
        lambda: app.execute(issue, (acacia.invoice,)),
        lambda: app.insert("myproperty.ledger_entries", entry),
        lambda: app.execute("update myproperty.invoices set number = 'N' || number where status = 'draft'"),
        lambda: app.execute(set_status, ("overdue", acacia.invoice)),
    ]  # fmt: skip
    seen: list[tuple[datetime, Books, Books]] = []
    for step in steps:
        step()
        (at,) = app.execute("select clock_timestamp()").fetchone()
        seen.append((at, read(app, INVOICES), read(app, ENTRIES)))
    app.check()

    assert len({str(invoices) for _, invoices, _ in seen}) == 6
    for at, invoices, entries in seen:
        assert read(app, INVOICES_THEN, at) == invoices
        assert read(app, ENTRIES_THEN, at) == entries
    before = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
    assert read(app, INVOICES_THEN, before) == read(app, ENTRIES_THEN, before) == []
    # One version ends where the next begins.
    query = """
        select version, upper(recorded_during) = lead(lower(recorded_during)) over (order by version)
        from audit.invoices_history where id = %s order by version
    """
    versions = app.execute(query, (acacia.invoice,)).fetchall()
    assert versions == [(1, True), (2, True), (3, None)]


def test_what_was_deleted_stood_until_then(session: Any, companies: Any) -> None:
    session.sign_in("myproperty_owner", companies[0])
    draft = {**companies[0].second_rows()["myproperty.invoices"], "total_amount": 0}
    session.insert("myproperty.invoices", draft)
    (there,) = session.execute("select clock_timestamp()").fetchone()
    session.execute("delete from myproperty.invoices where id = %s", (draft["id"],))
    (gone,) = session.execute("select clock_timestamp()").fetchone()
    session.sign_in("myproperty_auditor", companies[0])
    assert draft["id"] in [row["id"] for row in read(session, INVOICES_THEN, there)]
    assert draft["id"] not in [row["id"] for row in read(session, INVOICES_THEN, gone)]


@pytest.mark.parametrize("role", ["app", "readonly", "auditor"])
@pytest.mark.parametrize("query", [INVOICES_THEN, ENTRIES_THEN])
def test_history_shows_only_the_own_tenant(
    session: Any, companies: Any, role: str, query: LiteralString
) -> None:
    (now,) = session.execute("select now()").fetchone()
    for company in companies:
        session.sign_in(f"myproperty_{role}", company)
        assert [row["tenant_id"] for row in read(session, query, now)] == [company.tenant]
    session.execute("select set_config('app.tenant_id', '', true)")
    assert read(session, query, now) == []


@pytest.mark.parametrize("table", ["invoices", "ledger_entries"])
def test_history_has_the_columns_of_its_table(session: Any, companies: Any, table: str) -> None:
    """In their order too: the trigger copies whole rows."""
    query = """
        select attname, atttypid::regtype::text, atttypmod, attnotnull from pg_attribute
        where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum
    """
    base = session.execute(query, (f"myproperty.{table}",)).fetchall()
    history = session.execute(query, (f"audit.{table}_history",)).fetchall()
    assert history == [*base, ("recorded_during", "tstzrange", -1, True)]


@pytest.mark.parametrize("table", ["invoices_history", "ledger_entries_history"])
def test_nobody_writes_history(session: Any, companies: Any, table: str) -> None:
    for role in ("app", "readonly", "auditor", "loader", "etl", "owner"):
        query = """
            select bool_or(has_table_privilege(%s, %s, p))
            from unnest('{insert,update,delete,truncate,trigger}'::text[]) as p
        """
        assert session.execute(query, (f"myproperty_{role}", f"audit.{table}")).fetchone() == (False,), role
    session.sign_in("myproperty_owner", companies[0])
    with session.refused("42501", "permission denied"):
        session.insert(f"audit.{table}", companies[0].second_rows()[f"audit.{table}"])
