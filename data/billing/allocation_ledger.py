"""The allocation ledger: solar and grid energy of each tenancy in a billing period.

Here: which participants take part on which days, and the rows of the allocation ledger. Not here: the
sharing itself (`sharing`), readings (`metered`), prices (`invoices`), money (`ledger`).
"""

import uuid
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.rows import dict_row
from psycopg.types.range import DateRange

from data.billing.errors import BillingError
from data.billing.metered import QUANTUM, Metered, get_bounds, read_metered
from data.billing.sharing import Method, Quanta, share_out_solar
from myproperty.database import locks

SHARES_IN_ONE = 10**8
Days = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Span:
    """Days of a billing period during which a unit has the same tenancy or none.

    `row` is the participant's row in `Metered`; `tenancy_id` is None for a vacant unit and the common area.
    """

    row: int
    unit_id: uuid.UUID | None
    tenancy_id: uuid.UUID | None
    user_id: uuid.UUID | None
    during: DateRange

    def covers(self, dates: Days) -> npt.NDArray[np.bool_]:
        """Mark the dates (n,) that lie in the span."""
        return np.asarray((dates >= self.during.lower) & (dates < self.during.upper))


@dataclass(frozen=True)
class Allocation:
    """An allocated billing period: `solar` (m, n) out of the loads of `metered`, and its spans."""

    metered: Metered
    method: Method
    solar: Quanta
    spans: tuple[Span, ...]

    @property
    def grid(self) -> Quanta:
        """Grid energy of each participant (m, n): load less solar."""
        return np.asarray(self.metered.loads - self.solar)

    @property
    def surplus(self) -> int:
        """Generation that no participant got."""
        return int(self.metered.generation.sum() - self.solar.sum())

    @property
    def loss(self) -> int:
        """Energy that entered the property less metered loads; below zero a meter is at fault."""
        m = self.metered
        return int(m.generation.sum() + m.imported.sum() - m.exported.sum() - m.loads.sum())


def lock_billing(connection: psycopg.Connection) -> None:
    """Block loads and other billing of the tenant until this transaction ends.

    Otherwise a load could change readings after they are summed and before the allocation is visible.
    """
    locks.lock_billing(connection)


def allocate_period(connection: psycopg.Connection, property_id: uuid.UUID, period: DateRange) -> Allocation:
    """Share the solar of a property over a period of local dates; writes nothing.

    Raises `BillingError` if readings, shares or a method are missing, or if a meter is at fault.
    """
    metered = read_metered(connection, property_id, period)
    method = _read_method(connection, property_id, period)
    spans = _read_spans(connection, metered)
    occupied = np.zeros(metered.loads.shape, dtype=bool)
    for span in spans:
        if span.tenancy_id is not None or span.unit_id is None:
            occupied[span.row] |= span.covers(metered.dates)
    solar = share_out_solar(
        method,
        metered.generation,
        np.where(occupied, metered.loads, 0),
        _read_shares(connection, metered),
        metered.names,
    ).astype(np.int64)
    found = Allocation(metered, method, solar, spans)
    _check_losses(found)
    return found


def write_allocation(connection: psycopg.Connection, allocation: Allocation) -> uuid.UUID:
    """Write an allocation to the allocation ledger and return the id of its period.

    The same allocation again changes nothing. Raises `BillingError` if the ledger has other figures for the
    period: readings were revised or the allocation was adjusted, so a person has to decide.
    """
    metered = allocation.metered
    period_id = find_period(connection, metered.property_id, metered.period)
    if period_id is not None:
        _check_unchanged(connection, allocation, period_id)
        return period_id
    row = connection.execute(
        """
        insert into myproperty.allocation_periods
            (tenant_id, property_id, billing_period, allocation_method, generation_kwh, import_kwh,
             export_kwh, consumption_kwh, surplus_kwh)
        values (current_setting('app.tenant_id')::uuid, %s, %s, %s, %s, %s, %s, %s, %s)
        returning id
        """,
        (
            metered.property_id,
            metered.period,
            allocation.method,
            *(to_kwh(energy.sum()) for energy in (metered.generation, metered.imported, metered.exported)),
            to_kwh(metered.loads.sum()),
            to_kwh(allocation.surplus),
        ),
    ).fetchone()
    assert row is not None  # an insert returns its row or raises
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into myproperty.allocation_ledger
                (tenant_id, property_id, allocation_period_id, unit_id, tenancy_id, billing_period, solar_kwh,
                 grid_kwh, loss_kwh, allocation_method, confidence)
            values (current_setting('app.tenant_id')::uuid, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (metered.property_id, row[0], span.unit_id, span.tenancy_id, span.during,
                 solar, grid, loss, allocation.method, confidence)
                for span, (solar, grid, loss, confidence) in build_ledger_rows(allocation)
            ],
        )  # fmt: skip
    return uuid.UUID(str(row[0]))


def find_period(
    connection: psycopg.Connection, property_id: uuid.UUID, period: DateRange
) -> uuid.UUID | None:
    """Return the id of an allocated billing period of a property, or None."""
    row = connection.execute(
        "select id from myproperty.allocation_periods where property_id = %s and billing_period = %s",
        (property_id, period),
    ).fetchone()
    return None if row is None else uuid.UUID(str(row[0]))


def to_kwh(quanta: int | np.integer) -> Decimal:
    """Convert quanta to kWh, exactly."""
    return int(quanta) * QUANTUM


