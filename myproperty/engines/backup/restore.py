"""Restore an embedded PostgreSQL from its backups to an instant.

A copy of the base backup replays its WAL in a folder beside the data, reached by nobody but this command.
Only when it has opened does it take the place of the data, which is moved aside and never deleted. So an
error, or the end of this command at any time, leaves the data as it was.
"""

import contextlib
import secrets
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from myproperty.engines.backup.folder import Chain, find_chain, mark_data, sync_folder
from myproperty.engines.backup.ranges import Reach, choose_reach, describe_instant, find_reaches
from myproperty.engines.backup.take import (
    archive_of,
    archive_up_to_now,
    connect,
    explain_full_disk,
    explain_program,
    only_user,
    verify_backup,
)
from myproperty.engines.configuration import SERVER_SETTINGS, write_secret, write_settings
from myproperty.engines.errors import EngineError, last_lines
from myproperty.engines.postgres import SUPERUSER, Postgres

NEW = "restore-"
# pg_ctl and this command wait for the replay of any amount of WAL.
REPLAY_TIMEOUT_S = 7 * 24 * 3600
PORT = "5432"  # only the name of a socket in a private folder


@dataclass(frozen=True)
class Restored:
    """What a restore did: the instant of the last transaction that is there, and where the old data went."""

    backup: str
    wanted: datetime | None
    last_transaction_at: datetime | None
    old_data: Path | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the document of `myproperty restore --json`."""
        return {
            "backup": self.backup,
            "wanted": describe_instant(self.wanted) if self.wanted else "latest",
            "last_transaction_at": (
                describe_instant(self.last_transaction_at) if self.last_transaction_at else None
            ),
            "old_data": str(self.old_data) if self.old_data else None,
            "seconds": round(self.seconds, 1),
        }


def restore(
    server: Postgres, folder: Path, home: Path, instant: datetime | None, name: str | None = None
) -> Restored:
    """Restore the state at an instant (None: the end of the WAL) and start the server on it.

    `name` chooses the backup. Raises `EngineError`; unless it says otherwise, nothing was changed.
    """
    began = time.monotonic()
    if not folder.is_dir():
        raise EngineError(f"{folder} is not there: is the disk of the backups mounted?")
    with server.only_starter():
        server.check_reachable()
    own = find_chain(server, folder, home)
    _complete_archive(server, own, instant)
    with only_user(folder), explain_full_disk(server.root):
        reach = choose_reach(find_reaches(server, folder, own), instant, name, own, home)
        verify_backup(server, reach.backup)
        with _private_folder(server) as new:
            last = _recover(server, new, reach, instant)
            server.stop()
            old = _put_in_place(server, new / "data")
    server.start()
    return Restored(reach.backup.name, instant, last, old, time.monotonic() - began)


def _complete_archive(server: Postgres, own: Chain | None, instant: datetime | None) -> None:
    """Have a running server archive all that is committed, so that any instant up to now can be restored."""
    port = server.listening_on()
    if port is None:
        return
    if instant is None:
        raise EngineError(
            f"the server in {server.root} runs, so its state is the latest. Give --to an instant, or run "
            "`myproperty down` first"
        )
    with connect(server, port) as connection:
        if own is not None and archive_of(connection) == str(own.wal):
            # What cannot be archived is read from the data folder.
            with contextlib.suppress(EngineError):
                archive_up_to_now(connection, server, own)


@contextlib.contextmanager
def _private_folder(server: Postgres) -> Iterator[Path]:
    """Make a folder beside the data; end and remove what a restore that was killed left there."""
    for left in server.root.glob(f"{NEW}*"):
        _end(server, left)
        shutil.rmtree(left)
    if server.data.exists() and server.restored.exists():
        shutil.rmtree(server.restored)
    new = Path(tempfile.mkdtemp(prefix=NEW, dir=server.root))
    try:
        server.give_to_account(new)
        yield new
    finally:
        _end(server, new)
        shutil.rmtree(new, ignore_errors=True)


def _end(server: Postgres, folder: Path) -> None:
    if (folder / "data" / "postmaster.pid").exists():
        server.run_program("pg_ctl", "stop", "-D", folder / "data", "-m", "immediate", "-w")


def _recover(server: Postgres, new: Path, reach: Reach, instant: datetime | None) -> datetime | None:
    """Replay the WAL in a copy of the base backup; return the instant of its last transaction."""
    data = new / "data"
    code, output = server.run_program("pg_combinebackup", reach.backup.folder / "data", "-o", data)
    if code:
        raise explain_program(output, f"the backup {reach.backup.name} was not copied", new)
    _add_unarchived(server, reach, data)
    with _private_server(server, new, _recovery_settings(reach, instant)) as connection:
        row = connection.execute("select pg_last_xact_replay_timestamp()").fetchone()
        last = row[0].astimezone(UTC) if row and row[0] else None
        if reach.wal and instant is None and (last or reach.reaches_from) < reach.reaches_until:
            raise EngineError(
                f"the replay ended at {last}, before {describe_instant(reach.reaches_until)}: a file in "
                f"{reach.backup.chain.wal} is damaged. Nothing was changed; give --to an earlier instant"
            )
        # The backup holds the passwords of its time, perhaps of another home.
        connection.execute(
            sql.SQL("alter role {} password {}").format(
                sql.Identifier(SUPERUSER), sql.Literal(_find_password(server))
            )
        )
    mark_data(server, data, None)
    return last


def _add_unarchived(server: Postgres, reach: Reach, data: Path) -> None:
    """Copy what a broken server wrote and did not archive: PostgreSQL looks there after the archive."""
    for file in reach.wal:
        if file.parent != reach.backup.chain.wal:
            copy = Path(shutil.copyfile(file, data / "pg_wal" / file.name))
            copy.chmod(0o600)
            server.give_to_account(copy)


def _recovery_settings(reach: Reach, instant: datetime | None) -> Mapping[str, str]:
    archive = shlex.quote(str(reach.backup.chain.wal)).replace("%", "%%")
    # PostgreSQL takes an instant without a later transaction for a missing file.
    is_end = instant is None or instant >= reach.reaches_until
    target = {} if is_end else {"recovery_target_time": str(instant)}
    return {
        "restore_command": f'cp {archive}/%f "%p"',
        "recovery_target_timeline": "current",
        "recovery_target_action": "promote",
        **target,
    }


@contextlib.contextmanager
def _private_server(server: Postgres, new: Path, recovery: Mapping[str, str]) -> Iterator[psycopg.Connection]:
    """Run the server of the folder `new` until its replay ends and the block too; nobody else reaches it."""
    data, rules, log = new / "data", new / "pg_hba.conf", new / "log"
    with tempfile.TemporaryDirectory(prefix="pg-") as socket:
        rules.write_text("local all all trust\n")
        private = {"listen_addresses": "", "unix_socket_directories": socket, "hba_file": str(rules)}
        settings = {**SERVER_SETTINGS, **private, **recovery, "port": PORT, "archive_mode": "off"}
        (data / "myproperty.conf").write_text(write_settings(settings))
        signal = data / "recovery.signal"
        signal.touch()
        for path in (Path(socket), rules, data / "myproperty.conf", signal):
            server.give_to_account(path)
        command = ("start", "-D", data, "-l", log, "-w", "-t", str(REPLAY_TIMEOUT_S))
        code, output = server.run_program("pg_ctl", *command)
        if code:
            raise _explain_replay(log, output)
        with _connect_after_replay(socket, log) as connection:
            yield connection
        code, output = server.run_program("pg_ctl", "stop", "-D", data, "-m", "fast", "-w")
        if code:
            raise _explain_replay(log, output)
        (data / "myproperty.conf").write_text("")  # written at the next start


def _connect_after_replay(socket: str, log: Path) -> psycopg.Connection:
    try:
        connection = psycopg.connect(
            host=socket, port=PORT, user=SUPERUSER, dbname="postgres", autocommit=True
        )
        while connection.execute("select pg_is_in_recovery()").fetchone() == (True,):
            time.sleep(0.05)
    except psycopg.OperationalError as error:
        raise _explain_replay(log, str(error)) from error
    return connection


def _explain_replay(log: Path, output: str) -> EngineError:
    lines = log.read_text(errors="replace") if log.exists() else output
    if "before configured recovery target was reached" in lines:
        return EngineError(
            "the replay ended before the wanted instant: a file of archived WAL is damaged. Nothing was "
            f"changed; give --to an earlier instant\n{last_lines(lines)}"
        )
    return explain_program(lines, "the WAL was not replayed, and nothing was changed", log.parent)


def _find_password(server: Postgres) -> str:
    """Return the password of the home; a new home gets one."""
    file = server.root / "password"
    if not file.exists():
        write_secret(file, secrets.token_urlsafe(24))
    return file.read_text()


def _put_in_place(server: Postgres, data: Path) -> Path | None:
    """Move the old data aside and the restored data to its place; return where the old data is.

    If this is killed between the last two steps, the next start finishes it.
    """
    with server.only_starter():
        if server.listening_on() is not None:
            raise EngineError(
                "another command started the server meanwhile: restore again; nothing was changed"
            )
        data.rename(server.restored)
        # Passwords of logins that may not have existed at the instant: `myproperty migrate` sets new ones.
        for file in server.root.glob("*.role-password"):
            file.unlink()
        old = server.root / f"data-before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        has_old = server.data.exists()
        if has_old:
            server.data.rename(old)
        server.restored.rename(server.data)
        sync_folder(server.root)
    return old if has_old else None
