"""The fuzzer of the readers: `python -m tests.fuzz.readers [libFuzzer options] [corpus]`, or `make fuzz`.

The first byte of an input chooses the format and whether it is declared or detected; the rest is the file.
An exception other than a refusal, or a violated invariant, ends the run and writes the input to `crash-*`.
The seeds are the examples of all registered formats.
"""

import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["data.ingest.formats"]):
    from data.ingest.formats.registry import FORMATS

from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.schema import ParsedFile
from tests.formats.example import DAY
from tests.formats.gallery import declare_example, write_example
from tests.formats.invariants import account, read
from tests.formats.workbook_text import write_xlsx

# A table with a column for each day, and a counter that begins again.
_ACROSS = parse_mapping(
    {
        "format": "mapped_csv",
        "across": 2,
        "timezone": "Europe/Paris",
        "interval_minutes": 60,
        "label": "start",
        "date_format": "%Y-%m-%d",
        "time_format": "%H:%M",
        "identifier": "M1",
        "ignore_rows": ["Total"],
        "columns": {"date": "$above", "time": "time"},
        "values": [{"column": "$value", "channel": "import", "unit": "kWh"}],
    },
    "across",
)
_COUNTER = parse_mapping(
    {
        "format": "mapped_csv",
        "timezone": "Europe/Paris",
        "interval_minutes": 60,
        "label": "end",
        "timestamp_format": "%Y-%m-%d %H:%M",
        "identifier": "M1",
        "columns": {"timestamp": "time"},
        "values": [
            {"column": "kWh", "channel": "import", "unit": "kWh", "cumulative": True}
            | {"resets": "to_zero", "every_hours": 4}
        ],
    },
    "counter",
)
# Blocks below their date, and days whose first row alone has one.
_HOURS = {
    "format": "mapped_csv",
    "timezone": "Europe/Paris",
    "interval_minutes": 60,
    "label": "start",
    "date_format": "%Y-%m-%d",
    "time_format": "%H:%M",
    "identifier": "M1",
    "values": [{"column": "kWh", "channel": "import", "unit": "kWh"}],
}
_TITLES = parse_mapping(_HOURS | {"columns": {"date": "$title", "time": "time"}}, "titles")
_ONCE = parse_mapping(_HOURS | {"columns": {"date": "day", "time": "time"}, "date_once": True}, "once")
# Several arrays of a document.
_ARRAYS = parse_mapping(
    {
        "format": "mapped_json",
        "rows": ["$.in[*]", "$.out[*]"],
        "timezone": "Europe/Paris",
        "interval_minutes": 60,
        "label": "start",
        "timestamp_format": "%Y-%m-%d %H:%M",
        "identifier": "M1",
        "columns": {"timestamp": "at", "register": "$rows"},
        "values": [{"column": "kWh", "unit": "kWh"}],
        "channels": {"$.in[*]": "import", "$.out[*]": "export"},
    },
    "arrays",
)
# Days of a year in quotes, columns of meters with two lengths of intervals, and seconds behind a start.
_QUOTED = parse_mapping(
    _HOURS
    | {"quoted_rows": True, "columns": {"date": ["year", "day"], "time": "time"}, "date_format": "%Y %j"},
    "quoted",
)
_METERS = parse_mapping(
    _HOURS
    | {
        "identifier": "$column",
        "columns": {"date": "day", "time": "time"},
        "values": [
            {"column": "kWh", "channel": "import", "unit": "kWh"},
            {"column": "gas", "channel": "consumption", "unit": "m3", "interval_minutes": 120},
        ],
    },
    "meters",
)
_OFFSETS = parse_mapping(
    {
        "format": "mapped_json",
        "rows": "$.data.*.values.*",
        "interval_minutes": 60,
        "label": "start",
        "timestamp_format": "iso8601",
        "columns": {"identifier": "$.data.*.$key", "timestamp": "$.data.*.start", "seconds": "$key"},
        "values": [{"column": "$value", "unit": "kWh", "channel": "import"}],
    },
    "offsets",
)
_KINDS = (
    *((name, declare_example(name)) for name in FORMATS),
    ("mapped_csv", _ACROSS),
    ("mapped_csv", _COUNTER),
    ("mapped_csv", _TITLES),
    ("mapped_csv", _ONCE),
    ("mapped_json", _ARRAYS),
    ("mapped_csv", _QUOTED),
    ("mapped_csv", _METERS),
    ("mapped_json", _OFFSETS),
)
_FILE = Path(tempfile.gettempdir()) / f"fuzz-{id(atheris):x}"


