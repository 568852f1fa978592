"""Register reads of NEM13 files: stored once, and compared with the intervals of NEM12 files."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data.ingest.readings.load import ingest_file
from data.ingest.readings.results import IngestResult
from data.ingest.validation.due import find_due_dates
from data.ingest.validation.run import validate
from tests.ingest.conftest import Company

pytestmark = pytest.mark.engine

NEM = timezone(timedelta(hours=10))
FIRST = date(2025, 5, 5)


@pytest.fixture
def nmi(company: Company) -> Company:
    """The company's meter with its market identifier: intervals E1, in Brisbane, which is on NEM time."""
    with psycopg.connect(company.dsn) as connection:
        connection.execute(
            "update myproperty.meters set timezone = 'Australia/Brisbane' where tenant_id = %s",
            (company.tenant_id,),
        )
        connection.execute(
            "update myproperty.meter_registers set identifier = '6102000013' where tenant_id = %s",
            (company.tenant_id,),
        )
    return company


def load(company: Company, folder: Path, name: str, lines: list[str]) -> IngestResult:
    path = folder / name
    path.write_text("\n".join([*lines, "900", ""]))
    result = ingest_file(path, tenant=company.name, dsn=company.dsn)
    assert result.status == "loaded"
    return result


def intervals(company: Company, folder: Path, days: int = 3, value: str = "1.0") -> None:
    """Return half-hours of `value` kWh on the days from `FIRST` on: 48 kWh a day at 1.0."""
    lines = ["100,NEM12,202505090000,A,B", "200,6102000013,E1,E1,E1,,METER9,kWh,30,"]
    for number in range(days):
        day = FIRST + timedelta(days=number)
        lines.append(f"300,{day:%Y%m%d},{','.join([value] * 48)},A,,,20250509000000,")
    load(company, folder, "intervals.csv", lines)


def record(previous: str, current: str, **changes: str) -> str:
    """Return a 250 record of the three days from `FIRST`, with changed fields if given."""
    end = FIRST + timedelta(days=3)
    field = {
        "serial": "METER9",
        "from": f"{FIRST:%Y%m%d}000000",
        "to": f"{end:%Y%m%d}000000",
        "flag": "A",
        "quantity": "",
        "updated": "20250510000000",
    } | changes
    return (
        f"250,6102000013,1141,01,11,11,{field['serial']},E,{previous},{field['from']},A,,,"
        f"{current},{field['to']},{field['flag']},,,{field['quantity']},kWh,,{field['updated']},"
    )


def dials(company: Company, folder: Path, name: str, *records: str) -> IngestResult:
    return load(company, folder, name, ["100,NEM13,202505100000,A,B", *records])


def stored(company: Company) -> list[tuple[Any, ...]]:
    return company.rows(
        "select read_at, serial_number, value, digits, multiplier, quality "
        "from myproperty.register_reads where tenant_id = %s order by read_at, serial_number",
        company.tenant_id,
    )


def found(company: Company) -> dict[str, Any]:
    """Validate, and return the open issues of registers by rule."""
    validate(company.dsn, tenant=company.name)
    rows = company.rows(
        "select rule, details from myproperty.reading_issues where tenant_id = %s and status = 'open' "
        "and rule in ('VEE-SUM', 'VEE-ROLLOVER')",
        company.tenant_id,
    )
    return {str(rule): details for rule, details in rows}


def at(days: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=NEM) + timedelta(days=days)


def test_reads_are_stored_once_under_the_meter_of_the_intervals(nmi: Company, tmp_path: Path) -> None:
    times = {"from": f"{at(3):%Y%m%d}000000", "to": f"{at(4):%Y%m%d}000000"}
    result = dials(
        nmi, tmp_path, "a.csv", record("00100.0", "00244.0"), record("00244.0", "00300.0", **times)
    )
    assert (result.accepted, result.quarantined, result.register_reads) == (0, 2, 3)
    wanted = [
        (at(day), "METER9", Decimal(value), 5, 1, "actual") for day, value in ((0, 100), (3, 244), (4, 300))
    ]
    assert stored(nmi) == wanted
    again = dials(nmi, tmp_path, "b.csv", record("00100.0", "00244.0"), "550,N,,A,")
    assert again.register_reads == 0
    assert stored(nmi) == wanted


