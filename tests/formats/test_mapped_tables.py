"""Several tables in one mapped CSV: sections that the mapping names, and tables that it does not name."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats import mapped_table
from data.ingest.formats.file_mappings import MappingError, load_mapping
from data.ingest.inspect import inspect
from tests.formats.mapped_csv_text import READING, mapping, read, rejections, rows

HOURS: dict[str, Any] = {"interval_minutes": 60}


def hours(prefix: str, first: int, suffix: str = "", sep: str = ",") -> list[str]:
    return [f"{prefix}2024-01-01 {n:02}:00{sep}{first + n}{suffix}" for n in range(24)]


def totals(found: Any) -> dict[tuple[str, str], Decimal]:
    sums: dict[tuple[str, str], Decimal] = {}
    for row in found.readings.to_pylist():
        key = row["register"], row["channel"]
        sums[key] = sums.get(key, Decimal(0)) + row["value"]
    return sums


def sectioned(channels: Mapping[str, str | None], **more: Any) -> dict[str, Any]:
    return HOURS | {"values": [{"column": "kWh", "unit": "kWh"}], "sections": channels} | more


# A retailer, a grid operator in another language, and a portal that repeats no header.
RETAILER = "\n".join(
    [
        *("Account,1", "", "Delivered to you", "meter,time,kWh", *hours("M,", 1)),
        *("", "Received from you", "meter,time,kWh", *hours("M,", 100), ""),
    ]
)
OPERATOR = "\n".join(
    [
        *("Zählpunkt;Kennzahl;Nr", "AT1;1-1:1.9.0 P.01;", "meter;time;kWh;Status"),
        *hours("M;", 1, ";W", ";"),
        *("Zählpunkt;Kennzahl;Nr", "AT1;1-1:2.9.0 P.01;", "meter;time;kWh;Status"),
        *hours("M;", 100, ";W", ";"),
        "",
    ]
)
PORTAL = "\n".join(
    [
        *("meter,time,kWh", "Bezug,,", *hours("M,", 1), "Einspeisung,,", *hours("M,", 100)),
        *("Kosten,,", *hours("M,", 9), ""),
    ]
)


@pytest.mark.parametrize(
    ("text", "sections", "more"),
    [
        (RETAILER, {"Delivered": "import", "Received": "export"}, {}),
        (
            OPERATOR,
            {"1-1:1.9.0": "import", "1-1:2.9.0": "export"},
            {"delimiter": ";", "ignore_rows": ["Zählpunkt"]},
        ),
        (PORTAL, {"bezug": "import", "EINSPEISUNG": "export", "Kosten": None}, {}),
    ],
)
def test_sections_are_registers(
    tmp_path: Path, text: str, sections: Mapping[str, str | None], more: dict[str, Any]
) -> None:
    parsed = read(tmp_path, text, **sectioned(sections, **more))
    names = list(sections)
    assert totals(parsed) == {
        (names[0], "import"): sum(range(1, 25)),
        (names[1], "export"): sum(range(100, 124)),
    }
    assert rejections(parsed) == []
    # Each row is a reading or a declared skip; the head is not a row.
    below = text[text.index("meter") :].split("\n", 1)[1]
    assert parsed.readings.num_rows + parsed.skipped.total() == sum(map(bool, below.split("\n")))


@pytest.mark.parametrize("text", [RETAILER, OPERATOR.replace(";", ","), PORTAL])
def test_tables_that_the_mapping_does_not_name_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read(tmp_path, text, **HOURS)
    assert refusal.value.rule == "MAP-CONFLICT"
    if text is not PORTAL:
        again = text.split("\n").index("meter,time,kWh" + (",Status" if "Status" in text else ""), 20) + 1
        assert refusal.value.line == again and f"another table begins on line {again}" in refusal.value.reason


@pytest.mark.parametrize(
    "header",
    ["meter,time,received kWh", "Meter,Read time,Export", "time,meter,kWh", "Zähler,Zeit,Einspeisung"],
)
@pytest.mark.parametrize("title", [[], [""], ["Received"], ["Received,,"]])
def test_another_header_is_refused_with_its_line(tmp_path: Path, header: str, title: list[str]) -> None:
    later = [row.replace("2024", "2025") for row in hours("M,", 100)]
    with pytest.raises(RefusedFile) as refusal:
        read(tmp_path, rows(*hours("M,", 1), *title, header, *later), **HOURS)
    assert (refusal.value.rule, refusal.value.line) == ("MAP-TABLE", 26 + len(title))


def test_words_above_and_below_the_rows_are_not_another_table(tmp_path: Path) -> None:
    for text in (
        rows("id,date,unit", *hours("M,", 1)),
        rows(*hours("M,", 1), "Made by,the portal,of Example"),
    ):
        parsed = read(tmp_path, text, **HOURS)
        assert sum(row["value"] for row in parsed.readings.to_pylist()) == sum(range(1, 25))
        assert [rule for _, rule in rejections(parsed)] == ["ROW-TIMESTAMP"]


def test_pages_of_one_table_are_one_table(tmp_path: Path) -> None:
    pages = [[row.replace("01-01", f"01-{day:02}") for row in hours("M,", day)] for day in range(1, 20)]
    parsed = read(
        tmp_path, "\n".join(line for page in pages for line in ["meter,time,kWh", *page]) + "\n", **HOURS
    )
    assert parsed.readings.num_rows == 19 * 24
    assert (rejections(parsed), dict(parsed.skipped)["a repeated header"]) == ([], 18)


def test_a_row_without_a_section_is_rejected(tmp_path: Path) -> None:
    text = rows(*hours("M,", 1), "Received", *hours("M,", 100))
    parsed = read(tmp_path, text, **sectioned({"Received": "export"}))
    assert totals(parsed) == {("Received", "export"): sum(range(100, 124))}
    assert {rule for _, rule in rejections(parsed)} == {"ROW-CHANNEL"}


def test_a_row_with_a_section_in_a_cell_is_still_a_row(tmp_path: Path) -> None:
    text = rows("Received", *hours("Received,", 1, ",x"), header="meter,time,kWh")
    assert (
        len(
            rejections(read(tmp_path, rows("Received", *hours("M,", 1)), **sectioned({"Received": "export"})))
        )
        == 0
    )
    with pytest.raises(RefusedFile, match="24 rows are rejected, the first by CSV-COLUMNS"):
        read(tmp_path, text, **sectioned({"Received": "export"}))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"values": [{"column": "kWh", "unit": "kWh", "channel": "import"}]}, "by sections"),
        ({"sections": {"Costs": None}}, "at least one of the sections"),
    ],
)
def test_a_mapping_with_sections_is_checked(more: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        mapping(READING, **(sectioned({"Received": "export"}) | more))


@pytest.mark.parametrize("end", [",", ",  ", ',""'])
def test_rows_with_an_empty_field_more_than_the_header_are_split_at_once(
    tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = rows(*hours("M,", 1, end))
    monkeypatch.setattr(mapped_table, "_split_slowly", pytest.fail)
    parsed = read(tmp_path, text, **HOURS)
    assert sum(row["value"] for row in parsed.readings.to_pylist()) == sum(range(1, 25))


def test_a_value_behind_the_header_rejects_its_row(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows(*hours("M,", 1, ","), "M,2024-01-02 00:00,1,7"), **HOURS)
    assert rejections(parsed) == [(26, "CSV-COLUMNS")]


CASES = {
    "08-second-table-of-dashes": ("10.872", 96, "2023-07-31T22:00:00Z", "2023-08-01T21:45:00Z"),
    "30-a-z-that-lies": ("39.730", 144, "2025-07-29T23:00:00Z", "2025-07-31T22:00:00Z"),
    "31-row-a-day-with-a-sign-at-the-end": ("162.003", 960, "2024-08-31T22:00:00Z", "2024-09-10T21:45:00Z"),
    "47-actual-then-missing-in-one-file": ("25.472", 48, "2024-01-11T00:00:00Z", "2024-01-11T23:30:00Z"),
}


@pytest.mark.parametrize("name", CASES)
def test_portals_with_a_mapping(samples: Path, name: str) -> None:
    folder = samples / "cases" / name
    channels = inspect(folder / "input.csv", mapping=load_mapping(folder / "mapping.yaml"))["channels"]
    total = sum(Decimal(channel["total"]) for channel in channels)
    count = sum(channel["intervals"] for channel in channels)
    assert {(channel["first"], channel["last"]) for channel in channels} == {CASES[name][2:]}
    assert (str(total), count) == CASES[name][:2]
