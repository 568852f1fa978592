"""The command `myproperty`: every way a person or a program runs the platform.

Commands parse arguments, call one function of the layer that does the work, and show its result.
Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

import functools
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from commands import console
from myproperty.settings import Settings, get_settings

if TYPE_CHECKING:
    from dagster_project.jobs import RunReport
    from data.ingest.formats.mapping import FileMapping
    from data.ingest.readings.results import IngestResult
    from data.ingest.validation.run import Validation
    from expectations.verdicts import Verdict
    from myproperty.sealing import Keyring

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Meter files to marts.")
quarantine_app = typer.Typer(no_args_is_help=True, help="Readings that were wrong, and what became of them.")
app.add_typer(quarantine_app, name="quarantine")
billing_app = typer.Typer(no_args_is_help=True, help="Solar shared out, invoices, the double-entry ledger.")
app.add_typer(billing_app, name="billing")
keys_app = typer.Typer(no_args_is_help=True, help="The keys that seal personal fields; to erase a person.")
app.add_typer(keys_app, name="keys")

P = ParamSpec("P")
R = TypeVar("R")

MappingFile = Annotated[
    Path | None,
    typer.Option("--mapping", help="A YAML or TOML file that declares what the meter file leaves out."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


class Scale(StrEnum):
    small = "small"
    medium = "medium"


class Format(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Print an error that a person can mend as one message, without a traceback, and exit with 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from myproperty.errors import PlatformError

        try:
            return command(*args, **kwargs)
        except PlatformError as error:
            console.err.print(f"[red]error:[/] {console.escape(str(error))}")
            raise typer.Exit(1) from None

    return run


@app.command()
@reports_errors
def up(json: AsJson = False) -> None:
    """Start the embedded engines: PostgreSQL and, where it is the warehouse, the BigQuery emulator."""
    from myproperty.engines import local

    with console.step("Starting the engines"):
        status = local.up(get_settings())
    for note in status.notes:
        console.err.print(note)
    _show_status(status.as_json(), json)


@app.command()
@reports_errors
def down(json: AsJson = False) -> None:
    """Stop the embedded engines; data and logs stay."""
    from myproperty.engines import local

    _show_status(local.down(get_settings()).as_json(), json)


@app.command("status")
@reports_errors
def show_status(json: AsJson = False) -> None:
    """How the engines are and where they listen."""
    from myproperty.engines import local

    _show_status(local.status(get_settings()).as_json(), json)


def _show_status(status: dict[str, Any], json: bool) -> None:
    if json:
        console.print_json(status)
        return
    rows = [
        {
            "engine": name,
            "kind": status[name].get("kind", "postgres"),
            "state": status[name]["state"],
            "where": status[name].get("dsn") or status[name].get("endpoint"),
        }
        for name in ("postgres", "warehouse")
    ]
    console.print_table(f"Engines of {status['home']}", rows)


@app.command()
@reports_errors
def migrate() -> None:
    """Bring the OLTP schema to its head; run it as often as you like."""
    from myproperty.engines import local
    from oltp_schema.migrate import upgrade

    revision = upgrade(local.dsn(get_settings()))
    console.out.print(f"The OLTP schema is at revision {revision}.")


@app.command()
@reports_errors
def inspect(
    file: Path,
    *,
    format: Annotated[str | None, typer.Option(help="Do not detect the format; read it as this one.")] = None,
    mapping: MappingFile = None,
    suggest_mapping: Annotated[
        bool, typer.Option("--suggest-mapping", help="Print a mapping to check and to complete instead.")
    ] = False,
    timezone: Annotated[
        str | None, typer.Option(help="The zone of the file's times, for the mapping that is suggested.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Read a meter file and write nothing: what is in it, and what is wrong with it."""
    from data.ingest.inspect import inspect as inspect_file

    if suggest_mapping:
        from data.ingest.formats.suggest.proposal import suggest_mapping as suggest

        typer.echo(suggest(file, timezone), nl=False)
        return
    report = inspect_file(file, format, mapping=_mapping(mapping))
    if json:
        console.print_json(report)
    else:
        _show_inspection(file, report)
    if report["status"] == "refused":
        reasons = "; ".join(f"line {r['first_line']}: {r['reason']}" for r in report["rejected"])
        console.err.print(f"[red]refused:[/] {console.escape(f'{file}: {reasons}')}")
        raise typer.Exit(1)


