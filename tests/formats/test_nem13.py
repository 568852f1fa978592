"""NEM13: the energy between two register reads, also over a rollover, and rejected records."""

import datetime
import random
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats.detect import detect_format
from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from data.ingest.rules.energy import energy_balance
from data.ingest.rules.judge import judge
from data.ingest.schema import PARSED, REGISTERS, ParsedFile
from tests.formats import example

HEADER = "100,NEM13,202404010000,MDP1,RETAILER1"
GOOD = {
    "nmi": "6102000013",
    "suffix": "11",
    "direction": "E",
    "previous": "00102.5",
    "previous_at": "20240101000000",
    "previous_flag": "A",
    "current": "00902.7",
    "current_at": "20240331000000",
    "current_flag": "A",
    "quantity": "800.2",
    "unit": "kWh",
    "updated": "20240402101112",
}


def record(**changes: str) -> str:
    field = GOOD | changes
    reads = (
        f"{field['previous']},{field['previous_at']},{field['previous_flag']},,,"
        f"{field['current']},{field['current_at']},{field['current_flag']},,"
    )
    start = f"250,{field['nmi']},1141,01,{field['suffix']},{field['suffix']},METER9,{field['direction']}"
    return f"{start},{reads},{field['quantity']},{field['unit']},20240630,{field['updated']},"


def read(folder: Path, *lines: str, end: str = "\n") -> ParsedFile:
    path = folder / "registers.csv"
    path.write_text("\n".join(lines) + end)
    return read_file(path)


def reading(folder: Path, **changes: str) -> dict[str, Any]:
    parsed = read(folder, HEADER, record(**changes), "550,N,,A,", "900")
    assert parsed.rejected.num_rows == 0
    rows: list[dict[str, Any]] = parsed.readings.to_pylist()
    assert len(rows) == 1
    return rows[0]


def write_example(values: example.Values) -> bytes:
    """A record an hour, of a dial that starts at 1000."""
    dial = [f"{read:012.3f}" for read in accumulate(values, initial=Decimal(1000))]
    times = [f"{example.START + example.HOUR * number:%Y%m%d%H%M%S}" for number in range(len(values) + 1)]
    lines = [
        f"250,M1,11,01,E1,E1,METER9,E,{dial[n]},{times[n]},A,,,{dial[n + 1]},{times[n + 1]},A,,,,kWh,,"
        "20250620000000,"
        for n in range(len(values))
    ]
    return "\n".join(["100,NEM13,202506200000,A,B", *lines, "900", ""]).encode()


EXAMPLE = example.Example(write_example)


def test_two_reads_are_one_reading_with_its_method(tmp_path: Path) -> None:
    row = reading(tmp_path)
    nem = datetime.timezone(datetime.timedelta(hours=10))
    assert detect_format(tmp_path / "registers.csv") == "nem13"
    assert row["reading_ts"] == datetime.datetime(2024, 1, 1, tzinfo=nem)
    assert row["interval_seconds"] == 90 * 86_400
    assert (row["value"], row["unit"], row["channel"]) == (Decimal("800.2"), "kWh", "import")
    assert (row["quality"], row["quality_method"], row["reason_code"]) == ("actual", "A", "DIFFERENCE")
    assert row["source_version"] == datetime.datetime(2024, 4, 2, 10, 11, 12, tzinfo=nem)
    assert (row["identifier"], row["register"], row["serial_number"]) == ("6102000013", "11", "METER9")


