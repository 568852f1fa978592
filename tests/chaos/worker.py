"""What is disturbed: a whole load in a process of its own, from the inbox to raw and the archive.

The stages are those of the job, without Dagster, dbt and the gates, so that a load takes seconds. The real
command is disturbed too, see `runs`.
"""

import json
import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from data.ingest.readings.inbox import INBOX_COPY, ingest_waiting
from data.ingest.validation.run import validate
from data.landing.archive import archive_partitions
from data.landing.land import land
from data.landing.published_dates import pending_dates, publish_dates
from data.raw.transfer import transfer
from data.raw.warehouse import open_warehouse
from myproperty import files
from myproperty.database import session
from myproperty.settings import Settings, WarehouseKind
from tests.ingest import victim

# Tables of each kind: whole, growing, by reading date.
WHOLE = ("tenants", "properties", "meters", "meter_registers", "payments")
DATED = ("meter_readings", "reading_issues")
ARCHIVE_BEFORE = date(2025, 1, 1)


@dataclass(frozen=True)
class Orders:
    """What a worker does to itself: at its `call`-th call to the database, `delay` seconds later, `act`.

    `act` is a signal for itself; 0 is only reported. `file_bytes` limits each file that it writes, `clock_s`
    moves its clock, and `pause_s` is how long it waits after it has reported the call.
    """

    call: int = 0
    delay: float = 0
    act: int = 0
    file_bytes: int = 0
    clock_s: int = 0
    pause_s: float = 0


def load_all(settings: Settings) -> int:
    """Load what waits, validate, land, transfer, publish and archive; return the calls to the database."""
    made = count_calls()
    dsn = str(settings.oltp_dsn)
    for _ in files.remove_left_folders(INBOX_COPY):
        pass
    results = list(ingest_waiting(settings, dsn))
    failed = [result.refusal.describe(result.path) for result in results if result.refusal]
    validate(dsn)
    warehouse = open_warehouse(settings)
    try:
        for entity in WHOLE:
            land(entity, dsn)
            transfer(warehouse, entity, dsn, "chaos")
        for day in pending_dates(dsn):
            for entity in DATED:
                land(entity, dsn, day, day + timedelta(days=1))
                transfer(warehouse, entity, dsn, "chaos", [day])
            publish_dates(dsn, [day], "chaos")
    finally:
        warehouse.close()
    archive_partitions(dsn, settings.readings_archive, before=ARCHIVE_BEFORE)
    if failed:
        raise RuntimeError("; ".join(failed))
    return made()


def count_calls() -> Callable[[], int]:
    """Count the calls of this process to the database from now on; the result returns their number."""
    before = _calls()
    return lambda: _calls() - before


_made = [0]


def _calls() -> int:
    return _made[0]


def install_counter() -> None:
    """Count each call of a session."""
    for name in victim.CALLS:
        original = getattr(session.Session, name)

        def call(self: session.Session, *given: Any, original: Any = original, **named: Any) -> Any:
            _made[0] += 1
            return original(self, *given, **named)

        setattr(session.Session, name, call)


install_counter()


def work(places: tuple[str, WarehouseKind, str, str, str], orders: Orders, reached: Any) -> None:
    """Do a whole load under orders, in a process of its own; write its error, if any, beside the home.

    `places` are the home, the engine of the warehouse, both databases, and the folder of temporary files.
    """
    home, engine, oltp, warehouse, temporary = places
    tempfile.tempdir = temporary
    files._YOUNG_S = 0  # the trial does not wait a minute
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if orders.file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (orders.file_bytes, resource.RLIM_INFINITY))
    if orders.clock_s:
        _move_clock(orders.clock_s)
    if orders.call:
        victim.at_call(orders.call, lambda _: _act(orders, reached))
    settings = Settings(home=Path(home), warehouse=engine, oltp_dsn=oltp, warehouse_dsn=warehouse)
    try:
        load_all(settings)
    except Exception as error:  # noqa: BLE001  the trial looks at whatever it says
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        said = {"error": type(error).__name__, "message": str(error)}
        Path(f"{home}.{os.getpid()}.json").write_text(json.dumps(said))
        os._exit(1)


def _act(orders: Orders, reached: Any) -> None:
    if orders.act:
        threading.Timer(orders.delay, os.kill, (os.getpid(), orders.act)).start()
    else:
        reached.set()
        time.sleep(orders.pause_s)


def _move_clock(seconds: int) -> None:
    """Let this process see another time; the server keeps its own."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + seconds * 10**9
