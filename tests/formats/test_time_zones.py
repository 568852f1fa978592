"""Times with an offset, the name of a zone, or several shapes, in tables and in the JSON of SolarEdge."""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.columns import parse_instants
from data.ingest.formats.file_mappings import MappingError, list_undeclared, parse_mapping
from data.ingest.formats.reading import read_file, read_parts
from data.ingest.formats.wallclock import TimeFormat
from data.ingest.inspect import inspect
from tests.formats.mapped_csv_text import READING, mapping, read, rejections, rows, starts, values

HOUR = datetime.timedelta(hours=1)
OFFSETS: dict[str, Any] = {"timezone": None, "interval_minutes": 60}


@pytest.mark.parametrize(
    ("form", "text", "hour"),
    [
        ("%Y-%m-%d %H:%M:%S %z", "2024-10-01 05:00:00 CEST+0200", 3),
        ("%d.%m.%Y %H:%M %z", "01.10.2024 05:00 +02:00", 3),
        ("%d/%m/%Y %I:%M %p %z", "01/10/2024 05:00 PM -0330", 20),
        ("%Y-%m-%dT%H:%M%z", "2024-10-01T05:00Z", 5),
        ("%Y-%m-%dT%H:%M%z", "2024-10-01T05:00+02", 3),
        ("%d.%m.%Y %H:%M %Z", "01.10.2024 05:00 CEST", 3),
        ("%d.%m.%Y %H:%M %Z", "01.10.2024 05:00 MEZ", 4),
        ("%m/%d/%Y %H:%M %Z", "10/01/2024 05:00 EDT", 9),
    ],
)
def test_an_offset_or_zone_makes_an_instant(form: str, text: str, hour: int) -> None:
    found, bad = TimeFormat(form).parse(pa.array([text, "x", None]))
    assert bad.tolist() == [False, True, True]
    instant = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=int(found[0]))
    assert (instant.day, instant.hour) == (1, hour)


@pytest.mark.parametrize("text", ["05:00 XYZ", "05:00 +1500", "05:00 +9900", "05:00"])
def test_an_unknown_zone_is_not_a_time(text: str) -> None:
    form = TimeFormat("%Y-%m-%d %H:%M %Z" if "X" in text else "%Y-%m-%d %H:%M %z")
    assert form.parse(pa.array([f"2024-01-01 {text}"]))[1].all()


def test_the_zone_tells_the_two_repeated_hours_apart_in_any_order(tmp_path: Path) -> None:
    lines = ["03:00 CET", "02:00 CET", "02:00 CEST", "01:00 CEST"]
    text = rows(*(f"M,2024-10-27 {line},{n}" for n, line in enumerate(lines)))
    parsed = read(tmp_path, text, **OFFSETS, timestamp_format="%Y-%m-%d %H:%M %Z")
    assert starts(parsed) == ["10-27 02:00", "10-27 01:00", "10-27 00:00", "10-26 23:00"]
    assert values(parsed) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "text",
    ["2024-10-01 05:00:00 CEST+0200", "2024-10-01T05:00:00+02:00[Europe/Berlin]", "2024-10-01T03:00:00 UTC"],
)
def test_iso_times_may_name_a_zone_beside_the_offset(tmp_path: Path, text: str) -> None:
    instants, bad = parse_instants(pa.array([text]))
    assert (instants[0].as_py().hour, bad.tolist()) == (3, [False])
    parsed = read(tmp_path, rows(f"M,{text},1"), **OFFSETS, timestamp_format="iso8601")
    assert starts(parsed) == ["10-01 03:00"]


def test_a_file_with_several_shapes_of_times(tmp_path: Path) -> None:
    shapes = ["%d.%m.%Y %H:%M", "%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M"]
    text = rows("M,13.01.2024 00:00,1", "M,2024-01-13 01:00:00,2", "M,01/13/2024 02:00,4", "M,13.01. 03:00,8")
    parsed = read(tmp_path, text, interval_minutes=60, timestamp_format=shapes)
    assert (values(parsed), rejections(parsed)) == ([1, 2, 4], [(5, "ROW-TIMESTAMP")])


