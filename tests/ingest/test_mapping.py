"""A file read with a mapping: loaded once, replayed with what was declared then, refused without."""

from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from data.ingest import quarantine
from data.ingest.formats.mapping import CsvMapping, parse_mapping
from data.ingest.load import ingest_file
from tests.ingest.conftest import Company

pytestmark = pytest.mark.engine


def mapping(unit: str = "kWh", register: str = "E1") -> CsvMapping:
    value = {"column": "used", "channel": "import", "unit": unit, "register": register}
    found = parse_mapping(
        {
            "format": "mapped_csv",
            "timezone": "Europe/London",
            "interval_minutes": 30,
            "label": "start",
            "timestamp_format": "%d/%m/%Y %H:%M",
            "columns": {"identifier": "meter", "timestamp": "time"},
            "values": [value],
        },
        "test",
    )
    assert isinstance(found, CsvMapping)
    return found


def export(folder: Path, *values: str, meter: str = "M1") -> Path:
    path = folder / "export.csv"
    rows = [f"{meter},01/07/2025 {hour:02}:30,{value}" for hour, value in enumerate(values)]
    path.write_text("\n".join(["meter,time,used", *rows, ""]))
    return path


def test_a_mapped_file_is_loaded_once_and_another_mapping_makes_it_another(
    company: Company, tmp_path: Path
) -> None:
    path = export(tmp_path, "1", "2")
    first = ingest_file(path, tenant=company.name, dsn=company.dsn, mapping=mapping())
    assert (first.status, first.accepted, first.format) == ("loaded", 2, "mapped_csv")
    again = ingest_file(path, tenant=company.name, dsn=company.dsn, mapping=mapping())
    assert (again.status, again.job_id, again.unchanged) == ("unchanged", first.job_id, 2)
    with psycopg.connect(company.dsn) as connection:
        connection.execute(
            "update myproperty.meter_registers set unit = 'Wh' where tenant_id = %s", (company.tenant_id,)
        )
    # The unit was declared wrongly: the same bytes mean something else.
    mended = ingest_file(path, tenant=company.name, dsn=company.dsn, mapping=mapping("Wh"))
    assert (mended.status, mended.new_versions) == ("loaded", 2)
    assert company.rows(
        "select sum(value_kwh) from myproperty.meter_readings where tenant_id = %s", company.tenant_id
    ) == [(Decimal("0.003"),)]
    kept = company.rows(
        "select mapping ->> 'format' from myproperty.ingestion_jobs where id = %s", first.job_id
    )
    assert kept == [("mapped_csv",)]


def test_the_quarantine_is_replayed_with_the_mapping_of_the_load(company: Company, tmp_path: Path) -> None:
    path = export(tmp_path, "1", "2", "-1")
    first = ingest_file(path, tenant=company.name, dsn=company.dsn, mapping=mapping(register="B7"))
    assert (first.accepted, first.quarantined) == (0, 3)
    row = quarantine.list_readings(company.dsn, tenant=company.name)[0]
    with psycopg.connect(company.dsn) as connection:
        connection.execute(
            "update myproperty.meter_registers set register = 'B7' where tenant_id = %s", (company.tenant_id,)
        )
    result = quarantine.replay(company.dsn, row.id, archive=str(tmp_path))
    assert (result.job_id, result.accepted, result.quarantined) == (first.job_id, 2, 1)
    again = quarantine.replay(company.dsn, row.id, archive=str(tmp_path))
    assert (again.accepted, again.unchanged, again.dates_touched) == (0, 2, [])


def test_a_file_that_needs_a_mapping_is_refused_without(company: Company, tmp_path: Path) -> None:
    result = ingest_file(export(tmp_path, "1"), tenant=company.name, dsn=company.dsn)
    assert result.refusal is not None
    assert (result.status, result.refusal.rule) == ("refused", "FILE-FORMAT")
    assert "--mapping" in result.refusal.remedy
