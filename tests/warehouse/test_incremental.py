"""Test that a full refresh equals the runs over dates after late, revised and past changes, in any order.

The company of the demo gets its own readings over both changes of clocks in Sydney. It is built once and
changed as people and files change it. Then the steps of the pipeline (landing, raw, dbt, the ledger) run over
the pending dates, in ranges that overlap and at the same time, and a copy gets a full refresh. Not here:
validation, gates and Dagster around these steps (`tests/end_to_end`).
"""

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from dagster_project.defs.warehouse.assets import STEPS
from data.demo import apply_company
from data.demo.company import DemoMeter, DemoProperty, DemoRegister, list_tenants
from data.ingest.readings.load import ingest_file
from data.landing import published_dates
from data.landing.entities import ENTITIES, RECORDS
from data.landing.land import land
from data.landing.quality import count_days
from data.raw.postgres import PostgresWarehouse
from data.raw.transfer import transfer
from data.solar.store import write_reference_yields
from myproperty.dates import Window, contiguous
from oltp_schema.migrate import upgrade
from tests.conftest import DatabaseMaker

from .dbt_project import fetch, run_dbt

pytestmark = pytest.mark.engine

APRIL = Window(date(2025, 4, 5), date(2025, 4, 8))
OCTOBER = Window(date(2025, 10, 4), date(2025, 10, 7))
SUMMER_ENDS, SUMMER_BEGINS = date(2025, 4, 6), date(2025, 10, 5)
MOVED = date(2025, 10, 6)
OF_A_FLAT = ("meter_id", "tenancy_id")
FIRST, SECOND = "2025-11-01T00:00:00Z", "2025-11-02T00:00:00Z"
SITES = {site.place: site for tenant in list_tenants("small") for site in tenant.sites}
SYDNEY, LOS_ANGELES = SITES["sydney"], SITES["los-angeles"]
HEADER = "identifier,register,channel,unit,reading_ts,interval_seconds,value,quality,source_version"
REBUILT = ("core", "staging", "marts")
BUILD = (
    "build",
    "--no-write-json",
    "--exclude-resource-type",
    "test",
    "--exclude-resource-type",
    "unit_test",
)
Rows = list[dict[str, Any]]
Layers = dict[str, Rows]


@dataclass(frozen=True)
class Databases:
    """Both databases, and the folders of dbt and of files."""

    oltp: str
    dsn: str
    folder: Path

    def ingest(self, name: str, lines: Iterator[str], site: DemoProperty = SYDNEY) -> None:
        path = self.folder / f"{name}.csv"
        path.write_text("\n".join([HEADER, *lines]) + "\n")
        result = ingest_file(path, tenant=site.tenant, dsn=self.oltp)
        assert (result.status, result.quarantined) == ("loaded", 0), result

    def run(self, dates: Window, run_id: str) -> None:
        """Run the pipeline for a range of reading dates after validation, without its gates."""
        self.load(dates, run_id)
        for name, (select, exclude, has_dates, _) in STEPS.items():
            words = [
                *BUILD,
                "--select",
                *select.split(),
                *(["--exclude", *exclude.split()] if exclude else []),
            ]
            with published_dates.one_dbt_at_a_time(self.oltp):
                bounds = dates.bounds if has_dates else (None, None)
                built = run_dbt(self.dsn, self.folder / name, words, *bounds)
            assert built.success, built.failures
        published_dates.publish_dates(self.oltp, dates.dates, run_id)

    def run_in_one_build(self, dates: Window, run_id: str) -> None:
        """Do what `run` does, with one call of dbt for its steps."""
        self.load(dates, run_id)
        build_all(self.dsn, self.folder / "base", dates)
        published_dates.publish_dates(self.oltp, dates.dates, run_id)

    def load(self, dates: Window, run_id: str) -> None:
        """Land and load every table, and count the quality."""
        write_reference_yields(self.oltp, *dates.bounds)
        with closing(PostgresWarehouse(self.dsn)) as raw:
            for name, entity in ENTITIES.items():
                land(name, self.oltp, *(dates.bounds if entity.is_dated else ()))
                transfer(raw, name, self.oltp, run_id, dates.dates if entity.is_dated else None)
            count_days(self.oltp)
            for name in RECORDS:
                transfer(raw, name, self.oltp, run_id)


def build_all(dsn: str, target_path: Path, dates: Window) -> None:
    """Build every seed, snapshot and model for the dates."""
    built = run_dbt(dsn, target_path, BUILD, *dates.bounds)
    assert built.success, built.failures


