"""Every row of a file is a reading, a rejected row or a skipped row, in each format: the three add up."""

import datetime
import io
import itertools
import json
import re
import tempfile
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.mapping import FileMapping
from data.ingest.formats.reading import read_file
from data.ingest.formats.registry import FORMATS
from data.ingest.inspect import inspect
from tests.formats import test_asexml, test_dsmr, test_nem12
from tests.formats.canonical_text import GOOD
from tests.formats.example import DAY, is_no_sentinel
from tests.formats.gallery import declare_example, write_example
from tests.formats.mapped_csv_text import READING, mapping
from tests.formats.workbook_text import write_xlsx

DAY_OF_VALUES = st.lists(
    st.integers(0, 90_000).map(lambda n: Decimal(n) / 8).filter(is_no_sentinel), min_size=DAY, max_size=DAY
)
# Energy lies between reads: the first read of a dial has none before it.
FIRST_READS = {"dsmr": 1}
ARCHIVED = [name for name, format in FORMATS.items() if format.magic is None]


def count(content: bytes, declared: FileMapping | None, name: str = "file") -> tuple[int, int, int]:
    """Return how many rows of a file are readings, rejected and skipped; `inspect` says the same."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        parsed = read_file(path, mapping=declared)
        document = inspect(path, mapping=declared)
    shown = sum(entry["count"] for entry in document["skipped"])
    assert shown == parsed.skipped.total()
    return parsed.readings.num_rows, parsed.rejected.num_rows, shown


def archive(*contents: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as members:
        for number, content in enumerate(contents):
            members.writestr(f"{number}.txt", content)
    return packed.getvalue()


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=8, deadline=None)
@given(values=DAY_OF_VALUES)
def test_a_clean_file_is_readings(format: str, values: list[Decimal]) -> None:
    first_reads = FIRST_READS.get(format, 0)
    assert count(write_example(format, values), declare_example(format)) == (DAY, 0, first_reads)


@pytest.mark.parametrize("format", ARCHIVED)
@settings(max_examples=8, deadline=None)
@given(first=DAY_OF_VALUES, second=DAY_OF_VALUES, copies=st.integers(0, 2))
def test_rows_that_come_again_are_skipped_or_rejected(
    format: str, first: list[Decimal], second: list[Decimal], copies: int
) -> None:
    """Members of an archive repeat each other or replace values: each row is accounted for."""
    members = [write_example(format, values) for values in [first, second, *[second] * copies]]
    try:
        readings, rejected, skipped = count(archive(*members), declare_example(format), "file.zip")
    except RefusedFile as refusal:
        # Where a mapping gives the meaning, members that contradict each other in mass hold different things.
        assert (format[:6], refusal.rule) == ("mapped", "MAP-CONFLICT")
        return
    assert readings == DAY
    assert readings + rejected + skipped == (DAY + FIRST_READS.get(format, 0)) * len(members)


def write_time(hour: int) -> str:
    return f"{datetime.datetime(2024, 5, 1) + datetime.timedelta(hours=hour):%Y-%m-%d %H:%M}"


# The rows of a table in another sender's hands, each with its number of readings by two columns of values.
KINDS = [
    "good",
    "bad value",
    "bad time",
    "no time",
    "empty",
    "header",
    "total",
    "ragged",
    "short",
    "title",
    "note",
]


def write_row(kind: str, hour: int, value: int) -> str:
    time = write_time(hour)
    return {
        "good": f"M,{time},{value},{value}",
        "bad value": f"M,{time},x,{value}",
        "bad time": f"M,2024-13-45 00:00,{value},1",
        "no time": f"M,,{value},1",
        "empty": f"M,{time},,",
        "header": "meter,time,kWh,out",
        "total": f"Total,,{value},{value}",
        "ragged": f"M,{time},{value},1,9",
        "short": f"M,{time}",
        "title": f"Received {value}",
        "note": "Made by the portal,of,Example,Ltd",
    }[kind]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=60
    ),
    st.booleans(),
)
def test_the_rows_of_a_table_add_up(rows: list[tuple[str, int, int]], has_sections: bool) -> None:
    columns: list[dict[str, Any]] = [
        {"column": "kWh", "unit": "kWh", "channel": "import"},
        {"column": "out", "unit": "kWh", "channel": "export"},
    ]
    more: dict[str, Any] = {"interval_minutes": 60, "ignore_rows": ["Total"], "values": columns}
    if has_sections:
        del columns[1], columns[0]["channel"]
        more["sections"] = {"meter": "import", "Received": "export"}
    text = "\n".join(["meter,time,kWh,out", "M,2024-04-30 00:00,1,1", *(write_row(*one) for one in rows), ""])
    if has_sections:
        text = "meter\n" + text
    try:
        readings, rejected, skipped = count(text.encode(), mapping(READING, **more))
    except RefusedFile as refusal:
        assert refusal.rule in ("MAP-CONFLICT", "MAP-TABLE", "MAP-ORDER", "FILE-NOTHING-LEFT")
        return
    # A row whose fields can be told apart has a reading for each column of values; others are one row.
    width = len(columns)
    is_split = {"good", "bad value", "bad time", "no time", "empty"}
    whole = sum(kind not in is_split for kind, _, _ in rows)
    notes = sum(kind == "note" for kind, _, _ in rows)
    expected = width * (1 + sum(kind in is_split for kind, _, _ in rows)) + whole
    assert readings + rejected + skipped == expected + notes * (width - 1)


def quote(line: str) -> str:
    return '"' + line.replace('"', '""') + '"'


def split_date(line: str) -> str:
    """Write the date of a line as its year and its day of the year; the time follows."""

    def split(found: re.Match[str]) -> str:
        try:
            day = datetime.date(int(found[1]), int(found[2]), int(found[3])).timetuple().tm_yday
        except ValueError:
            day = 999
        return f"{found[1]},{day},"

    parts = re.sub("([0-9]{4})-([0-9]{2})-([0-9]{2}) ", split, line)
    fields = parts.split(",")
    is_undated = parts == line and len(fields) == line.count(",") + 1 == 4 and fields[1] == ""
    return ",".join([fields[0], "", "", *fields[1:]]) if is_undated else parts


# How a table is written, and what its mapping says of it.
_OUT_OF_TWO_HOURS = {"column": "out", "unit": "kWh", "channel": "export", "interval_minutes": 120}
SHAPES: dict[str, tuple[Callable[[str], str], dict[str, Any]]] = {
    "quoted rows": (quote, {"quoted_rows": True}),
    "joined dates": (
        lambda line: split_date(line).replace("time", "year,day,time"),
        {
            "columns": {"identifier": "meter", "date": ["year", "day"], "time": "time"},
            **{"timestamp_format": None, "date_format": "%Y %j", "time_format": "%H:%M"},
        },
    ),
    "longer intervals of a column": (
        str,
        {"values": [{"column": "kWh", "unit": "kWh", "channel": "import"}, _OUT_OF_TWO_HOURS]},
    ),
    "longer intervals of a meter": (str, {"lengths": {"M": 120}}),
    "columns of meters": (str, {"identifier": "$column", "columns": {"timestamp": "time"}}),
    "wide digits": (lambda line: line.translate({48 + n: 0xFF10 + n for n in range(10)}), {}),
}
# A longer row, or a note, is the same row in any shape.
OF_SHAPES = ["good", "bad value", "bad time", "no time", "empty", "header", "total", "title"]


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(OF_SHAPES), st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=40
    )
)
def test_the_rows_of_a_table_in_another_shape_add_up(shape: str, rows: list[tuple[str, int, int]]) -> None:
    write, changes = SHAPES[shape]
    more = {"interval_minutes": 60, "ignore_rows": ["Total"], "values": WAYS} | changes
    lines = ["meter,time,kWh,out", "M,2024-04-30 00:00,1,1", *(write_row(*one) for one in rows)]
    try:
        found = count(("\n".join(map(write, lines)) + "\n").encode(), mapping(READING, **more))
    except RefusedFile as refusal:
        assert refusal.rule in ("MAP-CONFLICT", "MAP-TABLE", "MAP-ORDER", "FILE-NOTHING-LEFT")
        return
    whole = sum(kind in ("header", "total", "title") for kind, _, _ in rows)
    assert sum(found) == 2 * (1 + len(rows) - whole) + whole


def row(**changes: object) -> str:
    return ",".join(str(value) for value in (GOOD | changes).values())


LINES = st.lists(
    st.one_of(
        st.builds(
            lambda hour, value: row(reading_ts=f"2024-05-01T{hour:02}:00:00Z", value=str(value)),
            st.integers(0, 23),
            st.integers(0, 3),
        ),
        st.sampled_from(
            [
                row(value="x"),
                row(reading_ts="2024-02-30T00:00:00Z"),
                row(unit="?"),
                row(identifier=""),
                row() + ",1",
                "x",
                '"',
                row(quality="null"),
                row(interval_seconds="0"),
            ]
        ),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(LINES)
def test_the_rows_of_a_canonical_csv_add_up(lines: list[str]) -> None:
    text = "\n".join([",".join(GOOD), row(identifier="OTHER"), *lines, ""])
    assert sum(count(text.encode(), None)) == 1 + len(lines)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 20))), min_size=3, max_size=60)
)
def test_the_reads_of_a_dial_add_up(reads: list[tuple[int, int | None]]) -> None:
    text = "\n".join(
        [
            "meter,time,kWh",
            *(f"M,{write_time(hour)},{'' if value is None else value}" for hour, value in reads),
            "",
        ]
    )
    dial = {"column": "kWh", "channel": "import", "unit": "kWh", "cumulative": True}
    declared = mapping(READING, values=[dial], interval_minutes=60, label=None)
    try:
        assert sum(count(text.encode(), declared)) == len(reads)
    except RefusedFile as refusal:
        assert refusal.rule in ("FILE-NO-DATA", "FILE-NOTHING-LEFT")


def at_hour(hour: int) -> datetime.datetime:
    return datetime.datetime(2024, 5, 1) + datetime.timedelta(hours=hour)


def write_datadis(rows: list[tuple[str, int, int]]) -> bytes:
    """Write a row for each kind: two values, of which the second may be empty."""
    found = []
    for kind, hour, value in rows:
        time = at_hour(hour)
        row = {
            "cups": "ES1",
            "date": "2024/13/45" if kind == "bad time" else f"{time:%Y/%m/%d}",
            "time": None if kind == "no time" else f"{hour % 24 + 1:02}:00",
            "consumptionKWh": "x" if kind == "bad value" else None if kind == "empty" else value,
            "surplusEnergyKWh": None if kind in ("empty", "short") else value,
            "obtainMethod": "?" if kind == "note" else "Real",
        }
        found.append(row)
    return json.dumps(found).encode()


def write_enedis(rows: list[tuple[str, int, int]]) -> bytes:
    found = []
    for kind, hour, value in rows:
        row: dict[str, Any] = {"date": f"{at_hour(hour):%Y-%m-%d %H:%M:%S}", "value": str(value)}
        faults: dict[str, dict[str, Any]] = {
            "bad time": {"date": "2024-02-30 00:00:00"},
            "no time": {"date": None},
            "bad value": {"value": "x"},
            "empty": {"value": None},
        }
        found.append(row | faults.get(kind, {}) | {"interval_length": "PT60M", "measure_type": "B"})
    reading = {"usage_point_id": "1", "reading_type": {"unit": "W"}, "interval_reading": found}
    return json.dumps({"meter_reading": reading}).encode()


def write_portal(rows: list[tuple[str, int, int]]) -> bytes:
    found = []
    for kind, hour, value in rows:
        row: dict[str, Any] = {"at": write_time(hour), "kWh": value, "out": value}
        faults: dict[str, dict[str, Any]] = {
            "bad time": {"at": "then"},
            "no time": {"at": None},
            "bad value": {"kWh": "x"},
            "empty": {"kWh": None, "out": ""},
            "short": {"out": None},
        }
        found.append(row | faults.get(kind, {}))
    return json.dumps({"rows": found}).encode()


def write_sheet(rows: list[tuple[str, int, int]]) -> bytes:
    cells: list[list[Any]] = [["meter", "time", "kWh", "out"]]
    for kind, hour, value in rows:
        row: list[Any] = ["M", write_time(hour), value, value]
        row[1] = {"bad time": "then", "no time": None}.get(kind, row[1])
        row[2] = {"bad value": "x", "empty": None}.get(kind, row[2])
        row[3] = None if kind == "empty" else row[3]
        cells.append(row)
    with tempfile.TemporaryDirectory() as folder:
        return write_xlsx(Path(folder) / "a.xlsx", {"Sheet": cells}).read_bytes()


WAYS: list[dict[str, Any]] = [
    {"column": "kWh", "unit": "kWh", "channel": "import"},
    {"column": "out", "unit": "kWh", "channel": "export"},
]
# The writer of each format whose rows are objects or cells, its mapping, and the values of a row.
READERS: dict[str, tuple[Any, FileMapping | None, int]] = {
    "datadis": (write_datadis, None, 2),
    "enedis": (write_enedis, parse_mapping({"format": "enedis_json", "channel": "import"}, "enedis"), 1),
    "mapped_json": (
        write_portal,
        mapping(
            READING,
            format="mapped_json",
            rows="$.rows[*]",
            identifier="M",
            interval_minutes=60,
            columns={"timestamp": "at"},
            values=WAYS,
        ),
        2,
    ),
    "workbook": (write_sheet, mapping(READING, interval_minutes=60, values=WAYS), 2),
}
IN_ROWS = ["good", "bad value", "bad time", "no time", "empty", "short", "note"]


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(IN_ROWS), st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=40
    )
)
def test_the_rows_of_a_document_add_up(name: str, rows: list[tuple[str, int, int]]) -> None:
    write, declared, width = READERS[name]
    rows = [("good", 40, 1), *rows]
    try:
        found = count(write(rows), declared, "a.xlsx" if name == "workbook" else "a.json")
    except RefusedFile as refusal:
        assert refusal.rule in ("MAP-CONFLICT", "MAP-INTERVAL", "MAP-ORDER", "MAP-TABLE", "FILE-NOTHING-LEFT")
        return
    assert sum(found) == width * len(rows)


def write_telegram(kind: str, quarter: int, value: int) -> bytes:
    at = test_dsmr.START + test_dsmr.QUARTER * quarter
    energy = test_dsmr.dial("1.8.0", f"{value:010.3f}")
    objects = {"other value": [energy, "1-0:1.7.0(00.424*kW)"], "twice": [energy, energy]}
    objects["bad value"] = [test_dsmr.dial("1.8.0", "x")]
    if kind == "note":
        return b"# written by a logger\r\n"
    text = test_dsmr.telegram(
        None if kind == "no time" else at,
        *objects.get(kind, [energy]),
        end="0000" if kind == "checksum" else None,
    )
    return text.rpartition(b"!")[0] if kind == "no end" else text


# Values of each telegram: a broken one is rejected as one row.
TELEGRAMS = {
    **dict.fromkeys(("good", "bad value", "twice", "no time", "checksum", "no end", "note"), 1),
    "other value": 2,
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(list(TELEGRAMS)), st.integers(0, 30), st.integers(0, 3)), max_size=40)
)
def test_the_telegrams_of_a_log_add_up(telegrams: list[tuple[str, int, int]]) -> None:
    telegrams = [*telegrams, ("good", 40, 5), ("good", 41, 6)]
    content = b"".join(write_telegram(*one) for one in telegrams)
    # Lines behind a telegram without an end belong to that telegram.
    groups = itertools.groupby(telegrams, key=lambda one: one[0] == "note")
    runs = [(is_note, list(run)) for is_note, run in groups]
    inside = sum(
        len(run)
        for (_, before), (is_note, run) in itertools.pairwise(runs)
        if is_note and before[-1][0] == "no end"
    )
    assert sum(count(content, None)) == sum(TELEGRAMS[kind] for kind, _, _ in telegrams) - inside


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                test_nem12.day(),
                test_nem12.day("20240202"),
                test_nem12.day(values=["x", *["2"] * 47]),
                test_nem12.day("20241345"),
                test_nem12.day()[:60],
                test_nem12.series("NMI2"),
                "400,1,2,F,,",
                "250,NMI1,x",
                "999,?",
                "",
            ]
        ),
        max_size=20,
    )
)
def test_a_message_adds_up_as_its_text_does(lines: list[str]) -> None:
    text = "\n".join([test_nem12.HEADER, test_nem12.series(), test_nem12.day("20240301"), *lines, "900", ""])
    found: list[object] = []
    for content in (text, test_asexml.message(test_asexml.notification(text))):
        try:
            found.append(count(content.encode(), None))
        except RefusedFile as refusal:
            found.append(refusal.rule)
    assert found[0] == found[1]