def read_input(data: bytes) -> None:
    """Read one file, with the format that its first byte chooses."""
    if len(data) < 2:
        return
    format, declared = _KINDS[data[0] % len(_KINDS)]
    _FILE.write_bytes(data[1:])
    is_forced = data[0] >= 128
    found = read(_FILE, format if is_forced else None, declared)
    if isinstance(found, ParsedFile):
        account(found)


def write_seeds(folder: Path) -> None:
    """Write the initial corpus."""
    values = [Decimal(number) / 8 for number in range(DAY)]
    for number, format in enumerate(FORMATS):
        content = write_example(format, values)
        if format == "mapped_csv":
            (folder / "workbook").write_bytes(bytes([number]) + write_workbook(content))
        for choice in (number, 128 + (number - 128) % len(_KINDS)):
            (folder / f"{format}-{choice}").write_bytes(bytes([choice]) + content)
    hours = range(24)
    table = [
        "time,2024-03-30,2024-03-31",
        *(f"{hour:02}:00,{hour},{hour % 7}" for hour in hours),
        "Total,276,68",
    ]
    reads = ["time,kWh", *(f"2024-03-30 {hour:02}:00,{hour % 4 + 0.25}" for hour in hours)]
    titles = ["2024-03-30", "time,kWh", *(f"{hour:02}:00,{hour}" for hour in hours), "2024-03-31", "00:00,1"]
    once = ["day,time,kWh", *(f"{'2024-03-30' if hour == 0 else ''},{hour:02}:00,1" for hour in hours)]
    rows = ",".join(f'{{"at":"2024-03-30 {hour:02}:00","kWh":{hour}}}' for hour in hours)
    arrays = [f'{{"in":[{rows}],"out":[{rows}]}}']
    quoted = ['"year,day,time,kWh"', *(f'"2024,90,{hour:02}:00,{hour}"' for hour in hours)]
    meters = ["day,time,kWh,gas", *(f"2024-03-30,{hour:02}:00,1,{'' if hour % 2 else 1}" for hour in hours)]
    seconds = ",".join(f'"{3600 * hour}":{hour}' for hour in hours)
    device = f'{{"values":{{{seconds}}},"start":"2024-03-30T00:00:00Z"}}'
    offsets = [f'{{"data":{{"a":{device},"b":{device}}}}}']
    kinds = (table, reads, titles, once, arrays, quoted, meters, offsets)
    cells = "".join(f"<tr><td>{line.replace(',', '</td><td>')}</td></tr>" for line in meters)
    page = f"<html><table>{cells}</table></html>"
    (folder / "page").write_bytes(bytes([len(FORMATS) + kinds.index(meters)]) + page.encode())
    for number, lines in enumerate(kinds, len(FORMATS)):
        (folder / str(number)).write_bytes(bytes([number]) + "\n".join([*lines, ""]).encode())


def write_workbook(table: bytes) -> bytes:
    """Return the workbook of a CSV."""
    rows = [line.split(",") for line in table.decode().splitlines()]
    return write_xlsx(_FILE, {"Data": rows}).read_bytes()


def main() -> None:
    """Fuzz until the options end the run."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as corpus:
        write_seeds(Path(corpus))
        try:
            atheris.Setup([*sys.argv, corpus], read_input)
            atheris.Fuzz()
        finally:
            _FILE.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
