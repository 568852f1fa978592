"""`inspect` on real files: the totals of an independent reading, and agreement with another library."""

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
NEM12_FILES = [
    "actual_interval",
    "different_interval_length",
    "multiple_meters",
    "multiple_quality",
    "partialchannel",
    "substituted_interval",
    "upper_case_units",
]


@pytest.fixture(scope="module")
def oracles() -> dict[str, Any]:
    path = SAMPLES / "ORACLES.json"
    if not path.exists():
        pytest.skip(f"the real meter files are not at {SAMPLES}")
    content: dict[str, Any] = json.loads(path.read_text(), parse_float=Decimal, parse_int=Decimal)
    return content


def channels(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {channel["register"]: channel for channel in document["channels"]}


def nem12(name: str) -> Path:
    return SAMPLES / "nem12" / f"Example_NEM12_{name}.csv"


def totals(document: dict[str, Any]) -> dict[str, tuple[Decimal, str]]:
    return {
        f"{channel['meter']}|{channel['register']}": (Decimal(channel["total"]), channel["unit"])
        for channel in document["channels"]
    }


def test_multiple_meters(oracles: dict[str, Any]) -> None:
    oracle = oracles["nem12/Example_NEM12_multiple_meters.csv"]
    expected = {name: (total, "kWh") for name, total in oracle["channels"].items()}
    expected |= {name: (total, "kvarh") for name, total in oracle["kvarh"].items()}
    path = nem12("multiple_meters")
    assert totals(inspect(path)) == expected
    assert sorted(set(read_file(path).readings["serial_number"].to_pylist())) == oracle["serials"]


@pytest.mark.parametrize(
    ("name", "meter"),
    [("actual_interval", "VABD000163"), ("multiple_quality", "CCCC123456"), ("partialchannel", "NMI1234567")],
)
def test_counts_totals_and_qualities(oracles: dict[str, Any], name: str, meter: str) -> None:
    oracle = oracles[f"nem12/Example_NEM12_{name}.csv"]
    document = inspect(nem12(name))
    entries = oracle.get("channels", oracle)
    checked = 0
    for channel in document["channels"]:
        entry = entries.get(f"{meter}|{channel['register']}", entries.get(channel["register"]))
        assert channel["intervals"] == entry["n"]
        assert Decimal(channel["total"]) == entry.get("kwh", entry.get("kvarh"))
        assert channel["quality"] == entry.get("q", channel["quality"])
        checked += 1
    assert checked == len([key for key in entries if key not in {"note", "expected_gap", "interval_min"}])


def test_single_totals(oracles: dict[str, Any]) -> None:
    upper = channels(inspect(nem12("upper_case_units")))
    oracle = oracles["nem12/Example_NEM12_upper_case_units.csv"]
    assert {name: Decimal(channel["total"]) for name, channel in upper.items()} == oracle
    substituted = channels(inspect(nem12("substituted_interval")))
    oracle = oracles["nem12/Example_NEM12_substituted_interval.csv"]
    assert Decimal(substituted["E1"]["total"]) == oracle["E1"]["kwh"]
    assert substituted["E1"]["quality"] == oracle["E1"]["q"]
    assert Decimal(substituted["Q1"]["total"]) == oracle["Q1_kvarh"]


def test_voltage_is_not_energy(oracles: dict[str, Any]) -> None:
    oracle = oracles["nem12/Example_NEM12_different_interval_length.csv"]
    found = channels(inspect(nem12("different_interval_length")))
    energy = {name: Decimal(entry["total"]) for name, entry in found.items() if entry["unit"] == "kWh"}
    assert energy == {"E1": oracle["E1"], "E2": oracle["E2"]}
    assert (found["V1"]["channel"], found["V1"]["unit"], found["V1"]["interval_seconds"]) == (
        "voltage",
        "",
        600,
    )


def test_a_zip_of_the_market_is_read(oracles: dict[str, Any]) -> None:
    assert oracles
    found = channels(inspect(SAMPLES / "nem12" / "Example_different_intervals.zip"))
    assert {name: entry["intervals"] for name, entry in found.items()} == {"E1": 48, "E2": 48, "V1": 144}


@pytest.mark.parametrize(
    ("name", "line", "rule"),
    [
        ("15min_200_30min_300", 3, "NEM12-VALUE-COUNT"),
        ("30min_200_15min_400", 3, "NEM12-VALUE-COUNT"),
        ("empty", 1, "FILE-NO-DATA"),
        ("missing_header", 2, "NEM12-HEADER"),
    ],
)
def test_invalid_files_are_refused_with_the_place(
    oracles: dict[str, Any], name: str, line: int, rule: str
) -> None:
    assert oracles
    document = inspect(SAMPLES / "nem12_invalid" / f"Example_NEM12_{name}.csv")
    assert (document["status"], document["channels"]) == ("refused", [])
    [rejected] = document["rejected"]
    assert (rejected["first_line"], rejected["count"]) == (line, 1)
    assert rejected["reason"].startswith(rule)


def test_an_incomplete_record_is_rejected_and_the_rest_is_kept(oracles: dict[str, Any]) -> None:
    oracle = oracles["nem12_invalid/Example_NEM12_incomplete_interval.csv"]
    document = inspect(SAMPLES / "nem12_invalid" / "Example_NEM12_incomplete_interval.csv")
    found = channels(document)
    assert (found["E1"]["intervals"], Decimal(found["E1"]["total"])) == (
        oracle["E1"]["n"],
        oracle["E1"]["kwh"],
    )
    assert (found["Q1"]["intervals"], Decimal(found["Q1"]["total"])) == (
        oracle["Q1"]["n"],
        oracle["Q1"]["kvarh"],
    )
    [rejected] = document["rejected"]
    assert (rejected["count"], rejected["first_line"]) == (oracle["reject_rows"], 3)


def other_reading(path: Path) -> dict[tuple[str, str], Decimal]:
    """Sums by `nemreader`, in the file's own unit, to the sixth decimal that its floats can hold."""
    from nemreader import NEMFile

    sums: dict[tuple[str, str], Decimal] = {}
    for meter, registers in NEMFile(str(path), strict=False).nem_data().readings.items():
        for register, rows in registers.items():
            total = sum((Decimal(str(row.read_value)) for row in rows), Decimal(0))
            sums[meter, register] = total.quantize(Decimal("0.000001"))
    return sums


def own_reading(path: Path) -> dict[tuple[str, str], Decimal]:
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in read_file(path).readings.to_pylist():
        sums[row["identifier"], row["register"]] += row["value"] or 0
    return {key: total.quantize(Decimal("0.000001")) for key, total in sums.items()}


@pytest.mark.parametrize("name", NEM12_FILES)
def test_another_reader_agrees_on_clean_files(oracles: dict[str, Any], name: str) -> None:
    assert oracles
    assert own_reading(nem12(name)) == other_reading(nem12(name))


def test_another_reader_agrees_on_the_fixture() -> None:
    path = FIXTURES / "nem12_two_channels.csv"
    assert own_reading(path) == other_reading(path)


def test_what_would_not_be_loaded_is_not_in_the_total(tmp_path: Path) -> None:
    values = ["1"] * 44 + ["-5", "4294967.295", "abc", "2"]
    path = tmp_path / "file.csv"
    path.write_text(
        "100,NEM12,202401011200,A,B\n200,N1,E1,1,E1,,,kWh,30,\n"
        f"300,20240101,{','.join(values)},A,,,,\n"
        f"300,20980101,{','.join(['1'] * 48)},A,,,,\n900\n"
    )
    document = inspect(path)
    [channel] = document["channels"]
    assert (channel["total"], channel["intervals"]) == ("46", 46)
    assert channel["first"] == "2023-12-31T14:00:00Z"
    assert {
        entry["reason"].split(":")[0]: (entry["count"], entry["first_line"]) for entry in document["rejected"]
    } == {
        "ROW-VALUE": (1, 3),
        "VEE-NEGATIVE": (1, 3),
        "VEE-FUTURE": (48, 4),
    }
    assert json.loads(json.dumps(document)) == document
