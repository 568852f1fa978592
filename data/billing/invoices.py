"""Invoices: the price of a resident's energy by the band of the rate plan in force at each interval.

Here: drafts and their lines. Not here: the allocated energy (`allocation_ledger`), booking and paying
(`ledger`).
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb
from psycopg.types.range import DateRange

from data.billing.allocation_ledger import (
    Allocation,
    Span,
    allocate_period,
    build_ledger_rows,
    lock_billing,
    to_kwh,
    write_allocation,
)
from data.billing.errors import BillingError
from data.billing.evidence import read_accepted
from data.billing.metered import QUANTUM, get_bounds

CENT = Decimal("0.01")
CHARGES = {"solar": "Solar energy", "grid": "Grid energy", "daily": "Daily charge"}

BANDS = """
select b.id, b.charge, b.band, b.day_kind, lower(b.minutes_of_day) as first_minute,
       upper(b.minutes_of_day) as end_minute, b.unit_amount, b.tax_rate, p.currency,
       b.valid_during * a.assigned_during * %(during)s as during
from myproperty.rate_plan_assignments a
join myproperty.rate_plans p on p.tenant_id = a.tenant_id and p.id = a.rate_plan_id
join myproperty.rate_plan_bands b on b.tenant_id = p.tenant_id and b.rate_plan_id = p.id
where a.unit_id = %(unit)s and b.charge = any(%(charges)s)
  and not isempty(b.valid_during * a.assigned_during * %(during)s)
order by b.charge, b.band, during, b.unit_amount, b.tax_rate, b.day_kind, first_minute
"""

# Allocations of a tenancy that were adjusted after billing and are not fully corrected yet. If energy only
# moved between bands, the sums are equal and the time of the decision shows it.
ADJUSTED = """
select a.id, a.billing_period as during, a.solar_kwh, a.grid_kwh, p.property_id, p.billing_period as period
from myproperty.allocation_ledger a
join myproperty.allocation_periods p on p.tenant_id = a.tenant_id and p.id = a.allocation_period_id
join myproperty.invoice_ties t on t.tenant_id = a.tenant_id and t.allocation_id = a.id
join myproperty.invoices i on i.tenant_id = t.tenant_id and i.id = t.invoice_id and i.status <> 'draft'
join lateral (
    select max(decided_at) as decided_at from myproperty.adjustment_tasks k
    where k.tenant_id = p.tenant_id and k.allocation_period_id = p.id and k.status = 'done'
) k on k.decided_at is not null
where a.tenancy_id = %(tenancy)s and a.id <> %(allocation)s
  and (
    (t.billed_solar_kwh + t.corrected_solar_kwh, t.billed_grid_kwh + t.corrected_grid_kwh)
        <> (t.allocated_solar_kwh, t.allocated_grid_kwh)
    or k.decided_at > (
        select max(n.created_at) from myproperty.invoices n
        where n.tenancy_id = a.tenancy_id and n.status <> 'void' and n.id is distinct from %(invoice)s
    )
  )
order by a.billing_period
"""

BILLED = """
select coalesce(b.charge, l.category) as charge, l.solar_band, abs(l.unit_amount) as unit_amount, l.tax_rate,
       sum(case l.category when 'credit' then -l.quantity else l.quantity end) as quantity,
       min(l.rate_plan_band_id::text)::uuid as rate_plan_band_id
from myproperty.invoice_lines l
join myproperty.invoices i on i.tenant_id = l.tenant_id and i.id = l.invoice_id and i.status <> 'void'
left join myproperty.rate_plan_bands b
    on b.tenant_id = l.tenant_id and b.id = l.rate_plan_band_id and l.category = 'credit'
