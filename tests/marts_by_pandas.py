"""Compute the marts of bills, arrears, completeness and tickets again, with pandas from the rows of the OLTP.

Each function returns {key: figures} for a mart, with the columns that its constant names. Hard cases of the
models' SQL are in their unit tests; shares of solar energy are in `solar_by_pandas`.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import psycopg
from psycopg.rows import dict_row

Figures = dict[tuple[Any, ...], tuple[Any, ...]]

SLA = (
    "tenant_id, property_id, provider_id, priority, opened_month",
    (
        "opened, resolved, cancelled, within_sla, missed_sla, open_past_target, median_seconds_to_resolve, "
        "p90_seconds_to_resolve"
    ),
)
ARREARS = (
    "tenant_id, tenancy_id, currency",
    (
        "open_invoices, outstanding_amount, current_amount, days_1_30_amount, days_31_60_amount, "
        "days_61_90_amount, over_90_days_amount"
    ),
)
COMPLETENESS = (
    "tenant_id, property_id, meter_id, channel, reading_date",
    ("expected_intervals, actual_intervals, estimated_intervals, missing_intervals, latest_arrival_at"),
)
RECONCILIATION = (
    "tenant_id, invoice_id, allocation_id",
    (
        "metered_kwh, allocated_kwh, invoiced_kwh, invoiced_amount, booked_amount, paid_amount, "
        "outstanding_amount"
    ),
)


def rows(dsn: str, table: str, columns: str) -> pd.DataFrame:
    """Read columns of a table of the OLTP; ids as text, as in the warehouse."""
    with psycopg.connect(dsn, row_factory=dict_row, options="-c timezone=UTC") as connection:
        found = connection.execute(f"select {columns} from myproperty.{table}".encode()).fetchall()
    names = [part.split(" as ")[-1].split("::")[0].strip() for part in columns.split(", ")]
    return pd.DataFrame(found, columns=names, dtype=object)


def sla(dsn: str, now: datetime) -> Figures:
    """Compute tickets by month of opening; percentiles by nearest rank."""
    tickets = rows(
        dsn,
        "service_tickets",
        "id::text, tenant_id::text, property_id::text, priority, status, opened_at, resolved_at, "
        "sla_target_at",
    )
    zones = rows(dsn, "properties", "id::text, timezone").set_index("id")["timezone"]
    quotes = rows(dsn, "ticket_quotes", "ticket_id::text, provider_id::text, status")
    visits = rows(
        dsn,
        "ticket_schedules",
        "ticket_id::text, provider_id::text, status, lower(scheduled_during) as starts",
    )
    visits = visits[(visits["status"] != "cancelled") & visits["provider_id"].notna()].sort_values("starts")
    providers = dict(zip(visits["ticket_id"], visits["provider_id"], strict=True))
    accepted = quotes[quotes["status"] == "accepted"]
    providers |= dict(zip(accepted["ticket_id"], accepted["provider_id"], strict=True))
    tickets["provider"] = [providers.get(ticket, "") for ticket in tickets["id"]]
    tickets["month"] = [
        opened.astimezone(ZoneInfo(zones[place])).date().replace(day=1)
        for opened, place in zip(tickets["opened_at"], tickets["property_id"], strict=True)
    ]
    found: Figures = {}
    for key, group in tickets.groupby(["tenant_id", "property_id", "provider", "priority", "month"]):
        judged = group[(group["status"] != "cancelled") & group["sla_target_at"].notna()]
        ended = judged["resolved_at"].where(judged["resolved_at"].notna(), now)
        done = judged["resolved_at"].notna()
        late = ended > judged["sla_target_at"]
        resolved = group[group["resolved_at"].notna()]
        times = sorted(
            int((end - start).total_seconds())
            for end, start in zip(resolved["resolved_at"], resolved["opened_at"], strict=True)
        )
        tenant, place, provider, priority, month = key
        found[tenant, place, provider or None, priority, month] = (
            len(group),
            len(times),
            int((group["status"] == "cancelled").sum()),
            int((done & ~late).sum()),
            int(late.sum()),
            int((late & ~done).sum()),
            times[ceil(len(times) * 0.5) - 1] if times else None,
            times[ceil(len(times) * 0.9) - 1] if times else None,
        )
    return found


def arrears(dsn: str, as_of: date) -> Figures:
    """Compute open invoices less payments at the end of a UTC date; a payment counts until it bounces.

    Each tenancy with an invoice until then has figures, zeros if nothing is open. Openings are not computed.
    """
    invoices = rows(
        dsn,
        "invoices",
        "id::text, tenant_id::text, tenancy_id::text, currency, status, total_amount, issued_at, due_at",
    )
    payments = rows(dsn, "payments", "id::text, invoice_id::text, amount, status, received_at")
    bounced = rows(dsn, "ledger_entries", "reference_id::text, reference_type, reverses_id, entry_date")
    bounced = bounced[(bounced["reference_type"] == "payment") & bounced["reverses_id"].notna()]
    until = dict(zip(bounced["reference_id"], bounced["entry_date"], strict=True))
    stands = [
        received.date() <= as_of and until.get(payment, date.max) > as_of
        for payment, received in zip(payments["id"], payments["received_at"], strict=True)
    ]
    paid = payments[stands].groupby("invoice_id")["amount"].sum()
    invoices = invoices[invoices["issued_at"].notna()]
    invoices = invoices[[issued.date() <= as_of for issued in invoices["issued_at"]]]
    owed = invoices["total_amount"].where(invoices["status"] != "void", Decimal(0))
    invoices["open"] = [
        amount - paid.get(invoice, Decimal(0)) for invoice, amount in zip(invoices["id"], owed, strict=True)
    ]
    days = [(as_of - due.date()).days for due in invoices["due_at"]]
    invoices["age"] = pd.cut(days, [-(10**6), 0, 30, 60, 90, 10**6], labels=range(5)).astype(int)
    return {
        key: (
            int((group["open"] > 0).sum()),
            group["open"].clip(lower=0).sum(),
            *(group.loc[group["age"] == age, "open"].clip(lower=0).sum() for age in range(5)),
        )
        for key, group in invoices.groupby(["tenant_id", "tenancy_id", "currency"])
    }


def completeness(dsn: str) -> Figures:
    """Compute every register of an active meter, on each day with any reading of its property."""
    meters = rows(dsn, "meters", "id::text, tenant_id::text, property_id::text, timezone, status")
    registers = rows(dsn, "meter_registers", "meter_id::text, channel, interval_seconds, created_at")
    readings = rows(
        dsn,
        "meter_readings",
        "meter_id::text, channel, reading_date, interval_seconds, value_native, is_estimated, source, "
        "updated_at",
    )
    readings = readings.merge(meters, left_on="meter_id", right_on="id")
    sent: dict[Any, pd.DataFrame] = dict(iter(readings.groupby(["meter_id", "channel", "reading_date"])))
    days = set(zip(readings["property_id"], readings["reading_date"], strict=True))
    due = registers.merge(meters[meters["status"] == "active"], left_on="meter_id", right_on="id")
    keys: set[tuple[Any, ...]] = {
        (register.meter_id, register.channel, day)
        for register in each_row(due)
        for place, day in days
        if place == register.property_id
    }
    device = {each.id: each for each in each_row(meters)}
    length_of = registers.set_index(["meter_id", "channel"])["interval_seconds"].to_dict()
    found: Figures = {}
    for meter, channel, day in keys | set(sent):
        group = sent.get((meter, channel, day), readings.iloc[:0])
        zone = ZoneInfo(device[meter].timezone)
        midnights = [datetime(each.year, each.month, each.day, tzinfo=zone) for each in (day, day + ONE)]
        seconds = (midnights[1].astimezone(UTC) - midnights[0].astimezone(UTC)).total_seconds()
        length = group["interval_seconds"].min() if len(group) else length_of[meter, channel]
        present = group[group["value_native"].notna()]
        came = group[group["source"] != "estimation"]["updated_at"]
        expected = int(seconds // length)
        found[device[meter].tenant_id, device[meter].property_id, meter, channel, day] = (
            expected,
            len(present),
            int(present["is_estimated"].sum()),
            expected - len(present),
            max(came) if len(came) else None,
        )
    return found


ONE = timedelta(days=1)


def reconciliation(dsn: str) -> Figures:
    """Compute each invoice with the energy of its unit and dates, and its booked and paid amounts."""
    invoices = rows(
        dsn,
        "invoices",
        "id::text, tenant_id::text, tenancy_id::text, lower(billing_period) as first, "
        "upper(billing_period) as last, status, total_amount",
    )
    lines = rows(dsn, "invoice_lines", "invoice_id::text, category, quantity")
    allocations = rows(
        dsn,
        "allocation_ledger",
        "id::text, tenancy_id::text, unit_id::text, lower(billing_period) as first, "
        "upper(billing_period) as last, solar_kwh, grid_kwh",
    )
    assignments = rows(
        dsn,
        "meter_assignments",
        "meter_id::text, unit_id::text, lower(assigned_during) as since, upper(assigned_during) as until",
    )
    readings = rows(dsn, "meter_readings", "meter_id::text, channel, reading_date, value_kwh")
    consumed = readings[readings["channel"] == "consumption"].merge(assignments, on="meter_id")
    consumed = consumed[
        (consumed["reading_date"] >= consumed["since"].fillna(date.min))
        & (consumed["reading_date"] < consumed["until"].fillna(date.max))
    ]
    used = consumed.groupby(["unit_id", "reading_date"])["value_kwh"].sum()
    entries = rows(dsn, "ledger_entries", "reference_id::text, debit_account, credit_account, amount")
    payments = rows(dsn, "payments", "invoice_id::text, amount, status")
    energy = lines[lines["category"].isin(["solar", "grid"])].groupby("invoice_id")["quantity"].sum()
    debits = entries[entries["debit_account"] == "receivables"].groupby("reference_id")["amount"].sum()
    credits = entries[entries["credit_account"] == "receivables"].groupby("reference_id")["amount"].sum()
    paid = payments[payments["status"] == "received"].groupby("invoice_id")["amount"].sum()
    both = invoices.merge(
        allocations[allocations["tenancy_id"].notna()],
        on=["tenancy_id", "first", "last"],
        suffixes=("", "_of_allocation"),
        validate="1:1",
    )
    none = Decimal(0)
    return {
        (row.tenant_id, row.id, row.id_of_allocation): (
            sum((used[row.unit_id, day.date()] for day in _days(row.first, row.last)), none),
            row.solar_kwh + row.grid_kwh,
            energy[row.id],
            row.total_amount,
            debits.get(row.id, none) - credits.get(row.id, none),
            paid.get(row.id, none),
            row.total_amount - paid.get(row.id, none),
        )
        for row in each_row(both[~both["status"].isin(["draft", "void"])])
    }


def _days(first: date, end: date) -> pd.DatetimeIndex:
    return pd.date_range(first, end, inclusive="left")


def each_row(frame: pd.DataFrame) -> Iterator[Any]:
    return iter(frame.itertuples())
