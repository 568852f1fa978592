"""An ingest that a test runs in a separate process, and may kill."""

import os
import signal
import threading
from typing import Any

from data.ingest.readings.load import ingest_file
from myproperty.database import session

CALLS = ("execute", "rows", "copy")


def at_call(number: int, act: Any) -> None:
    """Run `act` before the `number`-th call of this process to the database, counted from 1."""
    made = 0
    for name in CALLS:
        original = getattr(session.Session, name)

        def call(self: session.Session, *given: Any, original: Any = original, **named: Any) -> Any:
            nonlocal made
            made += 1
            if made == number:
                act(self)
            return original(self, *given, **named)

        setattr(session.Session, name, call)


def ingest(path: str, tenant: str, dsn: str, kill_at: int = 0, delay: float = 0) -> str:
    """Ingest a file; with `kill_at`, `kill -9` this process `delay` seconds after that call begins."""

    def kill(_: session.Session) -> None:
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()

    if kill_at:
        at_call(kill_at, kill)
    return ingest_file(path, tenant=tenant, dsn=dsn).status
