"""Commands for the issues that validation found in loaded readings."""

from dataclasses import asdict
from typing import Annotated

import typer

from commands import console, views
from commands.options import AsJson, OnlyTenant, reports_errors
from myproperty.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="Issues that validation found in loaded readings.")


@app.command("list")
@reports_errors
def list_(
    tenant: OnlyTenant = None,
    all_: Annotated[bool, typer.Option("--all", help="Include infos and resolved issues.")] = False,
    limit: Annotated[int, typer.Option(help="Largest number of issues to show.")] = 100,
    json: AsJson = False,
) -> None:
    """Show open issues, the newest reading date first."""
    from data.ingest.validation.issues import list_issues
    from myproperty import engines

    found = list_issues(engines.dsn(get_settings()), tenant=tenant, with_resolved=all_, limit=limit)
    rows = [asdict(issue) for issue in found]
    if json:
        console.print_json(rows)
    else:
        views.show_issues(rows)


@app.command()
@reports_errors
def resolve(
    id: Annotated[str, typer.Argument(metavar="ID", help="From `issues list`.")],
    by: Annotated[str, typer.Option(help="Who decided.")],
    note: Annotated[str, typer.Option(help="Why the readings may stand.")],
) -> None:
    """Close an issue; it opens again if a later validation finds it changed."""
    from data.ingest.validation.issues import resolve_issue
    from myproperty import engines

    resolve_issue(engines.dsn(get_settings()), id, by=by, note=note)
    console.out.print(f"{id} is resolved.")
