"""Commands for the pipeline: run it, validate whole days, read the verdicts of the gates, open Dagster."""

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from commands import console, views
from commands.options import AsJson, FirstDate, LastDate, OnlyTenant, check_order, reports_errors
from myproperty.children import run_to_end
from myproperty.database.roles import INGEST, PIPELINE
from myproperty.dates import Window
from myproperty.settings import get_settings

if TYPE_CHECKING:
    from data.ingest.validation.run import Validation


@reports_errors
def run(first: FirstDate = None, last: LastDate = None, json: AsJson = False) -> None:
    """Run the pipeline in this process, for the given dates or for the inbox and all changed dates."""
    if (first is None) != (last is None):
        raise typer.BadParameter("give both --from and --to, or neither")
    if first and last:
        check_order(first, last)
    from expectations.judge import judging_apart

    settings = get_settings()
    validated: list[Validation] = []
    with console.output_to(settings.run_log), judging_apart():
        from dagster_project import runner  # after the checks: Dagster takes seconds to import

        if first and last:
            dates = Window(first.date(), last.date() + timedelta(days=1)).dates
            reports = runner.run_dates(dates, settings, console.show_progress)
        else:
            ingested = runner.ingest_inbox(settings, console.show_progress)
            validated = runner.validate_due(settings, console.show_progress)
            reports = runner.run_pending(settings, console.show_progress)
    if json:
        console.print_json([report.as_json() for report in reports])
    else:
        if not first:
            views.show_ingests(ingested)
        views.show_validations([*validated, *(found for report in reports for found in report.validated)])
        views.show_runs(reports)
    from myproperty import engines

    views.show_run_failures(reports, engines.login_dsn(settings, PIPELINE))
    views.show_what_is_held(runner.list_held_days(settings))
    if not all(report.success for report in reports):
        raise typer.Exit(1)


@reports_errors
def reload(
    table: Annotated[str, typer.Argument(help="A copied table, as the gate names it.")],
    *,
    first: FirstDate = None,
    last: LastDate = None,
    json: AsJson = False,
) -> None:
    """Copy one table again, from its source to landing and raw, and check both copies by gates B and C."""
    if (first is None) != (last is None):
        raise typer.BadParameter("give both --from and --to, or neither")
    if first and last:
        check_order(first, last)
    from dagster_project.reload import reload_table
    from myproperty import engines
    from myproperty.dates import Window

    dates = Window(first.date(), last.date() + timedelta(days=1)) if first and last else None
    settings = get_settings()
    with console.output_to(settings.run_log):
        verdicts = reload_table(settings, table, dates, console.show_progress)
    if json:
        console.print_json([verdict.as_json() for verdict in verdicts])
    else:
        views.show_gates(verdicts)
    failed = [verdict for verdict in verdicts if not verdict.passed]
    views.show_verdict_details(failed, engines.login_dsn(settings, PIPELINE))
    if not all(verdict.passed for verdict in verdicts):
        raise typer.Exit(1)


@reports_errors
def validate(
    first: FirstDate = None, last: LastDate = None, tenant: OnlyTenant = None, json: AsJson = False
) -> None:
    """Judge whole days and fill gaps, for the given dates or for the dates that new files changed."""
    from data.ingest.validation.run import validate as validate_dates
    from myproperty import engines
    from myproperty.database.blockers import watch_locks

    if first and last:
        check_order(first, last)
    dsn = engines.login_dsn(get_settings(), INGEST)
    with watch_locks(dsn, console.show_progress):
        results = validate_dates(
            dsn,
            tenant=tenant,
            first=first.date() if first else None,
            last=last.date() if last else None,
            progress=console.show_progress,
        )
    if json:
        console.print_json([result.as_json() for result in results])
    else:
        views.show_validations(results)


@reports_errors
def gates(
    failed: Annotated[bool, typer.Option("--failed", help="Only failed verdicts.")] = False,
    json: AsJson = False,
) -> None:
    """Show the last verdict of each gate; --failed: every verdict that holds for a date until it passes."""
    from expectations.verdicts import failing_verdicts, last_verdicts
    from myproperty import engines

    dsn = engines.login_dsn(get_settings(), PIPELINE)
    verdicts = failing_verdicts(dsn) if failed else last_verdicts(dsn)
    if json:
        console.print_json([verdict.as_json() for verdict in verdicts])
        return
    views.show_gates(verdicts)
    views.show_verdict_details([verdict for verdict in verdicts if verdict.failed], dsn)


@reports_errors
def pending(json: AsJson = False) -> None:
    """Show what is not published, since when, why, and what to do next."""
    from dagster_project.runner import find_pending

    found = find_pending(get_settings())
    if json:
        console.print_json(found.as_json())
    else:
        views.show_pending(found)


@reports_errors
def quality_docs(
    verdicts: Annotated[int, typer.Option(min=1, max=100, help="Pages for each gate and table.")] = 3,
    json: AsJson = False,
) -> None:
    """Build the site of the gates (Great Expectations' Data Docs) from the kept verdicts."""
    from expectations.data_docs import build_data_docs
    from expectations.verdicts import recent_verdicts
    from myproperty import engines

    settings = get_settings()
    found = recent_verdicts(engines.login_dsn(settings, PIPELINE), verdicts)
    index = build_data_docs(found, settings.quality_folder)
    if json:
        console.print_json({"index": str(index), "verdicts": len(found)})
    else:
        console.out.print(f"{len(found)} verdicts. Open {index}", soft_wrap=True)


@reports_errors
def dev(port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000) -> None:
    """Open the Dagster UI on the embedded engines, until Ctrl-C, and serve the documents that it links to."""
    from commands.databases import prepare_databases
    from commands.docs_server import serve_docs
    from dagster_project.instance import find_instance, open_instance
    from myproperty import engines

    settings = get_settings()
    engines.up(settings)
    prepare_databases(settings)
    home = find_instance(settings.home)
    with open_instance(settings.home):
        pass  # Its error is one line; that of `dagster dev` is a traceback.
    command = [sys.executable, "-m", "dagster", "dev", "-m", "dagster_project.definitions"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--log-format", "json"] if settings.log_format == "json" else []
    docs_url = settings.docs_url or serve_docs()
    console.out.print(f"Dagster: http://127.0.0.1:{port}   Documents: {docs_url}/README.md")
    variables = {**os.environ, "DAGSTER_HOME": str(home), "MYPROPERTY_DOCS_URL": docs_url}
    raise typer.Exit(run_to_end(command, variables))
