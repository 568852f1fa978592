"""An invoice is the sum of its lines, stays as issued, and ties with the ledger and its payments.

All as the application for Acacia, whose draft is over 1.32 with 1.00 paid in advance. Rules of a single row
are in test_constraints.
"""

import uuid
from decimal import Decimal
from typing import Any, LiteralString

import pytest
from psycopg import errors, sql

pytestmark = pytest.mark.engine

ISSUE: LiteralString = """
    update myproperty.invoices
    set status = 'issued', issued_at = '2026-02-03 00:00+00', due_at = '2026-02-17 00:00+00' where id = %s
"""
SET_STATUS: LiteralString = "update myproperty.invoices set status = %s where id = %s"


class Books:
    """The invoice of Acacia, and actions on it."""

    def __init__(self, app: Any, company: Any) -> None:
        self.app = app
        self.company = company
        self.invoice = company.invoice
        self.rows = company.second_rows()
        app.insert("myproperty.ledger_accounts", self.rows["myproperty.ledger_accounts"])

    def book(self, **changes: Any) -> uuid.UUID:
        """Book the receivable of the invoice, with the given changes."""
        entry = {
            **self.rows["myproperty.ledger_entries"], "id": uuid.uuid4(), "debit_account": "receivables",
            "credit_account": "sales", "amount": "1.32", "reference_type": "invoice",
            "reference_id": self.invoice, **changes,
        }  # fmt: skip
        self.app.insert("myproperty.ledger_entries", entry)
        return uuid.UUID(str(entry["id"]))

    def issue(self) -> uuid.UUID:
        """Issue the invoice and book it."""
        self.app.execute(ISSUE, (self.invoice,))
        return self.book()

    def pay(self, amount: str = "0.32", *, is_booked: bool = True) -> uuid.UUID:
        """Take a payment, and book it."""
        row = {**self.rows["myproperty.payments"], "id": uuid.uuid4(), "amount": amount}
        self.app.insert("myproperty.payments", {**row, "reference": str(row["id"])})
        if is_booked:
            self.book_payment(row["id"], amount, "bank", "receivables")
        return uuid.UUID(str(row["id"]))

    def book_payment(self, payment: uuid.UUID, amount: str, debit: str, credit: str) -> None:
        """Book a payment, or take the booking back by the accounts swapped."""
        entry = {"reference_type": "payment", "reference_id": payment, "amount": amount}
        self.book(debit_account=debit, credit_account=credit, **entry)

    def set_status(self, status: str) -> None:
        """Change nothing but the status."""
        self.app.execute(SET_STATUS, (status, self.invoice))

    def line(self, **changes: Any) -> None:
        """Add a line over 1.32."""
        self.app.insert("myproperty.invoice_lines", {**self.rows["myproperty.invoice_lines"], **changes})


@pytest.fixture
def books(app: Any, companies: Any) -> Books:
    return Books(app, companies[0])


def test_an_invoice_is_the_sum_of_its_lines(app: Any, books: Books) -> None:
    set_total = "update myproperty.invoices set total_amount = %s where id = %s"
    with app.refused("MP005", r"total of invoice 1 is 1\.33, but its lines sum to 1\.32"):
        app.execute(set_total, ("1.33", books.invoice))
        app.check()
    with app.refused("MP005", r"is 1\.32, but its lines sum to 2\.64"):
        books.line()
        app.check()
    with app.refused("MP005", r"is 1\.32, but its lines sum to 0"):
        app.execute("delete from myproperty.invoice_lines where invoice_id = %s", (books.invoice,))
        app.check()
    with app.refused("MP005", r"is 1\.32, but its lines sum to 0\.66"):
        app.execute("update myproperty.invoice_lines set quantity = 3, total_amount = 0.66")
        app.check()
    books.line()
    app.execute(set_total, ("2.64", books.invoice))
    app.check()


