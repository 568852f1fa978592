"""Reports for people: allocations, invoices compared with allocation and meter, the balance sheet."""

from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from data.billing.errors import BillingError
from data.billing.metered import get_bounds

Rows = list[dict[str, Any]]

BALANCES = """
select kind, code as account, currency, debit, credit, balance
from myproperty.account_balances
order by currency, array_position(array['asset', 'liability', 'equity', 'income', 'expense'], kind), code
"""

SHEET = """
select currency, assets, liabilities, equity, result,
       assets - liabilities - equity - result as difference, is_balanced
from myproperty.balance_sheets order by currency
"""

ALLOCATIONS = """
select p.name as property, coalesce(u.label, 'common area') as unit, l.billing_period,
       case when l.unit_id is null or l.tenancy_id is not null then '' else 'vacant' end as vacancy,
       l.allocation_method as method, l.solar_kwh, l.grid_kwh, l.loss_kwh, l.confidence
from myproperty.allocation_ledger l
join myproperty.properties p on p.tenant_id = l.tenant_id and p.id = l.property_id
left join myproperty.units u on u.tenant_id = l.tenant_id and u.id = l.unit_id
where l.allocation_period_id = %s
order by u.label nulls last, l.billing_period
"""

TIES = """
select t.number as invoice, u.label as unit, t.billing_period, t.currency, t.total_amount as invoice_total,
       t.lines_amount as sum_of_lines, b.amount as booked,
       t.billed_solar_kwh + t.billed_grid_kwh as billed_kwh,
       t.corrected_solar_kwh + t.corrected_grid_kwh as corrected_kwh,
       t.allocated_solar_kwh + t.allocated_grid_kwh as allocated_kwh, t.unit_id
from myproperty.invoice_ties t
join myproperty.units u on u.tenant_id = t.tenant_id and u.id = t.unit_id
left join lateral (
    select sum(case when e.debit_account = 'receivables' then e.amount else -e.amount end) as amount
    from myproperty.ledger_entries e
    where e.tenant_id = t.tenant_id and e.reference_type = 'invoice' and e.reference_id = t.invoice_id
      and 'receivables' in (e.debit_account, e.credit_account)
) b on true
order by t.number
"""

HEAD = """
select i.number as invoice, u.label as unit, i.billing_period, i.status, i.currency, i.total_amount,
       coalesce(i.metadata -> 'accepted_values', '[]') as accepted_values
from myproperty.invoices i
join myproperty.tenancies t on t.tenant_id = i.tenant_id and t.id = i.tenancy_id
join myproperty.units u on u.tenant_id = t.tenant_id and u.id = t.unit_id
where i.number = %s
"""

# `confidence` is the measured share of the energy that the line's allocation has.
LINES = """
select l.line_number as line, l.description, l.quantity, l.unit_amount, l.tax_rate, l.total_amount,
       round(100 * (1 - a.confidence), 2) as estimated_pct
from myproperty.invoice_lines l
join myproperty.invoices i on i.tenant_id = l.tenant_id and i.id = l.invoice_id
left join myproperty.allocation_ledger a on a.tenant_id = l.tenant_id and a.id = l.allocation_id
where i.number = %s order by l.line_number
"""

METERED = """
select coalesce(sum(r.value_kwh), 0)
from myproperty.meter_assignments a
join myproperty.meter_readings r on r.tenant_id = a.tenant_id and r.meter_id = a.meter_id
where a.unit_id = %(unit)s and r.channel = 'consumption' and r.reading_date = any(%(dates)s)
  and a.assigned_during @> r.reading_date
"""

# One invoice; each figure is read from its own table. Corrections by later invoices are in TIES.
INVOICE = """
select i.total_amount as invoice_total,
       (select sum(l.total_amount) from myproperty.invoice_lines l where l.invoice_id = i.id) as sum_of_lines,
       (select sum(case e.debit_account when 'receivables' then e.amount else -e.amount end)
        from myproperty.ledger_entries e
        where e.reference_type = 'invoice' and e.reference_id = i.id
          and 'receivables' in (e.debit_account, e.credit_account)) as booked,
       (select sum(l.quantity) from myproperty.invoice_lines l
        where l.invoice_id = i.id and l.category in ('solar', 'grid')) as billed_kwh,
       (select sum(a.solar_kwh + a.grid_kwh) from myproperty.allocation_ledger a
        where a.tenancy_id = i.tenancy_id and a.billing_period = i.billing_period) as allocated_kwh,
       (select sum(r.value_kwh) from myproperty.meter_readings r
        join myproperty.meter_assignments m
            on m.meter_id = r.meter_id and m.assigned_during @> r.reading_date
        join myproperty.tenancies t on t.unit_id = m.unit_id
        where t.id = i.tenancy_id and r.channel = 'consumption'
          and r.reading_date >= %(first)s and r.reading_date < %(end)s) as metered_kwh
from myproperty.invoices i
where i.number = %(number)s
"""


