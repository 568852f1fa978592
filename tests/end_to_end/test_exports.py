"""Exports of the saved queries by the real job: what the warehouse answers, in whole files."""

import csv
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from commands.main import app
from dagster_project.defs.exports.jobs import NOT_SET
from dagster_project.defs.exports.jobs import exports as exports_job
from dagster_project.defs.exports.schedules import exports_daily
from dagster_project.resources.platform import Platform as Resource
from data.raw import exports
from data.raw.warehouse import open_warehouse
from data.warehouse.metrics import Metrics, Question
from data.warehouse.project import semantic_manifest
from data.warehouse.readers import ReadersRefused
from myproperty.settings import Settings
from tests.end_to_end.support import Platform

pytestmark = pytest.mark.engine

DAY = datetime(2025, 11, 4, tzinfo=UTC).date()


def with_exports(platform: Platform, url: str | None) -> Settings:
    return platform.settings.model_copy(update={"export_url": url})


def run_job(settings: Settings, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    resources = {"platform": Resource(settings)}
    return exports_job.execute_in_process(instance=instance, resources=resources, raise_on_error=False)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def ask(platform: Platform, name: str) -> pa.Table:
    metrics = Metrics(semantic_manifest(platform.settings), "postgres")
    warehouse = open_warehouse(platform.settings)
    try:
        return warehouse.ask(metrics.write_sql(Question(saved_query=name)), 100_000)
    finally:
        warehouse.close()


def in_order(rows: list[dict[str, object]]) -> list[str]:
    return sorted(repr(row) for row in rows)


def test_the_job_writes_what_each_saved_query_answers(
    platform: Platform, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert run_job(with_exports(platform, str(tmp_path / "out")), instance).success
    day = datetime.now(UTC).date()
    saved = Metrics(semantic_manifest(platform.settings), "postgres").list_saved_queries()
    names = {each["saved_query"] for each in saved}
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert files == {f"{name}/{day}.{kind}" for name in names for kind in ("parquet", "csv")}
    filled = 0
    for name in names:
        answer = ask(platform, name)
        parquet = pq.read_table(tmp_path / "out" / name / f"{day}.parquet")
        assert parquet.schema.equals(answer.schema), name
        assert in_order(parquet.to_pylist()) == in_order(answer.to_pylist()), name
        with (tmp_path / "out" / name / f"{day}.csv").open(newline="") as stream:
            header, *rows = csv.reader(stream)
        assert header == answer.column_names
        assert rows == [
            ["" if value is None else str(value) for value in row.values()] for row in parquet.to_pylist()
        ]
        filled += bool(rows)
    assert filled > 4


def test_a_second_export_of_a_date_replaces_its_files_and_no_other(
    platform: Platform, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    folder = tmp_path / "solar_by_month"
    folder.mkdir()
    today = datetime.now(UTC).date()
    for name in (f"{today}.csv", f".{today}.csv.part", "2020-01-01.csv"):
        (folder / name).write_text("of a killed export")
    assert run_job(with_exports(platform, f"{tmp_path}/"), instance).success
    first = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert run_job(with_exports(platform, f"{tmp_path}/"), instance).success
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == first
    assert (folder / "2020-01-01.csv").read_text() == "of a killed export"
    assert (folder / f"{today}.csv").read_text().startswith("metric_time__month,")
    assert list(tmp_path.rglob("*.part")) == []


def test_a_bucket_takes_them_too(platform: Platform, instance: dg.DagsterInstance) -> None:
    assert run_job(with_exports(platform, "memory://exports-of-a-test"), instance).success
    bucket = fsspec.filesystem("memory")
    found = bucket.find("/exports-of-a-test")
    try:
        assert f"/exports-of-a-test/receivables/{datetime.now(UTC).date()}.parquet" in found
        assert not [name for name in found if name.endswith(".part")]
    finally:
        bucket.rm("/exports-of-a-test", recursive=True)


def test_the_schedule_asks_for_a_run_only_where_a_folder_is_set(
    platform: Platform, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    for url in (None, str(tmp_path)):
        settings = with_exports(platform, url)
        with dg.build_schedule_context(instance, resources={"platform": Resource(settings)}) as context:
            tick = exports_daily.evaluate_tick(context)
        assert [bool(tick.run_requests), tick.skip_message] == [bool(url), None if url else NOT_SET]
    assert run_job(with_exports(platform, None), instance).success
    assert list(tmp_path.iterdir()) == []


def test_exports_as_a_reader_have_its_tenants_alone(
    platform: Platform, passwords: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", passwords["demo_sonnenhof"])
    tenants = {}
    for reader in (None, "demo_sonnenhof"):
        url = str(tmp_path / f"of-{reader}")
        names = ["bills_by_month"]
        exports.export_saved_queries(platform.settings, url, DAY, names=names, reader=reader)
        rows = pq.read_table(f"{url}/bills_by_month/{DAY}.parquet").to_pylist()
        tenants[reader] = {row["invoice_line__tenant_name"] for row in rows}
    assert len(tenants[None]) == 2
    assert ["sonnenhof" in name.lower() for name in tenants["demo_sonnenhof"]] == [True]
    with pytest.raises(ReadersRefused):
        exports.export_saved_queries(platform.settings, str(tmp_path), DAY, reader="nobody")


def test_one_that_fails_keeps_no_other_back_and_leaves_no_half_of_a_file(
    platform: Platform, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "returns").write_text("a file where the folder should be")
    ran = run_job(with_exports(platform, str(tmp_path)), instance)
    assert not ran.success
    (failure,) = [event for event in ran.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data
    assert said and said.description
    assert "returns: " in said.description and "MYPROPERTY_EXPORT_URL" in said.description
    assert len(list(tmp_path.rglob("*.parquet"))) == 5
    shutil.rmtree(tmp_path / "receivables")
    monkeypatch.setattr(exports, "MOST_ROWS", 0)
    with pytest.raises(exports.ExportFailed, match="receivables: it has more than 0 rows"):
        exports.export_saved_queries(platform.settings, str(tmp_path), DAY, names=["receivables"])
    assert not (tmp_path / "receivables").exists()


def test_the_command_does_the_same_and_names_what_is_missing(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.metrics.get_settings", lambda: platform.settings)
    runner = CliRunner()
    refused = runner.invoke(app, ["metrics", "export"])
    assert refused.exit_code == 2 and "MYPROPERTY_EXPORT_URL" in refused.output
    refused = runner.invoke(app, ["metrics", "export", "bills", "--folder", str(tmp_path)])
    assert refused.exit_code == 1 and "bills_by_month" in refused.output
    assert list(tmp_path.iterdir()) == []
    done = runner.invoke(app, ["metrics", "export", "bills_by_month", "--folder", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert sorted(path.suffix for path in (tmp_path / "bills_by_month").iterdir()) == [".csv", ".parquet"]
