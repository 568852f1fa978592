"""A platform that is built once and restored before each trial, and what a trial may do to it.

The demo company runs through the real job once; then both databases are kept as templates, and the home as a
folder. Restoring takes a second or two.
"""

import csv
import io
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from commands.main import app
from dagster_project.instance import open_instance
from dagster_project.pending import Pending, find_pending
from dagster_project.run_history import record_runs
from dagster_project.runner import (
    RunReport,
    ingest_inbox,
    run_pending,
    run_pipeline,
    validate_due,
)
from data.demo import apply_company, generate_files
from data.demo.billing import apply_billing
from data.demo.company import DemoMeter, list_tenants
from data.demo.writers import CANONICAL_COLUMNS
from data.ingest.readings.results import IngestResult
from myproperty import engines
from myproperty.database.roles import OLTP_LOGINS, WAREHOUSE_LOGINS, Login
from myproperty.settings import CHECKOUT, Settings
from oltp_schema.migrate import upgrade
from tests.logins import with_logins

DAYS = 10
# The site whose files are planted: canonical CSV, a file for all its meters, no history.
TENANT, PLACE = "demo-sonnenhof", "berlin"
Row = dict[str, str]
Change = Callable[[Row], Row | None]
# What people read of energy: each figure by its key.
FIGURES = {
    "energy_daily": """
        select meter_id || ' ' || channel as key, reading_date, energy_kwh, actual_intervals, cost_amount
        from bi.energy_daily_v1 where reading_date >= date '2000-01-01'""",
    "solar_performance": """
        select property_id as key, reading_date, generation_kwh, self_consumed_kwh, exported_kwh, imported_kwh
        from bi.solar_performance_v1 where reading_date >= date '2000-01-01'""",
    "carbon_savings": """
        select property_id as key, reading_date, self_consumed_kwh, avoided_location_kg
        from bi.carbon_savings_v1 where reading_date >= date '2000-01-01'""",
    "arrears": "select tenancy_id || '' as key, as_of_date, outstanding_amount from bi.arrears_v1",
}
Figures = dict[tuple[str, ...], tuple[Any, ...]]


