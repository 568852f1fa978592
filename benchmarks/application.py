"""Measure the application's calls while a large day is taken in, and the intake while calls are made.

A day of half-hours of many meters goes from files through validation to published marts, once alone and once
(the next day) beside the calls. The calls come at a steady rate; the time of a call begins when it was due.
"""

import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from benchmarks.ingest import TENANT, make_company
from benchmarks.measurement import Measurement
from benchmarks.oltp import (
    CALLS,
    SECURED,
    fill,
    make_login,
    pgbench_command,
    pgbench_environment,
    read_seconds,
)
from commands import console
from data.ingest.readings.parallel import ingest_files
from myproperty import engines
from myproperty.settings import Settings

METERS, FULL_METERS = 10_000, 100_000
OF_A_PROPERTY = 100
FILES, WORKERS = 24, 2
INTERVAL_SECONDS = 1800
PER_DAY = 86_400 // INTERVAL_SECONDS
FIRST = date(2026, 2, 3)
RATE, SESSIONS, QUIET_S, SLICE_S = 40, 4, 60, 5


def measure_application(settings: Settings, meters: int) -> list[Measurement]:
    """Measure calls alone, a day of `meters` alone, and both at once; each as a ratio to itself alone."""
    dsn, password = engines.dsn(settings), secrets.token_urlsafe(24)
    fill(dsn)
    make_login(dsn, password)
    make_company(dsn, meters, properties=meters // OF_A_PROPERTY)
    # The first day makes the meters' dimensions and has no history; it is not measured.
    _take_in(settings, FIRST, meters)
    alone = _take_in(settings, FIRST + timedelta(days=1), meters)
    with _calls(dsn, password) as quiet:
        time.sleep(QUIET_S)
    with _calls(dsn, password) as busy:
        beside = _take_in(settings, FIRST + timedelta(days=2), meters)
    readings = meters * PER_DAY
    return [
        Measurement(f"a day of {meters:,} meters, files to marts, alone", readings / alone, alone),
        Measurement(
            f"the same beside {RATE} calls/s", readings / beside, beside, {"the time alone": beside / alone}
        ),
        *_compare("half of the calls", 0.5, quiet, busy),
        *_compare("95 % of the calls", 0.95, quiet, busy),
        *_compare("99 % of the calls", 0.99, quiet, busy),
    ]


def _compare(name: str, share: float, quiet: list[float], busy: list[float]) -> Iterator[Measurement]:
    alone, beside = (float(np.quantile(seconds, share)) for seconds in (quiet, busy))
    yield Measurement(f"{name} take at most, alone", seconds=alone)
    yield Measurement(
        f"{name} take at most, beside the intake", seconds=beside, ratio_to={"alone": beside / alone}
    )


@contextmanager
def _calls(dsn: str, password: str) -> Iterator[list[float]]:
    """Make all kinds of calls at a steady rate meanwhile; the list gets the seconds of each."""
    seconds: list[float] = []
    is_over = Event()
    with ThreadPoolExecutor(1) as threads:
        calling = threads.submit(_call_until, is_over, seconds, dsn, password)
        try:
            yield seconds
        finally:
            is_over.set()
        calling.result()


def _call_until(is_over: Event, seconds: list[float], dsn: str, password: str) -> None:
    """Make the calls of one slice after the other: pgbench writes its log when it ends."""
    words = [f"--rate={RATE}", f"--client={SESSIONS}", f"--jobs={SESSIONS}", f"--time={SLICE_S}"]
    while not is_over.is_set():
        with tempfile.TemporaryDirectory(prefix="calls-") as name:
            folder = Path(name)
            command = pgbench_command(dsn, CALLS, SECURED, folder, *words)
            environment = pgbench_environment(password, SECURED)
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            made = read_seconds(folder)
        if done.returncode or not made:
            raise RuntimeError(f"{len(made)} calls were made in {SLICE_S} s: {done.stdout}{done.stderr}")
        seconds += made


def _take_in(settings: Settings, day: date, meters: int) -> float:
    """Write the files of a day; return the seconds from files to published marts."""
    from dagster_project.runner import run_pipeline, validate_due

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        paths = _write_files(Path(folder), day, meters)
        begun = time.perf_counter()
        results = list(ingest_files(paths, tenant=TENANT, dsn=engines.dsn(settings), workers=WORKERS))
        if bad := [result for result in results if result.status != "loaded" or result.quarantined]:
            raise RuntimeError(f"{len(bad)} files did not load whole, so the time means nothing: {bad[0]}")
        with console.output_to(settings.home / "logs" / "run.log"):
            validate_due(settings)
            report = run_pipeline(day, day + timedelta(days=1), settings)
        taken = time.perf_counter() - begun
    if not report.success:
        raise RuntimeError(f"the pipeline of {day} failed, so its time means nothing: {report.error}")
    return taken


def _write_files(folder: Path, day: date, meters: int) -> list[Path]:
    """Write the half-hours of a day in canonical CSV, each file with as many meters."""
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    starts = (begin + np.arange(PER_DAY) * INTERVAL_SECONDS).astype("datetime64[s]")
    instants = np.char.add(np.datetime_as_string(starts), "Z")
    shape = 0.25 + 0.2 * np.sin(np.arange(PER_DAY) / PER_DAY * 2 * np.pi)
    chance = np.random.default_rng(day.toordinal())
    paths = []
    for number, names in enumerate(np.array_split(np.arange(1, meters + 1), FILES)):
        rows = len(names) * PER_DAY
        values = np.tile(shape, len(names)) * chance.uniform(0.8, 1.2, rows)
        table = pa.table(
            {
                "identifier": pa.array(np.repeat(np.char.add("m", names.astype(str)), PER_DAY)),
                "register": ["E1"] * rows,
                "channel": ["import"] * rows,
                "unit": ["kWh"] * rows,
                "reading_ts": pa.array(np.tile(instants, len(names))),
                "interval_seconds": np.full(rows, INTERVAL_SECONDS),
                "value": np.round(values, 3),
                "quality": ["actual"] * rows,
                "source_version": [f"{day + timedelta(days=1)}T04:00:00Z"] * rows,
            }
        )
        paths.append(folder / f"{number}.csv")
        pacsv.write_csv(table, paths[-1], pacsv.WriteOptions(quoting_style="none"))
    return paths
