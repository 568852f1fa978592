"""A file read with a mapping: loaded once, replayed with its mapping, refused without one."""

from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.mapping import CsvMapping
from data.ingest.readings import quarantine
from data.ingest.readings.load import ingest_file
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


def test_a_mapped_file_is_loaded_once_for_each_mapping(company: Company, tmp_path: Path) -> None:
    path = export(tmp_path, "1", "2")
    first = ingest_file(path, tenant=company.name, dsn=company.dsn, mapping=mapping())
    assert (first.status, first.accepted, first.format) == ("loaded", 2, "mapped_csv")
    again = ingest_file(path, tenant=company.name, dsn=company.dsn, mapping=mapping())
    assert (again.status, again.job_id, again.unchanged) == ("unchanged", first.job_id, 2)
    with psycopg.connect(company.dsn) as connection:
        connection.execute(
            "update myproperty.meter_registers set unit = 'Wh' where tenant_id = %s", (company.tenant_id,)
        )
    # The declared unit was wrong: with another mapping the same bytes are other content.
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
    row = quarantine.list_quarantined(company.dsn, tenant=company.name)[0]
    with psycopg.connect(company.dsn) as connection:
        connection.execute(
            "update myproperty.meter_registers set register = 'B7' where tenant_id = %s", (company.tenant_id,)
        )
    result = quarantine.replay_quarantined(company.dsn, row.id, archive=str(tmp_path))
    assert (result.job_id, result.accepted, result.quarantined) == (first.job_id, 2, 1)
    again = quarantine.replay_quarantined(company.dsn, row.id, archive=str(tmp_path))
    assert (again.accepted, again.unchanged, again.dates_touched) == (0, 2, [])


def test_a_file_that_needs_a_mapping_is_refused_without_one(company: Company, tmp_path: Path) -> None:
    result = ingest_file(export(tmp_path, "1"), tenant=company.name, dsn=company.dsn)
    assert result.refusal is not None
    assert (result.status, result.refusal.rule) == ("refused", "FILE-FORMAT")
    assert "--mapping" in result.refusal.remedy


def test_a_portal_answer_is_loaded_once_its_site_and_zone_are_declared(
    company: Company, tmp_path: Path
) -> None:
    path = tmp_path / "site.json"
    path.write_text(
        '{"energyDetails": {"timeUnit": "HOUR", "unit": "Wh", "meters": [{"type": "Production", "values": '
        '[{"date": "2025-07-01 00:00:00"}, {"date": "2025-07-01 01:00:00", "value": 1500}]}]}}'
    )
    refused = ingest_file(path, tenant=company.name, dsn=company.dsn, create_meters=company.property_id)
    assert refused.refusal is not None
    assert (refused.status, refused.refusal.rule) == ("refused", "FILE-MAPPING")
    declared = parse_mapping(
        {"format": "solaredge_json", "identifier": "Roof", "timezone": "Europe/Berlin"}, "test"
    )
    loaded = ingest_file(
        path, tenant=company.name, dsn=company.dsn, create_meters=company.property_id, mapping=declared
    )
    assert (loaded.status, loaded.accepted, loaded.quarantined) == ("loaded", 2, 0)
    assert company.rows(
        "select channel, quality, value_kwh from myproperty.meter_readings where tenant_id = %s "
        "order by reading_ts",
        company.tenant_id,
    ) == [("generation", "null", None), ("generation", "actual", Decimal("1.5"))]


def test_a_total_of_weeks_is_quarantined_and_the_file_is_loaded(company: Company, tmp_path: Path) -> None:
    path = tmp_path / "registers.csv"
    reads = "000100,20250101000000,A,,,000900,20250331000000,A,,,800,kWh,,20250401000000,"
    path.write_text(f"100,NEM13,202504010000,A,B\n250,M1,E1,1,E1,E1,S1,E,{reads}\n900\n")
    result = ingest_file(path, tenant=company.name, dsn=company.dsn)
    assert (result.status, result.accepted, result.rules) == ("loaded", 0, {"VEE-LONG": 1})
    assert result.energy is not None
    assert result.energy.quarantined_kwh == 800


def test_the_quarantine_is_replayed_with_a_corrected_mapping(company: Company, tmp_path: Path) -> None:
    """The declared register was wrong: the job takes on the corrected mapping and its content hash."""
    path = export(tmp_path, "1", "2", "-1")
    first = ingest_file(path, tenant=company.name, dsn=company.dsn, mapping=mapping(register="B9"))
    assert (first.accepted, first.rules) == (0, {"VEE-REGISTER": 2, "VEE-NEGATIVE": 1})
    row = quarantine.list_quarantined(company.dsn, tenant=company.name)[0]
    result = quarantine.replay_quarantined(company.dsn, row.id, archive=str(tmp_path), mapping=mapping())
    assert (result.job_id, result.accepted, result.rules) == (first.job_id, 2, {"VEE-NEGATIVE": 1})
    left = quarantine.list_quarantined(company.dsn, tenant=company.name)
    assert [(each.register, each.rule) for each in left] == [("E1", "VEE-NEGATIVE")]
    declared = company.rows(
        "select mapping #>> '{values,0,register}' from myproperty.ingestion_jobs where id = %s", first.job_id
    )
    assert declared == [("E1",)]
    assert quarantine.replay_quarantined(company.dsn, left[0].id, archive=str(tmp_path)).unchanged == 2
    again = ingest_file(path, tenant=company.name, dsn=company.dsn, mapping=mapping())
    assert (again.status, again.job_id) == ("unchanged", first.job_id)
