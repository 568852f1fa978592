"""Measure how the warehouse grows: a day's run with more and more history, a whole build, and DuckDB.

SQL writes invented rows into the raw tables: each day has equally many, so only the history differs. A
million readings are ten days of 40 properties, each with a grid meter, a roof, a common area and 22 flats in
quarter-hours, with one value in 997 missing and one in 101 estimated. No reference series is loaded. Memory
is that of PostgreSQL and dbt together, shared pages counted once. The peer of a whole build is the SQL of its
models, run by hand; its rows must be equal. The yardstick is one SQL statement for each mart on DuckDB, over
the same readings in Parquet; its results must be equal. History beyond 10 million repeats the newest 10
million on earlier dates: the cost of a day depends on the size of the history, not on its values.
"""

import json
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psutil
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from benchmarks.measurement import Measurement
from benchmarks.peer import measure_peer, read_models
from commands.databases import prepare_databases
from dagster_project.defs.warehouse.assets import STEPS
from data.landing.entities import LOADED
from data.raw.postgres import PostgresWarehouse
from data.warehouse import project as dbt
from myproperty import engines
from myproperty.database.session import transaction
from myproperty.settings import Settings

SIZES, FULL_SIZES = (1, 10), (1, 10, 50)
WHOLE = 10
DAYS_A_MILLION, ROUNDS = 10, 3
LAST = date(2025, 9, 30)
LAYERS = ("staging", "core", "marts", "bi", "snapshots")
NO_TESTS = ("--exclude-resource-type", "test", "unit_test")
MOST_MEMORY = 8 * 1024**3

