"""Commands for meter files: inspect one, or load many into the readings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from commands import console, views
from commands.options import AsJson, Channel, FileFormat, Identifier, MappingFile, reports_errors
from myproperty.database.roles import INGEST
from myproperty.settings import get_settings

if TYPE_CHECKING:
    from data.ingest.formats.mapping import FileMapping
    from data.ingest.readings.results import IngestResult

CreateMeters = Annotated[
    str | None,
    typer.Option(metavar="PROPERTY", help="Create unknown meters in this property (name or id)."),
]


@reports_errors
def inspect(
    file: Path,
    *,
    format: FileFormat = None,
    mapping: MappingFile = None,
    suggest_mapping: Annotated[
        bool, typer.Option("--suggest-mapping", help="Print a mapping to complete, and what it reads.")
    ] = False,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="The time zone of the mapping if it leaves it open, of the suggested mapping, and of the "
            "drawing. Default of the drawing: the mapping's, else UTC."
        ),
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help="The sheet of a workbook for which to suggest a mapping.")
    ] = None,
    identifier: Identifier = None,
    channel: Channel = None,
    tenant: Annotated[
        str | None,
        typer.Option(help="Say what ingesting the file for this tenant (name or id) would change."),
    ] = None,
    create_meters: CreateMeters = None,
    json: AsJson = False,
) -> None:
    """Read a meter file, draw its content and show its errors; nothing is written."""
    from data.ingest.inspect import inspect as inspect_file

    if suggest_mapping:
        from data.ingest.proposals import NOT_USABLE, propose_mapping

        proposal = propose_mapping(file, timezone, sheet)
        typer.echo(views.describe_fitting(file) + proposal, nl=False)
        if NOT_USABLE in proposal:
            raise typer.Exit(1)
        return
    zone_of_mapping = timezone if mapping is not None else None
    declared = read_mapping(mapping, identifier=identifier, timezone=zone_of_mapping, channel=channel)
    zone = check_zone(timezone) or getattr(declared, "timezone", None) or "UTC"
    report = inspect_file(file, format, mapping=declared, profile_zone=zone)
    would = rehearse(file, tenant, create_meters, format, declared) if tenant is not None else None
    if json:
        console.print_json(report | ({"ingest_would": would.as_json()} if would else {}))
    else:
        views.show_inspection(file, report)
        if would is not None:
            views.show_ingests([would], "Ingesting it now would give")
            views.show_refusals([would] if would.refusal else [])
    if report["status"] == "refused":
        views.show_refusal(file, report["refusal"])
        raise typer.Exit(1)


@reports_errors
def ingest(
    files: Annotated[list[Path], typer.Argument(help="Meter files; each is loaded whole or not at all.")],
    *,
    tenant: Annotated[str, typer.Option(help="The tenant that the files belong to: name or id.")],
    create_meters: CreateMeters = None,
    max_new_meters: Annotated[
        int | None,
        typer.Option(min=1, help="With --create-meters: refuse a file that needs more meters. Default: 20."),
    ] = None,
    format: FileFormat = None,
    mapping: MappingFile = None,
    identifier: Identifier = None,
    timezone: Annotated[str | None, typer.Option(help="With --mapping: the time zone of the file.")] = None,
    channel: Channel = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of files loaded at once. Default: the processors, at most 4."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Load meter files into the readings; a file that is already loaded changes nothing.

    Files are loaded in parallel, with the same result as one after the other.
    """
    from data.ingest.readings.parallel import ingest_files
    from data.ingest.readings.registers import MAX_NEW_METERS
    from myproperty import engines
    from myproperty.database.blockers import watch_locks

    declared = read_mapping(mapping, identifier=identifier, timezone=timezone, channel=channel)
    dsn = engines.login_dsn(get_settings(), INGEST)
    results = []
    step = console.step(f"Reading {len(files)} files" if len(files) > 1 else f"Reading {files[0]}")
    with step, watch_locks(dsn, console.show_progress):
        for result in ingest_files(
            files,
            tenant=tenant,
            dsn=dsn,
            workers=workers,
            create_meters=create_meters,
            max_new_meters=max_new_meters or MAX_NEW_METERS,
            format=format,
            mapping=declared,
        ):
            results.append(result)
            if len(files) > 1 and console.err.is_terminal:
                console.err.print(f"{len(results)} of {len(files)}: {console.escape(result.path)}")
    if json:
        console.print_json([result.as_json() for result in results])
    else:
        views.show_ingests(results)
    refused = [result for result in results if result.status == "refused"]
    views.show_refusals(refused)
    if refused:
        raise typer.Exit(1)


def rehearse(
    file: Path, tenant: str, create_meters: str | None, format: str | None, mapping: "FileMapping | None"
) -> "IngestResult":
    """Return the result that ingesting a file for a tenant would have now."""
    from data.ingest.readings.load import read_file_for
    from myproperty import engines
    from myproperty.tenants import find_tenant

    dsn = engines.login_dsn(get_settings(), INGEST)
    found = find_tenant(dsn, tenant)
    return read_file_for(
        file, found, dsn, create_meters=create_meters, format=format, mapping=mapping
    ).rehearse()


def check_zone(name: str | None) -> str | None:
    """Return the name of an IANA zone. Raises typer.BadParameter for another text."""
    try:
        return name and ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(
            f"{name!r} is not an IANA zone: write for example Europe/London", param_hint="--timezone"
        ) from None


def read_mapping(name: str | None, **words: str | None) -> "FileMapping | None":
    """Read the mapping that an option names, if any, with what other options state beside it."""
    from data.ingest.formats.file_mappings import load_mapping

    stated = {field: word for field, word in words.items() if word is not None}
    if name is None and stated:
        raise typer.BadParameter(f"--{next(iter(stated))} completes a mapping: name one by --mapping")
    return load_mapping(name, stated) if name is not None else None
