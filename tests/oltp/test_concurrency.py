"""Sessions that change the same invoice, allocation and ledger at once: nothing is lost, nothing unbalanced.

Each session keeps a record of what it was told had succeeded; the record is what the tables are held against.
The sessions meet after they have read, so that all but one of them are stale, whatever the machine's speed.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg import errors
from tenacity import Retrying, retry_if_exception, stop_after_attempt

pytestmark = pytest.mark.engine

T = TypeVar("T")
ROUNDS = 5
# Stale version, serialization failure, deadlock: read again and try again.
CONFLICTS = frozenset({"MP001", "40001", "40P01"})
COVERED_MEANWHILE = "MP012"
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
        """A draft with one line, or none over nothing."""
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


@dataclass
class Session:
    """One of several sessions at work; `conflicts` counts what it had to try again, by SQLSTATE."""

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


@pytest.fixture(scope="module")
def office(oltp_dsn: str, companies: Any, sign_in: Any, insert: Any) -> Office:
    """The first of two companies, with an account for its sales."""
    made = Office(oltp_dsn, companies[0], sign_in, insert)
    with psycopg.connect(oltp_dsn) as connection:
        made.of_new(connection, "ledger_accounts", code="sales", name="Sales", kind="income")
    return made


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
    """What all sessions recorded; the first that fails ends the waiting of the others."""

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


# ---------------------------------------------------------------------------------------------------------
# Without versions: the checks at commit refuse what would be out of balance
# ---------------------------------------------------------------------------------------------------------


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
            refused(connection, "MP005", "is 2.00, but its lines sum to 3.00")
            if number == 2
            else unharmed()
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


# ---------------------------------------------------------------------------------------------------------
# What is there, and what has to hold
# ---------------------------------------------------------------------------------------------------------


def new_property(office: Office) -> uuid.UUID:
    with psycopg.connect(office.dsn) as connection:
        return office.of_new(connection, "properties", name=str(uuid.uuid4()), timezone="UTC")


def new_unit(office: Office, site: uuid.UUID) -> uuid.UUID:
    with psycopg.connect(office.dsn) as connection:
        return office.of_new(connection, "units", property_id=site, label=str(uuid.uuid4()))


def new_allocation(office: Office) -> list[uuid.UUID]:
    """Three units of a new property with 2 kWh of solar and 1 from the grid each; 4 kWh of surplus."""
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
    """What the entries of an invoice and its payments leave in receivables, added up here."""
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
    """What `new_allocation` gave to all of them together is still there."""
    query = """
        select sum(solar_kwh), sum(solar_kwh + grid_kwh) from myproperty.allocation_ledger where id = any(%s)
    """
    assert office.read(query, units) == [(6, 9)]


def check_balance(office: Office) -> None:
    """The balance sheet of the company balances, and its receivables are what its invoices leave open."""
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
