"""The warehouse built again from nothing: from the operational database, then from meter files alone.

Both times every figure that people read must be the one of before, and the seconds are printed: they are the
recovery time of docs/backups.md.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import psycopg
from psycopg import sql

from commands.databases import prepare_databases
from dagster_project.runner import ingest_inbox, run_dates, run_pending, validate_due
from data.demo import apply_company
from data.demo.billing import apply_billing
from data.demo.generate import END
from myproperty import engines
from myproperty.settings import Settings
from tests.soak.site import DAYS, Site, build_site, recreate_database

SCHEMAS = ("bi", "marts", "core", "staging", "snapshots", "raw")


def drop_warehouse(site: Site) -> None:
    """Drop everything that the warehouse holds, and make its schemas again, as `myproperty migrate` does."""
    with psycopg.connect(site.warehouse, autocommit=True) as connection:
        for schema in SCHEMAS:
            connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
    prepare_databases(site.settings)


def build_from_landing(site: Site, dates: list[date]) -> None:
    """Run all dates again on the same operational database."""
    drop_warehouse(site)
    assert all(report.success for report in run_dates(dates, site.settings))


def build_from_files(site: Site, _: list[date]) -> None:
    """Begin with an empty operational database; put the archived meter files back into the inbox."""
    recreate_database(site.admin, "soak_oltp", "template1")
    drop_warehouse(site)
    apply_company(str(site.settings.demo_dsn))
    shutil.rmtree(site.settings.inbox, ignore_errors=True)
    shutil.move(site.settings.archive, site.settings.inbox)
    statuses = {result.status for result in ingest_inbox(site.settings)}
    assert statuses == {"loaded"}, statuses
    validate_due(site.settings)
    apply_billing(str(site.settings.billing_dsn), since=END - timedelta(days=DAYS))
    assert all(report.success for report in run_pending(site.settings))


def compare(site: Site, build: Callable[[Site, list[date]], None], dates: list[date]) -> int:
    """Build the warehouse again; return the number of figures that differ."""
    began = time.monotonic()
    build(site, dates)
    seconds = time.monotonic() - began
    figures = site.figures()
    different = {key for key in figures.keys() | site.base.keys() if figures.get(key) != site.base.get(key)}
    print(  # noqa: T201
        f"{build.__name__}: {len(dates)} dates in {seconds:.0f} s, {len(figures)} figures, "
        f"{len(different)} differ: {sorted(different)[:5]}"
    )
    return len(different)


def main() -> None:
    """Build a platform on an embedded server of its own, and its warehouse twice more."""
    with tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as folder:
        home = Path(folder)
        home.chmod(0o711)
        server = Settings(home=home / "server", warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
        engines.up(server, emulator=False)
        try:
            site = build_site(server, home)
            rows = site.ask(
                site.oltp, "select reading_date from warehouse_staging.published_dates order by 1"
            )
            dates = [day for (day,) in rows]
            different = sum(compare(site, build, dates) for build in (build_from_landing, build_from_files))
        finally:
            engines.down(server)
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
