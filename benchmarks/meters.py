"""Measure the creation of meters from their files: a meter must take as long, however many there are.

Each fill has a tenant of its own without meters, beside those of the fills before it. The tables are analysed
while they are empty: a first fill meets statistics of that time. Not here: readings of meters that exist
(`ingest`).
"""

import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv

from benchmarks.ingest import make_company
from benchmarks.measurement import Measurement
from data.ingest.readings.parallel import ingest_files
from myproperty import engines
from myproperty.settings import Settings

TENANT = "Bench"
WORKERS = 2
DAY = datetime(2025, 3, 6, tzinfo=UTC)
VERSION = "2025-06-01T00:00:00Z"
# kWh of a household by hour.
HOURS = (
    *(0.21, 0.18, 0.17, 0.16, 0.19, 0.25, 0.52, 0.83, 0.71, 0.44, 0.39, 0.42),
    *(0.61, 0.55, 0.37, 0.35, 0.41, 0.68, 0.97, 1.12, 1.04, 0.81, 0.53, 0.31),
)


@dataclass(frozen=True)
class Fill:
    """So many new meters in so many files."""

    meters: int
    files: int

    @property
    def name(self) -> str:
        """The name of its measurement."""
        each = "one meter each" if self.files == self.meters else f"{self.meters // self.files:,} meters each"
        return f"create {self.meters:,} meters, {self.files:,} files of {each}"


# Sizes of one kind, each about three times the one before it.
IN_A_FEW_FILES = (Fill(9_600, 24), Fill(28_800, 24), Fill(100_800, 24))
IN_A_FILE_EACH = (Fill(300, 300), Fill(1_000, 1_000), Fill(3_000, 3_000))


def measure_meters(settings: Settings) -> list[Measurement]:
    """Measure each kind of fill, and the time of a meter against that of the smallest fill of its kind."""
    dsn = engines.dsn(settings)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze")
    found = []
    for kind in (IN_A_FEW_FILES, IN_A_FILE_EACH):
        first = 0.0
        for fill in kind:
            taken = _fill(dsn, fill)
            first = first or taken / fill.meters
            ratio = {f"the time of a meter in {kind[0].meters:,}": taken / fill.meters / first}
            found.append(
                Measurement(fill.name, fill.meters / taken, taken, ratio if fill != kind[0] else None)
            )
    return found


def _fill(dsn: str, fill: Fill) -> float:
    """Ingest the files of a new tenant; return the seconds."""
    tenant = f"{TENANT} {fill.meters} in {fill.files}"
    make_company(dsn, 0, tenant)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        each = fill.meters // fill.files
        paths = [write_meters(Path(folder) / f"{n:05}.csv", n * each, each) for n in range(fill.files)]
        begun = time.perf_counter()
        for result in ingest_files(
            paths, tenant=tenant, dsn=dsn, workers=WORKERS, create_meters="Site 0", max_new_meters=fill.meters
        ):
            if result.accepted != each * len(HOURS):
                raise RuntimeError(f"{result.path} did not load, so its time means nothing: {result}")
        return time.perf_counter() - begun


def write_meters(path: Path, first: int, count: int) -> Path:
    """Write a canonical CSV of `count` meters with the readings of a day."""
    chance = np.random.default_rng(first)
    values = np.round(np.outer(chance.uniform(0.5, 5, count), HOURS), 3).reshape(-1)
    rows = len(values)
    instants = np.datetime64(DAY.replace(tzinfo=None), "s") + np.arange(len(HOURS)) * np.timedelta64(1, "h")
    table = pa.table(
        {
            "identifier": np.repeat([f"m{number}" for number in range(first, first + count)], len(HOURS)),
            "register": ["E1"] * rows,
            "channel": ["import"] * rows,
            "unit": ["kWh"] * rows,
            "reading_ts": np.char.add(np.tile(np.datetime_as_string(instants), count), "Z"),
            "interval_seconds": np.full(rows, 3600),
            "value": values,
            "quality": ["actual"] * rows,
            "source_version": [VERSION] * rows,
        }
    )
    pacsv.write_csv(table, path, pacsv.WriteOptions(quoting_style="none"))
    return path
