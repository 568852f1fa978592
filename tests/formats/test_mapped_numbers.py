"""Signs and decimals that a mapping declares, against plain sums."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.formats.file_mappings import MappingError
from data.ingest.inspect import inspect
from tests.formats.mapped_csv_text import (
    DAY,
    READING,
    day_header,
    day_row,
    mapping,
    read,
    rejections,
    rows,
    values,
)

NET: dict[str, Any] = {"column": "kWh", "channel": "import", "unit": "kWh", "negative": "export"}
SIGNED = [Decimal(n) / 8 - 2 for n in range(48)]


def half_hours(*texts: object) -> list[str]:
    return [f"M,2024-01-01 {n // 2:02}:{n % 2 * 30:02},{text}" for n, text in enumerate(texts)]


def sums(parsed: Any) -> dict[tuple[str, str], Decimal]:
    found: dict[tuple[str, str], Decimal] = {}
    for row in parsed.readings.to_pylist():
        key = row["register"], row["channel"]
        found[key] = found.get(key, Decimal(0)) + (row["value"] or 0)
    return found


@pytest.mark.parametrize("sign", [1, -1])
def test_a_net_column_is_import_and_export(tmp_path: Path, sign: int) -> None:
    texts = [f"{sign * value:+}" if n % 2 else f"{sign * value}" for n, value in enumerate(SIGNED)]
    parsed = read(tmp_path, rows(*half_hours(*texts)), values=[NET | {"sign": sign}])
    assert sums(parsed) == {
        ("kWh", "import"): sum(value for value in SIGNED if value > 0),
        ("kWh export", "export"): -sum(value for value in SIGNED if value < 0),
    }
    # Each interval has a value in both channels.
    assert parsed.readings.num_rows == 96 and rejections(parsed) == []


def test_a_missing_net_is_missing_in_both_channels(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows(*half_hours("1", "", "-2", "x", "-0.0")), values=[NET])
    assert parsed.readings["quality"].to_pylist().count("null") == 2
    assert sums(parsed) == {("kWh", "import"): 1, ("kWh export", "export"): 2}
    assert rejections(parsed) == [(5, "ROW-VALUE"), (5, "ROW-VALUE")]


def test_power_and_comma_have_a_sign_too(tmp_path: Path) -> None:
    power = NET | {"unit": "kW", "average_power": True}
    parsed = read(tmp_path, rows(*half_hours('"1,5"', '"-3,25"')), values=[power], decimal=",")
    assert sums(parsed) == {("kWh", "import"): Decimal("0.75"), ("kWh export", "export"): Decimal("1.625")}


def test_the_cells_of_a_day_have_a_sign(tmp_path: Path) -> None:
    text = "\n".join([day_header(48), day_row("01/01/2024", [f"{value}" for value in SIGNED]), ""])
    parsed = read(tmp_path, text, DAY, day=DAY["day"] | {"negative": "export", "register": "net"})
    assert sums(parsed) == {
        ("net", "import"): sum(value for value in SIGNED if value > 0),
        ("net export", "export"): -sum(value for value in SIGNED if value < 0),
    }


def test_a_column_below_zero_is_turned(tmp_path: Path) -> None:
    exported = {"column": "kWh", "channel": "export", "unit": "kWh", "sign": -1}
    parsed = read(tmp_path, rows(*half_hours("-1.5", "-0", "-.25", "0")), values=[exported])
    assert values(parsed) == [Decimal("1.5"), 0, Decimal("0.25"), 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"negative": "import"}, "another channel"),
        ({"negative": "voltage"}, "another channel"),
        ({"channel": None}, "channel"),
        ({"sign": 2}, "sign"),
    ],
)
def test_signs_are_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        mapping(READING, values=[NET | change])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.120999999999185", "0.121"),
        ("0.1930000000029395", "0.193"),
        ("2.0000000001", "2"),
        ("-0.052999999999883585", "-0.053"),
        ("1.21e-1", "0.121"),
        ("5", "5"),
        ("0.12", "0.12"),
    ],
)
def test_noise_behind_the_declared_decimals_is_removed(tmp_path: Path, text: str, expected: str) -> None:
    parsed = read(tmp_path, rows(*half_hours(text)), decimals=3)
    assert values(parsed) == [Decimal(expected)]


@pytest.mark.parametrize("text", ["0.1214", "0.12101", "1e-5", "0.1209", "1." + "1" * 70])
def test_digits_that_are_no_noise_are_rejected_not_rounded(tmp_path: Path, text: str) -> None:
    parsed = read(tmp_path, rows(*half_hours("1", text)), decimals=3)
    assert (values(parsed), rejections(parsed)) == ([1], [(3, "ROW-VALUE")])


def test_without_declared_decimals_noise_is_refused_with_the_remedy(samples: Path) -> None:
    path = samples / "cases" / "10-noise-of-a-subtraction" / "input.csv"
    fields: dict[str, Any] = {
        "identifier": "M",
        "timezone": "Europe/Vienna",
        "interval_minutes": 15,
        "encoding": "cp1252",
        "delimiter": ";",
        "decimal": ",",
        "timestamp_format": "%d.%m.%Y %H:%M:%S",
        "columns": {"timestamp": "Start"},
        "values": [{"column": 3, "channel": "import", "unit": "kWh"}],
    }
    (channel,) = inspect(path, mapping=mapping(READING, **fields, decimals=3))["channels"]
    assert (channel["total"], channel["intervals"], channel["quality"]) == ("19.392", 96, {"actual": 96})
    assert (channel["first"], channel["last"]) == ("2024-03-31T22:00:00Z", "2024-04-01T21:45:00Z")


def test_a_net_column_of_a_portal(samples: Path) -> None:
    path = samples / "cases" / "12-net-column-below-zero" / "input.csv"
    fields: dict[str, Any] = {
        "timezone": "America/Los_Angeles",
        "interval_minutes": 60,
        "timestamp_format": None,
        "date_format": "%m/%d/%Y",
        "time_format": "%I:%M:%S %p",
        "columns": {"identifier": "Meter Number", "date": "Date", "time": "Start Time"},
        "values": [NET | {"column": "Consumed"}],
    }
    channels = inspect(path, mapping=mapping(READING, **fields))["channels"]
    assert {(c["meter"], c["channel"], c["total"], c["intervals"]) for c in channels} == {
        ("0000001", "import", "7.432", 24),
        ("0000001", "export", "10.043", 24),
    }


@pytest.mark.parametrize("factor", ["0.25", "80", "0.000001", "1.1"])
def test_a_factor_multiplies_each_value_exactly(tmp_path: Path, factor: str) -> None:
    numbers = [n * n * 13 for n in range(48)]
    value = {"column": "kWh", "channel": "import", "unit": "kWh", "factor": factor}
    parsed = read(tmp_path, rows(*half_hours(*numbers)), values=[value])
    assert values(parsed) == [n * Decimal(factor) for n in numbers] and rejections(parsed) == []


def test_a_factor_multiplies_the_cells_of_a_day_and_keeps_signs(tmp_path: Path) -> None:
    cells = ["2"] * 47 + ["-0.5"]
    run = {"first": 3, "last": 50, "channel": "import", "unit": "kWh", "clock_change": "elapsed"}
    run |= {"negative": "export", "factor": 0.5}
    text = f"{day_header(48)}\n{day_row('01/01/2024', cells)}\n"
    parsed = read(tmp_path, text, DAY, day=run)
    assert sums(parsed) == {("import", "import"): 47, ("import export", "export"): Decimal("0.25")}


def test_a_product_with_more_decimals_than_a_reading_is_rejected(tmp_path: Path) -> None:
    value = {"column": "kWh", "channel": "import", "unit": "kWh", "factor": "0.00000001"}
    parsed = read(tmp_path, rows(*half_hours("100", "1.25", "x")), values=[value])
    assert values(parsed) == [Decimal("0.000001")]
    assert rejections(parsed) == [(3, "ROW-PRECISION"), (4, "ROW-VALUE")]


@pytest.mark.parametrize("factor", ["0", "-1", "many", "1e400"])
def test_a_factor_is_a_number_above_zero(tmp_path: Path, factor: str) -> None:
    value = {"column": "kWh", "channel": "import", "unit": "kWh", "factor": factor}
    with pytest.raises(MappingError, match="factor"):
        read(tmp_path, rows(*half_hours("1")), values=[value])
