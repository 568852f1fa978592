"""Invoices checked against prices computed by hand, and the life of an invoice in the ledger."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from data.billing import ledger
from data.billing.errors import BillingError
from data.billing.invoices import draft_invoices
from tests.billing.conftest import PERIOD, House

pytestmark = pytest.mark.engine

ISSUED = datetime(2025, 11, 1, 9, tzinfo=UTC)
DUE = ISSUED + timedelta(days=14)
LINES = """
select u.label, l.category, l.solar_band, l.quantity, l.unit_amount, l.total_amount
from myproperty.invoice_lines l
join myproperty.invoices i on i.id = l.invoice_id
join myproperty.tenancies t on t.id = i.tenancy_id
join myproperty.units u on u.id = t.unit_id
order by u.label, l.category, l.solar_band, l.line_number
"""


def draft(house: House) -> list[Any]:
    """Draft the invoices of the day and return their ids in order of unit label."""
    with house.connect() as connection:
        ids = draft_invoices(connection, house.property, PERIOD)
        labels = dict(
            connection.execute(
                "select i.id, u.label from myproperty.invoices i "
                "join myproperty.tenancies t on t.id = i.tenancy_id "
                "join myproperty.units u on u.id = t.unit_id"
            ).fetchall()
        )
    return sorted(ids, key=lambda id_: labels[id_])


def balances(house: House) -> dict[str, Decimal]:
    with house.connect() as connection:
        return dict(connection.execute("select code, balance from myproperty.account_balances").fetchall())


def test_lines_by_hand(house: House) -> None:
    """The five intervals start at local 07:00 to 11:00, since the clock went back; two have the high price.

    Solar of b by interval: 3, 3, 5.4, 0, 0 and grid 0, 3, 3.6, 1, 0: 6.6 kWh at 0.40, 1 kWh at 0.30.
    """
    draft(house)
    with house.connect() as connection:
        rows = [row for row in connection.execute(LINES).fetchall() if row[0] == "b"]
    assert rows == [
        ("b", "daily", None, 1, Decimal("0.25"), Decimal("0.30")),
        ("b", "grid", "high", Decimal("6.6"), Decimal("0.4"), Decimal("3.14")),
        ("b", "grid", "low", 1, Decimal("0.3"), Decimal("0.36")),
        ("b", "solar", "solar", Decimal("11.4"), Decimal("0.2"), Decimal("2.71")),
    ]


def test_an_invoice_ties_to_its_allocation(house: House) -> None:
    draft(house)
    with house.connect() as connection:
        ties = connection.execute(
            "select total_amount = lines_amount, billed_solar_kwh = allocated_solar_kwh, "
            "billed_grid_kwh = allocated_grid_kwh from myproperty.invoice_ties"
        ).fetchall()
    assert ties == [(True, True, True)] * 3


def test_drafting_again_drafts_nothing_and_numbers_have_no_gap(house: House) -> None:
    assert len(draft(house)) == 3
    assert draft(house) == []
    with house.connect() as connection:
        numbers = connection.execute("select number from myproperty.invoices order by 1").fetchall()
    assert [number for (number,) in numbers] == ["2025-00001", "2025-00002", "2025-00003"]


def test_energy_without_a_price_is_refused(house: House) -> None:
    with house.connect_as_application() as connection:
        connection.execute("delete from myproperty.rate_plan_bands where charge = 'grid'")
    with pytest.raises(BillingError, match=r"Grid energy of the unit .* has no price at 2025-10-26 \d\d:00"):
        draft(house)
    with house.connect_as_application() as connection:
        connection.execute("delete from myproperty.rate_plan_assignments")
    with pytest.raises(BillingError, match="rate plans in 0 currencies"):
        draft(house)


def test_the_life_of_an_invoice(house: House) -> None:
    """Issue, pay in part, overdue, pay, bounce, pay again: the books balance at each step."""
    _, b, _ = draft(house)
    assert balances(house) == {}
    with house.connect() as connection:
        ledger.issue_invoice(connection, b, ISSUED, DUE)
    # Net 0.25 + 2.64 + 0.30 + 2.28 = 5.47; gross 6.51.
    assert balances(house) == {
        "receivables": Decimal("6.51"), "daily_income": Decimal("0.25"), "grid_income": Decimal("2.94"),
        "solar_income": Decimal("2.28"), "tax_payable": Decimal("1.04"),
    }  # fmt: skip
    _pay(house, b, "2.00", "T1")
    assert (status(house, b), balances(house)["receivables"]) == ("issued", Decimal("4.51"))
    with house.connect() as connection:
        assert ledger.mark_overdue(connection, DUE) == 0
        assert ledger.mark_overdue(connection, DUE + timedelta(days=1)) == 1
    rest = _pay(house, b, "4.51", "T2")
    assert (status(house, b), balances(house)["receivables"]) == ("paid", Decimal(0))
    with house.connect() as connection:
        ledger.reverse_payment(connection, rest, DUE)
    assert (status(house, b), balances(house)["receivables"]) == ("issued", Decimal("4.51"))
    with pytest.raises(BillingError, match=r"no received payment .* reversed"), house.connect() as connection:
        ledger.reverse_payment(connection, rest, DUE)
    with pytest.raises(BillingError, match="reverse its payments first"), house.connect() as connection:
        ledger.void_invoice(connection, b, DUE)
    _pay(house, b, "4.51", "T3")
    assert (status(house, b), balances(house)["bank"]) == ("paid", Decimal("6.51"))
    with house.connect() as connection:
        sheet = connection.execute(
            "select assets - liabilities - equity - result, is_balanced from myproperty.balance_sheets"
        ).fetchone()
    assert sheet == (0, True)


def test_a_voided_invoice_owes_nothing_and_is_billed_again(house: House) -> None:
    a, _, _ = draft(house)
    with house.connect() as connection:
        ledger.issue_invoice(connection, a, ISSUED, DUE)
        ledger.void_invoice(connection, a, ISSUED)
    assert set(balances(house).values()) == {Decimal(0)}
    assert len(draft(house)) == 1


def test_a_payment_reported_twice_is_recorded_once(house: House) -> None:
    a, b, _ = draft(house)
    with house.connect() as connection:
        ledger.issue_invoice(connection, a, ISSUED, DUE)
        ledger.issue_invoice(connection, b, ISSUED, DUE)
    assert _pay(house, a, "1.00", "T1") == _pay(house, a, "1.00", "T1")
    assert balances(house)["bank"] == 1
    with pytest.raises(BillingError, match="another invoice or amount"):
        _pay(house, b, "1.00", "T1")


def test_a_draft_cannot_be_paid(house: House) -> None:
    a, *_ = draft(house)
    with pytest.raises(BillingError, match="nothing is owed"):
        _pay(house, a, "1.00", "T1")


def _pay(house: House, invoice: Any, amount: str, reference: str) -> Any:
    with house.connect() as connection:
        return ledger.take_payment(
            connection, invoice, Decimal(amount), method="bank_transfer", reference=reference, received_at=DUE
        )


def status(house: House, invoice: Any) -> str:
    with house.connect() as connection:
        return ledger.read_invoice(connection, invoice).status
