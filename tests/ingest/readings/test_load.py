"""Files to readings: versions, history, quarantine, the ledger, all or nothing."""

import gzip
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.readings import load as load_module
from data.ingest.readings.load import ingest_file
from data.ingest.readings.registers import MAX_NEW_METERS
from data.ingest.readings.results import IngestResult
from myproperty.database.session import Session
from myproperty.tenants import TenantError
from tests.ingest.conftest import V0, V1, V2, Company, FileMaker, hours, make_company

pytestmark = pytest.mark.engine

DAY_1, DAY_2 = date(2025, 6, 1), date(2025, 6, 2)


def ingest(company: Company, path: Path, create_meters: str | None = None) -> IngestResult:
    return ingest_file(path, tenant=company.name, dsn=company.dsn, create_meters=create_meters)


def counts(result: IngestResult) -> tuple[int, int, int, int, int]:
    return (
        result.accepted,
        result.unchanged,
        result.new_versions,
        result.superseded,
        result.quarantined,
    )


def test_a_file_twice_is_unchanged_and_touches_no_date(company: Company, csv_file: FileMaker) -> None:
    path = csv_file("a.csv", hours(30))
    first = ingest(company, path)
    assert (first.status, counts(first)) == ("loaded", (30, 0, 0, 0, 0))
    assert first.dates_touched == [DAY_1, DAY_2]
    before = company.current()
    again = ingest(company, path)
    assert (again.status, counts(again), again.dates_touched) == ("unchanged", (0, 30, 0, 0, 0), [])
    assert company.current() == before
    assert [row[1] for row in before] == [Decimal(value) for value in hours(30)]


def test_the_same_readings_in_other_bytes_are_unchanged(company: Company, csv_file: FileMaker) -> None:
    path = csv_file("a.csv", hours(30))
    ingest(company, path)
    packed = path.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    result = ingest(company, packed)
    assert (result.status, counts(result), result.dates_touched) == ("loaded", (0, 30, 0, 0, 0), [])


def test_a_revised_file_makes_versions_and_touches_only_changed_dates(
    company: Company, csv_file: FileMaker
) -> None:
    ingest(company, csv_file("a.csv", hours(30)))
    revised = hours(30)
    revised[25] = "99.5"
    result = ingest(company, csv_file("b.csv", revised, version=V2))
    assert counts(result) == (0, 29, 1, 0, 0)
    assert result.dates_touched == [DAY_2]
    assert company.current()[25][1:] == (Decimal("99.5"), "actual", 2)
    history = company.rows(
        "select value_native, version, replaced_by_job_id::text from myproperty.meter_reading_versions "
        "where tenant_id = %s",
        company.tenant_id,
    )
    assert history == [(Decimal(hours(30)[25]), 1, result.job_id)]
    touched = company.rows(
        "select reading_date, readings from myproperty.ingestion_job_dates where ingestion_job_id = %s",
        result.job_id,
    )
    assert touched == [(DAY_2, 1)]


def test_a_late_older_file_replaces_nothing_and_is_kept(company: Company, csv_file: FileMaker) -> None:
    ingest(company, csv_file("a.csv", hours(3)))
    before = company.current()
    result = ingest(company, csv_file("late.csv", hours(3, "7"), version=V0))
    assert (counts(result), result.dates_touched) == ((0, 0, 0, 3, 0), [])
    assert company.current() == before
    kept = company.rows(
        "select value_native, version from myproperty.meter_reading_versions where tenant_id = %s order by 1",
        company.tenant_id,
    )
    assert kept == [(Decimal(value), 0) for value in hours(3, "7")]


def test_a_value_confirmed_by_a_newer_file_outlasts_one_made_between(
    company: Company, csv_file: FileMaker
) -> None:
    for name, value, version in (("a.csv", "1", V0), ("b.csv", "1", V2), ("c.csv", "9", V1)):
        result = ingest_file(csv_file(name, [value], version=version), tenant=company.name, dsn=company.dsn)
    assert (result.new_versions, result.superseded, result.dates_touched) == (0, 1, [])
    assert [row[1] for row in company.current()] == [1]


