"""The inbox as a bucket: runs by content, files that still grow, the archive, and files that fail."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import fsspec
import psycopg
import pytest

from dagster_project.defs.ingest.sensors import inbox_files
from dagster_project.resources.platform import Platform
from dagster_project.runner import ingest_inbox
from data.ingest.readings import inbox, quarantine
from myproperty.errors import DatabaseUnavailable
from myproperty.settings import Settings
from tests.ingest.conftest import Company, FileMaker, hours

pytestmark = pytest.mark.engine


class Bucket:
    """An inbox and an archive in memory."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.platform = Platform(settings)
        self.filesystem = fsspec.filesystem("memory")

    def put(self, path: str, content: str) -> None:
        self.filesystem.pipe_file(f"{self.settings.inbox}/{path}", content.encode())

    def paths(self, root: str) -> list[str]:
        """Return the paths below the inbox or the archive."""
        place = self.filesystem._strip_protocol(root)
        return sorted(path.removeprefix(f"{place}/") for path in self.filesystem.find(root))

    def ingest(self) -> list[tuple[str, str]]:
        return [
            (Path(result.path).name, result.status)
            for result in inbox.ingest_waiting(self.settings, self.platform.oltp_dsn)
        ]


@pytest.fixture
def bucket(oltp_dsn: str, tmp_path: Path) -> Iterator[Bucket]:
    root = f"memory://{uuid.uuid4().hex}"
    yield Bucket(
        Settings(home=tmp_path, oltp_dsn=oltp_dsn, inbox_url=f"{root}/inbox", archive_url=f"{root}/archive")
    )
    fsspec.filesystem("memory").rm(root, recursive=True)


def tick(bucket: Bucket, cursor: str | None, instance: dg.DagsterInstance) -> Any:
    """Evaluate the sensor once."""
    context = dg.build_sensor_context(
        instance, cursor=cursor, resources={"platform": bucket.platform}, sensor_name=inbox_files.name
    )
    return inbox_files.evaluate_tick(context)


def files(evaluated: Any) -> list[str]:
    """Return the names of the files for which a tick requests a run."""
    return [
        Path(path).name
        for request in evaluated.run_requests or []
        for path in request.run_config["ops"]["meter_files"]["config"]["files"]
    ]


def test_a_run_takes_files_that_no_longer_grow_and_its_key_is_their_content(bucket: Bucket) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        bucket.put("acme/a.csv", "one")
        bucket.put("acme/b.csv", "half")
        first = tick(bucket, None, instance)
        assert files(first) == []
        bucket.put("acme/b.csv", "half and more")
        second = tick(bucket, first.cursor, instance)
        assert files(second) == ["a.csv"]
        third = tick(bucket, second.cursor, instance)
        assert files(third) == ["b.csv"]
        # Both stayed in the inbox: they are not tried again before they change.
        fourth = tick(bucket, third.cursor, instance)
        assert files(fourth) == []
        bucket.put("acme/b.csv", "mended")
        fifth = tick(bucket, tick(bucket, fourth.cursor, instance).cursor, instance)
        assert files(fifth) == ["b.csv"]
        # The same content has the same key, whatever time the store reports.
        bucket.put("acme/b.csv", "half and more")
        again = tick(bucket, tick(bucket, fifth.cursor, instance).cursor, instance)
        keys = [each.run_requests[0].run_key for each in (second, third, fifth, again)]
        assert keys[3] == keys[1]
        assert len(set(keys)) == 3


