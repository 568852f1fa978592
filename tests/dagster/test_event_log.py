"""The Dagster instance in files: what it is configured with, and that its log keeps every event."""

import shutil
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetKey
from dagster._core.events import BATCH_WRITABLE_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage

from dagster_project import event_log
from dagster_project.event_log import PooledSqliteEventLogStorage
from dagster_project.instance import InstanceError, open_instance

# Columns with the time at which the database wrote a row.
FILLED_IN = ("create_timestamp", "migration_completed")


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


def test_events_stored_together_leave_what_dagster_leaves_one_by_one(tmp_path: Path) -> None:
    """Planned and materialized partitions of two assets with checks: every row of every file is the same."""
    days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-08")
    single = dg.BackfillPolicy.single_run()

    @dg.asset(partitions_def=days, backfill_policy=single)
    def first() -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(tags={"a": "b"}, metadata={"rows": 7})

    @dg.asset(partitions_def=days, backfill_policy=single, deps=[first])
    def second() -> None: ...

    @dg.asset_check(asset=first, partitions_def=days)
    def is_right() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    run_tags = {
        "dagster/asset_partition_range_start": "2026-01-02",
        "dagster/asset_partition_range_end": "2026-01-06",
    }
    with open_instance(tmp_path / "recorded") as opened:
        job = dg.Definitions([first, second], asset_checks=[is_right]).get_implicit_global_asset_job_def()
        run = job.execute_in_process(instance=opened, tags=run_tags)
        assert run.success
        events = list(opened.event_log_storage.get_logs_for_run(run.run_id))
    kinds = Counter(event.dagster_event_type for event in events)
    assert kinds[dg.DagsterEventType.ASSET_MATERIALIZATION] == 10
    assert kinds[dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED] >= 1

    theirs = SqliteEventLogStorage(str(tmp_path / "theirs"))
    ours = PooledSqliteEventLogStorage(str(tmp_path / "ours"))
    for event in events:
        theirs.store_event(event)
    for is_batch, group in groupby(events, lambda event: event.dagster_event_type in BATCH_WRITABLE_EVENTS):
        if is_batch:
            ours.store_event_batch(list(group))
        else:
            for event in group:
                ours.store_event(event)
    theirs.dispose()
    ours.dispose()
    left, right = (read_files(tmp_path / name) for name in ("theirs", "ours"))
    for file, table in ((file, table) for file, tables in left.items() for table in tables):
        assert right[file][table] == left[file][table], (file, table)
    assert all(left["index"][table] for table in ("asset_keys", "asset_event_tags", "asset_check_executions"))


def read_files(folder: Path) -> dict[str, dict[str, list[tuple[Any, ...]]]]:
    """Return the rows of each table of each file, without what the database itself fills in."""
    found: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
    for path in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(path)) as connection:
            tables = [
                name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")
            ]
            found[path.stem] = {}
            for table in tables:
                columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
                kept = ", ".join(f'"{column}"' for column in columns if column not in FILLED_IN)
                found[path.stem][table] = connection.execute(
                    f"select {kept} from {table} order by 1"
                ).fetchall()
    return found


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