def _mapping(path: Path | None) -> "FileMapping | None":
    from data.ingest.formats.file_mappings import load_mapping

    return load_mapping(path) if path is not None else None


def _show_inspection(file: Path, report: dict[str, Any]) -> None:
    channels = [
        {
            "meter": channel["meter"],
            "register": channel["register"],
            "channel": channel["channel"],
            "total": Decimal(channel["total"]),
            "unit": channel["unit"],
            "intervals": channel["intervals"],
            "seconds": channel["interval_seconds"],
            "first": channel["first"],
            "last": channel["last"],
            "quality": " ".join(f"{flag}:{n}" for flag, n in channel["quality"].items()),
        }
        for channel in report["channels"]
    ]
    console.print_table(
        f"{file.name}: {report['format']}, {report['status']}", channels, empty=report["status"]
    )
    if report["rejected"]:
        console.print_table("Rejected", report["rejected"])
    if report.get("undeclared"):
        console.err.print(f"to ingest it, a mapping must declare: {', '.join(report['undeclared'])}")


@app.command()
@reports_errors
def ingest(
    files: Annotated[list[Path], typer.Argument(help="Meter files; each is loaded whole or not at all.")],
    *,
    tenant: Annotated[str, typer.Option(help="Whose files these are: a tenant's name or id.")],
    create_meters: Annotated[
        str | None,
        typer.Option(metavar="PROPERTY", help="Create unknown meters there (name or id)."),
    ] = None,
    format: Annotated[str | None, typer.Option(help="Do not detect the format; read it as this one.")] = None,
    mapping: MappingFile = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Files loaded at once; by default one a processor, at most 4.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Load meter files into the readings; a file known already changes nothing.

    Files are loaded side by side, and what one reading becomes is as if one came after the other.
    """
    from data.ingest.readings.parallel import ingest_files
    from myproperty.engines import local

    declared = _mapping(mapping)
    dsn = local.dsn(get_settings())
    results = []
    with console.step(f"Reading {len(files)} files" if len(files) > 1 else f"Reading {files[0]}"):
        for result in ingest_files(
            files,
            tenant=tenant,
            dsn=dsn,
            workers=workers,
            create_meters=create_meters,
            format=format,
            mapping=declared,
        ):
            results.append(result)
            if len(files) > 1 and console.err.is_terminal:
                console.err.print(f"{len(results)} of {len(files)}: {console.escape(result.path)}")
    if json:
        console.print_json([result.as_json() for result in results])
    else:
        show_ingests(results)
    refused = [result for result in results if result.status == "refused"]
    for result in refused:
        console.err.print(f"[red]refused:[/] {console.escape(_refusal(result))}")
    if refused:
        raise typer.Exit(1)


def _refusal(result: "IngestResult") -> str:
    refusal = result.refusal
    if refusal is None:
        return result.path
    place = f"{result.path}, line {refusal.line}" if refusal.line is not None else result.path
    return f"{place}: {refusal.rule}: {refusal.reason}. {refusal.remedy}"


def show_ingests(results: "Sequence[IngestResult]") -> None:
    """Show what became of each file."""
    rows = [
        {
            "tenant": result.tenant,
            "file": Path(result.path).name,
            "status": result.status,
            "accepted": result.accepted,
            "unchanged": result.unchanged,
            "new versions": result.new_versions,
            "superseded": result.superseded,
            "quarantined": result.quarantined,
            **({"register reads": result.register_reads} if any(r.register_reads for r in results) else {}),
            "dates touched": console.describe_dates(result.dates_touched),
        }
        for result in results
    ]
    console.print_table("Ingested", rows)
    for result in results:
        if result.status == "failed":
            console.err.print(f"[red]failed:[/] {console.escape(_refusal(result))}")
    if tasks := {task for result in results for task in result.adjustment_tasks}:
        console.out.print(
            f"{len(tasks)} billing periods were allocated before: see `myproperty billing tasks`."
        )


@app.command()
@reports_errors
def run(
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First reading date.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last reading date, included.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Run the pipeline in process: over the dates given, or over the inbox and all dates that changed."""
    from dagster_project import jobs

    settings = get_settings()
    validated: list[Validation] = []
    if (first is None) != (last is None):
        raise typer.BadParameter("give both --from and --to, or neither")
    if first and last and last < first:
        raise typer.BadParameter(f"--to {last:%Y-%m-%d} is before --from {first:%Y-%m-%d}")
    with console.output_to(run_log(settings)):
        if first and last:
            end = last.date() + timedelta(days=1)
            reports = [jobs.run_pipeline(first.date(), end, settings, progress)]
        else:
            ingested = jobs.ingest_inbox(settings, progress)
            validated = jobs.validate_due(settings, progress)
            reports = jobs.run_pending(settings, progress)
    if not json:
        if not first:
            show_ingests(ingested)
        show_validations([*validated, *(found for report in reports for found in report.validated)])
    if json:
        console.print_json([report.as_json() for report in reports])
    show_runs(reports, quiet=json)


def run_log(settings: Settings) -> Path:
    """Where Dagster's and dbt's own words of a run go."""
    return settings.home / "logs" / "run.log"


def progress(line: str) -> None:
    """Tell what a run is doing, on standard error."""
    console.err.print(f"[dim]  {console.escape(line)}[/]")


def show_runs(reports: "Sequence[RunReport]", *, quiet: bool = False) -> None:
    """Show which reading dates were rebuilt; exit with 1, saying why, if one was not published."""
    rows = [
        {
            "reading dates": console.describe_dates(report.dates),
            "result": "published" if report.success else "NOT published",
            "gates": f"{len(report.verdicts) - len(report.failed)} of {len(report.verdicts)} passed",
            "seconds": f"{sum(report.seconds.values()):.1f}",
        }
        for report in reports
    ]
    if not quiet:
        console.print_table("Rebuilt", rows, empty="no reading date has changed since it was published")
    failed = [report for report in reports if not report.success]
    for report in failed:
        for verdict in report.failed:
            console.err.print(console.escape(verdict.message))
        if not report.failed:
            console.err.print(f"[red]error:[/] {console.escape(str(report.error))}")
    if failed:
        raise typer.Exit(1)


@app.command()
@reports_errors
def query(sql: str, format: Annotated[Format, typer.Option()] = Format.table) -> None:
    """Ask the warehouse; reads only."""
    from data.raw.warehouse import open_warehouse

    warehouse = open_warehouse(get_settings())
    try:
        found = warehouse.ask(sql)
    finally:
        warehouse.close()
    rows = found.rename_columns(told_apart(found.column_names)).to_pylist()
    if format is Format.json:
        console.print_json(rows)
    elif format is Format.csv:
        console.print_csv(rows)
    else:
        console.print_table("1 row" if len(rows) == 1 else f"{len(rows)} rows", rows)


def told_apart(names: Sequence[str]) -> list[str]:
    """The names, of equal ones the second as name_2 and so on: a row is shown by name."""
    times: Counter[str] = Counter()
    found = []
    for name in names:
        times[name] += 1
        found.append(name if times[name] == 1 else f"{name}_{times[name]}")
    return found


@app.command()
@reports_errors
def gates(
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    json: AsJson = False,
) -> None:
    """The last verdict of each gate, with the rules that were broken and what to do."""
    from expectations.verdicts import last_verdicts
    from myproperty.engines import local

    verdicts = last_verdicts(local.dsn(get_settings()), failed_only=failed)
    if json:
        console.print_json([verdict.as_json() for verdict in verdicts])
        return
    show_gates(verdicts)
    for verdict in verdicts:
        if verdict.failed:
            console.out.print(console.escape(verdict.message))


def show_gates(verdicts: "Sequence[Verdict]") -> None:
    """Show the verdicts, one line a gate and table."""
    rows = [
        {
            "gate": verdict.gate,
            "table": verdict.table,
            "verdict": "passed" if verdict.passed else "FAILED",
            "expectations": verdict.expectations,
            "reading dates": _dates_of(verdict),
            "rules broken": ", ".join(broken["rule"] for broken in verdict.failed),
        }
        for verdict in verdicts
    ]
    console.print_table("Gates", rows, empty="no verdict; `myproperty run` makes them")


def _dates_of(verdict: "Verdict") -> str:
    if verdict.date_from is None or verdict.date_to is None:
        return "all"
    return f"{verdict.date_from} to {verdict.date_to - timedelta(days=1)}"


QuarantineId = Annotated[str, typer.Argument(metavar="ID", help="From `quarantine list`.")]


@quarantine_app.command("list")
@reports_errors
def quarantine_list(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone: name or id.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those replayed and resolved.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many rows.")] = 100,
    json: AsJson = False,
) -> None:
    """How many rows broke which rule, and the newest of them."""
    from data.ingest.readings import quarantine
    from myproperty.engines import local

    dsn = local.dsn(get_settings())
    found = quarantine.list_quarantined(dsn, tenant=tenant, status=None if all_ else "open", limit=limit)
    if json:
        console.print_json([asdict(row) for row in found])
        return
    console.print_table("Rows by rule", quarantine.count_quarantined(dsn, tenant))
    rows = [
        {
            "id": row.id,
            "tenant": row.tenant,
            "file": Path(row.source_uri).name,
            "line": row.line,
            "rule": row.rule,
            "reason": row.reason,
            "status": row.status,
        }
        for row in found
    ]
    console.print_table("Quarantined readings, the newest first", rows)


@quarantine_app.command("show")
@reports_errors
def quarantine_show(id: QuarantineId, json: AsJson = False) -> None:
    """One row as it stood in the file, the rule that it broke, and what to do."""
    from data.ingest.readings import quarantine
    from data.ingest.rules.table import RULES
    from myproperty.engines import local

    row = quarantine.show_quarantined(local.dsn(get_settings()), id)
    if json:
        console.print_json(asdict(row))
        return
    fields = [{"field": name, "value": value} for name, value in asdict(row).items() if value is not None]
    if row.rule in RULES:
        fields.append({"field": "next", "value": RULES[row.rule].remedy})
    console.print_table(f"Quarantined reading {row.id}", fields)


@quarantine_app.command("replay")
@reports_errors
def quarantine_replay(id: QuarantineId, mapping: MappingFile = None, json: AsJson = False) -> None:
    """Judge the row's file again, as meters or a mended mapping now say, and load what is right."""
    from data.ingest.readings import quarantine
    from myproperty.engines import local

    settings = get_settings()
    result = quarantine.replay_quarantined(
        local.dsn(settings), id, archive=settings.archive, mapping=_mapping(mapping)
    )
    if json:
        console.print_json(result.as_json())
    else:
        show_ingests([result])


@quarantine_app.command("resolve")
@reports_errors
def quarantine_resolve(
    id: QuarantineId,
    by: Annotated[str, typer.Option(help="Who decided.")],
    note: Annotated[str, typer.Option(help="Why the row will not be loaded.")],
) -> None:
    """Close a row for good: it stays on record and is not loaded."""
    from data.ingest.readings import quarantine
    from myproperty.engines import local

    row = quarantine.resolve_quarantined(local.dsn(get_settings()), id, by=by, note=note)
    console.out.print(f"{row.id} is {row.status}.")


issues_app = typer.Typer(no_args_is_help=True, help="What validation found in readings that are kept.")
app.add_typer(issues_app, name="issues")


@app.command("validate")
@reports_errors
def validate_readings(
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First reading date.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last reading date, included.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone: name or id.")] = None,
    json: AsJson = False,
) -> None:
    """Judge whole days and fill gaps: of the dates that files touched since, or of those given."""
    from data.ingest.validation.run import validate
    from myproperty.engines import local

    if first and last and last < first:
        raise typer.BadParameter(f"--to {last:%Y-%m-%d} is before --from {first:%Y-%m-%d}")
    results = validate(
        local.dsn(get_settings()),
        tenant=tenant,
        first=first.date() if first else None,
        last=last.date() if last else None,
        progress=progress,
    )
    if json:
        console.print_json([result.as_json() for result in results])
        return
    show_validations(results)


def show_validations(results: "Sequence[Validation]") -> None:
    """Show what validation found on which dates, and how many readings it estimated."""
    rows = [
        {
            "tenant": result.tenant,
            "reading dates": console.describe_dates(result.dates),
            "issues": ", ".join(f"{rule}: {n}" for rule, n in sorted(result.found.items())),
            "not found again": result.resolved,
            "estimates": result.estimated,
        }
        for result in results
    ]
    console.print_table("Validated", rows, empty="no reading date has changed since it was validated")


@issues_app.command("list")
@reports_errors
def issues_list(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone: name or id.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also infos, and what is resolved.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    json: AsJson = False,
) -> None:
    """Open issues, the newest reading date first."""
    from data.ingest.validation.issues import list_issues
    from myproperty.engines import local

    found = list_issues(local.dsn(get_settings()), tenant=tenant, with_resolved=all_, limit=limit)
    rows = [asdict(issue) for issue in found]
    if json:
        console.print_json(rows)
        return
    names = ("id", "tenant", "property", "meter", "channel", "reading_date", "rule", "details", "status")
    console.print_table("Issues", [{name: row[name] for name in names} for row in rows], empty="none")


@issues_app.command("resolve")
@reports_errors
def issues_resolve(
    id: Annotated[str, typer.Argument(metavar="ID", help="From `issues list`.")],
    by: Annotated[str, typer.Option(help="Who decided.")],
    note: Annotated[str, typer.Option(help="Why the readings may stand.")],
) -> None:
    """Close an issue; if validation finds it changed, it is open again."""
    from data.ingest.validation.issues import resolve_issue
    from myproperty.engines import local

    resolve_issue(local.dsn(get_settings()), id, by=by, note=note)
    console.out.print(f"{id} is resolved.")


partitions_app = typer.Typer(no_args_is_help=True, help="The daily partitions of readings.")
app.add_typer(partitions_app, name="partitions")


@partitions_app.command("list")
@reports_errors
def partitions_list(json: AsJson = False) -> None:
    """The dates that have a partition, with an estimate of their rows, and those that are archived."""
    from data.ingest.readings import partitions
    from data.landing import archive
    from myproperty.engines import local

    dsn = local.dsn(get_settings())
    there, archived = partitions.list_partitions(dsn), archive.list_archived(dsn)
    if json:
        console.print_json(
            {
                "partitions": [asdict(partition) for partition in there],
                "archived": [asdict(date) for date in archived],
            }
        )
        return
    rows = [{**asdict(partition), "readings": f"about {partition.readings}"} for partition in there]
    console.print_table("Partitions of readings", rows, empty="no partition")
    console.print_table("Archived", [asdict(date) for date in archived], empty="no date")


@partitions_app.command("ensure")
@reports_errors
def partitions_ensure(
    ahead: Annotated[int, typer.Option(help="So many days from today on.", min=0, max=360)] = 7,
) -> None:
    """Make empty partitions for the dates ahead, for sources that write single readings."""
    from data.ingest.readings import partitions
    from myproperty.engines import local

    today = datetime.now(UTC).date()
    # Where it is still yesterday, readings are made now too.
    made = partitions.ensure_partitions(
        local.dsn(get_settings()), today - timedelta(days=1), today + timedelta(days=ahead)
    )
    console.out.print(f"Every date from {made[0]} to {made[-1]} has its partition.")


@partitions_app.command("archive")
@reports_errors
def partitions_archive(
    before: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Older dates go; by default those past the retention."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also dates whose marts are not up to date."),
    ] = False,
    json: AsJson = False,
) -> None:
    """Write the readings of old dates to files, prove the files, and drop the partitions."""
    from data.ingest.readings.partitions import PartitionError
    from data.landing.archive import archive_partitions
    from myproperty.engines import local

    settings = get_settings()
    if before is not None:
        limit = before.date()
    elif settings.readings_retention_days is not None:
        limit = datetime.now(UTC).date() - timedelta(days=settings.readings_retention_days)
    else:
        raise PartitionError(
            "nothing says which dates are old: give --before, or set MYPROPERTY_READINGS_RETENTION_DAYS"
        )
    results = archive_partitions(
        local.dsn(settings), settings.readings_archive, before=limit, even_if_pending=force
    )
    rows = [asdict(result) for result in results]
    if json:
        console.print_json(rows)
    else:
        console.print_table("Archived", rows, empty=f"no partition is older than {limit}")
    refused = [result for result in results if result.status == "refused"]
    for result in refused:
        console.err.print(f"[red]refused:[/] {result.reading_date}: {console.escape(str(result.reason))}")
    if refused:
        raise typer.Exit(1)