def test_rank_decides_before_the_version(company: Company, csv_file: FileMaker) -> None:
    ingest(company, csv_file("a.csv", hours(2), quality="estimated", version=V2))
    better = ingest(company, csv_file("b.csv", hours(2, "5"), quality="actual", version=V0))
    worse = ingest(company, csv_file("c.csv", hours(2, "6"), quality="estimated", version=V2))
    assert counts(better) == (0, 0, 2, 0, 0)
    assert counts(worse) == (0, 0, 0, 2, 0)
    assert [row[1:3] for row in company.current()] == [(Decimal(v), "actual") for v in hours(2, "5")]


def test_bad_rows_are_quarantined_and_no_energy_is_lost(company: Company, csv_file: FileMaker) -> None:
    path = csv_file("a.csv", ["1.5", "-2", "3"])
    stranger = csv_file("b.csv", ["4"], identifier="NOBODY").read_text().splitlines()[1]
    path.write_text(path.read_text() + stranger + "\n")
    result = ingest(company, path)
    assert counts(result) == (2, 0, 0, 0, 2)
    assert result.rules == {"VEE-NEGATIVE": 1, "VEE-REGISTER": 1}
    assert result.energy is not None
    assert result.energy.energy_in_kwh == Decimal("6.5")
    assert result.energy.accepted_kwh + result.energy.quarantined_kwh == result.energy.energy_in_kwh
    stored = company.rows(
        "select line, rule, value_native from warehouse_staging.quarantined_readings "
        "where tenant_id = %s order by line",
        company.tenant_id,
    )
    assert stored == [(3, "VEE-NEGATIVE", Decimal(-2)), (5, "VEE-REGISTER", Decimal(4))]


def test_another_tenants_file_is_refused_and_its_rows_belong_to_nobody(
    company: Company, csv_file: FileMaker
) -> None:
    other = make_company(company.dsn, f"other of {company.name}")
    other_file = csv_file("a.csv", hours(2), identifier="M2")
    assert ingest(other, other_file, create_meters=other.property_id).accepted == 2
    result = ingest(company, other_file)
    assert (result.status, counts(result)) == ("refused", (0, 0, 0, 0, 0))
    assert result.refusal is not None
    assert (result.refusal.rule, result.refusal.reason) == (
        "FILE-METERS",
        "this tenant has none of the meters of the file: M2",
    )
    assert company.current() == []
    of_tenant = "from warehouse_staging.quarantined_readings where tenant_id = %s"
    assert company.rows(f"select 1 {of_tenant}", company.tenant_id) == []


def test_a_new_meter_beside_a_known_one_is_quarantined_alone(company: Company, csv_file: FileMaker) -> None:
    path = csv_file("a.csv", hours(2))
    stranger = csv_file("b.csv", hours(3), identifier="M9")
    path.write_text(path.read_text() + "".join(stranger.read_text().splitlines(keepends=True)[1:]))
    result = ingest(company, path)
    assert (result.status, counts(result)) == ("loaded", (2, 0, 0, 0, 3))
    assert result.rules == {"VEE-REGISTER": 3}


def test_a_refused_file_is_loaded_once_its_meters_are_known(company: Company, csv_file: FileMaker) -> None:
    path = csv_file("a.csv", hours(2), identifier="M8")
    assert ingest(company, path).status == "refused"
    created = ingest(company, path, create_meters=company.property_id)
    assert (created.status, created.accepted) == ("loaded", 2)
    assert ingest(company, path).status == "unchanged"


def test_create_meters_keeps_registers_of_one_channel_apart(company: Company, csv_file: FileMaker) -> None:
    path = csv_file("a.csv", hours(1))
    for register, first in (("E1", "1.5"), ("E2", "8")):
        more = csv_file("b.csv", hours(2, first), identifier="N1", register=register)
        path.write_text(path.read_text() + "".join(more.read_text().splitlines(keepends=True)[1:]))
    assert ingest(company, path).quarantined == 4
    result = ingest(company, path, create_meters=company.property_id)
    assert (result.status, counts(result)) == ("loaded", (4, 1, 0, 0, 0))
    serials = company.rows(
        "select serial_number from myproperty.meters "
        "where tenant_id = %s and serial_number like 'N1%%' order by 1",
        company.tenant_id,
    )
    assert serials == [("N1",), ("N1/E2",)]
    left = company.rows(
        "select status, count(*) from warehouse_staging.quarantined_readings where tenant_id = %s group by 1",
        company.tenant_id,
    )
    assert left == [("replayed", 4)]


