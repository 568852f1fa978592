"""Fixtures: the demo company's files go through the real job, once for all tests of this folder."""

import gzip
import io
import re
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import psycopg
import pytest
from nemreader import NEMFile
from psycopg import sql

from dagster_project.runner import (
    build_quality,
    ingest_inbox,
    run_pending,
    validate_due,
)
from data.demo import apply_company, generate_files
from data.demo.billing import apply_billing
from data.demo.company import list_tenants
from data.warehouse.readers import list_own_logins
from myproperty import engines
from myproperty.database.roles import WAREHOUSE_TENANT_READERS
from myproperty.settings import Settings
from oltp_schema.logins import ensure_member
from oltp_schema.migrate import upgrade
from tests.conftest import DatabaseMaker
from tests.end_to_end.marked import mark_resident, with_keys
from tests.end_to_end.support import DAYS, RELATIONS, STRANGER, Platform, archived_files
from tests.logins import with_logins

NEM_TIME = timedelta(hours=10)


@pytest.fixture(scope="session")
def platform(
    fresh_database: DatabaseMaker,
    postgres_settings: Settings,
    parsed_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Platform]:
    home = shutil.copytree(parsed_home, tmp_path_factory.mktemp("end-to-end") / "home")
    # The parse holds for a database of this name. No other test uses the server's own.
    warehouse = engines.dsn(postgres_settings, "warehouse")
    with fresh_database("oltp") as oltp:
        settings = Settings(home=home, warehouse="postgres", oltp_dsn=oltp, warehouse_dsn=warehouse)
        upgrade(oltp)
        settings = with_logins(settings, postgres_settings)
        apply_company(str(settings.demo_dsn))
        plan = generate_files(Path(settings.inbox), "small", DAYS)
        # Ingesting moves the files to the archive, where the tests can still read them.
        ingested = ingest_inbox(settings)
        assert [result.status for result in ingested] == ["loaded"] * len(plan.files)
        validated = validate_due(settings)
        assert apply_billing(str(settings.billing_dsn), since=plan.start) > 0
        marked = mark_resident(with_keys(settings))
        yield Platform(settings, plan, validated, run_pending(settings), marked)


@pytest.fixture(scope="module")
def passwords(platform: Platform, postgres_settings: Settings) -> dict[str, str]:
    """The passwords of the warehouse's logins and of its readers, who are made."""
    found = engines.make_passwords(postgres_settings, [*list_own_logins(), STRANGER])
    with psycopg.connect(str(platform.settings.warehouse_dsn)) as connection:
        for reader in (*list_own_logins(), STRANGER):
            ensure_member(connection, reader, WAREHOUSE_TENANT_READERS, {}, found[reader])
    return found


@pytest.fixture(scope="module")
def quality(platform: Platform) -> Iterator[None]:
    """The relations that the job of that name makes; the other tests of this folder have none."""
    build_quality(platform.settings)
    yield
    with psycopg.connect(str(platform.settings.warehouse_dsn)) as connection:
        for schema, name, _ in connection.execute(RELATIONS).fetchall():
            if schema in ("raw", "marts") and re.search(
                "quality_(days|runs)|data_quality|pipeline_runs", name
            ):
                connection.execute(sql.SQL("drop table {} cascade").format(sql.Identifier(schema, name)))


def read_nem12(path: Path, folder: Path) -> Iterator[tuple[str, str, datetime, Decimal]]:
    """Read (NMI, register, start in UTC, kWh) with nemreader; its times are NEM time without a zone."""
    members = [path]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [Path(archive.extract(name, folder)) for name in archive.namelist()]
    for member in members:
        for nmi, registers in NEMFile(str(member)).nem_data().readings.items():
            for register, readings in registers.items():
                for reading in readings:
                    start = (reading.t_start - NEM_TIME).replace(tzinfo=UTC)
                    yield nmi, register, start, Decimal(str(round(reading.read_value, 6)))


def read_csv(path: Path) -> Iterator[tuple[str, str, datetime, Decimal]]:
    """Read the same from a canonical CSV with pandas."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    frame = pd.read_csv(io.BytesIO(data), dtype=str)
    columns = (frame["identifier"], frame["register"], frame["reading_ts"], frame["unit"], frame["value"])
    for identifier, register, start, unit, value in zip(*map(list, columns), strict=True):
        energy = Decimal(value) / (1000 if unit == "Wh" else 1)
        yield identifier, register, datetime.fromisoformat(start).astimezone(UTC), energy


@pytest.fixture(scope="session")
def energy_of_files(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Energy per meter, channel and local day, from the files alone; a later file replaces an earlier one.

    The file with bad rows is left out: its good rows only repeat other files.
    """
    folder = tmp_path_factory.mktemp("members")
    latest: dict[tuple[str, str, datetime], Decimal] = {}
    for path in archived_files(platform):
        if "bad-rows" in path.name:
            continue
        rows = read_nem12(path, folder) if "sydney" in path.name else read_csv(path)
        latest.update({(meter, register, start): value for meter, register, start, value in rows})
    places = {
        (meter.identifier, register.register): (site, meter, register)
        for tenant in list_tenants("small")
        for site in tenant.sites
        for meter in site.meters
        for register in meter.registers
    }
    sites = {site.key: tenant.id for tenant in list_tenants("small") for site in tenant.sites}
    rows_ = []
    for (identifier, name, start), value in latest.items():
        site, meter, register = places[identifier, name]
        day = start.astimezone(ZoneInfo(site.timezone)).date()
        rows_.append((str(sites[site.key]), str(site.id), str(meter.id), register.channel, day, value))
    columns = ["tenant_id", "property_id", "meter_id", "channel", "reading_date", "energy_kwh"]
    return pd.DataFrame(rows_, columns=columns)
