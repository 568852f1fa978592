"""The benchmark of the warehouse runs, and its marts equal those of DuckDB over the same readings."""

import shutil
from pathlib import Path

import pytest

from benchmarks import warehouse
from benchmarks.bench import temporary_engine
from commands.databases import prepare_databases

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
