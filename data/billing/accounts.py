"""The double-entry ledger: invoices issued and voided, payments taken and reversed.

Each function is one step of the life of an invoice and books it in the same transaction; the database
refuses a commit in which invoices, payments and ledger do not tie.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from data.billing.errors import BillingError
from data.billing.invoices import CENT

RECEIVABLES, BANK, TAX = "receivables", "bank", "tax_payable"
INCOME = {
    "solar": "solar_income",
    "grid": "grid_income",
    "daily": "daily_income",
    "service": "service_income",
    "credit": "service_income",
}
ACCOUNTS = {
    RECEIVABLES: ("Receivables", "asset"),
    BANK: ("Bank", "asset"),
    TAX: ("Tax payable", "liability"),
    "owner_equity": ("Owner's equity", "equity"),
    "solar_income": ("Solar energy sold", "income"),
    "grid_income": ("Grid energy sold", "income"),
    "daily_income": ("Daily charges", "income"),
    "service_income": ("Services and credits", "income"),
}


@dataclass(frozen=True)
class Invoice:
    """An invoice as it was read; `version` goes back with an update, so that none newer is overwritten."""

    id: uuid.UUID
    number: str
    status: str
    total_amount: Decimal
    currency: str
    version: int


@dataclass(frozen=True)
class Entry:
    """An amount that is debited to one account and credited to another, for an invoice or a payment."""

    debit: str
    credit: str
    amount: Decimal
    reference_type: str
    reference_id: uuid.UUID
    description: str


def read_invoice(connection: psycopg.Connection, invoice_id: uuid.UUID) -> Invoice:
    """An invoice of the tenant. Raises `BillingError` if there is none with this id."""
    with connection.cursor(row_factory=class_row(Invoice)) as cursor:
        found = cursor.execute(
            "select id, number, status, total_amount, currency, version "
            "from myproperty.invoices where id = %s",
            (invoice_id,),
        ).fetchone()
    if found is None:
        raise BillingError(f"the tenant has no invoice {invoice_id}")
    return found


def open_accounts(connection: psycopg.Connection) -> None:
    """Make the accounts of a tenant that are missing."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into myproperty.ledger_accounts (tenant_id, code, name, kind) "
            "values (current_setting('app.tenant_id')::uuid, %s, %s, %s) "
            "on conflict (tenant_id, code) do nothing",
            [(code, name, kind) for code, (name, kind) in ACCOUNTS.items()],
        )


