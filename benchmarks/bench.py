"""Measure loading, the pipeline, isolation, partitions and the warehouse: `make bench`.

It measures in a temporary home; it does not test results. Each ratio compares with a limit or peer of the
same run: machines differ, ratios hardly do.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.application import FULL_METERS, METERS, measure_application
from benchmarks.ingest import measure_ingest, measure_large
from benchmarks.measurement import Measurement, as_table
from benchmarks.meters import measure_meters
from benchmarks.oltp import measure_partitions, measure_policies
from benchmarks.warehouse import FULL_SIZES, SIZES, measure_warehouse
from commands import console
from commands.databases import prepare_databases
from data.ingest.readings.load import ingest_file
from myproperty import engines
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import transaction
from myproperty.settings import Settings, get_settings


class Part(StrEnum):
    """A part of the benchmark; each part has its own server."""

    INGEST = "ingest"
    METERS = "meters"
    LARGE = "large"
    PIPELINE = "pipeline"
    OLTP = "oltp"
    PARTITIONS = "partitions"
    WAREHOUSE = "warehouse"
    APPLICATION = "application"


def main(
    only: Annotated[list[Part] | None, typer.Option(help="Measure this part alone; may be repeated.")] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="The warehouse with 50 million readings too, and the application beside 100,000 meters: "
            "an hour more, and 60 GB.",
        ),
    ] = False,
) -> None:
    """Measure, print a table and write the figures to <home>/bench.json."""
    measures: dict[Part, Callable[[Settings], list[Measurement]]] = {
        Part.INGEST: measure_ingest,
        Part.METERS: measure_meters,
        Part.LARGE: measure_large,
        Part.PIPELINE: measure_pipeline,
        Part.OLTP: measure_policies,
        Part.PARTITIONS: measure_partitions,
        Part.WAREHOUSE: partial(measure_warehouse, sizes=FULL_SIZES if full else SIZES),
        Part.APPLICATION: partial(measure_application, meters=FULL_METERS if full else METERS),
    }
    settings = get_settings()
    console = Console()
    found = []
    for part in only or Part:
        with temporary_engine() as engine:
            prepare_databases(engine)
            found += measures[part](engine)
    console.print(as_table(found))
    settings.home.mkdir(parents=True, exist_ok=True)
    target = settings.home / "bench.json"
    target.write_text(json.dumps([asdict(measurement) for measurement in found], indent=2) + "\n")
    console.print(f"written to {target}")


def measure_pipeline(settings: Settings) -> list[Measurement]:
    """One day of the demo at `medium`, from readings to marts, twice, beside all its other days."""
    from dagster_project.runner import run_pipeline
    from data.demo import apply_company, generate_files

    dsn = engines.dsn(settings)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        generate_files(Path(folder), "medium", None)
        apply_company(dsn, "medium")
        readings, seconds = 0, 0.0
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            begun = time.perf_counter()
            result = ingest_file(path, tenant=path.relative_to(folder).parts[0], dsn=dsn)
            seconds += time.perf_counter() - begun
            readings += result.accepted + result.new_versions + result.unchanged
    day = _fullest_day(dsn)
    found = [Measurement("ingest, the files of the demo at medium", readings / seconds, seconds)]
    for run in ("first run", "run again"):
        begun = time.perf_counter()
        with console.output_to(settings.home / "logs" / "run.log"):
            report = run_pipeline(day, day + timedelta(days=1), settings)
        taken = time.perf_counter() - begun
        if not report.success:
            raise RuntimeError(f"the pipeline of {day} failed, so its time means nothing: {report}")
        found.append(Measurement(f"pipeline of one day at medium ({day}), {run}", seconds=taken))
    return found


@contextmanager
def temporary_engine() -> Iterator[Settings]:
    """Run a temporary server."""
    with tempfile.TemporaryDirectory(prefix="myproperty-bench-", dir="/tmp") as folder:
        home = Path(folder)
        home.chmod(0o711)  # the server may run under another account
        settings = Settings(home=home, warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
        engines.up(settings, emulator=False)
        try:
            yield settings
        finally:
            engines.down(settings)


def _fullest_day(dsn: str) -> date:
    with transaction(dsn, ETL_ROLE) as session:
        day: date = session.rows(
            "select reading_date from myproperty.ingestion_job_dates "
            "group by reading_date order by sum(readings) desc, reading_date desc limit 1"
        )[0][0]
    return day


if __name__ == "__main__":
    typer.run(main)
