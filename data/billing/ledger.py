"""The double-entry ledger: issue and void invoices, take and reverse payments.

Each function is one step in the life of an invoice and books it in the same transaction. The database
refuses a commit in which invoices, payments and ledger do not tie. Not here: drafts and their lines
(`invoices`), allocated energy (`allocation_ledger`).
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
    """An invoice as read. An update sends `version` back, so that it never overwrites a newer row."""

    id: uuid.UUID
    number: str
    status: str
    total_amount: Decimal
    currency: str
    version: int


@dataclass(frozen=True)
class LedgerEntry:
    """An amount debited to one account and credited to another, for an invoice or a payment."""

    debit: str
    credit: str
    amount: Decimal
    reference_type: str
    reference_id: uuid.UUID
    description: str


def read_invoice(connection: psycopg.Connection, invoice_id: uuid.UUID) -> Invoice:
    """Return an invoice of the tenant. Raises `BillingError` for an unknown id."""
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
    """Create the accounts that the tenant does not have yet."""
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
    """Issue a draft: its amount is now owed and its lines are frozen. A total of zero counts as paid."""
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
    for account, amount in sorted(_split_income_and_tax(lines).items()):
        # A credit reduces income, so debit and credit swap.
        debit, credit = (RECEIVABLES, account) if amount > 0 else (account, RECEIVABLES)
        entry = LedgerEntry(debit, credit, abs(amount), "invoice", invoice.id, f"Invoice {invoice.number}")
        _book_entry(connection, entry, invoice.currency, issued_at)


def _split_income_and_tax(lines: list[dict[str, Any]]) -> dict[str, Decimal]:
    """Return the amount for each account. Income and tax of a line add up to its total, to the cent."""
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
    """Record money received for an invoice and return the id of the payment.

    The invoice is paid once its payments cover it. The same `reference` again changes nothing.
    """
    # Payments for one invoice wait for each other, so the second sees what the first one covered.
    connection.execute("select 1 from myproperty.invoices where id = %s for no key update", (invoice_id,))
    invoice = read_invoice(connection, invoice_id)
    if invoice.status in ("draft", "void"):
        raise BillingError(f"invoice {invoice.number} has status {invoice.status}: nothing is owed on it")
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
        return _find_payment(connection, invoice, amount, reference)
    entry = LedgerEntry(BANK, RECEIVABLES, amount, "payment", row[0], f"Payment of invoice {invoice.number}")
    _book_entry(connection, entry, invoice.currency, received_at)
    _update_status(connection, invoice)
    return uuid.UUID(str(row[0]))


def _find_payment(
    connection: psycopg.Connection, invoice: Invoice, amount: Decimal, reference: str
) -> uuid.UUID:
    row = connection.execute(
        "select id, invoice_id, amount from myproperty.payments where reference = %s", (reference,)
    ).fetchone()
    if row is None or (row[1], row[2]) != (invoice.id, amount):
        raise BillingError(f"payment {reference} is already recorded for another invoice or amount")
    return uuid.UUID(str(row[0]))


def reverse_payment(connection: psycopg.Connection, payment_id: uuid.UUID, reversed_at: datetime) -> None:
    """Reverse the entry of a payment that bounced. The invoice is owed again."""
    row = connection.execute(
        "update myproperty.payments set status = 'reversed' where id = %s and status = 'received' "
        "returning invoice_id",
        (payment_id,),
    ).fetchone()
    if row is None:
        raise BillingError(f"the tenant has no received payment {payment_id} to be reversed")
    _reverse_entries(connection, "payment", payment_id, reversed_at)
    _update_status(connection, read_invoice(connection, row[0]))


def void_invoice(connection: psycopg.Connection, invoice_id: uuid.UUID, voided_at: datetime) -> None:
    """Void an invoice and reverse its entries. Raises `BillingError` while it has payments."""
    invoice = read_invoice(connection, invoice_id)
    if paid := _sum_payments(connection, invoice):
        raise BillingError(f"{paid} is paid on invoice {invoice.number}: reverse its payments first")
    connection.execute(
        "update myproperty.invoices set status = 'void', version = %s where id = %s",
        (invoice.version, invoice.id),
    )
    if invoice.status != "draft":
        _reverse_entries(connection, "invoice", invoice.id, voided_at)


def mark_overdue(connection: psycopg.Connection, as_of: datetime) -> int:
    """Mark unpaid invoices due before `as_of` as overdue and return their number."""
    return connection.execute(
        "update myproperty.invoices set status = 'overdue' where status = 'issued' and due_at < %s",
        (as_of,),
    ).rowcount


def _sum_payments(connection: psycopg.Connection, invoice: Invoice) -> Decimal:
    row = connection.execute(
        "select coalesce(sum(amount), 0) from myproperty.payments "
        "where invoice_id = %s and status = 'received'",
        (invoice.id,),
    ).fetchone()
    return Decimal(row[0] if row else 0)


def _update_status(connection: psycopg.Connection, invoice: Invoice) -> None:
    covered = _sum_payments(connection, invoice) >= invoice.total_amount
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


def _book_entry(connection: psycopg.Connection, entry: LedgerEntry, currency: str, at: datetime) -> None:
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
