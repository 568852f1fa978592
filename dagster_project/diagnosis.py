"""What `myproperty doctor` looks at on a machine: each check says what it found and what to do.

Here: the checks of any machine. Not here: those of production (`first_day`). A check only reads; what it
cannot look at is a problem of its own.
"""

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import psycopg
from packaging.requirements import InvalidRequirement, Requirement

from dagster_project.instance import open_instance
from dagster_project.pending import find_pending
from dagster_project.processes import list_stuck_runs
from dagster_project.resources.platform import Platform
from myproperty import engines
from myproperty.engines import EngineError
from myproperty.errors import PlatformError
from myproperty.settings import CHECKOUT, Settings
from oltp_schema.migrate import describe_missing_migrations

State = Literal["ok", "warning", "problem"]
PYTHON = (3, 11)
LOCK = CHECKOUT / "requirements.lock"
GIB = 2**30
# A run of a month needs some hundred MB; the embedded server stops where the disk is full.
LITTLE_DISK, TOO_LITTLE_DISK = 5 * GIB, GIB
# Readings that end after now are quarantined.
MOST_SKEW = timedelta(seconds=5)
UI_PORT = 3000


@dataclass(frozen=True)
class Finding:
    """What a check found; `remedy` is empty where there is nothing to do."""

    check: str
    state: State
    found: str
    remedy: str = ""


Check = Callable[[Settings], Finding]


def diagnose(settings: Settings, checks: Sequence[Check] | None = None) -> Iterator[Finding]:
    """Yield what each check found, in their order; a check that fails is a problem."""
    for check in CHECKS if checks is None else checks:
        name = name_check(check)
        try:
            yield check(settings)
        except EngineError as error:
            yield Finding(name, "warning", f"not looked at: {str(error).splitlines()[0]}")
        except (PlatformError, psycopg.Error, OSError) as error:
            yield Finding(name, "problem", str(error).splitlines()[0], "mend what it says, then look again")


def name_check(check: Check) -> str:
    """Return the name of a check: that of its function."""
    return check.__name__.removeprefix("check_").replace("_", " ")


def check_python(_: Settings) -> Finding:
    """The release of Python is the one that the libraries are locked for."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == PYTHON:
        return Finding("python", "ok", found)
    wanted = ".".join(map(str, PYTHON))
    return Finding("python", "problem", found, f"remove .venv, and run make with Python {wanted} in the path")


def check_libraries(_: Settings) -> Finding:
    """The installed libraries are those of the lock."""
    wrong = sorted(list_other_libraries(LOCK.read_text()))
    if not wrong:
        return Finding("libraries", "ok", "those of requirements.lock")
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return Finding("libraries", "problem", f"{', '.join(wrong[:3])}{more}", "run make .venv/.ready")


def list_other_libraries(lock: str) -> Iterator[str]:
    """Yield the libraries of a lock that are missing here or have another version."""
    for line in lock.splitlines():
        text = line.split(" --hash")[0].rstrip(" \\")
        if not text or text.startswith(("#", " ", "-")):
            continue
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            yield f"{text!r} is no requirement"
            continue
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            yield f"{wanted.name} is missing"
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            yield f"{wanted.name} is {found}, not {wanted.specifier}"


def check_disk(settings: Settings) -> Finding:
    """The disk of the home has room."""
    usage = shutil.disk_usage(_existing(settings.home))
    found = f"{usage.free / GIB:.1f} of {usage.total / GIB:.0f} GiB are free at {settings.home}"
    if usage.free >= LITTLE_DISK:
        return Finding("disk", "ok", found)
    remedy = "archive old dates (`myproperty partitions archive`), or move MYPROPERTY_HOME to a larger disk"
    return Finding("disk", "problem" if usage.free < TOO_LITTLE_DISK else "warning", found, remedy)


def check_ports(_: Settings) -> Finding:
    """The port of Dagster's pages is free, or used by them already."""
    with socket.socket() as probe:
        is_used = probe.connect_ex(("127.0.0.1", UI_PORT)) == 0
    found = f"{UI_PORT}, of Dagster's pages, is {'in use' if is_used else 'free'}; the engines choose theirs"
    return Finding("ports", "ok", found)


def check_engines(settings: Settings) -> Finding:
    """The engines run, or are servers of somebody else."""
    found = engines.status(settings)
    states = {
        "PostgreSQL": found.postgres["state"],
        f"warehouse ({found.warehouse['kind']})": found.warehouse["state"],
    }
    said = ", ".join(f"{name} is {state}" for name, state in states.items())
    stopped = "stopped" in states.values()
    return Finding("engines", "problem" if stopped else "ok", said, "run `myproperty up`" if stopped else "")


def check_clock(settings: Settings) -> Finding:
    """The clocks of this machine and of the database server agree."""
    with psycopg.connect(Platform(settings).oltp_dsn) as connection:
        row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None  # a query without a table has one row
    skew = datetime.now(UTC) - row[0]
    found = f"{skew.total_seconds():+.1f} s from that of the database server"
    if abs(skew) <= MOST_SKEW:
        return Finding("clock", "ok", found)
    return Finding("clock", "problem", found, "let both machines take their time from one server (NTP)")


def check_migrations(settings: Settings) -> Finding:
    """The schema of the operational database is that of this release."""
    missing = describe_missing_migrations(Platform(settings).oltp_dsn)
    if missing is None:
        return Finding("migrations", "ok", "the schema is that of this release")
    found, _, remedy = missing.partition(": ")
    return Finding("migrations", "problem", found, remedy)


def check_runs(settings: Settings) -> Finding:
    """No run is under way whose process is gone, or longer than its limit."""
    if "DAGSTER_HOME" not in os.environ and not (settings.home / "dagster").exists():
        return Finding("runs", "ok", "there was none yet")
    with open_instance(settings.home) as instance:
        stuck = list_stuck_runs(instance)
    if not stuck:
        return Finding("runs", "ok", "none is stuck")
    shown = ", ".join(f"{run_id[:8]} {why}" for run_id, why in list(stuck.items())[:3])
    more = f" and {len(stuck) - 3} more" if len(stuck) > 3 else ""
    return Finding(
        "runs",
        "problem",
        f"{shown}{more}",
        "`myproperty pending` ends those without a process, and says what is next",
    )


def check_dates(settings: Settings) -> Finding:
    """Every date with readings is published."""
    found = find_pending(Platform(settings).oltp_dsn)
    waiting = sum(len(span.dates) for span in found.dates)
    parts = {
        "dates are not published": waiting,
        "tenants were left out": len(found.tenants),
        "meters are held back": len(found.held),
        "jobs without dates failed": len(found.jobs),
    }
    said = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return Finding(
        "dates", "warning" if said else "ok", said or "all are published", "`myproperty pending`" * bool(said)
    )


CHECKS: tuple[Check, ...] = (
    check_python,
    check_libraries,
    check_disk,
    check_ports,
    check_engines,
    check_clock,
    check_migrations,
    check_runs,
    check_dates,
)


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return folder if folder.exists() else _existing(folder.parent)