def build_ledger_rows(
    allocation: Allocation,
) -> list[tuple[Span, tuple[Decimal, Decimal, Decimal, Decimal | None]]]:
    """Return each span with solar, grid and loss in kWh, and the measured share of its load."""
    rows = []
    for span in allocation.spans:
        inside = span.covers(allocation.metered.dates)
        solar = int(allocation.solar[span.row, inside].sum())
        load = int(allocation.metered.loads[span.row, inside].sum())
        estimated = int(allocation.metered.estimated[span.row, inside].sum())
        loss = allocation.loss if span.unit_id is None else 0
        confidence = round(1 - Decimal(estimated) / Decimal(load), 4) if load else None
        rows.append((span, (to_kwh(solar), to_kwh(load - solar), to_kwh(loss), confidence)))
    return rows


def _check_unchanged(connection: psycopg.Connection, allocation: Allocation, period_id: uuid.UUID) -> None:
    kept = connection.execute(
        "select unit_id, billing_period, solar_kwh, grid_kwh from myproperty.allocation_ledger "
        "where allocation_period_id = %s",
        (period_id,),
    ).fetchall()
    found = [(span.unit_id, span.during, *energy[:2]) for span, energy in build_ledger_rows(allocation)]
    different = sorted({str(unit or "the common area") for unit, *_ in set(kept) ^ set(found)})
    if different:
        raise BillingError(
            f"the allocation ledger has other figures in {allocation.metered.period} for "
            f"{', '.join(different)}: readings were revised or the allocation was adjusted later. "
            "`myproperty billing tasks` shows the difference, `myproperty billing adjust` accepts it, and "
            "the next invoice credits or bills it"
        )


def _read_method(connection: psycopg.Connection, property_id: uuid.UUID, period: DateRange) -> Method:
    rows = connection.execute(
        "select method, valid_during @> %(period)s::daterange from myproperty.allocation_methods "
        "where property_id = %(property)s and valid_during && %(period)s",
        {"property": property_id, "period": period},
    ).fetchall()
    if len(rows) != 1 or not rows[0][1]:
        raise BillingError(
            f"{len(rows)} methods of allocation are in force in {period}: a billing period needs exactly one "
            "method. Complete myproperty.allocation_methods, or split the period where the method changes"
        )
    method: Method = rows[0][0]
    return method


def _read_shares(connection: psycopg.Connection, metered: Metered) -> Quanta:
    """Return the shares (m, n) in force on each date, in hundred-millionths."""
    rows = connection.execute(
        "select unit_id, (share * 100000000)::bigint, valid_during from myproperty.allocation_keys "
        "where property_id = %s and valid_during && %s",
        (metered.property_id, metered.period),
    ).fetchall()
    shares = np.zeros(metered.loads.shape, dtype=np.int64)
    row_of = {unit: row for row, unit in enumerate(metered.participants)}
    for unit, share, during in rows:
        if unit not in row_of:
            raise BillingError(f"unit {unit} has a share of solar and no meter: assign a meter to it")
        in_force = metered.dates >= during.lower
        if during.upper is not None:
            in_force &= metered.dates < during.upper
        shares[row_of[unit], in_force] = share
    without = metered.dates[shares.sum(axis=0) != SHARES_IN_ONE]
    if without.size:
        raise BillingError(
            f"shares of solar on {without[0]} do not sum to 1: complete myproperty.allocation_keys"
        )
    return shares


def _read_spans(connection: psycopg.Connection, metered: Metered) -> tuple[Span, ...]:
    """Return the tenancies and vacancies of each unit within the period, and one span of the common area."""
    with connection.cursor(row_factory=dict_row) as cursor:
        tenancies = cursor.execute(
            "select id, unit_id, user_id, occupied_during * %(period)s as during from myproperty.tenancies "
            "where unit_id = any(%(units)s) and occupied_during && %(period)s order by occupied_during",
            {"period": metered.period, "units": [unit for unit in metered.participants if unit]},
        ).fetchall()
    first, end = get_bounds(metered.period)
    spans = []
    for row, unit in enumerate(metered.participants):
        day = first
        for tenancy in (each for each in tenancies if each["unit_id"] == unit and unit is not None):
            during = tenancy["during"]
            if day < during.lower:
                spans.append(Span(row, unit, None, None, DateRange(day, during.lower)))
            spans.append(Span(row, unit, tenancy["id"], tenancy["user_id"], during))
            day = during.upper
        if day < end:
            spans.append(Span(row, unit, None, None, DateRange(day, end)))
    return tuple(spans)


def _check_losses(allocation: Allocation) -> None:
    if allocation.loss >= 0:
        return
    m = allocation.metered
    by_interval = m.generation + m.imported - m.exported - m.loads.sum(axis=0)
    worst = m.starts[int(np.argmin(by_interval))].tz_convert(m.timezone)
    excess, most = to_kwh(-allocation.loss), f"most of it at {worst:%Y-%m-%d %H:%M} local time"
    estimated = int(m.estimated.sum())
    if allocation.loss + estimated >= 0:
        raise BillingError(
            f"with their estimates the sub-meters have {excess} kWh more than went into the property in "
            f"{m.period}, {most}; what they measured fits. {to_kwh(estimated)} kWh are estimates, which are "
            "too high: ingest a file with the missing readings"
        )
    raise BillingError(
        f"the sub-meters measured {excess} kWh more than went into the property in {m.period}, {most}: a "
        "meter is at fault or counted twice. Check the registers and assignments of the meters"
    )