where l.allocation_id = %s
group by 1, 2, 3, 4
order by 1, 2, 3, 4
"""


@dataclass(frozen=True)
class Band:
    """The price of a unit for certain local dates, kind of day and minutes of the day."""

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
    """An invoice line: `quantity` in kWh, or in days for a daily charge; amounts in the invoice currency."""

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
        """The amount with tax, rounded half away from zero to the cent."""
        return (self.quantity * self.unit_amount * (1 + self.tax_rate)).quantize(CENT, ROUND_HALF_UP)


def draft_invoices(
    connection: psycopg.Connection, property_id: uuid.UUID, period: DateRange
) -> list[uuid.UUID]:
    """Allocate a billing period, write it to the allocation ledger and draft an invoice for each tenancy.

    A tenancy with an invoice for these days keeps it, so the same call again drafts nothing. A draft also
    bills or credits adjustments of earlier periods. Returns the ids of new drafts. Raises `BillingError` if
    readings, shares or prices are missing.
    """
    lock_billing(connection)
    allocation = allocate_period(connection, property_id, period)
    period_id = write_allocation(connection, allocation)
    pricing = _Pricer(connection)
    return [
        _write_draft(
            connection, span, pricing.price(allocation, span, allocation_id), allocation_id, allocation.method
        )
        for span, allocation_id in _pair_with_ledger(connection, allocation, period_id)
        if not _has_invoice(connection, span)
    ]


def redraft_invoices(connection: psycopg.Connection, allocation: Allocation, period_id: uuid.UUID) -> int:
    """Rewrite the drafts of a period after its allocation was adjusted and return their number."""
    pricing = _Pricer(connection)
    drafts = 0
    for span, allocation_id in _pair_with_ledger(connection, allocation, period_id):
        row = connection.execute(
            "select id from myproperty.invoices "
            "where tenancy_id = %s and billing_period = %s and status = 'draft'",
            (span.tenancy_id, span.during),
        ).fetchone()
        if row is None:
            continue
        connection.execute("delete from myproperty.invoice_lines where invoice_id = %s", row)
        priced = pricing.price(allocation, span, allocation_id, row[0])
        accepted = read_accepted(connection, {allocation_id, *priced.allocation_ids})
        connection.execute(
            "update myproperty.invoices set total_amount = %s, metadata = metadata || %s where id = %s",
            (priced.total_amount, Jsonb({"accepted_values": accepted}), row[0]),
        )
        _write_lines(connection, row[0], priced.lines)
        drafts += 1
    return drafts


def _pair_with_ledger(
    connection: psycopg.Connection, allocation: Allocation, period_id: uuid.UUID
) -> Iterator[tuple[Span, uuid.UUID]]:
    """Yield the spans of an allocation that have a tenancy, each with its id in the allocation ledger."""
    ledger: dict[str, uuid.UUID] = dict(
        connection.execute(
            "select (tenancy_id, lower(billing_period))::text, id from myproperty.allocation_ledger "
            "where allocation_period_id = %s and tenancy_id is not null",
            (period_id,),
        ).fetchall()
    )
    for span in allocation.spans:
        if span.tenancy_id is not None:
            yield span, ledger[f"({span.tenancy_id},{get_bounds(span.during)[0]})"]


def _has_invoice(connection: psycopg.Connection, span: Span) -> bool:
    found = connection.execute(
        "select from myproperty.invoices where tenancy_id = %s and billing_period = %s and status <> 'void'",
        (span.tenancy_id, span.during),
    ).fetchone()
    return found is not None


@dataclass(frozen=True)
class PricedLines:
    """The lines of an invoice and their currency."""

    lines: list[Line]
    currency: str

    @property
    def total_amount(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.total_amount for line in self.lines), Decimal(0))

    @property
    def allocation_ids(self) -> set[uuid.UUID | None]:
        """The allocations that the lines bill or correct."""
        return {line.allocation_id for line in self.lines}


class _Pricer:
    """Price spans and corrections of earlier periods; each earlier period is allocated once."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._allocate_once = lru_cache(maxsize=None)(self._allocate)

    def price(
        self, allocation: Allocation, span: Span, allocation_id: uuid.UUID, invoice: uuid.UUID | None = None
    ) -> PricedLines:
        """Return the lines of the span, then corrections. `invoice` is the draft to be rewritten, if any."""
        bands = self._read_bands(span)
        currencies = {band.currency for band in bands}
        if len(currencies) != 1:
            raise BillingError(
                f"the unit {span.unit_id} has rate plans in {len(currencies)} currencies in {span.during}: "
                "complete myproperty.rate_plan_assignments, with one currency for each billing period"
            )
        lines = [
            *_build_lines(allocation, span, bands, allocation_id),
            *self._build_corrections(span, allocation_id, invoice),
        ]
        return PricedLines(list(_limit_credits(lines)), currencies.pop())

    def _read_bands(self, span: Span) -> list[Band]:
        with self._connection.cursor(row_factory=class_row(Band)) as cursor:
            return cursor.execute(
                BANDS, {"unit": span.unit_id, "during": span.during, "charges": list(CHARGES)}
            ).fetchall()

    def _build_corrections(
        self, span: Span, allocation_id: uuid.UUID, invoice: uuid.UUID | None
    ) -> Iterator[Line]:
        """Build lines for adjusted allocations of the tenancy: new cost less billed cost, price by price."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            adjusted = cursor.execute(
                ADJUSTED, {"tenancy": span.tenancy_id, "allocation": allocation_id, "invoice": invoice}
            ).fetchall()
        for row in adjusted:
            allocation = self._allocate_once(row["property_id"], row["period"])
            for earlier, energy in build_ledger_rows(allocation):
                is_the_row = (earlier.tenancy_id, earlier.during) == (span.tenancy_id, row["during"])
                # If readings changed again, the open task must first adjust the allocation ledger.
                if is_the_row and energy[:2] == (row["solar_kwh"], row["grid_kwh"]):
                    lines = _build_lines(allocation, earlier, self._read_bands(earlier), row["id"])
                    yield from _build_difference_lines(
                        lines, self._read_billed(row["id"]), row["id"], row["during"]
                    )

    def _read_billed(self, allocation_id: uuid.UUID) -> list[dict[str, Any]]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(BILLED, (allocation_id,)).fetchall()

    def _allocate(self, property_id: uuid.UUID, period: DateRange) -> Allocation:
        return allocate_period(self._connection, property_id, period)


def _build_difference_lines(
    lines: Iterable[Line], billed: list[dict[str, Any]], allocation_id: uuid.UUID, during: DateRange
) -> Iterator[Line]:
    """Build lines that bill missing energy of an allocation and credit excess energy."""
    quantities: dict[tuple[str, str | None, Decimal, Decimal], Decimal] = {}
    bands: dict[tuple[str, str | None, Decimal, Decimal], uuid.UUID | None] = {}
    for row in billed:
        key = (row["charge"], row["solar_band"], row["unit_amount"], row["tax_rate"])
        quantities[key], bands[key] = -row["quantity"], row["rate_plan_band_id"]
    for line in lines:
        if line.allocation_id is not None:
            key = (line.category, line.solar_band, line.unit_amount, line.tax_rate)
            quantities[key] = quantities.get(key, Decimal(0)) + line.quantity
            bands.setdefault(key, line.rate_plan_band_id)
    for key, quantity in quantities.items():
        charge, band, unit_amount, tax_rate = key
        if quantity:
            yield Line(
                description=f"Correction: {CHARGES[charge]}, {band}, {_format_dates(during)}",
                category=charge if quantity > 0 else "credit",
                quantity=abs(quantity),
                unit_amount=unit_amount if quantity > 0 else -unit_amount,
                tax_rate=tax_rate,
                solar_band=band,
                allocation_id=allocation_id,
                rate_plan_band_id=bands[key],
            )


def _limit_credits(lines: list[Line]) -> Iterator[Line]:
    """Move credits last and cut them at an invoice total of zero. The rest waits for the next invoice."""
    total = Decimal(0)
    for line in sorted(lines, key=lambda line: line.category == "credit"):
        if total + line.total_amount < 0:
            most = (total / -(line.unit_amount * (1 + line.tax_rate))).quantize(QUANTUM, ROUND_DOWN)
            line = replace(line, quantity=most)  # noqa: PLW2901
        if line.quantity:
            total += line.total_amount
            yield line


def _write_draft(
    connection: psycopg.Connection, span: Span, priced: PricedLines, allocation_id: uuid.UUID, method: str
) -> uuid.UUID:
    accepted = read_accepted(connection, {allocation_id, *priced.allocation_ids})
    row = connection.execute(
        """
        insert into myproperty.invoices
            (tenant_id, number, tenant_user_id, tenancy_id, billing_period, total_amount, currency, metadata)
        values (current_setting('app.tenant_id')::uuid, %s, %s, %s, %s, %s, %s, %s)
        returning id
        """,
        (
            _take_next_number(connection, get_bounds(span.during)[1].year),
            span.user_id,
            span.tenancy_id,
            span.during,
            priced.total_amount,
            priced.currency,
            Jsonb({"allocation_method": method, "accepted_values": accepted}),
        ),
    ).fetchone()
    assert row is not None  # an insert returns its row or raises
    _write_lines(connection, row[0], priced.lines)
    return uuid.UUID(str(row[0]))


def _write_lines(connection: psycopg.Connection, invoice_id: uuid.UUID, lines: list[Line]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into myproperty.invoice_lines
                (tenant_id, invoice_id, line_number, description, category, quantity, unit_amount, tax_rate,
                 total_amount, solar_band, allocation_id, rate_plan_band_id)
            values (current_setting('app.tenant_id')::uuid, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (invoice_id, number, line.description, line.category, line.quantity, line.unit_amount,
                 line.tax_rate, line.total_amount, line.solar_band, line.allocation_id,
                 line.rate_plan_band_id)
                for number, line in enumerate(lines, start=1)
            ],
        )  # fmt: skip


def _take_next_number(connection: psycopg.Connection, year: int) -> str:
    """Return the next invoice number. It leaves no gap: `lock_billing` makes drafts wait for each other."""
    row = connection.execute(
        "select count(*) from myproperty.invoices where starts_with(number, %s)", (f"{year}-",)
    ).fetchone()
    return f"{year}-{(row[0] if row else 0) + 1:05d}"


def _build_lines(
    allocation: Allocation, span: Span, bands: list[Band], allocation_id: uuid.UUID
) -> Iterator[Line]:
    """Build one line for each charge, band and price, summed over kinds of day and times of day."""
    metered = allocation.metered
    inside = span.covers(metered.dates)
    energies = {"solar": allocation.solar[span.row], "grid": allocation.grid[span.row]}
    unpriced = {charge: inside & (energy > 0) for charge, energy in energies.items()}
    for _, same in groupby(bands, key=lambda b: (b.charge, b.band, b.during, b.unit_amount, b.tax_rate)):
        parts = list(same)
        band = parts[0]
        in_band = inside & np.logical_or.reduce([_mark_in_force(allocation, part) for part in parts])
        if band.charge == "daily":
            quantity = Decimal(len(set(metered.dates[in_band])))
        else:
            quantity = to_kwh(energies[band.charge][in_band].sum())
            unpriced[band.charge] &= ~in_band
        if quantity:
            yield Line(
                description=f"{CHARGES[band.charge]}, {band.band}, {_format_dates(band.during)}",
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


def _mark_in_force(allocation: Allocation, band: Band) -> npt.NDArray[np.bool_]:
    """Mark the intervals (n,) in which the price holds, by the local wall clock at their start."""
    metered = allocation.metered
    first, end = get_bounds(band.during)
    return np.asarray(
        (metered.dates >= first)
        & (metered.dates < end)
        & (metered.is_weekend == (band.day_kind == "weekend"))
        & (metered.minutes >= band.first_minute)
        & (metered.minutes < band.end_minute)
    )


def _format_dates(during: DateRange) -> str:
    first, end = get_bounds(during)
    return f"{first} to {end - timedelta(days=1)}"