def test_a_text_with_two_readings_is_rejected(tmp_path: Path) -> None:
    shapes = ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"]
    text = rows(
        "M,02/01/2024 00:00,1", "M,13/01/2024 00:00,2", "M,01/14/2024 02:00,4", "M,02/02/2024 02:00,8"
    )
    parsed = read(tmp_path, text, interval_minutes=60, timestamp_format=shapes)
    assert (values(parsed), rejections(parsed)) == ([2, 4, 8], [(2, "ROW-TIMESTAMP")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timestamp_format": "%Y-%m-%d %H:%M %z"}, "give timezone if the times carry no offset"),
        ({"timestamp_format": "%Y-%m-%d %H:%M %Z %z", "timezone": None}, "not both"),
        ({"timestamp_format": ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M %z"]}, "different parts"),
        ({"timestamp_format": ["%Y-%m-%d %H:%M", "iso8601"]}, "iso8601|contains neither"),
    ],
)
def test_formats_with_offsets_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        mapping(READING, **changes)


def solaredge(times: list[str], unit: str = "HOUR") -> str:
    entries = [{"date": time, "value": 1000 + n if n % 2 else None} for n, time in enumerate(times)]
    return json.dumps({"energy": {"timeUnit": unit, "unit": "Wh", "values": entries}})


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_solaredge_with_offsets_needs_no_zone(tmp_path: Path, zone: str | None) -> None:
    path = tmp_path / "site.json"
    path.write_text(
        solaredge(
            [
                f"2024-10-27 {h:02}:00:00 {z}"
                for h, z in ((1, "CEST+0200"), (2, "CEST+0200"), (2, "CET+0100"), (3, "CET+0100"))
            ]
        )
    )
    found = parse_mapping(
        {"format": "solaredge_json", "identifier": "Roof"} | ({"timezone": zone} if zone else {}), "m"
    )
    parsed = read_file(path, mapping=found)
    assert starts(parsed) == ["10-26 23:00", "10-27 00:00", "10-27 01:00", "10-27 02:00"]
    assert values(parsed) == [None, Decimal(1001), None, Decimal(1003)]
    assert list_undeclared(read_parts(path, mapping=found), found) == []


@pytest.mark.parametrize(
    "text",
    [
        solaredge(["2024-10-27 01:00:00"] * 2),
        solaredge(["2024-10-27 00:00:00 CEST+0200", "2024-10-28 00:00:00 CET+0100"], "DAY"),
    ],
)
def test_local_times_and_days_need_a_zone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "site.json"
    path.write_text(text)
    found = parse_mapping({"format": "solaredge_json", "identifier": "Roof"}, "m")
    assert list_undeclared(read_parts(path, mapping=found), found) == ["timezone"]
    found = parse_mapping(
        {"format": "solaredge_json", "identifier": "Roof", "timezone": "Europe/Berlin"}, "m"
    )
    if "DAY" in text:
        assert read_file(path, mapping=found).readings["interval_seconds"].to_pylist() == [90_000, 86_400]


def test_solaredge_of_a_portal(samples: Path) -> None:
    document = inspect(samples / "cases" / "18-solaredge-zone-in-the-date" / "input.json")
    (channel,) = document["channels"]
    assert (channel["channel"], channel["total"], channel["intervals"]) == ("generation", "15.322", 24)
    assert (channel["first"], channel["last"]) == ("2024-09-30T22:00:00Z", "2024-10-01T21:00:00Z")
    assert channel["quality"] == {"null": 13, "actual": 11}
    assert document["undeclared"] == ["identifier"]


def test_an_instant_that_comes_twice_with_one_value_counts_once(samples: Path) -> None:
    path = samples / "cases" / "28-an-hour-twice-with-the-same-instant" / "input.csv"
    fields: dict[str, Any] = OFFSETS | {
        "identifier": "M",
        "timestamp_format": "iso8601",
        "columns": {"timestamp": "timestamp"},
        "values": [{"column": 2, "channel": "import", "unit": "kWh"}],
    }
    (channel,) = inspect(path, mapping=mapping(READING, **fields))["channels"]
    assert (channel["total"], channel["intervals"]) == ("31.538", 23)
    assert (channel["first"], channel["last"]) == ("2017-03-25T22:00:00Z", "2017-03-26T20:00:00Z")
    with pytest.raises(RefusedFile):
        read_file(path, mapping=mapping(READING, **(fields | {"timestamp_format": "unix"})))