@partitions_app.command("restore")
@reports_errors
def partitions_restore(
    date: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="An archived reading date.")],
) -> None:
    """Bring an archived date back into its partition, the same rows."""
    from data.landing.archive import restore_date
    from myproperty.engines import local

    restored = restore_date(local.dsn(get_settings()), date.date())
    console.out.print(f"{restored.readings} readings of {restored.reading_date} are back.")


Tenant = Annotated[str, typer.Option(help="A tenant's name or id.")]


@billing_app.command("run")
@reports_errors
def billing_run(
    tenant: Tenant,
    property: Annotated[str, typer.Option(help="A property's name or id.")],
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the billing period.")
    ],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")],
    json: AsJson = False,
) -> None:
    """Allocate a billing period from the readings, and draft an invoice for each tenancy in it."""
    from psycopg.types.range import DateRange

    from data.billing import reports
    from data.billing.database import as_tenant, find_property
    from data.billing.invoices import draft_invoices
    from data.billing.ledger import period_in_ledger
    from myproperty.engines import local

    if last < first:
        raise typer.BadParameter(f"--to {last:%Y-%m-%d} is before --from {first:%Y-%m-%d}")
    period = DateRange(first.date(), last.date() + timedelta(days=1))
    with as_tenant(local.dsn(get_settings()), tenant) as connection:
        property_id = find_property(connection, property)
        drafted = draft_invoices(connection, property_id, period)
        allocated = reports.allocations(connection, period_in_ledger(connection, property_id, period))
    if json:
        console.print_json({"allocations": allocated, "drafted": [str(invoice) for invoice in drafted]})
    else:
        console.print_table(f"Allocated, {first:%Y-%m-%d} to {last:%Y-%m-%d}", allocated)
        console.out.print(f"{len(drafted)} invoices drafted.")


