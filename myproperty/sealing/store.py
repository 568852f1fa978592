"""The key store: one small JSON file for each data key, in a folder outside the database.

`<tenant>/<person, or "tenant">/<key>.json` holds the wrapped key. A key is destroyed by replacing its file
with a tombstone in one step: the file then says when and why, and the wrapped bytes are gone.
"""

import base64
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from myproperty.files import make_private_folder
from myproperty.sealing.errors import ErasedError, SealingError, erased

OF_TENANT = "tenant"


@dataclass(frozen=True)
class KeyName:
    """The id of a key, its tenant, and the person whose fields it seals (None: the tenant's own key)."""

    id: uuid.UUID
    tenant: uuid.UUID
    user: uuid.UUID | None

    @property
    def subject(self) -> str:
        """The owner of the key, in words."""
        return subject(self.tenant, self.user)


@dataclass(frozen=True)
class WrappedKey:
    """A key encrypted by another: a master key (`master:<id>`) or the key of the tenant (its id)."""

    name: KeyName
    wrapped_by: str
    wrapped: bytes = field(repr=False)

    def content(self) -> dict[str, str]:
        """Return the content of the file without the name."""
        return {"wrapped_by": self.wrapped_by, "wrapped": base64.b64encode(self.wrapped).decode()}


@dataclass(frozen=True)
class Mention:
    """A text that names a person: `schema.table.column`, the id of its row, and the path in a document.

    The path is None if the column is plain text.
    """

    field: str
    id: uuid.UUID
    path: tuple[str, ...] | None

    @property
    def table(self) -> str:
        """The table with its schema."""
        return self.field.rpartition(".")[0]

    def content(self) -> dict[str, Any]:
        """Return the mention as the database and the key store keep it."""
        return {"field": self.field, "id": str(self.id), "path": self.path and list(self.path)}


def read_mentions(content: Sequence[dict[str, Any]]) -> list[Mention]:
    """Return the mentions that `Mention.content` described."""
    return [
        Mention(
            entry["field"], uuid.UUID(entry["id"]), None if entry["path"] is None else tuple(entry["path"])
        )
        for entry in content
    ]


@dataclass(frozen=True)
class Tombstone:
    """A destroyed key."""

    name: KeyName
    destroyed_at: datetime
    destroyed_because: str
    # Texts that named the person: a restored database has them again.
    erased_texts: tuple[Mention, ...] = ()

    def content(self) -> dict[str, Any]:
        """Return the content of the file without the name."""
        return {
            "destroyed_at": self.destroyed_at.isoformat(),
            "destroyed_because": self.destroyed_because,
            "erased_texts": [mention.content() for mention in self.erased_texts],
        }

    def error(self) -> ErasedError:
        """Return the error to raise when the key is used."""
        return erased(self.name.subject, self.destroyed_at, self.destroyed_because)


KeyFile = WrappedKey | Tombstone


def subject(tenant: uuid.UUID, user: uuid.UUID | None) -> str:
    """Name the owner of a key."""
    return f"tenant {tenant}" if user is None else f"person {user} of tenant {tenant}"


class KeyStore:
    """A folder of key files at an fsspec URL. Raises `SealingError` if it cannot be read or written."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, root = fsspec.core.url_to_fs(url)
        self._root = root.rstrip("/")

    def find(self, name: KeyName) -> KeyFile | None:
        """Return the file of a key, if it exists."""
        path = self._path(name)
        with _explain_file_errors(path):
            try:
                content = self._files.cat_file(path)
            except FileNotFoundError:
                return None
            return _parse(path, content)

    def files(self, tenant: uuid.UUID | None = None, user: uuid.UUID | None = None) -> Iterator[KeyFile]:
        """Yield all key files, or those of a tenant with its people, or those of one person."""
        folder = "/".join([self._root, *(str(part) for part in (tenant, user) if part is not None)])
        with _explain_file_errors(folder):
            self._files.invalidate_cache()
            for path in sorted(self._files.find(folder)):
                if path.endswith(".json"):
                    yield _parse(path, self._files.cat_file(path))

    def tombstone(self, tenant: uuid.UUID, user: uuid.UUID | None) -> Tombstone | None:
        """Return a tombstone of the tenant or person, if any of their keys was ever destroyed."""
        folders = {OF_TENANT, str(user or OF_TENANT)}
        with _explain_file_errors(self._root):
            self._files.invalidate_cache()
            for folder in folders:
                for path in self._files.find(f"{self._root}/{tenant}/{folder}"):
                    file = _parse(path, self._files.cat_file(path)) if path.endswith(".json") else None
                    if isinstance(file, Tombstone):
                        return file
        return None

    def write(self, file: KeyFile) -> None:
        """Write a complete key file, replacing the previous one in one step."""
        name, path = file.name, self._path(file.name)
        head = {"id": str(name.id), "tenant": str(name.tenant), "user": name.user and str(name.user)}
        content = json.dumps({**head, **file.content()}, indent=1).encode()
        with _explain_file_errors(path):
            if isinstance(self._files, LocalFileSystem):
                _replace(Path(path), content)
                if isinstance(file, Tombstone):
                    _remove_leftovers(Path(path))
            else:
                self._files.pipe_file(path, content)  # an object appears only when it is complete

    def _path(self, name: KeyName) -> str:
        return f"{self._root}/{name.tenant}/{name.user or OF_TENANT}/{name.id}.json"


def _parse(path: str, content: bytes) -> KeyFile:
    try:
        record: dict[str, Any] = json.loads(content)
        user = uuid.UUID(record["user"]) if record["user"] else None
        name = KeyName(uuid.UUID(record["id"]), uuid.UUID(record["tenant"]), user)
        if "destroyed_at" in record:
            at = datetime.fromisoformat(record["destroyed_at"])
            texts = read_mentions(record.get("erased_texts", []))
            return Tombstone(name, at, record["destroyed_because"], tuple(texts))
        return WrappedKey(name, record["wrapped_by"], base64.b64decode(record["wrapped"], validate=True))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SealingError(
            f"the key file {path} is damaged ({type(error).__name__}): restore it from the backup of "
            f"the key store"
        ) from error


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary copies of a wrapped key that a killed process left."""
    for leftover in path.parent.glob(f".{path.name}.*"):
        leftover.unlink()


def _replace(path: Path, content: bytes) -> None:
    """Write a temporary file and rename it, with fsync: a value is never sealed under a lost key."""
    # New folders of person, tenant and store must be on disk in their parent folders too.
    changed = [path.parent, *(parent.parent for parent in path.parents[:3] if not parent.exists())]
    make_private_folder(path.parent)
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
def _explain_file_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SealingError(
            f"{path} in the key store cannot be read or written ({error.strerror or error}): check "
            f"MYPROPERTY_KEY_STORE_URL and the permissions of that folder"
        ) from error
