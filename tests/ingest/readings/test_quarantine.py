"""The quarantine as people use it: list, resolve with a reason, replay after a register was corrected."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from data.ingest.errors import IngestError
from data.ingest.readings import quarantine
from data.ingest.readings.load import ingest_file
from tests.ingest.conftest import Company, FileMaker, hours

pytestmark = pytest.mark.engine


def test_resolve_closes_a_row_with_name_and_reason(company: Company, csv_file: FileMaker) -> None:
    ingest_file(csv_file("a.csv", ["-1"]), tenant=company.name, dsn=company.dsn)
    (row,) = quarantine.list_quarantined(company.dsn, tenant=company.name)
    assert (row.rule, row.line, row.status) == ("VEE-NEGATIVE", 2, "open")
    with pytest.raises(IngestError, match="who decided and why"):
        quarantine.resolve_quarantined(company.dsn, row.id, by="ops", note=" ")
    closed = quarantine.resolve_quarantined(
        company.dsn, row.id, by="ops", note="meter was wired the wrong way round"
    )
    assert (closed.status, closed.resolved_by) == ("resolved", "ops")
    assert quarantine.list_quarantined(company.dsn, tenant=company.name) == []
    with pytest.raises(IngestError, match="is resolved"):
        quarantine.resolve_quarantined(company.dsn, row.id, by="ops", note="again")


def test_replay_loads_rows_that_a_corrected_register_makes_valid(
    company: Company, csv_file: FileMaker, tmp_path: Path
) -> None:
    path = csv_file("a.csv", [*hours(3), "-1"], register="B7")
    first = ingest_file(path, tenant=company.name, dsn=company.dsn)
    assert first.quarantined == 4
    row = quarantine.list_quarantined(company.dsn, tenant=company.name)[0]
    with psycopg.connect(company.dsn) as connection:
        connection.execute(
            "update myproperty.meter_registers set register = 'B7' where tenant_id = %s", (company.tenant_id,)
        )
    kept = tmp_path / "archive" / company.name
    kept.mkdir(parents=True)
    path.rename(kept / path.name)
    result = quarantine.replay_quarantined(company.dsn, row.id, archive=str(tmp_path / "archive"))
    assert (result.job_id, result.accepted, result.quarantined) == (first.job_id, 3, 1)
    assert len(company.current()) == 3
    assert [r.rule for r in quarantine.list_quarantined(company.dsn, tenant=company.name)] == ["VEE-NEGATIVE"]
    ledger = company.rows(
        "select accepted, quarantined from myproperty.ingestion_jobs where id = %s", first.job_id
    )
    assert ledger == [(3, 1)]
    again = quarantine.replay_quarantined(company.dsn, row.id, archive=str(tmp_path / "archive"))
    assert (again.accepted, again.unchanged, again.dates_touched) == (0, 3, [])


def test_replay_needs_the_bytes_that_were_ingested(
    company: Company, csv_file: FileMaker, tmp_path: Path
) -> None:
    path = csv_file("a.csv", ["-1"])
    ingest_file(path, tenant=company.name, dsn=company.dsn)
    path.write_text(path.read_text().replace("-1", "1"))
    (row,) = quarantine.list_quarantined(company.dsn, tenant=company.name)
    with pytest.raises(IngestError, match="put it back"):
        quarantine.replay_quarantined(company.dsn, row.id, archive=str(tmp_path))


@pytest.mark.parametrize("make_link", [Path.symlink_to, Path.hardlink_to])
def test_replay_follows_no_link_that_a_sender_put_in_the_place_of_its_file(
    company: Company, csv_file: FileMaker, tmp_path: Path, make_link: Callable[[Path, Path], None]
) -> None:
    path = csv_file("a.csv", ["-1"])
    ingest_file(path, tenant=company.name, dsn=company.dsn)
    (row,) = quarantine.list_quarantined(company.dsn, tenant=company.name)
    elsewhere = path.rename(tmp_path / "elsewhere.csv")
    make_link(path, elsewhere)
    with pytest.raises(IngestError, match="put it back"):
        quarantine.replay_quarantined(company.dsn, row.id, archive=str(tmp_path / "archive"))
    path.unlink()
    kept = tmp_path / "archive" / company.name / path.name
    kept.parent.mkdir(parents=True)
    kept.write_bytes(elsewhere.read_bytes())
    path.mkdir()  # a folder is not the file either
    assert (
        quarantine.replay_quarantined(company.dsn, row.id, archive=str(tmp_path / "archive")).quarantined == 1
    )


def test_an_unknown_row_is_an_error_that_says_how_to_find_one(oltp_dsn: str) -> None:
    with pytest.raises(IngestError, match="quarantine list"):
        quarantine.show_quarantined(oltp_dsn, "not-an-id")


def test_counts_are_limited_to_the_tenant_that_is_named(company: Company, csv_file: FileMaker) -> None:
    ingest_file(csv_file("a.csv", ["-1", "-2", "3"]), tenant=company.name, dsn=company.dsn)
    (counted,) = quarantine.count_quarantined(company.dsn, company.name)
    assert (counted["tenant"], counted["rule"], counted["rows"]) == (company.name, "VEE-NEGATIVE", 2)
    assert len(quarantine.count_quarantined(company.dsn)) > 1
