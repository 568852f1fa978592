"""The BigQuery emulator through Google's client: the additions of the launcher, and recovery after a kill."""

import datetime as dt
import io
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core.exceptions import BadRequest, GoogleAPICallError, NotFound
from google.cloud import bigquery

from myproperty import engines
from myproperty.engines import EngineError
from myproperty.engines.emulator import installation
from myproperty.engines.emulator.client import bigquery_client
from myproperty.engines.environment import find_emulator
from myproperty.settings import Settings
from tests.engine_support import emulator_venv, kill, listener, temporary_home

pytestmark = pytest.mark.emulator
PROJECT = "local"
ROWS = pa.schema(
    [("tenant_id", pa.string()), ("reading_date", pa.date32()), ("value_kwh", pa.decimal128(20, 9))]
)
DAY = dt.date(2026, 1, 1)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    try:
        installation.find_python()
    except EngineError as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patch, temporary_home() as folder:
        patch.setenv("MYPROPERTY_EMULATOR_VENV", str(emulator_venv()))
        yield folder


@pytest.fixture
def settings(home: Path) -> Settings:
    # The emulator alone: a DSN from outside keeps PostgreSQL down.
    return Settings(home=home, warehouse="emulator", oltp_dsn="postgresql://127.0.0.1:1/none")


def connect(settings: Settings) -> bigquery.Client:
    return bigquery_client(engines.up(settings).warehouse["endpoint"], PROJECT, settings.bigquery_location)


@pytest.fixture
def client(settings: Settings) -> bigquery.Client:
    return connect(settings)


@pytest.fixture
def dataset(settings: Settings) -> Iterator[str]:
    name = f"{PROJECT}.d{uuid.uuid4().hex[:8]}"
    connect(settings).create_dataset(name)
    yield name
    # Connected anew: a test may have left the emulator on another port, for which a client waits ten minutes.
    connect(settings).delete_dataset(name, delete_contents=True)


def partitioned(client: bigquery.Client, dataset: str) -> str:
    """Make an empty table of readings, partitioned by day."""
    table = f"{dataset}.t"
    client.query_and_wait(
        f"create table `{table}` (tenant_id string, reading_date date, value_kwh numeric(20, 9))"
        " partition by reading_date cluster by tenant_id"
    )
    return table


def load(
    client: bigquery.Client, table: str, *days: dt.date, value: str = "1.5", truncate: bool = True
) -> None:
    """Load one row for each day from Parquet."""
    rows = [{"tenant_id": "a", "reading_date": day, "value_kwh": Decimal(value)} for day in days]
    data = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=ROWS), data)
    data.seek(0)
    disposition = "WRITE_TRUNCATE" if truncate else "WRITE_APPEND"
    config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition=disposition)
    client.load_table_from_file(data, table, job_config=config).result()


def values(client: bigquery.Client, table: str) -> dict[dt.date, list[Decimal]]:
    rows = client.query_and_wait(
        f"select reading_date, array_agg(value_kwh order by value_kwh) v from `{table}` group by 1"
    )
    return {row["reading_date"]: row["v"] for row in rows}


def test_a_load_into_a_decorator_replaces_only_that_partition(client: bigquery.Client, dataset: str) -> None:
    table = partitioned(client, dataset)
    second = DAY + dt.timedelta(days=1)
    load(client, f"{table}$20260101", DAY, value="1.123456789")
    load(client, f"{table}$20260102", second, value="2")
    for _ in range(2):
        load(client, f"{table}$20260102", second, second, value="7")
        assert values(client, table) == {DAY: [Decimal("1.123456789")], second: [Decimal(7)] * 2}
    load(client, f"{table}$20260101", DAY, value="3", truncate=False)
    assert values(client, table)[DAY] == [Decimal("1.123456789"), Decimal(3)]
    assert [t.table_id for t in client.list_tables(dataset)] == ["t"]


def test_a_decorator_of_another_day_is_refused_and_changes_nothing(
    client: bigquery.Client, dataset: str
) -> None:
    table = partitioned(client, dataset)
    load(client, f"{table}$20260101", DAY)
    with pytest.raises(BadRequest, match="different partitions"):
        load(client, f"{table}$20260101", DAY, DAY + dt.timedelta(days=1))
    for wrong in ("202601", "20260231"):
        with pytest.raises(BadRequest, match="Invalid partition id"):
            load(client, f"{table}${wrong}", DAY)
    assert values(client, table) == {DAY: [Decimal("1.5")]}


