"""A year of bills for the demo: allocated from its readings, issued, and paid as people pay.

The amounts are whatever the readings and rate plans make them; only when and how well somebody pays is made
up here. Everything goes through `data.billing`, as the application's own calls do.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
from psycopg.types.range import DateRange

from data.billing import accounts
from data.billing.database import as_tenant
from data.billing.invoices import CENT, draft_invoices
from data.billing.metered import bounds
from data.demo.assets import currency
from data.demo.company import Scale, Site, Tenant, company

END = date(2025, 11, 1)
TODAY = datetime(2025, 11, 20, 12, tzinfo=UTC)
_TO_ISSUE, _TO_PAY = timedelta(days=2, hours=9), timedelta(days=14)
_OPENING_BALANCE = Decimal(5000)


@dataclass(frozen=True)
class Instalment:
    """Part of an invoice that is paid, `days` after it is due; one that `bounces` is reversed two days on."""

    share: Decimal
    days: int
    bounces: bool = False


# How residents pay, by turns: on time, late, in two parts, by a debit that bounces first.
HABITS = (
    (Instalment(Decimal(1), -3),),
    (Instalment(Decimal(1), 12),),
    (Instalment(Decimal("0.6"), -1), Instalment(Decimal("0.4"), 21)),
    (Instalment(Decimal(1), -2, bounces=True), Instalment(Decimal(1), 5)),
)


def periods(site: Site, first_day: date) -> list[DateRange]:
    """The billing periods of a property with readings from `first_day`: months, the first one cut short."""
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
    """Bill every property of the demo from its readings, and pay; returns the number of new invoices.

    `since` is the first day with readings. A second call changes nothing. Raises `BillingError` if readings
    are missing.
    """
    drafted = 0
    for tenant in company(scale):
        with as_tenant(dsn, tenant.id) as connection:
            accounts.open_accounts(connection)
            _open_balance(connection, tenant)
        for site in tenant.sites:
            for period in periods(site, since):
                drafted += _bill(dsn, tenant, site, period)
            if progress:
                progress(f"billed {site.name}: {len(periods(site, since))} periods")
        with as_tenant(dsn, tenant.id) as connection:
            _pay(connection)
    return drafted


def _open_balance(connection: psycopg.Connection, tenant: Tenant) -> None:
    """What the owner put into the bank account at the start."""
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
            "currency": currency(tenant.sites[0]),
        },
    )


def _bill(dsn: str, tenant: Tenant, site: Site, period: DateRange) -> int:
    """Draft and issue the invoices of a period, two days after its end, due in two weeks."""
    issued_at = datetime.combine(bounds(period)[1], datetime.min.time(), UTC) + _TO_ISSUE
    with as_tenant(dsn, tenant.id) as connection:
        drafts = draft_invoices(connection, site.id, period)
        for invoice in drafts:
            accounts.issue_invoice(connection, invoice, issued_at, issued_at + _TO_PAY)
    return len(drafts)


def _pay(connection: psycopg.Connection) -> None:
    """Everything that residents paid until today, in order of time; what is due and unpaid is overdue."""
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
            accounts.mark_overdue(connection, at)
            act(at)
    accounts.mark_overdue(connection, TODAY)


@dataclass
class _Payment:
    connection: psycopg.Connection
    invoice_id: uuid.UUID
    amount: Decimal
    reference: str
    by_debit: bool
    id: uuid.UUID | None = None

    def take(self, at: datetime) -> None:
        self.id = accounts.take_payment(
            self.connection,
            self.invoice_id,
            self.amount,
            method="direct_debit" if self.by_debit else "bank_transfer",
            reference=self.reference,
            received_at=at,
        )

    def bounce(self, at: datetime) -> None:
        if self.id is not None:
            accounts.reverse_payment(self.connection, self.id, at)
