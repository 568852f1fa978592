"""The inbox: one folder a tenant; a file that was ingested moves to the archive, in the same folders.

A folder or a bucket, by fsspec URL. What a file means is in `data.ingest`; here it is found, handed over and
put away. A tenant's mappings lie in a folder `mappings` of its own; which of them claims a file is in
`mappings`.
"""

import contextlib
import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

import fsspec

from data.ingest.formats import content_hash
from data.ingest.formats.mapping import Mapping
from data.ingest.readings.load import IngestResult, Refusal, read_delivery
from data.ingest.readings.mappings import find_mapping
from data.ingest.readings.parallel import Turn, default_workers, in_turns
from myproperty.database.retry import is_retryable
from myproperty.database.session import Connections
from myproperty.settings import Settings
from myproperty.tenants import find_tenant

# The folder of a tenant's mappings.
MAPPINGS = "mappings"
# What programs call a file until they have written all of it.
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".swp", "~")


@dataclass(frozen=True)
class Waiting:
    """One file of the inbox: its tenant is the folder below the inbox's root.

    `mark` changes when the file does: size and time, or what else the store tells without reading it.
    `mappings` are the paths and marks of the mappings of its tenant.
    """

    tenant: str
    path: str
    mark: str
    mappings: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return PurePosixPath(self.path).name

    @property
    def state(self) -> str:
        """Changes when the file does or a mapping of its tenant: then it is worth another try."""
        return hashlib.sha256(repr((self.mark, self.mappings)).encode()).hexdigest()


def waiting(filesystem: Any, root: str) -> list[Waiting]:
    """The files below `root`, by tenant and name, so that the order is the same on every machine.

    Hidden files, files outside a tenant's folder and names of `UNFINISHED` files are none of ours.
    """
    filesystem.invalidate_cache()
    if not filesystem.exists(root):
        return []
    found = []
    mappings: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in filesystem.find(root):
        parts = PurePosixPath(path).relative_to(PurePosixPath(root)).parts
        if len(parts) > 1 and not _is_ignored(parts) and (mark := _mark(filesystem, path)):
            if len(parts) > 2 and parts[1] == MAPPINGS:
                mappings[parts[0]].append((path, mark))
            else:
                found.append(Waiting(parts[0], path, mark))
    found = [replace(file, mappings=tuple(sorted(mappings[file.tenant]))) for file in found]
    return sorted(found, key=lambda file: (file.tenant, file.name, file.path))


def _is_ignored(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") for part in parts) or parts[-1].lower().endswith(UNFINISHED)


def _mark(filesystem: Any, path: str) -> str | None:
    """What tells one state of a file from another; None where it has gone."""
    try:
        filesystem.invalidate_cache()
        return str(filesystem.ukey(path))
    except FileNotFoundError:
        return None


def batch_key(filesystem: Any, files: Collection[Waiting]) -> str:
    """The hash of a batch: of whom its files are, of their content, and of what their mappings say."""
    batch = hashlib.sha256()
    mappings = {(file.tenant, path) for file in files for path, _ in file.mappings}
    for tenant, path in [*((file.tenant, file.path) for file in files), *sorted(mappings)]:
        with filesystem.open(path, "rb") as source:
            content = hashlib.file_digest(source, "sha256").hexdigest()
        batch.update(f"{tenant}\0{path}\0{content}\0".encode())
    return batch.hexdigest()


def ingest(settings: Settings, dsn: str, only: Collection[str] = ()) -> Iterator[IngestResult]:
    """Ingest what waits (of it the paths in `only`, if any), several files at once, and put each away.

    Refused ones go under `refused`. A file that fails otherwise stays, with the result `failed`, and the
    others go on; one that is still being written, or was taken by another run, is left alone. Raises what a
    retry may mend, such as a database that is away, once the others are done.
    """
    filesystem, root = fsspec.core.url_to_fs(settings.inbox)
    files = [file for file in waiting(filesystem, root) if not only or file.path in only]
    # Two files of one name are put away one after the other, or the second would replace the first.
    archiving = Lock()

    def ingest_one(file: Waiting, turn: Turn) -> IngestResult | None:
        with _fetched(filesystem, file) as local:
            if local is None:
                return None
            try:
                delivery = read_delivery(
                    local,
                    find_tenant(dsn, file.tenant),
                    connections,
                    mapping=_mapping_of(filesystem, root, file, local),
                    source_uri=filesystem.unstrip_protocol(file.path),
                )
                turn.wait(delivery)
                result = delivery.load()
            except Exception as error:  # whatever it is, the other files wait
                if is_retryable(error):
                    raise
                return _failed(file, error)
            with archiving:
                target = archive_of(settings.archive, file, result.status, local)
                put_away(filesystem, file, local, target)
            return result

    with Connections(dsn) as connections:
        for result in in_turns(ingest_one, files, default_workers()):
            if result is not None:
                yield result


def _mapping_of(filesystem: Any, root: str, file: Waiting, local: Path) -> Mapping | None:
    below_tenant = PurePosixPath(file.path).relative_to(PurePosixPath(root) / file.tenant)
    return find_mapping(filesystem, (path for path, _ in file.mappings), below_tenant, local)


@contextlib.contextmanager
def _fetched(filesystem: Any, file: Waiting) -> Iterator[Path | None]:
    """A copy of a file as it was found; None if it has changed since, or has gone."""
    with tempfile.TemporaryDirectory(prefix="inbox-") as folder:
        local = Path(folder) / file.name
        try:
            filesystem.get_file(file.path, str(local))
        except FileNotFoundError:
            yield None
            return
        yield local if _mark(filesystem, file.path) == file.mark else None


def _failed(file: Waiting, error: Exception) -> IngestResult:
    reason = str(error) or type(error).__name__
    refusal = Refusal(
        None, type(error).__name__, reason, "The file stays in the inbox: mend this, then run again."
    )
    return IngestResult(path=file.path, tenant=file.tenant, tenant_id="", status="failed", refusal=refusal)


def archive_of(archive: str, file: Waiting, status: str, local: Path) -> str:
    """The URL that a file moves to: its name, in a folder by its content's hash where the name is taken."""
    folder = f"{archive.rstrip('/')}/{file.tenant}" + ("/refused" if status == "refused" else "")
    target, path = fsspec.core.url_to_fs(f"{folder}/{file.name}")
    if not target.exists(path):
        return f"{folder}/{file.name}"
    content = content_hash(local)
    with target.open(path, "rb") as kept:
        is_the_same = hashlib.file_digest(kept, "sha256").hexdigest() == content
    return f"{folder}/{file.name}" if is_the_same else f"{folder}/{content[:12]}/{file.name}"


def put_away(filesystem: Any, file: Waiting, local: Path, target_url: str) -> None:
    """Move a file out of the inbox: copied first, removed after, so that a crash between loses nothing.

    A file that was changed since it was read stays: it is another one, and waits for the next run.
    """
    target, path = fsspec.core.url_to_fs(target_url)
    target.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
    target.put_file(str(local), path)
    if _mark(filesystem, file.path) == file.mark:
        with contextlib.suppress(FileNotFoundError):  # another run put it away
            filesystem.rm_file(file.path)
