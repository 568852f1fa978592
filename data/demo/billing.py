"""Bill a year of the demo: allocate its readings, issue invoices and record payments.

Amounts follow from readings and rate plans. Only the payment habits are invented here. Everything goes
through `data.billing`, as the calls of the application do.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
from psycopg.types.range import DateRange

from data.billing import ledger
from data.billing.database import as_tenant
from data.billing.invoices import CENT, draft_invoices
from data.billing.metered import get_bounds
from data.demo.assets import get_currency
from data.demo.company import DemoProperty, DemoTenant, Scale, list_tenants

END = date(2025, 11, 1)
TODAY = datetime(2025, 11, 20, 12, tzinfo=UTC)
_TO_ISSUE, _TO_PAY = timedelta(days=2, hours=9), timedelta(days=14)
_OPENING_BALANCE = Decimal(5000)


@dataclass(frozen=True)
class Instalment:
    """A payment of part of an invoice, `days` after it is due; if it `bounces`, reversed two days later."""

    share: Decimal
    days: int
    bounces: bool = False


# Payment habits, assigned to residents in turn: on time, late, in two parts, by a debit that first bounces.
HABITS = (
    (Instalment(Decimal(1), -3),),
    (Instalment(Decimal(1), 12),),
    (Instalment(Decimal("0.6"), -1), Instalment(Decimal("0.4"), 21)),
    (Instalment(Decimal(1), -2, bounces=True), Instalment(Decimal(1), 5)),
)


def list_periods(site: DemoProperty, first_day: date) -> list[DateRange]:
    """List the billing periods from `first_day`: calendar months, the first one shortened."""
    since = max(first_day, site.opened)
    found = []
    while since < END:
        following = (since.replace(day=1) + timedelta(days=32)).replace(day=1)
        found.append(DateRange(since, following))
        since = following
    return found


def apply_billing(
    dsn: str, scale: Scale = "small", progress: Callable[[str], None] | None = None, since: date = date.min
) -> int:
    """Bill every property of the demo from its readings, record payments, return the number of new invoices.

    `since` is the first day with readings. A second call changes nothing. Raises `BillingError` if readings
    are missing.
    """
    drafted = 0
    for tenant in list_tenants(scale):
        with as_tenant(dsn, tenant.id) as connection:
            ledger.open_accounts(connection)
            _book_opening_balance(connection, tenant)
        for site in tenant.sites:
            for period in list_periods(site, since):
                drafted += _bill_period(dsn, tenant, site, period)
            if progress:
                progress(f"billed {site.name}: {len(list_periods(site, since))} periods")
        with as_tenant(dsn, tenant.id) as connection:
            _pay_invoices(connection)
    return drafted


def _book_opening_balance(connection: psycopg.Connection, tenant: DemoTenant) -> None:
    """Book the money that the owner paid into the bank account at the start."""
    connection.execute(
        """
        insert into myproperty.ledger_entries
            (id, tenant_id, entry_date, debit_account, credit_account, amount, currency, reference_type,
             reference_id, description)
        values (%(id)s, %(tenant)s, %(date)s, 'bank', 'owner_equity', %(amount)s, %(currency)s, 'opening',
                %(tenant)s, 'Opening balance')
        on conflict do nothing
        """,
        {
            "id": uuid.uuid5(tenant.id, "opening balance"),
            "tenant": tenant.id,
            "date": tenant.sites[0].opened,
            "amount": _OPENING_BALANCE,
            "currency": get_currency(tenant.sites[0]),
        },
    )


def _bill_period(dsn: str, tenant: DemoTenant, site: DemoProperty, period: DateRange) -> int:
    """Draft and issue the invoices of a period: two days after its end, due two weeks later."""
    issued_at = datetime.combine(get_bounds(period)[1], datetime.min.time(), UTC) + _TO_ISSUE
    with as_tenant(dsn, tenant.id) as connection:
        drafts = draft_invoices(connection, site.id, period)
        for invoice in drafts:
            ledger.issue_invoice(connection, invoice, issued_at, issued_at + _TO_PAY)
    return len(drafts)


def _pay_invoices(connection: psycopg.Connection) -> None:
    """Record the payments until `TODAY` in order of time and mark unpaid invoices as overdue."""
    if connection.execute("select 1 from myproperty.payments limit 1").fetchone():
        return
    events: list[tuple[datetime, str, Callable[[datetime], object]]] = []
    invoices = connection.execute(
        "select id, number, total_amount, due_at, dense_rank() over (order by tenant_user_id) "
        "from myproperty.invoices where status = 'issued' order by number"
    ).fetchall()
    for invoice_id, number, total, due_at, turn in invoices:
        paid = Decimal(0)
        habit = HABITS[turn % len(HABITS)]
        for part, instalment in enumerate(habit, start=1):
            last = part == len(habit)
            amount = total - paid if last else (total * instalment.share).quantize(CENT)
            paid += Decimal(0) if instalment.bounces else amount
            at = due_at + timedelta(days=instalment.days)
            payment = _Payment(connection, invoice_id, amount, f"{number}/{part}", instalment.bounces)
            events.append((at, payment.reference, payment.take))
            if instalment.bounces:
                events.append((at + timedelta(days=2), payment.reference, payment.bounce))
    for at, _, act in sorted(events, key=lambda event: event[:2]):
        if at <= TODAY:
            ledger.mark_overdue(connection, at)
            act(at)
    ledger.mark_overdue(connection, TODAY)


@dataclass
class _Payment:
    connection: psycopg.Connection
    invoice_id: uuid.UUID
    amount: Decimal
    reference: str
    by_debit: bool
    id: uuid.UUID | None = None

    def take(self, at: datetime) -> None:
        self.id = ledger.take_payment(
            self.connection,
            self.invoice_id,
            self.amount,
            method="direct_debit" if self.by_debit else "bank_transfer",
            reference=self.reference,
            received_at=at,
        )

    def bounce(self, at: datetime) -> None:
        if self.id is not None:
            ledger.reverse_payment(self.connection, self.id, at)
