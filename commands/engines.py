"""Commands for the embedded engines and the schema of the OLTP database."""

import re
from enum import StrEnum
from typing import Annotated, Any

import typer

from commands import console, views
from commands.options import AsJson, reports_errors
from myproperty.settings import Settings, get_settings


@reports_errors
def up(json: AsJson = False) -> None:
    """Start the embedded engines: PostgreSQL and, if it is the warehouse, the BigQuery emulator."""
    from myproperty import engines

    with console.step("Starting the engines"):
        found = engines.up(get_settings())
    for note in found.notes:
        console.err.print(note)
    _show(found.as_json(), json)


@reports_errors
def down(json: AsJson = False) -> None:
    """Stop the embedded engines; data and logs stay."""
    from myproperty import engines

    _show(engines.down(get_settings()).as_json(), json)


@reports_errors
def status(
    passwords: Annotated[bool, typer.Option("--passwords", help="Show passwords too.")] = False,
    json: AsJson = False,
) -> None:
    """Show the state of the engines and their addresses, without passwords."""
    from myproperty import engines

    _show(engines.status(get_settings()).as_json(), json, passwords=passwords)


class Database(StrEnum):
    """A database of the platform."""

    postgres = "postgres"
    warehouse = "warehouse"


@reports_errors
def print_dsn(
    database: Database,
    role: Annotated[
        str | None,
        typer.Option(
            "--as", help="Its login, as docs/logins.md lists them, or a reader of `tenant_readers`."
        ),
    ] = None,
) -> None:
    """Print one connection string with its password, for programs; without --as the superuser's."""
    console.out.print(_find_dsn(get_settings(), database, role), markup=False, soft_wrap=True)


@reports_errors
def migrate(
    warehouse: Annotated[
        bool, typer.Option("--warehouse", help="Then run the newest published date: the warehouse follows.")
    ] = False,
) -> None:
    """Bring schema, roles and logins of the databases to this release; a second run changes nothing."""
    from commands.databases import prepare_databases

    settings = get_settings()
    revision, notes = prepare_databases(settings)
    logins = "" if notes else "; each job has its login"
    console.out.print(f"The OLTP schema is at revision {revision}{logins}.")
    for note in notes:
        console.err.print(note)
    if warehouse:
        _run_newest_date(settings)


def _run_newest_date(settings: Settings) -> None:
    """Build the newest published date: the first run of a release brings every table and view to it."""
    from data.landing.published_dates import read_newest_dates
    from expectations.judge import judging_apart
    from myproperty import engines
    from myproperty.database.roles import PIPELINE

    dsn = engines.login_dsn(settings, PIPELINE)
    newest = max((day for _, day in read_newest_dates(dsn) if day is not None), default=None)
    if newest is None:
        console.out.print("No date is published yet: the first run makes the warehouse.")
        return
    with console.output_to(settings.run_log), judging_apart():
        from dagster_project.runner import run_dates  # Dagster takes seconds to import

        reports = run_dates([newest], settings, console.show_progress)
    views.show_runs(reports)
    views.show_run_failures(reports, dsn)
    if not all(report.success for report in reports):
        raise typer.Exit(1)


def _find_dsn(settings: Settings, database: Database, role: str | None) -> str:
    from data.warehouse.readers import check_reader
    from myproperty import engines
    from myproperty.database.roles import OLTP_LOGINS, WAREHOUSE_LOGINS

    is_warehouse = database is Database.warehouse
    if is_warehouse and settings.warehouse != "postgres":
        raise engines.EngineError(
            "the warehouse is BigQuery, which has no connection string: see `myproperty status`"
        )
    if role is None:
        return engines.dsn(settings, "warehouse" if is_warehouse else "myproperty")
    logins = {login.name: login for login in (WAREHOUSE_LOGINS if is_warehouse else OLTP_LOGINS)}
    if role in logins:
        return engines.login_dsn(settings, logins[role])
    if not is_warehouse:
        raise engines.EngineError(f"no login is called {role!r}: there are {', '.join(logins)}")
    check_reader(role)
    return engines.reader_dsn(settings, role)


def mask_password(dsn: str) -> str:
    """Return a connection string with `***` for its password: a terminal is shared, and its text is kept."""
    masked = re.sub(r"(?<=://)([^:/@?]*):[^@/?]*@", r"\1:***@", dsn)
    return re.sub(r"\b(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)", r"\1***", masked)


def _show(status: dict[str, Any], json: bool, *, passwords: bool = False) -> None:
    if not passwords:
        for name in ("postgres", "warehouse"):
            if dsn := status[name].get("dsn"):
                status = {**status, name: {**status[name], "dsn": mask_password(dsn)}}
    if json:
        console.print_json(status)
    else:
        views.show_engines(status)
