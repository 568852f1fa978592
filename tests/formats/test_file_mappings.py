"""File mappings: their checks, their canonical text, and the examples on real files."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.formats.file_mappings import identify_load, load_mapping, parse_mapping, write_canonical_text
from data.ingest.inspect import inspect
from myproperty.errors import PlatformError
from tests.formats.mapped_csv_text import DAILY, DAY, READING, mapping


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"values": [{"column": "kW", "channel": "import", "unit": "kW"}]},
            "read as energy only if average_power",
        ),
        (
            {"values": [{"column": "kW", "channel": "import", "unit": "kWh", "average_power": True}]},
            "average_power needs a unit of power",
        ),
    ],
)
def test_power_is_refused_as_energy_unless_it_is_declared_as_average(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PlatformError, match=reason):
        mapping(READING, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interval_minutes": 60}, "for 1440 minutes columns.date alone"),
        ({"label": "start"}, "a date alone"),
        (
            {"values": [{"column": "kWh", "channel": "import", "unit": "kW", "average_power": True}]},
            "average power of a local day",
        ),
    ],
)
def test_a_date_alone_needs_an_interval_of_one_day(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PlatformError, match=message):
        mapping(READING, **(DAILY | changes))


def test_one_run_of_cells_is_written_the_same_way_alone_and_in_a_list() -> None:
    alone, listed = (mapping(DAY, day=day) for day in (DAY["day"], [DAY["day"]]))
    assert write_canonical_text(alone) == write_canonical_text(listed)
    assert json.loads(write_canonical_text(alone))["day"] == DAY["day"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timezone": "London"}, "timezone: .*'London' is not an IANA zone"),
        ({"timezone": None}, "give timezone if the times carry no offset"),
        ({"timestamp_format": "iso8601"}, "and only then"),
        ({"timestamp_format": "%d/%m %H:%M"}, "give year, that of the first row"),
        ({"timestamp_format": "%d/%Y %H:%M"}, "no whole date"),
        ({"timestamp_format": "%j/%m/%Y %H:%M"}, "no whole date"),
        ({"timestamp_format": "%Y-%m-%d"}, "must contain a date and a time"),
        ({"timestamp_format": "%Y-%q %H:%M"}, "'%q'"),
        ({"timestamp_format": "%Y-%m-%d %I:%M"}, "%I and %p come together"),
        ({"interval_minutes": 7}, "do not divide a day"),
        ({"label": None}, "give label if"),
        ({"label": "middle"}, "label"),
        ({"values": []}, "either values"),
        ({"values": [{"column": "kWh", "channel": "import"}]}, "give the unit with each value"),
        ({"values": [{"column": "kWh", "channel": "net", "unit": "kWh"}]}, "'net' is not a channel"),
        ({"values": [{"column": "kWh", "channel": "import", "unit": "stone"}]}, "'stone' is not known"),
        ({"values": [{"column": "kWh", "channel": "import", "unit": "kW"}]}, "kW is power"),
        ({"identifier": "M1"}, "one of them"),
        ({"columns": {"identifier": "meter"}}, "columns.timestamp"),
        ({"qualities": {"A": "actual"}}, "qualities"),
        ({"decimal": ",", "thousands": ","}, "thousands mark"),
        ({"delimiter": '"'}, "delimiter"),
        ({"encoding": "klingon"}, "not a text encoding"),
        ({"has_header": False}, "by position"),
        ({"colour": "red"}, "colour: there is no such field"),
        (
            {"columns": {"identifier": "meter", "timestmp": "time"}},
            "columns.timestmp: .*'timestamp' is meant",
        ),
        ({"interval_minutes": None}, "interval_minutes: the field is missing"),
        ({"format": "csv"}, "format: .*one of .*mapped_csv"),
        ({"format": None}, "format: .*one of .*mapped_csv"),
    ],
)
def test_an_invalid_mapping_is_refused_with_field_and_reason(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    content = {name: value for name, value in (READING | changes).items() if value is not None}
    with pytest.raises(PlatformError, match=message):
        parse_mapping(content, "m.yaml")


@pytest.mark.parametrize("content", ["[", "a: [", "- 1", "", "!!python/object:os.system {}", "a: &x [*x]"])
@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_an_invalid_mapping_file_is_refused_with_its_path(tmp_path: Path, content: str, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    path.write_text(content)
    with pytest.raises(PlatformError, match=str(path)):
        load_mapping(path)


def test_a_mapping_is_yaml_or_toml_and_equal_ones_are_the_same(tmp_path: Path) -> None:
    toml = tmp_path / "m.toml"
    toml.write_text(
        'format = "mapped_csv"\ntimezone = "Europe/London"\ninterval_minutes = 30\nlabel = "end"\n'
        'timestamp_format = "%d %b %Y %H:%M:%S"\ndelimiter = ","\n'
        '[columns]\nidentifier = "MPR"\ntimestamp = "ReadDatetime"\nquality = "ReadType"\n'
        '[[values]]\ncolumn = "kWh"\nchannel = "import"\nunit = "kwh"\n'
        '[qualities]\nActual = "actual"\nEstimated = "estimated"\n'
    )
    yaml = load_mapping("uk_row_a_reading")
    assert write_canonical_text(load_mapping(toml)) == write_canonical_text(yaml)
    assert identify_load("0" * 64, yaml) == identify_load("0" * 64, load_mapping(toml)) != "0" * 64
    assert identify_load("0" * 64, None) == "0" * 64
    assert parse_mapping(json.loads(write_canonical_text(yaml)), "again") == yaml


@pytest.mark.parametrize(
    ("name", "example"),
    [("highlands_example.csv", "uk_row_a_reading"), ("row-per-day_valid.csv", "uk_row_a_day")],
)
def test_real_files(oracles: dict[str, Any], samples: Path, name: str, example: str) -> None:
    path = samples / "interval_csv" / name
    assert inspect(path)["reads_as"]["name"] == example
    document = inspect(path, mapping=load_mapping(example))
    oracle = oracles[f"interval_csv/{name}"]
    assert (document["status"], document["format"], document["rejected"]) == ("ok", "mapped_csv", [])
    assert sum(channel["intervals"] for channel in document["channels"]) == oracle["n"]
    assert sum(Decimal(channel["total"]) for channel in document["channels"]) == oracle["kwh"]
    assert {channel["unit"] for channel in document["channels"]} == {"kWh"}


def test_real_files_that_are_damaged_or_have_gaps(samples: Path) -> None:
    by_day = load_mapping("uk_row_a_day")
    cut = inspect(samples / "interval_csv" / "row-per-day_malformed.csv", mapping=by_day)
    assert [channel["total"] for channel in cut["channels"]] == ["901.889218"]
    assert cut["rejected"] == [
        {"reason": "CSV-COLUMNS: the row has 2 fields, 51 expected", "count": 1, "first_line": 3}
    ]
    gaps = inspect(samples / "interval_csv" / "row-per-day_some-missing-readings.csv", mapping=by_day)
    assert [channel["quality"] for channel in gaps["channels"]] == [{"actual": 124, "null": 20}]
