"""The key store: one small JSON file a data key, in a folder outside of the database.

`<tenant>/<person, or "tenant">/<key>.json` holds the wrapped key. To destroy a key is to put a tombstone in
its place in one step: the file then says when and why, and the wrapped bytes are nowhere.
"""

import base64
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from myproperty.sealing.errors import ErasedError, SealingError, erased

OF_TENANT = "tenant"


@dataclass(frozen=True)
class KeyName:
    """Which key: its id, its tenant, and the person whose fields it seals (None: the tenant's own)."""

    id: uuid.UUID
    tenant: uuid.UUID
    user: uuid.UUID | None

    @property
    def subject(self) -> str:
        """The words for whose key it is."""
        return subject(self.tenant, self.user)


@dataclass(frozen=True)
class WrappedKey:
    """A key encrypted by another: a master key (`master:<id>`) or the key of the tenant (its id)."""

    name: KeyName
    wrapped_by: str
    wrapped: bytes = field(repr=False)

    def content(self) -> dict[str, str]:
        """What the file holds beside the name."""
        return {"wrapped_by": self.wrapped_by, "wrapped": base64.b64encode(self.wrapped).decode()}


@dataclass(frozen=True)
class Tombstone:
    """A key that was destroyed."""

    name: KeyName
    destroyed_at: datetime
    destroyed_because: str

    def content(self) -> dict[str, str]:
        """What the file holds beside the name."""
        return {
            "destroyed_at": self.destroyed_at.isoformat(),
            "destroyed_because": self.destroyed_because,
        }

    def error(self) -> ErasedError:
        """What to raise for a use of the key."""
        return erased(self.name.subject, self.destroyed_at, self.destroyed_because)


KeyFile = WrappedKey | Tombstone


def subject(tenant: uuid.UUID, user: uuid.UUID | None) -> str:
    """The words for whom a key belongs to."""
    return f"tenant {tenant}" if user is None else f"person {user} of tenant {tenant}"


class KeyStore:
    """A folder of key files at an fsspec URL. Raises `SealingError` for what cannot be read or written."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, root = fsspec.core.url_to_fs(url)
        self._root = root.rstrip("/")

    def find(self, name: KeyName) -> KeyFile | None:
        """The file of a key, if there is one."""
        path = self._path(name)
        with _explained(path):
            try:
                content = self._files.cat_file(path)
            except FileNotFoundError:
                return None
            return _parse(path, content)

    def files(self, tenant: uuid.UUID | None = None, user: uuid.UUID | None = None) -> Iterator[KeyFile]:
        """Every key file, or those of a tenant (its people's among them), or those of one person."""
        folder = "/".join([self._root, *(str(part) for part in (tenant, user) if part is not None)])
        with _explained(folder):
            self._files.invalidate_cache()
            for path in sorted(self._files.find(folder)):
                if path.endswith(".json"):
                    yield _parse(path, self._files.cat_file(path))

    def tombstone(self, tenant: uuid.UUID, user: uuid.UUID | None) -> Tombstone | None:
        """A tombstone of the tenant, or of the person given: whether keys of theirs were ever destroyed."""
        folders = {OF_TENANT, str(user or OF_TENANT)}
        with _explained(self._root):
            self._files.invalidate_cache()
            for folder in folders:
                for path in self._files.find(f"{self._root}/{tenant}/{folder}"):
                    file = _parse(path, self._files.cat_file(path)) if path.endswith(".json") else None
                    if isinstance(file, Tombstone):
                        return file
        return None

    def write(self, file: KeyFile) -> None:
        """Put a file in its place, whole: what stood there before is replaced in the same step."""
        name, path = file.name, self._path(file.name)
        head = {"id": str(name.id), "tenant": str(name.tenant), "user": name.user and str(name.user)}
        content = json.dumps({**head, **file.content()}, indent=1).encode()
        with _explained(path):
            if isinstance(self._files, LocalFileSystem):
                _replace(Path(path), content)
                if isinstance(file, Tombstone):
                    _remove_leftovers(Path(path))
            else:
                self._files.pipe_file(path, content)  # an object appears when it is whole

    def _path(self, name: KeyName) -> str:
        return f"{self._root}/{name.tenant}/{name.user or OF_TENANT}/{name.id}.json"


def _parse(path: str, content: bytes) -> KeyFile:
    try:
        record: dict[str, Any] = json.loads(content)
        user = uuid.UUID(record["user"]) if record["user"] else None
        name = KeyName(uuid.UUID(record["id"]), uuid.UUID(record["tenant"]), user)
        if "destroyed_at" in record:
            at = datetime.fromisoformat(record["destroyed_at"])
            return Tombstone(name, at, record["destroyed_because"])
        return WrappedKey(name, record["wrapped_by"], base64.b64decode(record["wrapped"], validate=True))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SealingError(
            f"the key file {path} is damaged ({type(error).__name__}): restore it from the backup of "
            f"the key store"
        ) from error


def _remove_leftovers(path: Path) -> None:
    """A process killed while it wrote leaves a copy of the wrapped key beside its place."""
    for leftover in path.parent.glob(f".{path.name}.*"):
        leftover.unlink()


def _replace(path: Path, content: bytes) -> None:
    """Write beside and rename, both on disk before this returns: a value is never sealed under a lost key."""
    # Those of person, tenant and store that are new have to be on disk in the folder above them too.
    changed = [path.parent, *(parent.parent for parent in path.parents[:3] if not parent.exists())]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    for parent in changed:
        folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SealingError(
            f"the key store does not let us read or write {path} ({error.strerror or error}): check "
            f"MYPROPERTY_KEY_STORE_URL and who may use that folder"
        ) from error
