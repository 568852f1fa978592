"""The pure parts: windows of dates, dbt's arguments and connection, asset names, retries, the inbox."""

import json
import os
import shutil
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import fsspec
import psycopg
import pytest

from dagster_project.failures import permanent_unless_retryable
from dagster_project.partitions import run_tags, window_of
from data.ingest.readings import inbox
from data.raw.transfer import load_key
from myproperty.database.retry import is_retryable
from myproperty.dates import Window, contiguous
from myproperty.settings import Settings


@pytest.fixture
def dbt() -> ModuleType:
    """The module that calls dbt. dagster-dbt takes seconds, and each worker imports each test module."""
    from data.warehouse import project as dbt

    return dbt


def test_a_range_of_keys_is_a_half_open_window() -> None:
    dates = window_of("2026-02-27", "2026-03-01")
    assert dates == Window(date(2026, 2, 27), date(2026, 3, 2))
    assert dates.dates == [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]
    assert window_of(*list(run_tags(dates, "a test").values())[:2]) == dates


def test_windows_cover_exactly_the_dates() -> None:
    dates = [date(2026, 1, 9), date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 5), date(2025, 12, 31)]
    windows = contiguous(dates)
    assert [day for window in windows for day in window.dates] == sorted(set(dates))
    assert [len(window.dates) for window in windows] == [1, 2, 1]
    assert contiguous([]) == []


def test_dbt_gets_the_window_and_no_unit_tests(dbt: ModuleType) -> None:
    arguments = dbt.arguments("build", Window(date(2026, 1, 5), date(2026, 1, 8)))
    assert arguments[:3] == ["build", "--exclude-resource-type", "unit_test"]
    assert json.loads(arguments[arguments.index("--vars") + 1]) == {
        "start_date": "2026-01-05",
        "end_date": "2026-01-08",
    }
    assert "--vars" not in dbt.arguments("build")
    assert dbt.arguments("run") == ["run"]


def test_a_dsn_becomes_the_variables_of_the_profile(dbt: ModuleType) -> None:
    assert dbt.from_dsn("postgresql://me:p%40ss@127.0.0.1:5433/warehouse") == {
        "MYPROPERTY_DBT_HOST": "127.0.0.1",
        "MYPROPERTY_DBT_PORT": "5433",
        "MYPROPERTY_DBT_USER": "me",
        "MYPROPERTY_DBT_PASSWORD": "p@ss",
        "MYPROPERTY_DBT_DATABASE": "warehouse",
    }


@pytest.mark.slow
def test_changes_are_compared_with_the_published_manifest(
    tmp_path: Path, parsed_home: Path, dbt: ModuleType
) -> None:
    home = shutil.copytree(parsed_home, tmp_path / "home")
    dsn = "postgresql://me:secret@127.0.0.1:5433/warehouse"
    settings = Settings(home=home, warehouse="postgres", warehouse_dsn=dsn)
    words, environment = dbt.command(settings, ["ls", "--select", "state:modified+"])
    assert words[1:4] == ["ls", "--select", "state:modified+"]
    assert words[words.index("--target") + 1] == "postgres"
    assert environment["MYPROPERTY_DBT_PASSWORD"] == "secret"
    dbt.keep_manifest(settings)
    kept = json.loads((Path(environment["DBT_STATE"]) / "manifest.json").read_text())
    assert "model.myproperty.mart_solar_performance" in kept["nodes"]


def test_the_environment_is_restored(monkeypatch: pytest.MonkeyPatch, dbt: ModuleType) -> None:
    monkeypatch.setenv("MYPROPERTY_DBT_HOST", "before")
    monkeypatch.delenv("MYPROPERTY_DBT_PORT", raising=False)
    with dbt.environment({"MYPROPERTY_DBT_HOST": "during", "MYPROPERTY_DBT_PORT": "1"}):
        assert os.environ["MYPROPERTY_DBT_HOST"] == "during"
    assert os.environ["MYPROPERTY_DBT_HOST"] == "before"
    assert "MYPROPERTY_DBT_PORT" not in os.environ


def test_the_newest_source_ignores_what_dbt_writes(tmp_path: Path, dbt: ModuleType) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "a.sql").write_text("select 1")
    (tmp_path / "target" / "b.sql").write_text("select 1")
    os.utime(tmp_path / "a.sql", (100, 100))
    assert dbt.newest_source(tmp_path) == 100


@pytest.mark.parametrize(
    ("node", "path"),
    [
        ({"resource_type": "source", "source_name": "raw", "name": "meters"}, ["raw", "meters"]),
        ({"resource_type": "model", "name": "dim_unit", "config": {"schema": "core"}}, ["core", "dim_unit"]),
        (
            {"resource_type": "snapshot", "name": "snap_properties", "config": {"schema": "snapshots"}},
            ["snapshots", "snap_properties"],
        ),
    ],
)
def test_asset_keys_of_dbt_nodes(node: dict[str, Any], path: list[str]) -> None:
    from dagster_project.defs.warehouse.translator import asset_key

    assert asset_key(node).path == path


def test_a_model_outside_the_layers_is_refused() -> None:
    from dagster_project.defs.warehouse.translator import asset_key

    with pytest.raises(ValueError, match="dim_x has schema 'cor'"):
        asset_key({"resource_type": "model", "name": "dim_x", "config": {"schema": "cor"}})


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (psycopg.OperationalError("server is away"), True),
        (psycopg.errors.LockNotAvailable("busy"), True),
        (ConnectionRefusedError("emulator is away"), True),
        (psycopg.errors.InvalidPassword("no"), False),
        (psycopg.errors.UndefinedTable("no"), False),
        (ValueError("no"), False),
    ],
)
def test_only_errors_that_a_retry_can_fix_are_retried(error: Exception, retryable: bool) -> None:
    assert is_retryable(error) is retryable
    if retryable:
        with pytest.raises(type(error)), permanent_unless_retryable():
            raise error
    else:
        with pytest.raises(dg.Failure) as failed, permanent_unless_retryable():
            raise error
        assert failed.value.allow_retries is False


def test_load_keys_differ_by_run_table_and_date() -> None:
    keys = {
        load_key(run, entity, day) for run in "ab" for entity in "xy" for day in (None, [date(2026, 1, 5)])
    }
    assert len(keys) == 8


def test_the_inbox_is_read_by_tenant_and_name_and_archived(tmp_path: Path) -> None:
    for name in ("inbox/b/2.csv", "inbox/b/1.csv", "inbox/a/9.csv", "inbox/loose.csv", "inbox/a/.hidden"):
        made = tmp_path / name
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(name)
    filesystem, root = fsspec.core.url_to_fs(str(tmp_path / "inbox"))
    found = inbox.list_waiting(filesystem, root)
    assert [(file.tenant, file.name) for file in found] == [("a", "9.csv"), ("b", "1.csv"), ("b", "2.csv")]
    assert inbox.list_waiting(filesystem, str(tmp_path / "nowhere")) == []

    archive = str(tmp_path / "archive")
    for file, status in ((found[0], "loaded"), (found[1], "refused")):
        local = Path(file.path)
        inbox.move_to_archive(filesystem, file, local, inbox.choose_archive_url(archive, file, status, local))
    assert (tmp_path / "archive/a/9.csv").read_text() == "inbox/a/9.csv"
    assert (tmp_path / "archive/b/refused/1.csv").read_text() == "inbox/b/1.csv"
    assert [file.name for file in inbox.list_waiting(filesystem, root)] == ["2.csv"]
