"""Take base backups of a running embedded PostgreSQL, and remove those past the retention.

PostgreSQL's own programs do the work: pg_basebackup copies, pg_verifybackup compares each file with its
checksum and reads the WAL, pg_archivecleanup removes WAL. The login `myproperty_backup` may replicate and
nothing else.
"""

import contextlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from filelock import FileLock, Timeout
from psycopg import sql

from myproperty.engines.backup.folder import (
    SETTING,
    Backup,
    Chain,
    find_chain,
    list_backups,
    list_chains,
    sync_folder,
)
from myproperty.engines.errors import EngineError, last_lines, nearest_existing
from myproperty.engines.postgres import Postgres

LOGIN = "myproperty_backup"
ARCHIVING_TIMEOUT_S = 60.0
OTHERS_TIMEOUT_S = 600.0
NEW = ".new-"


def take_backup(server: Postgres, folder: Path, home: Path, kept: int) -> tuple[Backup, list[str]]:
    """Take a verified base backup; return it and the names of the older backups that were removed.

    Until it is verified it lies in a hidden folder, which the next call removes if this one is killed.
    Raises `EngineError`.
    """
    port = running_port(server)
    with connect(server, port) as connection:
        chain = _require_archiving(connection, server, folder, home)
        with only_user(folder), explain_full_disk(folder):
            _remove_unfinished(connection, chain)
            backup = _copy_and_verify(connection, server, port, chain)
            archive_up_to_now(connection, server, chain)
            return backup, _remove_old(server, folder, chain, kept)


def _remove_unfinished(connection: psycopg.Connection, chain: Chain) -> None:
    """End the copies of a killed command, whose programs live on, and remove what they wrote."""
    connection.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_replication where usename = %s", [LOGIN]
    )
    for left in chain.folder.glob(f"{NEW}*"):
        shutil.rmtree(left, ignore_errors=True)  # pg_basebackup removes its part too


def running_port(server: Postgres) -> int:
    """Return the port of the running server. Raises `EngineError`."""
    port = server.listening_on()
    if port is None:
        raise EngineError(f"the PostgreSQL server in {server.root} is stopped: run `myproperty up`")
    return port


def connect(server: Postgres, port: int) -> psycopg.Connection:
    """Connect as the superuser; each statement is a transaction."""
    return server.connect(port, "postgres")


@contextlib.contextmanager
def only_user(folder: Path) -> Iterator[None]:
    """Let one command at a time use a backup folder, so that none removes what another reads."""
    try:
        with FileLock(folder / ".lock", timeout=OTHERS_TIMEOUT_S):
            yield
    except Timeout as error:
        raise EngineError(
            f"another command takes or restores a backup in {folder} since {OTHERS_TIMEOUT_S:.0f} s: try "
            "again when it has ended"
        ) from error


def _require_archiving(connection: psycopg.Connection, server: Postgres, folder: Path, home: Path) -> Chain:
    """Return the chain to which the server archives. Raises `EngineError` if it does not."""
    chain = find_chain(server, folder, home)
    if chain is None or archive_of(connection) != str(chain.wal):
        raise EngineError(
            f"the running server does not archive its WAL in {folder}: run `myproperty down` and "
            f"`myproperty up` with {SETTING} set, then `myproperty backup`"
        )
    return chain


def archive_of(connection: psycopg.Connection) -> str | None:
    """Return the folder in which a server archives its WAL; None if it does not."""
    row = connection.execute(
        "select nullif(current_setting('archive_mode'), 'off'), "
        "current_setting('basic_archive.archive_directory', true)"
    ).fetchone()
    return row[1] if row and row[0] else None


def archive_up_to_now(connection: psycopg.Connection, server: Postgres, chain: Chain) -> None:
    """Archive the WAL of everything that is committed; any instant before this can then be restored.

    An empty transaction marks the end: its instant says up to when the archive is complete.
    """
    connection.execute("select pg_current_xact_id()")
    row = connection.execute("select pg_walfile_name(pg_switch_wal())").fetchone()
    segment = chain.wal / str(row[0] if row else "")
    deadline = time.monotonic() + ARCHIVING_TIMEOUT_S
    while not segment.exists():
        if time.monotonic() > deadline:
            raise EngineError(
                f"the server has not archived {segment} within {ARCHIVING_TIMEOUT_S:.0f} s: the end of "
                f"{server.log} says why. WAL stays in {server.data / 'pg_wal'} until it is archived"
            )
        time.sleep(0.05)


