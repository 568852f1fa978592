"""Commands for quarantined readings."""

from dataclasses import asdict
from typing import Annotated

import typer

from commands import console, resolutions, views
from commands.files import read_mapping
from commands.options import (
    AsJson,
    DryRun,
    MappingFile,
    OnlyFile,
    OnlyJob,
    OnlyRule,
    OnlyTenant,
    reports_errors,
)
from myproperty.database.roles import INGEST
from myproperty.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="Readings that broke a rule, and their status.")
QuarantineId = Annotated[str, typer.Argument(metavar="ID", help="From `quarantine list`.")]


@app.command("list")
@reports_errors
def list_(
    tenant: OnlyTenant = None,
    all_: Annotated[bool, typer.Option("--all", help="Include replayed and resolved rows.")] = False,
    limit: Annotated[int, typer.Option(help="Largest number of rows to show.")] = 100,
    json: AsJson = False,
) -> None:
    """Show the number of rows that broke each rule, and the newest rows."""
    from data.ingest.readings import quarantine
    from myproperty import engines

    dsn = engines.login_dsn(get_settings(), INGEST)
    found = quarantine.list_quarantined(dsn, tenant=tenant, status=None if all_ else "open", limit=limit)
    if json:
        console.print_json([asdict(row) for row in found])
    else:
        views.show_quarantine(quarantine.count_quarantined(dsn, tenant), found)


@app.command()
@reports_errors
def show(id: QuarantineId, json: AsJson = False) -> None:
    """Show one row as it is in the file, the rule that it broke, and the remedy."""
    from data.ingest.readings import quarantine
    from data.ingest.rules.table import RULES
    from myproperty import engines

    row = quarantine.show_quarantined(engines.login_dsn(get_settings(), INGEST), id)
    if json:
        console.print_json(asdict(row))
    else:
        views.show_quarantined(row, RULES[row.rule].remedy if row.rule in RULES else None)


@app.command()
@reports_errors
def replay(id: QuarantineId, mapping: MappingFile = None, json: AsJson = False) -> None:
    """Judge the row's file again, with the current meters or a corrected mapping, and load its valid rows."""
    from data.ingest.readings import quarantine
    from myproperty import engines

    settings = get_settings()
    declared = read_mapping(mapping)
    result = quarantine.replay_quarantined(
        engines.login_dsn(settings, INGEST), id, archive=settings.archive, mapping=declared
    )
    if json:
        console.print_json(result.as_json())
    else:
        views.show_ingests([result])


@app.command()
@reports_errors
def resolve(
    id: Annotated[str | None, typer.Argument(metavar="[ID]", help="From `quarantine list`.")] = None,
    *,
    by: Annotated[str | None, typer.Option(help="Who decided.")] = None,
    note: Annotated[str | None, typer.Option(help="Why the rows will not be loaded.")] = None,
    rule: OnlyRule = None,
    file: OnlyFile = None,
    job: OnlyJob = None,
    tenant: OnlyTenant = None,
    dry_run: DryRun = False,
) -> None:
    """Close rows for good, one by its id or many by rule, file and job: they stay on record, not loaded."""
    from data.ingest.readings import quarantine
    from data.ingest.resolutions import QUARANTINE, Selection
    from myproperty import engines

    selection = Selection(tenant, rule, file, job)
    resolutions.check_choice(id, selection)
    dsn = engines.login_dsn(get_settings(), INGEST)
    if id is None:
        resolutions.resolve_many(dsn, QUARANTINE, selection, by=by, note=note, dry_run=dry_run)
    elif dry_run:
        views.show_quarantined(quarantine.show_quarantined(dsn, id), None)
    else:
        decided_by, reason = resolutions.require_reason(by, note)
        row = quarantine.resolve_quarantined(dsn, id, by=decided_by, note=reason)
        console.out.print(f"{row.id} is {row.status}.")
