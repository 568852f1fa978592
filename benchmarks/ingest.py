"""Measure the loading of files against its limit and against other libraries.

The table has 1,500 earlier partitions; files have 0.5 % bad rows. The limit is a binary COPY of such rows
into a table without key or checks, over one connection. The peers write into the same table (partitioned,
keys, checks, foreign keys, policies), but parse and judge nothing and keep no ledger.
"""

import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import dlt
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
import sqlalchemy
from psycopg import sql

from benchmarks.measurement import Measurement
from benchmarks.oltp import make_partitions
from data.ingest.formats.parts import join_parts
from data.ingest.readings.load import read_mapped
from data.ingest.readings.parallel import ingest_files
from data.ingest.readings.registers import read_registers
from data.ingest.readings.store import prepare_for_copy
from data.ingest.rules.judge import judge
from data.ingest.schema import TIMESTAMP
from myproperty import engines
from myproperty.database.copying import encode
from myproperty.database.ids import repeated
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import transaction
from myproperty.settings import Settings

TENANT = "Bench"
METERS, INTERVAL_SECONDS = 800, 300
PER_DAY = 86_400 // INTERVAL_SECONDS
FILES, DAYS_A_FILE = 24, 1
BAD, CHANGED = 0.005, 0.01
HISTORY = (30, 365, 1_500)
FLAT_ROUNDS, BARE_ROUNDS = 5, 3
PEER_METERS = 70
START = date(2023, 3, 6)
VERSIONS = ("2023-06-01T00:00:00Z", "2023-07-01T00:00:00Z")
BARE = "bare binary COPY"
# A file of 2 GB, and the memory that one load may take whatever the file.
LARGE_DAYS, LARGE_BLOCK = 112, 50
MEMORY_LIMIT_MB = 600
INGEST = """
import sys
from pathlib import Path
from data.ingest.readings.load import ingest_file
result = ingest_file(sys.argv[1], tenant=sys.argv[2], dsn=sys.argv[3])
assert result.status == "loaded" and result.energy.is_balanced, result
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(result.accepted + result.quarantined, int(peak.split()[1]) / 1024)
"""


def measure_ingest(settings: Settings) -> list[Measurement]:
    """Measure growth with history, then limits, loads and peers with all of the history."""
    dsn = engines.dsn(settings)
    make_company(dsn, METERS)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        flat = _flatness(dsn, Path(folder))
        limit, limits = _limits(dsn, Path(folder))
        found = [*limits, *_ingests(dsn, Path(folder), limit)]
        return [*found, *_peers(dsn, Path(folder), found), *flat]


def measure_large(settings: Settings) -> list[Measurement]:
    """Load a file of 2 GB in a separate process; measure rows per second and peak memory."""
    dsn = engines.dsn(settings)
    make_company(dsn, METERS)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = _write_large(Path(folder))
        size = path.stat().st_size
        command = [sys.executable, "-c", INGEST, str(path), TENANT, dsn]
        begun = time.perf_counter()
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        taken = time.perf_counter() - begun
    rows, peak = (float(text) for text in ran.stdout.split())
    if rows != METERS * PER_DAY * LARGE_DAYS:
        raise RuntimeError(f"{rows} rows came of the file, so its time means nothing")
    ratio = {f"{MEMORY_LIMIT_MB} MB, peak memory {peak:.0f} MB": peak / MEMORY_LIMIT_MB}
    return [Measurement(f"ingest, a file of {size / 1e9:.1f} GB", rows / taken, taken, ratio)]


def _write_large(folder: Path) -> Path:
    """Write all meters to one file, some at a time."""
    path = folder / "large.csv"
    with path.open("wb") as whole:
        for first in range(0, METERS, LARGE_BLOCK):
            meters = (first, first + LARGE_BLOCK)
            text = write_file(folder / "block.csv", START, LARGE_DAYS, meters).read_bytes()
            whole.write(text if not first else text[text.index(b"\n") + 1 :])
    return path


