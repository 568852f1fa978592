"""Backups of an environment: take and copy one, copy WAL, and how old the newest are.

Here: what the command, Dagster's job and the metrics share. How each step works is in
`myproperty.engines.backup`.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from myproperty.engines.backup.copies import URL_SETTING, Copied, Copies, read_copied
from myproperty.engines.backup.folder import Backup, find_chain, list_backups, read_made_at
from myproperty.engines.backup.take import only_user, take_backup
from myproperty.engines.environment import find_server_to_back_up
from myproperty.engines.errors import EngineError
from myproperty.engines.settings import read_engine_settings
from myproperty.settings import Settings


@dataclass(frozen=True)
class BackedUp:
    """A new base backup, the names of those that were removed, and what the bucket holds now."""

    backup: Backup
    removed: list[str]
    copied: Copied | None


@dataclass(frozen=True)
class BackupTimes:
    """When the present chain began, its newest base backup, and what is copied of it, if it is to be."""

    began_at: datetime
    backup_at: datetime | None
    has_copies: bool
    copied: Copied | None


def back_up(settings: Settings) -> BackedUp:
    """Take a verified base backup and copy it to MYPROPERTY_BACKUP_URL, if set. Raises `EngineError`."""
    server, folder = find_server_to_back_up(settings)
    copies, kept = _find_copies(settings, folder), read_engine_settings().backups_kept
    taken, removed = take_backup(server, folder, settings.home, kept)
    copied = None
    if copies:
        with only_user(folder):
            copied = copies.push(settings.home, kept)
    return BackedUp(taken, removed, copied)


def copy_wal(settings: Settings) -> str:
    """Copy archived WAL that MYPROPERTY_BACKUP_URL lacks; say what was done. Raises `EngineError`."""
    if not backups_are_on(settings):
        return "there are no backups here: MYPROPERTY_BACKUP_FOLDER is not set"
    server, folder = find_server_to_back_up(settings)
    copies, chain = _find_copies(settings, folder), find_chain(server, folder, settings.home)
    if copies is None:
        return f"there are no copies: {URL_SETTING} is not set"
    if chain is None:
        return "the server archives nothing yet"
    return f"WAL is copied up to {copies.push_wal(chain).wal_at}"


def fetch_copies(settings: Settings) -> int:
    """Copy what the backup folder lacks from the bucket; return the number of files. Raises `EngineError`."""
    server, folder = find_server_to_back_up(settings)
    copies = _find_copies(settings, folder)
    if copies is None:
        raise EngineError(f"{URL_SETTING} is not set: set it to the bucket of the copies")
    return copies.fetch(server)


def backups_are_on(settings: Settings) -> bool:
    """Return whether this environment has an embedded server and a backup folder."""
    is_here = settings.oltp_dsn is None
    return is_here and read_engine_settings().backup_folder is not None


def read_backup_times(settings: Settings) -> BackupTimes | None:
    """Return how new the backups are; None if there are none to be made. Raises `EngineError`."""
    if not backups_are_on(settings):
        return None
    server, folder = find_server_to_back_up(settings)
    chain = find_chain(server, folder, settings.home)
    if chain is None:
        return None
    ends = [backup.finished_at for backup in list_backups(folder) if backup.chain == chain]
    has_copies = read_engine_settings().backup_url is not None
    return BackupTimes(read_made_at(chain), max(ends, default=None), has_copies, read_copied(folder, chain))


def _find_copies(settings: Settings, folder: Path) -> Copies | None:
    url = read_engine_settings().backup_url
    return Copies(url, folder, settings) if url else None
