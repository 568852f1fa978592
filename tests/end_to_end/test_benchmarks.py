"""Benchmarks run at a small size; that of the warehouse finds its marts equal to those of DuckDB."""

import shutil
from pathlib import Path

import pytest

from benchmarks import meters, warehouse
from benchmarks.bench import temporary_engine
from commands.databases import prepare_databases
from myproperty.settings import Settings
from tests.conftest import DatabaseMaker

pytestmark = pytest.mark.engine


def test_the_warehouse_is_measured(monkeypatch: pytest.MonkeyPatch, parsed_home: Path) -> None:
    monkeypatch.setattr(warehouse, "DAYS_A_MILLION", 1)
    monkeypatch.setattr(warehouse, "ROUNDS", 1)
    with temporary_engine() as settings:
        shutil.copytree(parsed_home, settings.home, dirs_exist_ok=True)
        prepare_databases(settings)
        found = warehouse.measure_warehouse(settings, [1])
    assert [measured.name.partition(",")[0] for measured in found] == [
        "whole build",
        "its SQL by hand",
        "one day",
        "one day",
        "DuckDB",
        "dbt on PostgreSQL",
    ]
    assert all(measured.seconds for measured in found)


def test_the_creation_of_meters_is_measured(
    monkeypatch: pytest.MonkeyPatch, migrated_database: DatabaseMaker, postgres_settings: Settings
) -> None:
    monkeypatch.setattr(meters, "IN_A_FEW_FILES", (meters.Fill(4, 2), meters.Fill(12, 2)))
    monkeypatch.setattr(meters, "IN_A_FILE_EACH", (meters.Fill(2, 2),))
    with migrated_database("meters") as dsn:
        found = meters.measure_meters(postgres_settings.model_copy(update={"oltp_dsn": dsn}))
    assert [measured.name.split()[1] for measured in found] == ["4", "12", "2"]
    assert all(measured.seconds for measured in found)