def test_a_decorator_needs_an_existing_partitioned_table(client: bigquery.Client, dataset: str) -> None:
    with pytest.raises(NotFound):
        load(client, f"{dataset}.t$20260101", DAY)
    load(client, f"{dataset}.plain", DAY)
    with pytest.raises(BadRequest, match="not partitioned"):
        load(client, f"{dataset}.plain$20260101", DAY)


def test_a_copy_job_moves_one_partition(client: bigquery.Client, dataset: str) -> None:
    table = partitioned(client, dataset)
    second = DAY + dt.timedelta(days=1)
    load(client, table, DAY, second)
    client.query_and_wait(
        f"create table `{dataset}.other` partition by reading_date as select * from `{table}`"
    )
    load(client, f"{table}$20260102", second, value="9")
    config = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE")
    client.copy_table(f"{table}$20260102", f"{dataset}.other$20260102", job_config=config).result()
    assert values(client, f"{dataset}.other") == {DAY: [Decimal("1.5")], second: [Decimal(9)]}


def test_a_query_writes_its_result_into_a_partition(client: bigquery.Client, dataset: str) -> None:
    table = partitioned(client, dataset)
    load(client, table, DAY, DAY)
    config = bigquery.QueryJobConfig(destination=f"{table}$20260101", write_disposition="WRITE_TRUNCATE")
    sql = f"select 'b' tenant_id, reading_date, cast(4 as numeric) value_kwh from `{table}` limit 1"
    rows = client.query(sql, job_config=config).result()
    assert [row["tenant_id"] for row in rows] == ["b"]
    assert values(client, table) == {DAY: [Decimal(4)]}


def test_a_view_asks_who_reads_it(settings: Settings, client: bigquery.Client, dataset: str) -> None:
    endpoint = engines.up(settings).warehouse["endpoint"]
    client.query_and_wait(f"create table `{dataset}.may` as select 'a@example.com' reader, 1 n")
    client.query_and_wait(
        f"create view `{dataset}.seen` as select n from `{dataset}.may` where reader = session_user()"
    )
    client.query_and_wait(f"create view `{dataset}.above` as select n from `{dataset}.seen`")
    for account, rows in (("a@example.com", [(1,)]), ("b@example.com", []), (None, [])):
        asking = bigquery_client(endpoint, PROJECT, settings.bigquery_location, account)
        for view in ("seen", "above"):
            question = f"select s.n from `{dataset}.{view}` as s"
            assert [row.values() for row in asking.query_and_wait(question)] == rows


@pytest.mark.parametrize("kind", ["table", "view"])
def test_a_create_job_names_its_destination_and_returns_no_rows(
    client: bigquery.Client, dataset: str, kind: str
) -> None:
    job = client.query(f"create {kind} `{dataset}.made` as select 1 as one")
    assert list(job.result()) == []
    assert str(job.destination) == f"{dataset}.made"
    assert [field.name for field in client.get_table(job.destination).schema] == ["one"]


def test_a_variable_is_set_from_a_struct(client: bigquery.Client, dataset: str) -> None:
    table = partitioned(client, dataset)
    load(client, table, DAY)
    rows = client.query_and_wait(
        "declare dates array<date>; set (dates) = (select as struct array_agg(distinct reading_date)"
        f" from `{table}`); select dates[offset(0)] as first;"
    )
    assert [row["first"] for row in rows] == [DAY]


def test_grants_are_kept_and_revoked(client: bigquery.Client, dataset: str) -> None:
    table = partitioned(client, dataset)

    def grantees() -> list[str]:
        sql = f"select grantee from `{dataset}`.INFORMATION_SCHEMA.OBJECT_PRIVILEGES where object_name = 't'"
        return sorted(row["grantee"] for row in client.query_and_wait(sql))

    role = "`roles/bigquery.dataViewer`"
    client.query_and_wait(f"grant {role} on table `{table}` to 'user:a@example.com', 'user:b@example.com'")
    assert grantees() == ["user:a@example.com", "user:b@example.com"]
    client.query_and_wait(f"revoke {role} on table `{table}` from 'user:a@example.com'")
    assert grantees() == ["user:b@example.com"]


def test_the_second_up_does_nothing(settings: Settings) -> None:
    first = engines.up(settings)
    began = time.monotonic()
    assert engines.up(settings) == first
    assert time.monotonic() - began < 1
    assert first.as_json()["warehouse"] == {
        "kind": "emulator",
        "state": "running",
        "endpoint": first.warehouse["endpoint"],
        "project": PROJECT,
    }


