"""Commands for backups of the embedded PostgreSQL: take one, list them, restore to an instant."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands import console
from commands.options import AsJson, reports_errors
from myproperty.settings import get_settings

if TYPE_CHECKING:
    from myproperty.engines.backup.ranges import Reach


@reports_errors
def backup(json: AsJson = False) -> None:
    """Take a verified base backup of the running embedded PostgreSQL, and remove those past the retention."""
    from myproperty.engines.backup.folder import is_same_disk
    from myproperty.engines.backups import back_up
    from myproperty.engines.environment import find_server_to_back_up

    settings = get_settings()
    server, folder = find_server_to_back_up(settings)
    with console.step("Copying and verifying the databases"):
        done = back_up(settings)
    taken, removed = done.backup, done.removed
    if is_same_disk(folder, server):
        console.err.print(f"{folder} and the data are on one disk: a lost disk loses both.")
    if json:
        console.print_json(
            {"backup": taken.name, "size_bytes": taken.size_bytes, "finished_at": taken.finished_at}
            | {"seconds": (taken.finished_at - taken.started_at).total_seconds(), "removed": removed}
            | {"copied": done.copied is not None}
        )
        return
    console.out.print(
        f"{taken.folder}: {_as_mb(taken.size_bytes)} MB, verified, "
        f"finished at {_as_second(taken.finished_at)}."
    )
    if done.copied:
        console.out.print("It is copied to MYPROPERTY_BACKUP_URL, with all WAL since the oldest one.")
    for name in removed:
        console.out.print(f"{name} was past the retention and is removed.")


@reports_errors
def backups(
    fetch: Annotated[
        bool, typer.Option("--fetch", help="First copy what the folder lacks from MYPROPERTY_BACKUP_URL.")
    ] = False,
    json: AsJson = False,
) -> None:
    """List the backups and the instants to which each restores; exit with 1 if WAL is not archived."""
    from myproperty.engines.backup.ranges import find_reaches
    from myproperty.engines.backup.state import read_archive_state
    from myproperty.engines.backups import fetch_copies
    from myproperty.engines.environment import find_server_to_back_up
    from myproperty.engines.settings import read_engine_settings

    settings = get_settings()
    server, folder = find_server_to_back_up(settings)
    if fetch:
        with console.step("Copying from the bucket"):
            fetched = fetch_copies(settings)
        console.err.print(f"{fetched} files and base backups were copied to {folder}.")
    seconds = read_engine_settings().backup_wal_seconds
    reaches = find_reaches(server, folder, None)
    state = read_archive_state(server, folder, settings.home, seconds, reaches)
    if json:
        rows = [_describe(reach) | {"size_bytes": reach.backup.size_bytes} for reach in reaches]
        console.print_json({"folder": folder, "backups": rows, **state.as_json()})
    else:
        rows = [_describe(reach) | {"mb": _as_mb(reach.backup.size_bytes)} for reach in reaches]
        console.print_table(f"Backups in {folder}", rows)
        console.print_table("WAL of this server", [state.as_json()["wal"]])
    for problem in state.problems:
        console.print_error("problem", problem)
    if state.problems:
        raise typer.Exit(1)


@reports_errors
def restore(
    to: Annotated[
        str,
        typer.Option(
            metavar="INSTANT|latest",
            help="2026-03-01T10:00:00Z (UTC, unless it has an offset), or `latest`.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--backup", help="Restore this backup, not the one that replays least WAL.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    json: AsJson = False,
) -> None:
    """Restore the embedded PostgreSQL to an instant; the old data is moved aside, never deleted."""
    from myproperty.engines.backup.restore import restore as restore_server
    from myproperty.engines.environment import find_server_to_back_up

    instant = _parse_instant(to)
    settings = get_settings()
    server, folder = find_server_to_back_up(settings)
    if server.data.exists() and not yes:
        typer.confirm(f"Replace the databases in {server.data} by their state at {to}?", abort=True)
    with console.step("Restoring"):
        done = restore_server(server, folder, settings.home, instant, name)
    if json:
        console.print_json(done.as_json())
        return
    last = _as_second(done.last_transaction_at) if done.last_transaction_at else "that of the backup"
    state = f"The state at {to}" if instant else "The latest state"
    console.out.print(
        f"{state} is restored from {done.backup} in {done.seconds:.0f} s and runs. "
        f"Its last transaction: {last}."
    )
    if done.old_data:
        console.out.print(f"The data before it: {done.old_data}. Delete it when you no longer need it.")
    console.out.print("Next: `myproperty migrate`, `myproperty keys replay`, then `myproperty backup`.")


def _parse_instant(text: str) -> datetime | None:
    if text == "latest":
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant: write 2026-03-01T10:00:00Z, or latest") from None
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)


def _describe(reach: "Reach") -> dict[str, Any]:
    from myproperty.engines.backup.ranges import describe_instant

    return {
        "backup": reach.backup.name,
        "home": reach.backup.chain.home,
        "from": describe_instant(reach.reaches_from),
        "until": describe_instant(reach.reaches_until),
        "missing": reach.missing.name if reach.missing else None,
    }


def _as_mb(size_bytes: int) -> int:
    return round(size_bytes / 2**20)


def _as_second(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
