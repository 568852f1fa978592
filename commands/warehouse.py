"""Commands for the warehouse: query it, and run dbt on it."""

import os
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands import console
from commands.options import reports_errors
from commands.views import unique_names
from myproperty.children import run_to_end
from myproperty.settings import get_settings

if TYPE_CHECKING:
    import pyarrow as pa


class OutputFormat(StrEnum):
    """How rows are given."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


Format = Annotated[OutputFormat, typer.Option(help="Parquet needs --output.")]
OutputFile = Annotated[Path | None, typer.Option(help="Write the rows to this file.", dir_okay=False)]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="Largest number of rows.")]
AsReader = Annotated[
    str | None,
    typer.Option("--as", help="A reader of the seed `tenant_readers`, who sees its tenants in `bi` alone."),
]


@reports_errors
def query(
    sql: str,
    format: Format = OutputFormat.table,
    output: OutputFile = None,
    limit: Limit = 10_000,
    reader: AsReader = None,
) -> None:
    """Run one query on the published layers of the warehouse, as a login that can only read them.

    That login is of the company that runs the platform, and sees every tenant. A table has the current name
    behind each id; the other formats have the columns of the query alone.
    """
    ask(sql, format=format, output=output, limit=limit, reader=reader)


def ask(
    sql: str,
    *,
    format: OutputFormat,
    output: Path | None,
    limit: int,
    reader: str | None,
) -> None:
    """Run one statement as a reader, and print its rows or write them to a file."""
    from data.raw.names import name_ids
    from data.raw.warehouse import open_warehouse
    from data.warehouse.readers import check_reader

    if format is OutputFormat.parquet and output is None:
        raise typer.BadParameter("name the file to write in --output")
    if reader is not None:
        check_reader(reader)
    settings = get_settings()
    warehouse = open_warehouse(settings)
    try:
        found = warehouse.ask(sql, limit + 1, reader)
        if is_cut := found.num_rows > limit:
            found = found.slice(0, limit)
        found = found.rename_columns(unique_names(found.column_names))
        if format is OutputFormat.table and reader is None:
            found = name_ids(warehouse, found, settings.dataset_prefix)
    finally:
        warehouse.close()
    if output is None:
        _print(found, format)
    else:
        _write(found, format, output)
        said = "1 row is" if found.num_rows == 1 else f"{found.num_rows} rows are"
        console.out.print(f"{said} in {output}", markup=False, soft_wrap=True)
    if is_cut:
        console.print_error("cut", f"these are the first {limit} rows: --limit shows more")


def _print(found: "pa.Table", format: OutputFormat) -> None:
    rows = found.to_pylist()
    if format is OutputFormat.json:
        console.print_json(rows)
    elif format is OutputFormat.csv:
        console.print_csv(rows)
    else:
        console.print_table("1 row" if len(rows) == 1 else f"{len(rows)} rows", rows)


def _write(found: "pa.Table", format: OutputFormat, output: Path) -> None:
    """Write a file beside it and rename it: an interrupted command leaves no half of it."""
    import pyarrow.parquet as pq

    unfinished = output.with_name(f".{output.name}.part")
    if format is OutputFormat.parquet:
        pq.write_table(found, unfinished, compression="zstd")
    else:
        with unfinished.open("w", encoding="utf-8", newline="") as file, redirect_stdout(file):
            _print(found, format)
    unfinished.replace(output)


@reports_errors
def dbt(context: typer.Context) -> None:
    """Run dbt on the warehouse of this environment: `dbt ls`, `dbt docs generate --static`, `dbt build ...`.

    All arguments go to dbt unchanged. Its state is the last published one: `--select state:modified+ --defer`
    builds the models that differ from it, in the schemas of MYPROPERTY_DATASET_PREFIX, and reads the other
    models from the published schemas.
    """
    from data.warehouse.project import command

    words, environment = command(get_settings(), context.args)
    raise typer.Exit(run_to_end(words, {**os.environ, **environment}))
