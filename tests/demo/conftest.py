"""The demo's files as other libraries read them: `nemreader` for NEM12, pandas for the CSV."""

from pathlib import Path

import nemreader
import pandas as pd
import psycopg
import pytest
from psycopg import sql

from data.demo import DemoPlan, generate
from data.demo.company import Site, company


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> DemoPlan:
    """The small demo over 30 days: the clock changes of all three zones are inside."""
    return generate(tmp_path_factory.mktemp("inbox"), "small", 30)


@pytest.fixture(scope="session")
def sites() -> dict[str, Site]:
    return {site.key: site for tenant in company("small") for site in tenant.sites}


@pytest.fixture(scope="session")
def readings(plan: DemoPlan, sites: dict[str, Site]) -> pd.DataFrame:
    """What all files together say: property, role, channel, reading_ts (UTC), local (naive), energy_wh.

    The later file wins an interval. Bad rows are left out, as nothing of that file is new.
    """
    frames = []
    for file in plan.files:
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
def row_counts(plan: DemoPlan) -> dict[str, int]:
    """Rows by file name, good and bad."""
    return {
        file.path.name: len(read_nem12(file.path) if file.format == "nem12" else pd.read_csv(file.path))
        for file in plan.files
    }


@pytest.fixture(scope="session")
def superseded(plan: DemoPlan, readings: pd.DataFrame) -> pd.DataFrame:
    """Readings of the first files that a later file gave another value: old value and final one."""
    first = [read_nem12(file.path) for file in plan.of_kind("first") if file.format == "nem12"]
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
    """Every row of every table as text, by table, the trail included."""
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
