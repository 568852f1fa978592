"""Every variable that a deployment sets is known, and together they are all that production requires."""

import re
from pathlib import Path

import pytest

from dagster_project import first_day
from dagster_project.diagnosis import diagnose
from docs.settings import INSTANCE, OTHERS
from myproperty import engines
from myproperty.database.roles import DEMO, OLTP_LOGINS, WAREHOUSE_LOGINS
from myproperty.engines.settings import EngineSettings
from myproperty.settings import PREFIX, Settings
from tests.deploy.support import (
    DEPLOY,
    environment_of,
    read_variables,
    read_yaml,
    secrets_of,
    settings_of_terraform,
    variables_of_compose,
)

KNOWN = {PREFIX + name.upper() for each in (Settings, EngineSettings) for name in each.model_fields}
KNOWN |= {*INSTANCE, *OTHERS}
# Two look at the machine, and no file of a deployment names a channel for alerts: a person does.
LATER = (first_day.check_instance, first_day.check_listening, first_day.check_alerts)
NOW = [check for check in first_day.OF_SETTINGS if check not in LATER]


def test_every_variable_that_a_file_of_deploy_names_is_known() -> None:
    named = {
        name: str(path.relative_to(DEPLOY))
        for path in DEPLOY.rglob("*")
        if path.is_file() and "secrets" not in path.parts and "__pycache__" not in path.parts
        for name in re.findall(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]\b", path.read_text())
    }
    assert {name: path for name, path in named.items() if name not in KNOWN} == {}
    assert len(named) > 12, named


def given_to_compose(tmp_path: Path) -> dict[str, str]:
    return variables_of_compose(secrets_of(tmp_path / "secrets"))


def given_to_kubernetes(tmp_path: Path) -> dict[str, str]:
    folder = secrets_of(tmp_path / "secrets", "--bigquery", "--host", "db.example.sql.goog")
    return settings_of_terraform() | read_variables(folder / "platform.env")


@pytest.mark.parametrize("given", [given_to_compose, given_to_kubernetes])
def test_a_deployment_gives_all_that_production_requires(
    given: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(given)
    variables: dict[str, str] = given(tmp_path)
    assert {name for name in variables if name.startswith(PREFIX)} <= KNOWN
    with environment_of(variables, monkeypatch):
        settings = Settings()
        found = {finding.check: finding for finding in diagnose(settings, NOW)}
        assert {name: finding.found for name, finding in found.items() if finding.state != "ok"} == {}
        assert settings.environment == "production" and settings.log_format == "json"
        channel = {**variables, "MYPROPERTY_ALERT_WEBHOOK_URL": "https://alerts.example/1"}
        assert first_day.check_alerts(settings).state == "problem"
    with environment_of(channel, monkeypatch):
        assert first_day.check_alerts(Settings()).state == "ok"
    is_bigquery = settings.warehouse == "bigquery"
    logins = OLTP_LOGINS if is_bigquery else (*OLTP_LOGINS, *WAREHOUSE_LOGINS)
    for login in logins:
        if login.setting and login is not DEMO:
            assert f"://{login.name}:" in getattr(settings, login.setting)
    assert settings.demo_dsn is None
    assert (engines.describe_accounts(settings) == "one for each job") == is_bigquery


@pytest.mark.parametrize("given", [given_to_compose, given_to_kubernetes])
def test_no_job_is_the_superuser(given: object, tmp_path: Path) -> None:
    assert callable(given)
    variables: dict[str, str] = given(tmp_path)
    addresses = {name: value for name, value in variables.items() if name.endswith("_DSN")}
    assert len(addresses) > 5
    assert [name for name, value in addresses.items() if "://postgres:" in value] == []
    assert "://postgres:" in (tmp_path / "secrets" / "migrate.env").read_text()


def test_only_the_service_that_migrates_gets_the_superusers_address() -> None:
    services = read_yaml(DEPLOY / "compose" / "compose.yaml")["services"]
    with_it = [
        name for name, service in services.items() if "secrets/migrate.env" in service.get("env_file", [])
    ]
    assert with_it == ["migrate"] and services["migrate"]["profiles"] == ["tools"]
    with_jobs = [name for name, one in services.items() if "secrets/platform.env" in one.get("env_file", [])]
    assert with_jobs == ["code-location", "migrate"], "web server and daemon need Dagster's database alone"
