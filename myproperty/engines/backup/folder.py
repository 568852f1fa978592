"""The backup folder: one folder for each chain, with the WAL of one server and its base backups.

    <backup folder>/<chain>/chain.json             the home of the server
    <backup folder>/<chain>/wal/                   archived WAL, written by the server itself
    <backup folder>/<chain>/<backup>/backup.json   instants, positions and size of a base backup
    <backup folder>/<chain>/<backup>/data/         the base backup

A server begins a chain when its data is made and when it is restored, so two servers never write to one
archive, and what a restore leaves behind can still be restored. A folder without `backup.json` is no backup.
Here: names, reading and listing, and the settings by which a server archives. Not here: taking a backup
(`take`) and restoring one (`restore`).
"""

import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from myproperty.engines.backup.wal import Segment, segment_at
from myproperty.engines.errors import EngineError
from myproperty.engines.postgres import Postgres
from myproperty.files import PRIVATE, make_private_folder
from myproperty.settings import Settings

SETTING = "MYPROPERTY_BACKUP_FOLDER"
# In the data folder, so a copy of the data knows where its WAL went.
_MARK = "myproperty.chain"


@dataclass(frozen=True)
class Chain:
    """The WAL of one server from its creation or restore on, and the base backups in it."""

    folder: Path
    home: str

    @property
    def name(self) -> str:
        """The name, unique among all homes."""
        return self.folder.name

    @property
    def wal(self) -> Path:
        """The folder of archived WAL."""
        return self.folder / "wal"


@dataclass(frozen=True)
class Backup:
    """A base backup. It alone restores to `finished_at`; archived WAL reaches further."""

    chain: Chain
    name: str
    started_at: datetime
    finished_at: datetime
    timeline: int
    start_lsn: str
    end_lsn: str
    size_bytes: int

    @property
    def folder(self) -> Path:
        """The folder with the base backup and its description."""
        return self.chain.folder / self.name

    @property
    def first_segment(self) -> Segment:
        """The first segment that a restore reads; older ones serve older backups."""
        return segment_at(self.timeline, self.start_lsn)

    @property
    def last_segment(self) -> Segment:
        """The segment in which the base backup ends."""
        return segment_at(self.timeline, self.end_lsn)

    def save(self, folder: Path) -> None:
        """Write the description, which makes the folder a backup."""
        fields = asdict(self)
        del fields["chain"]
        write_json(folder / "backup.json", fields)


def find_folder(folder: Path | None, settings: Settings) -> Path:
    """Return the backup folder of the settings. Raises `EngineError` if it is unset or holds keys."""
    if folder is None:
        raise EngineError(
            f"{SETTING} is not set: set it to a folder on another disk than {settings.home}, then run "
            "`myproperty down`, `myproperty up` and `myproperty backup`"
        )
    found = folder.resolve()
    for keys in _key_folders(settings):
        if found.is_relative_to(keys) or keys.is_relative_to(found):
            raise EngineError(
                f"{found} and the keys of personal fields in {keys} are not apart: whoever holds both can "
                f"read what is sealed, and an erased person would be in the backups. Set {SETTING} to a "
                "folder elsewhere"
            )
    return found


def _key_folders(settings: Settings) -> set[Path]:
    filesystem, path = fsspec.core.url_to_fs(settings.key_store)
    own = {(settings.home / "keys").resolve()}  # where the master key is made
    return own | {Path(path).resolve()} if isinstance(filesystem, LocalFileSystem) else own


def is_same_disk(folder: Path, server: Postgres) -> bool:
    """Return whether one lost disk would take both the data and its backups."""
    return folder.exists() and server.root.exists() and folder.stat().st_dev == server.root.stat().st_dev


def archive_settings(server: Postgres, folder: Path, home: Path, seconds: int) -> Mapping[str, str]:
    """Return the settings by which a server archives its WAL, and make the folder of its chain.

    PostgreSQL's module basic_archive writes a file under another name, syncs it, renames it, and never
    replaces a file that differs.
    """
    chain = open_chain(server, folder, home)
    return {
        "archive_mode": "on",
        "archive_library": "basic_archive",
        "basic_archive.archive_directory": str(chain.wal),
        "archive_timeout": str(seconds),
    }


