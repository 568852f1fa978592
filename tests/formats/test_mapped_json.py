"""JSON of any portal by a mapping: rows and columns by paths, and refusals where a path leads nowhere."""

import datetime
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats import json_around
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.formats.reading import read_file
from data.ingest.schema import ParsedFile
from tests.formats import example

TIMES = [f"2025-06-01T{hour:02}:00:00Z" for hour in range(24)]
VALUES = [hour * 7 % 11 / 8 for hour in range(24)]
EXPECTED = sum(map(Decimal, VALUES))


def declare(**changes: Any) -> dict[str, Any]:
    fields = {
        "format": "mapped_json",
        "rows": "$.data[*]",
        "interval_minutes": 60,
        "identifier": "Roof",
        "label": "start",
        "timestamp_format": "iso8601",
        "columns": {"timestamp": "time"},
        "values": [{"column": "value", "channel": "generation", "unit": "kWh"}],
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def read(folder: Path, document: Any, **changes: Any) -> ParsedFile:
    path = folder / "answer.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_file(path, mapping=parse_mapping(declare(**changes), "portal.yaml"))


def total(parsed: ParsedFile) -> Decimal:
    return sum((value for value in parsed.readings["value"].to_pylist() if value is not None), Decimal(0))


def pairs() -> list[dict[str, Any]]:
    return [{"time": at, "value": value} for at, value in zip(TIMES, VALUES, strict=True)]


def write_example(values: example.Values) -> bytes:
    rows = [
        {"time": f"{at:%Y-%m-%dT%H:%M:%SZ}", "value": str(value)}
        for at, value in zip(example.list_instants(values), values, strict=True)
    ]
    return json.dumps({"data": rows}).encode()


EXAMPLE = example.Example(
    write_example, {name: value for name, value in declare(identifier="M1").items() if name != "format"}
)


@pytest.mark.parametrize(
    ("document", "changes"),
    [
        ({"data": pairs()}, {}),
        (pairs(), {"rows": "$[*]"}),
        ("\n".join(map(json.dumps, pairs())), {"rows": "$"}),
        ({"a": {"b": [{"c": pairs()[:9]}, {"c": pairs()[9:]}]}}, {"rows": "$.a.b[*].c[*]"}),
        (
            {"data": [[at, value, "x"] for at, value in zip(TIMES, VALUES, strict=True)]},
            {"columns": {"timestamp": 1}, "values": [{"column": 2, "channel": "generation", "unit": "kWh"}]},
        ),
        (
            [{"interval": {"start": row["time"]}, "energy": {"kWh": str(row["value"])}} for row in pairs()],
            {
                "rows": "$[*]",
                "columns": {"timestamp": "interval.start"},
                "values": [{"column": "energy.kWh", "channel": "generation", "unit": "kWh"}],
            },
        ),
        (
            {"data": [{"time": 1748736000000 + n * 3_600_000, "value": v} for n, v in enumerate(VALUES)]},
            {"timestamp_format": "unix_ms"},
        ),
        (
            {"data": [{"time": f"01.06.2025 {n + 2:02}:00", "value": v} for n, v in enumerate(VALUES[:22])]
             + [{"time": f"02.06.2025 {n:02}:00", "value": v} for n, v in enumerate(VALUES[22:])]},
            {"timestamp_format": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"},
        ),
    ],
)  # fmt: skip
def test_the_shapes_of_portals_are_read(tmp_path: Path, document: Any, changes: dict[str, Any]) -> None:
    parsed = read(tmp_path, document, **changes)
    assert (parsed.format, total(parsed), parsed.readings.num_rows) == ("mapped_json", EXPECTED, 24)
    first = datetime.datetime(2025, 6, 1, tzinfo=datetime.UTC)
    assert parsed.readings["reading_ts"].to_pylist() == [
        first + n * datetime.timedelta(hours=1) for n in range(24)
    ]
    assert parsed.readings["line"].to_pylist() == list(range(1, 25))
    assert parsed.rejected.num_rows == 0


def test_a_value_around_the_rows_names_the_meter(tmp_path: Path) -> None:
    document = {"meters": [{"id": name, "info": {"unit": "kWh"}, "data": pairs()} for name in ("A", "B")]}
    columns = {"identifier": "$.meters[*].id", "timestamp": "time", "unit": "$.meters[*].info.unit"}
    changes: dict[str, Any] = {
        "rows": "$.meters[*].data[*]",
        "identifier": None,
        "columns": columns,
        "values": [{"column": "value", "channel": "generation"}],
    }
    parsed = read(tmp_path, document, **changes)
    assert parsed.readings["identifier"].to_pylist() == ["A"] * 24 + ["B"] * 24
    assert total(parsed) == 2 * EXPECTED


def test_a_name_behind_its_rows_is_taken_and_that_of_another_meter_is_not(tmp_path: Path) -> None:
    meters = [{"id": "A", "data": pairs()}, {"data": pairs()}, {"data": pairs(), "id": "B"}]
    document = {"meters": meters}
    columns = {"identifier": "$.meters[*].id", "timestamp": "time"}
    parsed = read(tmp_path, document, rows="$.meters[*].data[*]", identifier=None, columns=columns)
    assert Counter(parsed.readings["identifier"].to_pylist()) == {"A": 24, "B": 24}
    assert parsed.rejected["rule"].to_pylist() == ["ROW-CHANNEL"] * 24


def test_rows_that_wait_for_a_value_around_them_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_around, "MAX_WAITING_ROWS", 20)
    columns = {"identifier": "$.id", "timestamp": "time"}
    with pytest.raises(RefusedFile, match=r"FILE-TOO-LARGE.*before '\$\.id'"):
        read(tmp_path, {"data": pairs(), "id": "A"}, identifier=None, columns=columns)


def test_a_missing_value_is_null_and_a_wrong_row_is_rejected_by_its_place(tmp_path: Path) -> None:
    rows = pairs()
    rows[3]["value"] = None
    rows[4]["value"] = "n/a"
    del rows[5]["time"]
    parsed = read(tmp_path, {"data": rows})
    assert parsed.readings["value"].null_count == 1
    assert [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()] == [
        (5, "ROW-VALUE"),
        (6, "ROW-TIMESTAMP"),
    ]


@pytest.mark.parametrize(
    ("document", "changes", "rule", "words"),
    [
        ({"data": pairs()}, {"rows": "$.items[*]"}, "MAP-COLUMNS", r"it has \$.data\[\*\].time"),
        (
            {"data": pairs()},
            {"values": [{"column": "energy", "channel": "import", "unit": "kWh"}]},
            "MAP-COLUMNS",
            "'energy'",
        ),
        ({"data": []}, {}, "FILE-NO-DATA", "no value"),
        ({"data": [{"time": TIMES[0], "value": 1, "v": [{"value": 2}]}]}, {}, None, ""),
        ('{"data": [{"time": "x", "value": 1, "value": 2}]}', {}, "JSON-CONTENT", "twice"),
        ({"data": [{"time": TIMES[0], "value": [1, 2]}]}, {}, "MAP-COLUMNS", "'value'"),
        ('{"data": [{"time": "2025', {}, "FILE-CUT", "incomplete"),
        ('{"data": [{]}', {}, "JSON-SYNTAX", "JSON"),
        ("[" * 100 + "]" * 100, {"rows": "$[*]"}, "JSON-SYNTAX", "nested"),
    ],
)
def test_a_path_that_leads_nowhere_refuses_the_file(
    tmp_path: Path, document: Any, changes: dict[str, Any], rule: str | None, words: str
) -> None:
    if rule is None:
        assert total(read(tmp_path, document, **changes)) == 1
        return
    with pytest.raises(RefusedFile, match=words) as refusal:
        read(tmp_path, document, **changes)
    assert refusal.value.rule == rule


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": None},
        {"rows": "data"},
        {"rows": "$.data[0]"},
        {"rows": "$..data"},
        {"rows": "$.data[?(@.a)]"},
        {"delimiter": ";"},
        {"columns": {"timestamp": "a[0]"}},
        {"format": "mapped_csv"},
    ],
)
def test_a_path_names_keys_and_whole_arrays_alone(changes: dict[str, Any]) -> None:
    with pytest.raises(MappingError):
        parse_mapping(declare(**changes), "portal.yaml")