COMPANY = """
create temporary table history as
    select timestamptz '2020-01-01Z' as created_at, timestamptz '2020-01-01Z' as updated_at, 1 as version,
        now() as landed_at;
create temporary table flats as
    select 'house-' || h as house, 'house-' || h || '-' || f as flat
    from generate_series(1, 40) as h, generate_series(1, 22) as f;
create temporary table series as
    select house, house || '-grid' as meter, channel, null as flat
    from (select distinct house from flats) as houses, unnest(array['import', 'export']) as channel
    union all select distinct house, house || '-roof', 'generation', null from flats
    union all select distinct house, house || '-common', 'consumption', null from flats
    union all select house, flat || '-sub', 'consumption', flat from flats;
insert into raw.tenants (id, tenant_id, name, region, status, created_at, updated_at, version, landed_at)
    select 'bench', 'bench', 'Bench', 'AU', 'active', h.* from history as h;
insert into raw.properties (id, tenant_id, name, timezone, solar_capacity_kw, status, created_at, updated_at,
        version, landed_at)
    select distinct house, 'bench', house, 'Australia/Brisbane', 80, 'active', h.* from flats, history as h;
insert into raw.units (id, tenant_id, property_id, label, active, created_at, updated_at, version, landed_at)
    select flat, 'bench', house, flat, true, h.* from flats, history as h;
insert into raw.tenancies (id, tenant_id, unit_id, user_id, occupied_from, created_at, updated_at, version,
        landed_at)
    select flat, 'bench', flat, flat, '2020-01-01', h.* from flats, history as h;
insert into raw.meters (id, tenant_id, property_id, type, serial_number, timezone, status, created_at,
        updated_at, version, landed_at)
    select distinct meter, 'bench', house, case channel when 'generation' then 'solar' else 'grid' end, meter,
        'Australia/Brisbane', 'active', h.* from series, history as h;
insert into raw.meter_registers (id, tenant_id, meter_id, identifier, register, channel, unit,
        interval_seconds, created_at, updated_at, version, landed_at)
    select meter || channel, 'bench', meter, meter, channel, channel, 'kWh', 900, h.*
    from series, history as h;
insert into raw.meter_assignments (id, tenant_id, meter_id, unit_id, assigned_from, created_at, updated_at,
        version, landed_at)
    select meter, 'bench', meter, flat, '2020-01-01', h.* from series, history as h where flat is not null;
insert into raw.rate_plans (id, tenant_id, provider_id, name, currency, status, created_at, updated_at,
        version, landed_at)
    select 'plan', 'bench', 'retailer', 'Plan', 'AUD', 'active', h.* from history as h;
insert into raw.rate_plan_bands (id, tenant_id, rate_plan_id, charge, band, day_kind, minutes_from,
        minutes_to, unit_amount, tax_rate, valid_from, created_at, updated_at, version, landed_at)
    select charge || band || kind, 'bench', 'plan', charge, band, kind, first, "end", price, 0.1,
        date '2020-01-01', h.*
    from (values
            ('solar', 'day', 0, 1440, 0.15), ('grid', 'day', 0, 960, 0.24), ('grid', 'peak', 960, 1440, 0.48)
        ) as b (charge, band, first, "end", price), unnest(array['weekday', 'weekend']) as kind, history as h;
insert into raw.rate_plan_assignments (id, tenant_id, unit_id, rate_plan_id, assigned_from, created_at,
        updated_at, version, landed_at)
    select flat, 'bench', flat, 'plan', '2020-01-01', h.* from flats, history as h;
insert into raw.emission_factor_regions (id, tenant_id, property_id, region, valid_from, created_at,
        updated_at, version, landed_at)
    select distinct house, 'bench', house, 'AU-QLD', date '2020-01-01', h.* from flats, history as h;
insert into raw.allocation_methods (id, tenant_id, property_id, method, valid_from, created_at, updated_at,
        version, landed_at)
    select distinct house, 'bench', house, 'hybrid', date '2020-01-01', h.* from flats, history as h;
insert into raw.allocation_keys (id, tenant_id, property_id, unit_id, share, valid_from, created_at,
        updated_at, version, landed_at)
    select flat, 'bench', house, flat, 0.04, date '2020-01-01', h.* from flats, history as h
    union all select distinct house, 'bench', house, null, 0.12, date '2020-01-01', h.*
    from flats, history as h;
"""
# What a roof exports is what it makes beyond half a kWh, so that all is plausible and nothing is the same.
READINGS = """
create temporary table if not exists numbered as
    select m.property_id as house, r.meter_id as meter, r.channel,
        row_number() over (order by r.meter_id, r.channel) as n,
        dense_rank() over (order by m.property_id) as h
    from raw.meter_registers as r join raw.meters as m on m.id = r.meter_id;
insert into raw.meter_readings (id, tenant_id, meter_id, channel, reading_ts, reading_date, interval_seconds,
    value_native, unit, value_kwh, quality, is_estimated, source, source_version, ingestion_job_id, version,
    created_at, updated_at, landed_at)
select meter || channel || at, 'bench', meter, channel, at, day, 900, kwh, 'kWh', kwh, 'actual',
    (n + i + d) % 101 = 0, 'bench', timestamptz '2025-12-01Z', 'bench', 1, timestamptz '2025-12-01Z',
    timestamptz '2025-12-01Z', now()
from (
    select s.*, day::date as day, i, day::date - date '2020-01-01' as d,
        (day::date::timestamp at time zone 'Australia/Brisbane') + i * interval '15 minutes' as at
    from generate_series({first}::date, {last}::date, '1 day') as day, numbered as s,
        generate_series(0, 95) as i
) as slots
cross join lateral (
    select case when i between 28 and 72 then ((i * 7 + h * 13 + d * 3) % 150) / 100.0 else 0 end as made
) as sun
cross join lateral (
    select case when (n * 31 + i * 7 + d) % 997 = 0 then null
        when channel = 'generation' then made
        when channel = 'export' then greatest(made - 0.5, 0)
        else ((n * 13 + i * 7 + d * 3) % 50) / 1000.0 end as kwh
) as metered
"""
COLUMNS = "meter_id, channel, reading_ts, reading_date, interval_seconds, value_kwh, is_estimated"
PARQUET = pa.schema(
    [
        ("meter_id", pa.string()),
        ("channel", pa.string()),
        ("reading_ts", pa.timestamp("us", tz="UTC")),
        ("reading_date", pa.date32()),
        ("interval_seconds", pa.int32()),
        ("value_kwh", pa.decimal128(20, 9)),
        ("is_estimated", pa.bool_()),
    ]
)
# The same marts as somebody would write them who has these files alone. Brisbane has no summer time.
YARDSTICK = {
    "core.fact_energy_daily": """
with clocked as (
    select r.*, hour(reading_ts + interval 10 hours) * 60 + minute(reading_ts + interval 10 hours) as minutes
    from readings as r
)
select meter_id, channel, reading_date, sum(value_kwh) as energy_kwh,
    sum(case when flat is not null then value_kwh * case when minutes < 960 then 0.24 else 0.48 end end)
        as cost_amount,
    count(value_kwh) as actual_intervals,
    count(*) filter (is_estimated and value_kwh is not null) as estimated_intervals
from clocked join meters using (meter_id)
group by all
""",
    "marts.mart_solar_performance": """
with intervals as (
    select house as property_id, reading_date, reading_ts,
        sum(value_kwh) filter (channel = 'generation') as generation,
        sum(value_kwh) filter (channel = 'export') as export,
        sum(value_kwh) filter (channel = 'import') as import,
        count(value_kwh) filter (channel in ('generation', 'export')) as actual,
        count(value_kwh) filter (channel in ('generation', 'export') and is_estimated) as estimated
    from readings join meters using (meter_id)
    where channel in ('generation', 'export', 'import')
    group by all
)
select property_id, reading_date, sum(generation) as generation_kwh,
    sum(generation - export) as self_consumed_kwh, sum(export) as exported_kwh, sum(import) as imported_kwh,
    sum(actual) as actual_intervals,
    round(100 * sum(actual)::decimal(20, 9) / 192, 4)::decimal(9, 4) as completeness_pct,
    round(100 * sum(estimated)::decimal(20, 9) / sum(actual), 4)::decimal(9, 4) as estimated_share_pct
from intervals group by all
""",
    "marts.mart_carbon_savings": """
with intervals as (
    select house as property_id, reading_date, reading_ts,
        sum(value_kwh) filter (channel = 'generation') as generation,
        sum(value_kwh) filter (channel = 'export') as export
    from readings join meters using (meter_id)
    where channel in ('generation', 'export')
    group by all
)
select property_id, reading_date, sum(generation - export) * 0.71 as avoided_location_kg,
    sum(export) * 0.71 as exported_location_kg
from intervals group by all
""",
}


