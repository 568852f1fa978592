"""The readings are in files too: the archived meter files, and the files of archived reading dates."""

import shutil
from collections.abc import Collection
from datetime import date
from pathlib import Path

import psycopg
import pytest

from data.demo import apply_company, generate_files
from data.ingest.readings.inbox import ingest_waiting
from data.ingest.readings.partitions import list_partitions
from data.landing.archive import archive_partitions, list_archived, restore_date
from myproperty.settings import Settings
from tests.conftest import DatabaseMaker

pytestmark = pytest.mark.engine

DAYS = 5
# Drawn by each load, or its clock. The demo's files say themselves when their values were made.
OF_THE_LOAD = {"id", "ingestion_job_id", "created_at", "updated_at"}
Rows = list[tuple[str, ...]]


def settings_of(dsn: str, home: Path) -> Settings:
    return Settings(home=home, warehouse="postgres", oltp_dsn=dsn, warehouse_dsn=None)


def ingest(settings: Settings) -> None:
    dsn = str(settings.oltp_dsn)
    apply_company(dsn)
    assert {result.status for result in ingest_waiting(settings, dsn)} == {"loaded"}
    assert not [path for path in Path(settings.inbox).rglob("*") if path.is_file()]


def read_readings(dsn: str, without: Collection[str] = ()) -> Rows:
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("select * from myproperty.meter_readings limit 0")
        names = [column.name for column in cursor.description or () if column.name not in without]
        cursor.execute(
            f"select {', '.join(f'{name}::text' for name in names)} from myproperty.meter_readings"
        )
        return sorted(cursor.fetchall(), key=str)


def test_an_empty_store_of_readings_is_filled_from_files(
    migrated_database: DatabaseMaker, tmp_path: Path
) -> None:
    with migrated_database("first") as first, migrated_database("again") as again:
        settings = settings_of(first, tmp_path / "first")
        generate_files(Path(settings.inbox), "small", DAYS)
        ingest(settings)
        before, figures = read_readings(first), read_readings(first, OF_THE_LOAD)
        assert len(before) > 5000

        archived = archive_partitions(
            first, settings.readings_archive, before=date(2025, 12, 1), even_if_pending=True
        )
        assert {result.status for result in archived} == {"archived"}
        assert read_readings(first) == [] and list_partitions(first) == []
        for found in list_archived(first):
            restore_date(first, found.reading_date)
        assert read_readings(first) == before

        other = settings_of(again, tmp_path / "again")
        shutil.copytree(settings.archive, other.inbox)
        ingest(other)
        assert read_readings(again, OF_THE_LOAD) == figures
