"""Workbooks: the sheets of xlsx, xls and ods are read by the same mapping as a CSV."""

import datetime
import random
import time
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats import workbook_rows
from data.ingest.formats.container import open_members
from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.mapping import FileMapping
from data.ingest.formats.reading import read_file
from data.ingest.formats.suggest.proposal import suggest_mapping
from data.ingest.schema import ParsedFile
from tests.formats.invariants import read
from tests.formats.workbook_text import DATE, DURATION, INSTANT, TIME, Cell, pack, write_ods, write_xlsx

FIXTURES = Path(__file__).resolve().parent / "fixtures"
# The number of 1 June 2025 in a spreadsheet.
JUNE = 45809


def mapping(**changes: Any) -> FileMapping:
    fields = {
        "format": "mapped_csv",
        "timezone": "Europe/Paris",
        "interval_minutes": 30,
        "identifier": "Roof",
        "label": "start",
        "timestamp_format": "%Y-%m-%d %H:%M:%S",
        "columns": {"timestamp": "From"},
        "values": [{"column": "kWh", "channel": "import", "unit": "kWh"}],
    }
    given = {name: value for name, value in (fields | changes).items() if value is not None}
    return parse_mapping(given, "workbook.yaml")


def halves(count: int = 48) -> list[Cell]:
    return [(JUNE + number / 48, INSTANT) for number in range(count)]


def values(count: int = 48) -> list[float]:
    return [number * 7 % 11 / 8 for number in range(count)]


def table(*, head: tuple[str, ...] = ("From", "kWh"), count: int = 48) -> list[list[Cell]]:
    return [[*head], *pair(halves(count), values(count))]


def pair(*columns: Sequence[Cell]) -> list[list[Cell]]:
    return [list(row) for row in zip(*columns, strict=True)]


def total(parsed: ParsedFile) -> Decimal:
    return sum((value for value in parsed.readings["value"].to_pylist() if value is not None), Decimal(0))


EXPECTED = sum(map(Decimal, values()))
FIRST = datetime.datetime(2025, 5, 31, 22, tzinfo=datetime.UTC)


def check(parsed: ParsedFile) -> None:
    assert (parsed.format, total(parsed), parsed.readings.num_rows) == ("mapped_csv", EXPECTED, 48)
    starts = parsed.readings["reading_ts"].to_pylist()
    assert starts == [FIRST + n * datetime.timedelta(minutes=30) for n in range(48)]
    assert parsed.rejected.num_rows == 0


def test_serial_dates_are_instants_to_the_second(tmp_path: Path) -> None:
    parsed = read_file(write_xlsx(tmp_path / "a.xlsx", {"Data": table()}), mapping=mapping())
    check(parsed)
    assert parsed.readings["line"].to_pylist() == list(range(2, 50))


def test_the_same_mapping_reads_the_csv_and_the_workbook(tmp_path: Path) -> None:
    declared = mapping(delimiter=";", decimal=",", timestamp_format="%d.%m.%Y %H:%M")
    times = [f"{1 + n // 48:02}.06.2025 {n // 2 % 24:02}:{n % 2 * 30:02}" for n in range(48)]
    text = tmp_path / "a.csv"
    rows = [f"{at};{str(value).replace('.', ',')}" for at, value in zip(times, values(), strict=True)]
    text.write_text("\n".join(["From;kWh", *rows, ""]))
    cells: list[list[Cell]] = [["From", "kWh"], *pair(times, values())]
    book = write_xlsx(tmp_path / "a.xlsx", {"Data": cells})
    for path in (text, book):
        check(read_file(path, mapping=declared))


def test_xls_and_ods_are_read_alike(tmp_path: Path) -> None:
    check(read_file(FIXTURES / "half_hours.xls", mapping=mapping()))
    times = [f"2025-06-01T{n // 2:02}:{n % 2 * 30:02}:00" for n in range(48)]
    rows: list[list[Cell]] = [["From", "kWh"], *pair(times, values())]
    check(read_file(write_ods(tmp_path / "a.ods", rows), mapping=mapping()))


def test_titles_and_empty_columns_keep_the_places_of_the_sheet(tmp_path: Path) -> None:
    blank: list[Cell] = [None] * 48
    rows: list[list[Cell]] = [["Export"], [], [None, None, "From", "kWh"]]
    rows += pair(blank, blank, halves(), values())
    path = write_xlsx(tmp_path / "a.xlsx", {"Data": rows[2:]})
    check(read_file(path, mapping=mapping()))
    by_place = mapping(columns={"timestamp": 3}, values=[{"column": 4, "channel": "import", "unit": "kWh"}])
    check(read_file(path, mapping=by_place))
    titled = read_file(write_xlsx(tmp_path / "b.xlsx", {"Data": rows}), mapping=mapping())
    check(titled)
    assert titled.readings["line"][0].as_py() == 4


