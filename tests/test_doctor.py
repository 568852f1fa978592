"""`myproperty doctor`: what it finds on a machine, and the checklist of production."""

import json
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from commands.databases import prepare_databases
from commands.main import app
from dagster_project import diagnosis, first_day
from dagster_project.diagnosis import GIB, Finding, diagnose, list_other_libraries
from dagster_project.instance import open_instance
from dagster_project.processes import LONGEST_RUN, PROCESS, list_stuck_runs
from myproperty import engines
from myproperty.database.roles import OLTP_LOGINS, WAREHOUSE_GATES
from myproperty.settings import Settings
from tests.raw.job_server import JobServer, serve_jobs


def look(settings: Settings, *checks: diagnosis.Check) -> dict[str, Finding]:
    return {finding.check: finding for finding in diagnose(settings, checks or None)}


@pytest.fixture
def stopped(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", oltp_dsn=None, warehouse_dsn=None)


def test_a_machine_without_engines_says_so_once(stopped: Settings) -> None:
    found = look(stopped)
    assert [name for name, finding in found.items() if finding.state == "problem"] == ["engines"]
    assert found["engines"].remedy == "run `myproperty up`"
    assert {found[name].state for name in ("clock", "migrations", "dates")} == {"warning"}
    assert found["libraries"].found == "those of requirements.lock"
    assert not stopped.home.exists(), "it only looks"


def test_libraries_are_compared_with_the_lock() -> None:
    lock = (
        "# comment\npytest==0.1 \\\n    --hash=sha256:00\nnot-there==1 \\\n    --hash=sha256:00\n"
        'not-here==1 ; sys_platform == "none"\n'
    )
    missing, other = sorted(list_other_libraries(lock))
    assert missing == "not-there is missing"
    assert other == f"pytest is {pytest.__version__}, not ==0.1"


@pytest.mark.parametrize(("free", "state"), [(6 * GIB, "ok"), (2 * GIB, "warning"), (GIB // 2, "problem")])
def test_a_full_disk_is_seen_before_it_is_full(
    stopped: Settings, free: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage("/"))(10 * GIB, 10 * GIB - free, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = look(stopped, diagnosis.check_disk)["disk"]
    assert (found.state, bool(found.remedy)) == (state, state != "ok")


def test_another_python_is_a_problem(stopped: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 1))
    assert look(stopped, diagnosis.check_python)["python"].state == "problem"


def test_runs_that_will_not_end_are_named(stopped: Settings) -> None:
    gone = "no-such-host-of-ours/1/1.00"
    with open_instance(stopped.home) as instance:
        started = dg.DagsterRunStatus.STARTED
        here = socket.gethostname()
        dead = dg.DagsterRun("pipeline", status=started, tags={PROCESS: f"{here}/999999999/1.00"})
        far = dg.DagsterRun("pipeline", status=started, tags={PROCESS: gone})
        for run in (dead, far):
            instance.add_run(run)
        assert list_stuck_runs(instance) == {dead.run_id: "has no process any more"}
    found = look(stopped, diagnosis.check_runs)["runs"]
    assert (found.state, found.found) == ("problem", f"{dead.run_id[:8]} has no process any more")
    assert LONGEST_RUN.total_seconds() == 21_600


@pytest.mark.engine
class TestOnAServer:
    """The checks that ask the engines."""

    @pytest.fixture(scope="class")
    def settings(self, postgres_settings: Settings) -> Settings:
        prepare_databases(postgres_settings)
        return postgres_settings

    def test_a_machine_that_is_well_is_well(self, settings: Settings) -> None:
        found = look(settings)
        assert {name: finding for name, finding in found.items() if finding.state != "ok"} == {}

    def test_another_clock_is_a_problem(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(diagnosis, "MOST_SKEW", timedelta(seconds=-1))
        found = look(settings, diagnosis.check_clock)["clock"]
        assert found.state == "problem" and "NTP" in found.remedy

    def test_the_command_prints_a_document(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("commands.doctor.get_settings", lambda: settings)
        result = CliRunner().invoke(app, ["doctor", "--json"])
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert (document["problems"], len(document["checks"])) == (0, len(diagnosis.CHECKS))
        shown = CliRunner().invoke(app, ["doctor", "--production"])
        assert shown.exit_code == 1 and "MYPROPERTY_ENVIRONMENT=production" in shown.output


VERIFIED = "postgresql://job@db/myproperty?sslmode=verify-full"
IN_PRODUCTION: dict[str, Any] = {
    "environment": "production",
    "warehouse": "bigquery",
    "oltp_dsn": VERIFIED,
    "master_keys": SecretStr("main:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    "alert_slack_url": SecretStr("https://hooks.example/1"),
    **{login.setting: VERIFIED for login in OLTP_LOGINS if login.setting},
    **{name: f"gs://a-bucket/{name}" for name in first_day.STORES},
}


@pytest.mark.parametrize(
    ("left_out", "check"),
    [
        ("environment", "environment"),
        ("warehouse", "warehouse"),
        ("oltp_dsn", "logins"),
        ("billing_dsn", "logins"),
        ("master_keys", "keys"),
        ("key_store_url", "stores"),
        ("alert_slack_url", "alerts"),
    ],
)
def test_each_setting_of_production_is_asked_for(tmp_path: Path, left_out: str, check: str) -> None:
    # The other two look at this machine.
    of_machine = (first_day.check_instance, first_day.check_listening)
    checks = [one for one in first_day.OF_SETTINGS if one not in of_machine]
    whole = Settings(home=tmp_path, **IN_PRODUCTION)
    assert {finding.state for finding in diagnose(whole, checks)} == {"ok"}
    without = Settings(
        home=tmp_path, **{name: value for name, value in IN_PRODUCTION.items() if name != left_out}
    )
    wrong = [finding for finding in diagnose(without, checks) if finding.state != "ok"]
    assert [finding.check for finding in wrong] == [check]
    assert "MYPROPERTY_" in wrong[0].remedy + wrong[0].found


def test_runs_in_files_are_a_problem_of_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path, **IN_PRODUCTION)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert look(settings, first_day.check_instance)["instance"].state == "problem"


def test_pages_that_are_open_to_other_machines_are_a_problem(
    stopped: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host, state in (("127.0.0.1", "ok"), ("0.0.0.0", "problem")):
        with socket.create_server((host, 0)) as pages:
            monkeypatch.setattr(first_day, "UI_PORT", pages.getsockname()[1])
            found = look(stopped, first_day.check_listening)["listening"]
        assert (found.state, "0.0.0.0" in found.found) == (state, state == "problem")


@pytest.fixture
def google() -> Iterator[tuple[Settings, JobServer]]:
    """Settings of BigQuery at a server that answers as a test wants."""
    with serve_jobs() as server:
        yield (
            Settings(**IN_PRODUCTION, bigquery_endpoint=server.address, bigquery_project="a-project"),
            server,
        )


def test_what_google_refuses_is_a_problem_with_its_words(google: tuple[Settings, JobServer]) -> None:
    settings, server = google
    server.refusal = (403, "accessDenied")
    found = look(settings, *first_day.OF_BIGQUERY)
    assert {finding.state for finding in found.values()} == {"problem"}
    assert "accessDenied" in found["readers"].found or "403" in found["location"].found


@pytest.mark.emulator
def test_an_account_is_named_by_the_warehouse(postgres_settings: Settings) -> None:
    from data.raw.bigquery import open_bigquery

    account = "gates@a-project.iam.gserviceaccount.com"
    settings = postgres_settings.model_copy(
        update={"warehouse": "emulator", "bigquery_gates_account": account, "dataset_prefix": "doctor_"}
    )
    try:
        engines.up(settings)
    except engines.EngineError as error:
        pytest.skip(f"no BigQuery emulator here: {error}")
    with closing(open_bigquery(settings)) as warehouse:
        assert warehouse.name_account(WAREHOUSE_GATES) == account
        assert "ot found" in str(warehouse.find_refusal(WAREHOUSE_GATES, "raw", "nothing"))
