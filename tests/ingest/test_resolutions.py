"""Closing many quarantined rows and issues: by rule, file and job, counted first, each with its reason."""

import pytest

from data.ingest import resolutions
from data.ingest.errors import IngestError
from data.ingest.readings import quarantine
from data.ingest.readings.load import ingest_file
from data.ingest.resolutions import ISSUES, QUARANTINE, Selection, count_selected, resolve_selected
from data.ingest.validation.issues import list_issues
from tests.ingest.conftest import Company, FileMaker, hours, make_company

pytestmark = pytest.mark.engine


def open_rows(company: Company) -> list[tuple[str, str]]:
    rows = quarantine.list_quarantined(company.dsn, tenant=company.name)
    return sorted((row.source_uri.rsplit("/", 1)[-1], row.rule) for row in rows)


@pytest.fixture
def jobs(company: Company, csv_file: FileMaker) -> list[str]:
    """The jobs of two files, each with two negative values and a value that is too precise."""
    made = []
    for name in ("a.csv", "b.csv"):
        values = ["-1", "-2", "0.0000000001"] if name == "a.csv" else ["-3", "-4", "0.0000000002"]
        result = ingest_file(csv_file(name, values), tenant=company.name, dsn=company.dsn)
        assert result.quarantined == 3
        made.append(str(result.job_id))
    return made


def test_rows_are_closed_by_rule_in_bounded_transactions(
    company: Company, jobs: list[str], csv_file: FileMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_company(company.dsn, f"other of {company.name}")
    ingest_file(csv_file("c.csv", ["-9"]), tenant=other.name, dsn=other.dsn)
    monkeypatch.setattr(resolutions, "ROWS_PER_TRANSACTION", 3)
    chosen = Selection(tenant=company.name, rule="VEE-NEGATIVE")
    counted = count_selected(company.dsn, QUARANTINE, chosen)
    assert counted == [{"tenant": company.name, "rule": "VEE-NEGATIVE", "rows": 4}]
    assert len(open_rows(company)) == 6, "counting changes nothing"
    steps: list[int] = []
    closed = resolve_selected(
        company.dsn, QUARANTINE, chosen, by="ops", note="wired the wrong way", progress=steps.append
    )
    assert (closed, steps) == (4, [3, 4])
    assert all(rule != "VEE-NEGATIVE" for _, rule in open_rows(company))
    assert open_rows(other) == [("c.csv", "VEE-NEGATIVE")]
    kept = company.rows(
        "select distinct resolved_by, resolution_note from warehouse_staging.quarantined_readings "
        "where tenant_id = %s and status = 'resolved'",
        company.tenant_id,
    )
    assert kept == [("ops", "wired the wrong way")]
    assert resolve_selected(company.dsn, QUARANTINE, chosen, by="ops", note="again") == 0


@pytest.mark.parametrize("by", ["file", "job"])
def test_rows_are_closed_by_file_and_by_job(company: Company, jobs: list[str], by: str) -> None:
    chosen = Selection(tenant=company.name, **{by: "a.csv" if by == "file" else jobs[0]})
    assert resolve_selected(company.dsn, QUARANTINE, chosen, by="ops", note="a test file") == 3
    assert {name for name, _ in open_rows(company)} == {"b.csv"}


@pytest.mark.parametrize(
    ("chosen", "by", "message"),
    [
        (Selection(), "ops", "at least one of --rule, --file and --job"),
        (Selection(job="7"), "ops", "not the id of an ingestion job"),
        (Selection(rule="VEE-NEGATIVE"), " ", "who decided and why"),
    ],
)
def test_a_selection_that_says_too_little_closes_nothing(
    oltp_dsn: str, chosen: Selection, by: str, message: str
) -> None:
    with pytest.raises(IngestError, match=message):
        resolve_selected(oltp_dsn, QUARANTINE, chosen, by=by, note="note")


def test_issues_are_listed_by_severity_and_closed_by_the_file_of_their_readings(
    company: Company, csv_file: FileMaker
) -> None:
    ingest_file(csv_file("a.csv", hours(24)), tenant=company.name, dsn=company.dsn)
    for date, rule, severity in (
        ("2025-06-02", "VEE-GAP", "issue"),
        ("2025-06-01", "VEE-SPIKE", "issue"),
        ("2025-06-03", "VEE-LOW", "info"),
    ):
        company.rows(
            "insert into myproperty.reading_issues "
            "(tenant_id, property_id, meter_id, channel, reading_date, rule, severity, details) "
            "select tenant_id, property_id, id, 'import', %s, %s, %s, '{}' "
            "from myproperty.meters where tenant_id = %s returning 1",
            date,
            rule,
            severity,
            company.tenant_id,
        )
    listed = list_issues(company.dsn, tenant=company.name, with_resolved=True)
    assert [issue.rule for issue in listed] == ["VEE-GAP", "VEE-SPIKE", "VEE-LOW"]
    chosen = Selection(tenant=company.name, file="a.csv")
    assert count_selected(company.dsn, ISSUES, chosen) == [
        {"tenant": company.name, "rule": "VEE-SPIKE", "rows": 1}
    ], "the file has readings of 1 June alone"
    assert resolve_selected(company.dsn, ISSUES, chosen, by="ops", note="outage confirmed") == 1
    assert [issue.rule for issue in list_issues(company.dsn, tenant=company.name)] == ["VEE-GAP"]