def test_a_date_and_a_time_of_day_in_two_columns(tmp_path: Path) -> None:
    """The label 24:00 is the last one of its day, as a time of day or as a duration."""
    for style in (TIME, DURATION):
        rows: list[list[Cell]] = [["Day", "Time", "kWh"]]
        rows += [[(JUNE, DATE), ((n + 1) / 48, style), value] for n, value in enumerate(values())]
        declared = mapping(
            columns={"date": "Day", "time": "Time"},
            timestamp_format=None,
            date_format="%Y-%m-%d",
            time_format="%H:%M:%S",
            label="end",
        )
        check(read_file(write_xlsx(tmp_path / "a.xlsx", {"Data": rows}), mapping=declared))


def test_a_meter_that_is_merged_over_its_rows_stands_in_each(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [["Meter", "From", "kWh"]]
    for meter in ("A", "B"):
        own = pair([None] * 48, halves(), values())
        own[0][0] = meter
        rows += own
    path = write_xlsx(tmp_path / "a.xlsx", {"Data": rows}, merged=["A2:A49", "A50:A97"])
    declared = mapping(identifier=None, columns={"identifier": "Meter", "timestamp": "From"})
    parsed = read_file(path, mapping=declared)
    assert parsed.readings["identifier"].to_pylist() == ["A"] * 48 + ["B"] * 48
    assert total(parsed) == 2 * EXPECTED


def test_a_merged_number_counts_once(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [["From", "kWh"], *pair(halves(), [None] * 48)]
    rows[1][1] = 5.5
    parsed = read_file(write_xlsx(tmp_path / "a.xlsx", {"Data": rows}, merged=["B2:B49"]), mapping=mapping())
    assert (total(parsed), parsed.readings["value"].null_count) == (Decimal("5.5"), 47)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (b'<c t="e"><v>#N/A</v></c>', "#ERROR"),
        (b"<c><f>SUM(B3:B9)</f></c>", "#FORMULA"),
        (b'<c t="e"><f>1/0</f><v>#DIV/0!</v></c>', "#ERROR"),
    ],
)
def test_an_error_or_a_formula_without_a_value_is_rejected(tmp_path: Path, cell: bytes, text: str) -> None:
    rows = table()
    rows[5][1] = cell
    parsed = read_file(write_xlsx(tmp_path / "a.xlsx", {"Data": rows}), mapping=mapping())
    assert total(parsed) == EXPECTED - Decimal(values()[4])
    (rejected,) = parsed.rejected.to_pylist()
    assert (rejected["line"], rejected["rule"]) == (6, "ROW-VALUE")
    assert text in rejected["raw_text"]


def test_a_formula_gives_the_value_that_the_sheet_shows(tmp_path: Path) -> None:
    rows = table()
    rows[1:] = pair(halves(), [f"<c><f>A1*2</f><v>{value!r}</v></c>".encode() for value in values()])
    check(read_file(write_xlsx(tmp_path / "a.xlsx", {"Data": rows}), mapping=mapping()))