LISTS = {"t": TIMES, "a": VALUES, "b": [value / 2 for value in VALUES], "site": "Roof"}
OF_LISTS: dict[str, Any] = {
    "rows": "$",
    "identifier": None,
    "columns": {"timestamp": "$.t[*]", "identifier": "$.site"},
    "values": [
        {"column": "$.b[*]", "channel": "import", "unit": "kWh"},
        {"column": "$.a[*]", "channel": "export", "unit": "kWh"},
    ],
}


def test_lists_beside_each_other_are_columns(tmp_path: Path) -> None:
    parsed = read(tmp_path, LISTS, **OF_LISTS)
    assert set(parsed.readings["identifier"].to_pylist()) == {"Roof"}
    found = {"import": Decimal(0), "export": Decimal(0)}
    for row in parsed.readings.to_pylist():
        found[row["channel"]] += row["value"]
    assert found == {"import": EXPECTED / 2, "export": EXPECTED}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"a": VALUES[1:]}, "JSON-CONTENT"),
        ({"t": []}, "MAP-COLUMNS"),
        ({"b": "none"}, "MAP-COLUMNS"),
        ({"t": [*TIMES, *TIMES[:1]], "a": [*VALUES, 9], "b": [*VALUES, 9]}, "VEE-CONFLICT"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, Any], rule: str) -> None:
    if rule == "VEE-CONFLICT":
        assert set(read(tmp_path, LISTS | change, **OF_LISTS).rejected["rule"].to_pylist()) == {rule}
        return
    with pytest.raises(RefusedFile) as refusal:
        read(tmp_path, LISTS | change, **OF_LISTS)
    assert refusal.value.rule == rule


