"""Proposals for exports in the languages of Europe: names of columns, months, hours of the clock, totals."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.main import app
from data.ingest.proposals import propose_mapping
from tests.formats.test_suggest_amounts import draw, propose, total

START = datetime.datetime(2025, 3, 11)


def write(header: str, shape: str, *columns: list[Decimal], months: str = "") -> str:
    """Write a row for each hour; `shape` is a time in strptime's letters, with a name for @."""
    lines = [header]
    for n, cells in enumerate(zip(*columns, strict=True)):
        at = START + datetime.timedelta(hours=n)
        time = at.strftime(shape).replace("@", months.split()[at.month - 1] if months else "")
        lines.append(";".join([time, *(str(cell).replace(".", ",") for cell in cells)]))
    return "\n".join([*lines, ""])


@pytest.mark.parametrize(
    "header",
    [
        "Heure;Énergie soutirée (kWh);Énergie injectée (kWh)",
        "Hora;Consumo;Excedente",
        "Tijd;Afname;Teruglevering",
        "Ora;Energia prelevata;Energia immessa",
        "Tid;Købt energi;Solgt energi",
        "Tid;Uttag;Inmatning",
        "Godzina;Energia pobrana;Energia oddana",
        "Data;Consumo registado;Energia injetada",
    ],
)
def test_the_direction_is_found_in_the_language_of_the_sender(tmp_path: Path, header: str) -> None:
    values = draw("in"), draw("out")
    path, proposal = propose(tmp_path, write(header, "%d-%m-%Y %H:%M", *values))
    assert total(path, proposal) == {"import": sum(values[0]), "export": sum(values[1])}


@pytest.mark.parametrize(
    ("months", "shape"),
    [
        ("Jan Feb Mär Apr", "%d. @ %Y %H:%M"),
        ("janv. févr. mars avr.", "%d @ %Y %H:%M"),
        ("ene feb mar abr", "%d-@-%Y %H:%M"),
        ("stycznia lutego marca kwietnia", "%d @ %Y %H:%M"),
        ("januari februari maart april", "%d @ %Y %H:%M"),
    ],
)
def test_the_months_have_names_of_the_language(tmp_path: Path, months: str, shape: str) -> None:
    values = draw("months")
    path, proposal = propose(tmp_path, write("Data;kWh", shape, values, months=months))
    assert total(path, proposal) == {"import": sum(values)}


@pytest.mark.parametrize("shape", ["%d-%m-%y %H:%M", "%d/%m/%Y %H.%M", "%d/%m/%Y %Hh%M", "%y-%m-%d %H:%M"])
def test_short_years_and_other_marks_in_times(tmp_path: Path, shape: str) -> None:
    values = draw("short", 72)
    path, proposal = propose(tmp_path, write("Data;Consumo kWh", shape, values))
    assert "from 2025-03-11T00:00:00Z" in propose_mapping(path, "UTC")
    assert total(path, proposal) == {"import": sum(values)}


@pytest.mark.parametrize(
    "hour",
    [lambda n: f"{n % 24 + 1}", lambda n: f"{n % 24}", lambda n: f"{n % 24:02}-{n % 24 + 1:02}"],
    ids=["from one", "of the clock", "from and to"],
)
@pytest.mark.parametrize("name", ["Ora", "Tijd", "Godzina"])
def test_hours_count_under_any_name(tmp_path: Path, name: str, hour: Callable[[int], str]) -> None:
    values = draw("hours", 72)
    rows = [
        f"{START + datetime.timedelta(hours=n):%d.%m.%Y};{hour(n)};{str(value).replace('.', ',')}"
        for n, value in enumerate(values)
    ]
    path, proposal = propose(tmp_path, "\n".join([f"Data;{name};kWh", *rows, ""]))
    assert "from 2025-03-11T00:00:00Z to 2025-03-13T23:00:00Z, 0 missing" in propose_mapping(path, "UTC")
    assert total(path, proposal) == {"import": sum(values)}


@pytest.mark.parametrize(
    ("name", "actual", "estimated"),
    [("Estado", "Real", "Estimado"), ("Nature", "Réelle", "Estimée"), ("X", "Rzeczywisty", "Szacowany")],
)
def test_an_estimate_is_known_by_its_word(tmp_path: Path, name: str, actual: str, estimated: str) -> None:
    values = draw("words")
    text = write("Data;kWh", "%d/%m/%Y %H:%M", values).replace("\n", f";{actual}\n")
    text = text.replace(f"kWh;{actual}", f"kWh;{name}", 1) + f"11/03/2025 05:00;99;{estimated}\n"
    path, proposal = propose(tmp_path, text)
    assert total(path, proposal) == {"import": sum(values)}


def test_a_total_below_the_table_does_not_turn_the_dates(tmp_path: Path) -> None:
    values = draw("total", 72)
    text = write("Date;kWh", "%d/%m/%Y %H:%M", values).replace("/03/2025", "/05/2025")
    for day in (11, 12, 13):
        text = text.replace(f"{day}/05", f"0{day - 9}/05")
    path, proposal = propose(tmp_path, f"{text}Total;{str(sum(values)).replace('.', ',')}\n")
    assert 'timestamp_format: "%d/%m/%Y %H:%M"' in proposal
    assert total(path, proposal) == {"import": sum(values)}


@pytest.mark.parametrize("mark", [".", ",", "'"])
def test_marks_between_thousands_are_no_decimals(tmp_path: Path, mark: str) -> None:
    values = [Decimal(n) for n in range(985, 1057)]
    text = "Zeit;Wh\n" + "".join(
        f"{START + datetime.timedelta(hours=n):%d.%m.%Y %H:%M};{f'{int(v):,}'.replace(',', mark)}\n"
        for n, v in enumerate(values[::-1][:36] + values[:36])
    )
    path, proposal = propose(tmp_path, text)
    assert total(path, proposal) == {"import": sum(values[:36] + values[::-1][:36])}


def test_units_stand_below_the_names(tmp_path: Path) -> None:
    values = draw("in"), draw("out")
    for names, units in (
        ("Zeit;Bezug;Einspeisung", "[dd.mm.yyyy];[kWh];[kWh]"),
        ("Tid;Uttag;Såld el", ";kWh;kWh"),
    ):
        path, proposal = propose(tmp_path, write(f"{names}\n{units}", "%d.%m.%Y %H:%M", *values))
        assert total(path, proposal) == {"import": sum(values[0]), "export": sum(values[1])}


def test_a_proposal_that_is_not_usable_fails_the_command(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    values = draw("fail", 30)
    for factor, code in ((1, 0), (3, 1)):
        path.write_text(
            write("Date;kWh", "%d.%m.%Y %H:%M", values) + f"Total;{factor * sum(values)}\n".replace(".", ",")
        )
        found = CliRunner().invoke(app, ["inspect", str(path), "--suggest-mapping", "--timezone", "UTC"])
        assert (found.exit_code, "NOT USABLE" in found.stdout) == (code, bool(code))
