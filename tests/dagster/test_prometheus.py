"""The metrics say what the tables say, in a format that Prometheus' own parser reads."""

import re
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from commands.main import app
from dagster_project.prometheus import METRICS, MetricsError, format_metrics, serve_metrics, write_metrics
from expectations.verdicts import Verdict
from myproperty.settings import Settings, get_settings
from tests.conftest import DatabaseMaker
from tests.planted import DATES, keep_verdicts, plant_wrong_reading

pytestmark = pytest.mark.engine
NOON = datetime(2024, 2, 5, 12, tzinfo=UTC)
_RUN = """
insert into warehouse_staging.pipeline_runs (
    run_id, job, reading_date_from, reading_date_to, status, requested_at, started_at, ended_at, changed_at,
    retries
)
values (%s, 'pipeline', '2024-02-01', '2024-02-02', %s, %s, %s, %s, %s, 1)
"""
# What the loader wrote to the file's folder or the meters' names must not be in a label.
SECRETS = ("planted", "nem12_two_channels", "house")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> Samples:
    from prometheus_client.parser import text_string_to_metric_families

    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def count_readings(settings: Settings) -> int:
    with psycopg.connect(str(settings.oltp_dsn)) as connection:
        row = connection.execute("select count(*) from myproperty.meter_readings").fetchone()
    return int(row[0]) if row and row[0] else 0


@pytest.fixture(scope="module")
def planted(
    migrated_database: DatabaseMaker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, str]]:
    """A tenant with a file, two runs of a minute and a published date; gate A fails, then passes."""
    with migrated_database("prometheus") as dsn:
        tenant = plant_wrong_reading(dsn)
        with psycopg.connect(dsn) as connection:
            for name, status in (("r1", "failed"), ("r2", "succeeded")):
                instants = (NOON, NOON, NOON.replace(minute=1), NOON)
                connection.execute(_RUN, (name, status, *instants))
            connection.execute(
                "insert into warehouse_staging.published_dates (reading_date, published_at, run_id)"
                " values (%s, clock_timestamp(), 'r2')",
                (DATES.start,),
            )
            connection.execute(
                "insert into warehouse_staging.left_out_tenants"
                " (tenant_id, reading_date, run_id, failed_run_id) values (%s, %s, 'r2', 'r1')",
                (tenant, DATES.start),
            )
        failed = [
            {"rule": "A-READINGS-008", "severity": "block", "what": "a 'quoted\\ \n text", "sample": []}
        ]
        day: dict[str, Any] = {"date_from": date(2024, 2, 1), "date_to": date(2024, 2, 2), "seconds": 1.5}
        for passed, broken, hour in ((False, failed, 1), (True, failed, 2), (True, [], 3)):
            keep_verdicts(
                dsn,
                [
                    Verdict(
                        "A",
                        "meter_readings",
                        passed,
                        broken,
                        13,
                        9,
                        checked_at=NOON.replace(hour=hour),
                        **day,
                    )
                ],
            )
        home = tmp_path_factory.mktemp("home")
        yield Settings(home=home, oltp_dsn=dsn, warehouse_dsn=None), tenant


def test_the_metrics_are_the_figures_of_the_tables(planted: tuple[Settings, str]) -> None:
    settings, tenant = planted
    samples = parse(format_metrics(settings))
    assert of(samples, "myproperty_database_up") == 1
    assert of(samples, "myproperty_runs_total", job="pipeline", status="failed") == 1
    assert of(samples, "myproperty_run_duration_seconds_sum", job="pipeline") == 120
    assert of(samples, "myproperty_run_duration_seconds_count", job="pipeline") == 2
    assert of(samples, "myproperty_run_step_retries_total", job="pipeline") == 2
    for verdict in ("passed", "warned", "failed"):
        labels = {"gate": "A", "table": "meter_readings", "verdict": verdict}
        assert of(samples, "myproperty_gate_verdicts_total", **labels) == 1
    assert of(samples, "myproperty_gate_last_passed", gate="A", table="meter_readings") == 1
    assert of(samples, "myproperty_gate_duration_seconds_sum", gate="A") == 4.5
    assert of(samples, "myproperty_files_total", tenant=tenant, format="nem12", status="loaded") == 1
    assert of(samples, "myproperty_readings_total", tenant=tenant, result="accepted") == count_readings(
        settings
    )
    assert of(samples, "myproperty_newest_published_date_timestamp_seconds", tenant=tenant) == 1706745600
    assert of(samples, "myproperty_pending_dates", state="not run") == 1
    assert of(samples, "myproperty_left_out_dates", tenant=tenant) == 1
    last_file = of(samples, "myproperty_last_file_timestamp_seconds", tenant=tenant, format="nem12")
    assert last_file and abs(datetime.now(UTC).timestamp() - last_file) < 3600


def test_names_follow_prometheus_and_labels_name_nobody(planted: tuple[Settings, str]) -> None:
    settings, tenant = planted
    text = format_metrics(settings)
    assert not [secret for secret in SECRETS if secret in text.replace(tenant, "")]
    for name, metric in METRICS.items():
        assert re.fullmatch(r"myproperty_[a-z]+(_[a-z]+)*", name) and not name.endswith(("_total", "_count"))
        assert not {"le", "quantile", "instance"} & set(metric.labels)
    labels = {(name, frozenset(label for label, _ in pairs)) for name, pairs in parse(text)}
    for name, found in labels:
        base = re.sub("_(total|count|sum)$", "", name)
        assert found == set(METRICS[name if name in METRICS else base].labels), name


def test_without_the_database_only_that_is_said(tmp_path: Path) -> None:
    """The home has no engine: so it is after a crash, before somebody starts it."""
    samples = parse(format_metrics(Settings(home=tmp_path, oltp_dsn=None, warehouse_dsn=None)))
    assert samples == {("myproperty_database_up", frozenset()): 0}


def test_the_file_is_replaced_whole_and_has_the_ending_that_is_read(
    planted: tuple[Settings, str], tmp_path: Path
) -> None:
    settings, _ = planted
    path = tmp_path / "textfile" / "myproperty.prom"
    for _ in range(2):
        write_metrics(settings, path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert parse(path.read_text())[("myproperty_database_up", frozenset())] == 1
    with pytest.raises(MetricsError, match=r"end in \.prom"):
        write_metrics(settings, tmp_path / "myproperty.txt")


def test_a_scrape_reads_the_database_anew(planted: tuple[Settings, str]) -> None:
    settings, _ = planted
    server = serve_metrics(settings, 0)
    try:
        assert server.server_address[0] == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert parse(answer.read().decode())[("myproperty_database_up", frozenset())] == 1
        with pytest.raises(MetricsError, match=f"port {server.server_port}"):
            serve_metrics(settings, server.server_port)
    finally:
        server.shutdown()
        server.server_close()


def test_the_command_prints_the_metrics(
    planted: tuple[Settings, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = planted
    monkeypatch.setenv("MYPROPERTY_OLTP_DSN", str(settings.oltp_dsn))
    monkeypatch.setenv("MYPROPERTY_HOME", str(tmp_path))
    get_settings.cache_clear()
    try:
        printed = CliRunner().invoke(app, ["prometheus"])
        assert printed.exit_code == 0 and "myproperty_runs_total" in printed.stdout, printed.output
        written = CliRunner().invoke(app, ["prometheus", "--file", str(tmp_path / "a.prom")])
        assert written.exit_code == 0 and (tmp_path / "a.prom").exists()
        assert CliRunner().invoke(app, ["prometheus", "--file", "a.prom", "--serve", "9"]).exit_code == 2
    finally:
        get_settings.cache_clear()
