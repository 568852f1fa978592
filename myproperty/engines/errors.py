"""Errors of the embedded engines, and the remedies for what the file system refuses."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from myproperty.errors import PlatformError


class EngineError(PlatformError):
    """An embedded engine cannot do what was asked; the message ends with a remedy."""


def disk_full(path: Path) -> EngineError:
    """Return the error for a file system without free space."""
    free_mb = shutil.disk_usage(path).free // 2**20
    return EngineError(
        f"the disk that holds {path} is full ({free_mb} MB free): free some space there, or set "
        "MYPROPERTY_HOME to a folder on another disk, and run `myproperty up` again; no data was removed"
    )


@contextlib.contextmanager
def explain_file_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` below `path` into an `EngineError` that names a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(nearest_existing(path)) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise EngineError(
                f"this account cannot use {error.filename or path} ({error.strerror}): run the command as "
                "the account that created it, or set MYPROPERTY_HOME to a folder of your own"
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            raise EngineError(
                f"{error.filename or path} is in the way ({error.strerror}): move it away, or set "
                "MYPROPERTY_HOME to another folder"
            ) from error
        raise


def nearest_existing(path: Path) -> Path:
    """Return `path`, or the closest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def last_lines(text: str, lines: int = 8) -> str:
    """Return the last lines of a log, indented for an error message."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-lines:])
