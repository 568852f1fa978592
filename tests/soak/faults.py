"""The planted faults: what goes wrong, the rule that must name it, and what mends it.

A trial restores the platform, plants a fault, runs the real job and looks at what people read. `outcome` says
what must have happened to the planted date:

- `refused`, `quarantined`, `healed`: people read the same figures as before.
- `blocked`: a gate, a test of dbt or a step ended the run, and people read the same figures as before.
- `held`: the meter is missing on the date, no other figure of energy differs.
- `flagged`: the figures are published with an issue beside them, because they may be right.
- `forbidden`: the database refuses the change, even from its superuser.
"""

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest

from dagster_project.defs.warehouse import assets
from data.landing import land as landing
from data.raw.postgres import PostgresWarehouse
from tests.soak.site import TENANT, Change, Row, Site

Outcome = Literal["refused", "quarantined", "healed", "blocked", "held", "flagged", "forbidden"]
Plant = Callable[[Site], None]
Mend = Callable[[Site], list[str]]
# What is patched while the job runs: a fault of the program, not of the data.
During = Callable[[Site], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """One planted fault. `rule` is the rule, table or step that must name it; empty: nothing has to.

    `mend` does what the runbook says and returns the commands; a run follows. `runs` says which dates are
    run with the fault: all that are pending, or the planted day again.
    """

    name: str
    what: str
    rule: str
    outcome: Outcome
    plant: Plant
    mend: Mend
    during: During = lambda _: nullcontext()
    runs: Literal["pending", "day", "none"] = "pending"


def no_command(_: Site) -> list[str]:
    return []


def keep(_: Site) -> None:
    """Plant nothing before the run."""


def send(role: str, channel: str, change: Change, name: str = "planted.csv") -> Plant:
    """Send the day of a meter again, with every row changed."""

    def plant(site: Site) -> None:
        site.send(site.rows_of(role, channel), change, name=name)

    return plant


def send_right(role: str, channel: str, days: int = 1) -> Mend:
    """Send the right values of the day again, and of the days after it, with a newer version."""

    def mend(site: Site) -> list[str]:
        dates = [site.day + timedelta(days=n) for n in range(days)]
        rows = [row for day in dates for row in site.rows_of(role, channel, day)]
        site.send(rows, name="corrected.csv", at=2)
        return [f"myproperty ingest corrected.csv --tenant {TENANT}"]

    return mend


def times(factor: str) -> Change:
    """Multiply a value without leaving its decimal digits."""
    from decimal import Decimal

    return lambda row: row | {"value": f"{(Decimal(row['value']) * Decimal(factor)).normalize():f}"}


def put(**values: str) -> Change:
    return lambda row: row | values


def shift(hours: int) -> Change:
    def change(row: Row) -> Row:
        start = datetime.fromisoformat(row["reading_ts"]) + timedelta(hours=hours)
        return row | {"reading_ts": f"{start:%Y-%m-%dT%H:%M:%SZ}"}

    return change


def until_noon(row: Row) -> Row | None:
    return row if datetime.fromisoformat(row["reading_ts"]).hour < 11 else None


def resolve_quarantine(rule: str) -> Mend:
    def mend(site: Site) -> list[str]:
        command = f"quarantine resolve --rule {rule} --by 'A. Person' --note 'the sender was told'"
        site.call(command)
        return [f"myproperty {command}"]

    return mend


def change_oltp(statement: str) -> Plant:
    """Change the day's readings of the planted site in the operational database; `{day}` is its date."""

    def plant(site: Site) -> None:
        changed = site.change(site.oltp, statement.format(day=site.day))
        assert changed, f"the fault changed no row: {statement}"

    return plant


def undo(dsn: Literal["oltp", "warehouse"], *statements: str) -> Mend:
    """Mend the cause by hand, as the remedy of the rule says."""

    def mend(site: Site) -> list[str]:
        for statement in statements:
            site.change(getattr(site, dsn), statement.format(day=site.day))
        return ["(the cause is mended by hand)"]

    return mend


def reload(table: str, *, dated: bool = False) -> Mend:
    def mend(site: Site) -> list[str]:
        command = f"reload {table}" + (f" --from {site.day} --to {site.day}" if dated else "")
        site.call(command)
        return [f"myproperty {command}"]

    return mend


def change_warehouse(statement: str) -> Plant:
    """Change the warehouse behind the program's back."""

    def plant(site: Site) -> None:
        site.change(site.warehouse, statement.format(day=site.day))

    return plant


def change_schema(statement: str) -> Plant:
    """Change a table of the operational database as a hasty administrator would."""

    def plant(site: Site) -> None:
        site.change(site.oltp, statement)

    return plant


def wrong_model(name: str, what: str, rule: str, step: str, statement: str) -> Fault:
    """A model of dbt writes wrong rows: gate D names it, and a run of the right model mends it."""
    return Fault(name, what, rule, "blocked", keep, no_command, after_step(step, statement), runs="day")


def refused_by_schema(name: str, what: str, statement: str) -> Fault:
    """A superuser tries what the tables themselves forbid."""
    return Fault(name, what, "", "forbidden", must_be_forbidden(statement), no_command, runs="none")


def slip(name: str, role: str, channel: str, factor: str) -> Fault:
    """The values of a meter in another unit than its register says."""
    what = f"all values of a day x{factor}"
    return Fault(
        name, what, "VEE-BOUND", "held", send(role, channel, times(factor)), send_right(role, channel)
    )


def quarantined(name: str, what: str, rule: str, change: Change) -> Fault:
    """A flat's day that the loader must not take."""
    plant = send("unit-101", "consumption", change)
    return Fault(name, what, rule, "quarantined", plant, resolve_quarantine(rule))


READINGS = (
    "update myproperty.meter_readings set {change} where reading_date = '{{day}}' and channel = '{channel}' "
    "and meter_id in (select id from myproperty.meters where serial_number like 'DEMO-BERLIN-%')"
)


def alter(channel: str, change: str) -> Plant:
    return change_oltp(READINGS.format(change=change, channel=channel))


def load_again(role: str, channel: str) -> Mend:
    """Send values that differ in the last digit, then the right ones: the loader ignores what it has."""

    def mend(site: Site) -> list[str]:
        rows = site.rows_of(role, channel)
        site.send(rows, times("1.5"), name="other.csv", at=2)
        site.send(rows, name="corrected.csv", at=3)
        return [f"myproperty ingest corrected.csv --tenant {TENANT}"]

    return mend


def must_be_forbidden(statement: str) -> Plant:
    """The schema itself has to refuse this."""

    def plant(site: Site) -> None:
        try:
            site.change(site.oltp, statement.format(day=site.day))
        except psycopg.Error:
            return
        raise AssertionError(f"the database took it: {statement}")

    return plant


# -- faults of the program while it runs ------------------------------------------------------------------


def after_step(step: str, statement: str) -> During:
    """Alter the warehouse after a step of dbt, as a wrong model would."""

    @contextmanager
    def during(site: Site) -> Iterator[None]:
        build = assets._build

        def wrong(context: Any, *rest: Any, **how: Any) -> Iterator[Any]:
            yield from build(context, *rest, **how)
            if context.op.name == step:
                assert site.change(site.warehouse, statement.format(day=site.day)), statement

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(assets, "_build", wrong)
            yield

    return during


def lossy_landing(statement: str) -> During:
    """Alter a landing table right after it was landed."""

    @contextmanager
    def during(site: Site) -> Iterator[None]:
        land = landing.land

        def wrong(entity: str, *rest: Any, **options: Any) -> int:
            rows = land(entity, *rest, **options)
            if f"warehouse_staging.{entity} " in statement:
                assert site.change(site.oltp, statement.format(day=site.day)), statement
            return rows

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(landing, "land", wrong)
            yield

    return during


@contextmanager
def lossy_load(site: Site) -> Iterator[None]:
    """Let each load leave out its first row."""
    load = PostgresWarehouse.load_partitions

    def wrong(self: Any, entity: Any, rows: Any, *rest: Any) -> int:
        return load(self, entity, [table.slice(1) for table in rows], *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresWarehouse, "load_partitions", wrong)
        yield


def crash_in(target: str, error: Exception) -> During:
    """Let a function of the program fail."""

    @contextmanager
    def during(_: Site) -> Iterator[None]:
        def crash(*_: object, **__: object) -> None:
            raise error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(target, crash)
            yield

    return during


_CHILD = """
import sys
from datetime import date, timedelta
from dagster_project.runner import run_pipeline
from myproperty.settings import Settings
day = date.fromisoformat(sys.argv[4])
settings = Settings(home=sys.argv[1], warehouse="postgres", oltp_dsn=sys.argv[2], warehouse_dsn=sys.argv[3])
def tell(line):
    print(line, flush=True)
sys.exit(not run_pipeline(day, day + timedelta(days=1), settings, tell).success)
"""


def start_run(site: Site) -> "subprocess.Popen[str]":
    """Start the job over the planted day in a process of its own."""
    arguments = [str(site.settings.home), site.oltp, site.warehouse, str(site.day)]
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _CHILD, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def kill_at(line: str) -> Plant:
    """Start a run, and kill its process and children when it has said `line`."""

    def plant(site: Site) -> None:
        worker = start_run(site)
        assert worker.stdout is not None
        said = ""
        for said in worker.stdout:
            if line in said:
                break
        assert line in said, f"the run ended before it said {line!r}"
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        worker.stdout.close()

    return plant


def drop_connections(site: Site) -> None:
    """Start a run, and end all its connections to the operational database while it builds."""
    worker = start_run(site)
    assert worker.stdout is not None
    for said in worker.stdout:
        if "landed" in said:
            break
    ended = threading.Event()

    def cut() -> None:
        while not ended.is_set():
            site.ask(
                site.admin,
                "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = 'soak_oltp'",
            )
            time.sleep(0.05)

    cutter = threading.Thread(target=cut)
    cutter.start()
    worker.wait()
    ended.set()
    cutter.join()
    worker.stdout.close()
    assert worker.returncode != 0


def run_twice_at_once(site: Site) -> None:
    """Start two runs over the same day at once."""
    workers = [start_run(site) for _ in range(2)]
    for worker in workers:
        worker.communicate()
    assert [worker.returncode for worker in workers] == [0, 0]


def run_day_again(site: Site) -> None:
    site.run(site.day)


def send_to_other_tenant(site: Site) -> None:
    rows = Path(site.settings.archive) / TENANT
    content = sorted(rows.glob("*.csv"))[0].read_bytes()
    site.send_text(content + b"\n", "foreign.csv", tenant="demo-wattlebird")


def send_cut(site: Site) -> None:
    content = sorted((Path(site.settings.archive) / TENANT).glob("*.csv"))[0].read_bytes()
    site.send_text(gzip.compress(content)[:2000], "cut.csv.gz")


def send_same(site: Site) -> None:
    content = sorted((Path(site.settings.archive) / TENANT).glob("*.csv"))[0].read_bytes()
    assert site.send_text(content, "again.csv").status == "unchanged"


def send_twice_different(site: Site) -> None:
    """One file with two values for each interval, of one version."""
    rows = site.rows_of("unit-101", "consumption")
    more = [changed for row in rows if (changed := times("1.5")(row)) is not None]
    site.send([*rows, *more])


def send_null(site: Site) -> None:
    """A newer file withdraws every value of a day."""
    site.send(site.rows_of("unit-101", "consumption"), put(value="", quality="null"))


def late_date(site: Site) -> None:
    """Nobody sends anything for the date after the last."""
    site.run(site.day + timedelta(days=40))
