"""The command `myproperty demo`: files of an invented company, from nothing to the marts.

Users have every step of the demo as a command of their own; the demo does nothing else.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands import console, views
from commands.options import reports_errors
from myproperty.database.roles import BILLING, DEMO, INGEST, PIPELINE, READONLY_ROLE
from myproperty.settings import CHECKOUT, Settings, get_settings

# The demo shows a few rows for each property.
MOST_ROWS = 1000

if TYPE_CHECKING:
    from data.demo import DemoScope, Scale

MART = """
select t.tenant_name as tenant, p.property_name as property, count(*) as days,
    round(sum(m.generation_kwh), 3) as generation_kwh,
    round(sum(m.self_consumed_kwh), 3) as self_consumed_kwh,
    round(sum(m.exported_kwh), 3) as exported_kwh,
    round(sum(m.imported_kwh), 3) as imported_kwh,
    round(sum(m.generation_kwh) / sum(m.solar_capacity_kw), 3) as kwh_per_kw_day,
    round(sum(m.generation_kwh) / sum(m.irradiation_kwh_per_m2 * m.solar_capacity_kw), 3) as pr,
    round(100.0 * sum(m.actual_intervals) / sum(m.expected_intervals), 2) as completeness_pct
from {prefix}marts.mart_solar_performance as m
join {prefix}core.dim_property as p on p.tenant_id = m.tenant_id and p.property_id = m.property_id
join {prefix}core.dim_tenant as t on t.tenant_id = m.tenant_id
where m.reading_date >= date '{start}' and m.reading_date < date '{end}'
group by t.tenant_name, p.property_name
order by t.tenant_name, p.property_name
"""
# Over the days of the demo. The factors in the seed do not cover Germany, so its rows show no figures.
CARBON = """
select p.property_name as property, min(m.emission_region) as grid,
    round(sum(m.self_consumed_kwh), 1) as used_kwh,
    round(sum(m.avoided_location_kg), 1) as avoided_kg_location,
    round(sum(m.avoided_market_kg), 1) as avoided_kg_market,
    round(sum(m.avoided_scope_3_kg), 1) as avoided_kg_scope_3,
    round(sum(m.exported_location_kg), 1) as exported_kg, min(m.location_factor_id) as factor,
    min(m.location_factor_year) as vintage
from {prefix}marts.mart_carbon_savings as m
join {prefix}core.dim_property as p on p.tenant_id = m.tenant_id and p.property_id = m.property_id
where m.reading_date >= date '{start}' and m.reading_date < date '{end}'
group by p.property_name
order by p.property_name
"""
RETURNS = """
select p.property_name as property, m.valid_from, m.currency, m.capital_cost, m.npv_amount as npv,
    round(m.irr_pct, 2) as irr_pct, round(m.payback_years, 1) as payback_years,
    round(m.lcoe_per_kwh, 3) as lcoe_per_kwh, m.realised_days as days,
    m.owner_revenue_amount as residents_paid, m.feed_in_amount as feed_in,
    m.expected_revenue_amount as expected, m.residents_saving_amount as residents_saved
