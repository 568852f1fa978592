"""Commands for the warehouse: query it, and run dbt or MetricFlow on it."""

import os
import subprocess
from enum import StrEnum
from typing import Annotated

import typer

from commands import console
from commands.options import reports_errors
from commands.views import unique_names
from myproperty.children import bind
from myproperty.settings import get_settings


class OutputFormat(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


@reports_errors
def query(
    sql: str,
    format: Annotated[OutputFormat, typer.Option()] = OutputFormat.table,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Largest number of rows.")] = 10_000,
    reader: Annotated[
        str | None,
        typer.Option(
            "--as", help="A reader of the seed `tenant_readers`, who sees its tenants in `bi` alone."
        ),
    ] = None,
) -> None:
    """Run one query on the published layers of the warehouse, as a login that can only read them.

    That login is of the company that runs the platform, and sees every tenant.
    """
    from data.raw.warehouse import open_warehouse
    from data.warehouse.readers import check_reader

    if reader is not None:
        check_reader(reader)
    warehouse = open_warehouse(get_settings())
    try:
        found = warehouse.ask(sql, limit + 1, reader)
    finally:
        warehouse.close()
    if is_cut := found.num_rows > limit:
        found = found.slice(0, limit)
    rows = found.rename_columns(unique_names(found.column_names)).to_pylist()
    if format is OutputFormat.json:
        console.print_json(rows)
    elif format is OutputFormat.csv:
        console.print_csv(rows)
    else:
        console.print_table("1 row" if len(rows) == 1 else f"{len(rows)} rows", rows)
    if is_cut:
        console.print_error("cut", f"these are the first {limit} rows: --limit shows more")


@reports_errors
def dbt(context: typer.Context) -> None:
    """Run dbt on the warehouse of this environment: `dbt ls`, `dbt docs generate --static`, `dbt build ...`.

    All arguments go to dbt unchanged. Its state is the last published one: `--select state:modified+ --defer`
    builds the models that differ from it, in the schemas of MYPROPERTY_DATASET_PREFIX, and reads the other
    models from the published schemas.
    """
    from dagster_project.resources.dbt import command

    words, environment = command(get_settings(), context.args)
    raise typer.Exit(subprocess.call(bind(words), env={**os.environ, **environment}))


@reports_errors
def metrics(context: typer.Context) -> None:
    """Ask MetricFlow: `list metrics`, `query --metrics solar_generation_kwh --group-by metric_time`.

    All arguments go to MetricFlow unchanged.
    """
    from dagster_project.resources.dbt import PROJECT_DIR, metrics_command

    words, environment = metrics_command(get_settings(), context.args)
    raise typer.Exit(subprocess.call(bind(words), env={**os.environ, **environment}, cwd=PROJECT_DIR))
