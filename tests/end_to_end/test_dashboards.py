"""The dashboards on the demo's warehouse: Superset is started, and people open them in Chromium.

Where Superset or Chromium is not installed, nothing is opened, and the tests say so. They come last in their
folder: `.ci/run` installs both beside the tests before.
"""

import importlib.util
import json
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock

from commands.dashboards import as_uri
from data.warehouse.readers import list_own_logins, list_readers
from docs.visitor import Seen, Visitor, find_browser, open_browser
from myproperty.database.roles import WAREHOUSE_DASHBOARDS
from myproperty.engines import venvs
from myproperty.engines.ports import find_free_port
from myproperty.engines.settings import read_engine_settings
from myproperty.engines.superset import assets
from myproperty.engines.superset.server import ADMIN, LOCK, Superset, Viewer
from myproperty.settings import CHECKOUT
from tests.dashboards import charts_of, files, read, read_contracts
from tests.end_to_end import as_bigquery
from tests.end_to_end.support import STRANGER, Platform
from tests.logins import log_in_as

VENV = read_engine_settings().superset_venv or CHECKOUT / ".local" / "superset-venv"


def find_missing() -> str:
    """Return what is not installed here, and how to install it."""
    if venvs.find_installed(VENV, LOCK) is None:
        return "Superset is not installed here, so no dashboard was opened: `make browser` installs it"
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed here, so no dashboard was opened: `make browser` installs it"
    return "" if find_browser() else "no Chromium here, so no dashboard was opened: apt-get install chromium"


pytestmark = pytest.mark.engine


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """Wait for an installation that is under way, as in `.ci/run`; skip what cannot be tried."""
    if venvs.find_installed(VENV, LOCK) is None and (VENV / ".lock").exists():
        with FileLock(VENV / ".lock", timeout=venvs.BUILD_TIMEOUT_S):
            pass
    if missing := find_missing():
        pytest.skip(missing)


DASHBOARDS = {each["slug"]: each for each in read("dashboards").values()}
READER, OTHER = "demo_sonnenhof", "demo_wattlebird"


@pytest.fixture(scope="module")
def superset(
    platform: Platform, passwords: dict[str, str], quality: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Superset]:
    home = tmp_path_factory.mktemp("superset")
    found = Superset(root=home / "superset", logs=home / "logs", venv=VENV, port=find_free_port())
    tenants = list_readers()

    def address(name: str) -> str:
        return as_uri(log_in_as(str(platform.settings.warehouse_dsn), name, passwords[name]))

    viewers = {name: Viewer(tenants[name], address(name)) for name in list_own_logins()}
    own = address(WAREHOUSE_DASHBOARDS.name)
    found.prepare(own, "bi", viewers | {STRANGER: Viewer([], address(STRANGER))})
    found.prepare(own, "bi", viewers)
    with found.running() as server:
        assert server.poll() is None
        yield found


@pytest.fixture(scope="module")
def log_in(superset: Superset) -> Iterator[Callable[[str], Visitor]]:
    known: dict[str, Visitor] = {}
    with open_browser() as browser:

        def visit(name: str) -> Visitor:
            if name not in known:
                known[name] = Visitor(browser, superset.url, name, superset.read_passwords()[name])
            return known[name]

        yield visit


def names(platform: Platform, reader: str) -> tuple[set[str], set[str]]:
    """The names of the tenants and properties that a reader may see, and those that it may not."""
    frame = platform.query(
        "select distinct tenant_id::text, tenant_name, property_name from bi.energy_daily_v1"
    )
    own = frame["tenant_id"].isin(list_readers()[reader])
    found = [set(part["tenant_name"]) | set(part["property_name"]) for part in (frame[own], frame[~own])]
    assert all(found) and not found[0] & found[1]
    return found[0], found[1]


@pytest.fixture(scope="module")
def open_as_reader(log_in: Callable[[str], Visitor]) -> Callable[[str], Seen]:
    return cache(lambda slug: log_in(READER).open(slug))


