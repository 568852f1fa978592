"""A job runs on the instance of production, and a wrong DAGSTER_HOME has a clear error."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import psycopg
import pytest
import yaml
from dagster_postgres.event_log import PostgresEventLogStorage

from dagster_project import runner
from dagster_project.instance import PRODUCTION, InstanceError, open_instance
from dagster_project.launcher import CheckedRunLauncher
from myproperty.settings import Settings
from tests.conftest import DatabaseMaker
from tests.dagster.instances import production_variables
from tests.deploy.support import instance_of_chart

_BACKENDS = """
select coalesce(array_agg(pid), '{}') from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
NOWHERE = "postgresql://me:secret@127.0.0.1:1/dagster"


@pytest.fixture
def dagster_dsn(
    fresh_database: DatabaseMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The DSN of an empty database for Dagster; DAGSTER_HOME names the instance of production on it."""
    with fresh_database("dagster") as dsn:
        for name, value in production_variables(dsn, tmp_path / "files").items():
            monkeypatch.setenv(name, value)
        yield dsn


@pytest.mark.engine
@pytest.mark.slow
def test_a_job_runs_on_the_instance_of_production(
    dagster_dsn: str, oltp_dsn: str, parsed_home: Path, tmp_path: Path
) -> None:
    """The job `ingest` on an empty inbox: its events are notified, watched, and read from elsewhere."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    home = shutil.copytree(parsed_home, tmp_path / "home")
    settings = Settings(
        home=home, warehouse="postgres", oltp_dsn=oltp_dsn, warehouse_dsn=None, inbox_url=str(inbox)
    )
    with psycopg.connect(dagster_dsn, autocommit=True) as listener:
        listener.execute("listen run_events")
        assert runner.ingest_inbox(settings) == []
        notified = {notice.payload.split("_")[0] for notice in listener.notifies(timeout=5, stop_after=1)}
    with psycopg.connect(dagster_dsn) as second:
        runs = second.execute("select run_id, status from runs").fetchall()
        events = second.execute("select dagster_event_type from event_logs where run_id = %s", runs[0][:1])
        kinds = {kind for (kind,) in events.fetchall()}
    assert [status for _, status in runs] == ["SUCCESS"]
    assert notified == {runs[0][0]}
    assert {"PIPELINE_START", "STEP_SUCCESS", "ASSET_MATERIALIZATION", "PIPELINE_SUCCESS"} <= kinds
    assert not (settings.home / "dagster" / "history" / "runs" / f"{runs[0][0]}.db").exists()
    _check_watching(runs[0][0])


def _check_watching(run_id: str) -> None:
    """Check that a watcher, as the UI has one, gets the events of a run."""
    seen, is_done = [], threading.Event()

    def note(event: dg.EventLogEntry, _: str) -> None:
        seen.append(event.dagster_event_type)
        if event.dagster_event_type == dg.DagsterEventType.RUN_SUCCESS:
            is_done.set()

    with open_instance(Path("unused")) as opened:
        opened.event_log_storage.watch(run_id, None, note)
        assert is_done.wait(20), seen
        opened.event_log_storage.end_watch(run_id, note)


@pytest.mark.engine
def test_the_instance_of_production_is_what_its_file_says(dagster_dsn: str, tmp_path: Path) -> None:
    with open_instance(tmp_path) as opened:
        assert isinstance(opened.event_log_storage, PostgresEventLogStorage)
        assert isinstance(opened.run_launcher, CheckedRunLauncher)
        assert opened.run_monitoring_enabled and opened.run_monitoring_max_runtime_seconds == 21600
        assert not opened.telemetry_enabled
    assert not (tmp_path / "dagster").exists(), "nothing is made below the home"
    assert [path.name for path in PRODUCTION.iterdir()] == ["dagster.yaml"], "files go to their own folder"


# As Dagster's chart writes them before the sections of our values.
OF_THE_CHART = """
schedule_storage:
  module: dagster_postgres.schedule_storage
  class: PostgresScheduleStorage
  config: {config}
run_storage:
  module: dagster_postgres.run_storage
  class: PostgresRunStorage
  config: {config}
event_log_storage:
  module: dagster_postgres.event_log
  class: PostgresEventLogStorage
  config: {config}
"""


def write_instance_of_chart(folder: Path, dsn: str) -> None:
    """Write `dagster.yaml` as the chart does, but for the name, port and TLS of the database."""
    server = urlsplit(dsn)
    sections = instance_of_chart(str(server.hostname))
    own: dict[str, Any] = {
        "port": server.port,
        "db_name": server.path.lstrip("/"),
        "username": server.username,
        "params": {},
    }
    for name in ("run_storage", "event_log_storage"):
        sections[name]["config"]["postgres_db"] |= own
    config = json.dumps(sections["run_storage"]["config"])
    text = OF_THE_CHART.replace("{config}", config) + yaml.safe_dump(sections)
    (folder / "dagster.yaml").write_text(text)


@pytest.mark.engine
@pytest.mark.parametrize("deployment", ["one machine", "the chart"])
def test_events_share_a_connection_and_outlive_its_end(
    dagster_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deployment: str
) -> None:
    """The server counts sessions when they end, so all are ended before it is asked."""
    if deployment == "the chart":
        write_instance_of_chart(tmp_path, dagster_dsn)
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        monkeypatch.setenv("DAGSTER_PG_PASSWORD", urlsplit(dagster_dsn).password or "")
    kept: list[int] = []
    with open_instance(tmp_path) as opened, psycopg.connect(dagster_dsn, autocommit=True) as connection:
        for number in range(30):
            opened.report_runless_asset_event(dg.AssetMaterialization("table", metadata={"n": number}))
            found = connection.execute(
                "select pg_terminate_backend(pid), pid from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid() and %s "
                "and query ilike any(array['%%event_logs%%', '%%notify%%'])",
                (number == 20,),
            )
            kept += [pid for _, pid in found]
            row = connection.execute(_BACKENDS).fetchone()
            assert row is not None
            kept += row[0]
        assert len(opened.fetch_materializations(dg.AssetKey("table"), limit=100).records) == 30
        storages = (type(opened.run_storage).__name__, type(opened.event_log_storage).__name__)
        assert storages == ("PooledPostgresRunStorage", "PooledPostgresEventLogStorage")
    assert 1 <= len(set(kept)) <= 3, kept


@pytest.mark.engine
def test_the_bare_scheme_of_postgres_is_refused_at_once(
    dagster_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy reads it as psycopg 3, and the first event of the first run would fail."""
    config = yaml.safe_load((PRODUCTION / "dagster.yaml").read_text())
    config["storage"]["custom"]["config"] = {"postgres_url": dagster_dsn}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    _check_refused(tmp_path, r"psycopg, on which .* set `scheme: postgresql\+psycopg2`")


def test_a_dagster_home_without_a_configuration_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    _check_refused(tmp_path, r"has no dagster\.yaml: unset DAGSTER_HOME .* or copy")


def test_missing_variables_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in production_variables(NOWHERE, tmp_path).items():
        monkeypatch.setenv(name, value)
    for name in ("MYPROPERTY_DAGSTER_DB_USER", "MYPROPERTY_DAGSTER_FILES"):
        monkeypatch.delenv(name)
    _check_refused(tmp_path, r"yaml needs MYPROPERTY_DAGSTER_DB_USER, MYPROPERTY_DAGSTER_FILES: set them")


def test_a_database_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_postgres.utils.time.sleep", lambda _: None)
    for name, value in production_variables(NOWHERE, tmp_path).items():
        monkeypatch.setenv(name, value)
    message = _check_refused(tmp_path, r"port 1 failed: Connection refused.*start its database")
    assert "secret" not in message


def _check_refused(home: Path, message: str) -> str:
    with pytest.raises(InstanceError, match=message) as caught, open_instance(home):
        pass
    return str(caught.value)