def test_an_invoice_is_booked_when_it_is_issued(app: Any, books: Books) -> None:
    with app.refused("MP011", r"invoice 1 is issued with a total of 1\.32, but 0 is booked"):
        app.execute(ISSUE, (books.invoice,))
        app.check()
    with app.refused("MP011", r"invoice 1 is draft with a total of 1\.32, but 1\.32 is booked"):
        books.book()
        app.check()
    with app.refused("MP011", r"but 1\.31 is booked"):
        app.execute(ISSUE, (books.invoice,))
        books.book(amount="1.31")
        app.check()
    with app.refused("MP011", r"but 2\.64 is booked"):
        books.issue()
        books.book()
        app.check()
    with app.refused("MP011", r"is in USD, but its invoice 1 is in AUD"):
        books.issue()
        books.book(currency="USD", debit_account="bank")
        app.check()
    books.issue()
    app.check()


@pytest.mark.parametrize("kind", ["invoice", "payment"])
def test_an_entry_books_what_is_there(app: Any, books: Books, companies: Any, kind: str) -> None:
    with app.refused("MP011", f"books a {kind} that does not exist"):
        books.book(reference_type=kind, reference_id=uuid.uuid4())
        app.check()
    theirs = getattr(companies[1], kind)
    with app.refused("MP011", f"books a {kind} that does not exist"):
        books.book(reference_type=kind, reference_id=theirs)
        app.check()
    books.book(reference_type="opening", reference_id=uuid.uuid4(), debit_account="bank")
    app.check()


def test_a_void_invoice_is_reversed(app: Any, books: Books) -> None:
    entry = books.issue()
    app.check()
    with app.refused("MP011", r"invoice 1 is void with a total of 1\.32, but 1\.32 is booked"):
        books.set_status("void")
        app.check()
    books.set_status("void")
    books.book(debit_account="sales", credit_account="receivables", reverses_id=entry)
    app.check()
    with app.refused("23505", "entry_is_reversed_once"):
        books.book(debit_account="sales", credit_account="receivables", reverses_id=entry)
    row = {**books.rows["myproperty.invoices"], "billing_period": "[2026-01-01,2026-02-01)"}
    app.insert("myproperty.invoices", {**row, "total_amount": 0})  # the tenancy is billed anew
    app.check()


@pytest.mark.parametrize(
    "change",
    [
        "total_amount = 2",
        "number = '1a'",
        "tenant_user_id = gen_random_uuid()",
        "due_at = due_at + interval '1 day'",
        "billing_period = '[2026-01-01,2026-03-01)'",
        "currency = 'USD'",
        "status = 'draft'",
    ],
)
def test_an_issued_invoice_is_frozen(app: Any, books: Books, change: LiteralString) -> None:
    books.issue()
    app.check()
    update = "update myproperty.invoices set " + change + " where id = %s"
    with app.refused("MP006", "the invoice 1 is issued and can no longer be changed"):
        app.execute(update, (books.invoice,))


def test_what_is_not_money_may_change_until_it_is_void(app: Any, books: Books) -> None:
    entry = books.issue()
    books.set_status("overdue")
    app.execute(
        "update myproperty.invoices set metadata = '{\"sent\": true}' where id = %s", (books.invoice,)
    )
    books.set_status("void")
    books.book(debit_account="sales", credit_account="receivables", reverses_id=entry)
    app.check()
    with app.refused("MP006", "the invoice 1 is void and can no longer be changed"):
        books.set_status("issued")


def test_the_lines_of_an_issued_invoice_are_frozen(app: Any, books: Books) -> None:
    books.issue()
    app.check()
    message = "the invoice 1 is issued and its lines can no longer be changed"
    with app.refused("MP006", message):
        books.line(category="daily", quantity=0, total_amount=0)
    with app.refused("MP006", message):
        app.execute("update myproperty.invoice_lines set description = 'Sun'")
    with app.refused("MP006", message):
        app.execute("delete from myproperty.invoice_lines")


