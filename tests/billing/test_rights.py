"""Billing as it runs, by its own login: it bills, and can do nothing else."""

from datetime import UTC, datetime, timedelta
from typing import LiteralString

import psycopg
import pytest
from psycopg import errors, sql

from commands.databases import prepare_oltp
from data.billing import ledger, reports
from data.billing.adjustments import find_tasks
from data.billing.database import find_property
from data.billing.invoices import draft_invoices
from myproperty import engines
from myproperty.database.roles import APP_ROLE, BILLER_ROLE, BILLING, MAINTAINER_ROLE
from myproperty.settings import Settings
from tests.billing.conftest import PERIOD, House, build
from tests.logins import log_in

pytestmark = pytest.mark.engine

ISSUED, DUE = datetime(2025, 10, 28, tzinfo=UTC), datetime(2025, 11, 11, tzinfo=UTC)
# What the application may do and billing may not.
NOT_FOR_BILLING: dict[str, LiteralString] = {
    "read a name": "select full_name from myproperty.users",
    "read an address": "select address from myproperty.properties",
    "read everything of a person": "select * from myproperty.users",
    "read keys": "select * from myproperty.data_keys",
    "read tickets": "select * from myproperty.service_tickets",
    "read the trail": "select * from audit.logged_actions",
    "read the landing": "select * from warehouse_staging.invoices",
    "read projects": "select * from originfd.projects",
    "change readings": "update myproperty.meter_readings set value_kwh = 0",
    "accept a severe issue": "update myproperty.reading_issues set status = 'resolved'",
    "change a price": "update myproperty.rate_plan_bands set unit_amount = 0",
    "move a resident": "update myproperty.tenancies set user_id = user_id",
    "make a user": "update myproperty.users set role = 'owner'",
    "rename a property": "update myproperty.properties set name = 'mine'",
    "rewrite the ledger": "update myproperty.ledger_entries set amount = 0",
    "take from the ledger": "delete from myproperty.ledger_entries",
    "take an invoice away": "delete from myproperty.invoices",
    "move an invoice": "update myproperty.invoices set tenant_user_id = tenant_user_id",
    "change a payment's amount": "update myproperty.payments set amount = 0",
    "clear texts": "select * from audit.erase_texts(array[]::uuid[], '[]')",
    "make a table": "create table myproperty.mine (n int)",
    "make a temporary table": "create temporary table mine (n int)",
}


@pytest.fixture(scope="module")
def login(oltp_dsn: str, postgres_settings: Settings) -> str:
    """The DSN of billing's login on the database of the houses."""
    passwords = engines.make_passwords(postgres_settings)
    prepare_oltp(oltp_dsn, passwords)
    return log_in(oltp_dsn, BILLING, passwords[BILLING.name])


@pytest.fixture(scope="module")
def house(oltp_dsn: str, login: str) -> House:
    """A house that the login bills."""
    made = build(oltp_dsn, "dynamic")
    made.dsn = login
    return made


def test_the_login_bills_books_and_reports(house: House) -> None:
    with house.connect() as connection:
        assert find_property(connection, "House") == house.property
        _, b, c = draft_invoices(connection, house.property, PERIOD)
    with house.connect() as connection:
        for invoice in (b, c):
            ledger.issue_invoice(connection, invoice, ISSUED, DUE)
        owed = ledger.read_invoice(connection, b).total_amount
    with house.connect() as connection:
        paid = ledger.take_payment(
            connection, b, owed, method="bank_transfer", reference="T1", received_at=ISSUED
        )
        ledger.reverse_payment(connection, paid, ISSUED)
        ledger.void_invoice(connection, c, ISSUED)
        assert ledger.mark_overdue(connection, DUE + timedelta(days=1)) == 1
    with house.connect() as connection:
        (sheet,) = reports.read_balance_sheets(connection)
        assert sheet["is_balanced"]
        assert {row["account"] for row in reports.read_balances(connection)} >= {"bank", "receivables"}
        assert all(row["ties"] for row in reports.read_invoice_ties(connection))
        assert find_tasks(connection) == []


@pytest.mark.parametrize("what", NOT_FOR_BILLING)
def test_the_login_does_nothing_else(house: House, what: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege), house.connect() as connection:
        connection.execute(NOT_FOR_BILLING[what])


def test_without_a_tenant_the_login_sees_and_writes_no_row(house: House) -> None:
    with psycopg.connect(house.dsn) as connection:
        connection.execute(f"set local role {BILLER_ROLE}")
        for table in ("invoices", "payments", "ledger_entries", "tenancies", "meter_readings"):
            query = sql.SQL("select count(*) from myproperty.{}").format(sql.Identifier(table))
            assert connection.execute(query).fetchone() == (0,), table
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            house.add(connection, "ledger_accounts", code="mine", name="Mine", kind="asset")


def test_under_a_tenant_the_login_writes_no_row_of_another(house: House, oltp_dsn: str) -> None:
    other = build(oltp_dsn, "dynamic")
    with house.connect() as connection:
        changed = connection.execute(
            "update myproperty.invoices set status = 'void' where tenant_id = %s", (other.tenant,)
        )
        assert changed.rowcount == 0
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            other.add(connection, "ledger_accounts", code="mine", name="Mine", kind="asset")


@pytest.mark.parametrize("role", [APP_ROLE, MAINTAINER_ROLE])
def test_what_an_earlier_release_gave_the_login_is_taken_back(
    oltp_dsn: str, login: str, postgres_settings: Settings, role: str
) -> None:
    taken = sql.SQL("set local role {}").format(sql.Identifier(role))
    with psycopg.connect(oltp_dsn, autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("grant {} to {} with inherit false, set true").format(
                sql.Identifier(role), sql.Identifier(BILLING.name)
            )
        )
    with psycopg.connect(login) as connection:
        connection.execute(taken)
    prepare_oltp(oltp_dsn, engines.make_passwords(postgres_settings))
    with psycopg.connect(login) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(taken)