def reported(
    meter: DemoMeter, site: DemoProperty, day: date, version: str = FIRST, step: Decimal = Decimal("0.01")
) -> Iterator[str]:
    """Make the lines of a local day of a meter, of 23, 24 or 25 hours; neighbouring values differ."""
    zone = ZoneInfo(site.timezone)
    start, end = (
        datetime(d.year, d.month, d.day, tzinfo=zone).astimezone(UTC) for d in (day, day + timedelta(days=1))
    )
    length = timedelta(seconds=site.interval_seconds)
    for register in meter.registers:
        for number in range((end - start) // length):
            at = start + number * length
            is_dark = not 7 <= at.astimezone(zone).hour < 18
            value = (
                0 if register.channel in ("generation", "export") and is_dark else step * (20 + number % 7)
            )
            yield (
                f"{meter.identifier},{register.register},{register.channel},{site.file_unit},"
                f"{at.isoformat()},{site.interval_seconds},{value},actual,{version}"
            )


def in_use(site: DemoProperty, day: date) -> list[DemoMeter]:
    """Return the meters that measure on a day."""
    return [
        meter
        for meter in (*site.former_meters, *site.meters)
        if (meter.installed or day) <= day < (meter.removed or date.max)
    ]


def load_first_files(databases: Databases) -> None:
    """Load three days around each change of clocks, without the roof on the long day, once in Los Angeles."""
    missing = {("sydney", "solar", SUMMER_ENDS), ("los-angeles", "solar", OCTOBER.start)}
    for site, windows in ((SYDNEY, (APRIL, OCTOBER)), (LOS_ANGELES, (OCTOBER,))):
        lines = (
            line
            for window in windows
            for day in window.dates
            for meter in in_use(site, day)
            if (site.place, meter.role, day) not in missing
            for line in reported(meter, site, day)
        )
        databases.ingest(f"first-{site.place}", lines, site)


def change_company(databases: Databases) -> None:
    """Make all changes that may come afterwards, in files and in the operational database."""
    solar = SYDNEY.meter("solar")
    databases.ingest("late", reported(solar, SYDNEY, SUMMER_ENDS))
    databases.ingest("revised", reported(solar, SYDNEY, SUMMER_BEGINS, SECOND, Decimal("0.03")))
    with psycopg.connect(databases.oltp) as connection:
        statements: tuple[tuple[str, tuple[Any, ...]], ...] = (
            # A price that was wrong from its start until the prices of July.
            (
                "update myproperty.rate_plan_bands set unit_amount = unit_amount + 0.05"
                " where charge = 'grid' and upper(valid_during) = '2025-07-01' and tenant_id = %s",
                (tenant_of(SYDNEY),),
            ),
            # In the past, the flat's meter was exchanged and other residents moved in.
            (
                "update myproperty.meter_assignments set assigned_during = daterange("
                "lower(assigned_during), %s) where unit_id = %s",
                (MOVED, SYDNEY.unit_id("101")),
            ),
            (
                "with old as (update myproperty.tenancies set occupied_during = daterange("
                "lower(occupied_during), %s) where unit_id = %s and upper_inf(occupied_during) returning *)"
                " insert into myproperty.tenancies (tenant_id, unit_id, user_id, occupied_during)"
                " select o.tenant_id, o.unit_id, u.id, daterange(%s, null) from old o join myproperty.users u"
                " on u.tenant_id = o.tenant_id and u.id <> o.user_id and u.role = 'resident'"
                " order by u.id limit 1",
                (MOVED, SYDNEY.unit_id("101"), MOVED),
            ),
            # From now: the roof is larger and has another meter, and a property is closed.
            ("update myproperty.properties set solar_capacity_kw = 99 where id = %s", (SYDNEY.id,)),
            ("update myproperty.meters set status = 'retired' where id = %s", (solar.id,)),
            ("update myproperty.properties set status = 'inactive' where id = %s", (LOS_ANGELES.id,)),
            ("delete from myproperty.properties where name = 'Entered by mistake'", ()),
        )
        for statement, parameters in statements:
            assert connection.execute(statement.encode(), parameters).rowcount > 0, statement
    # Created on another day than the registers of the demo, which are all created at once.
    put_meter(databases, "roof-2", "generation")
    new = put_meter(databases, "new-101", "consumption", unit="101")
    databases.ingest("exchanged", reported(new, SYDNEY, MOVED))


def put_meter(databases: Databases, role: str, channel: str, unit: str | None = None) -> DemoMeter:
    """Create a meter with one register, and assign it to its unit from `MOVED`."""
    kind: Literal["solar", "grid"] = "solar" if channel == "generation" else "grid"
    statement = """
        with m as (
            insert into myproperty.meters (tenant_id, property_id, type, serial_number, timezone)
            values (%(tenant)s, %(site)s, %(kind)s, %(role)s, %(zone)s) returning id
        ), r as (
            insert into myproperty.meter_registers
                (tenant_id, meter_id, identifier, register, channel, unit, created_at)
            select %(tenant)s, id, %(role)s, '1', %(channel)s, 'kWh', now() + interval '1 day' from m
        )
        insert into myproperty.meter_assignments (tenant_id, meter_id, unit_id, assigned_during)
        select %(tenant)s, id, %(unit)s, daterange(%(moved)s, null) from m where %(unit)s::uuid is not null
    """
    values = {
        "tenant": tenant_of(SYDNEY),
        "site": SYDNEY.id,
        "kind": kind,
        "role": role,
        "zone": SYDNEY.timezone,
        "channel": channel,
        "unit": SYDNEY.unit_id(unit) if unit else None,
        "moved": MOVED,
    }
    with psycopg.connect(databases.oltp) as connection:
        connection.execute(statement, values)
    return DemoMeter(SYDNEY.key, role, kind, role, (DemoRegister("1", channel),), unit)


def tenant_of(site: DemoProperty) -> uuid.UUID:
    return next(tenant.id for tenant in list_tenants("small") if tenant.name == site.tenant)


def layers(dsn: str, schemas: tuple[str, ...] = REBUILT) -> Layers:
    """Return every row of every table of these schemas by table, in a fixed order."""
    tables = fetch(
        dsn,
        sql.SQL(
            "select table_schema, table_name from information_schema.tables"
            " where table_type = 'BASE TABLE' and table_schema = any({}) order by 1, 2"
        ).format(sql.Literal(list(schemas))),
    )
    return {
        f"{t['table_schema']}.{t['table_name']}": fetch(
            dsn,
            sql.SQL("select * from {} as t order by t::text").format(
                sql.Identifier(t["table_schema"], t["table_name"])
            ),
        )
        for t in tables
    }


def of_dates(found: Layers, dates: set[date]) -> Layers:
    """Return the rows of these reading dates, from the tables that have reading dates.

    Without the quality of dates: it says how a date stands now, and compares it with dates beside it.
    """
    return {
        name: [row for row in rows if row["reading_date"] in dates]
        for name, rows in found.items()
        if rows and "reading_date" in rows[0] and not name.endswith(("data_quality", "quality_days"))
    }


def differing(one: Layers, other: Layers) -> dict[str, list[Any]]:
    """Return the first rows of each table that only one side has."""
    assert one.keys() == other.keys()
    return {
        name: [row for row in one[name] if row not in other[name]][:3]
        + [row for row in other[name] if row not in one[name]][:3]
        for name in one
        if one[name] != other[name]
    }


@contextmanager
def copied_database(dsn: str) -> Iterator[str]:
    """Yield a copy of a database and drop it at the end."""
    source = urlsplit(dsn)
    name = f"full_{uuid.uuid4().hex[:8]}"
    template = sql.Identifier(source.path.lstrip("/"))
    with psycopg.connect(source._replace(path="/postgres").geturl(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), template))
        try:
            yield source._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def run_at_once(databases: Databases, windows: list[Window]) -> None:
    """Run each window in its own thread, all at the same time; each must succeed."""
    failed: list[BaseException] = []

    def run(window: Window) -> None:
        try:
            databases.run(window, f"again-{window.start}")
        except BaseException as error:  # noqa: BLE001 - a thread would only print it
            failed.append(error)

    threads = [threading.Thread(target=run, args=(window,)) for window in windows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


@pytest.fixture(scope="module")
def changed(
    fresh_database: DatabaseMaker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Databases, Layers, list[date]]]:
    """Yield the platform after the changes and runs, its tables before, and the dates that were pending."""
    with fresh_database("oltp") as oltp, fresh_database("warehouse") as dsn:
        upgrade(oltp)
        apply_company(oltp)
        databases = Databases(oltp, dsn, tmp_path_factory.mktemp("incremental"))
        with psycopg.connect(oltp) as connection:
            connection.execute(
                "insert into myproperty.properties (tenant_id, name, timezone) values (%s, %s, 'UTC')",
                (tenant_of(SYDNEY), "Entered by mistake"),
            )
        load_first_files(databases)
        # Between the windows nothing was measured, and each date costs a load of each dated table.
        for window in (APRIL, OCTOBER):
            databases.run_in_one_build(window, f"base-{window.start}")
        assert published_dates.pending_dates(oltp) == []
        before = layers(dsn)
        change_company(databases)
        pending = published_dates.pending_dates(oltp)
        run_at_once(databases, [*contiguous(pending), Window(MOVED, OCTOBER.end)])
        yield databases, before, pending