def test_lists_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.ingest.formats.mapped_json.MAX_LIST_VALUES", 71)
    with pytest.raises(RefusedFile, match="the lists hold more than 71 values"):
        read(tmp_path, LISTS, **OF_LISTS)


def test_the_places_of_an_array_are_those_of_the_document(tmp_path: Path) -> None:
    """In the order of the mapping, the third value would have been taken for the second one."""
    rows = [[time, value, 2 * value] for time, value in zip(TIMES, VALUES, strict=True)]
    columns = {"timestamp": 1, "identifier": "$.site"}
    found = [
        {"column": 3, "channel": "import", "unit": "kWh"},
        {"column": 2, "channel": "export", "unit": "kWh"},
    ]
    document = {"site": "Roof", "data": rows}
    parsed = read(tmp_path, document, identifier=None, columns=columns, values=found)
    sums = {"import": Decimal(0), "export": Decimal(0)}
    for row in parsed.readings.to_pylist():
        sums[row["channel"]] += row["value"]
    assert sums == {"import": 2 * EXPECTED, "export": EXPECTED}


def test_a_dial_in_a_unit_of_its_own_is_read_by_a_factor(tmp_path: Path) -> None:
    """As inexogy sends it: milliseconds, and an energy that counts 10 ** -10 kWh."""
    reads = [1_234_567_890_123 + n * n * 1_000_003 for n in range(97)]
    start = int(datetime.datetime(2025, 6, 1, tzinfo=datetime.UTC).timestamp() * 1000)
    rows = [{"time": start + n * 900_000, "values": {"energy": read}} for n, read in enumerate(reads)]
    value = {"column": "values.energy", "channel": "import", "unit": "Wh", "cumulative": True}
    declared = {"rows": "$[*]", "interval_minutes": 15, "timestamp_format": "unix_ms"}
    parsed = read(tmp_path, rows, values=[value | {"factor": 1e-7}], **declared)
    assert parsed.rejected.num_rows == 0 and parsed.readings.num_rows == 96
    assert total(parsed) == Decimal(reads[-1] - reads[0]).scaleb(-7)
    with pytest.raises(RefusedFile, match="97 rows are rejected, the first by ROW-PRECISION"):
        read(tmp_path, rows, values=[value], **declared)
