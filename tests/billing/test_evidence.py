"""A bill and the values behind it: held back, accepted by a person, estimated."""

import datetime
import re
import uuid

import psycopg
import pytest
from psycopg.types.json import Jsonb

from data.billing.errors import BillingError
from data.billing.invoices import draft_invoices
from data.billing.reports import read_invoice, read_invoice_ties
from data.ingest.validation.acceptances import accept_issues
from tests.billing.conftest import DAY, PERIOD, House

pytestmark = pytest.mark.engine

UNTIL = datetime.date(2026, 12, 31)
TODAY = datetime.date(2026, 11, 28)


def hold_back(house: House, *meters: str) -> list[uuid.UUID]:
    """Add an open severe issue for each meter on the day of the house."""
    with psycopg.connect(house.dsn) as db:
        return [
            house.add(
                db, "reading_issues", property_id=house.property, meter_id=house.meters[meter],
                channel="consumption", reading_date=DAY, rule="VEE-BOUND", severity="severe",
                details=Jsonb({"kwh": 7.5}),
            )
            for meter in meters
        ]  # fmt: skip


def read_bill(house: House, unit: str) -> dict[str, object]:
    with house.connect() as connection:
        [number] = [row["invoice"] for row in read_invoice_ties(connection) if row["unit"] == unit]
        return read_invoice(connection, number)


def test_a_period_with_a_held_meter_is_refused_and_the_message_mends_it(house: House) -> None:
    issues = hold_back(house, "a", "b")
    with house.connect() as connection, pytest.raises(BillingError) as refused:
        draft_invoices(connection, house.property, PERIOD)
    message = str(refused.value)
    assert message.startswith(
        "meter a is held back on 2025-10-26 by VEE-BOUND, meter b is held back on 2025-10-26 by VEE-BOUND"
    )
    command = re.search(r"`myproperty issues accept (.*) --by WHO --reason WHY --until YYYY-MM-DD`", message)
    assert command is not None
    accept_issues(
        house.dsn, command[1].split(), by="ann", reason="the lift was tested", until=UNTIL, today=TODAY
    )
    assert set(command[1].split()) == {str(issue) for issue in issues}
    with house.connect() as connection:
        assert len(draft_invoices(connection, house.property, PERIOD)) == 3


def test_a_bill_shows_what_was_accepted_by_whom_and_why_after_the_acceptance_ended(house: House) -> None:
    issues = hold_back(house, "a", "solar")
    accept_issues(
        house.dsn, [str(issue) for issue in issues], by="ann", reason="tested", until=UNTIL, today=TODAY
    )
    with house.connect() as connection:
        draft_invoices(connection, house.property, PERIOD)
    with psycopg.connect(house.dsn) as db:
        db.execute("delete from myproperty.reading_issues where tenant_id = %s", (house.tenant,))
    accepted = read_bill(house, "a")["accepted_values"]
    assert isinstance(accepted, list)
    assert [row["meter"] for row in accepted] == ["a", "solar"]
    wanted = {"date": "2025-10-26", "kwh": "7.5", "reason": "tested", "by": "ann", "until": "2026-12-31"}
    assert accepted[0].items() >= wanted.items()
    # The meter of another unit is not on this bill; the roof decides about the solar of all.
    others = read_bill(house, "b")["accepted_values"]
    assert isinstance(others, list)
    assert [row["meter"] for row in others] == ["solar"]


def test_a_line_shows_the_estimated_share_of_its_energy(house: House) -> None:
    with psycopg.connect(house.dsn) as db:
        db.execute(
            "update myproperty.meter_readings set is_estimated = true, quality = 'estimated' "
            "where meter_id = %s and value_kwh = 4",
            (house.meters["a"],),
        )
    with house.connect() as connection:
        draft_invoices(connection, house.property, PERIOD)
    lines = read_bill(house, "a")["lines"]
    assert isinstance(lines, list)
    # 4 of 7 kWh.
    shares = {row["description"].split(",")[0]: str(row["estimated_pct"]) for row in lines}
    assert shares == {"Daily charge": "None", "Grid energy": "57.14", "Solar energy": "57.14"}


def test_an_unknown_invoice_is_an_error(house: House) -> None:
    with house.connect() as connection, pytest.raises(BillingError, match="no invoice '2025-1'"):
        read_invoice(connection, "2025-1")
