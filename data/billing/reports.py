"""What people look at: allocations, invoices beside allocation and meter, the balance sheet."""

from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from data.billing.metered import bounds

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

LINES = """
select l.line_number as line, l.description, l.quantity, l.unit_amount, l.tax_rate, l.total_amount
from myproperty.invoice_lines l
join myproperty.invoices i on i.tenant_id = l.tenant_id and i.id = l.invoice_id
where i.number = %s order by l.line_number
"""

METERED = """
select coalesce(sum(r.value_kwh), 0)
from myproperty.meter_assignments a
join myproperty.meter_readings r on r.tenant_id = a.tenant_id and r.meter_id = a.meter_id
where a.unit_id = %(unit)s and r.channel = 'consumption' and r.reading_date = any(%(dates)s)
  and a.assigned_during @> r.reading_date
"""

# One invoice, each figure asked of the table that it stands in; what later invoices corrected is in TIES.
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


def balances(connection: psycopg.Connection) -> Rows:
    """The accounts of the tenant, by kind."""
    return _rows(connection, BALANCES)


def balance_sheet(connection: psycopg.Connection) -> Rows:
    """Assets against liabilities, equity and result, by currency; `difference` is zero."""
    return _rows(connection, SHEET)


def allocations(connection: psycopg.Connection, period_id: object) -> Rows:
    """The rows of the allocation ledger that share out one period of a property."""
    rows = _rows(connection, ALLOCATIONS, (period_id,))
    return [{**row, "billing_period": _readable(row["billing_period"])} for row in rows]


def invoice_lines(connection: psycopg.Connection, number: str) -> Rows:
    """The lines of the invoice with this number."""
    return _rows(connection, LINES, (number,))


def invoice_by_query(connection: psycopg.Connection, number: str) -> tuple[str, Rows]:
    """A query that holds one invoice against lines, ledger, allocation and meter, as it was run; and its row.

    Asked apart from `ties`, and fit to be run by hand: the tenant has to be set.
    """
    query = "select billing_period from myproperty.invoices where number = %s"
    first, end = bounds(connection.execute(query, (number,)).fetchall()[0][0])
    text = psycopg.ClientCursor(connection).mogrify(INVOICE, {"number": number, "first": first, "end": end})
    return text.strip(), _rows(connection, text)


def ties(connection: psycopg.Connection, number: str | None = None) -> Rows:
    """Each invoice (or the one with this number) beside lines, ledger, allocation and meter.

    `invoice_total`, `sum_of_lines` and, once issued, `booked` are equal. So are `billed_kwh` with what later
    invoices corrected (`corrected_kwh`), `allocated_kwh` and `metered_kwh`, which is summed from the current
    readings. `ties` says whether they are: it is false from when readings are revised until the allocation is
    adjusted and the next invoice has its correction.
    """
    rows = [row for row in _rows(connection, TIES) if number in (None, row["invoice"])]
    for row in rows:
        row["metered_kwh"] = _metered(connection, row.pop("unit_id"), row["billing_period"])
        row["billing_period"] = _readable(row["billing_period"])
        row["ties"] = (
            row["invoice_total"] == row["sum_of_lines"]
            and row["booked"] in (None, row["invoice_total"])
            and row["billed_kwh"] + row["corrected_kwh"] == row["allocated_kwh"] == row["metered_kwh"]
        )
    return rows


def _metered(connection: psycopg.Connection, unit: object, period: Any) -> Any:
    """The energy that the meters of a unit measured: asked of the readings, not of the ledger."""
    first, end = bounds(period)
    dates = [first.fromordinal(day) for day in range(first.toordinal(), end.toordinal())]
    row = connection.execute(METERED, {"unit": unit, "dates": dates}).fetchone()
    return row[0] if row else None


def _rows(connection: psycopg.Connection, query: str, parameters: tuple[object, ...] | None = None) -> Rows:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _readable(period: Any) -> str:
    first, end = bounds(period)
    return f"{first} to {end - timedelta(days=1)}"
