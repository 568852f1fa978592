"""Helpers for the tests of the engines: homes that the server's account can reach, and clean-up."""

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from myproperty import engines
from myproperty.engines.environment import find_postgres
from myproperty.settings import CHECKOUT, Settings


@contextlib.contextmanager
def temporary_home(below: Path = Path("/var/tmp")) -> Iterator[Path]:
    """Make a home below /var/tmp: the account that runs PostgreSQL cannot reach pytest's own folders."""
    home = Path(tempfile.mkdtemp(prefix="myproperty-test-", dir=below))
    home.chmod(0o755)
    try:
        yield home
    finally:
        engines.down(Settings(home=home))
        shutil.rmtree(home)


@contextlib.contextmanager
def listener(port: int = 0) -> Iterator[int]:
    """Listen on 127.0.0.1 as another program; yields the port."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        yield server.getsockname()[1]


def kill(pid: int) -> None:
    """Send SIGKILL and wait for the end: under load a process lives on for a moment."""
    process = psutil.Process(pid)
    process.kill()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


def kill_server(settings: Settings) -> None:
    """Send SIGKILL to the server and each of its processes."""
    server, *children = list_server(settings)
    kill(server.pid)
    for child in children:
        if child.is_running():
            child.kill()
    psutil.wait_procs(children, timeout=30)


def list_server(settings: Settings) -> list[psutil.Process]:
    """Return the server and each of its processes."""
    found = find_postgres(settings)._postmaster()
    assert found is not None
    server = psutil.Process(found[0])
    return [server, *server.children(recursive=True)]


def emulator_venv() -> Path:
    """Return the emulator's environment, shared by all tests."""
    named = os.environ.get("MYPROPERTY_EMULATOR_VENV")
    return Path(named) if named else CHECKOUT / ".local" / "emulator-venv"