@pytest.mark.parametrize("slug", DASHBOARDS)
def test_a_dashboard_draws_and_shows_a_reader_its_tenant_alone(
    open_as_reader: Callable[[str], Seen], platform: Platform, slug: str
) -> None:
    own, foreign = names(platform, READER)
    seen = open_as_reader(slug)
    assert seen.errors == [] and seen.abroad == []
    assert seen.charts == len(charts_of(DASHBOARDS[slug])) <= len(seen.answers)
    shown = json.dumps(seen.answers)
    assert [name for name in foreign if name in seen.text or name in shown] == []
    assert any(name in shown for name in own)


@pytest.mark.parametrize("slug", ["owner", "operations"])
def test_who_reads_all_tenants_sees_both(
    log_in: Callable[[str], Visitor], platform: Platform, slug: str
) -> None:
    seen = log_in(ADMIN).open(slug)
    assert seen.errors == [] and seen.abroad == []
    tenants = {name for reader in (READER, OTHER) for name in names(platform, reader)[0]}
    assert len(seen.values("tenant_name") & tenants) == 2
    assert "No results were returned" not in seen.text


def test_google_accepts_the_queries_of_every_chart(
    superset: Superset, open_as_reader: Callable[[str], Seen], tmp_path: Path
) -> None:
    """The same files serve BigQuery: Superset writes the SQL for it, with the reader's rule."""
    from tests.googlesql.engine import Column, Relation, analyse, type_name

    queries = [query for slug in DASHBOARDS for query in open_as_reader(slug).queries]
    (tmp_path / "queries.json").write_text(json.dumps(queries))
    shutil.copy(superset.root / "superset.db", tmp_path)
    state = json.loads((superset.root / "state.json").read_text())
    state |= {"database": as_bigquery.ADDRESS}
    state["accounts"] = {name: each | {"database": None} for name, each in state["accounts"].items()}
    (tmp_path / "state.json").write_text(json.dumps(state))
    words: list[str | Path] = [superset.install() / "bin/python", "-P", as_bigquery.__file__, READER]
    subprocess.run(
        [*words, tmp_path / "queries.json", tmp_path / "statements.json"],
        env=replace(superset, root=tmp_path)._environment(),
        check=True,
        capture_output=True,
    )
    statements = json.loads((tmp_path / "statements.json").read_text())
    assert [each["error"] for each in statements if each["error"]] == []
    relations = [
        Relation(
            ("local", "bi", view), tuple(Column(name, type_name(kind)) for name, kind in columns.items())
        )
        for view, columns in read_contracts().items()
    ]
    asked = {each["query"].strip().rstrip(";") for each in statements}
    assert len(asked) > len(read("charts")) / 2 and all("IN (" in sql or "1 = 0" in sql for sql in asked)
    for sql in asked:
        analyse(sql, [relation for relation in relations if relation.quoted in sql])


COUNT = {"label": "n", "expressionType": "SQL", "sqlExpression": "COUNT(*)"}
ASKING = {"label": "who", "expressionType": "SQL", "sqlExpression": "MAX(session_user)"}


@pytest.fixture(scope="module")
def datasets(superset: Superset) -> dict[str, int]:
    with sqlite3.connect(superset.root / "superset.db") as database:
        return dict(database.execute("select table_name, id from tables").fetchall())


def test_a_query_is_asked_by_the_readers_login_within_its_rule(
    log_in: Callable[[str], Visitor], datasets: dict[str, int]
) -> None:
    for reader in (READER, OTHER):
        status, answer = log_in(reader).ask(
            datasets["energy_daily_v1"], metrics=[ASKING], columns=["tenant_id"]
        )
        assert status == 200, answer
        (result,) = answer["result"]
        assert {row["who"] for row in result["data"]} == {reader}
        tenants = {row["tenant_id"] for row in result["data"]}
        assert tenants and tenants <= set(list_readers()[reader])
        assert all(f"'{tenant}'" in result["query"] for tenant in list_readers()[reader])
    _, answer = log_in(ADMIN).ask(datasets["energy_daily_v1"], metrics=[ASKING], columns=["tenant_id"])
    assert {row["who"] for row in answer["result"][0]["data"]} == {WAREHOUSE_DASHBOARDS.name}
    assert len(answer["result"][0]["data"]) == 2