@billing_app.command("ties")
@reports_errors
def billing_ties(
    tenant: Tenant,
    invoice: Annotated[str | None, typer.Option(help="Only the invoice with this number.")] = None,
    json: AsJson = False,
) -> None:
    """Hold each invoice against lines, ledger, allocation and meter; exit with 1 if one differs."""
    from data.billing import reports
    from data.billing.database import as_tenant
    from myproperty.engines import local

    with as_tenant(local.dsn(get_settings()), tenant) as connection:
        rows = reports.ties(connection, invoice)
    if json:
        console.print_json(rows)
    else:
        console.print_table("Invoices, to the cent and the watt-hour", rows)
    if not all(row["ties"] for row in rows):
        raise typer.Exit(1)


@billing_app.command("tasks")
@reports_errors
def billing_tasks(
    tenant: Tenant,
    every: Annotated[bool, typer.Option("--all", help="Those that were decided too.")] = False,
    json: AsJson = False,
) -> None:
    """Billing periods whose readings changed after they were allocated, and what differs for each unit."""
    from data.billing import adjustments
    from data.billing.database import as_tenant
    from myproperty.engines import local

    with as_tenant(local.dsn(get_settings()), tenant) as connection:
        tasks = [
            adjustments.describe(connection, task)
            for task in adjustments.find_tasks(connection, is_open=not every)
        ]
    if json:
        console.print_json(tasks)
        return
    shown = ("task", "status", "property", "from", "before", "issued_invoices", "problem")
    console.print_table("Adjustment tasks", [{name: task[name] for name in shown} for task in tasks])
    for task in tasks:
        console.print_table(f"Readings of task {task['task']}", task["readings"])
        console.print_table(f"Differences of task {task['task']}", task["units"], empty="none")