def kill_emulator(settings: Settings) -> None:
    running = find_emulator(settings).running()
    assert running is not None
    kill(running.pid)


def test_up_after_a_kill_brings_back_the_data_and_the_port(settings: Settings, dataset: str) -> None:
    before = engines.up(settings)
    table = partitioned(connect(settings), dataset)
    load(connect(settings), table, DAY)
    kill_emulator(settings)
    assert engines.status(settings).warehouse["state"] == "stopped"
    assert engines.up(settings).warehouse == before.warehouse
    assert values(connect(settings), table) == {DAY: [Decimal("1.5")]}


def test_a_job_that_a_kill_interrupted_ends_with_an_error(settings: Settings) -> None:
    job = connect(settings).query(
        "select sum(a * b) from unnest(generate_array(1, 300000)) a, unnest(generate_array(1, 300000)) b"
    )
    assert job.state != "DONE"
    kill_emulator(settings)
    with pytest.raises(GoogleAPICallError, match="new job id"):
        connect(settings).get_job(job.job_id).result(timeout=20)


def test_a_taken_remembered_port_is_replaced(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myproperty.engines.ports.PORT_RELEASE_S", 0.2)
    before = engines.up(settings).warehouse["endpoint"]
    engines.down(settings)
    assert before
    with listener(int(before.rpartition(":")[2])):
        status = engines.up(settings)
        assert status.warehouse["endpoint"] != before
        assert "is taken by another program" in " ".join(status.notes)
        engines.down(settings)


def test_a_taken_requested_port_is_an_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myproperty.engines.ports.PORT_RELEASE_S", 0.2)
    engines.down(settings)
    with listener() as port:
        monkeypatch.setenv("MYPROPERTY_EMULATOR_PORT", str(port))
        with pytest.raises(EngineError, match=f"port {port} .MYPROPERTY_EMULATOR_PORT. is taken"):
            engines.up(settings)


def test_a_broken_data_folder_is_left_alone_and_named(settings: Settings) -> None:
    engines.up(settings)
    engines.down(settings)
    catalog = settings.home / "emulator" / "data" / f"{PROJECT}.ducklake"
    whole = catalog.read_bytes()
    catalog.write_bytes(b"broken" * 4096)
    try:
        with pytest.raises(EngineError, match="move it away"):
            engines.up(settings)
        assert catalog.read_bytes() == b"broken" * 4096
    finally:
        catalog.write_bytes(whole)
    assert engines.up(settings).warehouse["state"] == "running"


def test_two_homes_run_side_by_side(settings: Settings, dataset: str) -> None:
    with temporary_home() as other_home:
        other = settings.model_copy(update={"home": other_home})
        partitioned(connect(other), f"{PROJECT}.{PROJECT}")
        endpoints = {engines.up(each).warehouse["endpoint"] for each in (settings, other)}
        assert len(endpoints) == 2
        with pytest.raises(NotFound):
            connect(other).get_dataset(dataset)


def test_a_machine_without_python_3_13_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "PATH", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert all(
        tmp_path in path.parents or path.parts[1] in ("usr", "opt") for path in installation.list_candidates()
    )
    with pytest.raises(EngineError, match=r"MYPROPERTY_EMULATOR_PYTHON=.* is not a Python 3.13"):
        installation.find_python(tmp_path / "python3.13")
    monkeypatch.setattr(installation, "is_usable", lambda _: False)
    with pytest.raises(EngineError, match=r"needs Python 3\.13, and none was found"):
        installation.find_python()


def test_a_python_3_13_of_pyenv_is_found_off_the_path(tmp_path: Path) -> None:
    python = tmp_path / ".pyenv/versions/3.13.5/bin/python3.13"
    python.parent.mkdir(parents=True)
    python.touch()
    assert python in list(installation.list_candidates({"HOME": str(tmp_path), "PATH": "/bin"}))


def test_a_failed_installation_is_explained_and_repeated_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("no-such-package==1.0 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(installation, "LOCK", lock)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    log = tmp_path / "install.log"
    with pytest.raises(EngineError, match=r"no-such-package(.|\n)*run the command again"):
        installation.ensure_installed(tmp_path / "venv", None, log)
    assert "no-such-package" in log.read_text()
    lock.write_text("")
    monkeypatch.setattr(installation, "IMPORT_EXTENSIONS", "")
    made = installation.ensure_installed(tmp_path / "venv", None, log)
    assert (made / "bin/python").exists()
    assert installation.ensure_installed(tmp_path / "venv", Path("/not/looked/at"), log) == made
