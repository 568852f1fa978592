"""How fast readings are loaded, how long a day's pipeline takes, what isolation costs: `make bench`.

Here: measuring, in a database and a home of its own that are gone afterwards. Not here: tests of results.
The ratio of an ingest is to a binary COPY of the same rows into a table without key or checks, over one
connection, measured right before: machines differ, the ratio hardly does.
"""

import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
import typer
from psycopg import sql
from rich.console import Console

from benchmarks.measurement import Measurement, as_table
from benchmarks.oltp import measure_partitions, measure_policies
from data.ingest.landing import ETL_ROLE
from data.ingest.load import ingest_file
from data.ingest.session import transaction
from myproperty import console, local
from myproperty.settings import Settings, get_settings
from oltp_schema.migrate import upgrade

METERS = 800
DAYS = 3
INTERVAL_SECONDS = 300
PER_DAY = 86_400 // INTERVAL_SECONDS
START = date(2025, 3, 3)
COPIED = (
    "id, tenant_id, meter_id, channel, reading_ts, reading_date, interval_seconds, value_native, unit, "
    "value_kwh, quality, quality_method, reason_code, is_estimated, source, source_version, "
    "ingestion_job_id, version, created_at, updated_at"
)


class Part(StrEnum):
    """A part of the benchmark, with a server of its own."""

    INGEST = "ingest"
    PIPELINE = "pipeline"
    OLTP = "oltp"
    PARTITIONS = "partitions"


def main(
    only: Annotated[list[Part] | None, typer.Option(help="Measure this part alone; may be repeated.")] = None,
) -> None:
    """Measure, print a table and write what was measured to <home>/bench.json."""
    measures: dict[Part, Callable[[Settings], list[Measurement]]] = {
        Part.INGEST: measure_ingest,
        Part.PIPELINE: measure_pipeline,
        Part.OLTP: measure_policies,
        Part.PARTITIONS: measure_partitions,
    }
    settings = get_settings()
    console = Console()
    found = []
    for part in only or Part:
        with _engine() as engine:
            upgrade(local.dsn(engine))
            found += measures[part](engine)
    console.print(as_table(found))
    settings.home.mkdir(parents=True, exist_ok=True)
    target = settings.home / "bench.json"
    target.write_text(json.dumps([asdict(measurement) for measurement in found], indent=2) + "\n")
    console.print(f"written to {target}")


def measure_ingest(settings: Settings) -> list[Measurement]:
    """New dates, dates that have rows, and the bare COPY that both are held against."""
    dsn = local.dsn(settings)
    site = _company(dsn)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        files = [_file(Path(folder) / f"{part}.csv", part) for part in ("first", "second")]
        rows = METERS // 2 * PER_DAY * DAYS
        seconds = {}
        for name, path in zip(("new dates", "dates with rows"), files, strict=True):
            _register(dsn, site, path.stem)
            seconds[name] = _timed(lambda path=path: _ingest(path, dsn, rows))  # type: ignore[misc]
        bare = _bare_copy(dsn, rows)
    limit = rows / bare
    measured = [
        Measurement(f"ingest, {name}", rows / taken, taken, {"bare binary COPY": rows / taken / limit})
        for name, taken in seconds.items()
    ]
    return [Measurement("bare binary COPY", limit, bare), *measured]


def measure_pipeline(settings: Settings) -> list[Measurement]:
    """One day of the demo at `medium`, from readings to marts, in a database that holds all its days."""
    from dagster_project.jobs import run_pipeline
    from data.demo import apply_company, generate

    dsn = local.dsn(settings)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        generate(Path(folder), "medium", None)
        apply_company(dsn, "medium")
        readings, seconds = 0, 0.0
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            begun = time.perf_counter()
            result = ingest_file(path, tenant=path.relative_to(folder).parts[0], dsn=dsn)
            seconds += time.perf_counter() - begun
            readings += result.accepted + result.new_versions + result.unchanged
    day = _fullest_day(dsn)
    begun = time.perf_counter()
    with console.output_to(settings.home / "logs" / "run.log"):
        report = run_pipeline(day, day + timedelta(days=1), settings)
    taken = time.perf_counter() - begun
    if not report.success:
        raise RuntimeError(f"the pipeline of {day} failed, so its time means nothing: {report}")
    return [
        Measurement("ingest, the files of the demo at medium", readings / seconds, seconds),
        Measurement(f"pipeline of one day at medium ({day})", seconds=taken),
    ]


