"""The state of Superset in a home, without Superset: secrets, viewers, and what is refused with a remedy."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.dashboards import as_uri
from commands.main import app
from data.warehouse.readers import ReadersRefused, list_readers
from myproperty.engines.errors import EngineError
from myproperty.engines.superset.server import ADMIN, Superset, Viewer
from myproperty.settings import get_settings
from tests.engine_support import listener

DATABASE = "postgresql+psycopg2://myproperty_dashboards:secret@127.0.0.1:5432/warehouse"
VIEWERS = {"a": Viewer(["t1"], "postgresql+psycopg2://a:x@127.0.0.1:5432/warehouse"), "b": Viewer(["*"])}


@pytest.fixture
def superset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Superset:
    """One whose programs are not run."""
    monkeypatch.setattr(Superset, "_run", lambda self, task, folder: None)
    return Superset(
        root=tmp_path / "home" / "superset", logs=tmp_path / "logs", venv=tmp_path / "venv", port=1
    )


def test_secrets_are_made_once_and_closed(superset: Superset) -> None:
    superset.prepare(DATABASE, "bi", VIEWERS)
    first = {path.name: path.read_text() for path in superset.root.iterdir()}
    assert first.keys() == {"secret_key", "passwords.json", "state.json"}
    assert superset.read_passwords().keys() == {ADMIN, "a", "b"}
    assert all(len(password) >= 24 for password in superset.read_passwords().values())
    assert {stat.S_IMODE(path.stat().st_mode) for path in superset.root.iterdir()} == {0o600}
    assert stat.S_IMODE(superset.root.stat().st_mode) == 0o700
    superset.prepare(DATABASE, "bi", VIEWERS)
    assert {path.name: path.read_text() for path in superset.root.iterdir()} == first


def test_a_reader_that_is_gone_has_no_password_any_more(superset: Superset) -> None:
    superset.prepare(DATABASE, "bi", VIEWERS)
    kept = superset.read_passwords()["a"]
    superset.prepare(DATABASE, "bi", {"a": VIEWERS["a"]})
    assert superset.read_passwords().keys() == {ADMIN, "a"} and superset.read_passwords()["a"] == kept
    assert json.loads((superset.root / "state.json").read_text())["accounts"].keys() == {ADMIN, "a"}


def test_the_address_that_superset_keeps_has_no_login(superset: Superset) -> None:
    superset.prepare(DATABASE, "bi", VIEWERS)
    state = json.loads((superset.root / "state.json").read_text())
    assert state["address"] == "postgresql+psycopg2://127.0.0.1:5432/warehouse"


def test_no_reader_may_have_the_name_of_the_administrator(tmp_path: Path) -> None:
    seed = tmp_path / "tenant_readers.csv"
    seed.write_text(f"reader,tenant_id\n{ADMIN},*\n")
    with pytest.raises(ReadersRefused, match=r"csv:2: 'myproperty_admin' begins as"):
        list_readers(seed)


@pytest.mark.parametrize("tenant", ["x') or ('1' = '1", "a\\", "", "a b"])
def test_a_tenant_that_is_no_id_becomes_no_rule(tenant: str) -> None:
    with pytest.raises(EngineError, match="are no ids of tenants"):
        Viewer([tenant])


def test_a_taken_port_is_named(superset: Superset) -> None:
    with listener() as port:
        taken = Superset(superset.root, superset.logs, superset.venv, port)
        with (
            pytest.raises(EngineError, match=f"port {port} is taken.*MYPROPERTY_SUPERSET_PORT"),
            taken.running(),
        ):
            pytest.fail("it ran")


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        (["bi", "--export"], {}, "has no dashboards yet: run `myproperty bi`"),
        (["bi"], {"MYPROPERTY_WAREHOUSE": "bigquery"}, "docs/dashboards.md has the steps"),
    ],
)
def test_the_command_says_what_comes_first(
    words: list[str], variables: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MYPROPERTY_HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    try:
        done = CliRunner().invoke(app, words)
    finally:
        get_settings.cache_clear()
    assert done.exit_code == 1 and said in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("dsn", "uri"),
    [
        ("postgresql://a:p%40%2F@127.0.0.1:5/w", "postgresql+psycopg2://a:p%40%2F@127.0.0.1:5/w"),
        (
            "host=db port=6 user=a.b dbname=w sslmode=require",
            "postgresql+psycopg2://a.b@db:6/w?sslmode=require",
        ),
    ],
)
def test_an_address_of_libpq_is_written_for_sqlalchemy(dsn: str, uri: str) -> None:
    assert as_uri(dsn) == uri
