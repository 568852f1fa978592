"""`myproperty demo`: the main job from nothing, as a user would run it step by step.

Every step is one that users have too; nothing is done here that the other commands do not do.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commands import console
from commands.main import progress, run_log, show_gates, show_ingests, show_runs, show_validations
from myproperty.database.roles import READONLY_ROLE
from myproperty.engines import local
from myproperty.settings import CHECKOUT, Settings

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
# Over the days of the demo; Germany has no factor among those that are quoted, and shows none.
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
    round(m.lcoe_per_kwh, 3) as lcoe_per_kwh, m.realised_days as days, m.owner_revenue_amount as owner_earned,
    m.residents_saving_amount as residents_saved
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


@contextmanager
def engines(settings: Settings) -> Iterator[None]:
    """The engines up inside the block; stopped after it unless they ran before."""
    ran_before = local.status(settings).postgres["state"] == "running"
    with console.step("Starting the engines"):
        local.up(settings)
    try:
        yield
    finally:
        if not ran_before:
            local.down(settings)


def run_demo(settings: Settings, scale: str, days: int | None) -> None:
    """Files of an invented company to marts, then what came out and where to look next."""
    started = time.monotonic()
    with engines(settings):
        _run(settings, scale, days)
    console.out.print(f"\nDone in {time.monotonic() - started:.0f} s.")
    console.out.print(_where_to_look(settings))


def _run(settings: Settings, scale: str, days: int | None) -> None:
    from dagster_project.runner import ingest_inbox, run_pipeline
    from data.demo import Scale, apply_company, generate, history
    from data.demo.billing import apply_billing
    from expectations.verdicts import last_verdicts
    from myproperty.sealing import Sealer
    from oltp_schema.migrate import upgrade

    dsn = local.dsn(settings)
    size: Scale = "medium" if scale == "medium" else "small"
    with console.step("Creating the schema and the demo company"), Sealer(dsn, settings) as sealer:
        upgrade(dsn)
        apply_company(dsn, size, sealer)
        plan = generate(Path(settings.inbox), size, days)
        year = history(Path(settings.inbox), size, end=plan.start) if size == "small" else None
    plans = [plan] if year is None else [year, plan]
    console.out.print(
        f"{sum(len(each.files) for each in plans)} meter files of two invented tenants are in "
        f"{_short(settings.inbox)}: {sum(each.readings for each in plans):,} readings, "
        f"{plans[0].start} to before {plan.end}."
    )
    with console.output_to(run_log(settings)):
        ingested = ingest_inbox(settings, progress)
        # Before the pipeline: the warehouse takes over what has been billed.
        if size == "small":
            apply_billing(dsn, size, progress)
        reports = [run_pipeline(plan.start, plan.end, settings, progress)]
    show_ingests(ingested)
    show_validations([found for report in reports for found in report.validated])
    show_runs(reports)
    _show_marts(settings, plan.start.isoformat(), plan.end.isoformat())
    show_gates(last_verdicts(dsn))
    _show_quarantine(dsn)
    if size == "small":
        _show_billing(dsn)


def _show_billing(dsn: str) -> None:
    """The balance sheets, and one invoice down to the meter."""
    from data.billing import reports
    from data.billing.database import as_tenant
    from data.demo.company import company

    for tenant in company("small"):
        with as_tenant(dsn, tenant.id) as connection:
            console.print_table(f"Accounts of {tenant.name}", reports.balances(connection))
            console.print_table(f"Balance sheet of {tenant.name}", reports.balance_sheet(connection))
            ties = reports.ties(connection)
            newest = max(ties, key=lambda row: str(row["invoice"]))
            lines = reports.invoice_lines(connection, newest["invoice"])
            query, answer = reports.invoice_by_query(connection, newest["invoice"])
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
            console.print_table(title, warehouse.query(filled).to_pylist())
    finally:
        warehouse.close()


def _show_quarantine(dsn: str) -> None:
    from data.ingest.readings.quarantine import count_quarantined

    console.print_table("Quarantined readings", count_quarantined(dsn))


def _where_to_look(settings: Settings) -> str:
    return (
        "Next:\n"
        "  make dev                          the Dagster UI: every asset, run and gate, http://127.0.0.1:3000\n"
        "  .venv/bin/myproperty up           the engines, then:\n"
        '  .venv/bin/myproperty query "table marts.mart_solar_performance"\n'
        "  .venv/bin/myproperty quarantine list\n"
        "  .venv/bin/myproperty billing ties --tenant demo-wattlebird\n"
        "  .venv/bin/myproperty run                 the year before, to the marts: some minutes\n"
        f"  documents                         {_short(CHECKOUT / 'docs')}, README.md\n"
        f"  files ingested                    {_short(settings.archive)}"
    )


def _short(path: str | Path) -> str:
    """A path as seen from the checkout, where it lies in it."""
    try:
        return str(Path(path).relative_to(CHECKOUT))
    except ValueError:
        return str(path)
