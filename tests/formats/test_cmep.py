"""CMEP: records of intervals, reads of dials beside them, flags, constants and senders."""

import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import list_undeclared, parse_mapping
from data.ingest.formats.reading import read_file, read_parts
from data.ingest.schema import ParsedFile
from tests.formats import example

UTC = datetime.UTC


def record(
    *values: str,
    meter: str = "M1",
    sender: str = "HILL",
    purpose: str = "OK",
    commodity: str = "E",
    unit: str = "KWH",
    constant: str = "1.0",
    interval: str = "00000100",
    count: int | None = None,
) -> str:
    head = f"MEPMD01,19970819,{sender},U:1,R,C,202506300000,{meter},{purpose},{commodity},{unit},{constant}"
    return ",".join([head, interval, str(len(values) if count is None else count), *values])


def write_example(values: example.Values) -> bytes:
    """A record an hour, so that each line is a reading."""
    ends = [at + example.HOUR for at in example.list_instants(values)]
    lines = (record(f"{at:%Y%m%d%H%M},R0,{value}") for at, value in zip(ends, values, strict=True))
    return "".join(f"{line}\n" for line in lines).encode()


EXAMPLE = example.Example(write_example)


def load(folder: Path, *records: str, **fields: str) -> ParsedFile:
    path = folder / "file"
    path.write_text("\n".join([*records, ""]))
    return read_file(path, mapping=parse_mapping({"format": "cmep", **fields}, "cmep") if fields else None)


def totals(parsed: ParsedFile) -> dict[tuple[str, str], Decimal]:
    rows = parsed.readings.group_by(["channel", "unit"]).aggregate([("value", "sum")]).to_pylist()
    return {(row["channel"], row["unit"]): row["value_sum"] for row in rows}


def test_a_time_ends_its_interval_and_an_empty_one_follows(tmp_path: Path) -> None:
    parsed = load(tmp_path, record("202506010715,R0,0.25", ",,0.5", ",E,0.75", interval="00000015"))
    rows = parsed.readings.to_pylist()
    assert [row["reading_ts"] for row in rows] == [
        datetime.datetime(2025, 6, 1, 7, minute, tzinfo=UTC) for minute in (0, 15, 30)
    ]
    assert [row["quality"] for row in rows] == ["actual", "actual", "estimated"]
    assert {row["identifier"] for row in rows} == {"HILL/M1"}


def test_reads_of_a_dial_are_not_counted_beside_its_intervals(tmp_path: Path) -> None:
    hours = [f"202506{1 + hour // 24:02}{hour % 24:02}00,R0,{hour}" for hour in range(8, 32)]
    dial = record("202506010700,R0,1000", "202506020700,R0,1468", unit="KWHREG")
    both = load(tmp_path, record(*hours), dial)
    assert totals(both) == {("import", "kWh"): sum(range(8, 32)), ("other", "kWh"): 468}
    assert totals(load(tmp_path, dial)) == {("import", "kWh"): 468}


def test_water_and_gas_are_consumption_in_the_unit_of_the_record(tmp_path: Path) -> None:
    parsed = load(
        tmp_path,
        record("202506010100,R0,8", commodity="W", unit="CF"),
        record("202506010100,R0,0.5", commodity="G", unit="CCF", meter="G1"),
    )
    assert totals(parsed) == {("consumption", "ft3"): 58}


@pytest.mark.parametrize(("constant", "total"), [("applied", 3), ("to_apply", 120)])
def test_a_constant_is_applied_as_declared(tmp_path: Path, constant: str, total: int) -> None:
    text = record("202506010100,R0,3", constant="40")
    with pytest.raises(RefusedFile) as raised:
        load(tmp_path, text)
    assert "constant: applied" in str(raised.value)
    assert totals(load(tmp_path, text, constant=constant)) == {("import", "kWh"): total}


def test_the_clock_of_the_times_may_be_declared(tmp_path: Path) -> None:
    parsed = load(tmp_path, record("202506010100,R0,3"), timezone="America/Chicago")
    assert parsed.readings["reading_ts"][0].as_py() == datetime.datetime(2025, 6, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (record("202506010100,R0,3", count=2), "CMEP-RECORD"),
        (record("202506010100,R0,3", "202506010115,R0,3"), "CMEP-RECORD"),
        (record("202506010100,R0,3", interval="01000000"), "CMEP-RECORD"),
        (record("202506010100,R0,3", purpose="SUMMARY"), "CMEP-RECORD"),
        (record("202506010100,R0,3", unit="FURLONG"), "ROW-UNIT"),
        (record("202506010100,X0,3"), "ROW-QUALITY"),
        (record("202513010100,R0,3"), "ROW-TIMESTAMP"),
        (record(",R0,3"), "ROW-TIMESTAMP"),
        (record("202506010100,R0,3", meter=""), "CMEP-RECORD"),
        ("Total,3", "CMEP-RECORD"),
    ],
)
def test_a_record_that_is_not_clear_is_rejected_as_a_whole(tmp_path: Path, text: str, rule: str) -> None:
    parsed = load(tmp_path, record("202506010200,R0,1"), text)
    assert parsed.rejected["rule"].to_pylist() == [rule]
    assert totals(parsed) == {("import", "kWh"): 1}


def test_demand_and_records_of_customers_are_skipped_and_counted(tmp_path: Path) -> None:
    parsed = load(
        tmp_path,
        "MEPAD01,19970819,HILL",
        record("202506010100,R0,3"),
        record("202506010100,R0,3", ",,4", unit="KW"),
    )
    assert parsed.skipped.total() == 3
    assert totals(parsed) == {("import", "kWh"): 3}


def test_a_missing_value_is_null(tmp_path: Path) -> None:
    parsed = load(tmp_path, record("202506010100,N0,0", ",R0,2"))
    assert parsed.readings["quality"].to_pylist() == ["null", "actual"]


def test_a_file_without_a_sender_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(record("202506010100,R0,3", sender="") + "\n")
    parsed = read_parts(path)
    assert list_undeclared(parsed, None) == ["sender"]
    mapping = parse_mapping({"format": "cmep", "sender": "Hill Power"}, "cmep")
    assert [*read_parts(path, mapping=mapping).spans] == [("Hill Power/M1", "kWh")]
