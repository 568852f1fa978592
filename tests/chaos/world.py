"""A small platform that each trial starts from, what a trial must leave in it, and what it must not.

Three files of two meters and one date wait in the inbox, and an older date waits for the archive. Databases
are copied from templates, the home from a folder. Not here: what goes wrong (`kinds`).
"""

import contextlib
import gzip
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg

from data.ingest.readings.load import ingest_file
from data.landing.published_dates import publish_dates
from data.raw.warehouse import open_warehouse
from myproperty import engines
from myproperty.engines.environment import find_emulator
from myproperty.settings import CHECKOUT, Settings, WarehouseKind
from oltp_schema.migrate import upgrade
from tests.chaos.worker import load_all
from tests.ingest.conftest import HEADER, V1, V2, make_company
from tests.soak.site import recreate_database

TENANT = "chaos"
DAY, OLD = date(2025, 6, 10), date(2024, 6, 10)
NAMES = ("oltp", "warehouse")
# A server looks every two seconds whether its clients live.
QUIET_S = 15.0
_METER = """
with m as (
    insert into myproperty.meters (tenant_id, property_id, type, serial_number, timezone)
    values (%(tenant)s, %(site)s, 'grid', %(meter)s, 'UTC') returning id
)
insert into myproperty.meter_registers (tenant_id, meter_id, identifier, register, channel, unit)
select %(tenant)s, id, %(meter)s, 'E1', 'import', 'kWh' from m
"""
# What people and later stages read; the same whatever the order of the files was.
_ROWS = {
    "readings": """
        select m.serial_number, r.channel, r.reading_ts, r.value_kwh, r.quality
        from myproperty.meter_readings as r inner join myproperty.meters as m on m.id = r.meter_id""",
    "landed": """
        select m.serial_number, r.channel, r.reading_ts, r.value_kwh, r.quality
        from warehouse_staging.meter_readings as r inner join myproperty.meters as m on m.id = r.meter_id""",
    "published": "select reading_date from warehouse_staging.published_dates",
    "archived": "select reading_date, readings from warehouse_staging.archived_dates",
    # Not of the meter whose readings leave: without its history, a day without readings is no gap.
    "issues": """
        select m.serial_number, i.rule, i.reading_date, i.severity, i.status
        from myproperty.reading_issues as i inner join myproperty.meters as m on m.id = i.meter_id
        where m.serial_number <> 'M3'""",
}
_RAW = {
    "raw": "select reading_ts, channel, value_kwh, quality from raw.meter_readings"
    " where reading_date >= '2000-01-01'",
    "raw_meters": "select serial_number from raw.meters",
}
# What the platform keeps of how it got there. A file that failed comes after the next one: whose reading was
# new and whose was superseded may differ, their number not; and a gap may be estimated in two steps.
_BOOKS = {
    "jobs": """
        select regexp_replace(source_uri, '^.*/', ''), status, accepted + new_versions + superseded,
            unchanged, quarantined, finished_at is not null
        from myproperty.ingestion_jobs where source_uri <> 'estimation'""",
    "quarantined": "select line, rule from warehouse_staging.quarantined_readings",
}
# What people read after a whole run.
_MARTS = {
    "energy": "select meter_id, channel, reading_date, energy_kwh, actual_intervals from bi.energy_daily_v1"
    " where reading_date >= '2000-01-01'",
    "completeness": "select meter_id, channel, reading_date, expected_intervals, actual_intervals,"
    " estimated_intervals, is_held from bi.data_completeness_v1 where reading_date >= '2000-01-01'",
}
_LEFT = {
    "an open transaction": "select pid::text from pg_stat_activity where datname = current_database()"
    " and pid <> pg_backend_pid() and xact_start is not null and backend_type = 'client backend'",
    "an advisory lock": "select classid || '/' || objid from pg_locks where locktype = 'advisory'"
    " and database = (select oid from pg_database where datname = current_database())",
}
_RELATIONS = """
select relname::text from pg_class where relname ~ '__dbt_(tmp|backup)'
    or (relname ~ '^meter_readings_\\d+$' and relkind = 'r' and not relispartition)
    or (relpersistence = 't' and relkind = 'r')
"""
Snapshot = dict[str, list[tuple[Any, ...]]]