@dataclass
class Peak:
    """The peak memory, in bytes."""

    bytes: int = 0


def measure_warehouse(settings: Settings, sizes: Sequence[int] = SIZES) -> list[Measurement]:
    """Measure a day's run at each size (in millions of readings), the build of 10 million, and DuckDB."""
    dsn = engines.dsn(settings, "warehouse")
    with closing(PostgresWarehouse(dsn)) as raw:
        for entity in LOADED.values():
            raw.ensure_table(entity)
    with psycopg.connect(dsn) as connection:
        connection.execute(COMPANY.encode())
    # dbt may read what a superuser made.
    prepare_databases(settings)
    found: list[Measurement] = []
    smallest: dict[str, float] = {}
    held = 0
    for size in sorted(sizes):
        _add_readings(dsn, held, size)
        if size <= WHOLE:
            found += _whole_build(settings, size)
        else:
            _repeat_history(settings, held, size)
        held = size
        for name, taken in _one_day(settings).items():
            ratio = (
                {f"the same at {sorted(sizes)[0]} M": taken / smallest[name]} if smallest.get(name) else None
            )
            smallest.setdefault(name, taken)
            found.append(Measurement(f"{name}, {size} M readings in the warehouse", None, taken, ratio))
        if size == max(s for s in sizes if s <= WHOLE):
            found += _yardstick(settings, size)
    return found


def _first(size: int) -> date:
    """Return the first day of the newest `size` million readings; for 0 the day after the last."""
    return LAST + timedelta(days=1 - size * DAYS_A_MILLION)


def _add_readings(dsn: str, held: int, size: int) -> None:
    """Add older days until there are `size` million readings."""
    query = sql.SQL(READINGS).format(
        first=sql.Literal(_first(size)), last=sql.Literal(_first(held) - timedelta(days=1))
    )
    with psycopg.connect(dsn) as connection:
        connection.execute(query)
    _vacuum(dsn)


