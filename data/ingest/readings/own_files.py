"""A local folder as an fsspec filesystem that follows no link below its root: the inbox on a disk."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from myproperty.files import list_below, open_below, remove_below, stat_below


class OwnFiles(LocalFileSystem):  # type: ignore[misc]
    """The regular files below `root`. A link, a pipe or a file with a second name is found and refused."""

    cachable = False

    def __init__(self, root: str) -> None:
        super().__init__()
        self._root = Path(root)

    def find(self, path: str, *_: Any, **__: Any) -> list[str]:
        """Return the paths of everything below the root that is no folder, links too."""
        return sorted(str(self._root / below) for below in list_below(Path(path)))

    def open(self, path: str, *_: Any, **__: Any) -> Any:
        """Open a regular file for reading. Raises UnsafeFile and OSError."""
        return self._open_below(path)

    def get_file(self, rpath: str, lpath: str, *_: Any, **__: Any) -> None:
        """Copy a regular file. Raises UnsafeFile and OSError."""
        with self._open_below(rpath) as source, Path(lpath).open("xb") as target:
            while block := source.read(1 << 20):
                target.write(block)

    def size(self, path: str) -> int:
        """Return the size of a file in bytes, of a link its own. Raises FileNotFoundError."""
        return stat_below(self._root, self._below(path)).st_size

    def ukey(self, path: str) -> str:
        """Return a text that changes with the file: its number, size and times. Raises FileNotFoundError."""
        found = stat_below(self._root, self._below(path))
        state = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)
        return hashlib.sha256(repr(state).encode()).hexdigest()

    def rm_file(self, path: str) -> None:
        """Remove a file, or a link and not what it leads to."""
        remove_below(self._root, self._below(path))

    @contextmanager
    def _open_below(self, path: str) -> Iterator[IO[bytes]]:
        with open_below(self._root, self._below(path)) as file:
            yield file

    def _below(self, path: str) -> PurePath:
        return PurePath(os.path.relpath(path, self._root))


def open_inbox(url: str) -> tuple[Any, str]:
    """Return the filesystem of an inbox and its root in it: of a bucket, or of a folder without links."""
    filesystem, root = fsspec.core.url_to_fs(url)
    return (OwnFiles(root) if isinstance(filesystem, LocalFileSystem) else filesystem), root