@pytest.mark.parametrize(
    ("changes", "value", "method"),
    [
        ({"quantity": ""}, "800.2", "DIFFERENCE"),
        ({"quantity": "800"}, "800.2", "DIFFERENCE"),
        ({"quantity": "32008"}, "32008", "MULTIPLIER"),
        ({"previous": "99990", "current": "00010", "quantity": "20"}, "20", "ROLLOVER"),
        ({"previous": "99990", "current": "00010", "quantity": ""}, "20", "ROLLOVER"),
        ({"previous": "999990.50", "current": "000010.25", "quantity": ""}, "19.75", "ROLLOVER"),
        ({"previous": "5", "current": "5", "quantity": "0"}, "0", "DIFFERENCE"),
        ({"previous": "999999999990.0", "current": "000000000007.0", "quantity": "17"}, "17", "ROLLOVER"),
        # The sign of an export's quantity is that of its flow; some export registers count down.
        ({"direction": "I", "quantity": "-800.2"}, "800.2", "DIFFERENCE"),
        (
            {"direction": "I", "previous": "00730.0", "current": "00713.5", "quantity": "-16.5"},
            "16.5",
            "COUNTDOWN",
        ),
    ],
)
def test_how_the_energy_was_found_is_recorded(
    tmp_path: Path, changes: dict[str, str], value: str, method: str
) -> None:
    row = reading(tmp_path, **changes)
    assert (row["value"], row["reason_code"]) == (Decimal(value), method)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"direction": "I"}, ("export", "actual", "A")),
        ({"unit": "KVARH"}, ("reactive_import", "actual", "A")),
        ({"previous_flag": "E64"}, ("import", "estimated", "E64")),
        ({"current_flag": "S52"}, ("import", "estimated", "S52")),
        ({"current_flag": "F19"}, ("import", "edited", "F19")),
    ],
)
def test_channel_and_the_worse_of_two_qualities(
    tmp_path: Path, changes: dict[str, str], expected: tuple[str, ...]
) -> None:
    row = reading(tmp_path, **changes)
    assert (row["channel"], row["quality"], row["quality_method"]) == expected


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"previous": "00900", "current": "00100", "quantity": ""}, "NEM13-ROLLOVER"),
        ({"previous": "00900", "current": "00100", "quantity": "800"}, "NEM13-ROLLOVER"),
        ({"previous": "99990", "current": "0010", "quantity": ""}, "NEM13-ROLLOVER"),
        ({"quantity": "-1"}, "VEE-NEGATIVE"),
        ({"previous": "00010.0", "current": "99990.0", "quantity": "20"}, "NEM13-ROLLOVER"),
        ({"quantity": "NaN"}, "ROW-VALUE"),
        ({"quantity": "1e308"}, "ROW-VALUE"),
        ({"current": ""}, "ROW-VALUE"),
        ({"current": "1234567890123456"}, "ROW-VALUE"),
        ({"current": "123456789012345", "quantity": ""}, "ROW-PRECISION"),
        ({"current_flag": "N"}, "NEM13-QUALITY"),
        ({"current_flag": "V"}, "NEM13-QUALITY"),
        ({"current_at": "20240101000000"}, "NEM13-DATES"),
        ({"current_at": "20231231000000"}, "NEM13-DATES"),
        ({"current_at": "20240230000000"}, "NEM13-DATES"),
        ({"previous_at": "00010101000000"}, "NEM13-DATES"),
        ({"current_at": "99991231000000"}, "NEM13-DATES"),
        ({"current_at": "20981231000000"}, "NEM13-DATES"),
        ({"updated": "soon"}, "NEM13-DATES"),
        ({"unit": "furlong"}, "ROW-UNIT"),
        ({"unit": "V"}, "ROW-UNIT"),
        ({"direction": "X"}, "ROW-CHANNEL"),
        ({"nmi": ""}, "ROW-CHANNEL"),
    ],
)
def test_only_a_wrong_record_is_rejected_with_its_quantity(
    tmp_path: Path, changes: dict[str, str], rule: str
) -> None:
    parsed = read(tmp_path, HEADER, record(**changes), record(nmi="6102000014"), "900")
    (row,) = parsed.rejected.to_pylist()
    assert (row["line"], row["rule"]) == (2, rule)
    assert parsed.readings["identifier"].to_pylist() == ["6102000014"]
    quantity = (GOOD | changes)["quantity"]
    assert row["value"] == (Decimal(quantity) if quantity.strip("-").replace(".", "").isdigit() else None)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"quantity": "343.5"}, "800.2"),
        ({"quantity": "0"}, "800.2"),
        ({"quantity": "801.1"}, "800.2"),
        ({"previous": "0001950", "current": "0011015", "quantity": "65"}, "9065"),
        ({"previous": "00010", "current": "00010", "quantity": "120"}, "0"),
        ({"direction": "I", "quantity": "-343.5"}, "800.2"),
        ({"quantity": "1600.4"}, "800.2"),
        ({"quantity": "5601.4"}, "800.2"),
        ({"previous": "00100", "current": "00101", "quantity": "65"}, "1"),
    ],
)
def test_a_record_whose_quantity_contradicts_its_reads_is_quarantined(
    tmp_path: Path, changes: dict[str, str], difference: str
) -> None:
    parsed = read(tmp_path, HEADER, record(**changes), record(nmi="6102000014"), "900")
    assert parsed.readings["identifier"].to_pylist() == ["6102000014"]
    (kept_out,) = parsed.rejected.to_pylist()
    quantity = changes["quantity"].removeprefix("-")
    assert (kept_out["line"], kept_out["rule"], kept_out["severity"]) == (2, "NEM13-QUANTITY", "reject")
    assert kept_out["value"] == Decimal(quantity)
    assert quantity in kept_out["reason"] and difference in kept_out["reason"]
    assert parsed.register_reads.num_rows == 2