def find_chain(server: Postgres, folder: Path, home: Path) -> Chain | None:
    """Return the chain that the data of a server belongs to; None if it has none in this backup folder.

    Data that was moved or copied to another home has none: two servers must not write to one archive.
    Raises `EngineError` if the chain is not there any more.
    """
    mark = server.data / _MARK
    if not mark.exists():
        return None
    place = Path(mark.read_text().strip())
    if place.parent != folder:
        return None
    chain = read_chain(place)
    if chain is None or not chain.wal.is_dir():
        raise EngineError(
            f"{place} is not there: this server archived its WAL in it. Mount the disk of the backups, or "
            f"set {SETTING} to another folder to begin there anew (or unset it: no backups)"
        )
    return chain if chain.home == str(home.resolve()) else None


def open_chain(server: Postgres, folder: Path, home: Path) -> Chain:
    """Return the chain of a server; the first call makes one. Raises `EngineError`."""
    found = find_chain(server, folder, home)
    if found is not None:
        return found
    chain = Chain(folder / secrets.token_hex(3), str(home.resolve()))
    _make_own_folder(server, folder)
    for path in (chain.folder, chain.wal):
        path.mkdir(mode=PRIVATE)
        server.give_to_account(path)
    write_json(chain.folder / "chain.json", {"home": chain.home, "made_at": datetime.now(UTC)})
    mark_data(server, server.data, chain)
    return chain


def mark_data(server: Postgres, data: Path, chain: Chain | None) -> None:
    """Write into a data folder which chain it belongs to; None: to none until the next start."""
    mark = data / _MARK
    mark.unlink(missing_ok=True)
    if chain is not None:
        mark.write_text(f"{chain.folder}\n")
        server.give_to_account(mark)


def _make_own_folder(server: Postgres, folder: Path) -> None:
    if not folder.exists():
        make_private_folder(folder)
        server.give_to_account(folder)
    if stat.S_IMODE(folder.stat().st_mode) & 0o022:
        raise EngineError(f"others may write to {folder}: run `chmod 700 {folder}`; it holds whole databases")
    if not server.reaches(folder):
        raise EngineError(
            f"the account `{server.account.name if server.account else ''}`, which runs PostgreSQL when the "
            f"user is root, cannot enter {folder}: set {SETTING} to a folder below one that every account "
            "may pass through, or run the commands as an ordinary user"
        )


def read_chain(folder: Path) -> Chain | None:
    """Return the chain of a folder; None if it is none."""
    file = folder / "chain.json"
    return Chain(folder, json.loads(file.read_text())["home"]) if file.exists() else None


def read_made_at(chain: Chain) -> datetime:
    """Return when a chain began."""
    return datetime.fromisoformat(json.loads((chain.folder / "chain.json").read_text())["made_at"])


def list_chains(folder: Path) -> list[Chain]:
    """Return the chains of a backup folder."""
    if not folder.is_dir():
        return []
    return [chain for path in sorted(folder.iterdir()) if (chain := read_chain(path))]


def list_backups(folder: Path) -> list[Backup]:
    """Return all base backups below a backup folder, the oldest first. Raises `EngineError`."""
    files = [
        (chain, file) for chain in list_chains(folder) for file in chain.folder.glob("[!.]*/backup.json")
    ]
    return sorted((_read_backup(chain, file) for chain, file in files), key=lambda each: each.finished_at)


def _read_backup(chain: Chain, file: Path) -> Backup:
    try:
        fields = json.loads(file.read_text())
        for name in ("started_at", "finished_at"):
            fields[name] = datetime.fromisoformat(fields[name])
        return Backup(chain=chain, **fields)
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"{file} is damaged ({error}): move the folder {file.parent} away, and take a new backup"
        ) from error


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    """Write a document completely or not at all, and sync it to disk."""
    part = file.with_name(f".{file.name}.part")
    with part.open("w") as stream:
        json.dump(document, stream, indent=2, default=_as_text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)
    sync_folder(file.parent)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
