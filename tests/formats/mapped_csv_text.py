"""Mapped CSV files and their mappings, for tests."""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.compute as pc

from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.reading import read_file
from data.ingest.schema import ParsedFile

UTC = datetime.UTC
READING: dict[str, Any] = {
    "format": "mapped_csv",
    "timezone": "Europe/London",
    "interval_minutes": 30,
    "label": "start",
    "timestamp_format": "%Y-%m-%d %H:%M",
    "columns": {"identifier": "meter", "timestamp": "time"},
    "values": [{"column": "kWh", "channel": "import", "unit": "kWh"}],
}
DAY: dict[str, Any] = {
    "format": "mapped_csv",
    "timezone": "Europe/London",
    "interval_minutes": 30,
    "date_format": "%d/%m/%Y",
    "columns": {"identifier": "meter", "date": "day"},
    "day": {"first": 3, "last": 50, "clock_change": "wall_clock", "channel": "import", "unit": "kWh"},
}


def mapping(base: dict[str, Any], **changes: Any) -> CsvMapping:
    content = {name: value for name, value in (base | changes).items() if value is not None}
    found = parse_mapping(content, "test")
    assert isinstance(found, CsvMapping)
    return found


def read(folder: Path, text: str | bytes, base: dict[str, Any] = READING, **changes: Any) -> ParsedFile:
    path = folder / "export.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_file(path, mapping=mapping(base, **changes))


def rows(*entries: str, header: str = "meter,time,kWh") -> str:
    return "\n".join([header, *entries, ""])


def rejections(parsed: ParsedFile) -> list[tuple[int, str]]:
    return [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()]


def starts(parsed: ParsedFile) -> list[str]:
    return [f"{start:%m-%d %H:%M}" for start in parsed.readings["reading_ts"].to_pylist()]


def values(parsed: ParsedFile) -> list[Any]:
    found: list[Any] = parsed.readings["value"].to_pylist()
    return found


def wall_labels(date: datetime.date, label: str, minutes: int = 30) -> list[str]:
    """Labels of every interval of a London day, made from instants: the other way round than the reader."""
    zone = ZoneInfo("Europe/London")
    start = datetime.datetime.combine(date, datetime.time(), zone).astimezone(UTC)
    end = datetime.datetime.combine(date + datetime.timedelta(1), datetime.time(), zone).astimezone(UTC)
    step = datetime.timedelta(minutes=minutes)
    labels = []
    while start < end:
        local = (start + (step if label == "end" else 0 * step)).astimezone(zone)
        if label == "wall_end":
            local = start.astimezone(zone).replace(tzinfo=None) + step
        labels.append(f"{local:%Y-%m-%d %H:%M}")
        start += step
    return labels


DAILY: dict[str, Any] = {
    "interval_minutes": 1440,
    "label": None,
    "timestamp_format": None,
    "date_format": "%d/%m/%Y",
    "columns": {"identifier": "meter", "date": "time"},
}


def day_header(count: int) -> str:
    return ",".join(["meter", "day", *(f"HH{number}" for number in range(1, count + 1))])


def day_row(date: str, cells: list[str], meter: str = "M1") -> str:
    return ",".join([meter, date, *cells])


def accepted_and_rejected(parsed: ParsedFile) -> Decimal:
    found = Decimal(0)
    for table in (parsed.readings, parsed.rejected):
        found += pc.sum(table["value"]).as_py() or Decimal(0)
    return found