def test_a_refused_file_writes_only_its_refusal(company: Company, tmp_path: Path) -> None:
    path = tmp_path / "page.csv"
    path.write_text("<html>504</html>\n")
    result = ingest(company, path)
    assert result.status == "refused"
    assert result.refusal is not None
    kept = company.rows(
        "select rule, content_hash from warehouse_staging.invalid_files where tenant_id = %s",
        company.tenant_id,
    )
    assert kept == [(result.refusal.rule, result.content_hash)]
    assert company.current() == []


def test_a_failure_after_the_data_leaves_nothing(
    company: Company, csv_file: FileMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    path = csv_file("a.csv", ["-1", *hours(30)])
    monkeypatch.setattr(load_module, "finish_job", fail)
    with pytest.raises(RuntimeError, match="planted"):
        ingest(company, path)
    tables = (
        "myproperty.meter_readings",
        "myproperty.ingestion_jobs",
        "myproperty.ingestion_job_dates",
        "warehouse_staging.quarantined_readings",
    )
    for table in tables:
        found = company.rows(f"select count(*) from {table} where tenant_id = %s", company.tenant_id)
        assert found == [(0,)], table
    monkeypatch.undo()
    assert counts(ingest(company, path)) == (30, 0, 0, 0, 1)


def test_a_lost_connection_leaves_nothing(
    company: Company, csv_file: FileMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop(session: Session, *_: object) -> None:
        pid = session.rows("select pg_backend_pid()")[0][0]
        company.rows("select pg_terminate_backend(%s)", pid)

    path = csv_file("a.csv", hours(5))
    monkeypatch.setattr(load_module, "finish_job", drop)
    with pytest.raises(Exception, match=r"terminat|connection|closed"):
        ingest(company, path)
    monkeypatch.undo()
    assert company.current() == []
    assert counts(ingest(company, path)) == (5, 0, 0, 0, 0)


LOAD = """
import sys
from data.ingest.readings.load import ingest_file
from data.ingest.readings.registers import MAX_NEW_METERS
result = ingest_file(sys.argv[1], tenant=sys.argv[2], dsn=sys.argv[3])
print(result.status, result.accepted, result.unchanged)
"""


def test_two_processes_load_one_file_once(company: Company, csv_file: FileMaker) -> None:
    path = csv_file("a.csv", hours(48))
    command = [sys.executable, "-c", LOAD, str(path), company.name, company.dsn]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [process.communicate(timeout=120)[0].strip() for process in started]
    assert sorted(found) == ["loaded 48 0", "unchanged 0 48"]
    assert len(company.current()) == 48


def test_an_unknown_tenant_is_an_error(company: Company, csv_file: FileMaker) -> None:
    with pytest.raises(TenantError, match="no tenant 'Nobody'") as caught:
        ingest_file(csv_file("a.csv", hours(1)), tenant="Nobody", dsn=company.dsn)
    assert company.name not in str(caught.value)


def test_a_value_replaces_a_null_of_any_version(company: Company, csv_file: FileMaker) -> None:
    for name, value, version in (("none.csv", "", V2), ("value.csv", "4.5", V1), ("late.csv", "", V2)):
        path = csv_file(name, [value, "1.0" if name == "late.csv" else "2.0"], version=version)
        ingest_file(path, tenant=company.name, dsn=company.dsn)
    assert company.current()[0][1:] == (Decimal("4.5"), "actual", 2)


def test_a_file_that_needs_many_new_meters_needs_a_word(company: Company, csv_file: FileMaker) -> None:
    path = csv_file("a.csv", hours(1), identifier="R0")
    for number in range(1, MAX_NEW_METERS + 1):
        more = csv_file("b.csv", hours(1), identifier=f"R{number}")
        path.write_text(path.read_text() + "".join(more.read_text().splitlines(keepends=True)[1:]))
    refused = ingest(company, path, create_meters=company.property_id)
    assert refused.refusal is not None and refused.refusal.rule == "FILE-NEW-METERS"
    loaded = ingest_file(
        path,
        tenant=company.name,
        dsn=company.dsn,
        create_meters=company.property_id,
        max_new_meters=MAX_NEW_METERS + 1,
    )
    assert (loaded.status, loaded.accepted) == ("loaded", MAX_NEW_METERS + 1)
