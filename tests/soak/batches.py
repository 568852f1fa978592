"""A hundred good but unusual days of meters through the real job: no gate may fail on one of them.

Each batch is a site and a local day. Sites differ in what is unusual about them; the dates hold a leap day
and both clock changes. The energy of a site balances in each interval: import and generation cover use and
export.
"""

import argparse
import csv
import io
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import psycopg

from dagster_project.runner import RunReport, run_pipeline, validate_due
from data.demo.writers import CANONICAL_COLUMNS
from data.ingest.readings.load import ingest_file
from myproperty import engines
from myproperty.settings import Settings
from oltp_schema.migrate import upgrade
from tests.soak.site import recreate_database

Values = npt.NDArray[np.float64]
# A leap day, the end and the start of summer time in Europe, and the longest days.
DATES = (date(2024, 2, 28), date(2025, 10, 25), date(2026, 3, 28), date(2026, 6, 20))
DAYS = 3
KINDS = (
    "plain", "outage", "vacancy", "exchange at noon", "very large day", "new tenant", "battery",
    "no sun", "feeds all in", "hourly meters",
)  # fmt: skip
ZONES = ("Europe/Berlin", "Europe/London", "Europe/Athens")


@dataclass(frozen=True)
class BatchSite:
    """A site with one unusual trait; `number` seeds its figures."""

    number: int
    kind: str
    zone: str

    @property
    def name(self) -> str:
        return f"site-{self.number}"

    @property
    def capacity_kw(self) -> float:
        return 4.0 + self.number % 7

    @property
    def seconds(self) -> int:
        return 3600 if self.kind == "hourly meters" else 900


@dataclass
class Day:
    """The energy of a site on a local day, in kWh by interval; `register` gives each meter's identifier."""

    starts: list[datetime]
    energy: dict[str, Values]
    missing: set[int] = field(default_factory=set)


def list_sites(count: int) -> list[BatchSite]:
    """Return sites of every kind in turn."""
    return [BatchSite(n, KINDS[n % len(KINDS)], ZONES[n % len(ZONES)]) for n in range(count)]


def simulate_day(site: BatchSite, day: date) -> Day:
    """Return the balanced energy of one local day of 23, 24 or 25 hours."""
    random = np.random.default_rng([site.number, day.toordinal()])
    zone = ZoneInfo(site.zone)
    opens, closes = (
        datetime.combine(each, datetime.min.time(), zone).astimezone(UTC)
        for each in (day, day + timedelta(days=1))
    )
    count = int((closes - opens).total_seconds()) // site.seconds
    starts = [opens + timedelta(seconds=site.seconds * n) for n in range(count)]
    hours = np.array([start.astimezone(zone).hour + start.minute / 60 for start in starts])
    step = site.seconds / 3600
    sun = np.clip(np.sin((hours - 7) / 11 * np.pi), 0, None) * (hours > 7) * (hours < 18)
    clear = 0.0 if site.kind == "no sun" else random.uniform(0.1, 0.85)
    generation = np.round(sun * clear * site.capacity_kw * step, 3)
    flats = [np.round(random.uniform(0.05, 0.5, count) * step, 3) for _ in range(2)]
    if site.kind == "vacancy":
        flats[0][:] = 0
    if site.kind == "very large day" and day in DATES:
        flats[0] = np.round(flats[0] + 9.0 * step, 3)
    used = flats[0] + flats[1]
    stored = np.zeros(count)
    if site.kind == "battery":
        # By day half of the sun goes into the battery, in the evening it comes out, into use and the grid.
        stored = np.where(sun > 0, -np.round(generation / 2, 3), 0)
        evening = (hours >= 19) & (hours < 22)
        stored[evening] = np.round(-stored.sum() / max(evening.sum(), 1), 3)
    if site.kind == "feeds all in":
        grid_in, grid_out = used, generation
    else:
        surplus = generation + stored - used
        grid_in, grid_out = np.clip(-surplus, 0, None), np.clip(surplus, 0, None)
    energy = {
        "import": grid_in,
        "export": grid_out,
        "generation": generation,
        "flat-1": flats[0],
        "flat-2": flats[1],
    }
    gap = {n for n in range(count) if 10 <= hours[n] < 14} if site.kind == "outage" else set()
    return Day(starts, energy, gap)