def test_only_the_dates_that_a_change_affects_are_pending(
    changed: tuple[Databases, Layers, list[date]],
) -> None:
    """April by its price (and its late file), then what was revised, then the move; not 4 October."""
    databases, _, pending = changed
    assert pending == [*APRIL.dates, SUMMER_BEGINS, MOVED]
    assert published_dates.pending_dates(databases.oltp) == []


def test_the_changes_are_in_the_facts_and_marts(changed: tuple[Databases, Layers, list[date]]) -> None:
    databases, before, _ = changed
    after = layers(databases.dsn)
    sydney = {
        row["reading_date"]: row
        for row in after["marts.mart_solar_performance"]
        if row["property_id"] == str(SYDNEY.id)
    }
    assert sydney[SUMMER_ENDS]["expected_intervals"] == sydney[SUMMER_ENDS]["actual_intervals"] == 100
    assert sydney[SUMMER_BEGINS]["expected_intervals"] == sydney[SUMMER_BEGINS]["actual_intervals"] == 92
    assert {row["solar_capacity_kw"] for row in sydney.values()} == {Decimal(SYDNEY.solar_kw)}

    def cost(found: Layers, dates: Window) -> Decimal:
        rows = of_dates(found, set(dates.dates))["core.fact_energy_daily"]
        return sum((row["cost_amount"] or Decimal(0) for row in rows), Decimal(0))

    assert cost(after, APRIL) > cost(before, APRIL) > 0
    of_flat = [
        row
        for row in after["core.fact_energy_daily"]
        if row["unit_id"] == str(SYDNEY.unit_id("101")) and row["reading_date"] in OCTOBER.dates
    ]
    meters, residents = ({(row[name], row["reading_date"] < MOVED) for row in of_flat} for name in OF_A_FLAT)
    assert len(meters) == len(residents) == 2
    assert len({key for key, _ in meters}) == len({key for key, _ in residents}) == 2
    current = {row["property_id"]: row["status"] for row in after["core.dim_property"] if row["is_current"]}
    assert current[str(LOS_ANGELES.id)] == "inactive"
    ended = [row for row in after["core.dim_property"] if row["property_name"] == "Entered by mistake"]
    assert [row["is_current"] for row in ended] == [False]