@billing_app.command("adjust")
@reports_errors
def billing_adjust(
    task: Annotated[uuid.UUID, typer.Option(help="An open task: `myproperty billing tasks` shows its id.")],
    by: Annotated[str, typer.Option(help="Who decides: a user's e-mail address or id.")],
    because: Annotated[str, typer.Option(help="Why; it is kept with the allocation.")],
    dismiss: Annotated[
        bool, typer.Option("--dismiss", help="Let the allocation stand as it was billed.")
    ] = False,
) -> None:
    """Take revised readings into the allocation ledger; the next invoice bills or credits the difference."""
    from data.billing import adjustments
    from data.billing.database import as_tenant, tenant_of_task
    from myproperty.engines import local

    dsn = local.dsn(get_settings())
    with as_tenant(dsn, tenant_of_task(dsn, task)) as connection:
        if dismiss:
            adjustments.dismiss(connection, task, by=by, because=because)
            console.out.print("Dismissed: the allocation stands as it was billed.")
            return
        changed = adjustments.adjust(connection, task, by=by, because=because)
    console.out.print(
        f"{len(changed)} allocations adjusted; the next invoice of a tenancy bills or credits the difference."
    )


@billing_app.command("balance")
@reports_errors
def billing_balance(tenant: Tenant, json: AsJson = False) -> None:
    """The balance sheet of a tenant and the accounts behind it."""
    from data.billing import reports
    from data.billing.database import as_tenant
    from myproperty.engines import local

    with as_tenant(local.dsn(get_settings()), tenant) as connection:
        sheet, accounts = reports.balance_sheet(connection), reports.balances(connection)
    if json:
        console.print_json({"balance_sheet": sheet, "accounts": accounts})
    else:
        console.print_table("Accounts", accounts)
        console.print_table("Balance sheet", sheet)