def test_a_number_that_lost_digits_is_no_identifier(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [["Meter", "From", "kWh"]]
    for number in (1234567890123456789.0, 1234567890123456.0):
        rows += pair([number] * 3, halves(3), values(3))
    declared = mapping(identifier=None, columns={"identifier": "Meter", "timestamp": "From"})
    parsed = read_file(write_xlsx(tmp_path / "a.xlsx", {"Data": rows}), mapping=declared)
    assert set(parsed.readings["identifier"].to_pylist()) == {"1234567890123456"}
    assert parsed.rejected["rule"].to_pylist() == ["ROW-ENCODING"] * 3


def test_of_several_sheets_the_mapping_says_which(tmp_path: Path) -> None:
    july: list[Cell] = [(JUNE + 30 + number / 48, INSTANT) for number in range(48)]
    later: list[list[Cell]] = [["From", "kWh"], *pair(july, values())]
    sheets: dict[str, Any] = {"Readme": [["Read this"]], "2025-06": table(), "2025-07": later, "Empty": []}
    path = write_xlsx(tmp_path / "a.xlsx", sheets, hidden=["2025-07"])
    with pytest.raises(RefusedFile, match="'Readme', '2025-06', '2025-07'") as refusal:
        read_file(path, mapping=mapping())
    assert refusal.value.rule == "MAP-SHEETS"
    with pytest.raises(RefusedFile, match="no sheet is named 'Juni'"):
        read_file(path, mapping=mapping(sheets=["Juni"]))
    check(read_file(path, mapping=mapping(sheets=["2025-06"])))
    assert total(read_file(path, mapping=mapping(sheets=["2025-*"]))) == 2 * EXPECTED
    assert [member.name for member in open_members(path)] == ["Readme", "2025-06", "2025-07"]


def test_a_mapping_is_proposed_for_a_workbook(tmp_path: Path) -> None:
    text = suggest_mapping(write_xlsx(tmp_path / "a.xlsx", {"Data": table()}), timezone="Europe/Paris")
    assert 'timestamp: "From"' in text and 'column: "kWh"' in text


def test_the_proposal_for_several_sheets_names_the_longest(tmp_path: Path) -> None:
    sheets: dict[str, Any] = {"Read [me]": [["Read this"]], "Data [kWh]": table()}
    path = write_xlsx(tmp_path / "a.xlsx", sheets)
    text = suggest_mapping(path, timezone="Europe/Paris")
    assert 'sheets: ["Data [kWh]"]' in text
    check(read_file(path, mapping=mapping(sheets=["Data [kWh]"])))


def bombs(folder: Path) -> dict[str, Path]:
    """Workbooks of a few kB that ask for gigabytes, or declare entities."""
    wide = write_xlsx(folder / "wide.xlsx", {"Data": table()})
    sheet = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    parts = unpack(wide)
    huge = parts | {"xl/worksheets/sheet1.xml": f"<worksheet><sheetData>{sheet}</sheetData></worksheet>"}
    entity = '<!DOCTYPE worksheet [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><worksheet/>'
    filler = parts | {"xl/media/image.bin": "\0" * (300 << 20)}
    return {
        "cells": pack(folder / "cells.xlsx", huge),
        "entity": pack(folder / "entity.xlsx", parts | {"xl/worksheets/sheet1.xml": entity}),
        "zip": pack(folder / "zip.xlsx", filler),
    }


def unpack(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.mark.parametrize(
    ("name", "rule"), [("cells", "FILE-TOO-LARGE"), ("entity", "XML-DOCTYPE"), ("zip", "FILE-TOO-LARGE")]
)
def test_a_bomb_is_refused_within_the_limits_of_its_process(tmp_path: Path, name: str, rule: str) -> None:
    path = bombs(tmp_path)[name]
    begin = time.monotonic()
    with pytest.raises(RefusedFile) as refusal:
        read_file(path, mapping=mapping())
    assert refusal.value.rule == rule
    assert time.monotonic() - begin < 30


def test_what_is_no_workbook_is_refused(tmp_path: Path) -> None:
    letter = pack(
        tmp_path / "a.docx", {"[Content_Types].xml": "<Types/>", "word/document.xml": "<document/>"}
    )
    old = tmp_path / "a.doc"
    old.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(100))
    for path in (letter, old):
        with pytest.raises(RefusedFile) as refusal:
            read_file(path, mapping=mapping())
        assert refusal.value.rule in ("FILE-FORMAT", "FILE-DAMAGED")


def test_a_table_in_a_workbook_without_a_mapping_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match="--suggest-mapping"):
        read_file(write_xlsx(tmp_path / "a.xlsx", {"Data": table()}))


def test_damaged_workbooks_are_refused_or_read_without_a_crash(tmp_path: Path) -> None:
    chance = random.Random(7)
    whole = [write_xlsx(tmp_path / "a.xlsx", {"Data": table()}).read_bytes()]
    whole.append((FIXTURES / "half_hours.xls").read_bytes())
    path = tmp_path / "damaged"
    refused = 0
    for round_ in range(24):
        content = bytearray(whole[round_ % 2])
        if round_ % 3 == 0:
            content = content[: chance.randrange(1, len(content))]
        for _ in range(chance.randrange(1, 8)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        refused += isinstance(read(path, mapping=mapping()), RefusedFile)
    assert refused >= 8, "a third of the files is cut"


def test_the_cells_of_one_row_are_written_exactly() -> None:
    midnight = datetime.time()
    almost = datetime.datetime(2025, 6, 1, 0, 14, 59, 998000)
    written = [
        (0.1 + 0.2, "0,30000000000000004"),
        (12.0, "12"),
        (-0.5, "-0,5"),
        (True, "TRUE"),
        (2.0**53, "\ufffd"),
        (float("nan"), "\ufffd"),
        (almost, "2025-06-01 00:15:00"),
        (datetime.datetime(2025, 6, 1, 0, 14, 58, 560000), "2025-06-01 00:14:58.560000"),
        (datetime.date(2025, 6, 1), "2025-06-01 00:00:00"),
        (datetime.date(1900, 1, 1), "24:00:00"),
        (midnight, "00:00:00"),
        (datetime.timedelta(days=1), "24:00:00"),
        ("two\nlines\0", "two lines\ufffd"),
    ]
    for cell, text in written:
        assert workbook_rows.format_cell(cell, False, ",") == text
