"""Validation of whole days on a database: the scenarios, repeated runs, and resolutions by people."""

import datetime
import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from typer.testing import CliRunner

from commands.main import app
from data.demo import apply_company, generate_files
from data.demo.company import list_tenants
from data.ingest.errors import IngestError
from data.ingest.readings.load import ingest_file
from data.ingest.validation.blocks import split_properties
from data.ingest.validation.issues import list_issues, resolve_issue
from data.ingest.validation.run import validate
from tests.conftest import DatabaseMaker
from tests.ingest.validation.sites import Site, block, rows_of

pytestmark = pytest.mark.engine

SCENARIOS = sorted(path for path in (Path(__file__).parent / "scenarios").iterdir() if path.is_dir())


def _key(row: dict[str, Any]) -> tuple[str, str, datetime.datetime]:
    return row["meter"], row["channel"], datetime.datetime.fromisoformat(row["reading_ts"])


def _said(row: dict[str, Any]) -> list[Any]:
    value = Decimal(row["value"]) if row["value"] is not None else None
    method = row["quality_method"]
    return [value, row["quality"], method, *([int(row["version"])] if "version" in row else [])]


@pytest.mark.parametrize("case", SCENARIOS, ids=lambda path: path.name)
def test_a_scenario(case: Path, oltp_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if case.name != "long_gap":  # it crosses the border between two transactions
        monkeypatch.setattr("data.ingest.validation.run.CHUNK", 31)
    site = Site(oltp_dsn, case.name, rows_of(case / "when" / "meters.csv"), tmp_path)
    with psycopg.connect(oltp_dsn) as connection:
        for read in rows_of(case / "when" / "register_reads.csv"):
            connection.execute(
                "insert into myproperty.register_reads (tenant_id, meter_id, channel, read_at, kind, "
                "serial_number, value, digits, multiplier, unit) "
                "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (site.tenant_id, site.ids[str(read["meter"])], *list(read.values())[1:]),
            )
    blocks = rows_of(case / "when" / "readings.csv")
    for step in sorted({str(row["step"]) for row in blocks}):
        site.load(f"{step}.csv", [row for row in blocks if row["step"] == step])
        validate(oltp_dsn, tenant=site.name)
    found = site.issues()
    wanted = rows_of(case / "then" / "issues.csv")
    assert [row[:6] for row in found] == [tuple(row.values())[:6] for row in wanted]
    counts = [(row[6].get("intervals"), want["intervals"]) for row, want in zip(found, wanted, strict=True)]
    assert all(want is None or seen == int(want) for seen, want in counts), counts
    current, replaced = site.readings(), site.readings("meter_reading_versions")
    for row in rows_of(case / "then" / "readings.csv"):
        assert current[_key(row)][:3] == _said(row), row
    assert replaced == {_key(row): _said(row) for row in rows_of(case / "then" / "versions.csv")}
    before = site.everything()
    assert validate(oltp_dsn, tenant=site.name) == []  # no date is pending
    [again] = validate(
        oltp_dsn, tenant=site.name, first=datetime.date(2024, 1, 1), last=datetime.date(2026, 1, 1)
    )
    assert (again.estimated, again.resolved) == (0, 0)
    assert site.everything() == before


@pytest.fixture
def spiky(oltp_dsn: str, tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    """A tenant with one spike: 5 where 2 is usual, a ratio of 1.5."""
    meter = {
        "meter": "M1",
        "type": "grid",
        "timezone": "UTC",
        "channel": "import",
        "interval_seconds": "3600",
    }
    site = Site(oltp_dsn, request.node.name, [meter], tmp_path)
    site.load(
        "a.csv",
        [
            block("2.0", "2025-06-01T00:00Z", "2025-06-01T08:00Z"),
            block("5.0", "2025-06-01T08:00Z", "2025-06-01T09:00Z"),
            block("2.0", "2025-06-01T09:00Z", "2025-06-02T00:00Z"),
        ],
    )
    return site


def test_a_resolved_issue_stays_resolved_until_it_changes(spiky: Site) -> None:
    validate(spiky.dsn, tenant=spiky.name)
    [issue] = list_issues(spiky.dsn, tenant=spiky.name)
    assert (issue.rule, issue.meter, issue.status) == ("VEE-SPIKE", "M1", "open")
    resolve_issue(spiky.dsn, issue.id, by="ann", note="the lift was tested")
    day = datetime.date(2025, 6, 1)
    validate(spiky.dsn, tenant=spiky.name, first=day, last=day)
    assert list_issues(spiky.dsn, tenant=spiky.name) == []
    [kept] = list_issues(spiky.dsn, tenant=spiky.name, with_resolved=True)
    assert (kept.status, kept.resolved_by, kept.resolution_note) == ("resolved", "ann", "the lift was tested")
    spiky.load("b.csv", [block("6.0", "2025-06-01T08:00Z", "2025-06-01T09:00Z", version="2025-06-06T00:00Z")])
    validate(spiky.dsn, tenant=spiky.name)
    assert [found.id for found in list_issues(spiky.dsn, tenant=spiky.name)] == [issue.id]


@pytest.mark.parametrize(("by", "note"), [("", "why"), ("ann", " ")])
def test_a_resolution_needs_a_name_and_a_reason(oltp_dsn: str, by: str, note: str) -> None:
    with pytest.raises(IngestError, match="names who decided and why"):
        resolve_issue(oltp_dsn, "x", by=by, note=note)
    with pytest.raises(IngestError, match="no open issue x"):
        resolve_issue(oltp_dsn, "x", by="ann", note="why")


def test_a_tenants_own_threshold_is_used_and_an_invalid_one_is_an_error(spiky: Site) -> None:
    def own(parameters: str) -> None:
        with psycopg.connect(spiky.dsn) as connection:
            connection.execute(
                "insert into myproperty.vee_thresholds "
                "(tenant_id, rule, meter_type, parameters, valid_during) "
                "values (%s, 'VEE-SPIKE', %s, %s, '[2025-01-01,)')",
                (spiky.tenant_id, None if "ratio" in parameters else "grid", parameters),
            )

    own('{"ratio": 1.6}')
    validate(spiky.dsn, tenant=spiky.name)
    assert spiky.issues() == []
    own('{"factor": 1.6}')
    day = datetime.date(2025, 6, 1)
    with pytest.raises(IngestError, match=r"'factor' = 1\.6 of VEE-SPIKE"):
        validate(spiky.dsn, tenant=spiky.name, first=day, last=day)


def test_another_tenant_is_not_changed(spiky: Site) -> None:
    meter = {
        "meter": "M1",
        "type": "grid",
        "timezone": "UTC",
        "channel": "import",
        "interval_seconds": "3600",
    }
    other = Site(spiky.dsn, "other", [meter], spiky.folder)
    other.load("o.csv", [block("2.0", "2025-06-01T00:00Z", "2025-06-01T20:00Z")])
    results = validate(spiky.dsn, tenant=spiky.name)
    assert [result.tenant for result in results] == [spiky.name]
    assert other.issues() == []
    assert validate(spiky.dsn, tenant=other.name)[0].found == {"VEE-GAP": 1}
    assert [row[3] for row in spiky.issues()] == ["VEE-SPIKE"]


def test_validation_waits_for_a_load_of_its_dates_and_sees_it(spiky: Site) -> None:
    """A load that changed a date and has not committed holds the date's lock, as the store takes it."""
    with psycopg.connect(spiky.dsn) as load, ThreadPoolExecutor(1) as pool:
        load.execute("select pg_advisory_xact_lock(7305, date '2025-06-01' - date '2000-01-01')")
        load.execute(
            "update myproperty.meter_readings set value_native = 2, value_kwh = 2 "
            "where reading_date = '2025-06-01' and tenant_id = %s",
            (spiky.tenant_id,),
        )
        validation = pool.submit(validate, spiky.dsn, tenant=spiky.name)
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while spiky.rows(waiting) == [(0,)]:
            assert not validation.done()
        load.commit()
        [result] = validation.result(timeout=60)
    assert (len(result.dates), result.found) == (1, {})


def test_the_commands_validate_list_and_resolve(spiky: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myproperty.engines.login_dsn", lambda settings, login: spiky.dsn)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, [*arguments])

    [validated] = json.loads(run("validate", "--tenant", spiky.name, "--json").stdout)
    assert (validated["dates"], validated["found"]) == (["2025-06-01"], {"VEE-SPIKE": 1})
    assert "no reading date has changed" in run("validate", "--tenant", spiky.name).output
    [issue] = json.loads(run("issues", "list", "--tenant", spiky.name, "--json").stdout)
    assert json.loads(issue["details"]) == {"highest": 5.0, "third_highest": 2.0, "ratio": 1.5}
    closing = ("issues", "resolve", issue["id"], "--by", "ann", "--note", "the lift was tested")
    assert run(*closing).exit_code == 0
    again = run(*closing)
    assert (again.exit_code, "no open issue" in again.output) == (1, True)


def test_properties_validated_one_by_one_give_what_all_of_them_give(
    migrated_database: DatabaseMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant of many meters is validated in blocks of properties; the demo's tenant has two."""
    tenant = list_tenants("small")[0]
    scope = generate_files(tmp_path, "small")
    with migrated_database("blocks") as dsn:
        apply_company(dsn, "small")
        for file in scope.files:
            if file.tenant == tenant.name:
                ingest_file(file.path, tenant=tenant.name, dsn=dsn)
        monkeypatch.setattr("data.ingest.validation.blocks.READINGS", 1)
        [apart] = validate(dsn, tenant=tenant.name)
        found, readings = list_issues(dsn, limit=10_000), _checksum(dsn)
        monkeypatch.undo()
        [together] = validate(dsn, tenant=tenant.name, first=apart.dates[0], last=apart.dates[-1])
        assert {issue.property for issue in found} == {site.name for site in tenant.sites}
        assert apart.estimated > 0 and (together.estimated, together.resolved) == (0, 0)
        assert together.found == apart.found
        assert (list_issues(dsn, limit=10_000), _checksum(dsn)) == (found, readings)


def _checksum(dsn: str) -> Any:
    query = "select count(*), sum(value_kwh), max(updated_at) from myproperty.meter_readings"
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchone()


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"a": 10, "b": 10, "c": 10}, [["a", "b", "c"]]),
        ({"a": 20, "b": 20, "c": 11}, [["a"], ["b", "c"]]),
        ({"a": 90, "c": 1}, [["a"], ["b", "c"]]),
        ({}, [["a", "b", "c"]]),
    ],
)
def test_a_block_has_whole_properties(
    counts: dict[str, int], expected: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.ingest.validation.blocks.READINGS", 31)
    series = pd.DataFrame({"property_id": ["a", "b", "a", "c"], "meter_id": ["1", "2", "3", "4"]})
    blocks = split_properties(series, pd.Series(counts, dtype="int64"))
    assert [list(block["property_id"].unique()) for block in blocks] == expected
    assert sum(map(len, blocks)) == len(series)
    assert split_properties(series.iloc[:0], pd.Series(counts, dtype="int64")) == []