@keys_app.command("list")
@reports_errors
def keys_list(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone: name or id.")] = None,
    json: AsJson = False,
) -> None:
    """Every key: whose it is, its status, what wraps it; never the key itself."""
    with _keyring() as keys:
        rows = keys.inventory(_tenant_of_keys(tenant) if tenant else None)
    if json:
        console.print_json(rows)
    else:
        console.print_table("Keys", rows, empty="none; a key is made when its first value is sealed")


@keys_app.command("rotate")
@reports_errors
def keys_rotate(
    tenant: Annotated[str | None, typer.Option(help="New data keys for it: name or id.")] = None,
    master: Annotated[
        bool, typer.Option("--master", help="Wrap the tenants' keys by the first master key instead.")
    ] = False,
) -> None:
    """Make new keys active; what the old ones sealed stays readable."""
    from myproperty.sealing import rotate_keys, rotate_master

    if tenant is None and not master:
        raise typer.BadParameter("give --tenant for new data keys, or --master for a new master key")
    with _keyring() as keys:
        tenant_id = _tenant_of_keys(tenant) if tenant else None
        if master:
            count = rotate_master(keys, tenant_id)
            console.out.print(f"{count} keys are newly wrapped by the master key {keys.masters.first}.")
        elif tenant_id is not None:
            console.out.print(f"{rotate_keys(keys, tenant_id)} new keys are active.")


