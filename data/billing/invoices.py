"""Invoices: what a resident's energy costs by the bands of the rate plan in force at each interval.

Here: drafts and their lines. Not here: how much energy it was (`ledger`), booking and paying (`accounts`).
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from psycopg.types.range import DateRange

from data.billing.errors import BillingError
from data.billing.ledger import Allocation, Span, compute, keep, kwh
from data.billing.metered import bounds

CENT = Decimal("0.01")
CHARGES = {"solar": "Solar energy", "grid": "Grid energy", "daily": "Daily charge"}

BANDS = """
select b.id, b.charge, b.band, b.day_kind, lower(b.minutes_of_day) as first_minute,
       upper(b.minutes_of_day) as end_minute, b.unit_amount, b.tax_rate, p.currency,
       b.valid_during * a.assigned_during * %(during)s as during
from myproperty.rate_plan_assignments a
join myproperty.rate_plans p on p.tenant_id = a.tenant_id and p.id = a.rate_plan_id
join myproperty.rate_plan_bands b on b.tenant_id = p.tenant_id and b.rate_plan_id = p.id
where a.unit_id = %(unit)s and not isempty(b.valid_during * a.assigned_during * %(during)s)
order by b.charge, b.band, during, b.unit_amount, b.tax_rate, b.day_kind, first_minute
"""


@dataclass(frozen=True)
class Band:
    """A price as it holds for a unit: on which local dates, kind of day and minutes of the day."""

    id: uuid.UUID
    charge: str
    band: str
    day_kind: str
    first_minute: int
    end_minute: int
    unit_amount: Decimal
    tax_rate: Decimal
    currency: str
    during: DateRange


@dataclass(frozen=True)
class Line:
    """One line: `quantity` in kWh, or days of a daily charge; amounts in the currency of the invoice."""

    description: str
    category: str
    quantity: Decimal
    unit_amount: Decimal
    tax_rate: Decimal
    solar_band: str | None
    allocation_id: uuid.UUID | None
    rate_plan_band_id: uuid.UUID | None

    @property
    def total_amount(self) -> Decimal:
        """With tax, rounded half away from zero to the cent."""
        return (self.quantity * self.unit_amount * (1 + self.tax_rate)).quantize(CENT, ROUND_HALF_UP)


def draft_invoices(
    connection: psycopg.Connection, property_id: uuid.UUID, period: DateRange
) -> list[uuid.UUID]:
    """Allocate a billing period, keep it in the ledger and draft an invoice for each tenancy in it.

    A tenancy that has an invoice for these days keeps it: the same call again drafts nothing. Returns the ids
    of new drafts. Raises `BillingError` if readings, shares or prices are missing.
    """
    allocation = compute(connection, property_id, period)
    period_id = keep(connection, allocation)
    ledger: dict[str, uuid.UUID] = dict(
        connection.execute(
            "select (tenancy_id, lower(billing_period))::text, id from myproperty.allocation_ledger "
            "where allocation_period_id = %s and tenancy_id is not null",
            (period_id,),
        ).fetchall()
    )
    drafted = []
    for span in allocation.spans:
        if span.tenancy_id is None or _has_invoice(connection, span):
            continue
        allocation_id = ledger[f"({span.tenancy_id},{bounds(span.during)[0]})"]
        drafted.append(_draft(connection, allocation, span, allocation_id))
    return drafted


def _has_invoice(connection: psycopg.Connection, span: Span) -> bool:
    found = connection.execute(
        "select 1 from myproperty.invoices "
        "where tenancy_id = %s and billing_period = %s and status <> 'void'",
        (span.tenancy_id, span.during),
    ).fetchone()
    return found is not None


def _draft(
    connection: psycopg.Connection, allocation: Allocation, span: Span, allocation_id: uuid.UUID
) -> uuid.UUID:
    with connection.cursor(row_factory=class_row(Band)) as cursor:
        bands = cursor.execute(BANDS, {"unit": span.unit_id, "during": span.during}).fetchall()
    currencies = {band.currency for band in bands}
    if len(currencies) != 1:
        raise BillingError(
            f"the unit {span.unit_id} has rate plans in {len(currencies)} currencies in {span.during}: "
            "complete myproperty.rate_plan_assignments, one currency a billing period"
        )
    lines = list(_lines(allocation, span, bands, allocation_id))
    row = connection.execute(
        """
        insert into myproperty.invoices
            (tenant_id, number, tenant_user_id, tenancy_id, billing_period, total_amount, currency, metadata)
        values (current_setting('app.tenant_id')::uuid, %s, %s, %s, %s, %s, %s, %s)
        returning id
        """,
        (
            _next_number(connection, bounds(span.during)[1].year),
            span.user_id,
            span.tenancy_id,
            span.during,
            sum((line.total_amount for line in lines), Decimal(0)),
            currencies.pop(),
            Jsonb({"allocation_method": allocation.method}),
        ),
    ).fetchone()
    assert row is not None  # an insert returns its row or raises
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into myproperty.invoice_lines
                (tenant_id, invoice_id, line_number, description, category, quantity, unit_amount, tax_rate,
                 total_amount, solar_band, allocation_id, rate_plan_band_id)
            values (current_setting('app.tenant_id')::uuid, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (row[0], number, line.description, line.category, line.quantity, line.unit_amount,
                 line.tax_rate, line.total_amount, line.solar_band, line.allocation_id,
                 line.rate_plan_band_id)
                for number, line in enumerate(lines, start=1)
            ],
        )  # fmt: skip
    return uuid.UUID(str(row[0]))


def _next_number(connection: psycopg.Connection, year: int) -> str:
    """Invoice numbers of a tenant run without a gap; who needs one waits for whoever took the last."""
    connection.execute(
        "select pg_advisory_xact_lock(hashtextextended('invoice ' || current_setting('app.tenant_id'), 0))"
    )
    row = connection.execute(
        "select count(*) from myproperty.invoices where starts_with(number, %s)", (f"{year}-",)
    ).fetchone()
    return f"{year}-{(row[0] if row else 0) + 1:05d}"


def _lines(allocation: Allocation, span: Span, bands: list[Band], allocation_id: uuid.UUID) -> Iterator[Line]:
    """One line for each charge, band and price: kinds of day and times of day are added up."""
    metered = allocation.metered
    inside = span.covers(metered.dates)
    energies = {"solar": allocation.solar[span.row], "grid": allocation.grid[span.row]}
    unpriced = {charge: inside & (energy > 0) for charge, energy in energies.items()}
    for _, same in groupby(bands, key=lambda b: (b.charge, b.band, b.during, b.unit_amount, b.tax_rate)):
        parts = list(same)
        band = parts[0]
        in_band = inside & np.logical_or.reduce([_in_force(allocation, part) for part in parts])
        if band.charge == "daily":
            quantity = Decimal(len(set(metered.dates[in_band])))
        else:
            quantity = kwh(energies[band.charge][in_band].sum())
            unpriced[band.charge] &= ~in_band
        if quantity:
            yield Line(
                description=f"{CHARGES[band.charge]}, {band.band}, {_days(band.during)}",
                category=band.charge,
                quantity=quantity,
                unit_amount=band.unit_amount,
                tax_rate=band.tax_rate,
                solar_band=None if band.charge == "daily" else band.band,
                allocation_id=None if band.charge == "daily" else allocation_id,
                rate_plan_band_id=band.id,
            )
    for charge, missing in unpriced.items():
        if missing.any():
            raise BillingError(
                f"{CHARGES[charge]} of the unit {span.unit_id} has no price at "
                f"{metered.starts[missing][0].tz_convert(metered.timezone):%Y-%m-%d %H:%M} local time: "
                "assign a rate plan with bands for it"
            )


def _in_force(allocation: Allocation, band: Band) -> npt.NDArray[np.bool_]:
    """Intervals (n,) in which the price holds, by the local wall clock at their start."""
    metered = allocation.metered
    first, end = bounds(band.during)
    return np.asarray(
        (metered.dates >= first)
        & (metered.dates < end)
        & (metered.is_weekend == (band.day_kind == "weekend"))
        & (metered.minutes >= band.first_minute)
        & (metered.minutes < band.end_minute)
    )


def _days(during: DateRange) -> str:
    first, end = bounds(during)
    return f"{first} to {end - timedelta(days=1)}"
