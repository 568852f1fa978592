"""Commands for the issues that validation found in loaded readings."""

import datetime
from dataclasses import asdict
from typing import Annotated

import typer

from commands import console, resolutions, views
from commands.options import AsJson, DryRun, OnlyFile, OnlyJob, OnlyRule, OnlyTenant, reports_errors
from myproperty.database.roles import INGEST
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
    """Show open and accepted issues, the most severe first, then the newest reading date."""
    from data.ingest.validation.issues import list_issues
    from myproperty import engines

    found = list_issues(
        engines.login_dsn(get_settings(), INGEST), tenant=tenant, with_resolved=all_, limit=limit
    )
    rows = [asdict(issue) for issue in found]
    if json:
        console.print_json(rows)
    else:
        views.show_issues(rows)


@app.command()
@reports_errors
def resolve(
    id: Annotated[str | None, typer.Argument(metavar="[ID]", help="From `issues list`.")] = None,
    *,
    by: Annotated[str | None, typer.Option(help="Who decided.")] = None,
    note: Annotated[str | None, typer.Option(help="Why the readings may stand.")] = None,
    rule: OnlyRule = None,
    file: OnlyFile = None,
    job: OnlyJob = None,
    tenant: OnlyTenant = None,
    dry_run: DryRun = False,
) -> None:
    """Close issues, one by its id or many by rule, file and job; each opens again if it is found changed."""
    from data.ingest.resolutions import ISSUES, Selection
    from data.ingest.validation.issues import resolve_issue
    from myproperty import engines

    selection = Selection(tenant, rule, file, job)
    resolutions.check_choice(id, selection)
    dsn = engines.login_dsn(get_settings(), INGEST)
    if id is None:
        resolutions.resolve_many(dsn, ISSUES, selection, by=by, note=note, dry_run=dry_run)
    elif dry_run:
        console.out.print(f"Would be resolved: {id}")
    else:
        decided_by, reason = resolutions.require_reason(by, note)
        resolve_issue(dsn, id, by=decided_by, note=reason)
        console.out.print(f"{id} is resolved.")


@app.command()
@reports_errors
def accept(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Severe issues, from `issues list`.")],
    by: Annotated[str, typer.Option(help="Who decided.")],
    reason: Annotated[str, typer.Option(help="Why the values may be published.")],
    until: Annotated[
        datetime.datetime, typer.Option(formats=["%Y-%m-%d"], help="The last date on which this holds.")
    ],
    tenant: OnlyTenant = None,
) -> None:
    """Publish the values of severe issues until a date; then the meter is held back again."""
    from data.ingest.validation.acceptances import accept_issues
    from myproperty import engines

    count = accept_issues(
        engines.login_dsn(get_settings(), INGEST),
        ids,
        by=by,
        reason=reason,
        until=until.date(),
        tenant=tenant,
    )
    console.out.print(
        f"{count} accepted until {until:%Y-%m-%d}. Their dates are pending: `myproperty run` publishes them."
    )
