"""The inbox: one folder for each tenant; an ingested file moves to the archive, which has the same folders.

Inbox and archive are folders or buckets, by fsspec URL. Here: finding files, ingesting them and archiving
them. Not here: reading a file (`load`), or which mapping of the tenant's folder `mappings` claims a file
(`mappings`).
"""

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from data.ingest.errors import Refusal
from data.ingest.formats.container import MAX_UNPACKED_BYTES, hash_file, refuse
from data.ingest.formats.mapping import FileMapping
from data.ingest.readings.load import read_file_for
from data.ingest.readings.mappings import find_mapping
from data.ingest.readings.own_files import open_inbox
from data.ingest.readings.parallel import Turn, count_workers, run_in_turns
from data.ingest.readings.results import IngestResult
from data.ingest.rules.table import RULES
from myproperty.database.retry import is_retryable
from myproperty.database.session import Connections
from myproperty.files import UnsafeFile, copy_whole, make_private_folder, temporary_folder
from myproperty.settings import Settings
from myproperty.tenants import find_tenant

# So many files of a tenant are looked at in one go.
MOST_WAITING = 1000
# The folder of a tenant's mappings.
MAPPINGS = "mappings"
# The temporary folder of a file that is being ingested.
INBOX_COPY = "inbox"
# Names that programs give to a file until they have written all of it.
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".swp", "~")


@dataclass(frozen=True)
class WaitingFile:
    """One file of the inbox; its tenant is the folder below the root of the inbox.

    `mark` changes when the file changes: its size and time, or what else the store reports without reading
    the file. `mappings` are the paths and marks of the mappings of its tenant.
    """

    tenant: str
    path: str
    mark: str
    mappings: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The name of the file without folders."""
        return PurePosixPath(self.path).name

    @property
    def state(self) -> str:
        """A hash that changes when the file or a mapping of its tenant changes: then it is tried again."""
        return hashlib.sha256(repr((self.mark, self.mappings)).encode()).hexdigest()


def list_waiting(filesystem: Any, root: str) -> list[WaitingFile]:
    """Return the files below `root`, in turn one of each tenant, by name: the same order on every machine.

    So a tenant with many files does not delay the others; more than MOST_WAITING of one wait for the next
    call. Hidden files, `UNFINISHED` files and files outside a tenant's folder are ignored.
    """
    filesystem.invalidate_cache()
    if not filesystem.exists(root):
        return []
    paths: defaultdict[str, list[str]] = defaultdict(list)
    mappings: defaultdict[str, list[str]] = defaultdict(list)
    for path in filesystem.find(root):
        parts = PurePosixPath(path).relative_to(PurePosixPath(root)).parts
        if len(parts) > 1 and not _is_ignored(parts):
            is_mapping = len(parts) > 2 and parts[1] == MAPPINGS
            (mappings if is_mapping else paths)[parts[0]].append(path)
    waiting = []
    for tenant in sorted(paths):
        marked = tuple(_mark_each(filesystem, sorted(mappings[tenant])))
        in_order = sorted(paths[tenant], key=lambda path: (PurePosixPath(path).name, path))
        # A mark may be a request to the store: files that wait for the next call need none.
        first = islice(_mark_each(filesystem, in_order), MOST_WAITING)
        waiting.append([WaitingFile(tenant, path, mark, marked) for path, mark in first])
    return [file for turn in zip_longest(*waiting) for file in turn if file is not None]


def _mark_each(filesystem: Any, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each path that is there, with its mark."""
    for path in paths:
        if mark := _mark(filesystem, path):
            yield path, mark


