"""Environments are one complete map; an address is verified and never printed."""

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from commands.main import app
from dagster_project.environments import ATTENDED, AUTOMATIONS, DEPLOYED
from dagster_project.resources.platform import Platform
from myproperty.engines.settings import read_engine_settings
from myproperty.environments import ENVIRONMENTS, Environment
from myproperty.settings import Settings, SettingsError, get_settings

PASSWORD = "hunter2-and-more"
ADDRESSES = [name for name in Settings.model_fields if name.endswith("_dsn")]
SHARED: list[Environment] = ["staging", "production"]
ELSEWHERE = f"postgresql://me:{PASSWORD}@db.example/oltp"


def make(**given: Any) -> Settings:
    """Return settings of values by name."""
    return Settings(**given)


@pytest.fixture(autouse=True)
def read_anew() -> Any:
    """Let each test read the settings from its own variables, and leave none behind."""
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_each_environment_has_its_rules_and_decides_what_runs() -> None:
    assert set(ENVIRONMENTS) == set(get_args(Environment)) == {"local", "ci", "staging", "production"}
    assert {"staging", "production"} == DEPLOYED and {"local", "staging", "production"} == ATTENDED
    assert {frozenset(automation.on_in) for automation in AUTOMATIONS.values()} == {
        DEPLOYED,
        ATTENDED,
        frozenset(ENVIRONMENTS),
    }


@pytest.mark.parametrize("name", ["development", "prod", "Production", ""])
def test_an_unknown_environment_is_refused_with_the_known_ones(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYPROPERTY_ENVIRONMENT", name)
    done = CliRunner().invoke(app, ["status"])
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit)
    assert "MYPROPERTY_ENVIRONMENT" in done.stderr and "Traceback" not in done.output
    for known in ENVIRONMENTS:
        assert known in done.stderr


@pytest.mark.parametrize("environment", SHARED)
@pytest.mark.parametrize("field", ADDRESSES)
def test_each_address_of_another_machine_is_verified_where_data_is_shared(
    environment: Environment, field: str
) -> None:
    with pytest.raises(ValidationError, match=rf"MYPROPERTY_{field.upper()} .*sslmode=verify-full"):
        make(environment=environment, **{field: ELSEWHERE})
    given = f"{ELSEWHERE}?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    assert getattr(make(environment=environment, **{field: given}), field) == given
    for elsewhere in ("local", "ci"):
        make(environment=elsewhere, **{field: ELSEWHERE})


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("postgresql://me@127.0.0.1:5432/oltp", True),
        ("postgresql://me@[::1]:5432/oltp", True),
        ("postgresql://me@localhost/oltp", True),
        ("postgresql:///oltp?host=/cloudsql/project:region:name", True),
        ("host=/var/run/postgresql dbname=oltp", True),
        ("host=db.example hostaddr=10.1.2.3 sslmode=verify-full dbname=oltp", True),
        ("host=db.example dbname=oltp sslmode=require", False),
        ("host=db.example dbname=oltp sslmode=verify-ca", False),
        ("host=localhost hostaddr=10.1.2.3 dbname=oltp", False),
        ("postgresql://me@127.0.0.1,db.example/oltp", False),
        ("postgresql://me@localhost.example/oltp", False),
    ],
)
def test_what_leaves_the_machine_is_verified(address: str, is_allowed: bool) -> None:
    if is_allowed:
        assert Settings(environment="production", oltp_dsn=address).oltp_dsn == address
    else:
        with pytest.raises(ValidationError, match="MYPROPERTY_OLTP_DSN names a server on another machine"):
            Settings(environment="production", oltp_dsn=address)


@pytest.mark.parametrize("environment", list(ENVIRONMENTS))
@pytest.mark.parametrize(
    "address", [f"postgres-ql//me:{PASSWORD}@db/oltp", f"postgresql://me:{PASSWORD}@[db"]
)
def test_no_message_shows_an_address(environment: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPROPERTY_ENVIRONMENT", environment)
    monkeypatch.setenv("MYPROPERTY_OLTP_DSN", address)
    with pytest.raises(SettingsError, match="MYPROPERTY_OLTP_DSN is no libpq URI") as caught:
        get_settings()
    assert PASSWORD not in repr(caught.value) and caught.value.__cause__ is None
    for words in (["status"], ["up"], ["doctor"]):
        shown = CliRunner().invoke(app, words)
        assert shown.exit_code == 1 and PASSWORD not in shown.output
    with pytest.raises(ValidationError) as bare:
        Settings()
    assert PASSWORD not in str(bare.value)


def test_settings_and_what_holds_them_print_no_address(tmp_path: Path) -> None:
    given: dict[str, Any] = dict.fromkeys(ADDRESSES, ELSEWHERE)
    settings = Settings(home=tmp_path, **given)
    assert len(ADDRESSES) > 10
    for shown in (repr(settings), str(settings), repr(Platform(settings)), f"{settings!r}"):
        assert PASSWORD not in shown and str(tmp_path) in shown


def test_an_invalid_setting_of_the_engines_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPROPERTY_POSTGRES_PORT", "no-port")
    with pytest.raises(SettingsError, match="MYPROPERTY_POSTGRES_PORT: Input should be a valid integer"):
        read_engine_settings()


def test_the_programs_of_dbt_verify_the_server_that_we_verify() -> None:
    from data.warehouse.project import from_dsn

    found = from_dsn(f"{ELSEWHERE}?sslmode=verify-full&sslrootcert=/etc/ca.pem")
    assert (found["PGSSLMODE"], found["PGSSLROOTCERT"]) == ("verify-full", "/etc/ca.pem")
    assert "PGSSLMODE" not in from_dsn(ELSEWHERE)