def write_rows(site: BatchSite, day: date) -> Iterator[dict[str, str]]:
    """Write the day as rows of canonical CSV."""
    simulated = simulate_day(site, day)
    noon = len(simulated.starts) // 2
    for place, values in simulated.energy.items():
        if site.kind == "new tenant" and place == "flat-2" and day == DATES[0]:
            continue
        channel = place if place in ("import", "export", "generation") else "consumption"
        for number, (start, value) in enumerate(zip(simulated.starts, values, strict=True)):
            if number in simulated.missing:
                continue
            meter = "grid" if place in ("import", "export") else place
            if site.kind == "exchange at noon" and place == "flat-1":
                first = day < DATES[1] or (day == DATES[1] and number < noon)
                meter = f"{place}-{'old' if first else 'new'}"
            yield {
                "identifier": f"{site.name}-{meter}", "register": place[0],
                "serial_number": f"{site.name}-{meter}",
                "channel": channel, "unit": "kWh", "reading_ts": f"{start:%Y-%m-%dT%H:%M:%SZ}",
                "interval_seconds": str(site.seconds), "value": f"{value:.3f}", "quality": "actual",
                "quality_method": "", "reason_code": "",
                "source_version": f"{start + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}",
            }  # fmt: skip


def send_days(site: BatchSite, dsn: str, folder: Path) -> None:
    """Create the site and ingest one file of all its days."""
    with psycopg.connect(dsn) as connection:
        tenant = connection.execute(
            "insert into myproperty.tenants (name, region) values (%s, 'EU') returning id", (site.name,)
        ).fetchone()
        assert tenant is not None
        place = connection.execute(
            "insert into myproperty.properties (tenant_id, name, timezone, solar_capacity_kw)"
            " values (%s, 'house', %s, %s) returning id",
            (*tenant, site.zone, site.capacity_kw),
        ).fetchone()
        assert place is not None
        if site.kind == "battery":
            connection.execute(
                "insert into myproperty.solar_assets"
                " (tenant_id, property_id, kind, capacity_kw, in_service_during)"
                " values (%s, %s, 'battery', 5, '[2024-01-01,)')",
                (*tenant, *place),
            )
    text = io.StringIO()
    writer = csv.DictWriter(text, CANONICAL_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for first in DATES:
        for n in range(DAYS):
            writer.writerows(write_rows(site, first + timedelta(days=n)))
    path = folder / f"{site.name}.csv"
    path.write_text(text.getvalue())
    result = ingest_file(path, tenant=site.name, dsn=dsn, create_meters="house")
    assert (result.status, result.quarantined) == ("loaded", 0), result


def run_batches(settings: Settings, count: int, folder: Path) -> tuple[int, list[RunReport], int]:
    """Send the days of `count` sites and run all dates; return batches, reports and severe issues."""
    dsn = str(settings.oltp_dsn)
    upgrade(dsn)
    for site in list_sites(count):
        send_days(site, dsn, folder)
    validate_due(settings)
    reports = [run_pipeline(first, first + timedelta(days=DAYS), settings) for first in DATES]
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select count(*) from myproperty.reading_issues where severity = 'severe'"
        ).fetchone()
    assert row is not None
    return count * len(DATES) * DAYS, reports, int(row[0])


def describe_failures(reports: list[RunReport]) -> list[str]:
    """Return the gates that failed, and the reasons of runs that failed otherwise."""
    return [verdict.message for report in reports for verdict in report.failed] + [
        str(report.error) for report in reports if not report.success and not report.failed
    ]


def main() -> None:
    """Run the batches on an embedded server of their own, and state the rate."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sites", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as folder:
        home = Path(folder)
        home.chmod(0o711)
        server = Settings(home=home / "server", warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
        engines.up(server, emulator=False)
        try:
            admin = engines.dsn(server)
            dsns = {}
            for name in ("oltp", "warehouse"):
                recreate_database(admin, f"batches_{name}", "template1")
                dsns[name] = urlsplit(admin)._replace(path=f"/batches_{name}").geturl()
            settings = Settings(
                home=home / "work",
                warehouse="postgres",
                oltp_dsn=dsns["oltp"],
                warehouse_dsn=dsns["warehouse"],
            )
            batches, reports, severe = run_batches(settings, arguments.sites, home)
        finally:
            engines.down(server)
    failures = describe_failures(reports)
    print("\n".join(failures))  # noqa: T201
    verdicts = sum(len(report.verdicts) for report in reports)
    print(  # noqa: T201
        f"{batches} unusual good batches: {len(failures)} failures of {verdicts} verdicts, "
        f"{severe} severe issues"
    )
    sys.exit(bool(failures or severe))


if __name__ == "__main__":
    main()
