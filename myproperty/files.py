"""Files of others: opened below a folder without following a link; and folders that others cannot enter.

A sender who may write to its folder of the inbox may put a link there, to a secret of this account or to the
folder of another tenant, and may swap a file for a link at any time. So no path is resolved twice: each part
is opened relative to the folder before it, and a link ends the way.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO

from myproperty.errors import PlatformError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe without a writer would hold the reader for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PRIVATE = 0o700


class UnsafeFile(PlatformError):
    """A path that is not a regular file of its own below the folder; the message says what it is."""


@contextmanager
def open_below(root: Path, path: PurePath) -> Iterator[IO[bytes]]:
    """Open the regular file `path` below `root` for reading.

    Raises UnsafeFile for a link, a pipe, a device or a file with a second name, and OSError.
    """
    with _open_parent(root, path) as parent:
        try:
            opened = os.open(path.name, _FILE, dir_fd=parent)
        except OSError as error:
            raise _explain(path, error) from error
    with os.fdopen(opened, "rb") as file:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeFile(f"{path} is no regular file: send the file itself")
        if found.st_nlink > 1:
            raise UnsafeFile(f"{path} has a second name (a hard link): send a copy of the file")
        yield file


def remove_below(root: Path, path: PurePath) -> None:
    """Remove the file or link `path` below `root`, never what a link leads to. Raises OSError."""
    with _open_parent(root, path) as parent:
        os.unlink(path.name, dir_fd=parent)


def stat_below(root: Path, path: PurePath) -> os.stat_result:
    """Return the state of `path` below `root`, of a link its own. Raises UnsafeFile and OSError."""
    with _open_parent(root, path) as parent:
        return os.stat(path.name, dir_fd=parent, follow_symlinks=False)


def list_below(root: Path) -> Iterator[PurePath]:
    """Yield the paths below `root` of everything that is no folder, links too; no link is followed."""
    for folder, folders, names in os.walk(root, followlinks=False):
        below = PurePath(folder).relative_to(root)
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield from (below / name for name in (*names, *links))


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, that only this account may enter; an existing one stays as it is."""
    if not folder.is_dir():
        make_private_folder(folder.parent)
        folder.mkdir(mode=PRIVATE, exist_ok=True)


@contextmanager
def _open_parent(root: Path, path: PurePath) -> Iterator[int]:
    """Open the folder of `path` below `root`, part by part. The root itself may be reached through links."""
    if path.is_absolute() or not path.name or ".." in path.parts:
        raise UnsafeFile(f"{path} does not lie below {root}")
    parent = os.open(root, _FOLDER)
    try:
        for part in path.parts[:-1]:
            try:
                following = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
            except OSError as error:
                raise _explain(path, error) from error
            os.close(parent)
            parent = following
        yield parent
    finally:
        os.close(parent)


def _explain(path: PurePath, error: OSError) -> Exception:
    """Return UnsafeFile where a link or another kind of file ended the way, else the error."""
    if isinstance(error, FileNotFoundError | PermissionError):
        return error
    return UnsafeFile(f"{path} is a link or no regular file ({error.strerror}): send the file itself")
