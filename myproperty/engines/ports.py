"""Choose the port of an embedded engine."""

import contextlib
import random
import socket
import time
from pathlib import Path

from myproperty.engines.errors import EngineError

# Below Linux's ephemeral range (32768 up), so an outgoing connection does not take a remembered port.
PORTS = range(20000, 32000)
PORT_RELEASE_S = 2.0


def is_port_free(port: int) -> bool:
    """Return whether a server could listen on 127.0.0.1:port now."""
    with contextlib.closing(socket.socket()) as probe:
        # As servers do: a port whose last connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def find_free_port() -> int:
    """Find a port on which nothing listens now; another program may still take it first."""
    for port in random.sample(PORTS, 200):
        if is_port_free(port):
            return port
    raise EngineError(f"no free port between {PORTS.start} and {PORTS.stop}: stop some servers and try again")


def choose_port(requested: int | None, remembered: int | None, setting: str) -> tuple[int, list[str]]:
    """Choose the port to listen on; returns it and the notes to show to the user.

    A taken port that the setting requests is an `EngineError`. A taken port that is only remembered from
    the last start is replaced by a free one.
    """
    if requested is not None:
        if not await_free(requested):
            raise EngineError(
                f"port {requested} ({setting}) is taken by another program: stop that program (`ss -ltnp` "
                f"shows it), set {setting} to another port, or unset it to use any free port"
            )
        return requested, []
    if remembered is None:
        return find_free_port(), []
    if await_free(remembered):
        return remembered, []
    port = find_free_port()
    return port, [f"the last port {remembered} is taken by another program: using {port} instead"]


def await_free(port: int) -> bool:
    """Wait until the port is free: a killed server looks dead before its last thread releases the port."""
    deadline = time.monotonic() + PORT_RELEASE_S
    while not is_port_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def read_port(file: Path) -> int | None:
    """Read the port kept in `file`; None if the file is missing or holds no valid port."""
    text = file.read_text().strip() if file.exists() else ""
    return int(text) if text.isdigit() and 0 < int(text) < 65536 else None