@dataclass
class Site:
    """The platform of one trial. `day` is the last of its days, which all its meters have sent whole."""

    settings: Settings
    admin: str
    keep: Path
    day: date
    base: Figures = field(default_factory=dict)
    reports: list[RunReport] = field(default_factory=list)
    ingested: list[IngestResult] = field(default_factory=list)

    @property
    def oltp(self) -> str:
        return str(self.settings.oltp_dsn)

    @property
    def warehouse(self) -> str:
        return str(self.settings.warehouse_dsn)

    def variables(self) -> dict[str, str]:
        """Return the environment of a program of its own on this platform."""
        settings = self.settings.model_dump().items()
        dsns = {f"MYPROPERTY_{name.upper()}": dsn for name, dsn in settings if name.endswith("_dsn") and dsn}
        return {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "MYPROPERTY_HOME": str(self.settings.home),
            **dsns,
        }

    def restore(self) -> None:
        """Bring databases and home back to the state after the first run."""
        for name in ("oltp", "warehouse"):
            recreate_database(self.admin, f"soak_{name}", f"soak_{name}_kept")
        shutil.rmtree(self.settings.home)
        shutil.copytree(self.keep, self.settings.home)
        self.reports, self.ingested = [], []

    def change(self, dsn: str, statement: str, *parameters: object) -> int:
        """Run a statement behind the program's back, as its superuser; return the number of rows."""
        with psycopg.connect(dsn) as connection:
            return connection.execute(statement.encode(), parameters or None).rowcount

    def ask(self, dsn: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(dsn) as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()

    def meter(self, role: str) -> DemoMeter:
        """Return a meter of the planted site: grid, solar, common, unit-101 ..."""
        (site,) = (site for tenant in list_tenants("small") for site in tenant.sites if site.key == PLACE)
        return site.meter(role)

    def rows_of(self, role: str, channel: str, day: date | None = None) -> list[Row]:
        """Return the rows that the sender sent for a meter, channel and local day, with a newer version."""
        zone = ZoneInfo("Europe/Berlin")
        identifier = self.meter(role).identifier
        found: dict[str, Row] = {}
        folder = Path(self.settings.archive) / TENANT
        for path in sorted(folder.glob("2025*.csv")):
            for row in csv.DictReader(path.read_text().splitlines()):
                start = datetime.fromisoformat(row["reading_ts"]).astimezone(zone)
                if (
                    row["identifier"] == identifier
                    and row["channel"] == channel
                    and start.date() == (day or self.day)
                ):
                    found[row["reading_ts"]] = row
        return [found[start] for start in sorted(found)]

    def send(
        self, rows: Sequence[Row], change: Change = lambda row: row, *, name: str = "planted.csv", at: int = 1
    ) -> IngestResult:
        """Put a file of these rows, each changed, into the inbox and ingest it; `at` orders the versions."""
        return self.send_text(write_rows(rows, change, at), name)

    def put_text(self, content: bytes, name: str, tenant: str = TENANT) -> None:
        """Put a file into the inbox of a tenant."""
        path = Path(self.settings.inbox) / tenant / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def send_text(self, content: bytes, name: str, tenant: str = TENANT) -> IngestResult:
        """Put a file into the inbox of a tenant and ingest it."""
        self.put_text(content, name, tenant)
        results = ingest_inbox(self.settings)
        self.ingested += results
        return results[-1]

    def run(self, *days: date) -> list[RunReport]:
        """Run the real job: for these dates, or for all that is due and pending."""
        if days:
            reports = [run_pipeline(day, day + timedelta(days=1), self.settings) for day in days]
        else:
            validate_due(self.settings)
            reports = run_pending(self.settings)
        self.reports += reports
        return reports

    def call(self, command: str) -> None:
        """Run a command as a person types it. Raises AssertionError with its output if it fails."""
        done = CliRunner().invoke(app, shlex.split(command))
        assert done.exit_code == 0, f"myproperty {command}: {done.output[-1500:]} {done.exception!r}"

    def pending(self) -> Pending:
        """Return what `myproperty pending` shows."""
        with open_instance(self.settings.home) as opened:
            record_runs(opened, self.oltp)
        return find_pending(self.oltp)

    def figures(self) -> Figures:
        """Return what people read: every figure of energy by relation, key and date."""
        found: Figures = {}
        for relation, query in FIGURES.items():
            for key, day, *values in self.ask(self.warehouse, query):
                found[relation, str(key), str(day)] = tuple(values)
        return found

    def seen(self) -> set[str]:
        """Return every rule that named something in this trial: files, rows, issues, gates, steps."""
        rules = {rule for result in self.ingested for rule in result.rules}
        rules |= {result.refusal.rule for result in self.ingested if result.refusal is not None}
        rules |= {
            str(row[0])
            for row in self.ask(self.oltp, "select rule from warehouse_staging.quarantined_readings")
        }
        rules |= {
            str(row[0])
            for row in self.ask(
                self.oltp, "select rule from myproperty.reading_issues where reading_date = %s", self.day
            )
        }
        for report in self.reports:
            rules |= {str(broken["rule"]) for verdict in report.verdicts for broken in verdict.failed}
        rules |= {
            str(reason["rule"])
            for found in self.pending().dates
            if found.run is not None
            for reason in found.run.reasons
        }
        return rules


def write_rows(rows: Sequence[Row], change: Change = lambda row: row, at: int = 1) -> bytes:
    """Write a canonical CSV of these rows, each changed; `at` orders the versions of files."""
    version = f"{datetime(2025, 12, at, tzinfo=UTC):%Y-%m-%dT%H:%M:%SZ}"
    text = io.StringIO()
    writer = csv.DictWriter(text, CANONICAL_COLUMNS, lineterminator="\n")
    writer.writeheader()
    changed = (change(dict(row) | {"source_version": version}) for row in rows)
    writer.writerows(row for row in changed if row is not None)
    return text.getvalue().encode()


def build_site(server: Settings, home: Path) -> Site:
    """Build the platform on databases of this server, run the demo company through it, and keep the state."""
    admin = engines.dsn(server)
    for name in ("soak_oltp", "soak_warehouse"):
        recreate_database(admin, name, "template1")
    oltp, warehouse = (
        urlsplit(admin)._replace(path=f"/soak_{name}").geturl() for name in ("oltp", "warehouse")
    )
    settings = Settings(home=home / "work", warehouse="postgres", oltp_dsn=oltp, warehouse_dsn=warehouse)
    upgrade(oltp)
    settings = with_logins(settings, server)
    apply_company(str(settings.demo_dsn))
    scope = generate_files(Path(settings.inbox), "small", DAYS)
    ingest_inbox(settings)
    validate_due(settings)
    apply_billing(str(settings.billing_dsn), since=scope.start)
    reports = run_pending(settings)
    assert all(report.success for report in reports), [report.error for report in reports]
    site = Site(settings, admin, home / "kept", scope.end - timedelta(days=6))
    shutil.copytree(settings.home, site.keep)
    for name in ("oltp", "warehouse"):
        recreate_database(admin, f"soak_{name}_kept", f"soak_{name}")
    site.base = site.figures()
    return site


def adopt_site(admin: str, built: Settings, folder: Path, day: date) -> Site:
    """Take copies of a platform on which the demo company ran, so that it need not run again."""
    for name, dsn in (("oltp", built.oltp_dsn), ("warehouse", built.warehouse_dsn)):
        recreate_database(admin, f"soak_{name}_kept", urlsplit(str(dsn)).path.lstrip("/"))
    oltp, warehouse = (
        urlsplit(admin)._replace(path=f"/soak_{name}").geturl() for name in ("oltp", "warehouse")
    )
    settings = built.model_copy(
        update={"home": folder / "work", "oltp_dsn": oltp, "warehouse_dsn": warehouse}
        | move_logins(built, OLTP_LOGINS, oltp)
        | move_logins(built, WAREHOUSE_LOGINS, warehouse)
    )
    # Its own Dagster instance: the configuration of the other names folders.
    shutil.copytree(built.home, folder / "kept", ignore=shutil.ignore_patterns("dagster"))
    settings.home.mkdir()
    site = Site(settings, admin, folder / "kept", day)
    site.restore()
    site.base = site.figures()
    return site


def move_logins(built: Settings, logins: Sequence[Login], dsn: str) -> dict[str, str]:
    """Return the DSNs of the jobs for another database of the same server."""
    path = urlsplit(dsn).path
    return {
        str(login.setting): urlsplit(given)._replace(path=path).geturl()
        for login in logins
        if login.setting and (given := getattr(built, login.setting))
    }


def drop_databases(admin: str, prefix: str = "soak") -> None:
    """Drop the databases of the trials."""
    with psycopg.connect(admin, autocommit=True) as connection:
        for name in (f"{prefix}_{which}{kept}" for which in ("oltp", "warehouse") for kept in ("", "_kept")):
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )


@contextmanager
def settings_of(site: Site) -> Iterator[None]:
    """Let commands of this process use the settings of the trial."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("commands.pipeline", "commands.issues", "commands.quarantine", "commands.files"):
            patch.setattr(f"{name}.get_settings", lambda: site.settings)
        yield


def recreate_database(admin: str, name: str, template: str) -> None:
    """Create a database from a template, in the place of one of that name."""
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (template,)
        )
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
        )
