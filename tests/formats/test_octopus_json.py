"""Octopus Energy: pages, offsets and lengths."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import refuse_undeclared
from data.ingest.formats.reading import read_parts
from tests.formats import example
from tests.formats.portal_text import column, declared, octopus, read, result, rules


def write_example(values: example.Values) -> bytes:
    results = [
        {
            "consumption": float(value),
            "interval_start": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "interval_end": f"{at + example.HOUR:%Y-%m-%dT%H:%M:%SZ}",
        }
        for at, value in zip(example.list_instants(values), values, strict=True)
    ]
    page = {"count": len(values), "next": None, "previous": None, "results": results[::-1]}
    return json.dumps(page).encode()


EXAMPLE = example.Example(write_example, {"identifier": "M1", "unit": "kWh", "channel": "import"})


def test_octopus_descends_and_carries_its_offset_over_a_clock_change(tmp_path: Path) -> None:
    page = octopus(
        result("2024-10-27T01:30:00Z", "2024-10-27T02:00:00Z", 4),
        result("2024-10-27T01:00:00+00:00", "2024-10-27T01:30:00+0000", 3),
        result("2024-10-27T01:30:00+01:00", "2024-10-27T01:00:00Z", "2"),
        result("2024-10-27T01:00:00+01:00", "2024-10-27T01:30:00+01:00", 1.125),
        next="https://api.example/v1/electricity-meter-points/1200/meters/S7/consumption/?page=2",
    )
    for indent in (None, 2):
        parsed = read(tmp_path, page, indent=indent)
        assert column(parsed, "value") == [4, 3, 2, Decimal("1.125")]
        starts = [f"{start:%H:%M}" for start in column(parsed, "reading_ts")]
        assert starts == ["01:30", "01:00", "00:30", "00:00"]
        assert {(row["identifier"], row["serial_number"]) for row in parsed.readings.to_pylist()} == {
            ("1200", "S7")
        }
        assert rules(parsed) == [(1, "JSON-PAGE")]


def test_octopus_pages_in_sequence_or_in_an_array_are_one_file(tmp_path: Path) -> None:
    pages = [octopus(result(f"2024-01-01T0{hour}:00:00Z", f"2024-01-01T0{hour}:30:00Z")) for hour in range(3)]
    together = "\n".join(map(json.dumps, pages))
    for document in (pages, together, [page["results"][0] for page in pages]):
        assert read(tmp_path, document).readings.num_rows == 3


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"interval_start": None}, "ROW-TIMESTAMP"),
        ({"interval_end": "2024-02-30T00:00:00Z"}, "ROW-TIMESTAMP"),
        ({"interval_start": "2024-01-01T00:00:00"}, "ROW-TIMESTAMP"),
        ({"interval_start": "9999-12-31T23:30:00Z"}, "ROW-INTERVAL"),
        ({"interval_end": "2024-02-01T00:00:00Z"}, "ROW-INTERVAL"),
        ({"consumption": "a lot"}, "ROW-VALUE"),
        ({"consumption": True}, "ROW-VALUE"),
        ({"consumption": 1e308}, "ROW-PRECISION"),
        ({"consumption": 0.12345678901}, "ROW-PRECISION"),
    ],
)
def test_only_a_wrong_result_is_rejected_with_its_place(
    tmp_path: Path, changes: dict[str, Any], rule: str
) -> None:
    good = [result(f"2024-01-01T0{hour}:00:00Z", f"2024-01-01T0{hour}:30:00Z") for hour in range(3)]
    parsed = read(tmp_path, octopus(good[0], good[1] | changes, good[2]))
    assert rules(parsed) == [(2, rule)]
    assert column(parsed, "line") == [1, 3]


def test_a_row_with_an_end_before_its_start_is_kept_and_reported(tmp_path: Path) -> None:
    parsed = read(tmp_path, octopus(result("2024-05-18T23:30:00+0100", "2024-05-18T00:00:00+0100", 0.073)))
    assert (rules(parsed), column(parsed, "interval_seconds")) == ([(1, "JSON-END")], [1800])


def test_octopus_gas_needs_a_unit_and_export_a_channel(tmp_path: Path) -> None:
    page = octopus(
        result("2024-01-01T00:00:00Z", "2024-01-01T00:30:00Z"),
        previous="https://api.example/v1/gas-meter-points/88/meters/G1/consumption/",
    )
    undeclared = read(tmp_path, page)
    assert column(undeclared, "unit") == [""]
    with pytest.raises(RefusedFile, match="file nor a mapping states unit"):
        refuse_undeclared(read_parts(undeclared.path), None)
    gas = read(tmp_path, page, declared("octopus_json", unit="m3"))
    assert (column(gas, "unit"), column(gas, "channel")) == (["m3"], ["consumption"])
    export = declared("octopus_json", channel="export", identifier="E1")
    plain = octopus(result("2024-01-01T00:00:00Z", "2024-01-01T00:30:00Z"))
    assert column(read(tmp_path, plain, export), "channel") == ["export"]