def issue_invoice(
    connection: psycopg.Connection, invoice_id: uuid.UUID, issued_at: datetime, due_at: datetime
) -> None:
    """Send a draft: from now on it is owed, and its lines stand. One over nothing is paid at once."""
    invoice = read_invoice(connection, invoice_id)
    connection.execute(
        "update myproperty.invoices set status = %s, issued_at = %s, due_at = %s, version = %s where id = %s",
        ("issued" if invoice.total_amount else "paid", issued_at, due_at, invoice.version, invoice.id),
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        lines = cursor.execute(
            "select category, quantity, unit_amount, total_amount from myproperty.invoice_lines "
            "where invoice_id = %s",
            (invoice.id,),
        ).fetchall()
    for account, amount in sorted(_income_and_tax(lines).items()):
        # A credit is less income: it goes the other way.
        debit, credit = (RECEIVABLES, account) if amount > 0 else (account, RECEIVABLES)
        entry = Entry(debit, credit, abs(amount), "invoice", invoice.id, f"Invoice {invoice.number}")
        _book(connection, entry, invoice.currency, issued_at)


def _income_and_tax(lines: list[dict[str, Any]]) -> dict[str, Decimal]:
    """What each account gets; income and tax of a line add up to its total, to the cent."""
    amounts: dict[str, Decimal] = {}
    for line in lines:
        net = (line["quantity"] * line["unit_amount"]).quantize(CENT, ROUND_HALF_UP)
        for account, amount in ((INCOME[line["category"]], net), (TAX, line["total_amount"] - net)):
            amounts[account] = amounts.get(account, Decimal(0)) + amount
    return {account: amount for account, amount in amounts.items() if amount}


def take_payment(
    connection: psycopg.Connection,
    invoice_id: uuid.UUID,
    amount: Decimal,
    *,
    method: str,
    reference: str,
    received_at: datetime,
) -> uuid.UUID:
    """Record money received for an invoice, which is paid once its payments cover it; returns the payment.

    The same reference again changes nothing.
    """
    # Payments of one invoice wait for each other: the second sees whether the first covered it.
    connection.execute("select 1 from myproperty.invoices where id = %s for no key update", (invoice_id,))
    invoice = read_invoice(connection, invoice_id)
    if invoice.status in ("draft", "void"):
        raise BillingError(f"the invoice {invoice.number} is {invoice.status}: nothing is owed on it")
    row = connection.execute(
        """
        insert into myproperty.payments
            (tenant_id, invoice_id, amount, currency, method, reference, received_at)
        values (current_setting('app.tenant_id')::uuid, %s, %s, %s, %s, %s, %s)
        on conflict (tenant_id, reference) do nothing
        returning id
        """,
        (invoice.id, amount, invoice.currency, method, reference, received_at),
    ).fetchone()
    if row is None:
        return _known_payment(connection, invoice, amount, reference)
    entry = Entry(BANK, RECEIVABLES, amount, "payment", row[0], f"Payment of invoice {invoice.number}")
    _book(connection, entry, invoice.currency, received_at)
    _settle(connection, invoice)
    return uuid.UUID(str(row[0]))


def _known_payment(
    connection: psycopg.Connection, invoice: Invoice, amount: Decimal, reference: str
) -> uuid.UUID:
    row = connection.execute(
        "select id, invoice_id, amount from myproperty.payments where reference = %s", (reference,)
    ).fetchone()
    if row is None or (row[1], row[2]) != (invoice.id, amount):
        raise BillingError(f"the payment {reference} was taken already, for another invoice or amount")
    return uuid.UUID(str(row[0]))


def reverse_payment(connection: psycopg.Connection, payment_id: uuid.UUID, reversed_at: datetime) -> None:
    """Take back a payment that bounced: the entry is reversed, and the invoice is owed again."""
    row = connection.execute(
        "update myproperty.payments set status = 'reversed' where id = %s and status = 'received' "
        "returning invoice_id",
        (payment_id,),
    ).fetchone()
    if row is None:
        raise BillingError(f"the tenant has no payment {payment_id} that could be reversed")
    _reverse_entries(connection, "payment", payment_id, reversed_at)
    _settle(connection, read_invoice(connection, row[0]))


def void_invoice(connection: psycopg.Connection, invoice_id: uuid.UUID, voided_at: datetime) -> None:
    """Take an invoice back: what was booked for it is reversed. One with payments has to be repaid first."""
    invoice = read_invoice(connection, invoice_id)
    if paid := _paid(connection, invoice):
        raise BillingError(f"{paid} was paid on the invoice {invoice.number}: reverse its payments first")
    connection.execute(
        "update myproperty.invoices set status = 'void', version = %s where id = %s",
        (invoice.version, invoice.id),
    )
    if invoice.status != "draft":
        _reverse_entries(connection, "invoice", invoice.id, voided_at)


def mark_overdue(connection: psycopg.Connection, as_of: datetime) -> int:
    """Mark what was due before `as_of` and is not paid; returns how many invoices that were."""
    return connection.execute(
        "update myproperty.invoices set status = 'overdue' where status = 'issued' and due_at < %s",
        (as_of,),
    ).rowcount


def _paid(connection: psycopg.Connection, invoice: Invoice) -> Decimal:
    row = connection.execute(
        "select coalesce(sum(amount), 0) from myproperty.payments "
        "where invoice_id = %s and status = 'received'",
        (invoice.id,),
    ).fetchone()
    return Decimal(row[0] if row else 0)


def _settle(connection: psycopg.Connection, invoice: Invoice) -> None:
    covered = _paid(connection, invoice) >= invoice.total_amount
    if covered != (invoice.status == "paid"):
        connection.execute(
            "update myproperty.invoices set status = %s, version = %s where id = %s",
            ("paid" if covered else "issued", invoice.version, invoice.id),
        )


def _reverse_entries(
    connection: psycopg.Connection, reference_type: str, reference_id: uuid.UUID, at: datetime
) -> None:
    connection.execute(
        """
        insert into myproperty.ledger_entries
            (tenant_id, entry_date, debit_account, credit_account, amount, currency, reference_type,
             reference_id, description, reverses_id)
        select tenant_id, %(date)s, credit_account, debit_account, amount, currency, reference_type,
               reference_id, 'Reversal: ' || description, id
        from myproperty.ledger_entries
        where reference_type = %(type)s and reference_id = %(id)s and reverses_id is null
        """,
        {"date": at.date(), "type": reference_type, "id": reference_id},
    )


def _book(connection: psycopg.Connection, entry: Entry, currency: str, at: datetime) -> None:
    connection.execute(
        """
        insert into myproperty.ledger_entries
            (tenant_id, entry_date, debit_account, credit_account, amount, currency, reference_type,
             reference_id, description)
        values (current_setting('app.tenant_id')::uuid, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (at.date(), entry.debit, entry.credit, entry.amount, currency, entry.reference_type,
         entry.reference_id, entry.description),
    )  # fmt: skip