@pytest.mark.parametrize(
    ("lines", "line", "rule"),
    [
        ([record(), "900"], 1, "NEM13-HEADER"),
        ([HEADER, record()], 2, "FILE-CUT"),
        ([HEADER, "900"], 1, "FILE-NO-DATA"),
        ([HEADER, record(), "100,NEM12,202401011200,A,B", "900"], 3, "NEM13-HEADER"),
        ([HEADER, "250,1", "900"], 2, "FILE-NOTHING-LEFT"),
    ],
)
def test_a_file_that_must_not_be_written_is_refused(
    tmp_path: Path, lines: list[str], line: int, rule: str
) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read(tmp_path, *lines)
    assert (refusal.value.line, refusal.value.rule) == (line, rule)


def test_a_file_without_its_first_and_last_record_is_read_if_a_person_says_so(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match="incomplete: read"):
        read(tmp_path, record())
    mapping = parse_mapping({"format": "nem13", "incomplete": "read"}, "portal.yaml")
    parsed = read_file(tmp_path / "registers.csv", mapping=mapping)
    assert parsed.readings["value"].to_pylist() == [Decimal("800.2")]
    assert parsed.rejected["rule"].to_pylist() == ["NEM-INCOMPLETE"] * 2


def test_a_header_time_that_does_not_exist_is_reported_and_dates_nothing(tmp_path: Path) -> None:
    parsed = read(tmp_path, "100,NEM13,202404000000,A,B", record(updated=""), "900")
    assert parsed.rejected["rule"].to_pylist() == ["NEM-HEADER-TIME"]
    later = datetime.datetime(2024, 3, 30, 14, tzinfo=datetime.UTC)
    assert parsed.readings["source_version"].to_pylist() == [later]


def test_of_two_concatenated_files_the_later_one_counts(tmp_path: Path) -> None:
    later = record(current="00802.5", quantity="700")
    parsed = read(tmp_path, HEADER, record(), "900", HEADER, later, "hello", "900")
    assert [row["value"] for row in parsed.readings.to_pylist()] == [700]
    assert [row["rule"] for row in parsed.rejected.to_pylist()] == ["NEM13-RECORD", "VEE-SUPERSEDED"]


def test_the_total_of_weeks_is_shown_and_not_loaded_into_a_day(tmp_path: Path) -> None:
    parsed = read(tmp_path, HEADER, record(previous_at="20240101093712"), "900")
    document = inspect(parsed.path)
    assert (document["status"], document["channels"][0]["total"]) == ("ok", "800.2")
    judged = judge(parsed, REGISTERS.empty_table(), now=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    assert judged.quarantined["rule"].to_pylist() == ["VEE-LONG"]
    assert energy_balance(parsed, judged).is_balanced


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 99_999),
    st.integers(0, 20_000),
    st.sampled_from(["", "same", "off"]),
    st.sampled_from(["kWh", "Wh", "parsec"]),
)
def test_accepted_and_rejected_energy_add_up(
    tmp_path_factory: pytest.TempPathFactory, previous: int, used: int, quantity: str, unit: str
) -> None:
    # 7 and 1 divide that quantity: it would be a whole multiple.
    assume(used not in (1, 7))
    given_quantity = {"": "", "same": str(used), "off": str(used * 2 + 7)}[quantity]
    changes = {
        "previous": f"{previous:05}",
        "current": f"{(previous + used) % 100_000:05}",
        "quantity": given_quantity,
        "unit": unit,
    }
    parsed = read(tmp_path_factory.mktemp("energy"), HEADER, record(**changes), record(nmi="X"), "900")
    found = [row for table in (parsed.readings, parsed.rejected) for row in table.to_pylist()]
    own = next(row for row in found if row["identifier"] != "X")
    assert parsed.readings.schema == PARSED
    if unit == "parsec":
        assert own["rule"] == "ROW-UNIT"
    elif quantity != "off":
        assert own["value"] == used
    else:
        rule = "NEM13-QUANTITY" if previous + used < 100_000 else "NEM13-ROLLOVER"
        assert (own["rule"], own["value"]) == (rule, Decimal(given_quantity))


def test_damaged_files_are_refused_or_rejected_without_a_crash(tmp_path: Path) -> None:
    whole = "\n".join([HEADER, record(), record(nmi="6102000014"), "900", ""]).encode()
    chance = random.Random(13)
    path = tmp_path / "damaged.csv"
    refused = 0
    for round_ in range(100):
        content = bytearray(whole[: chance.randrange(1, len(whole) - 4)] if round_ % 2 else whole)
        for _ in range(chance.randrange(4)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        try:
            read_file(path)
        except RefusedFile as refusal:
            refused += bool(refusal.rule and refusal.remedy)
    assert refused >= 50