@contextmanager
def _engine() -> Iterator[Settings]:
    """A server of its own, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="myproperty-bench-", dir="/tmp") as folder:
        home = Path(folder)
        home.chmod(0o711)  # the server may run under another account
        settings = Settings(home=home, warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
        local.up(settings, emulator=False)
        try:
            yield settings
        finally:
            local.down(settings)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _ingest(path: Path, dsn: str, rows: int) -> None:
    result = ingest_file(path, tenant="Bench", dsn=dsn)
    if result.accepted != rows:
        raise RuntimeError(f"{path.name}: {result.accepted} of {rows} readings accepted, {result.rules}")


def _company(dsn: str) -> tuple[uuid.UUID, uuid.UUID]:
    with psycopg.connect(dsn) as connection:
        tenant = connection.execute(
            "insert into myproperty.tenants (name, region) values ('Bench', 'AU') returning id"
        ).fetchall()[0][0]
        site = connection.execute(
            "insert into myproperty.properties (tenant_id, name, timezone) "
            "values (%s, 'Site', 'UTC') returning id",
            (tenant,),
        ).fetchall()[0][0]
    return tenant, site


def _register(dsn: str, site: tuple[uuid.UUID, uuid.UUID], part: str) -> None:
    """Meters and registers of one file; the second file's meters are others on the same dates."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            """
            with made as (
                insert into myproperty.meters (tenant_id, property_id, type, serial_number, timezone)
                select %(tenant)s, %(site)s, 'grid', %(part)s || n, 'UTC'
                from generate_series(1, %(count)s) as n
                returning id, serial_number
            )
            insert into myproperty.meter_registers (tenant_id, meter_id, identifier, register, channel, unit)
            select %(tenant)s, id, serial_number, 'E1', 'import', 'kWh' from made
            """,
            {"tenant": site[0], "site": site[1], "part": part, "count": METERS // 2},
        )


def _file(path: Path, part: str) -> Path:
    """A canonical CSV of all meters of a part over the days, one meter after the other."""
    count, per_meter = METERS // 2, PER_DAY * DAYS
    rows = count * per_meter
    begin = int(datetime(START.year, START.month, START.day, tzinfo=UTC).timestamp())
    instants = np.tile(begin + np.arange(per_meter) * INTERVAL_SECONDS, count).astype("datetime64[s]")
    values = np.random.default_rng(7).integers(0, 5_000, rows)
    table = pa.table(
        {
            "identifier": pa.array(np.repeat([f"{part}{n}" for n in range(1, count + 1)], per_meter)),
            "register": ["E1"] * rows,
            "channel": ["import"] * rows,
            "unit": ["kWh"] * rows,
            "reading_ts": pa.array(np.char.add(np.datetime_as_string(instants), "Z")),
            "interval_seconds": np.full(rows, INTERVAL_SECONDS),
            "value": pa.array(values / 1000),
            "quality": ["actual"] * rows,
            "source_version": ["2025-03-10T00:00:00Z"] * rows,
        }
    )
    pacsv.write_csv(table, path, pacsv.WriteOptions(quoting_style="none"))
    return path


def _bare_copy(dsn: str, rows: int) -> float:
    """Seconds of a binary COPY of the first file's rows, as they were stored, into a bare table."""
    with psycopg.connect(dsn) as connection:
        connection.execute("create schema bench")
        connection.execute("create table bench.bare (like myproperty.meter_readings)")
        connection.execute(sql.SQL("grant usage on schema bench to {}").format(sql.Identifier(ETL_ROLE)))
    dates = [START + timedelta(days=day) for day in range(DAYS)]
    query = sql.SQL(
        "copy (select {} from myproperty.meter_readings where reading_date = any({}) limit {}) "
        "to stdout (format binary)"
    ).format(sql.SQL(COPIED), sql.Literal(dates), sql.Literal(rows))
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        with cursor.copy(query) as source:
            blocks = [bytes(block) for block in source]
        whole = b"".join(blocks)
        begun = time.perf_counter()
        with cursor.copy(
            sql.SQL("copy bench.bare ({}) from stdin (format binary)").format(sql.SQL(COPIED))
        ) as target:
            for start in range(0, len(whole), 1 << 18):
                target.write(whole[start : start + (1 << 18)])
        connection.commit()
        return time.perf_counter() - begun


def _fullest_day(dsn: str) -> date:
    with transaction(dsn, ETL_ROLE) as session:
        day: date = session.rows(
            "select reading_date from myproperty.ingestion_job_dates "
            "group by reading_date order by sum(readings) desc, reading_date desc limit 1"
        )[0][0]
    return day


if __name__ == "__main__":
    typer.run(main)
