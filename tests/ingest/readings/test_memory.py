"""A file larger than the memory that a load may use: bounded memory, and the same rows as from small files.

The large file goes through a process of its own, whose peak is measured; held in memory as a whole it would
take about twice the limit.
"""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from data.ingest.readings.parallel import ingest_files
from tests.ingest.conftest import Company, make_company

pytestmark = [pytest.mark.engine, pytest.mark.slow]

METERS, DAYS, SECONDS = 21, 35, 300
PER_METER = DAYS * 86_400 // SECONDS
FILE_MB, LIMIT_MB = 150, 500
# Long texts make the file large without more rows, which would take longer.
FLAG, REASON, SERIAL = "method " * 40, "reason " * 54, "serial-number-of-a-meter-that-is-long"
INGEST = """
import sys
from pathlib import Path
from data.ingest.readings.load import ingest_file
result = ingest_file(sys.argv[1], tenant=sys.argv[2], dsn=sys.argv[3])
print(result.status, result.accepted, result.quarantined, result.energy.is_balanced)
print(result.energy.energy_in_kwh)
# Not ru_maxrss: it includes the memory of the parent when the process started.
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


def rows() -> pa.Table:
    """Return readings meter by meter, some of them bad, and at the end newer values for some of the first."""
    count = METERS * PER_METER
    start = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp())
    instants = np.tile(start + np.arange(PER_METER) * SECONDS, METERS).astype("datetime64[s]")
    chance = np.random.default_rng(3)
    values = (chance.integers(0, 5_000, count) / 1000).astype(str)
    values[chance.random(count) < 0.002] = "-1"
    values[chance.random(count) < 0.002] = "x"
    first = pa.table(
        {
            "identifier": np.repeat([f"m{number}" for number in range(METERS)], PER_METER),
            "register": ["E1"] * count,
            "channel": ["import"] * count,
            "unit": ["kWh"] * count,
            "reading_ts": np.char.add(np.datetime_as_string(instants), "Z"),
            "interval_seconds": [str(SECONDS)] * count,
            "value": values,
            "quality": ["actual"] * count,
            "source_version": ["2024-06-01T00:00:00Z"] * count,
            "serial_number": [SERIAL] * count,
            "quality_method": [FLAG] * count,
            "reason_code": [REASON] * count,
        }
    )
    newer = first.slice(0, 500)
    newer = newer.set_column(8, "source_version", pa.array(["2024-07-01T00:00:00Z"] * 500))
    return pa.concat_tables([first, newer.set_column(6, "value", pa.array(["7.25"] * 500))])


def write(path: Path, table: pa.Table) -> Path:
    pacsv.write_csv(table, path, pacsv.WriteOptions(quoting_style="none"))
    return path


def by_date(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    days = np.array([text[:10] for text in table["reading_ts"].to_pylist()])
    for number in range(DAYS):
        day = str(date(2024, 3, 1) + timedelta(days=number))
        yield day, table.filter(pa.array(days == day))


def register_meters(company: Company) -> None:
    company.rows(
        """
        with made as (
            insert into myproperty.meters (tenant_id, property_id, type, serial_number, timezone)
            select %s, %s, 'grid', 'm' || n, 'UTC' from generate_series(0, %s) as n
            returning id, tenant_id, serial_number
        )
        insert into myproperty.meter_registers (tenant_id, meter_id, identifier, register, channel, unit)
        select tenant_id, id, serial_number, 'E1', 'import', 'kWh' from made returning 1
        """,
        company.tenant_id,
        company.property_id,
        METERS - 1,
    )


def stored(company: Company) -> list[tuple[object, ...]]:
    """Return one row for each date of a tenant, with a hash of every column that comes from a file."""
    return company.rows(
        """
        select r.reading_date, count(*), sum(r.value_kwh), sum(hashtextextended(concat_ws('|',
            m.serial_number, r.channel, r.reading_ts, r.interval_seconds, r.value_native, r.unit, r.quality,
            r.quality_method, r.reason_code, r.source_version, r.version
        ), 0))
        from myproperty.meter_readings as r join myproperty.meters as m on m.id = r.meter_id
        where r.tenant_id = %s group by 1 order by 1
        """,
        company.tenant_id,
    )


def quarantined(company: Company) -> list[tuple[object, ...]]:
    return company.rows(
        """
        select rule, identifier, reading_ts, value_native, count(*)
        from warehouse_staging.quarantined_readings where tenant_id = %s
        group by 1, 2, 3, 4 order by 1, 2, 3, 4
        """,
        company.tenant_id,
    )


def test_a_large_file_takes_little_memory_and_loads_the_same_rows_as_small_ones(
    company: Company, tmp_path: Path
) -> None:
    table = rows()
    register_meters(company)
    path = write(tmp_path / "large.csv", table)
    assert path.stat().st_size > FILE_MB << 20
    command = [sys.executable, "-c", INGEST, str(path), company.name, company.dsn]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    outcome, energy, peak = ran.stdout.splitlines()
    turned_away = quarantined(company)
    values = [text for text in table["value"].to_pylist() if text != "x"]
    assert Decimal(energy) == sum(map(Decimal, values))
    assert outcome == f"loaded {METERS * PER_METER - bad(table)} {len(turned_away)} True"
    assert int(peak) < LIMIT_MB

    other = make_company(company.dsn, "small files")
    register_meters(other)
    paths = [write(tmp_path / f"{day}.csv", part) for day, part in by_date(table)]
    results = list(ingest_files(paths, tenant=other.name, dsn=other.dsn, workers=2))
    assert {result.status for result in results} == {"loaded"}
    assert stored(other) == stored(company)
    assert quarantined(other) == turned_away
    assert sum(result.energy.energy_in_kwh for result in results if result.energy) == Decimal(energy)


def bad(table: pa.Table) -> int:
    """Return the number of intervals without a good value in the file."""
    ok = {
        (identifier, instant)
        for identifier, instant, value in zip(
            *(table[name].to_pylist() for name in ("identifier", "reading_ts", "value")), strict=True
        )
        if value not in ("x", "-1")
    }
    return METERS * PER_METER - len(ok)