def _flatness(dsn: str, folder: Path) -> list[Measurement]:
    """Load one day of all meters into a new date, after more and more earlier dates: the best of several."""
    found: list[Measurement] = []
    for number, count in enumerate(HISTORY):
        make_partitions(dsn, count)
        _settle(dsn)
        days = [START - timedelta(days=20 + FLAT_ROUNDS * number + turn) for turn in range(FLAT_ROUNDS)]
        paths = [write_file(folder / f"{day}.csv", day, 1, (0, METERS)) for day in days]
        taken = min(_timed(lambda path=path: _ingest(dsn, [path], 1)) for path in paths)  # type: ignore[misc]
        ratio = {f"the same with {HISTORY[0]}": taken / (found[0].seconds or 1)} if found else None
        name = f"ingest, one day with {count:,} dates behind it"
        found.append(Measurement(name, METERS * PER_DAY / taken, taken, ratio))
    return found


def _settle(dsn: str) -> None:
    """Finish the background work of the server, which a thousand new dates at once would cause."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")


def _limits(dsn: str, folder: Path) -> tuple[float, list[Measurement]]:
    """Measure the limits; return rows per second of the bare COPY, and the measurements."""
    day = START - timedelta(days=1)
    path = write_file(folder / "limits.csv", day, 1, (0, METERS), bad=0)
    rows = METERS * PER_DAY
    judging = _timed(lambda: _judged(dsn, path))
    stored = _as_stored(dsn, path)
    with psycopg.connect(dsn) as connection:
        connection.execute("create schema bench")
        connection.execute("create table bench.bare (like myproperty.meter_readings)")
        connection.execute("select myproperty.ensure_readings_partition(%s)", (day,))
    # As many rows as the files have that are held against it: a short COPY ends before its log is written.
    as_many = [stored] * (FILES // 2)
    bare = median(_timed(lambda: _copy(dsn, as_many, "bench.bare")) for _ in range(BARE_ROUNDS))
    full = _timed(lambda: _copy(dsn, [stored], "myproperty.meter_readings"))
    limit = rows * len(as_many) / bare
    return limit, [
        Measurement(BARE, limit, bare),
        Measurement("binary COPY into the readings", rows / full, full, {BARE: rows / full / limit}),
        Measurement("parse and judge alone", rows / judging, judging, {BARE: rows / judging / limit}),
    ]


def _ingests(dsn: str, folder: Path, limit: float) -> list[Measurement]:
    """Measure each kind of file with one and two workers; half of the meters are loaded before the others."""
    found = []
    half = METERS // 2
    rows = FILES * DAYS_A_FILE * half * PER_DAY
    for workers in (1, 2):
        start = START + timedelta(days=30 * workers)
        kinds: dict[str, tuple[tuple[int, int], str, float]] = {
            "new dates": ((0, half), VERSIONS[0], 0.0),
            "known files": ((0, half), VERSIONS[0], 0.0),
            "dates with rows": ((half, METERS), VERSIONS[0], 0.0),
            "corrected files": ((half, METERS), VERSIONS[1], CHANGED),
        }
        for kind, (meters, version, changed) in kinds.items():
            paths = [
                write_file(
                    folder / f"{workers}-{kind}-{number}.csv".replace("known files", "new dates"),
                    start + timedelta(days=number * DAYS_A_FILE),
                    DAYS_A_FILE,
                    meters,
                    version=version,
                    changed=changed,
                )
                for number in range(FILES)
            ]
            taken = _timed(lambda paths=paths, workers=workers: _ingest(dsn, paths, workers))  # type: ignore[misc]
            name = f"ingest, {kind}, {workers} worker{'s' if workers > 1 else ''}"
            found.append(Measurement(name, rows / taken, taken, {BARE: rows / taken / limit}))
    return found


def _peers(dsn: str, folder: Path, found: list[Measurement]) -> list[Measurement]:
    """Measure dlt's merge and pandas into dates with rows, against our load with one worker."""
    ours = next(m.rows_per_s or 0 for m in found if m.name == "ingest, dates with rows, 1 worker")
    day = START - timedelta(days=2)
    rows = PEER_METERS * PER_DAY
    _ingest(dsn, [write_file(folder / "behind.csv", day, 1, (METERS // 2, METERS))], 1)
    taken = {}
    for number, (name, load) in enumerate({"dlt merge": _dlt_merge, "pandas to_sql": _to_sql}.items()):
        meters = (number * PEER_METERS, (number + 1) * PEER_METERS)
        path = write_file(folder / f"{number}.csv", day, 1, meters, bad=0)
        stored = _as_stored(dsn, path)
        taken[name] = _timed(lambda load=load, stored=stored: load(dsn, stored))  # type: ignore[misc]
        _check_stored(dsn, day, stored)
    return [
        Measurement(
            f"{name} into dates with rows", rows / seconds, seconds, {"our ingest": rows / seconds / ours}
        )
        for name, seconds in taken.items()
    ]


def write_file(
    path: Path, first: date, days: int, meters: tuple[int, int], *,
    version: str = VERSIONS[0], changed: float = 0.0, bad: float = BAD,
) -> Path:  # fmt: skip
    """Write a canonical CSV of meters, one after the other; `changed` rows carry `version`."""
    count, per_meter = meters[1] - meters[0], PER_DAY * days
    rows = count * per_meter
    begin = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp())
    instants = np.tile(begin + np.arange(per_meter) * INTERVAL_SECONDS, count).astype("datetime64[s]")
    chance = np.random.default_rng(7)
    values = chance.integers(0, 5_000, rows) / 1000
    is_changed = chance.random(rows) < changed
    texts = (
        pa.array(np.where(is_changed, values + 7, values)).cast(pa.string()).to_numpy(zero_copy_only=False)
    )
    luck = chance.random(rows)
    texts = np.where(luck < bad, np.where(luck < bad / 2, "-1", "x"), texts)
    names = [f"m{number}" for number in range(meters[0] + 1, meters[1] + 1)]
    table = pa.table(
        {
            "identifier": pa.array(np.repeat(names, per_meter)),
            "register": ["E1"] * rows,
            "channel": ["import"] * rows,
            "unit": ["kWh"] * rows,
            "reading_ts": pa.array(np.char.add(np.datetime_as_string(instants), "Z")),
            "interval_seconds": np.full(rows, INTERVAL_SECONDS),
            "value": pa.array(texts.astype(str)),
            "quality": ["actual"] * rows,
            "source_version": pa.array(np.where(is_changed, version, VERSIONS[0])),
        }
    )
    pacsv.write_csv(table, path, pacsv.WriteOptions(quoting_style="none"))
    return path


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _ingest(dsn: str, paths: list[Path], workers: int) -> None:
    for result in ingest_files(paths, tenant=TENANT, dsn=dsn, workers=workers):
        if result.status not in ("loaded", "unchanged") or result.superseded:
            raise RuntimeError(f"{result.path} did not load, so its time means nothing: {result}")


def _judged(dsn: str, path: Path) -> pa.Table:
    parsed = read_mapped(path, None, None)
    with transaction(dsn, LOADER_ROLE) as session:
        registers = read_registers(session, _tenant(dsn), parsed)
    return judge(join_parts(parsed), registers, now=datetime.now(UTC)).readings


def _as_stored(dsn: str, path: Path) -> pa.Table:
    """Return the readings of a file with all columns of the table, for a job in the ledger."""
    tenant, job = _tenant(dsn), uuid.uuid4()
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into myproperty.ingestion_jobs (id, tenant_id, source_uri, content_hash, status) "
            "values (%s, %s, %s, %s, 'loaded')",
            (job, tenant, str(path), job.hex * 2),
        )
    rows = prepare_for_copy(_judged(dsn, path))
    now = pa.scalar(datetime.now(UTC), TIMESTAMP)
    same: dict[str, pa.Array] = {
        "tenant_id": repeated(tenant, rows.num_rows),
        "ingestion_job_id": repeated(job, rows.num_rows),
        "version": pa.repeat(pa.scalar(1, pa.int32()), rows.num_rows),
        "created_at": pa.repeat(now, rows.num_rows),
        "updated_at": pa.repeat(now, rows.num_rows),
    }
    for name, column in same.items():
        rows = rows.append_column(name, column)
    return rows


def _copy(dsn: str, tables: list[pa.Table], table: str) -> None:
    schema, name = table.split(".")
    command = sql.SQL("copy {} ({}) from stdin (format binary)").format(
        sql.Identifier(schema, name), sql.SQL(", ").join(map(sql.Identifier, tables[0].column_names))
    )
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor, cursor.copy(command) as stream:
        for block in encode(tables):
            stream.write(block)


def _plain(rows: pa.Table) -> pa.Table:
    """Return uuids as text."""
    texts = {
        name: pa.array([str(uuid.UUID(bytes=value)) for value in rows[name].to_pylist()])
        for name in rows.column_names
        if rows.schema.field(name).type == pa.binary(16)
    }
    return pa.table({name: texts.get(name, rows[name]) for name in rows.column_names})


def _to_sql(dsn: str, rows: pa.Table) -> None:
    frame: pd.DataFrame = _plain(rows).to_pandas()
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(dsn).set(drivername="postgresql+psycopg"))
    types: dict[str, Any] = dict.fromkeys(
        ("id", "tenant_id", "meter_id", "ingestion_job_id"), sqlalchemy.Uuid(as_uuid=False)
    )
    types |= dict.fromkeys(("value_native", "value_kwh"), sqlalchemy.Numeric(20, 9))
    with engine.begin() as connection:
        frame.to_sql(
            "meter_readings", connection, schema="myproperty", if_exists="append", index=False,
            dtype=types,
        )  # fmt: skip
    engine.dispose()


def _dlt_merge(dsn: str, rows: pa.Table) -> None:
    """Let the database cast text to uuid, because dlt has no type for uuids."""
    with psycopg.connect(dsn) as connection:
        connection.execute("create cast (varchar as uuid) with inout as implicit")
    key = ["tenant_id", "meter_id", "channel", "reading_ts", "reading_date"]
    with tempfile.TemporaryDirectory(prefix="bench-dlt-") as folder:
        pipeline = dlt.pipeline(
            "bench", pipelines_dir=folder, dataset_name="myproperty",
            destination=dlt.destinations.postgres(credentials=dsn),
        )  # fmt: skip
        pipeline.run(
            dlt.resource(_plain(rows), name="meter_readings"),
            write_disposition={"disposition": "merge", "strategy": "upsert"},
            primary_key=key,
        ).raise_on_failed_jobs()


def _check_stored(dsn: str, day: date, rows: pa.Table) -> None:
    with psycopg.connect(dsn) as connection:
        query = (
            "select count(*) from myproperty.meter_readings where reading_date = %s and ingestion_job_id = %s"
        )
        job = uuid.UUID(bytes=rows["ingestion_job_id"][0].as_py())
        stored = connection.execute(query, (day, job)).fetchall()[0][0]
    if stored != rows.num_rows:
        raise RuntimeError(f"{stored} of {rows.num_rows} readings were stored, so the time means nothing")


def _tenant(dsn: str) -> uuid.UUID:
    with psycopg.connect(dsn) as connection:
        query = "select id from myproperty.tenants where name = %s"
        found: uuid.UUID = connection.execute(query, (TENANT,)).fetchall()[0][0]
    return found


def make_company(dsn: str, meters: int, tenant: str = TENANT, properties: int = 1) -> None:
    """Make a tenant with meters `m1` to `m<meters>` in so many properties; each meter has the register E1."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            """
            with tenant as (
                insert into myproperty.tenants (name, region) values (%(tenant)s, 'AU') returning id
            ), site as (
                insert into myproperty.properties (tenant_id, name, timezone)
                select id, 'Site ' || n, 'UTC' from tenant, generate_series(0, %(properties)s - 1) as n
                returning id, tenant_id, name
            ), made as (
                insert into myproperty.meters (tenant_id, property_id, type, serial_number, timezone)
                select tenant_id, id, 'grid', 'm' || n, 'UTC' from generate_series(1, %(count)s) as n
                join site on name = 'Site ' || n %% %(properties)s
                returning id, tenant_id, serial_number
            )
            insert into myproperty.meter_registers (tenant_id, meter_id, identifier, register, channel, unit)
            select tenant_id, id, serial_number, 'E1', 'import', 'kWh' from made
            """,
            {"tenant": tenant, "count": meters, "properties": properties},
        )