def test_files_that_stay_do_not_block_others(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_project.defs.ingest.sensors.FILES_PER_RUN", 1)
    with dg.DagsterInstance.ephemeral() as instance:
        bucket.put("Nobody/a.csv", "stays")
        bucket.put("acme/b.csv", "waits")
        second = tick(bucket, tick(bucket, None, instance).cursor, instance)
        assert files(second) == ["a.csv"]
        assert files(tick(bucket, second.cursor, instance)) == ["b.csv"]


def test_a_file_that_may_not_be_read_does_not_hold_up_others(
    bucket: Bucket, company: Company, csv_file: FileMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put(f"{company.name}/a.csv", csv_file("a.csv", hours(2)).read_text())
    bucket.put(f"{company.name}/closed.csv", "x")

    # Copied there by root with its owner's rights, for example; root itself may read everything.
    def refuse(read: Any) -> Any:
        def read_if_allowed(path: str, *rest: Any, **named: Any) -> Any:
            if path.endswith("closed.csv"):
                raise PermissionError(f"[Errno 13] Permission denied: '{path}'")
            return read(path, *rest, **named)

        return read_if_allowed

    for name in ("open", "get_file"):
        monkeypatch.setattr(bucket.filesystem, name, refuse(getattr(bucket.filesystem, name)))
    with dg.DagsterInstance.ephemeral() as instance:
        second = tick(bucket, tick(bucket, None, instance).cursor, instance)
    assert files(second) == ["a.csv", "closed.csv"]
    results = {
        Path(result.path).name: result
        for result in inbox.ingest_waiting(bucket.settings, bucket.platform.oltp_dsn)
    }
    assert {name: result.status for name, result in results.items()} == {
        "a.csv": "loaded", "closed.csv": "failed",
    }  # fmt: skip
    refusal = results["closed.csv"].refusal
    assert refusal and "Permission denied" in refusal.reason and "account read it" in refusal.remedy


def test_a_run_waits_while_the_previous_one_runs(bucket: Bucket) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        bucket.put("acme/a.csv", "one")
        cursor = tick(bucket, None, instance).cursor
        instance.add_run(dg.DagsterRun(job_name="ingest", run_id="r", status=dg.DagsterRunStatus.STARTED))
        assert "being ingested" in tick(bucket, cursor, instance).skip_message


def test_hidden_and_unfinished_files_are_ignored(bucket: Bucket) -> None:
    for path in (
        "acme/.a.csv",
        "acme/a.csv.part",
        "acme/a.csv.TMP",
        "acme/.b/a.csv",
        "stray.csv",
        "acme/a.csv",
    ):
        bucket.put(path, "x")
    found = inbox.list_waiting(*fsspec.core.url_to_fs(bucket.settings.inbox))
    assert [(file.tenant, file.name) for file in found] == [("acme", "a.csv")]


def test_a_file_that_changes_while_it_is_read_stays(
    bucket: Bucket, company: Company, csv_file: FileMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put(f"{company.name}/a.csv", csv_file("a.csv", hours(2)).read_text())
    get_file = bucket.filesystem.get_file

    def grow(path: str, local: str) -> None:
        get_file(path, local)
        bucket.put(f"{company.name}/a.csv", csv_file("a.csv", hours(3)).read_text())

    monkeypatch.setattr(bucket.filesystem, "get_file", grow)
    assert bucket.ingest() == []
    monkeypatch.undo()
    assert bucket.ingest() == [("a.csv", "loaded")]
    assert len(company.current()) == 3


def test_one_bad_file_never_blocks_the_others(
    bucket: Bucket, company: Company, csv_file: FileMaker, monkeypatch: pytest.MonkeyPatch, parsed_home: Path
) -> None:
    from data.ingest.readings import load

    shutil.copytree(parsed_home, bucket.settings.home, dirs_exist_ok=True)
    good = csv_file("a.csv", hours(2)).read_text()
    bucket.put("Nobody/a.csv", good)
    bucket.put(f"{company.name}/page.csv", "<html>504</html>")
    bucket.put(f"{company.name}/fault.csv", csv_file("b.csv", hours(2, "7")).read_text())
    bucket.put(f"{company.name}/z.csv", good)
    read_parts = load.__dict__["read_parts"]

    def fault(path: Path, *rest: Any, **named: Any) -> Any:
        if path.name == "fault.csv":
            raise ZeroDivisionError("a fault of a reader")
        return read_parts(path, *rest, **named)

    monkeypatch.setattr(load, "read_parts", fault)
    results = ingest_inbox(bucket.settings)
    assert {(result.tenant == "Nobody", Path(result.path).name): result.status for result in results} == {
        (True, "a.csv"): "failed",
        (False, "fault.csv"): "failed",
        (False, "page.csv"): "refused",
        (False, "z.csv"): "loaded",
    }
    reasons = {Path(r.path).name: r.refusal.reason for r in results if r.status == "failed" and r.refusal}
    assert "no tenant 'Nobody'" in reasons["a.csv"]
    assert reasons["fault.csv"] == "a fault of a reader"
    _, inbox = fsspec.core.url_to_fs(bucket.settings.inbox)
    assert all(result.path.startswith(f"{inbox}/") for result in results), "people know no other place"
    (refused,) = [r.refusal for r in results if r.status == "refused" and r.refusal]
    assert f"{bucket.settings.archive}/{company.name}/refused/page.csv" in refused.remedy
    assert bucket.paths(bucket.settings.inbox) == ["Nobody/a.csv", f"{company.name}/fault.csv"]
    assert bucket.paths(bucket.settings.archive) == [
        f"{company.name}/refused/page.csv", f"{company.name}/z.csv",
    ]  # fmt: skip


def test_an_unreachable_database_stops_the_run_and_leaves_the_files(bucket: Bucket) -> None:
    bucket.put("acme/a.csv", "x")
    bucket.platform.settings = bucket.settings.model_copy(
        update={"oltp_dsn": "postgresql://postgres@127.0.0.1:1/none"}
    )
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        bucket.ingest()
    assert bucket.paths(bucket.settings.inbox) == ["acme/a.csv"]


def test_two_files_of_one_name_are_both_kept_and_replayed(
    bucket: Bucket, company: Company, csv_file: FileMaker
) -> None:
    """A sender gives every file the same name: the archive keeps each, and a replay finds the right one."""
    for value in ("1", "2"):
        file = csv_file("a.csv", [value, f"-{value}"], register="B7")
        bucket.put(f"{company.name}/daily.csv", file.read_text())
        assert bucket.ingest() == [("daily.csv", "loaded")]
    kept = bucket.paths(bucket.settings.archive)
    assert len(kept) == 2
    with psycopg.connect(company.dsn) as connection:
        connection.execute(
            "update myproperty.meter_registers set register = 'B7' where tenant_id = %s", (company.tenant_id,)
        )
    rows = quarantine.list_quarantined(company.dsn, tenant=company.name)
    by_job = {row.job_id: row.id for row in rows if row.rule == "VEE-REGISTER"}
    assert len(by_job) == 2
    results = [
        quarantine.replay_quarantined(company.dsn, row, archive=bucket.settings.archive)
        for row in by_job.values()
    ]
    assert sorted(result.accepted + result.new_versions + result.superseded for result in results) == [1, 1]
    assert {result.rules["VEE-NEGATIVE"] for result in results} == {1}
    # The same content again is not archived a third time.
    bucket.put(f"{company.name}/daily.csv", file.read_text())
    assert bucket.ingest() == [("daily.csv", "unchanged")]
    assert bucket.paths(bucket.settings.archive) == kept


MAPPED = """\
files: ["{pattern}"]
format: mapped_csv
timezone: UTC
interval_minutes: 60
label: start
timestamp_format: "%Y-%m-%d %H:%M"
columns: {{identifier: meter, timestamp: time}}
values: [{{column: used, channel: import, unit: kWh, register: E1}}]
"""
EXPORT = "meter,time,used\nM1,2025-06-01 00:00,1.25\nM1,2025-06-01 01:00,2.5\n"


def test_a_file_is_read_with_the_mapping_of_its_tenant_that_claims_it(
    bucket: Bucket, company: Company, csv_file: FileMaker
) -> None:
    bucket.put(f"{company.name}/mappings/export.yaml", MAPPED.format(pattern="export-*.csv"))
    bucket.put(f"{company.name}/mappings/other.toml", 'files = ["roof.json"]\nformat = "octopus_json"\n')
    bucket.put(f"{company.name}/export-1.csv", EXPORT)
    bucket.put(f"{company.name}/canonical.csv", csv_file("a.csv", hours(3)).read_text())
    assert bucket.ingest() == [("canonical.csv", "loaded"), ("export-1.csv", "loaded")]
    assert len(company.current()) == 3
    # The mapping stays where it is, and the mapping of another tenant claims no file of this one.
    assert bucket.paths(bucket.settings.inbox) == [
        f"{company.name}/mappings/export.yaml",
        f"{company.name}/mappings/other.toml",
    ]
    bucket.put(f"Other {company.name}/mappings/export.yaml", MAPPED.format(pattern="*.csv"))
    bucket.put(f"{company.name}/unclaimed.csv", EXPORT)
    assert bucket.ingest() == [("unclaimed.csv", "refused")]


def test_a_broken_mapping_holds_back_only_files_that_need_one(
    bucket: Bucket, company: Company, csv_file: FileMaker
) -> None:
    broken = MAPPED.format(pattern="export-*.csv").replace("UTC", "Mars/Phobos")
    bucket.put(f"{company.name}/mappings/export.yaml", broken)
    bucket.put(f"{company.name}/mappings/none.yaml", MAPPED.format(pattern="x").replace('files: ["x"]\n', ""))
    bucket.put(f"{company.name}/export-1.csv", EXPORT)
    bucket.put(f"{company.name}/canonical.csv", csv_file("a.csv", hours(1)).read_text())
    results = {
        Path(result.path).name: result
        for result in inbox.ingest_waiting(bucket.platform.settings, bucket.platform.oltp_dsn)
    }
    assert {name: result.status for name, result in results.items()} == {
        "canonical.csv": "loaded",
        "export-1.csv": "failed",
    }
    refusal = results["export-1.csv"].refusal
    assert refusal is not None
    for part in ("export.yaml: timezone", "'Mars/Phobos' is not an IANA zone", "none.yaml: files"):
        assert part in refusal.reason
    # Once the mapping is corrected, the file that stayed is read.
    bucket.put(f"{company.name}/mappings/export.yaml", MAPPED.format(pattern="export-*.csv"))
    assert bucket.ingest() == [("export-1.csv", "loaded")]


def test_two_mappings_that_claim_a_file_are_reported(bucket: Bucket, company: Company) -> None:
    for name, pattern in (("a.yaml", "export-*.csv"), ("b.yaml", "*.csv")):
        bucket.put(f"{company.name}/mappings/{name}", MAPPED.format(pattern=pattern))
    bucket.put(f"{company.name}/export-1.csv", EXPORT)
    (result,) = inbox.ingest_waiting(bucket.platform.settings, bucket.platform.oltp_dsn)
    assert (result.status, bucket.paths(bucket.settings.archive)) == ("failed", [])
    assert result.refusal is not None
    assert "a.yaml and" in result.refusal.reason
    assert "all claim export-1.csv" in result.refusal.reason


def test_a_corrected_mapping_is_a_new_run_for_the_sensor(bucket: Bucket) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        bucket.put("acme/export-1.csv", EXPORT)
        bucket.put("acme/mappings/export.yaml", "files: [")
        bucket.put("birch/b.csv", "one")
        second = tick(bucket, tick(bucket, None, instance).cursor, instance)
        assert files(second) == ["export-1.csv", "b.csv"]
        third = tick(bucket, second.cursor, instance)
        assert files(third) == []
        bucket.put("acme/mappings/export.yaml", MAPPED.format(pattern="export-*.csv"))
        fifth = tick(bucket, tick(bucket, third.cursor, instance).cursor, instance)
        assert files(fifth) == ["export-1.csv"]
        assert fifth.run_requests[0].run_key != second.run_requests[0].run_key
