"""Sessions that change the same invoice, allocation and ledger at once: nothing is lost or unbalanced.

Each session records its successful writes, and the tables are compared with these records. The sessions meet
after they have read, so that all but one are stale, however fast the machine is.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

import psycopg
import pytest
from tenacity import Retrying, retry_if_exception, stop_after_attempt

from tests.oltp.office import (
    Office,
    check_balance,
    check_energy,
    check_history,
    check_trail,
    new_allocation,
    owed,
)

pytestmark = pytest.mark.engine

T = TypeVar("T")
ROUNDS = 5
# Stale version, serialization failure, deadlock: read again and try again.
CONFLICTS = frozenset({"MP001", "40001", "40P01"})
COVERED_MEANWHILE = "MP012"


@dataclass
class Session:
    """One of several sessions at work; `conflicts` counts its retries by SQLSTATE."""

    office: Office
    number: int
    connection: psycopg.Connection
    barrier: threading.Barrier
    conflicts: Counter[str] = field(default_factory=Counter)
    is_first_attempt: bool = True

    def meet(self) -> None:
        """Wait for the others, unless this is another attempt."""
        if self.is_first_attempt:
            self.barrier.wait(60)

    def succeed(self, operation: Callable[[], T], *also: str) -> T:
        """The result of a transaction, tried until it does not conflict any more."""

        def is_conflict(error: BaseException) -> bool:
            state = error.sqlstate if isinstance(error, psycopg.Error) else None
            if state is None or state not in CONFLICTS | set(also):
                return False
            self.conflicts[state] += 1
            return True

        retrying = Retrying(retry=retry_if_exception(is_conflict), stop=stop_after_attempt(200), reraise=True)
        for attempt in retrying:
            with attempt:
                self.is_first_attempt = attempt.retry_state.attempt_number == 1
                with self.office.transaction(self.connection):
                    result = operation()
        return result


@pytest.fixture(params=[2, 4])
def sessions(office: Office, request: pytest.FixtureRequest) -> Iterator[list[Session]]:
    """Sessions that are not yet at work. Deadlocks are looked for soon, so that they cost no second."""
    together = threading.Barrier(request.param)
    connections = [
        psycopg.connect(office.dsn, options="-c deadlock_timeout=20ms", autocommit=True)
        for _ in range(request.param)
    ]
    try:
        yield [Session(office, number, each, together) for number, each in enumerate(connections)]
    finally:
        for connection in connections:
            connection.close()


def at_once(sessions: list[Session], work: Callable[[Session], list[T]]) -> list[T]:
    """Return what all sessions recorded; the first failure ends the waiting of the others."""

    def run(session: Session) -> list[T]:
        try:
            return work(session)
        except BaseException:
            session.barrier.abort()
            raise

    with ThreadPoolExecutor(len(sessions)) as pool:
        return [one for record in pool.map(run, sessions) for one in record]


def conflicts(sessions: list[Session]) -> Counter[str]:
    return sum((session.conflicts for session in sessions), Counter())


# ---------------------------------------------------------------------------------------------------------
# With versions: everything succeeds in the end, once
# ---------------------------------------------------------------------------------------------------------


def test_lines_of_one_invoice(office: Office, sessions: list[Session]) -> None:
    invoice = office.new_invoice(Decimal(0))

    def work(session: Session) -> list[tuple[int, Decimal]]:
        record = []
        for number in range(session.number * ROUNDS + 1, (session.number + 1) * ROUNDS + 1):
            amount = Decimal(number * number) / 100

            def add(number: int = number, amount: Decimal = amount) -> None:
                query = "select total_amount, version from myproperty.invoices where id = %s"
                total, version = session.connection.execute(query, (invoice,)).fetchall()[0]
                session.meet()
                office.add_line(session.connection, invoice, number, amount)
                session.connection.execute(
                    "update myproperty.invoices set total_amount = %s, version = %s where id = %s",
                    (total + amount, version, invoice),
                )

            session.succeed(add)
            record.append((number, amount))
        return record

    record = at_once(sessions, work)
    count = ROUNDS * len(sessions)
    assert len(record) == count
    assert conflicts(sessions)["MP001"] >= ROUNDS * (len(sessions) - 1)
    query = "select line_number, total_amount from myproperty.invoice_lines where invoice_id = %s"
    assert sorted(office.read(query, invoice)) == sorted(record)
    query = "select total_amount, version from myproperty.invoices where id = %s"
    assert office.read(query, invoice) == [(sum(amount for _, amount in record), count + 1)]
    check_trail(office, "invoices", invoice, updates=count)
    check_history(office, invoice, versions=count + 1)
    query = """
        select count(*), count(distinct row_id), bool_and(action = 'insert') from audit.logged_actions
        where table_name = 'invoice_lines' and new_values ->> 'invoice_id' = %s
    """
    assert office.read(query, str(invoice)) == [(count, count, True)]


def test_one_invoice_issued_and_paid(office: Office, sessions: list[Session]) -> None:
    amount = Decimal("1.10")
    total = amount * ROUNDS * len(sessions)
    invoice = office.new_invoice(total)
    read = "select status, version from myproperty.invoices where id = %s"

    def issue(session: Session) -> list[bool]:
        def once() -> bool:
            status, version = session.connection.execute(read, (invoice,)).fetchall()[0]
            if status != "draft":
                return False
            session.meet()
            office.issue(session.connection, invoice, version)
            return True

        return [session.succeed(once)]

    def pay(session: Session) -> list[str]:
        record = []
        for turn in range(ROUNDS):
            reference = f"{invoice} {session.number}-{turn}"

            def take(reference: str = reference) -> None:
                version = session.connection.execute(read, (invoice,)).fetchall()[0][1]
                session.meet()
                office.take_payment(session.connection, invoice, amount, reference)
                query = "select sum(amount) from myproperty.payments where invoice_id = %s"
                if session.connection.execute(query, (invoice,)).fetchall()[0][0] >= total:
                    session.connection.execute(
                        "update myproperty.invoices set status = 'paid', version = %s where id = %s",
                        (version, invoice),
                    )

            session.succeed(take, COVERED_MEANWHILE)
            record.append(reference)
        return record

    assert Counter(at_once(sessions, issue)) == {True: 1, False: len(sessions) - 1}
    references = at_once(sessions, pay)
    assert office.read(read, invoice) == [("paid", 3)]
    query = "select reference from myproperty.payments where invoice_id = %s and status = 'received'"
    assert sorted(row[0] for row in office.read(query, invoice)) == sorted(references)
    assert owed(office, invoice) == 0
    check_trail(office, "invoices", invoice, updates=2)
    check_history(office, invoice, versions=3)
    check_balance(office)


def test_one_payment_reversed(office: Office, sessions: list[Session]) -> None:
    """All of them want to reverse it, and one does: the invoice is open again."""
    amount, reference = Decimal("4.40"), str(uuid.uuid4())
    invoice = office.new_invoice(amount)
    read = "select status, version from myproperty.invoices where id = %s"
    with psycopg.connect(office.dsn) as connection, office.transaction(connection):
        office.issue(connection, invoice, version=1)
        office.take_payment(connection, invoice, amount, reference)
        connection.execute("update myproperty.invoices set status = 'paid' where id = %s", (invoice,))

    def reverse(session: Session) -> list[bool]:
        def once() -> bool:
            connection = session.connection
            version = connection.execute(read, (invoice,)).fetchall()[0][1]
            payment, status, payment_version, entry = connection.execute(
                "select p.id, p.status, p.version, e.id from myproperty.payments p "
                "join myproperty.ledger_entries e on e.reference_id = p.id and e.reverses_id is null "
                "where p.reference = %s",
                (reference,),
            ).fetchall()[0]
            if status == "reversed":
                return False
            session.meet()
            connection.execute(
                "update myproperty.payments set status = 'reversed', version = %s where id = %s",
                (payment_version, payment),
            )
            swapped = {"debit_account": "receivables", "credit_account": "bank", "reverses_id": entry}
            office.book(connection, "payment", payment, amount, **swapped)
            connection.execute(
                "update myproperty.invoices set status = 'issued', version = %s where id = %s",
                (version, invoice),
            )
            return True

        return [session.succeed(once)]

    assert Counter(at_once(sessions, reverse)) == {True: 1, False: len(sessions) - 1}
    assert office.read(read, invoice) == [("issued", 4)]
    assert owed(office, invoice) == amount
    check_trail(office, "invoices", invoice, updates=3)
    check_history(office, invoice, versions=4)
    check_balance(office)


def test_allocations_of_one_period(office: Office, sessions: list[Session]) -> None:
    units = new_allocation(office)
    read = "select solar_kwh, grid_kwh, version from myproperty.allocation_ledger where id = %s"

    def work(session: Session) -> list[tuple[str, int, int, Decimal]]:
        record = []
        for turn in range(ROUNDS):
            giver = (session.number + turn) % len(units)
            taker = (giver + 1) % len(units)
            reason = f"{session.number}-{turn}"
            energy = Decimal(1 + session.number + turn) / 1000

            def move(
                giver: int = giver, taker: int = taker, energy: Decimal = energy, reason: str = reason
            ) -> None:
                seen = [session.connection.execute(read, (units[i],)).fetchall()[0] for i in (giver, taker)]
                session.meet()
                for unit, (solar, grid, version), more in zip(
                    (giver, taker), seen, (-energy, energy), strict=True
                ):
                    session.connection.execute(
                        "update myproperty.allocation_ledger set solar_kwh = %s, grid_kwh = %s, "
                        "adjusted_by = %s, notes = %s, version = %s where id = %s",
                        (solar + more, grid - more, office.company.user, reason, version, units[unit]),
                    )

            session.succeed(move)
            record.append((reason, giver, taker, energy))
        return record

    record = at_once(sessions, work)
    assert len(record) == ROUNDS * len(sessions)
    assert conflicts(sessions).total() >= ROUNDS
    for number, unit in enumerate(units):
        moves = {reason: -energy for reason, giver, _, energy in record if giver == number}
        moves |= {reason: energy for reason, _, taker, energy in record if taker == number}
        more = sum(moves.values(), Decimal(0))
        assert office.read(read, unit) == [(2 + more, 1 - more, 1 + len(moves))]
        check_trail(office, "allocation_ledger", unit, updates=len(moves))
        query = """
            select reason, solar_kwh_before, solar_kwh_after, grid_kwh_after - grid_kwh_before
            from myproperty.allocation_adjustments where allocation_id = %s order by adjusted_at
        """
        adjustments = office.read(query, unit)
        assert {reason: after - before for reason, before, after, _ in adjustments} == moves
        assert {reason: -grid for reason, *_, grid in adjustments} == moves
        # Each began where the one before it ended.
        begun = [before for _, before, _, _ in adjustments]
        assert begun == [Decimal(2), *(after for _, _, after, _ in adjustments[:-1])]
    check_energy(office, units)
