"""The application of one company on a database: its writes, and checks of its tables."""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

NOW, LATER = "2026-03-01 00:00+00", "2026-03-15 00:00+00"


@dataclass
class Office:
    """The application of one company, on a database of its own; `of_new` makes a row and gives its id."""

    dsn: str
    company: Any
    sign_in: Any
    insert: Any

    def of_new(self, connection: psycopg.Connection, table: str, **columns: Any) -> uuid.UUID:
        identity = uuid.uuid4()
        row = {"id": identity, "tenant_id": self.company.tenant, **columns}
        self.insert(connection, f"myproperty.{table}", row)
        return identity

    @contextmanager
    def transaction(self, connection: psycopg.Connection) -> Iterator[None]:
        with connection.transaction():
            self.sign_in(connection, "myproperty_app", self.company, self.company.user)
            yield

    def new_invoice(self, total: Decimal) -> uuid.UUID:
        """Write a draft with one line, or without lines if the total is 0."""
        with psycopg.connect(self.dsn) as connection, self.transaction(connection):
            invoice = self.of_new(
                connection, "invoices", number=str(uuid.uuid4()), tenant_user_id=self.company.user,
                billing_period="[2026-02-01,2026-03-01)", total_amount=total, currency="AUD",
            )  # fmt: skip
            if total:
                self.add_line(connection, invoice, 1, total)
        return invoice

    def add_line(
        self, connection: psycopg.Connection, invoice: uuid.UUID, number: int, amount: Decimal
    ) -> None:
        self.of_new(
            connection, "invoice_lines", invoice_id=invoice, line_number=number, description="Service",
            category="service", quantity=1, unit_amount=amount, total_amount=amount,
        )  # fmt: skip

    def book(
        self, connection: psycopg.Connection, kind: str, of: uuid.UUID, amount: Decimal, **columns: Any
    ) -> uuid.UUID:
        debit, credit = ("receivables", "sales") if kind == "invoice" else ("bank", "receivables")
        return self.of_new(
            connection, "ledger_entries",
            **{"entry_date": "2026-03-01", "debit_account": debit, "credit_account": credit, "amount": amount,
               "currency": "AUD", "reference_type": kind, "reference_id": of, "description": kind, **columns},
        )  # fmt: skip

    def take_payment(
        self, connection: psycopg.Connection, invoice: uuid.UUID, amount: Decimal, reference: str
    ) -> None:
        payment = self.of_new(
            connection, "payments", invoice_id=invoice, amount=amount, currency="AUD", method="card",
            reference=reference, received_at=NOW,
        )  # fmt: skip
        self.book(connection, "payment", payment, amount)

    def issue(self, connection: psycopg.Connection, invoice: uuid.UUID, version: int) -> None:
        total = connection.execute(
            "update myproperty.invoices set status = 'issued', issued_at = %s, "
            "due_at = %s, version = %s where id = %s returning total_amount",
            (NOW, LATER, version, invoice),
        ).fetchall()[0][0]
        self.book(connection, "invoice", invoice, total)

    def read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows as the superuser sees them: past the policies and the grants."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query.encode(), values).fetchall()


def new_property(office: Office) -> uuid.UUID:
    with psycopg.connect(office.dsn) as connection:
        return office.of_new(connection, "properties", name=str(uuid.uuid4()), timezone="UTC")


def new_unit(office: Office, site: uuid.UUID) -> uuid.UUID:
    with psycopg.connect(office.dsn) as connection:
        return office.of_new(connection, "units", property_id=site, label=str(uuid.uuid4()))


def new_allocation(office: Office) -> list[uuid.UUID]:
    """Create three units of a new property, each with 2 kWh solar and 1 kWh grid energy; surplus 4 kWh."""
    site, period = (
        new_property(office),
        {"billing_period": "[2026-02-01,2026-03-01)", "allocation_method": "static"},
    )
    units = [new_unit(office, site) for _ in range(3)]
    with psycopg.connect(office.dsn) as connection, office.transaction(connection):
        kept = office.of_new(
            connection, "allocation_periods", **period, property_id=site, generation_kwh=10, import_kwh=3,
            export_kwh=4, consumption_kwh=9, surplus_kwh=4,
        )  # fmt: skip
        return [
            office.of_new(
                connection, "allocation_ledger", **period, property_id=site, allocation_period_id=kept,
                unit_id=unit, solar_kwh=2, grid_kwh=1,
                tenancy_id=office.of_new(
                    connection, "tenancies", unit_id=unit, user_id=office.company.user,
                    occupied_during="[2026-01-01,)",
                ),
            )
            for unit in units
        ]  # fmt: skip


def owed(office: Office, invoice: uuid.UUID) -> Decimal:
    """Add up the receivables of an invoice from its entries and those of its payments."""
    query = """
        select debit_account, credit_account, amount from myproperty.ledger_entries
        where reference_id = %(invoice)s
           or reference_id in (select id from myproperty.payments where invoice_id = %(invoice)s)
    """
    with psycopg.connect(office.dsn) as connection:
        entries = connection.execute(query, {"invoice": invoice}).fetchall()
    accounts: Counter[str] = Counter()
    for debit, credit, amount in entries:
        accounts[debit] += amount
        accounts[credit] -= amount
    assert sum(accounts.values()) == 0
    return Decimal(accounts["receivables"])


def check_trail(office: Office, table: str, row: uuid.UUID, updates: int) -> None:
    """One insert, and an update for each version after it, by the person that the sessions acted for."""
    query = """
        select action, (new_values ->> 'version')::integer, user_id from audit.logged_actions
        where table_name = %s and row_id = %s
    """
    actions = office.read(query, table, str(row))
    assert Counter(action for action, _, _ in actions) == Counter(insert=1, update=updates)
    assert sorted(version for _, version, _ in actions) == list(range(1, updates + 2))
    assert {user for _, _, user in actions} == {office.company.user}


def check_history(office: Office, invoice: uuid.UUID, versions: int) -> None:
    """Every version once, each from the end of the one before it; the last one is still the current one."""
    query = """
        select version, lower(recorded_during), upper(recorded_during) from audit.invoices_history
        where id = %s order by version
    """
    kept = office.read(query, invoice)
    assert [version for version, _, _ in kept] == list(range(1, versions + 1))
    assert [until for _, _, until in kept] == [*(since for _, since, _ in kept[1:]), None]


def check_energy(office: Office, units: list[uuid.UUID]) -> None:
    """Check that the units together still have the energy that `new_allocation` gave them."""
    query = """
        select sum(solar_kwh), sum(solar_kwh + grid_kwh) from myproperty.allocation_ledger where id = any(%s)
    """
    assert office.read(query, units) == [(6, 9)]


def check_balance(office: Office) -> None:
    """Check that the balance sheet balances, and that receivables equal the unpaid amount of all invoices."""
    where = "where tenant_id = %s"
    sheets = office.read(
        f"select assets, liabilities + equity + result, is_balanced from myproperty.balance_sheets {where}",
        office.company.tenant,
    )
    assert [assets == claims and is_balanced for assets, claims, is_balanced in sheets] == [True]
    billed = office.read(
        "select coalesce(sum(total_amount), 0) from myproperty.invoices "
        f"{where} and status not in ('draft', 'void')",
        office.company.tenant,
    )[0][0]
    paid = office.read(
        f"select coalesce(sum(amount), 0) from myproperty.payments {where} and status = 'received'",
        office.company.tenant,
    )[0][0]
    balance = office.read(
        f"select balance from myproperty.account_balances {where} and code = 'receivables'",
        office.company.tenant,
    )[0][0]
    assert balance == billed - paid
