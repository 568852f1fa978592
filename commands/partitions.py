"""Commands for the daily partitions of readings."""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from commands import console, views
from commands.options import DATE_FORMATS, AsJson, reports_errors
from myproperty.database.roles import INGEST
from myproperty.settings import Settings, get_settings

app = typer.Typer(no_args_is_help=True, help="The daily partitions of readings.")


@app.command("list")
@reports_errors
def list_(json: AsJson = False) -> None:
    """Show the dates that have a partition, with an estimated number of rows, and the archived dates."""
    from data.ingest.readings import partitions
    from data.landing import archive
    from myproperty import engines

    dsn = engines.login_dsn(get_settings(), INGEST)
    there = [asdict(partition) for partition in partitions.list_partitions(dsn)]
    archived = [asdict(date) for date in archive.list_archived(dsn)]
    if json:
        console.print_json({"partitions": there, "archived": archived})
    else:
        views.show_partitions(there, archived)


@app.command()
@reports_errors
def ensure(
    ahead: Annotated[int, typer.Option(help="Number of days ahead, starting today.", min=0, max=360)] = 7,
) -> None:
    """Make empty partitions for coming dates, for sources that write single readings."""
    from data.ingest.readings import partitions
    from myproperty import engines

    today = datetime.now(UTC).date()
    # Zones where it is still yesterday produce readings now too.
    made = partitions.ensure_partitions(
        engines.login_dsn(get_settings(), INGEST), today - timedelta(days=1), today + timedelta(days=ahead)
    )
    console.out.print(f"Every date from {made[0]} to {made[-1]} has a partition.")


@app.command()
@reports_errors
def archive(
    before: Annotated[
        datetime | None,
        typer.Option(
            formats=DATE_FORMATS,
            help="Archive the dates before this one. Default: the dates past the retention.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Include dates whose marts are not up to date.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Write the readings of old dates to files, verify the files, and drop the partitions."""
    from data.landing.archive import archive_partitions
    from myproperty import engines

    settings = get_settings()
    limit = before.date() if before is not None else _end_of_retention(settings)
    results = archive_partitions(
        engines.login_dsn(settings, INGEST), settings.readings_archive, before=limit, even_if_pending=force
    )
    rows = [asdict(result) for result in results]
    if json:
        console.print_json(rows)
    else:
        console.print_table("Archived", rows, empty=f"no partition is older than {limit}")
    refused = [result for result in results if result.status == "refused"]
    for result in refused:
        console.print_error("refused", f"{result.reading_date}: {result.reason}")
    if refused:
        raise typer.Exit(1)


def _end_of_retention(settings: Settings) -> date:
    from data.ingest.readings.partitions import PartitionError

    if settings.readings_retention_days is None:
        raise PartitionError("no limit is given: use --before, or set MYPROPERTY_READINGS_RETENTION_DAYS")
    return datetime.now(UTC).date() - timedelta(days=settings.readings_retention_days)


@app.command()
@reports_errors
def restore(
    date: Annotated[datetime, typer.Argument(formats=DATE_FORMATS, help="An archived reading date.")],
) -> None:
    """Load the same rows of an archived date back into its partition."""
    from data.landing.archive import restore_date
    from myproperty import engines

    restored = restore_date(engines.login_dsn(get_settings(), INGEST), date.date())
    console.out.print(f"{restored.readings} readings of {restored.reading_date} are restored.")