def _copy_and_verify(connection: psycopg.Connection, server: Postgres, port: int, chain: Chain) -> Backup:
    new = Path(tempfile.mkdtemp(prefix=NEW, dir=chain.folder))
    try:
        server.give_to_account(new)
        started_at = _read_clock(connection)
        _copy(connection, server, port, new / "data")
        finished_at = _read_clock(connection)
        _verify(server, new / "data")
        backup = _describe(chain, new / "data", started_at, finished_at)
        backup.save(new)
        new.rename(backup.folder)
        sync_folder(chain.folder)
        return backup
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _read_clock(connection: psycopg.Connection) -> datetime:
    row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now.astimezone(UTC)


def _copy(connection: psycopg.Connection, server: Postgres, port: int, target: Path) -> None:
    password = server.make_login_password(LOGIN)
    if connection.execute("select from pg_roles where rolname = %s", [LOGIN]).fetchone() is None:
        connection.execute(f"create role {LOGIN} login replication")
    connection.execute(
        sql.SQL("alter role {} password {}").format(sql.Identifier(LOGIN), sql.Literal(password))
    )
    address = f"host=127.0.0.1 port={port} user={LOGIN}"
    options = ("--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password")
    code, output = server.run_program(
        "pg_basebackup", "-D", target, "-d", address, *options, password=password
    )
    if code:
        raise explain_program(output, f"the base backup of {server.data} failed", target)


def _verify(server: Postgres, data: Path) -> None:
    code, output = server.run_program("pg_verifybackup", "--quiet", data)
    if code:
        raise explain_program(output, f"the base backup in {data} is not what the server sent", data)


def verify_backup(server: Postgres, backup: Backup) -> None:
    """Compare each file of a backup with its checksum. Raises `EngineError` that names what differs."""
    code, output = server.run_program("pg_verifybackup", "--quiet", backup.folder / "data")
    if code:
        what = f"the backup {backup.name} is damaged, and nothing was changed: choose another by --backup"
        raise explain_program(output, what, backup.folder)


def explain_program(output: str, what: str, place: Path) -> EngineError:
    """Return the error for the output of a program that failed."""
    if re.search("No space left on device|Disk quota exceeded", output):
        return _full_disk(nearest_existing(place))
    return EngineError(f"{what}\n{last_lines(output)}")


def _full_disk(place: Path) -> EngineError:
    free_mb = shutil.disk_usage(place).free // 2**20
    return EngineError(
        f"the disk that holds {place} is full ({free_mb} MB free): free some space there and try again. What "
        "was written is removed; data and earlier backups are as they were"
    )


@contextlib.contextmanager
def explain_full_disk(place: Path) -> Iterator[None]:
    """Turn an `OSError` of a full disk into an `EngineError` with a remedy."""
    try:
        yield
    except OSError as error:
        if "No space left" in str(error) or "quota" in str(error):
            raise _full_disk(place) from error
        raise EngineError(f"{error.filename or place} cannot be used: {error.strerror}") from error


def _describe(chain: Chain, data: Path, started_at: datetime, finished_at: datetime) -> Backup:
    """Describe a base backup by its manifest, the list that pg_basebackup wrote."""
    manifest = json.loads((data / "backup_manifest").read_text())
    wal = manifest["WAL-Ranges"][-1]
    return Backup(
        chain=chain,
        name=f"{chain.name}-{finished_at:%Y%m%dT%H%M%S}.{finished_at.microsecond // 1000:03d}Z",
        started_at=started_at,
        finished_at=finished_at,
        timeline=wal["Timeline"],
        start_lsn=wal["Start-LSN"],
        end_lsn=wal["End-LSN"],
        size_bytes=sum(path.stat().st_size for path in data.rglob("*") if path.is_file()),
    )


def _remove_old(server: Postgres, folder: Path, current: Chain, kept: int) -> list[str]:
    """Remove the oldest backups of a home, and WAL that no kept backup needs; a chain without any is removed.

    Backups of other homes in the same folder stay.
    """
    own = [backup for backup in list_backups(folder) if backup.chain.home == current.home]
    old, rest = own[:-kept], own[-kept:]
    for backup in old:
        gone = backup.folder.with_name(f"{NEW}removed-{backup.name}")
        backup.folder.rename(gone)
        shutil.rmtree(gone)
    for chain in (chain for chain in list_chains(folder) if chain.home == current.home):
        kept_here = [backup.first_segment for backup in rest if backup.chain == chain]
        if kept_here:
            _remove_wal(server, chain, min(kept_here).name)
        elif chain != current:
            shutil.rmtree(chain.folder)
    return [backup.name for backup in old]


def _remove_wal(server: Postgres, chain: Chain, oldest: str) -> None:
    code, output = server.run_program("pg_archivecleanup", "--clean-backup-history", chain.wal, oldest)
    if code:
        raise explain_program(output, f"WAL before {oldest} was not removed from {chain.wal}", chain.wal)