@keys_app.command("erase")
@reports_errors
def keys_erase(
    tenant: Tenant,
    because: Annotated[str, typer.Option(help="Why; it is kept, so it names nobody.")],
    user: Annotated[
        str | None, typer.Option(help="This person alone: e-mail address or id. Without it, everyone.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a person, or everyone of a tenant, for good: their keys are destroyed."""
    from myproperty.sealing import erase_tenant, erase_user

    with _keyring() as keys:
        tenant_id = _tenant_of_keys(tenant)
        user_id = keys.user_id(tenant_id, user) if user is not None else None
        who = f"person {user_id}" if user_id else "EVERYONE"
        if not yes:
            typer.confirm(f"Erase {who} of tenant {tenant} for good? Nothing brings it back", abort=True)
        if user_id is None:
            done = erase_tenant(keys, tenant_id, because)
        else:
            done = erase_user(keys, tenant_id, user_id, because)
    console.out.print(f"{done.people} people erased, {done.key_files} keys destroyed.")


@keys_app.command("replay")
@reports_errors
def keys_replay() -> None:
    """After a restore of the database or the key store: erase again who was erased since that backup."""
    from myproperty.sealing import replay

    with _keyring() as keys:
        done = replay(keys)
    console.out.print(f"{done.people} people erased again, {done.key_files} keys destroyed again.")


def _tenant_of_keys(wanted: str) -> uuid.UUID:
    """A suspended tenant has keys as well, and people who may ask to be erased."""
    from myproperty.engines import local
    from myproperty.tenants import find_tenant

    return find_tenant(local.dsn(get_settings()), wanted, may_be_suspended=True).id


def _keyring() -> "Keyring":
    from myproperty.engines import local
    from myproperty.sealing import Keyring

    settings = get_settings()
    return Keyring(local.dsn(settings), settings)


@app.command()
@reports_errors
def demo(
    days: Annotated[int | None, typer.Option(help="Reading dates to make.", min=5)] = None,
    scale: Annotated[Scale, typer.Option(help="medium is a million readings.")] = Scale.small,
) -> None:
    """The main job from nothing: engines, schema, an invented company, its files, the pipeline, marts."""
    from commands.demo import run_demo

    run_demo(get_settings(), scale.value, days)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@reports_errors
def dbt(context: typer.Context) -> None:
    """Run dbt on the warehouse of this environment: `dbt ls`, `dbt docs generate --static`, `dbt build ...`.

    Arguments go to dbt as they are. What was published last is its state: `--select state:modified+ --defer`
    builds what differs from it, in the schemas of MYPROPERTY_DATASET_PREFIX, and reads the rest from there.
    """
    from dagster_project.resources.dbt import command

    words, environment = command(get_settings(), context.args)
    raise typer.Exit(subprocess.call(words, env={**os.environ, **environment}))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@reports_errors
def metrics(context: typer.Context) -> None:
    """Ask MetricFlow: `list metrics`, `query --metrics solar_generation_kwh --group-by metric_time`.

    Arguments go to MetricFlow as they are.
    """
    from dagster_project.resources.dbt import PROJECT_DIR, metrics_command

    words, environment = metrics_command(get_settings(), context.args)
    raise typer.Exit(subprocess.call(words, env={**os.environ, **environment}, cwd=PROJECT_DIR))


@app.command()
@reports_errors
def dev() -> None:
    """Open the Dagster UI on the embedded engines, until Ctrl-C."""
    from dagster_project.jobs import instance
    from myproperty.engines import local
    from oltp_schema.migrate import upgrade

    settings = get_settings()
    local.up(settings)
    upgrade(local.dsn(settings))
    with instance(settings.home):
        home = settings.home.absolute() / "dagster"
    command = [sys.executable, "-m", "dagster", "dev", "-m", "dagster_project.definitions"]
    raise typer.Exit(subprocess.call(command, env={**os.environ, "DAGSTER_HOME": str(home)}))


if __name__ == "__main__":
    app()
