"""What both embedded engines share: the error, their own settings, ports, and errors of the file system.

Nothing here knows PostgreSQL or BigQuery.
"""

import contextlib
import errno
import random
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from myproperty.errors import PlatformError

# Below Linux's ephemeral range (32768 up), so an outgoing connection does not take a remembered port.
PORTS = range(20000, 32000)
PORT_RELEASE_S = 2.0


class EngineError(PlatformError):
    """An embedded engine cannot do what was asked; the message ends with what to do."""


class EngineSettings(BaseSettings):
    """Settings that only the embedded engines read, from `MYPROPERTY_*`."""

    model_config = SettingsConfigDict(env_prefix="MYPROPERTY_")

    postgres_port: int | None = Field(default=None, ge=1, le=65535, description="None means any free port")
    emulator_port: int | None = Field(default=None, ge=1, le=65535, description="None means any free port")
    emulator_venv: Path | None = Field(
        default=None, description="the emulator's environment, shared by homes"
    )
    emulator_python: Path | None = Field(default=None, description="a Python 3.13; None means look for one")


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with contextlib.closing(socket.socket()) as probe:
        # As servers do: a port whose last connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port on which nothing listens now; the caller still has to expect that it is taken meanwhile."""
    for port in random.sample(PORTS, 200):
        if port_is_free(port):
            return port
    raise EngineError(f"no free port between {PORTS.start} and {PORTS.stop}: stop some servers and try again")


def choose_port(asked: int | None, remembered: int | None, setting: str) -> tuple[int, list[str]]:
    """The port to listen on, and what to tell people about it.

    A port asked for by name is taken or refused; a remembered one gives way to another.
    """
    if asked is not None:
        if not _becomes_free(asked):
            raise EngineError(
                f"port {asked} ({setting}) is taken by another program: stop that program (`ss -ltnp` shows "
                f"it), set {setting} to another port, or unset it to let a free one be chosen"
            )
        return asked, []
    if remembered is None:
        return free_port(), []
    if _becomes_free(remembered):
        return remembered, []
    port = free_port()
    return port, [f"port {remembered} of last time is taken by another program: using {port} instead"]


def _becomes_free(port: int) -> bool:
    """As `port_is_free`; a killed server looks dead before the last of its threads lets go of the port."""
    deadline = time.monotonic() + PORT_RELEASE_S
    while not port_is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def remembered_port(file: Path) -> int | None:
    """The port kept in `file`, or None where there is none to be read."""
    text = file.read_text().strip() if file.exists() else ""
    return int(text) if text.isdigit() and 0 < int(text) < 65536 else None


def disk_full(path: Path) -> EngineError:
    """The error for a file system without room."""
    free_mb = shutil.disk_usage(path).free // 2**20
    return EngineError(
        f"the disk that holds {path} is full ({free_mb} MB free): free some space there, or set "
        "MYPROPERTY_HOME to a folder on another disk, and run `myproperty up` again; no data was removed"
    )


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the file system's refusals below `path` into an EngineError that names a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(nearest_existing(path)) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise EngineError(
                f"{error.filename or path} cannot be used by this account ({error.strerror}): run the "
                "command as the account that created it, or set MYPROPERTY_HOME to a folder of your own"
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            raise EngineError(
                f"{error.filename or path} is in the way ({error.strerror}): move it away, or set "
                "MYPROPERTY_HOME to another folder"
            ) from error
        raise


def nearest_existing(path: Path) -> Path:
    """`path`, or the closest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def tail(text: str, lines: int = 8) -> str:
    """The last lines of a log, indented, for an error message."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-lines:])