def write_file(path: Path, meter: str, day: date, version: str, step: str) -> Path:
    """Write the quarter hours of a day of a meter; the seventh value is below zero, so it is quarantined."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    lines = [HEADER]
    for number in range(96):
        value = -1 if number == 6 else (number + 1) * Decimal(step)
        at = (start + timedelta(minutes=15 * number)).isoformat()
        lines.append(f"{meter},E1,import,kWh,{at},900,{value},actual,{version}")
    content = ("\n".join(lines) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def write_files(folder: Path) -> list[Path]:
    """Write the files of one date: a meter, the same meter corrected, and another meter."""
    return [
        write_file(folder / "a.csv", "M1", DAY, V1, "0.001"),
        write_file(folder / "b.csv", "M1", DAY, V2, "0.002"),
        write_file(folder / "c.csv.gz", "M2", DAY, V1, "0.003"),
    ]


@dataclass
class World:
    """The platform of one trial; `base` is what an undisturbed load leaves, `seconds` its time."""

    admin: str
    folder: Path
    server: Settings | None = None  # a server of its own, which a trial may kill
    warehouse: WarehouseKind = "postgres"
    base: Snapshot = field(default_factory=dict)
    base_of_run: Snapshot = field(default_factory=dict)
    calls: int = 0
    seconds: float = 1.0
    seconds_of_run: float = 60.0

    def dsn(self, name: str) -> str:
        """Return the DSN of a database: `oltp` or `warehouse`."""
        return urlsplit(self.admin)._replace(path=f"/chaos_{name}").geturl()

    @property
    def settings(self) -> Settings:
        return Settings(
            home=self.folder / "home",
            warehouse=self.warehouse,
            oltp_dsn=self.dsn("oltp"),
            warehouse_dsn=self.dsn("warehouse"),
        )

    @property
    def inbox(self) -> Path:
        return Path(self.settings.inbox) / TENANT

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a real command on this platform."""
        return {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "MYPROPERTY_HOME": str(self.settings.home),
            "MYPROPERTY_WAREHOUSE": "postgres",
            "MYPROPERTY_OLTP_DSN": self.dsn("oltp"),
            "MYPROPERTY_WAREHOUSE_DSN": self.dsn("warehouse"),
            "TMPDIR": str(self.temporary),
            "COLUMNS": "200",
        }

    def restore(self) -> None:
        """Bring databases, home and inbox to the state before the first load."""
        self.stop_emulator()
        for name in NAMES:
            recreate_database(self.admin, f"chaos_{name}", f"chaos_{name}_kept")
        for folder in (self.settings.home, self.temporary):
            shutil.rmtree(folder, ignore_errors=True)
        if (kept := self.folder / "kept").exists():
            shutil.copytree(kept, self.settings.home)
        self.temporary.mkdir()
        write_files(self.inbox)
        if self.warehouse == "emulator":
            engines.up(self.settings)

    def stop_emulator(self) -> None:
        """Stop the emulator of this home, if one runs."""
        find_emulator(self.settings).stop()

    def ask(self, name: str, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on a database, in order; none if the relation does not exist yet."""
        with psycopg.connect(self.dsn(name)) as connection:
            try:
                rows = connection.execute(query.encode()).fetchall()
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                return []
        return sorted(rows, key=repr)

    def _ask_raw(self, query: str) -> list[tuple[Any, ...]]:
        if self.warehouse == "postgres":
            return self.ask("warehouse", query)
        with contextlib.closing(open_warehouse(self.settings)) as warehouse:
            rows = warehouse.query(query).to_pylist()
        return sorted((tuple(row.values()) for row in rows), key=repr)

    def read(self, *, books: bool = True, marts: bool = False) -> Snapshot:
        """Return what a trial must leave: rows, and with `books` the ledger and the files."""
        found = {name: self.ask("oltp", query) for name, query in _ROWS.items()}
        found |= {name: self._ask_raw(query) for name, query in _RAW.items()}
        if marts:
            found |= self.read_marts()
        if books:
            found |= {name: self.ask("oltp", query) for name, query in _BOOKS.items()}
            found["files"] = sorted(self._list_files())
        return found

    def read_marts(self) -> Snapshot:
        """Return what people read."""
        return {name: self.ask("warehouse", query) for name, query in _MARTS.items()}

    def _list_files(self) -> Iterator[tuple[str, str]]:
        for root in (self.settings.inbox, self.settings.archive):
            for path in Path(root).rglob("*"):
                if path.is_file():
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                    yield str(path.relative_to(self.settings.home)), content

    def find_left(self) -> list[str]:
        """Return the locks and transactions that are still there after some seconds."""
        return self._wait_for_none(lambda: [*self._list_left(_LEFT)])

    def find_rest(self) -> list[str]:
        """Return the relations and temporary folders that the next load should have removed."""
        relations = [f"relation {row[0]} in {name}" for name in NAMES for row in self.ask(name, _RELATIONS)]
        folders = [f"temporary folder {path.name}" for path in self.temporary.glob("myproperty-*")]
        parts = [f"part {path.name}" for path in self.settings.home.rglob("*.part")]
        return [*relations, *folders, *parts]

    def _list_left(self, queries: dict[str, str]) -> Iterator[str]:
        for name in NAMES:
            for what, query in queries.items():
                yield from (f"{what} in {name}: {row[0]}" for row in self.ask(name, query))

    @staticmethod
    def _wait_for_none(find: Callable[[], list[str]]) -> list[str]:
        until = time.monotonic() + QUIET_S
        while (found := find()) and time.monotonic() < until:
            time.sleep(0.1)
        return found


def list_family(pid: int) -> list[psutil.Process]:
    """Return a process and everything that it started."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def find_orphans(family: list[psutil.Process]) -> list[str]:
    """Return which of these processes still live after some seconds."""

    def living() -> list[str]:
        found = []
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"process {' '.join(process.cmdline())[:80]}")
        return found

    return World._wait_for_none(living)


