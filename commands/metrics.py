"""Commands for the metrics: list them, and ask for them by their dimensions."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from commands import console
from commands.options import DATE_FORMATS, AsJson, reports_errors
from commands.warehouse import AsReader, Format, Limit, OutputFile, OutputFormat, ask
from myproperty.settings import get_settings

if TYPE_CHECKING:
    from data.warehouse.metrics import Metrics

app = typer.Typer(no_args_is_help=True, help="Metrics of the warehouse: list them and ask for them.")
Names = Annotated[str, typer.Option(metavar="NAME,NAME")]


class Listed(StrEnum):
    """What `metrics list` lists."""

    metrics = "metrics"
    dimensions = "dimensions"
    saved_queries = "saved-queries"


@app.command("list")
@reports_errors
def list_(
    what: Listed = Listed.metrics,
    metrics: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Only the dimensions that all of these have.")
    ] = "",
    json: AsJson = False,
) -> None:
    """List metrics with their meaning, the dimensions to ask by, or the saved queries."""
    found = _open()
    rows = {
        Listed.metrics: found.list_metrics,
        Listed.dimensions: lambda: [{"dimension": name} for name in found.list_dimensions(_split(metrics))],
        Listed.saved_queries: found.list_saved_queries,
    }[what]()
    if json:
        console.print_json(rows)
    else:
        console.print_table(f"{len(rows)} {what.value}", rows)


@app.command()
@reports_errors
def query(
    metrics: Names = "",
    group_by: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Dimensions; dates also as metric_time__month and so on.")
    ] = "",
    *,
    where: Annotated[
        list[str] | None,
        typer.Option(help="A condition, such as \"{{ Dimension('meter_day__channel') }} = 'import'\"."),
    ] = None,
    order: Annotated[str, typer.Option(metavar="NAME,-NAME", help="Order of the rows; - falls.")] = "",
    start_time: Annotated[datetime | None, typer.Option(formats=DATE_FORMATS, help="First date.")] = None,
    end_time: Annotated[
        datetime | None, typer.Option(formats=DATE_FORMATS, help="Last date, included.")
    ] = None,
    saved_query: Annotated[str | None, typer.Option(help="Begin with what this saved query asks.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL and run nothing.")] = False,
    format: Format = OutputFormat.table,
    output: OutputFile = None,
    limit: Limit = 10_000,
    reader: AsReader = None,
) -> None:
    """Ask for metrics: `--metrics solar_generation_kwh --group-by metric_time__month`."""
    from data.warehouse.metrics import Question

    question = Question(
        metrics=_split(metrics),
        group_by=_split(group_by),
        where=where or (),
        order_by=_split(order),
        first=start_time and start_time.date(),
        last=end_time and end_time.date(),
        saved_query=saved_query,
    )
    sql = _open().write_sql(question)
    if explain:
        console.out.print(sql, markup=False, highlight=False, soft_wrap=True)
    else:
        ask(sql, format=format, output=output, limit=limit, reader=reader)


@app.command()
@reports_errors
def values(
    dimension: Annotated[str, typer.Argument(help="A name of `metrics list dimensions`.")],
    metrics: Annotated[str, typer.Option(metavar="NAME,NAME", help="Only the values that these have.")] = "",
    *,
    format: Format = OutputFormat.table,
    output: OutputFile = None,
    limit: Limit = 10_000,
    reader: AsReader = None,
) -> None:
    """List the values of a dimension, as a list to choose from."""
    sql = _open().write_values_sql(dimension, _split(metrics))
    ask(sql, format=format, output=output, limit=limit, reader=reader)


@app.command()
@reports_errors
def export(
    saved_queries: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Saved queries; all without a name.")
    ] = None,
    *,
    folder: Annotated[
        str | None, typer.Option(metavar="URL", help="Folder or bucket instead of MYPROPERTY_EXPORT_URL.")
    ] = None,
    reader: AsReader = None,
) -> None:
    """Write the answers of saved queries as Parquet and CSV, named by today's date in UTC.

    A file of the same date is replaced. The schedule `exports_daily` does this once a day.
    """
    from data.raw.exports import export_saved_queries

    settings = get_settings()
    url = folder or settings.export_url
    if url is None:
        raise typer.BadParameter("name a place in --folder, or set MYPROPERTY_EXPORT_URL")
    done = export_saved_queries(
        settings,
        url,
        datetime.now(UTC).date(),
        names=saved_queries or (),
        reader=reader or settings.export_reader,
    )
    rows = [
        {"saved query": each.saved_query, "rows": each.rows, "files": "\n".join(each.files)} for each in done
    ]
    console.print_table("Exported", rows)


def _open() -> "Metrics":
    from data.warehouse.metrics import Metrics
    from data.warehouse.project import semantic_manifest

    settings = get_settings()
    return Metrics(semantic_manifest(settings), settings.warehouse)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
