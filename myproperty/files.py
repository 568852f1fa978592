"""Files of others: opened below a folder without following a link; and folders of our own.

Here too: folders that others cannot enter, and temporary folders, which the next process removes if the one
that made them was killed.

A sender who may write to its folder of the inbox may put a link there, to a secret of this account or to the
folder of another tenant, and may swap a file for a link at any time. So no path is resolved twice: each part
is opened relative to the folder before it, and a link ends the way.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO

from myproperty.errors import PlatformError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe without a writer would hold the reader for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PRIVATE = 0o700
_TEMPORARY = "myproperty-"
# A folder that is younger may not be locked yet.
_YOUNG_S = 30


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
    found = os.fstat(opened)
    if not stat.S_ISREG(found.st_mode):
        os.close(opened)
        raise UnsafeFile(f"{path} is no regular file: send the file itself")
    with os.fdopen(opened, "rb") as file:
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


def close_folder(folder: Path) -> None:
    """Make a folder that only this account may enter, or close it if it is there and belongs to the account.

    The folders above it are not changed. Raises OSError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=PRIVATE, exist_ok=True)
    found = folder.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o077:
        folder.chmod(PRIVATE)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file; nobody sees half of it under its name, even if this process is killed. Raises OSError.

    The copy grows in a hidden file, which the next copy to the same name takes over.
    """
    part = target.with_name(f".{target.name}.part")
    while True:
        with part.open("ab") as copy:
            fcntl.flock(copy, fcntl.LOCK_EX)
            if not _has_name(copy.fileno(), part):
                continue  # another process finished this one while we waited
            copy.truncate(0)
            with source.open("rb") as whole:
                shutil.copyfileobj(whole, copy)
            copy.flush()
            part.replace(target)
            return


def _has_name(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Make a folder in the system's folder of temporary files; it is gone at the end of the block.

    A lock on it says that its process lives: `remove_left_folders` removes those without.
    """
    with tempfile.TemporaryDirectory(prefix=f"{_TEMPORARY}{purpose}-") as folder:
        opened = os.open(folder, _FOLDER)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            yield Path(folder)
        finally:
            os.close(opened)


def remove_left_folders(purpose: str) -> list[Path]:
    """Remove the temporary folders of this purpose whose process was killed; return them."""
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}{purpose}-*"):
        with contextlib.suppress(OSError):  # of another account, in use, or removed by another process
            opened = os.open(folder, _FOLDER | os.O_NOFOLLOW)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(opened).st_mtime < time.time() - _YOUNG_S:
                    shutil.rmtree(folder)
                    removed.append(folder)
            finally:
                os.close(opened)
    return removed


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