def _repeat_history(settings: Settings, held: int, size: int) -> None:
    """Repeat the history of `held` million on earlier dates, until the models by date hold `size` million."""
    dsn = engines.dsn(settings, "warehouse")
    with psycopg.connect(dsn) as connection:
        for schema, table in _tables_by_date(settings):
            columns = connection.execute(
                "select column_name, data_type from information_schema.columns "
                "where table_schema = %s and table_name = %s order by ordinal_position",
                (schema, table),
            ).fetchall()
            for older in range(held, size, held):
                days = sql.Literal(timedelta(days=older * DAYS_A_MILLION))
                values = [
                    sql.SQL("({} - {})::{}").format(sql.Identifier(name), days, sql.SQL(kind))
                    if kind == "date" or kind.startswith("timestamp")
                    else sql.Identifier(name)
                    for name, kind in columns
                ]
                statement = sql.SQL(
                    "insert into {table} ({names}) select {values} from {table} where reading_date >= {first}"
                ).format(
                    table=sql.Identifier(schema, table),
                    names=sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
                    values=sql.SQL(", ").join(values),
                    first=sql.Literal(_first(held)),
                )
                connection.execute(statement)
                connection.commit()
    _vacuum(dsn)


def _tables_by_date(settings: Settings) -> list[tuple[str, str]]:
    nodes = json.loads((_target(settings) / "manifest.json").read_text())["nodes"]
    found = [nodes[name] for name in _models_by_date(settings)]
    return [(node["schema"], node["alias"]) for node in found if "reading_date" in node["columns"]]


