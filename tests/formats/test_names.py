"""Names of meters that a person cannot tell apart are not two meters, and a name is not a book."""

from pathlib import Path

import pytest

from data.ingest.formats.names import MAX_NAME
from data.ingest.formats.reading import read_parts

HEADER = "identifier,register,channel,reading_ts,interval_seconds,value,unit,quality,source_version"


def read(folder: Path, *names: str) -> tuple[list[str], dict[str, int], list[str]]:
    """Return the identifiers that are read, the number of rejected rows by rule, and their reasons.

    A name in quotes brings its register with it.
    """
    file = folder / "file.csv"
    rows = [
        (name if name.startswith('"') else f'"{name}",E1')
        + f",import,2026-01-01T{hour:02}:00:00Z,3600,1,kWh,actual,2026-01-02T00:00:00Z"
        for hour, name in enumerate(names)
    ]
    file.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    readings: list[str] = []
    rejected: dict[str, int] = {}
    reasons: list[str] = []
    for part in read_parts(file).parts():
        readings += part.readings["identifier"].to_pylist()
        for row in part.rejected.to_pylist():
            rejected[row["rule"]] = rejected.get(row["rule"], 0) + 1
            reasons.append(row["reason"])
    return readings, rejected, reasons


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("A" * (MAX_NAME + 1), "more than 100"),
        ("A" * 8_000, "8000 letters"),
        ("ME\u200bTER", "U+200B"),
        ("\u202eRETEM", "U+202E"),
        ("METER\ufe0f", "U+FE0F"),
        ("METER\u3164", "U+1160"),
        ("METER\x1b[31m", "U+001B"),
        ("M\u0415TER", "Cyrillic and Latin"),
        ("\u041c\u0415\u0422\u0415\u0420", "Cyrillic letters that look like Latin"),
        ("\u039c\u0395\u03a4\u0395", "Greek letters that look like Latin"),
    ],
)
def test_a_name_that_cannot_be_told_apart_is_rejected(tmp_path: Path, name: str, why: str) -> None:
    readings, rejected, reasons = read(tmp_path, "METER", name)
    assert readings == ["METER"]
    assert rejected == {"ROW-NAME": 1}
    assert why in reasons[0]


def test_compatible_forms_are_one_name(tmp_path: Path) -> None:
    """Wide letters, a ligature of two letters, and an accent of its own."""
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in "METER1")
    readings, rejected, _ = read(tmp_path, "METER1", wide, " METER1 ", "Za\u0308hler", "Z\u00e4hler")
    assert sorted(readings) == ["METER1"] * 3 + ["Z\u00e4hler"] * 2
    assert rejected == {}


@pytest.mark.parametrize(
    "name", ["Zähler 1", "電力メーター", "Счётчик-дом", "ΔΕΗ-ΜΕΤΡΗΤΗΣ", "USP/00-1_2.3:4"]
)
def test_names_of_the_world_are_kept(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, name) == ([name], {}, [])


def test_a_row_with_two_bad_names_is_rejected_once(tmp_path: Path) -> None:
    readings, rejected, _ = read(tmp_path, "METER", f'"{"A" * 200}","\u200bE1"')
    assert (readings, rejected) == (["METER"], {"ROW-NAME": 1})


def test_a_name_as_long_as_a_book_is_not_read(tmp_path: Path) -> None:
    readings, rejected, reasons = read(tmp_path, "METER", "A" * 900_000)
    assert readings == ["METER"]
    assert sum(rejected.values()) == 1
    assert max(map(len, reasons)) < 1000