@pytest.mark.parametrize("where", ["1 = 1) OR (1 = 1", "1 = 1 OR 1 = 1", "1 = 1) UNION SELECT 1 --"])
def test_no_filter_of_a_reader_widens_its_rule(
    log_in: Callable[[str], Visitor], datasets: dict[str, int], where: str
) -> None:
    _, answer = log_in(READER).ask(
        datasets["energy_daily_v1"], metrics=[COUNT], columns=["tenant_id"], extras={"where": where}
    )
    rows = [row for result in answer.get("result", []) for row in result["data"] or []]
    assert {row["tenant_id"] for row in rows} <= set(list_readers()[READER])


def test_rows_of_no_tenant_are_for_readers_of_all(
    log_in: Callable[[str], Visitor], datasets: dict[str, int]
) -> None:
    found = {}
    for name in (ADMIN, READER):
        _, answer = log_in(name).ask(datasets["pipeline_runs_v1"], metrics=[COUNT])
        found[name] = answer["result"][0]["data"][0]["n"]
    assert found[ADMIN] > 0 and found[READER] == 0


@pytest.mark.parametrize(
    "path", ["/api/v1/database/1/connection", "/api/v1/security/users/", "/api/v1/rowlevelsecurity/"]
)
def test_a_reader_may_not_ask_for_accounts_and_rules(log_in: Callable[[str], Visitor], path: str) -> None:
    page = log_in(READER).page
    answer = page.request.get(f"{page.url.split('/superset')[0]}{path}")
    assert answer.status in (401, 403, 404) or answer.json()["count"] == 0


def test_a_reader_may_not_write_sql(log_in: Callable[[str], Visitor], superset: Superset) -> None:
    page = log_in(READER).page
    token = page.request.get(f"{superset.url}/api/v1/security/csrf_token/").json()["result"]
    answer = page.request.post(
        f"{superset.url}/api/v1/sqllab/execute/",
        data=json.dumps({"database_id": 1, "sql": "select * from bi.energy_daily_v1"}),
        headers={"Content-Type": "application/json", "X-CSRFToken": token, "Referer": superset.url},
    )
    assert answer.status in (401, 403)


def test_without_a_login_nothing_is_answered(log_in: Callable[[str], Visitor], superset: Superset) -> None:
    browser = log_in(READER).page.context.browser
    assert browser is not None
    stranger = browser.new_page()
    try:
        for path in ("/api/v1/dashboard/", "/api/v1/chart/", "/superset/dashboard/owner/"):
            answer = stranger.request.get(f"{superset.url}{path}")
            assert answer.status in (401, 403, 404) or "/login" in answer.url
    finally:
        stranger.close()


def test_who_is_no_longer_in_the_seed_cannot_log_in(superset: Superset) -> None:
    with sqlite3.connect(superset.root / "superset.db") as database:
        active = dict(database.execute("select username, active from ab_user").fetchall())
    assert active == {ADMIN: 1, STRANGER: 0, **dict.fromkeys(list_own_logins(), 1)}
    assert STRANGER not in superset.read_passwords()


def test_the_server_listens_on_this_machine_alone(superset: Superset) -> None:
    found = psutil.net_connections("inet")
    listening = [
        each.laddr.ip
        for each in found
        if each.status == psutil.CONN_LISTEN
        if each.laddr.port == superset.port
    ]
    assert set(listening) == {"127.0.0.1"}


def test_secrets_are_closed_and_superset_keeps_no_password_of_the_warehouse(
    superset: Superset, passwords: dict[str, str]
) -> None:
    for name in ("secret_key", "passwords.json", "state.json"):
        assert stat.S_IMODE((superset.root / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(superset.root.stat().st_mode) == 0o700
    known = [
        *passwords.values(),
        *superset.read_passwords().values(),
        (superset.root / "secret_key").read_text(),
    ]
    for path in (superset.root / "superset.db", *superset.logs.iterdir()):
        text = path.read_bytes()
        assert [secret for secret in known if secret.encode() in text] == [], path.name


def test_an_export_gives_the_files_again(
    superset: Superset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written: dict[str, str] = {}

    def keep(found: dict[str, str], folder: Any = None) -> list[str]:
        written.update(found)
        return []

    monkeypatch.setattr(assets, "save", keep)
    superset.export()
    assert written == {path.relative_to(assets.FOLDER).as_posix(): path.read_text() for path in files()}