from {prefix}marts.mart_roi_summary as m
join {prefix}core.dim_property as p on p.tenant_id = m.tenant_id and p.property_id = m.property_id
where m.valid_to is null
order by p.property_name
"""
MARTS = {
    "marts.mart_solar_performance": MART,
    "marts.mart_carbon_savings": CARBON,
    "marts.mart_roi_summary (owner and residents apart)": RETURNS,
}


class DemoScale(StrEnum):
    """The size of the demo company."""

    small = "small"
    medium = "medium"


@reports_errors
def demo(
    days: Annotated[int | None, typer.Option(help="Number of reading dates.", min=5)] = None,
    scale: Annotated[DemoScale, typer.Option(help="medium has a million readings.")] = DemoScale.small,
) -> None:
    """Run the main job from nothing: engines, schema, an invented company, its files, the pipeline, marts."""
    from data.demo.generate import DEFAULT_DAYS

    least = DEFAULT_DAYS["small"]
    if scale is DemoScale.small and days is not None and days < least:
        raise typer.BadParameter(
            f"the small company is billed from its first day: give --days {least} or more, or --scale medium"
        )
    settings = get_settings()
    started = time.monotonic()
    with _running_engines(settings):
        _run_steps(settings, "medium" if scale is DemoScale.medium else "small", days)
    console.out.print(f"\nDone in {time.monotonic() - started:.0f} s.")
    console.out.print(_describe_next_steps(settings))


@contextmanager
def _running_engines(settings: Settings) -> Iterator[None]:
    """Run the engines inside the block; stop them after it unless they ran before."""
    from myproperty import engines

    ran_before = engines.status(settings).postgres["state"] == "running"
    with console.step("Starting the engines"):
        engines.up(settings)
    try:
        yield
    finally:
        if not ran_before:
            engines.down(settings)


def _run_steps(settings: Settings, scale: "Scale", days: int | None) -> None:
    from data.demo.billing import apply_billing
    from expectations.judge import judging_apart
    from expectations.verdicts import last_verdicts
    from myproperty import engines
    from myproperty.dates import Window

    scopes = _create_company(settings, scale, days)
    dsn = engines.login_dsn(settings, PIPELINE)
    dates = Window(scopes[0].start, scopes[-1].end)
    console.out.print(
        f"{sum(len(each.files) for each in scopes)} meter files of two invented tenants are in "
        f"{_shorten(settings.inbox)}: {sum(each.readings for each in scopes):,} readings, "
        f"{dates.start} to before {dates.end}."
    )
    with console.output_to(settings.run_log), judging_apart():
        from dagster_project.runner import build_quality, ingest_inbox, run_dates

        ingested = ingest_inbox(settings, console.show_progress)
        # Before the pipeline: it copies the invoices into the warehouse.
        if scale == "small":
            apply_billing(engines.login_dsn(settings, BILLING), scale, console.show_progress)
        reports = run_dates(dates.dates, settings, console.show_progress)
    views.show_ingests(ingested)
    views.show_validations([found for report in reports for found in report.validated])
    views.show_runs(reports)
    views.show_run_failures(reports, dsn)
    with console.output_to(settings.run_log):
        # After a failed run too, whose failures stand above.
        build_quality(settings, console.show_progress)
    if not all(report.success for report in reports):
        raise typer.Exit(1)
    _show_marts(settings, dates.start.isoformat(), dates.end.isoformat())
    views.show_gates(last_verdicts(dsn))
    _show_quarantine(engines.login_dsn(settings, INGEST))
    if scale == "small":
        _show_billing(engines.login_dsn(settings, BILLING))


def _create_company(settings: Settings, scale: "Scale", days: int | None) -> "Sequence[DemoScope]":
    """Create the schema, the company's rows and its files; the scopes of the files, the oldest first."""
    from commands.databases import prepare_databases
    from data.demo import apply_company, generate_files, generate_history
    from myproperty import engines
    from myproperty.sealing import Sealer

    with console.step("Creating the schema and the demo company"):
        prepare_databases(settings)
        dsn = engines.login_dsn(settings, DEMO)
        with Sealer(dsn, settings) as sealer:
            apply_company(dsn, scale, sealer)
        scope = generate_files(Path(settings.inbox), scale, days)
        if scale != "small":
            return [scope]
        return [generate_history(Path(settings.inbox), scale, end=scope.start), scope]


def _show_billing(dsn: str) -> None:
    """Show the balance sheets, and one invoice down to the meter."""
    from data.billing import reports
    from data.billing.database import as_tenant
    from data.demo.company import list_tenants

    for tenant in list_tenants("small"):
        with as_tenant(dsn, tenant.id) as connection:
            console.print_table(f"Accounts of {tenant.name}", reports.read_balances(connection))
            console.print_table(f"Balance sheet of {tenant.name}", reports.read_balance_sheets(connection))
            ties = reports.read_invoice_ties(connection)
            newest = max(ties, key=lambda row: str(row["invoice"]))
            lines = reports.read_invoice_lines(connection, newest["invoice"])
            query, answer = reports.query_invoice(connection, newest["invoice"])
    as_reader = f"set role {READONLY_ROLE};\nset app.tenant_id = '{tenant.id}';"
    console.print_query(f"{as_reader}\n{reports.SHEET.strip()};")
    title = f"Invoice {newest['invoice']} of {tenant.name}, unit {newest['unit']}, {newest['billing_period']}"
    console.print_table(title, lines)
    console.print_table("The same invoice: lines, ledger, allocation and meter", answer)
    console.print_query(f"{query};")
    console.out.print(f"{sum(row['ties'] for row in ties)} of {len(ties)} invoices of {tenant.name} tie.")


def _show_marts(settings: Settings, start: str, end: str) -> None:
    from data.raw.warehouse import open_warehouse

    warehouse = open_warehouse(settings)
    try:
        for title, query in MARTS.items():
            filled = query.format(prefix=settings.dataset_prefix, start=start, end=end)
            console.print_table(title, warehouse.ask(filled, MOST_ROWS).to_pylist())
    finally:
        warehouse.close()


def _show_quarantine(dsn: str) -> None:
    from data.ingest.readings.quarantine import count_quarantined

    console.print_table("Quarantined readings", count_quarantined(dsn))


def _describe_next_steps(settings: Settings) -> str:
    return (
        "Next:\n"
        "  make dev                          the Dagster UI: every asset, run and gate, http://127.0.0.1:3000\n"
        "  make bi                           the dashboards, http://127.0.0.1:8088\n"
        "  .venv/bin/myproperty up           the engines, then:\n"
        '  .venv/bin/myproperty query "table marts.mart_solar_performance"\n'
        "  .venv/bin/myproperty quality             dates that stand out, and the last runs\n"
        "  .venv/bin/myproperty quarantine list\n"
        "  .venv/bin/myproperty billing ties --tenant demo-wattlebird\n"
        f"  documents                         {_shorten(CHECKOUT / 'docs')}, README.md\n"
        f"  files ingested                    {_shorten(settings.archive)}"
    )


def _shorten(path: str | Path) -> str:
    """Return a path relative to the checkout if it is inside it."""
    try:
        return str(Path(path).relative_to(CHECKOUT))
    except ValueError:
        return str(path)