@pytest.mark.parametrize(
    ("reads", "changes", "wanted"),
    [
        (("00100.0", "00244.0"), {}, {}),
        (("00100.0", "00245.0"), {}, {}),
        (("00100.0", "00245.5"), {}, {"VEE-SUM": {"sum": 144.0, "energy": 145.5, "method": "difference"}}),
        (("99900.0", "00044.0"), {}, {}),
        (("99900.0", "00046.0"), {}, {"VEE-SUM": {"sum": 144.0, "energy": 146.0, "method": "rollover"}}),
        (("00100.0", "00103.6"), {"quantity": "144.0"}, {}),
        (("00100.0", "00999.0"), {"flag": "E"}, {}),
        (("98.0", "242.0"), {}, {}),
    ],
    ids=[
        "equal",
        "a unit of the register",
        "off",
        "rollover",
        "off over a rollover",
        "multiplier",
        "estimated",
        "digits without zeros",
    ],
)
def test_intervals_are_compared_with_the_reads(
    nmi: Company, tmp_path: Path, reads: tuple[str, str], changes: dict[str, str], wanted: dict[str, Any]
) -> None:
    intervals(nmi, tmp_path)
    assert found(nmi) == {}
    assert dials(nmi, tmp_path, "dials.csv", record(*reads, **changes)).register_reads == 2
    # No reading has changed, but now a read exists to compare with.
    assert FIRST + timedelta(days=2) in find_due_dates(nmi.dsn)
    assert found(nmi) == wanted


def test_the_reads_may_come_before_the_intervals(nmi: Company, tmp_path: Path) -> None:
    dials(nmi, tmp_path, "dials.csv", record("00100.0", "00300.0"))
    assert found(nmi) == {}
    intervals(nmi, tmp_path)
    assert found(nmi)["VEE-SUM"] == {"sum": 144.0, "energy": 200.0, "method": "difference"}


def test_an_exchange_at_one_instant_counts_each_device_separately(nmi: Company, tmp_path: Path) -> None:
    intervals(nmi, tmp_path)
    noon = f"{FIRST + timedelta(days=1):%Y%m%d}120000"
    old = record("71000.0", "71072.0", to=noon)
    new = record("00003.0", "00075.0", serial="METER10", **{"from": noon})
    dials(nmi, tmp_path, "dials.csv", old, new)
    assert [row[:3] for row in stored(nmi)] == [
        (at(0), "METER9", 71000),
        (at(1) + timedelta(hours=12), "METER10", 3),
        (at(1) + timedelta(hours=12), "METER9", 71072),
        (at(3), "METER10", 75),
    ]
    assert found(nmi) == {}
    newer = record("00003.0", "00099.0", serial="METER10", updated="20250511000000", **{"from": noon})
    assert dials(nmi, tmp_path, "b.csv", newer).register_reads == 1
    assert found(nmi)["VEE-SUM"] == {"sum": 72.0, "energy": 96.0, "method": "difference"}


def test_an_exchange_without_reads_is_an_issue(nmi: Company, tmp_path: Path) -> None:
    intervals(nmi, tmp_path)
    noon, later = (f"{FIRST + timedelta(days=1):%Y%m%d}{hour}0000" for hour in (12, 15))
    dials(
        nmi,
        tmp_path,
        "dials.csv",
        record("71000.0", "71072.0", to=noon),
        record("00003.0", "00075.0", serial="METER10", **{"from": later}),
    )
    assert found(nmi)["VEE-ROLLOVER"] == {"last_value": 71072.0, "value": 3.0}


def test_the_better_then_the_newer_of_two_reads_is_kept_and_a_persons_always(
    nmi: Company, tmp_path: Path
) -> None:
    def of(current: str, flag: str, updated: str) -> int:
        name = f"{current}{flag}{updated}.csv"
        return dials(
            nmi, tmp_path, name, record("00100.0", current, flag=flag, updated=updated)
        ).register_reads

    assert of("00244.0", "E", "20250512000000") == 2
    assert of("00250.0", "A", "20250511000000") == 1
    assert of("00251.0", "E", "20250513000000") == 0
    assert of("00252.0", "A", "20250510000000") == 0
    assert of("00253.0", "A", "20250514000000") == 1
    assert [row[2] for row in stored(nmi)] == [100, 253]
    with psycopg.connect(nmi.dsn) as connection:
        connection.execute(
            "update myproperty.register_reads set value = 260, source_version = null, "
            "ingestion_job_id = null where tenant_id = %s and value = 253",
            (nmi.tenant_id,),
        )
    assert of("00254.0", "A", "20250515000000") == 0
    assert [row[2] for row in stored(nmi)] == [100, 260]


def test_a_read_of_an_unknown_meter_is_stored_once_the_meter_is_known(
    company: Company, tmp_path: Path
) -> None:
    lines = ["100,NEM13,202505100000,A,B", record("00100.0", "00244.0")]
    path = tmp_path / "a.csv"
    path.write_text("\n".join([*lines, "900", ""]))
    refused = ingest_file(path, tenant=company.name, dsn=company.dsn)
    assert (refused.status, refused.register_reads, len(stored(company))) == ("refused", 0, 0)
    result = ingest_file(path, tenant=company.name, dsn=company.dsn, create_meters="Site")
    assert (result.register_reads, len(stored(company))) == (2, 2)
