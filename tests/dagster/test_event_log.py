"""The Dagster instance in files: what it is configured with, and that its log keeps every event."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetKey

from dagster_project import event_log
from dagster_project.event_log import PooledSqliteEventLogStorage
from dagster_project.instance import InstanceError, open_instance


def materialize(opened: dg.DagsterInstance, number: int) -> None:
    opened.report_runless_asset_event(dg.AssetMaterialization("table", metadata={"number": number}))


def numbers(opened: dg.DagsterInstance) -> list[int]:
    found = opened.fetch_materializations(AssetKey("table"), limit=1000).records
    materialized = [record.asset_materialization for record in found]
    return sorted(int(str(m.metadata["number"].value)) for m in materialized if m is not None)


def test_every_event_of_many_threads_is_kept_and_read_again(tmp_path: Path) -> None:
    with open_instance(tmp_path) as opened, ThreadPoolExecutor(8) as pool:
        assert isinstance(opened.event_log_storage, PooledSqliteEventLogStorage)
        list(pool.map(lambda number: materialize(opened, number), range(40)))
    with open_instance(tmp_path) as again:
        assert numbers(again) == list(range(40))


def test_two_processes_may_write_at_once(tmp_path: Path) -> None:
    """Two storages on the same files, as the command and the UI have."""
    with open_instance(tmp_path) as first, open_instance(tmp_path) as second:
        for number in range(10):
            materialize(first if number % 2 else second, number)
        assert numbers(first) == numbers(second) == list(range(10))


def test_many_runs_keep_few_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "MOST_OPEN_FILES", 2)
    with open_instance(tmp_path) as opened:
        log = opened.event_log_storage
        assert isinstance(log, PooledSqliteEventLogStorage)
        for number in range(4):
            log.get_logs_for_run(f"run-{number}")
        assert len(log._engines) == 2
        log.wipe()
        assert list(log._engines) == ["index"]
        materialize(opened, 1)
        assert numbers(opened) == [1]


def test_an_instance_that_vanishes_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(InstanceError, match=r"the Dagster instance of \S+ was lost: .*database"),
        open_instance(tmp_path) as opened,
    ):
        shutil.rmtree(tmp_path / "dagster")
        opened.get_runs()


def test_a_configuration_by_hand_is_kept_and_a_former_one_replaced(tmp_path: Path) -> None:
    config = tmp_path / "dagster" / "dagster.yaml"
    config.parent.mkdir()
    config.write_text("telemetry:\n  enabled: false\nnux:\n  enabled: false\n")
    with open_instance(tmp_path):
        assert "PooledSqliteEventLogStorage" in config.read_text()
    config.write_text("telemetry:\n  enabled: false\n")
    with open_instance(tmp_path) as opened:
        assert config.read_text() == "telemetry:\n  enabled: false\n"
        assert not isinstance(opened.event_log_storage, PooledSqliteEventLogStorage)


def test_events_stored_together_are_all_kept_or_none(tmp_path: Path) -> None:
    with open_instance(tmp_path) as opened:
        log = opened.event_log_storage
        materialize(opened, 1)
        ((stored,),) = [log.get_logs_for_run(run) for run in [""]]
        log.store_event_batch([stored] * 3)
        assert numbers(opened) == [1, 1, 1, 1]
        with pytest.raises(AttributeError):
            log.store_event_batch([stored, None])  # type: ignore[list-item]
        assert numbers(opened) == [1, 1, 1, 1]
        materialize(opened, 2)
        assert numbers(opened) == [1, 1, 1, 1, 2]
