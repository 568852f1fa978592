"""SolarEdge: kinds of energy, missing values and local days."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from tests.formats import example
from tests.formats.portal_text import column, declared, read, rules, solaredge


def write_example(values: example.Values) -> bytes:
    """In whole milliwatt-hours, written as Wh."""
    rows = [
        {"date": f"{at:%Y-%m-%d %H:%M:%S}", "value": float(value * 1000)}
        for at, value in zip(example.list_instants(values), values, strict=True)
    ]
    series = {"type": "Purchased", "values": rows}
    return json.dumps({"energyDetails": {"timeUnit": "HOUR", "unit": "Wh", "meters": [series]}}).encode()


EXAMPLE = example.Example(write_example, {"identifier": "M1", "timezone": "UTC"})


def test_a_value_missing_at_solaredge_is_null_and_zero_is_a_value(tmp_path: Path) -> None:
    kinds: dict[str, list[tuple[Any, ...]]] = {
        "Production": [("2024-01-01 00:00:00",), ("2024-01-01 00:15:00", 0), ("2024-01-01 00:30:00", None)],
        "Purchased": [("2024-01-01 00:00:00", 1500.5)],
        "SelfConsumption": [("2024-01-01 00:00:00", 7)],
        "Odd": [("2024-01-01 00:00:00", 8)],
    }
    parsed = read(tmp_path, solaredge(kinds))
    rows = [
        (row["register"], row["channel"], row["value"], row["quality"]) for row in parsed.readings.to_pylist()
    ]
    assert rows == [
        ("Production", "generation", None, "null"),
        ("Production", "generation", Decimal(0), "actual"),
        ("Production", "generation", None, "null"),
        ("Purchased", "import", Decimal("1500.5"), "actual"),
        ("SelfConsumption", "other", Decimal(7), "actual"),
    ]
    assert rules(parsed) == [(6, "ROW-CHANNEL")]


def test_solaredge_days_have_the_length_of_the_local_day(tmp_path: Path) -> None:
    days = ["2024-03-31 00:00:00", "2024-07-01 00:00:00", "2024-10-27 00:00:00"]
    berlin = declared("solaredge_json", timezone="Europe/Berlin", identifier="Site")
    parsed = read(tmp_path, solaredge({"FeedIn": [(day, 1) for day in days]}, time="DAY"), berlin)
    assert column(parsed, "interval_seconds") == [82_800, 86_400, 90_000]
    assert [f"{start:%H}" for start in column(parsed, "reading_ts")] == ["23", "22", "22"]
    whole = {"energy": {"timeUnit": "HOUR", "unit": "Wh", "values": [{"date": days[1], "value": 3}]}}
    assert column(read(tmp_path, whole, berlin), "register") == ["Production"]
    with pytest.raises(RefusedFile, match="JSON-CONTENT"):
        read(tmp_path, solaredge({"FeedIn": [(days[0], 1)]}, time="MONTH"))


def test_solaredge_power_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match="ROW-UNIT"):
        read(tmp_path, solaredge({"Production": [("2024-01-01 00:00:00", 1)]}, unit="W"))


def test_solaredge_may_state_unit_and_kind_after_its_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = solaredge({"Production": [("2024-01-01 00:00:00", 1)], "FeedIn": [("2024-01-01 00:00:00", 2)]})
    details = document["energyDetails"]
    details["meters"] = [{"values": meter["values"], "type": meter["type"]} for meter in details["meters"]]
    details["unit"] = details.pop("unit")
    parsed = read(tmp_path, document)
    assert (column(parsed, "register"), column(parsed, "value")) == (["Production", "FeedIn"], [1, 2])
    monkeypatch.setattr("data.ingest.formats.solaredge_json.MAX_WAITING_ROWS", 1)
    with pytest.raises(RefusedFile, match="FILE-TOO-LARGE"):
        read(tmp_path, document)
