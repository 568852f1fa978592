"""Texts of files on a terminal, in tables and in CSV: shown, never obeyed."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands import console
from commands.main import app
from commands.views import show_what_is_held
from data.ingest.validation.acceptances import HeldDay

# Ends a markup tag; changes the title and the colour of a terminal; turns the line around; names a picture.
HOSTILE = "[/nope]\x1b]0;owned\x07\x1b[31m\u202eevil\u200b :x: \x00\x9b2J"
SHOWN = r"[/nope]\x1b]0;owned\x07\x1b[31m\u202eevil\u200b :x: \x00\x9b2J"
HEADER = "identifier,register,channel,reading_ts,interval_seconds,value,unit,quality,source_version"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    for name in ("out", "err"):
        monkeypatch.setattr(console, name, console.PlainConsole(file=text, width=200, emoji=False))
    return text


def test_control_characters_are_written_out(printed: io.StringIO) -> None:
    console.print_table(HOSTILE, [{"meter": HOSTILE, "kwh": 1}])
    console.print_table(HOSTILE, [])
    console.print_error("refused", HOSTILE)
    console.show_progress(HOSTILE)
    console.err.print(HOSTILE, markup=False)
    assert printed.getvalue().count(SHOWN) == 6
    assert all(letter.isprintable() or letter == "\n" for letter in printed.getvalue())


def test_ordinary_text_is_left_as_it_is() -> None:
    for text in ("Zähler 1, Straße", "電力メーター", "line 1\nline 2", "a\u00a0b"):
        assert console.show_text(text) == text


def test_a_row_of_many_columns_is_a_block(printed: io.StringIO) -> None:
    """27 columns of four letters each told nobody anything."""
    row: dict[str, object] = {f"a_column_{number}": Decimal("13.834000000") for number in range(27)}
    console.print_table("2 rows", [row | {"name": HOSTILE}, row | {"name": None}])
    lines = printed.getvalue().splitlines()
    assert "1 of 2" in lines and "2 of 2" in lines
    assert len([line for line in lines if line.split()[-1:] == ["13.834"]]) == 54
    assert all(f"a_column_{number} " in printed.getvalue() for number in range(27))
    assert SHOWN in printed.getvalue()


def test_a_table_that_fits_stays_one(printed: io.StringIO) -> None:
    console.print_table("2 rows", [{f"c{number}": "a word or two" for number in range(12)}])
    assert "┏" in printed.getvalue()


@pytest.mark.parametrize(
    ("number", "shown"),
    [("48.50", "48.50"), ("9.000", "9.000"), ("13.834000000", "13.834"), ("0E-9", "0"), ("1E+3", "1000"),
     ("NaN", "NaN")],
)  # fmt: skip
def test_a_number_is_plain(printed: io.StringIO, number: str, shown: str) -> None:
    console.print_table("", [{"n": Decimal(number)}])
    assert f" {shown} " in printed.getvalue()


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1"])
def test_a_cell_of_csv_is_no_formula(cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.print_csv([{"name": cell, "number": -1.5}])
    ((name, number),) = list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:]
    assert name.startswith("'")
    assert number == "-1.5"


def test_a_run_names_the_meters_that_are_not_in_its_figures(printed: io.StringIO) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    held = [
        HeldDay("i", "T", "P", meter, "import", date(2026, 1, 1), "VEE-BOUND", "", now)
        for meter in ("M2", "M1", "M1")
    ]
    show_what_is_held(held)
    assert (
        "3 dates of 2 meters are held back by a severe issue (M1, M2): `myproperty pending`"
        in printed.getvalue()
    )
    show_what_is_held([])
    assert printed.getvalue().count("held back") == 1


def test_inspect_shows_a_hostile_file(tmp_path: Path) -> None:
    file = tmp_path / "[bold]\x1b[31m[.csv"
    rows = [
        f'"{HOSTILE}",E1,import,2026-01-01T0{hour}:00:00Z,3600,1,kWh,actual,2026-01-02T00:00:00Z'
        for hour in range(3)
    ]
    file.write_text("\n".join([HEADER, *rows, ""]))
    shown = CliRunner().invoke(app, ["inspect", str(file)])
    assert shown.exception is None or isinstance(shown.exception, SystemExit), shown.exception
    assert "\x1b" not in shown.output
    assert "\u202e" not in shown.output
