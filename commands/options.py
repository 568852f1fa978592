"""Options that several commands share, and how a command reports an error."""

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, ParamSpec, TypeVar

import typer

from commands import console
from myproperty import logs
from myproperty.database.roles import PIPELINE
from myproperty.errors import PlatformError
from myproperty.settings import get_settings

P = ParamSpec("P")
R = TypeVar("R")
# The end of a command, and a wrong option, for which typer prints the usage.
_OF_TYPER = (typer.Exit, typer.Abort, typer.BadParameter)
DATE_FORMATS = ["%Y-%m-%d"]

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
FileFormat = Annotated[
    str | None, typer.Option(help="Read the file in this format instead of detecting the format.")
]
FirstDate = Annotated[
    datetime | None, typer.Option("--from", formats=DATE_FORMATS, help="First reading date.")
]
LastDate = Annotated[
    datetime | None, typer.Option("--to", formats=DATE_FORMATS, help="Last reading date, included.")
]
MappingFile = Annotated[
    str | None,
    typer.Option(
        "--mapping",
        metavar="FILE|NAME",
        help="What the meter file leaves out: a YAML or TOML file, or the name of a shipped mapping.",
    ),
]
Identifier = Annotated[str | None, typer.Option(help="With --mapping: the name of the meter.")]
Channel = Annotated[str | None, typer.Option(help="With --mapping: the channel, where it is left open.")]
OnlyRule = Annotated[str | None, typer.Option("--rule", help="All open ones of this rule.")]
OnlyFile = Annotated[str | None, typer.Option("--file", help="All open ones of this meter file: its name.")]
OnlyJob = Annotated[str | None, typer.Option("--job", help="All open ones of this ingestion job: its id.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count them and change nothing.")]
OneTenant = Annotated[str, typer.Option(help="A tenant's name or id.")]
OnlyTenant = Annotated[str | None, typer.Option(help="Only this tenant: name or id.")]


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Print a `PlatformError` as one message without a traceback, and exit with 1.

    So is an error of PostgreSQL whose cause is a database that is down or not migrated.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            if get_settings().log_format == "json":
                logs.use_json_lines()
            return command(*args, **kwargs)
        except PlatformError as error:
            console.print_error("error", str(error))
            raise typer.Exit(1) from None
        except Exception as error:
            message = _explain_database_error(error)
            if message is None and logs.is_json() and not isinstance(error, _OF_TYPER):
                logs.LOGGER.exception("unexpected error")
                raise typer.Exit(1) from None
            if message is None:
                raise
            console.print_error("error", message)
            raise typer.Exit(1) from None

    return run


def _explain_database_error(error: Exception) -> str | None:
    """Say what to do after an error of PostgreSQL by a database that is down or not migrated; else None."""
    import psycopg

    if not isinstance(error, psycopg.Error):
        return None
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return f"gave up waiting for a lock, and changed nothing ({error}): try again"
    from myproperty import engines
    from oltp_schema.migrate import describe_missing_migrations

    try:
        return describe_missing_migrations(engines.login_dsn(get_settings(), PIPELINE))
    except PlatformError as unreachable:
        return str(unreachable)


def check_order(first: datetime, last: datetime) -> None:
    """Refuse a range of days that ends before it begins."""
    if last < first:
        raise typer.BadParameter(f"--to {last:%Y-%m-%d} is before --from {first:%Y-%m-%d}")
