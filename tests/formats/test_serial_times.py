"""The numbers by which spreadsheets store times, in a CSV or in cells that are not formatted as dates."""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.formats.reading import read_file
from data.ingest.formats.wallclock import TimeFormats
from tests.formats.workbook_text import Cell, write_xlsx

# 1 June 2025.
JUNE = 45809
FIRST = datetime.datetime(2025, 5, 31, 22, tzinfo=datetime.UTC)


def parse(form: str, text: str) -> datetime.datetime | None:
    found, bad = TimeFormats(form).parse(pa.array([text]))
    if bad[0]:
        return None
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=int(found[0]))


@pytest.mark.parametrize("digits", [5, 6, 10, 15])
def test_each_interval_of_a_day_is_known_from_five_decimals_on(digits: int) -> None:
    for minute in range(0, 1440, 5):
        text = f"{JUNE + minute / 1440:.{digits}f}"
        assert parse("serial", text) == datetime.datetime(2025, 6, 1) + datetime.timedelta(minutes=minute)
        assert parse("serial", text.replace(".", ",")) == parse("serial", text)


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("serial", "45809", "2025-06-01 00:00:00"),
        ("serial", "45809.0001157407", "2025-06-01 00:00:10"),
        ("serial_date", "45809", "2025-06-01 00:00:00"),
        ("serial_time", "0", "1970-01-01 00:00:00"),
        ("serial_time", "0.010416666666666666", "1970-01-01 00:15:00"),
        ("serial_time", "1", "1970-01-02 00:00:00"),
        ("serial", "45809.0104", None),
        ("serial", "45809.010423", None),
        ("serial", "2025", None),
        ("serial", "73051", None),
        ("serial", "-1", None),
        ("serial", "4.5809E4", None),
        ("serial", "", None),
        ("serial_date", "45809.5", None),
        ("serial_time", "1.25", None),
    ],
)
def test_a_number_that_is_no_time_is_none(form: str, text: str, expected: str | None) -> None:
    found = parse(form, text)
    assert (None if found is None else str(found)) == expected


@pytest.mark.parametrize(
    ("head", "cells", "fields"),
    [
        ("From", lambda at: [at], {"columns": {"timestamp": "From"}, "timestamp_format": "serial"}),
        (
            "Day Time",
            lambda at: [int(at), at - int(at)],
            {
                "columns": {"date": "Day", "time": "Time"},
                "date_format": "serial_date",
                "time_format": "serial_time",
            },
        ),
    ],
)
def test_a_workbook_and_a_csv_with_numbers_for_times_are_read(
    tmp_path: Path, head: str, cells: Any, fields: dict[str, Any]
) -> None:
    rows: list[list[Cell]] = [[*head.split(), "kWh"]]
    rows += [[*cells(JUNE + n / 96), n / 8] for n in range(96)]
    text = "\n".join(",".join(map(str, row)) for row in rows) + "\n"
    csv = tmp_path / "a.csv"
    csv.write_text(text)
    declared = {
        "format": "mapped_csv",
        "timezone": "Europe/Paris",
        "interval_minutes": 15,
        "identifier": "Roof",
        "label": "start",
        "values": [{"column": "kWh", "channel": "import", "unit": "kWh"}],
        **fields,
    }
    for path in (csv, write_xlsx(tmp_path / "a.xlsx", {"Data": rows})):
        parsed = read_file(path, mapping=parse_mapping(declared, "serial.yaml"))
        assert sum(parsed.readings["value"].to_pylist()) == Decimal(sum(range(96))) / 8
        starts = parsed.readings["reading_ts"].to_pylist()
        assert starts == [FIRST + n * datetime.timedelta(minutes=15) for n in range(96)]


def test_a_date_alone_is_no_time_of_a_reading() -> None:
    with pytest.raises(MappingError, match="a date and a time"):
        parse_mapping(
            {
                "format": "mapped_csv",
                "timezone": "Europe/Paris",
                "interval_minutes": 15,
                "identifier": "Roof",
                "label": "start",
                "columns": {"timestamp": "From"},
                "timestamp_format": "serial_date",
                "values": [{"column": "kWh", "channel": "import", "unit": "kWh"}],
            },
            "serial.yaml",
        )