def test_a_line_stays_with_its_invoice(app: Any, books: Books) -> None:
    """Else it could leave an issued invoice for a draft, and only the draft would be checked."""
    draft = {**books.rows["myproperty.invoices"], "total_amount": 0}
    app.insert("myproperty.invoices", draft)
    books.issue()
    move = "update myproperty.invoice_lines set invoice_id = %s where invoice_id = %s"
    with app.refused("MP006", "cannot be moved to another invoice"):
        app.execute(move, (draft["id"], books.invoice))
    books.line(invoice_id=draft["id"], line_number=1, category="daily", quantity=0, total_amount=0)
    with app.refused("MP006", "cannot be moved to another invoice"):
        app.execute(move, (books.invoice, draft["id"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"debit_account": "receivables", "credit_account": "bank"},
        {"debit_account": "bank"},
        {"amount": "0.99"},
        {"currency": "USD"},
        {"reference_id": uuid.UUID(int=1)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_reversal_is_its_entry_with_the_accounts_swapped(
    app: Any, books: Books, changes: dict[str, str]
) -> None:
    opening = {"reference_type": "opening", "reference_id": uuid.UUID(int=2), "amount": 1}
    entry = books.book(debit_account="receivables", credit_account="sales", **opening)
    swapped = {"debit_account": "sales", "credit_account": "receivables", "reverses_id": entry, **opening}
    with app.refused("MP011", f"reverses {entry}, but is not that entry with its accounts swapped"):
        books.book(**{**swapped, **changes})
        app.check()
    books.book(**swapped)
    app.check()


def test_a_payment_is_booked(app: Any, books: Books) -> None:
    books.issue()
    with app.refused("MP011", r"payments of invoice 1 sum to 1\.32, but 1\.00 is booked"):
        books.pay(is_booked=False)
        books.set_status("paid")
        app.check()
    with app.refused("MP011", r"payments of invoice 1 sum to 1\.10, but 1\.20 is booked"):
        books.book_payment(books.pay("0.10", is_booked=False), "0.20", "bank", "receivables")
        app.check()
    payment = books.pay("0.10")
    app.check()
    reverse = "update myproperty.payments set status = 'reversed' where id = %s"
    with app.refused("MP011", r"payments of invoice 1 sum to 1\.00, but 1\.10 is booked"):
        app.execute(reverse, (payment,))
        app.check()
    app.execute(reverse, (payment,))
    books.book_payment(payment, "0.10", "receivables", "bank")
    app.check()


def test_a_payment_that_is_booked_is_not_deleted(session: Any, companies: Any) -> None:
    """The application may not delete payments; if the owner did, the entry would book a missing payment."""
    session.sign_in("myproperty_owner", companies[0])
    with session.refused("MP011", "the payment bank-1 is booked and cannot be deleted"):
        session.execute("delete from myproperty.payments where id = %s", (companies[0].payment,))


def test_an_invoice_is_paid_when_its_payments_cover_it_and_only_then(app: Any, books: Books) -> None:
    books.issue()
    with app.refused("MP012", r"invoice 1 has status paid, but 1\.00 of 1\.32 is paid"):
        books.set_status("paid")
        app.check()
    with app.refused("MP012", r"invoice 1 has status issued, but 1\.32 of 1\.32 is paid"):
        books.pay()
        app.check()
    payment = books.pay()
    books.set_status("paid")
    app.check()
    app.execute("update myproperty.payments set status = 'reversed' where id = %s", (payment,))
    books.book_payment(payment, "0.32", "receivables", "bank")
    with app.refused("MP012", r"invoice 1 has status paid, but 1\.00 of 1\.32 is paid"):
        app.check()
    books.set_status("overdue")
    app.check()


def test_two_payments_of_one_invoice_wait_for_each_other(app: Any, other_app: Any, companies: Any) -> None:
    """Each would leave a rest alone, and both together cover the invoice, which neither would see."""
    for session in (app, other_app):
        payment = {**companies[0].second_rows()["myproperty.payments"], "amount": "0.2"}
        session.insert("myproperty.payments", {**payment, "reference": str(payment["id"])})
        entry = companies[0].second_rows()["myproperty.ledger_entries"]
        session.insert("myproperty.ledger_entries", {**entry, "amount": "0.2", "reference_id": payment["id"]})
    app.check()
    with pytest.raises(errors.LockNotAvailable):
        other_app.check()


def test_a_payment_is_in_the_currency_of_its_invoice_and_taken_once(app: Any, books: Books) -> None:
    row = books.rows["myproperty.payments"]
    with app.refused("23503", "payment_is_in_the_currency_of_its_invoice"):
        app.insert("myproperty.payments", {**row, "currency": "USD"})
    with app.refused("23505", "payment_is_taken_once"):
        app.insert("myproperty.payments", {**row, "reference": "bank-1"})


def test_an_entry_is_of_two_accounts_that_are_there(app: Any, books: Books) -> None:
    with app.refused("23514", "entry_moves_between_two_accounts"):
        books.book(credit_account="receivables")
    for side in ("debit_account", "credit_account"):
        with app.refused("23503", side):
            books.book(**{side: "petty_cash"})


def test_the_check_is_of_the_rows_tenant_whatever_the_session_has_set_by_then(
    app: Any, books: Books, companies: Any
) -> None:
    app.execute(ISSUE, (books.invoice,))
    app.sign_in("myproperty_app", companies[1])
    with app.refused("MP011", "invoice 1 is issued"):
        app.check()
    app.sign_in("myproperty_app", companies[0])
    books.book()
    app.sign_in("myproperty_app", companies[1])
    app.check()


@pytest.mark.parametrize("role", ["myproperty_owner", "postgres"])
def test_nobody_rewrites_what_is_append_only(session: Any, companies: Any, role: str) -> None:
    query = """
        select tgrelid::regclass::text from pg_trigger
        where tgfoid = 'myproperty.refuse_change'::regproc and tgparentid = 0
    """
    tables = [row[0] for row in session.execute(query)]
    assert len(tables) == 8
    session.sign_in(role, companies[0])
    for table in tables:
        if table.startswith("audit.") and role == "myproperty_owner":
            continue  # has no privilege at all: test_isolation
        for statement in ("update {} set version = 2", "delete from {}", "truncate {}"):
            with session.refused("MP002", f"{table} is history: its rows are never changed or deleted"):
                session.execute(sql.SQL(statement).format(sql.Identifier(*table.split("."))))


def test_the_application_may_not_rewrite_the_ledger(app: Any, companies: Any) -> None:
    statements: list[LiteralString] = [
        "update myproperty.ledger_entries set amount = 2",
        "delete from myproperty.ledger_entries",
        "truncate myproperty.ledger_entries",
    ]
    for statement in statements:
        with app.refused("42501", "permission denied for table ledger_entries"):
            app.execute(statement)


def test_balances_are_the_sums_of_the_entries(app: Any, books: Books) -> None:
    books.issue()
    books.pay()
    books.set_status("paid")
    app.check()
    # Receivables: 1.32 issued, 1.00 and 0.32 paid. Bank: both payments. Sales: the invoice.
    balances = "select code, debit, credit, balance from myproperty.account_balances order by code"
    assert app.execute(balances).fetchall() == [
        ("bank", Decimal("1.32"), 0, Decimal("1.32")),
        ("receivables", Decimal("1.32"), Decimal("1.32"), 0),
        ("sales", 0, Decimal("1.32"), Decimal("1.32")),
    ]
    sheets = "select assets, liabilities, equity, result, is_balanced from myproperty.balance_sheets"
    assert app.execute(sheets).fetchall() == [(Decimal("1.32"), 0, 0, Decimal("1.32"), True)]
