"""Enedis: load curves of average power, daily energy, and answers that hold neither."""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import list_undeclared, parse_mapping
from data.ingest.formats.reading import read_file, read_parts
from data.ingest.schema import ParsedFile
from tests.formats import example

PARIS_SUMMER = datetime.timedelta(hours=2)
POINT = "16401220101758"
HALF = datetime.timedelta(minutes=30)


def answer(readings: list[dict[str, Any]], **kind: str) -> dict[str, Any]:
    return {
        "usage_point_id": POINT,
        "quality": "BRUT",
        "reading_type": {"measurement_kind": "power", "unit": "W", "aggregate": "average"} | kind,
        "interval_reading": readings,
    }


def power(at: datetime.datetime, watts: object, length: str = "PT30M", kind: str = "B") -> dict[str, Any]:
    end = f"{at:%Y-%m-%d %H:%M:%S}"
    return {"value": str(watts), "date": end, "interval_length": length, "measure_type": kind}


def curve(count: int = 48) -> list[dict[str, Any]]:
    midnight = datetime.datetime(2025, 6, 1)
    return [power(midnight + HALF * (n + 1), 100 + n) for n in range(count)]


def write_example(values: example.Values) -> bytes:
    """Hours of average power in W: a kWh in an hour is 1000 W."""
    rows = [
        power(at + example.HOUR + PARIS_SUMMER, value * 1000, "PT60M")
        for at, value in zip(example.list_instants(values), values, strict=True)
    ]
    return json.dumps({"meter_reading": answer(rows)}).encode()


EXAMPLE = example.Example(write_example, {"channel": "import"})


def read(folder: Path, document: Any, **mapping: str) -> ParsedFile:
    path = folder / "answer.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    declared = parse_mapping({"format": "enedis_json", **mapping}, "test") if mapping else None
    return read_file(path, mapping=declared)


@pytest.mark.parametrize("wrap", [lambda a: a, lambda a: {"meter_reading": a}, lambda a: [a]])
def test_average_power_is_read_as_energy_before_its_time(tmp_path: Path, wrap: Any) -> None:
    parsed = read(tmp_path, wrap(answer(curve())), channel="generation")
    rows = parsed.readings.to_pylist()
    assert sum(row["value"] for row in rows) == Decimal(sum(100 + n for n in range(48))) / 2
    assert {(row["identifier"], row["unit"], row["channel"]) for row in rows} == {(POINT, "Wh", "generation")}
    assert rows[0]["reading_ts"] == datetime.datetime(2025, 5, 31, 22, tzinfo=datetime.UTC)
    assert (len(rows), parsed.rejected.num_rows) == (48, 0)


def test_consumption_and_production_have_to_be_told_apart(tmp_path: Path) -> None:
    read(tmp_path, answer(curve()))
    assert list_undeclared(read_parts(tmp_path / "answer.json"), None) == ["channel"]


def test_daily_energy_is_of_its_local_day(tmp_path: Path) -> None:
    days = [{"value": str(1000 + n), "date": f"2025-03-{29 + n}"} for n in range(3)]
    kind = {"measurement_kind": "energy", "unit": "Wh", "aggregate": "sum", "measuring_period": "P1D"}
    rows = read(tmp_path, {"meter_reading": answer(days, **kind)}, channel="import").readings.to_pylist()
    assert [row["value"] for row in rows] == [1000, 1001, 1002]
    assert [row["interval_seconds"] // 3600 for row in rows] == [24, 23, 24]


def test_the_repeated_hour_is_read_twice(tmp_path: Path) -> None:
    night = datetime.datetime(2024, 10, 27)
    ends = [night + HALF * n for n in (1, 2, 3, 4, 5, 4, 5, 6, 7)]
    rows = read(tmp_path, answer([power(end, 100) for end in ends]), channel="import").readings.to_pylist()
    starts = [row["reading_ts"] for row in rows]
    assert starts == [starts[0] + HALF * n for n in range(9)]


def test_a_measure_of_an_unknown_kind_is_rejected(tmp_path: Path) -> None:
    rows = curve(4)
    rows[1]["measure_type"], rows[2]["measure_type"] = "C", "Q"
    parsed = read(tmp_path, answer(rows), channel="import")
    assert parsed.readings["quality"].to_pylist() == ["actual", "edited", "actual"]
    assert parsed.rejected["rule"].to_pylist() == ["ROW-QUALITY"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (answer([power(datetime.datetime(2025, 6, 1), 1, "PT10M")]), "PT10M has no exact energy"),
        (answer([*curve(2), power(datetime.datetime(2025, 6, 2), 1, "PT60M")]), "row 3 has interval_length"),
        (answer(curve(), unit="VA", aggregate="maximum"), "'VA' are no energy"),
        ({"usage_point_id": POINT, "interval_reading": curve()}, "does not state the unit"),
        ([answer(curve()), answer(curve(), unit="Wh")], "row 49 has .*'Wh', the first one 'W'"),
        (answer([]), "holds no value"),
        ({"error": "no_data_found", "usage_point_id": POINT}, "does not state the unit"),
    ],
)
def test_an_answer_without_intervals_of_energy_is_refused(tmp_path: Path, document: Any, words: str) -> None:
    with pytest.raises(RefusedFile, match=words):
        read(tmp_path, document, channel="import")
