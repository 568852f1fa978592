"""Sixty days of the demo company by schedules and sensors, against one clean run over the same final files.

Files come late, are revised or have holes; a worker is killed, the database server is restarted in the middle
of a run, and a gate fails until a person mends the cause. At the end no date is pending, and every figure
that people read equals that of a platform that got all final files at once.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from dagster_project.runner import find_pending, ingest_inbox, run_pending, validate_due
from data.billing.allocation_ledger import allocate_period
from data.billing.database import as_tenant
from data.billing.metered import get_bounds
from data.demo import apply_company
from data.demo.billing import apply_billing, list_periods
from data.demo.company import list_tenants
from data.demo.generate import END
from myproperty import engines
from myproperty.settings import Settings
from oltp_schema.migrate import upgrade
from tests.soak.daemon import Daemon
from tests.soak.senders import SentFile, plan_files
from tests.soak.site import recreate_database

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Bills are made when the last file is there, and the nights after it publish them.
DAYS_AFTER = 2
# Day of the month and hour at which the last file of the month before has come.
REHEARSED = (15, 0)
# Ids that are drawn anew, and the clock of the platform: no figures.
NO_FIGURES = {
    "data_completeness_v1": {"latest_arrival_at"},
    "invoice_lines_v1": {"invoice_line_id", "invoice_id", "allocation_id"},
    "payments_v1": {"payment_id", "invoice_id"},
    "billing_reconciliation_v1": {"invoice_id", "allocation_id"},
}
# Of the runs that these schedules request, each n-th is made: the others would find nothing new.
THINNED = {"snapshots_six_hourly": 4, "ingest_hourly": 12}
Rows = Counter[tuple[str, ...]]
_CAPACITY = (
    "update myproperty.properties set solar_capacity_kw = solar_capacity_kw {} "
    "where timezone = 'Europe/Berlin'"
)
_PRICE = "update myproperty.solar_appraisals set price_per_kwh = price_per_kwh {}"


@dataclass(frozen=True)
class Event:
    """Something that happens at a simulated instant besides the files."""

    at: datetime
    name: str
    do: Callable[[Daemon], None]


def kill_worker(daemon: Daemon) -> None:
    """Kill the next run of the pipeline while dbt builds."""

    def hit(worker: "subprocess.Popen[str]") -> bool:
        if is_reached := _wait_for(worker, "dbt built core/fact_energy_usage"):
            os.killpg(worker.pid, signal.SIGKILL)
        return is_reached

    daemon.hits.append(hit)


def restart_server(server: Settings) -> Callable[[Daemon], None]:
    """Return what restarts the database server in the middle of the next run of the pipeline."""

    def plan(daemon: Daemon) -> None:
        def hit(worker: "subprocess.Popen[str]") -> bool:
            if is_reached := _wait_for(worker, "landed"):
                engines.down(server)
                engines.up(server, emulator=False)
            return is_reached

        daemon.hits.append(hit)

    return plan


def restart_daemon(daemon: Daemon) -> None:
    """Stop the daemon and start it again."""
    daemon.stop()
    daemon.start()


def enter(statement: str, change: str) -> Callable[[Daemon], None]:
    """Return what a person enters: a number that is wrong by a factor, or the right one again."""

    def do(daemon: Daemon) -> None:
        with psycopg.connect(str(daemon.settings.oltp_dsn)) as connection:
            assert connection.execute(statement.format(change).encode()).rowcount > 0

    return do


def _wait_for(worker: "subprocess.Popen[str]", line: str) -> bool:
    """Return whether the run came to say the line."""
    assert worker.stdout is not None
    return any(line in said for said in worker.stdout)


def plan_events(start: date, days: int, server: Settings) -> list[Event]:
    """Spread the faults over the days. A wrong number is mended after two days.

    With the price no run passes gate D; with the capacity the roof is held back.
    """
    opens = datetime(start.year, start.month, start.day, 8, tzinfo=UTC)

    def after(share: float) -> datetime:
        return opens + timedelta(days=1 + int(share * (days - 1)))

    return [
        Event(after(0.2), "server restarted in mid-run", restart_server(server)),
        Event(after(0.4), "worker killed", kill_worker),
        Event(after(0.5), "wrong price entered", enter(_PRICE, "* 400")),
        Event(after(0.5) + 2 * DAY, "price mended", enter(_PRICE, "/ 400")),
        Event(after(0.7), "wrong capacity entered", enter(_CAPACITY, "/ 1000")),
        Event(after(0.7) + 2 * DAY, "capacity mended", enter(_CAPACITY, "* 1000")),
        Event(after(0.9), "daemon restarted", restart_daemon),
    ]


def simulate(
    daemon: Daemon, start: date, files: list[SentFile], events: list[Event], tell: Callable[[str], None]
) -> None:
    """Let the days pass, hour by hour, until all files were taken and the bills are published."""
    at = datetime(start.year, start.month, start.day, tzinfo=UTC)
    last = max(files[-1].at, *(event.at for event in events))
    bills_at = last.replace(hour=0) + DAY
    waiting, planned, began = list(files), sorted(events, key=lambda event: event.at), time.monotonic()
    while at < bills_at + DAYS_AFTER * DAY:
        if at.hour == 0:
            runs = sum(done.order.job == "pipeline" for done in daemon.runs)
            tell(f"{time.monotonic() - began:6.0f} s  {at:%Y-%m-%d}: {runs} runs of the pipeline")
        while planned and planned[0].at <= at:
            tell(f"         {planned[0].name}")
            planned.pop(0).do(daemon)
        while waiting and waiting[0].at <= at:
            waiting.pop(0).put_into(daemon.settings.inbox)
        if (at.day, at.hour) == REHEARSED:
            rehearse_bills(daemon.settings, start, at.date())
        if at == bills_at:
            apply_billing(str(daemon.settings.oltp_dsn), since=start)
            daemon.every.pop("pipeline_nightly", None)
        daemon.work(at)
        at += HOUR


def rehearse_bills(settings: Settings, start: date, until: date) -> None:
    """Share the energy of the months that ended before a date, as their bills will; write nothing.

    So a month that cannot be billed ends the simulation early.
    """
    for tenant in list_tenants("small"):
        for site in tenant.sites:
            for period in list_periods(site, start):
                if get_bounds(period)[1] <= until:
                    with as_tenant(str(settings.oltp_dsn), tenant.id) as connection:
                        allocate_period(connection, site.id, period)


def run_clean(settings: Settings, start: date, files: list[SentFile]) -> None:
    """Give a new platform all right files at once, and run it once."""
    for file in files:
        if not file.is_wrong:
            file.put_into(settings.inbox)
    ingest_inbox(settings)
    validate_due(settings)
    apply_billing(str(settings.oltp_dsn), since=start)
    reports = run_pending(settings)
    assert all(report.success for report in reports), [report.error for report in reports]


def read_figures(settings: Settings) -> dict[str, Rows]:
    """Return every row of every view of `bi`, without ids that are drawn anew."""
    found: dict[str, Rows] = {}
    with psycopg.connect(str(settings.warehouse_dsn)) as connection:
        views = connection.execute("select viewname from pg_views where schemaname = 'bi' order by 1")
        for (view,) in views.fetchall():
            cursor = connection.execute(f"select * from bi.{view}".encode())
            names = [column.name for column in cursor.description or []]
            kept = [n for n, name in enumerate(names) if name not in NO_FIGURES.get(view, set())]
            found[view] = Counter(tuple(f"{names[n]}={row[n]}" for n in kept) for row in cursor.fetchall())
    return found


def compare(simulated: dict[str, Rows], clean: dict[str, Rows]) -> Iterator[str]:
    """Yield a line for each view that differs, with examples of both sides."""
    for view in sorted(simulated.keys() | clean.keys()):
        ours, theirs = simulated.get(view, Counter()), clean.get(view, Counter())
        if more := ours - theirs:
            yield f"{view}: {more.total()} of {ours.total()} rows are only in the simulated one"
            yield from describe_differences(more, theirs - ours)
        elif less := theirs - ours:
            yield f"{view}: {less.total()} rows are missing"


def describe_differences(ours: Rows, theirs: Rows, most: int = 5) -> Iterator[str]:
    """Yield the columns in which rows differ from the most similar row of the other side."""
    for row in list(ours)[:most]:
        near = max(theirs, key=lambda other: len(set(other) & set(row)), default=())
        yield f"  {[value for value in row if value not in near]} not {[v for v in near if v not in row]}"
        yield f"    of {row[:12]}"


def make_platform(name: str, admin: str, folder: Path) -> Settings:
    """Make an empty platform of the demo company."""
    dsns = {}
    for database in ("oltp", "warehouse"):
        recreate_database(admin, f"{name}_{database}", "template1")
        dsns[database] = urlsplit(admin)._replace(path=f"/{name}_{database}").geturl()
    upgrade(dsns["oltp"])
    apply_company(dsns["oltp"])
    return Settings(
        home=folder / name,
        warehouse="postgres",
        oltp_dsn=dsns["oltp"],
        warehouse_dsn=dsns["warehouse"],
        inbox_url=str(folder / name / "inbox"),
    )


def run_both(server: Settings, folder: Path, options: Any, tell: Callable[[str], None]) -> list[str]:
    """Simulate the days, make the clean run, and return what differs."""
    admin = engines.dsn(server)
    start, files = END - timedelta(days=options.days), plan_files(options.days, options.seed)
    wrong, late = (sum(getattr(file, name) for file in files) for name in ("is_wrong", "is_late"))
    tell(f"{len(files)} files of {options.days} days: {wrong} wrong, {late} of the right ones late or second")
    simulated, clean = (make_platform(name, admin, folder) for name in ("simulated", "clean"))
    # The first night asks for the three dates before it.
    daemon = Daemon(simulated, start - 4 * DAY, {"pipeline_nightly": options.nights, **THINNED}, tell)
    try:
        simulate(daemon, start, files, plan_events(start, options.days, server), tell)
    finally:
        daemon.stop()
    tell("\n".join(describe_runs(daemon)))
    pending = find_pending(simulated)
    problems = [f"pending: {found.first} to {found.last}, {found.why}" for found in pending.dates]
    problems += [f"{len(daemon.hits)} faults of machines hit no run"] if daemon.hits else []
    run_clean(clean, start, files)
    figures = read_figures(simulated)
    tell(", ".join(f"{view}: {rows.total()} rows" for view, rows in figures.items()))
    return problems + list(compare(figures, read_figures(clean)))


def describe_runs(daemon: Daemon) -> Iterator[str]:
    """Yield the number of runs of each job by who requested them and how they ended."""
    ended = Counter(
        (done.order.job, done.order.tags.get("launched_by", ""), "succeeded" if done.success else "failed")
        for done in daemon.runs
    )
    for (job, by, how), number in sorted(ended.items()):
        yield f"{number} runs of {job} {how}, by {by}"


def main() -> None:
    """Let days pass on an embedded server of its own, and compare with one clean run."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nights", type=int, default=5, help="make each n-th run of the nightly schedule")
    options = parser.parse_args()

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    with tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        server = Settings(
            home=Path(folder) / "server", warehouse="postgres", oltp_dsn=None, warehouse_dsn=None
        )
        engines.up(server, emulator=False)
        try:
            problems = run_both(server, Path(folder), options, tell)
        finally:
            engines.down(server)
    tell("\n".join(problems) or "every figure equals that of the clean run")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
