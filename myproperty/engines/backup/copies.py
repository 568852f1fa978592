"""Copies of the backup folder in a bucket, by an fsspec URL: they outlive the disk of the backup folder.

    <url>/<chain>/chain.json
    <url>/<chain>/wal/<segment>
    <url>/<chain>/<backup>/data.tar       as one file: a bucket keeps no empty folders
    <url>/<chain>/<backup>/backup.json    written last: without it a backup is none

The archive module of the server writes to a folder only, so WAL is copied from there. Here: copying there and
back, and the retention there. Not here: base backups (`take`).
"""

import contextlib
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from myproperty.engines.backup.folder import Chain, list_backups, list_chains, write_json
from myproperty.engines.backup.wal import is_archived_file, parse_segment, segment_at
from myproperty.engines.errors import EngineError
from myproperty.engines.postgres import Postgres
from myproperty.files import PRIVATE, make_private_folder
from myproperty.settings import Settings

URL_SETTING = "MYPROPERTY_BACKUP_URL"
_RECORD = "copied.json"


@dataclass(frozen=True)
class Copied:
    """What the bucket holds of a chain: when its newest base backup ended and its newest WAL was written."""

    chain: str
    backup_at: datetime | None
    wal_at: datetime | None


class Copies:
    """A bucket or folder of copies. Every call raises `EngineError` if it cannot be read or written."""

    def __init__(self, url: str, folder: Path, settings: Settings) -> None:
        """`folder` is the backup folder. Raises `EngineError` if the URL leads to keys or into the folder."""
        self.url, self._folder = url, folder
        self._files, root = _open(url)
        self._root = root.rstrip("/")
        self._refuse_keys(settings)

    def push(self, home: Path, kept: int) -> Copied:
        """Copy what the bucket lacks of a home's chains; then remove all but `kept` of its base backups."""
        chains = [chain for chain in list_chains(self._folder) if chain.home == str(home.resolve())]
        for chain in chains:
            self.push_wal(chain)
            self._push_backups(chain)
        self._remove_old(home, kept)
        return self._record(chains[-1]) if chains else Copied("", None, None)

    def push_wal(self, chain: Chain) -> Copied:
        """Copy archived WAL that the bucket lacks."""
        there = self._sizes(chain.name)
        self._put(chain.folder / "chain.json", f"{chain.name}/chain.json", there)
        for path in sorted(chain.wal.iterdir()):
            if is_archived_file(path.name):
                self._put(path, f"{chain.name}/wal/{path.name}", there)
        return self._record(chain)

    def fetch(self, server: Postgres) -> int:
        """Copy what the backup folder lacks from the bucket; return the number of files and base backups."""
        fetched = 0
        there = self._sizes("")
        if not self._folder.exists():
            make_private_folder(self._folder)
            server.give_to_account(self._folder)
        for name in sorted(there, key=lambda name: (name.endswith("backup.json"), name)):
            target = self._folder / _check_name(name)
            if target.name == "data.tar":
                target = target.with_name("data")
            if target.exists():
                continue
            for folder in reversed([*target.relative_to(self._folder).parents][:-1]):
                (self._folder / folder).mkdir(mode=PRIVATE, exist_ok=True)
                server.give_to_account(self._folder / folder)
            part = target.with_name(f".{target.name}.part")
            with self._explained(), self._files.open(f"{self._root}/{name}", "rb") as source:
                _unpack(source, part) if target.name == "data" else _write(source, part)
            for path in (part, *part.rglob("*")):
                server.give_to_account(path)
            part.rename(target)
            fetched += 1
        return fetched

    def _push_backups(self, chain: Chain) -> None:
        there = self._sizes(chain.name)
        for backup in (each for each in list_backups(self._folder) if each.chain == chain):
            if f"{chain.name}/{backup.name}/backup.json" in there:
                continue
            with (
                self._explained(),
                self._files.open(self._made(f"{chain.name}/{backup.name}/data.tar"), "wb") as target,
                tarfile.open(fileobj=target, mode="w|") as archive,
            ):
                archive.add(backup.folder / "data", arcname=".")
            self._put(backup.folder / "backup.json", f"{chain.name}/{backup.name}/backup.json", there)

    def _remove_old(self, home: Path, kept: int) -> None:
        """Apply the retention to the bucket itself: what the folder lost by accident stays there."""
        there = self._sizes("")
        chains = {
            name.split("/")[0]
            for name in there
            if name.endswith("/chain.json") and self._read(name)["home"] == str(home.resolve())
        }
        ends = sorted(
            (self._read(name)["finished_at"], name)
            for name in there
            if name.endswith("/backup.json") and name.split("/")[0] in chains
        )
        rest = [name for _, name in ends[-kept:]]
        for _, name in ends[:-kept]:
            # The description first: what is left after a death is no backup.
            self._remove(name, name.replace("backup.json", "data.tar"))
        for chain in {name.split("/")[0] for _, name in ends[:-kept]}:
            starts = [self._read(name) for name in rest if name.startswith(f"{chain}/")]
            oldest = min((segment_at(each["timeline"], each["start_lsn"]) for each in starts), default=None)
            for name in (name for name in there if name.startswith(f"{chain}/")):
                segment = parse_segment(PurePosixPath(name).name[:24])  # of a base backup's note too
                if oldest is None or (segment and segment < oldest):
                    self._remove(name)

    def _record(self, chain: Chain) -> Copied:
        there = self._sizes(chain.name)
        ends = [
            datetime.fromisoformat(self._read(name)["finished_at"])
            for name in there
            if name.endswith("/backup.json")
        ]
        written = [
            path.stat().st_mtime for path in chain.wal.iterdir() if f"{chain.name}/wal/{path.name}" in there
        ]
        newest = datetime.fromtimestamp(max(written), UTC) if written else None
        done = Copied(chain.name, max(ends, default=None), newest)
        write_json(
            self._folder / _RECORD,
            {"chain": chain.name, "backup_at": done.backup_at, "wal_at": done.wal_at},
        )
        return done

    def _refuse_keys(self, settings: Settings) -> None:
        keys, path = _open(settings.key_store)
        ours, theirs = PurePosixPath(self._root), PurePosixPath(path)
        if isinstance(self._files, LocalFileSystem):
            ours = PurePosixPath(Path(self._root).resolve())
            if ours.is_relative_to(self._folder) or self._folder.is_relative_to(ours):
                raise EngineError(f"{URL_SETTING} leads into the backup folder: set it to another place")
            own = PurePosixPath((settings.home / "keys").resolve())  # where the master key is made
            places = [own, PurePosixPath(Path(path).resolve())] if type(keys) is type(self._files) else [own]
            is_apart = not any(ours.is_relative_to(each) or each.is_relative_to(ours) for each in places)
        else:
            # Who administers a bucket reads all of it, whatever the names in it.
            is_apart = type(keys) is not type(self._files) or _bucket_of(ours) != _bucket_of(theirs)
        if not is_apart:
            raise EngineError(
                f"{self.url} and the keys of personal fields in {settings.key_store} are not apart: whoever "
                "holds both can read what is sealed, and an erased person would be in the backups. Set "
                f"{URL_SETTING} to another bucket, which other people administer"
            )

    def _sizes(self, below: str) -> dict[str, int]:
        """Return name and size of each file, by its place below the URL."""
        with self._explained():
            self._files.invalidate_cache()
            try:
                found = self._files.find(f"{self._root}/{below}".rstrip("/"), detail=True)
            except FileNotFoundError:
                return {}
        return {path[len(self._root) + 1 :]: int(each["size"]) for path, each in found.items()}

    def _put(self, source: Path, name: str, there: dict[str, int]) -> None:
        """Copy a file that is not there, or not whole; leave out one that the retention removes meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            if there.get(name) != source.stat().st_size:
                with (
                    source.open("rb") as opened,
                    self._explained(),
                    self._files.open(self._made(name), "wb") as target,
                ):
                    shutil.copyfileobj(opened, target)

    def _made(self, name: str) -> str:
        path = f"{self._root}/{name}"
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        return path

    def _read(self, name: str) -> Any:
        with self._explained():
            return json.loads(self._files.cat_file(f"{self._root}/{name}"))

    def _remove(self, *names: str) -> None:
        # A bucket may forbid it, so that nobody deletes backups: it then has a retention of its own.
        with contextlib.suppress(OSError):
            for name in names:
                self._files.rm_file(f"{self._root}/{name}")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise EngineError(
                f"the copies of backups in {self.url} cannot be used ({error}): correct {URL_SETTING}, its "
                "rights, or the network. The backup folder has everything; the next backup copies again"
            ) from error


def read_copied(folder: Path, chain: Chain) -> Copied | None:
    """Return what was copied of a chain by the last call; None if nothing was."""
    file = folder / _RECORD
    if not file.exists():
        return None
    found = json.loads(file.read_text())
    if found["chain"] != chain.name:
        return None
    times = (datetime.fromisoformat(found[name]) if found[name] else None for name in ("backup_at", "wal_at"))
    return Copied(chain.name, *times)


def _open(url: str) -> tuple[Any, str]:
    try:
        files, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise EngineError(f"{url} cannot be opened: {error}. Install the package that it names") from error
    return files, path


def _bucket_of(path: PurePosixPath) -> str:
    return next((part for part in path.parts if part != "/"), "")


def _check_name(name: str) -> PurePosixPath:
    """Refuse a name that leads out of the backup folder: a bucket may hold anything."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise EngineError(f"{name!r} in the bucket is no name of a copy: remove it")
    return path


def _write(source: Any, part: Path) -> None:
    with part.open("wb") as target:
        shutil.copyfileobj(source, target)


def _unpack(source: Any, part: Path) -> None:
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=PRIVATE)
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for member in archive:
            if not (member.isfile() or member.isdir()):
                raise EngineError(f"{member.name!r} in a copied base backup is no file: take another backup")
            archive.extract(member, part, filter="tar")
