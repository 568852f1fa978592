"""Two simultaneous transactions without versions: the checks at commit refuse a wrong balance."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.oltp.office import Office, check_energy, new_allocation, new_property, new_unit

pytestmark = pytest.mark.engine


@pytest.fixture
def pair(office: Office) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """Two sessions in a transaction each."""
    with psycopg.connect(office.dsn) as first, psycopg.connect(office.dsn) as second:
        for connection in (first, second):
            office.sign_in(connection, "myproperty_app", office.company, office.company.user)
        yield first, second
        first.rollback()
        second.rollback()


Pair = tuple[psycopg.Connection, psycopg.Connection]


def test_a_total_from_before_anothers_line_is_refused(office: Office, pair: Pair, refused: Any) -> None:
    invoice = office.new_invoice(Decimal(0))
    write = "update myproperty.invoices set total_amount = %s where id = %s"
    for number, connection in enumerate(pair, start=1):
        with (
            refused(connection, "MP005", "is 2.00, but its lines sum to 3.00") if number == 2 else unharmed()
        ):
            office.add_line(connection, invoice, number, Decimal(number))
            connection.execute(write, (number, invoice))
            connection.execute("set constraints all immediate")
        connection.commit()
    assert office.read("select total_amount from myproperty.invoices where id = %s", invoice) == [(1,)]


def test_two_payments_that_cover_an_invoice_together(office: Office, pair: Pair, refused: Any) -> None:
    """Each is a half and leaves the invoice open: right alone, wrong together."""
    invoice = office.new_invoice(Decimal(2))
    with psycopg.connect(office.dsn) as connection, office.transaction(connection):
        office.issue(connection, invoice, version=1)
    first, second = pair
    for connection in pair:
        office.take_payment(connection, invoice, Decimal(1), str(uuid.uuid4()))
    first.execute("set constraints all immediate")
    waits_for_the_other(second)
    first.commit()
    with refused(second, "MP012", "has status issued, but 2.00 of 2.00 is paid"):
        second.execute("set constraints all immediate")


def test_two_sets_of_shares_that_are_whole_each(office: Office, pair: Pair, refused: Any) -> None:
    site = new_property(office)
    for connection, unit in zip(pair, (None, new_unit(office, site)), strict=True):
        office.of_new(
            connection, "allocation_keys", property_id=site, unit_id=unit, share=1,
            valid_during="[2026-01-01,)",
        )  # fmt: skip
    first, second = pair
    first.execute("set constraints all immediate")
    waits_for_the_other(second)
    first.commit()
    with refused(second, "MP009", "sum to 2"):
        second.execute("set constraints all immediate")


def test_an_allocation_from_before_anothers_adjustment(office: Office, pair: Pair, refused: Any) -> None:
    """Both give of the first unit's two kWh, to another unit each."""
    units = new_allocation(office)
    write = """
        update myproperty.allocation_ledger
        set solar_kwh = %s, grid_kwh = %s, adjusted_by = %s, notes = 'moved' where id = %s
    """
    for number, connection in enumerate(pair, start=1):
        with refused(connection, "MP007", "does not conserve solar") if number == 2 else unharmed():
            connection.execute(write, (1, 2, office.company.user, units[0]))
            connection.execute(write, (3, 0, office.company.user, units[number]))
            connection.execute("set constraints all immediate")
        connection.commit()
    check_energy(office, units)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
@pytest.mark.parametrize("table", ["payments", "allocation_keys"])
def test_an_old_snapshot_proves_nothing(office: Office, refused: Any, level: str, table: str) -> None:
    invoice = office.new_invoice(Decimal(2))
    with psycopg.connect(office.dsn) as connection:
        connection.execute(f"set transaction isolation level {level}".encode())
        office.sign_in(connection, "myproperty_app", office.company)
        if table == "payments":
            office.take_payment(connection, invoice, Decimal(1), str(uuid.uuid4()))
        else:
            connection.execute("update myproperty.allocation_keys set share = 1")
        with refused(connection, "MP013", level):
            connection.execute("set constraints all immediate")
        connection.rollback()


def waits_for_the_other(connection: psycopg.Connection) -> None:
    """Its checks wait for a session that has checked and not committed, and do not look past it."""
    with pytest.raises(errors.LockNotAvailable), connection.transaction():
        connection.execute("set local lock_timeout = '50ms'")
        connection.execute("set constraints all immediate")


@contextmanager
def unharmed() -> Iterator[None]:
    yield
