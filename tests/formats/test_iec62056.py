"""Load profiles of IEC 62056-21: power and energy of intervals, seasons, dials, status and transformers."""

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
HEAD = ["/ABC4\\Meter", "0.0.0(05296170)", "0.9.1(0120000)"]


def write_example(values: example.Values) -> bytes:
    """Energy of hours, on the clock of UTC."""
    end = example.START + example.HOUR
    lines = [
        *HEAD,
        f"P.01(2{end:%y%m%d%H%M%S})(00)(60)(1)(1-0:1.29.0)(kWh)",
        *(f"({v})" for v in values),
        "!",
    ]
    return "\r\n".join([*lines, ""]).encode()


EXAMPLE = example.Example(write_example)


def load(folder: Path, *lines: str, **fields: object) -> ParsedFile:
    path = folder / "file"
    path.write_text("\r\n".join([*HEAD, *lines, "!", ""]))
    declared = {"format": "iec62056", "timezone": "Europe/Berlin", **fields}
    return read_file(path, mapping=parse_mapping(declared, "iec62056"))


def totals(parsed: ParsedFile) -> dict[str, Decimal]:
    rows = parsed.readings.group_by(["channel"]).aggregate([("value", "sum")]).to_pylist()
    return {row["channel"]: row["value_sum"] for row in rows}


def test_average_power_is_the_energy_of_the_interval_before_its_time(tmp_path: Path) -> None:
    parsed = load(
        tmp_path,
        "P.01(1250601001500)(00000000)(15)(3)(1.5)(kW)(2.5)(kW)(5.5)(kvar)",
        "(0.400)(0.004)(0.1)",
        "(0.800)(0.000)(0.1)",
    )
    assert totals(parsed) == {"import": Decimal("0.3"), "export": Decimal("0.001"), "other": Decimal("0.05")}
    first = min(parsed.readings["reading_ts"].to_pylist())
    assert first == datetime.datetime(2025, 5, 31, 22, tzinfo=UTC)
    assert set(parsed.readings["identifier"].to_pylist()) == {"05296170"}


def test_the_season_decides_the_repeated_hour(tmp_path: Path) -> None:
    parsed = load(
        tmp_path,
        "P.01(1251026030000)(08)(60)(1)(1-0:1.29.0)(kWh)",
        "(1)",
        "P.01(0251026030000)(00)(60)(1)(1-0:1.29.0)(kWh)",
        "(2)",
    )
    hours = [at.hour for at in parsed.readings["reading_ts"].to_pylist()]
    assert hours == [0, 1]


def test_dials_beside_the_power_are_passed_over_and_read_alone(tmp_path: Path) -> None:
    head = "P.01(0250101001500)(00)(15)({})({}1-0:1.8.0)(kWh)"
    values = ("(0.4)(00000.389)", "(0.4)(00000.489)", "(0.8)(00000.689)")
    both = load(tmp_path, head.format(2, "1-0:1.5.0)(kW)("), *values)
    assert totals(both) == {"import": Decimal("0.4")}
    assert both.skipped["a value of a load profile that is no energy, or is the dial beside it"] == 3
    alone = load(tmp_path, head.format(1, ""), "(00000.389)", "(00000.489)", "(00000.689)")
    assert totals(alone) == {"import": Decimal("0.3")}


def test_a_second_profile_of_the_same_register_is_not_added(tmp_path: Path) -> None:
    parsed = load(
        tmp_path,
        "P.01(0250101010000)(00)(60)(1)(1-0:1.29.0)(kWh)",
        "(1)",
        "(2)",
        "P.02(0250102000000)(00)(1440)(1)(1-0:1.29.0)(kWh)",
        "(3)",
    )
    assert totals(parsed) == {"import": 3, "other": 3}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["P.01(0250101001500)(02)(15)(1)(1.5)(kW)", "(1)"], "not reliable"),
        (["P.01(0250101000700)(00)(15)(1)(1.5)(kW)", "(1)"], "not the end of an interval"),
        (["P.01(0251301001500)(00)(15)(1)(1.5)(kW)", "(1)"], "is not a season"),
        (["P.01(0250101001500)(00)(15)(2)(1.5)(kW)(2.5)(kW)", "(1)", "(1)(2)"], "the line has 1 values"),
        (["P.01(0250101001500)(00)(7)(1)(1.5)(kW)", "(1)"], "does not divide a day"),
    ],
)
def test_a_block_that_is_not_clear_is_rejected_and_the_next_one_is_read(
    tmp_path: Path, lines: list[str], reason: str
) -> None:
    parsed = load(tmp_path, *lines, "P.01(0250102001500)(00)(15)(1)(1.5)(kW)", "(4)")
    rule = "ROW-TIMESTAMP" if "season" in reason else "IEC-PROFILE"
    assert set(parsed.rejected["rule"].to_pylist()) == {rule}
    assert all(reason in one for one in parsed.rejected["reason"].to_pylist())
    assert parsed.rejected.num_rows == 2
    assert totals(parsed) == {"import": 1}


def test_the_factor_of_transformers_is_asked_for(tmp_path: Path) -> None:
    lines = ["0.4.2(00040)", "P.01(0250101001500)(00)(15)(1)(1.5)(kW)", "(4)"]
    with pytest.raises(RefusedFile) as raised:
        load(tmp_path, *lines)
    assert "declare factor" in str(raised.value)
    assert totals(load(tmp_path, *lines, factor=40)) == {"import": 40}


def test_a_readout_that_names_no_meter_and_has_local_times_needs_both(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("P.01(0250101001500)(00)(15)(1)(1.5)(kW)\n(4)\n")
    assert list_undeclared(read_parts(path), None) == ["identifier", "timezone"]


def test_a_missing_value_is_null(tmp_path: Path) -> None:
    parsed = load(tmp_path, "P.01(0250101001500)(00)(15)(1)(1.5)(kW)", "(----)", "(4)")
    assert parsed.readings["quality"].to_pylist() == ["null", "actual"]


@pytest.mark.parametrize("text", ["P.01(24-07-13,13:00)(0.1)(0.2)(00)\n", "P.01(ERROR)\n"])
def test_a_profile_that_does_not_name_its_registers_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text("/ABC4\n" + text)
    with pytest.raises(RefusedFile) as raised:
        read_file(path)
    assert "does not name its registers" in raised.value.reason