def read_balances(connection: psycopg.Connection) -> Rows:
    """Return the accounts of the tenant, by kind."""
    return _read_rows(connection, BALANCES)


def read_balance_sheets(connection: psycopg.Connection) -> Rows:
    """Return assets against liabilities, equity and result, by currency; `difference` is zero."""
    return _read_rows(connection, SHEET)


def read_allocations(connection: psycopg.Connection, period_id: object) -> Rows:
    """Return the rows of the allocation ledger for one billing period of a property."""
    rows = _read_rows(connection, ALLOCATIONS, (period_id,))
    return [{**row, "billing_period": _format_period(row["billing_period"])} for row in rows]


def read_invoice(connection: psycopg.Connection, number: str) -> dict[str, Any]:
    """Return an invoice with its `lines`, and the `accepted_values` that it was drafted with.

    Raises `BillingError` for an unknown number.
    """
    rows = _read_rows(connection, HEAD, (number,))
    if not rows:
        raise BillingError(
            f"the tenant has no invoice {number!r}: `myproperty billing ties` shows the numbers"
        )
    period = _format_period(rows[0]["billing_period"])
    return {**rows[0], "billing_period": period, "lines": read_invoice_lines(connection, number)}


def read_invoice_lines(connection: psycopg.Connection, number: str) -> Rows:
    """Return the lines of the invoice with this number, each with the estimated share of its energy."""
    return _read_rows(connection, LINES, (number,))


def query_invoice(connection: psycopg.Connection, number: str) -> tuple[str, Rows]:
    """Return a query that compares one invoice with lines, ledger, allocation and meter, and its result.

    The query is independent of `read_invoice_ties`. A person can run it after setting `app.tenant_id`.
    """
    query = "select billing_period from myproperty.invoices where number = %s"
    first, end = get_bounds(connection.execute(query, (number,)).fetchall()[0][0])
    text = psycopg.ClientCursor(connection).mogrify(INVOICE, {"number": number, "first": first, "end": end})
    return text.strip(), _read_rows(connection, text)


def read_invoice_ties(connection: psycopg.Connection, number: str | None = None) -> Rows:
    """Compare each invoice (or the one with this number) with lines, ledger, allocation and meter.

    An invoice ties (`ties`) if two groups are equal: `invoice_total`, `sum_of_lines` and, once issued,
    `booked`; and `billed_kwh` plus corrections on later invoices (`corrected_kwh`), `allocated_kwh` and
    `metered_kwh`, the sum of the current readings. After a revision of readings it does not tie until the
    allocation is adjusted and the next invoice carries the correction.
    """
    rows = [row for row in _read_rows(connection, TIES) if number in (None, row["invoice"])]
    for row in rows:
        row["metered_kwh"] = _sum_metered(connection, row.pop("unit_id"), row["billing_period"])
        row["billing_period"] = _format_period(row["billing_period"])
        row["ties"] = (
            row["invoice_total"] == row["sum_of_lines"]
            and row["booked"] in (None, row["invoice_total"])
            and row["billed_kwh"] + row["corrected_kwh"] == row["allocated_kwh"] == row["metered_kwh"]
        )
    return rows


def _sum_metered(connection: psycopg.Connection, unit: object, period: Any) -> Any:
    """Sum the energy of a unit's meters from the readings, not from the allocation ledger."""
    first, end = get_bounds(period)
    dates = [first.fromordinal(day) for day in range(first.toordinal(), end.toordinal())]
    row = connection.execute(METERED, {"unit": unit, "dates": dates}).fetchone()
    return row[0] if row else None


def _read_rows(
    connection: psycopg.Connection, query: str, parameters: tuple[object, ...] | None = None
) -> Rows:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _format_period(period: Any) -> str:
    first, end = get_bounds(period)
    return f"{first} to {end - timedelta(days=1)}"