def build_world(admin: str, folder: Path, server: Settings | None = None) -> World:
    """Make the platform before its first load, keep it as templates, and load it once undisturbed."""
    world = World(admin, folder, server)
    for name in NAMES:
        recreate_database(admin, f"chaos_{name}", "template1")
    dsn = world.dsn("oltp")
    upgrade(dsn)
    company = make_company(dsn, TENANT)
    with psycopg.connect(dsn) as connection:
        for meter in ("M2", "M3"):
            values = {"tenant": company.tenant_id, "site": company.property_id, "meter": meter}
            connection.execute(_METER, values)
    old = write_file(folder / "old.csv", "M3", OLD, V1, "0.004")
    assert ingest_file(old, tenant=TENANT, dsn=dsn).status == "loaded"
    publish_dates(dsn, [OLD], "before")
    keep(world)
    world.restore()
    started = time.monotonic()
    world.calls = load_all(world.settings)
    world.seconds = time.monotonic() - started
    world.base = world.read()
    seen = {name: len(rows) for name, rows in world.base.items()}
    # Each date of a meter has 96 values, one of them an estimate for the quarantined one.
    assert seen["raw"] == seen["landed"] == 3 * 96 and seen["archived"] == 1, seen
    return world


def keep(world: World) -> None:
    """Keep the databases as templates."""
    for name in NAMES:
        recreate_database(world.admin, f"chaos_{name}_kept", f"chaos_{name}")


@contextlib.contextmanager
def own_server(folder: Path) -> Iterator[Settings]:
    """Run a server that a trial may kill, with the settings of production."""
    settings = Settings(home=folder / "server", warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
    engines.up(settings, emulator=False)
    with psycopg.connect(engines.dsn(settings), autocommit=True) as connection:
        # A killed server loses nothing that the system has; only a crash of the machine would.
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")
    try:
        yield settings
    finally:
        engines.down(settings)
