"""The sensors on a real instance and database: a failed run of the real job, a silent sender, the digest."""

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from pydantic import SecretStr

from dagster_project.alerts import channels
from dagster_project.alerts.outbox import WaitingMessage
from dagster_project.build import build_defs
from dagster_project.defs.alerts import sensors
from dagster_project.partitions import run_tags
from dagster_project.resources.platform import Platform
from data.ingest.readings.load import ingest_file
from myproperty.settings import Settings
from tests.planted import DATES, plant_wrong_reading

pytestmark = pytest.mark.engine


@pytest.fixture
def platform(tmp_path: Path, oltp_dsn: str) -> Platform:
    hook = SecretStr("http://127.0.0.1:9/hook")
    settings = Settings(
        home=tmp_path,
        oltp_dsn=oltp_dsn,
        warehouse_dsn="postgresql://127.0.0.1:9/warehouse",
        alert_webhook_url=hook,
        alert_digest_hour=0,
        alert_slack_url=None,
        alert_email_url=None,
    )
    return Platform(settings)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def waiting(platform: Platform) -> list[WaitingMessage]:
    later = datetime.now(UTC) + timedelta(minutes=1)
    return channels.open_outbox(platform.settings).waiting(later, ["webhook"], 100)


def test_a_failed_gate_of_the_real_job_is_one_message_and_its_end_another(
    platform: Platform, instance: dg.DagsterInstance, parsed_home: Path
) -> None:
    """A reading of an impossible length is planted, so gate A of the real job fails."""
    shutil.copytree(parsed_home, platform.settings.home, dirs_exist_ok=True)
    tenant = plant_wrong_reading(platform.oltp_dsn)
    job = build_defs(settings=platform.settings, resources={"platform": platform}).resolve_job_def("pipeline")
    names = ["reading_issues", "meter_readings"]
    result = job.execute_in_process(
        instance=instance,
        tags=run_tags(DATES, "a test"),
        raise_on_error=False,
        asset_selection=[dg.AssetKey(name) for name in names],
    )
    assert not result.success
    run = result.dagster_run
    for _ in range(2):
        sensors.tell_failure(instance, platform, run)
    (message,) = waiting(platform)
    for text in (
        f"run: {run.run_id}",
        "partition: 2024-02-01 to 2024-02-02",
        f"A-READINGS-008 on meter_readings, tenant {tenant}",
        "expected: ",
        "observed: ",
        "mend: ",
        "show more: myproperty pending",
        "run again: myproperty run --from 2024-02-01 --to 2024-02-02",
    ):
        assert text in message.body, message.body
    assert "STEP" not in message.body, "the step that the gate stopped is no second failure"
    repaired = run.with_status(dg.DagsterRunStatus.SUCCESS)
    for _ in range(2):
        sensors.tell_recovery(instance, platform, repaired)
    assert [each.title.startswith("Recovered") for each in waiting(platform)] == [False, True]


def test_a_crash_without_the_database_is_told_by_the_class_of_its_error(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    @dg.op
    def crash() -> None:
        raise ValueError("anna.meier@example.org owns 6102000001")

    @dg.job
    def ingest() -> None:
        crash()

    result = ingest.execute_in_process(instance=instance, raise_on_error=False)
    gone = Platform(platform.settings.model_copy(update={"oltp_dsn": "postgresql://127.0.0.1:9/gone"}))
    sensors.tell_failure(instance, gone, result.dagster_run)
    (message,) = waiting(platform)
    assert "STEP crash" in message.body and "observed: ValueError" in message.body
    assert "anna" not in message.body and "6102000001" not in message.body


def add_sender(dsn: str, name: str, last_at: datetime) -> str:
    digest = hashlib.sha256(f"{name}{last_at}".encode()).hexdigest()
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "insert into myproperty.tenants (name, region) values (%s, 'AU')"
            " on conflict (name) do update set region = excluded.region returning id::text",
            (name,),
        ).fetchone()
        assert row is not None
        connection.execute("select set_config('app.tenant_id', %s, true)", (row[0],))
        connection.execute(
            "insert into myproperty.ingestion_jobs (tenant_id, source_uri, content_hash, format, status,"
            " started_at) values (%s, 'a.csv', %s, 'nem12', 'loaded', %s)",
            (row[0], digest, last_at),
        )
    return str(row[0])


def test_silence_is_told_once_per_sender_and_its_end_once(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC)
    silent = add_sender(platform.oltp_dsn, "silent", now - timedelta(days=3))
    add_sender(platform.oltp_dsn, "punctual", now - timedelta(hours=2))
    context = dg.build_sensor_context(instance)
    for _ in range(2):
        sensors.tell_silent_senders(context, platform)
    (message,) = waiting(platform)
    assert f"tenant: {silent}" in message.body and "SENDER-SILENT" in message.body
    assert "no nem12 file for 72 hours" in message.body

    add_sender(platform.oltp_dsn, "silent", now)
    for _ in range(2):
        sensors.tell_silent_senders(context, platform)
    assert [each.title.startswith("Recovered") for each in waiting(platform)] == [False, True]


def test_refused_files_are_told_once_without_their_names(
    platform: Platform, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = add_sender(platform.oltp_dsn, "refused", datetime.now(UTC))
    rules = set()
    for number in range(2):
        (tmp_path / f"anna-{number}.csv").write_text(f"no,meter,file\n{number},2,3\n")
        loaded = ingest_file(tmp_path / f"anna-{number}.csv", tenant="refused", dsn=platform.oltp_dsn)
        assert loaded.refusal is not None
        rules.add(loaded.refusal.rule)
    monkeypatch.setattr(sensors, "SETTLED", timedelta(0))
    context = dg.build_sensor_context(instance)
    for _ in range(2):
        sensors.tell_refused_files(context, platform)
    (message,) = waiting(platform)
    assert message.title == f"Files refused: 2 of tenant {tenant}"
    assert f"rules: {rules.pop()} 2" in message.body and "anna" not in message.body
    assert channels.open_outbox(platform.settings).open_causes() == []


def test_the_digest_is_written_once_a_day(platform: Platform, instance: dg.DagsterInstance) -> None:
    context = dg.build_sensor_context(instance)
    for _ in range(2):
        sensors.tell_digest(context, platform)
    (message,) = waiting(platform)
    assert message.title.startswith(f"Daily digest, {datetime.now(UTC).date()}")
    assert "rules broken in the last 24 hours" in message.body
    early = datetime(2026, 10, 2, 5, 59, tzinfo=UTC)
    assert not sensors.is_digest_due("2026-10-01", early, 6)
    assert sensors.is_digest_due("2026-10-01", early + timedelta(minutes=1), 6)


def test_without_a_channel_nothing_is_kept(platform: Platform, instance: dg.DagsterInstance) -> None:
    bare = Platform(platform.settings.model_copy(update={"alert_webhook_url": None}))
    run = dg.DagsterRun("pipeline", run_id="1" * 36)
    assert sensors.tell_failure(instance, bare, run) == sensors.NO_CHANNEL
    assert sensors.tell_recovery(instance, bare, run) == sensors.NO_CHANNEL
    for sensor in sensors.sensors:
        if sensor.name not in ("failed_runs", "recovered_runs"):
            context = dg.build_sensor_context(instance, resources={"platform": bare})
            assert sensor.evaluate_tick(context).skip_message == sensors.NO_CHANNEL
    assert not (bare.settings.home / "alerts.sqlite").exists()
