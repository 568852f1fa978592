"""The inbox: one folder a tenant; a file that was ingested moves to the archive, in the same folders.

What a file means is in `data.ingest`; here it is found, handed over and put away.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import fsspec

from dagster_project.resources.platform import Platform

if TYPE_CHECKING:
    from data.ingest.load import IngestResult


@dataclass(frozen=True)
class Waiting:
    """One file of the inbox: its tenant is the folder below the inbox's root."""

    tenant: str
    path: str

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return PurePosixPath(self.path).name


def waiting(filesystem: Any, root: str) -> list[Waiting]:
    """The files below `root`, by tenant and name, so that the order is the same on every machine.

    Hidden files and files outside a tenant's folder are none of ours.
    """
    if not filesystem.exists(root):
        return []
    found = []
    for path in filesystem.find(root):
        parts = PurePosixPath(path).relative_to(PurePosixPath(root)).parts
        if len(parts) > 1 and not any(part.startswith(".") for part in parts):
            found.append(Waiting(tenant=parts[0], path=path))
    return sorted(found, key=lambda file: (file.tenant, file.name, file.path))


def ingest(platform: Platform) -> Iterator["IngestResult"]:
    """Ingest what waits, one file after the other, and put each away, refused ones under `refused`."""
    from data.ingest.load import ingest_file

    filesystem, root = fsspec.core.url_to_fs(platform.settings.inbox)
    for file in waiting(filesystem, root):
        with tempfile.TemporaryDirectory(prefix="inbox-") as folder:
            local = Path(folder) / file.name
            filesystem.get_file(file.path, str(local))
            result = ingest_file(
                local,
                tenant=file.tenant,
                dsn=platform.oltp_dsn,
                source_uri=filesystem.unstrip_protocol(file.path),
            )
        put_away(filesystem, file, archive_of(platform.settings.archive, file, result.status))
        yield result


def archive_of(archive: str, file: Waiting, status: str) -> str:
    """The URL that a file moves to."""
    folder = f"{file.tenant}/refused" if status == "refused" else file.tenant
    return f"{archive.rstrip('/')}/{folder}/{file.name}"


def put_away(filesystem: Any, file: Waiting, target_url: str) -> None:
    """Move a file out of the inbox: copied first, removed after, so that a crash between loses nothing."""
    target, path = fsspec.core.url_to_fs(target_url)
    target.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
    with filesystem.open(file.path, "rb") as source, target.open(path, "wb") as copy:
        while block := source.read(1 << 20):
            copy.write(block)
    filesystem.rm_file(file.path)