def test_other_dates_are_unchanged(changed: tuple[Databases, Layers, list[date]]) -> None:
    databases, before, pending = changed
    kept = {*APRIL.dates, *OCTOBER.dates} - set(pending)
    assert of_dates(before, kept)["marts.mart_solar_performance"]
    assert differing(of_dates(before, kept), of_dates(layers(databases.dsn), kept)) == {}


def test_a_run_leaves_no_table_of_its_own_behind(changed: tuple[Databases, Layers, list[date]]) -> None:
    databases, _, _ = changed
    assert [name for name in layers(databases.dsn) if "__dbt" in name] == []


def test_a_full_refresh_equals_the_overlapping_runs_over_changed_dates(
    changed: tuple[Databases, Layers, list[date]],
) -> None:
    """Snapshots stay, because they cannot be rebuilt; the tables built from them have the same keys."""
    databases, _, _ = changed
    with copied_database(databases.dsn) as dsn:
        with psycopg.connect(dsn) as connection:
            for schema in (*REBUILT, "bi"):
                connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
        for window in (APRIL, OCTOBER):
            build_all(dsn, databases.folder / "refresh", window)
        for schemas in (REBUILT, ("snapshots",)):
            assert differing(layers(databases.dsn, schemas), layers(dsn, schemas)) == {}


def test_runs_at_the_same_time_load_each_row_once(changed: tuple[Databases, Layers, list[date]]) -> None:
    databases, _, _ = changed
    rows = fetch(databases.dsn, sql.SQL("select count(*) as n, count(distinct id) as ids from raw.meters"))
    assert rows[0]["n"] == rows[0]["ids"] > 0
