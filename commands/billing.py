"""Commands for billing: allocations, invoices, adjustments, the ledger."""

import uuid
from datetime import datetime, timedelta
from typing import Annotated

import typer

from commands import console, views
from commands.options import DATE_FORMATS, AsJson, OneTenant, check_order, reports_errors
from myproperty.database.roles import BILLING
from myproperty.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="Solar allocation, invoices, the double-entry ledger.")


@app.command()
@reports_errors
def run(
    tenant: OneTenant,
    property: Annotated[str, typer.Option(help="A property's name or id.")],
    first: Annotated[
        datetime, typer.Option("--from", formats=DATE_FORMATS, help="First day of the billing period.")
    ],
    last: Annotated[datetime, typer.Option("--to", formats=DATE_FORMATS, help="Last day, included.")],
    json: AsJson = False,
) -> None:
    """Allocate a billing period from the readings, and draft an invoice for each tenancy in it."""
    from psycopg.types.range import DateRange

    from data.billing import reports
    from data.billing.allocation_ledger import find_period
    from data.billing.database import as_tenant, find_property
    from data.billing.invoices import draft_invoices
    from myproperty import engines

    check_order(first, last)
    period = DateRange(first.date(), last.date() + timedelta(days=1))
    with as_tenant(engines.login_dsn(get_settings(), BILLING), tenant) as connection:
        property_id = find_property(connection, property)
        drafted = draft_invoices(connection, property_id, period)
        allocated = reports.read_allocations(connection, find_period(connection, property_id, period))
    if json:
        console.print_json({"allocations": allocated, "drafted": [str(invoice) for invoice in drafted]})
    else:
        console.print_table(f"Allocated, {first:%Y-%m-%d} to {last:%Y-%m-%d}", allocated)
        console.out.print(f"{len(drafted)} invoices drafted.")


@app.command()
@reports_errors
def show(
    invoice: Annotated[str, typer.Argument(metavar="NUMBER", help="From `billing ties`.")],
    tenant: OneTenant,
    json: AsJson = False,
) -> None:
    """Print an invoice: lines with the estimated share of their energy, and values that a person accepted."""
    from data.billing import reports
    from data.billing.database import as_tenant
    from myproperty import engines

    with as_tenant(engines.login_dsn(get_settings(), BILLING), tenant) as connection:
        found = reports.read_invoice(connection, invoice)
    if json:
        console.print_json(found)
    else:
        views.show_invoice(found)


@app.command()
@reports_errors
def ties(
    tenant: OneTenant,
    invoice: Annotated[str | None, typer.Option(help="Only the invoice with this number.")] = None,
    json: AsJson = False,
) -> None:
    """Compare each invoice with its lines, ledger, allocation and meter; exit with 1 if one differs."""
    from data.billing import reports
    from data.billing.database import as_tenant
    from myproperty import engines

    with as_tenant(engines.login_dsn(get_settings(), BILLING), tenant) as connection:
        rows = reports.read_invoice_ties(connection, invoice)
    if json:
        console.print_json(rows)
    else:
        console.print_table("Invoices, to the cent and the watt-hour", rows)
    if not all(row["ties"] for row in rows):
        raise typer.Exit(1)


@app.command()
@reports_errors
def tasks(
    tenant: OneTenant,
    every: Annotated[bool, typer.Option("--all", help="Include decided tasks.")] = False,
    json: AsJson = False,
) -> None:
    """Show billing periods whose readings changed after allocation, and the differences for each unit."""
    from data.billing import adjustments
    from data.billing.database import as_tenant
    from myproperty import engines

    with as_tenant(engines.login_dsn(get_settings(), BILLING), tenant) as connection:
        found = [
            adjustments.describe_task(connection, task)
            for task in adjustments.find_tasks(connection, is_open=not every)
        ]
    if json:
        console.print_json(found)
    else:
        views.show_adjustment_tasks(found)


@app.command()
@reports_errors
def adjust(
    task: Annotated[uuid.UUID, typer.Option(help="An open task: `myproperty billing tasks` shows its id.")],
    by: Annotated[str, typer.Option(help="Who decides: a user's e-mail address or id.")],
    because: Annotated[str, typer.Option(help="The reason; it is stored with the allocation.")],
    dismiss: Annotated[bool, typer.Option("--dismiss", help="Keep the allocation as billed.")] = False,
) -> None:
    """Take revised readings into the allocation ledger; the next invoice bills or credits the difference."""
    from data.billing import adjustments
    from data.billing.database import as_tenant, find_tenant_of_task
    from myproperty import engines

    dsn = engines.login_dsn(get_settings(), BILLING)
    with as_tenant(dsn, find_tenant_of_task(dsn, task)) as connection:
        if dismiss:
            adjustments.dismiss_task(connection, task, by=by, because=because)
            console.out.print("Dismissed: the allocation stays as billed.")
            return
        changed = adjustments.adjust_allocation(connection, task, by=by, because=because)
    console.out.print(
        f"{len(changed)} allocations adjusted; the next invoice of a tenancy bills or credits the difference."
    )


@app.command()
@reports_errors
def balance(tenant: OneTenant, json: AsJson = False) -> None:
    """Show the balance sheet of a tenant and its accounts."""
    from data.billing import reports
    from data.billing.database import as_tenant
    from myproperty import engines

    with as_tenant(engines.login_dsn(get_settings(), BILLING), tenant) as connection:
        sheet, accounts = reports.read_balance_sheets(connection), reports.read_balances(connection)
    if json:
        console.print_json({"balance_sheet": sheet, "accounts": accounts})
    else:
        console.print_table("Accounts", accounts)
        console.print_table("Balance sheet", sheet)