def _vacuum(dsn: str) -> None:
    """Finish the background work of the server before a measurement."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze")


def _whole_build(settings: Settings, size: int) -> list[Measurement]:
    """Build everything from the raw tables in one range, from nothing, without tests."""
    with psycopg.connect(engines.dsn(settings, "warehouse")) as connection:
        for layer in LAYERS:
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(layer)))
    dbt.manifest(settings)
    with _watched(settings) as peak:
        begun = time.perf_counter()
        _build(settings, _first(size), _first(0))
        taken = time.perf_counter() - begun
    by_hand = measure_peer(settings, read_models(settings, _target(settings)))
    ratio = {
        "8 GiB at its peak of memory": peak.bytes / MOST_MEMORY,
        "its SQL by hand": taken / by_hand,
    }
    return [
        Measurement(f"whole build, {size} M readings", size * 1e6 / taken, taken, ratio),
        Measurement(f"its SQL by hand, into unlogged tables, {size} M", size * 1e6 / by_hand, by_hand),
    ]


def _one_day(settings: Settings) -> dict[str, float]:
    """Return the median seconds of the models by date, and of all models, that one day rebuilds."""
    _vacuum(engines.dsn(settings, "warehouse"))
    dated: list[float] = []
    every: list[float] = []
    for _ in range(ROUNDS):
        seconds: dict[str, float] = {}
        for select, exclude, has_dates, _ in STEPS.values():
            if has_dates:
                left_out = ["--exclude", *exclude.split()] if exclude else []
                words = ["--select", *select.split(), *left_out]
                seconds |= _build(settings, LAST, LAST + timedelta(days=1), words)
        every.append(sum(seconds.values()))
        dated.append(sum(taken for name, taken in seconds.items() if name in _models_by_date(settings)))
    return {
        "one day, its models by date": statistics.median(dated),
        "one day, all models of its run": statistics.median(every),
    }


def _models_by_date(settings: Settings) -> set[str]:
    manifest = json.loads((_target(settings) / "manifest.json").read_text())
    return {
        name for name, node in manifest["nodes"].items() if node["config"]["materialized"] == "incremental"
    }


def _build(settings: Settings, start: date, end: date, words: Sequence[str] = ()) -> dict[str, float]:
    """Build without tests; return the seconds of each node, without the start of dbt."""
    variables = json.dumps({"start_date": str(start), "end_date": str(end)})
    command, environment = dbt.command_on_parse(
        settings, ["build", *words, *NO_TESTS, "--vars", variables, "--quiet"], _target(settings)
    )
    with dbt.environment(environment):
        subprocess.run(command, check=True)
    results = json.loads((_target(settings) / "run_results.json").read_text())["results"]
    return {result["unique_id"]: result["execution_time"] for result in results}


def _target(settings: Settings) -> Path:
    return dbt.target_path(settings) / "bench"


@contextmanager
def _watched(settings: Settings) -> Iterator[Peak]:
    """Sample the memory of the server and of this process's children four times a second."""
    pid = int((settings.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    roots = (psutil.Process(pid), psutil.Process())
    peak, ended = Peak(), threading.Event()

    def look() -> None:
        while not ended.wait(0.25):
            processes = [roots[0], *(child for root in roots for child in root.children(recursive=True))]
            peak.bytes = max(peak.bytes, sum(map(_held, processes)))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def _held(process: psutil.Process) -> int:
    """Return the bytes of a process, shared pages in proportion; 0 if it has just ended."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0


def _yardstick(settings: Settings, size: int) -> list[Measurement]:
    """Measure DuckDB over the readings in Parquet. Raises `RuntimeError` if its marts differ from ours."""
    dsn = engines.dsn(settings, "warehouse")
    ours = _build(settings, _first(size), _first(0), ["--select", *_sources_of(YARDSTICK)])
    found: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, duckdb.connect() as connection:
        _export(dsn, Path(folder), size)
        connection.execute("set threads = 2")
        connection.execute(f"create view readings as from '{folder}/readings-*.parquet'")
        connection.execute(f"create view meters as from '{folder}/meters.parquet'")
        total = 0.0
        for relation, query in YARDSTICK.items():
            begun = time.perf_counter()
            rows = connection.execute(query).to_arrow_table()
            total += time.perf_counter() - begun
            _check_equal(dsn, relation, rows)
    built = sum(ours.values())
    ratio = {"the same of DuckDB": built / total}
    found.append(Measurement(f"DuckDB, marts of {size} M readings in plain SQL", size * 1e6 / total, total))
    found.append(
        Measurement(
            f"dbt on PostgreSQL, these marts and their fact, {size} M", size * 1e6 / built, built, ratio
        )
    )
    return found


def _sources_of(relations: dict[str, str]) -> list[str]:
    """Return the models of the yardstick, with the facts and candidates that they need."""
    needed = {"fact_energy_usage", "int_solar__availability", "candidate_solar_performance"}
    return sorted(needed | {"candidate_carbon_savings"} | {name.split(".")[1] for name in relations})


def _export(dsn: str, folder: Path, size: int) -> None:
    with transaction(dsn) as session:
        meters = session.arrow(
            "select m.id as meter_id, m.property_id as house, a.unit_id as flat from raw.meters as m "
            "left join raw.meter_assignments as a on a.meter_id = m.id",
            pa.schema([("meter_id", pa.string()), ("house", pa.string()), ("flat", pa.string())]),
        )
        pq.write_table(meters, folder / "meters.parquet")
        for number in range(size * DAYS_A_MILLION):
            day = _first(size) + timedelta(days=number)
            query = f"select {COLUMNS} from raw.meter_readings where reading_date = $1"  # noqa: S608
            pq.write_table(session.arrow(query, PARQUET, (day,)), folder / f"readings-{day}.parquet")


def _check_equal(dsn: str, relation: str, rows: pa.Table) -> None:
    """Compare a mart with the rows of DuckDB. Raises `RuntimeError` if they differ."""
    names = rows.column_names
    with psycopg.connect(dsn) as connection:
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        query = sql.SQL("select {} from {}").format(columns, sql.Identifier(*relation.split(".")))
        ours = {_plain(row) for row in connection.execute(query)}
    theirs = {_plain(tuple(row.values())) for row in rows.to_pylist()}
    if ours != theirs:
        differing = sorted(map(str, ours ^ theirs))[:4]
        raise RuntimeError(f"{relation} is not what DuckDB makes of the same readings: {differing}")


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Normalise the numbers of a row, so that type and scale do not matter."""
    return tuple(
        Decimal(str(value)).normalize() if isinstance(value, int | float | Decimal) else value
        for value in row
    )
