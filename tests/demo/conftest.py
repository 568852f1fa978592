"""Read the demo's files with other libraries: `nemreader` for NEM12, pandas for CSV."""

from pathlib import Path

import nemreader
import pandas as pd
import psycopg
import pytest
from psycopg import sql

from data.demo import DemoScope, generate_files
from data.demo.company import DemoProperty, list_tenants


@pytest.fixture(scope="session")
def scope(tmp_path_factory: pytest.TempPathFactory) -> DemoScope:
    """The small demo over 30 days, which include the clock changes of all three zones."""
    return generate_files(tmp_path_factory.mktemp("inbox"), "small", 30)


@pytest.fixture(scope="session")
def sites() -> dict[str, DemoProperty]:
    return {site.key: site for tenant in list_tenants("small") for site in tenant.sites}


@pytest.fixture(scope="session")
def readings(scope: DemoScope, sites: dict[str, DemoProperty]) -> pd.DataFrame:
    """Readings of all files: property, role, channel, reading_ts (UTC), local (naive), energy_wh.

    A later file replaces an earlier one. The file with bad rows is left out, since it has no new reading.
    """
    frames = []
    for file in scope.files:
        if file.kind != "bad_rows":
            frames.append(read_nem12(file.path) if file.format == "nem12" else read_csv(file.path))
    rows = pd.concat(frames, ignore_index=True)
    rows = rows.drop_duplicates(["identifier", "register", "reading_ts"], keep="last")
    known = pd.DataFrame(
        [
            (meter.identifier, register.register, site.key, meter.role, meter.serial_number, register.channel)
            for site in sites.values()
            for meter in site.meters
            for register in meter.registers
        ],
        columns=["identifier", "register", "property", "role", "serial_number", "channel"],
    )
    merged = rows.merge(known, on=["identifier", "register"], validate="many_to_one")
    assert len(merged) == len(rows)
    return pd.concat(
        rows.assign(local=rows["reading_ts"].dt.tz_convert(sites[str(key)].timezone).dt.tz_localize(None))
        for key, rows in merged.groupby("property")
    )


@pytest.fixture(scope="session")
def row_counts(scope: DemoScope) -> dict[str, int]:
    """Number of valid and invalid rows by file name."""
    return {
        file.path.name: len(read_nem12(file.path) if file.format == "nem12" else pd.read_csv(file.path))
        for file in scope.files
    }


@pytest.fixture(scope="session")
def superseded(scope: DemoScope, readings: pd.DataFrame) -> pd.DataFrame:
    """Readings that a later file changed, with first and final value."""
    first = [read_nem12(file.path) for file in scope.list_files("first") if file.format == "nem12"]
    key = ["identifier", "register", "reading_ts"]
    both = pd.concat(first).merge(readings, on=key, suffixes=("_first", ""), validate="one_to_one")
    return both[both["energy_wh_first"] != both["energy_wh"]]


def read_nem12(path: Path) -> pd.DataFrame:
    streams = nemreader.read_nem_file(str(path)).readings
    return pd.DataFrame(
        [
            (nmi, suffix, pd.Timestamp(reading.t_start, tz="Etc/GMT-10"), round(reading.read_value * 1000))
            for nmi, suffixes in streams.items()
            for suffix, values in suffixes.items()
            for reading in values
        ],
        columns=["identifier", "register", "reading_ts", "energy_wh"],
    ).assign(reading_ts=lambda rows: rows["reading_ts"].dt.tz_convert("UTC"))


def read_csv(path: Path) -> pd.DataFrame:
    rows = pd.read_csv(path, dtype={"register": str})
    factor = rows["unit"].map({"kWh": 1000, "Wh": 1})
    return rows[["identifier", "register"]].assign(
        reading_ts=pd.to_datetime(rows["reading_ts"], utc=True),
        energy_wh=(rows["value"] * factor).round().astype("int64"),
    )


def contents(dsn: str) -> dict[str, list[str]]:
    """Return every row of every table as text, by table, including the audit trail."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname in ('myproperty', 'originfd', 'audit') and c.relkind in ('r', 'p') "
            "and not c.relispartition"
        ).fetchall()
        rows = sql.SQL("select t::text from {} as t order by 1")
        return {
            table: [row[0] for row in connection.execute(rows.format(sql.Identifier(schema, table)))]
            for schema, table in tables
        }