def _is_ignored(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") for part in parts) or parts[-1].lower().endswith(UNFINISHED)


def _mark(filesystem: Any, path: str) -> str | None:
    """Return a text that changes when the file changes, or None if the file is gone."""
    try:
        filesystem.invalidate_cache()
        return str(filesystem.ukey(path))
    except FileNotFoundError:
        return None


def files_key(filesystem: Any, files: Collection[WaitingFile]) -> str:
    """Return a hash of the files: their tenants, paths and content, and the content of their mappings."""
    key = hashlib.sha256()
    mappings = {(file.tenant, path) for file in files for path, _ in file.mappings}
    for tenant, path in [*((file.tenant, file.path) for file in files), *sorted(mappings)]:
        content = _hash_content(filesystem, path)
        key.update(f"{tenant}\0{path}\0{content}\0".encode())
    return key.hexdigest()


def _hash_content(filesystem: Any, path: str) -> str:
    """Return the hash of a file; a word for one that nobody can hash, which its run reports."""
    try:
        with filesystem.open(path, "rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except FileNotFoundError:
        return "gone"
    except UnsafeFile:
        return "unsafe"
    except PermissionError:
        return "unreadable"


def ingest_waiting(settings: Settings, dsn: str, only: Collection[str] = ()) -> Iterator[IngestResult]:
    """Ingest the waiting files (only the paths in `only`, if given), several at once, and archive each.

    Refused files go to the folder `refused`. A file that fails stays in the inbox with the result `failed`,
    and the others continue. A file that is still being written, or that another run took, is left alone.
    Raises errors that a retry may solve, such as `DatabaseUnavailable`, once the other files are done.
    """
    filesystem, root = open_inbox(settings.inbox)
    files = [file for file in list_waiting(filesystem, root) if not only or file.path in only]
    # Two files of one name are archived one after the other, or the second would replace the first.
    archiving = Lock()

    def ingest_one(file: WaitingFile, turn: Turn) -> IngestResult | None:
        with _fetch(filesystem, file) as local:
            if local is None:
                return None
            read = read_file_for(
                local,
                find_tenant(dsn, file.tenant),
                connections,
                mapping=_find_mapping(filesystem, root, file, local),
                source_uri=filesystem.unstrip_protocol(file.path),
            )
            turn.wait(read)
            result = read.load()
            with archiving:
                target = choose_archive_url(settings.archive, file, result.status, local)
                move_to_archive(filesystem, file, local, target)
            return _name_places(result, file, target)

    def try_one(file: WaitingFile, turn: Turn) -> IngestResult | None:
        try:
            return ingest_one(file, turn)
        except Exception as error:  # any error: the other files must not stop
            if is_retryable(error):
                raise
            return _report_failure(file, error)

    with Connections(dsn) as connections:
        for result in run_in_turns(try_one, files, count_workers()):
            if result is not None:
                yield result


def _name_places(result: IngestResult, file: WaitingFile, target: str) -> IngestResult:
    """Name the file as its sender knows it, not by its copy; of a refused one say where it is now."""
    refusal = result.refusal
    if refusal is not None:
        refusal = replace(refusal, remedy=f"{refusal.remedy} The file is now {target}.")
    return replace(result, path=file.path, refusal=refusal)


def _find_mapping(filesystem: Any, root: str, file: WaitingFile, local: Path) -> FileMapping | None:
    below_tenant = PurePosixPath(file.path).relative_to(PurePosixPath(root) / file.tenant)
    return find_mapping(filesystem, (path for path, _ in file.mappings), below_tenant, local)


@contextlib.contextmanager
def _fetch(filesystem: Any, file: WaitingFile) -> Iterator[Path | None]:
    """Copy the file as it was found; yields None if it has changed since, or is gone."""
    with temporary_folder(INBOX_COPY) as folder:
        local = folder / file.name
        try:
            _check_size(filesystem, file)
            filesystem.get_file(file.path, str(local))
        except FileNotFoundError:
            yield None
            return
        yield local if _mark(filesystem, file.path) == file.mark else None


def _check_size(filesystem: Any, file: WaitingFile) -> None:
    """Refuse a file before it is copied. Raises `RefusedFile`."""
    size = filesystem.size(file.path) or 0
    if size > MAX_UNPACKED_BYTES:
        reason = f"the file has {size} bytes, more than {MAX_UNPACKED_BYTES >> 30} GiB"
        raise refuse(Path(file.path), None, "FILE-TOO-LARGE", reason)


def _report_failure(file: WaitingFile, error: Exception) -> IngestResult:
    reason = str(error) or type(error).__name__
    if isinstance(error, UnsafeFile):
        rule = RULES["FILE-UNSAFE"]
        refusal = Refusal(None, rule.id, reason, f"{rule.remedy} The link stays in the inbox: remove it.")
    elif isinstance(error, PermissionError):
        remedy = "The file stays in the inbox: let the platform's account read it and write to its folder."
        refusal = Refusal(None, type(error).__name__, reason, remedy)
    else:
        remedy = "The file stays in the inbox: correct this, then run again."
        refusal = Refusal(None, type(error).__name__, reason, remedy)
    return IngestResult(path=file.path, tenant=file.tenant, tenant_id="", status="failed", refusal=refusal)


def choose_archive_url(archive: str, file: WaitingFile, status: str, local: Path) -> str:
    """Return the URL to move a file to. A name that is in use gets a folder named by the content hash."""
    folder = f"{archive.rstrip('/')}/{file.tenant}" + ("/refused" if status == "refused" else "")
    target, path = fsspec.core.url_to_fs(f"{folder}/{file.name}")
    if not target.exists(path):
        return f"{folder}/{file.name}"
    content = hash_file(local)
    with target.open(path, "rb") as kept:
        is_the_same = hashlib.file_digest(kept, "sha256").hexdigest() == content
    return f"{folder}/{file.name}" if is_the_same else f"{folder}/{content[:12]}/{file.name}"


def move_to_archive(filesystem: Any, file: WaitingFile, local: Path, target_url: str) -> None:
    """Copy a file to the archive, then remove it from the inbox: a crash in between loses nothing.

    A file that changed since it was read stays in the inbox and waits for the next run.
    """
    target, path = fsspec.core.url_to_fs(target_url)
    if isinstance(target, LocalFileSystem):
        make_private_folder(Path(path).parent)
        copy_whole(local, Path(path))
    else:
        target.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
        target.put_file(str(local), path)
    if _mark(filesystem, file.path) == file.mark:
        with contextlib.suppress(FileNotFoundError):  # another run archived it
            filesystem.rm_file(file.path)
