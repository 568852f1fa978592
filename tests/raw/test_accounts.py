"""Each job has its account on BigQuery: which credentials a client is built with, and what is granted.

No server is asked: the credentials are google-auth's own objects, made from a key of the test.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dbt.adapters.bigquery.credentials import BigQueryCredentials, create_google_credentials
from dbt.config.profile import Profile, read_profile
from dbt.config.renderer import ProfileRenderer
from dbt_common.context import set_invocation_context
from google.api_core.exceptions import GoogleAPICallError
from google.auth import impersonated_credentials
from google.cloud import bigquery
from google.oauth2 import service_account
from pydantic import ValidationError

from data.ingest.errors import QueryRefused
from data.landing.entities import ENTITIES
from data.raw.accounts import DATASETS, SHARED_WITH_BI, list_grants
from data.raw.bigquery import BigQueryWarehouse, open_bigquery
from data.warehouse import project as dbt_calls
from docs.accounts import grant_commands, name_account
from myproperty import engines
from myproperty.database.roles import (
    WAREHOUSE_DBT,
    WAREHOUSE_GATES,
    WAREHOUSE_LOGINS,
    WAREHOUSE_RAW,
    WAREHOUSE_READER,
    Login,
)
from myproperty.engines.emulator.client import bigquery_client
from myproperty.settings import Settings
from tests.raw.job_server import serve_jobs

RUNNER = "runner@a-project.iam.gserviceaccount.com"
ACCOUNTS = {
    login: f"{name_account(login)}@a-project.iam.gserviceaccount.com"
    for login in WAREHOUSE_LOGINS
    if login.account
}
TENANTS = ENTITIES["tenants"]
# Each command of the shell is a program of the test that writes its words down.
STUBS = """
say() { printf '%s\\0' "$@" >> "$SAID"; printf '\\n\\0' >> "$SAID"; }
bq() { say bq "$@"; }; gcloud() { say gcloud "$@"; }; jq() { say jq "$@"; }
"""


@pytest.fixture(scope="module", autouse=True)
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A machine whose own credentials are those of RUNNER."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    found = tmp_path_factory.mktemp("runner") / "runner.json"
    document = {
        "type": "service_account",
        "project_id": "a-project",
        "client_email": RUNNER,
        "private_key": key.decode(),
        "token_uri": "https://oauth2.invalid/token",
    }
    found.write_text(json.dumps(document))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(found))
        yield


def settings(**accounts: str | None) -> Settings:
    given = {"bigquery_endpoint": None, "dataset_prefix": ""}
    return Settings(warehouse="bigquery", bigquery_project="a-project", **given, **accounts)  # type: ignore[arg-type]


def all_accounts() -> dict[str, str | None]:
    return {str(login.account): account for login, account in ACCOUNTS.items()}


@pytest.mark.parametrize("login", ACCOUNTS, ids=lambda login: login.name)
def test_a_client_acts_as_the_account_of_its_job(login: Login) -> None:
    with closing(open_bigquery(settings(**all_accounts()))) as warehouse:
        found: Any = warehouse._client(login)._credentials
    assert isinstance(found, impersonated_credentials.Credentials)
    assert found.service_account_email == ACCOUNTS[login]
    assert found._source_credentials.service_account_email == RUNNER
    assert found._target_scopes == bigquery.Client.SCOPE


@pytest.mark.parametrize("login", [WAREHOUSE_RAW, WAREHOUSE_READER], ids=lambda login: login.name)
def test_without_accounts_a_client_acts_as_the_machine(login: Login) -> None:
    with closing(open_bigquery(settings())) as warehouse:
        found = warehouse._client(login)._credentials
    assert isinstance(found, service_account.Credentials)
    assert found.service_account_email == RUNNER


@pytest.mark.parametrize("accounts", [all_accounts(), {}], ids=["accounts", "no accounts"])
def test_dbt_acts_as_its_account(accounts: dict[str, str | None]) -> None:
    set_invocation_context({**os.environ, **dbt_calls.connection(settings(**accounts))})
    profile = read_profile(str(dbt_calls.PROJECT_DIR))["myproperty"]
    _, rendered = Profile.render_profile(profile, "myproperty", "bigquery", ProfileRenderer({}))
    connection = Profile._credentials_from_profile(rendered, "myproperty", "bigquery")
    assert isinstance(connection, BigQueryCredentials)
    found: Any = create_google_credentials(connection)
    assert found.service_account_email == (ACCOUNTS[WAREHOUSE_DBT] if accounts else RUNNER)
    assert isinstance(found, impersonated_credentials.Credentials) is bool(accounts)
    assert connection.maximum_bytes_billed == 100 * 2**30


@pytest.fixture
def refusing() -> Iterator[tuple[BigQueryWarehouse, list[Login | str]]]:
    """A warehouse whose server refuses everything, and the logins that it connected as."""
    connected: list[Login | str] = []
    with serve_jobs() as server:
        server.refusal = (403, "accessDenied")

        def connect(login: Login | str) -> bigquery.Client:
            connected.append(login)
            return bigquery_client(server.address, "a-project", "EU")

        yield BigQueryWarehouse(connect, "a-project", "emulator"), connected


def test_each_call_connects_as_the_login_of_its_job(
    refusing: tuple[BigQueryWarehouse, list[Login | str]],
) -> None:
    warehouse, connected = refusing
    rows = TENANTS.schema.empty_table()
    calls: dict[str, tuple[Callable[[], object], Login | str]] = {
        "load": (lambda: warehouse.load_partitions(TENANTS, [rows], None, "a run"), WAREHOUSE_RAW),
        "create": (lambda: warehouse.ensure_table(TENANTS), WAREHOUSE_RAW),
        "count": (lambda: warehouse.fingerprint(TENANTS), WAREHOUSE_RAW),
        "judge": (lambda: warehouse.query("select 1"), WAREHOUSE_GATES),
        "ask": (lambda: warehouse.ask("select 1", 1), WAREHOUSE_READER),
        "ask as": (
            lambda: warehouse.ask("select 1", 1, "a_reader"),
            "a-reader@a-project.iam.gserviceaccount.com",
        ),
        "ask as an account": (
            lambda: warehouse.ask("select 1", 1, ACCOUNTS[WAREHOUSE_DBT]),
            ACCOUNTS[WAREHOUSE_DBT],
        ),
    }
    for call, login in calls.values():
        warehouse._clients.clear()
        with pytest.raises((GoogleAPICallError, QueryRefused)):
            call()
        assert connected.pop() == login
    assert not connected


def test_nobody_asks_as_a_person() -> None:
    with closing(open_bigquery(settings())) as warehouse, pytest.raises(QueryRefused, match="this person"):
        warehouse.ask("select 1", 1, "anna@example.com")


def test_as_soon_as_a_job_has_an_account_a_reader_needs_one() -> None:
    given = settings(bigquery_raw_account=ACCOUNTS[WAREHOUSE_RAW])
    with pytest.raises(engines.EngineError, match="MYPROPERTY_BIGQUERY_READER_ACCOUNT"):
        open_bigquery(given).ask("select 1", 1)


def test_status_says_who_acts() -> None:
    def said(**accounts: str | None) -> str | None:
        return engines.status(settings(**accounts)).warehouse["accounts"]

    assert said() == "one for all jobs: the default credentials"
    assert said(**all_accounts()) == "one for each job"
    assert said(**all_accounts() | {"bigquery_dbt_account": None}) == (
        "the default credentials where unset: MYPROPERTY_BIGQUERY_DBT_ACCOUNT"
    )


def test_a_name_that_is_no_account_is_refused() -> None:
    with pytest.raises(ValidationError, match="bigquery_raw_account"):
        settings(bigquery_raw_account="myproperty-raw")


def test_the_commands_of_the_page_grant_what_is_declared(tmp_path: Path) -> None:
    said = tmp_path / "said"
    subprocess.run(
        ["bash", "-euc", STUBS + grant_commands()],
        check=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "SAID": str(said)},
    )
    calls = [call.strip("\0").split("\0") for call in said.read_text().split("\n\0") if call]
    granted: set[tuple[str, str, str | None]] = set()
    for words in calls:
        if words[:3] == ["gcloud", "projects", "add-iam-policy-binding"]:
            given = dict(word.split("=", 1) for word in words if word.startswith("--"))
            granted.add((given["--member"], given["--role"], None))
        if words[0] == "bq" and "query" in words:
            found = re.fullmatch(r"grant `(.+)` on schema `my-project\.(\w+)` to '(.+)'", words[-1])
            assert found, words
            granted.add((found[3], found[1], found[2]))
    at = "@my-project.iam.gserviceaccount.com"
    assert granted == {
        (f"serviceAccount:{name_account(login)}{at}", role, dataset) for login, role, dataset in list_grants()
    }
    made = {words[-1].removeprefix("my-project:") for words in calls if "mk" in words}
    assert made == set(DATASETS)


def test_views_for_dashboards_read_shared_datasets_only() -> None:
    folders = {"core": ("dimensions", "facts"), "marts": ("marts",)}
    shared = {
        path.stem
        for dataset in SHARED_WITH_BI
        for folder in folders[dataset]
        for path in (dbt_calls.PROJECT_DIR / "models" / folder).rglob("*.sql")
    }
    views = list((dbt_calls.PROJECT_DIR / "models" / "bi").rglob("*.sql"))
    read = {name for view in views for name in re.findall(r"ref\('(\w+)'\)", view.read_text())}
    assert len(views) > 10 and read and read <= shared
    # The macro of their rules reads this seed, which is in `core`.
    assert "tenant_readers" not in read and "core" in SHARED_WITH_BI
