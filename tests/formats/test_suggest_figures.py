"""Proposals beside figures that are not the energy of the meter: averages, forecasts, other years, power."""

import datetime
import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from data.ingest.proposals import propose_mapping
from tests.formats.answers import fill_units
from tests.formats.test_suggest_amounts import draw, propose, total, write


@pytest.mark.parametrize(
    "header",
    [
        "Time,Consumption (kWh),Average consumption (kWh)",
        "Zeit,Verbrauch (kWh),Verbrauch Vorjahr (kWh)",
        "Time,Your usage (kWh),Similar homes (kWh)",
        "Time,Actual kWh,Estimated kWh",
        "Time,Usage kWh,Forecast kWh",
        "Time,Consumption 2024 (kWh),Consumption 2023 (kWh)",
        "Time,Energy (kWh),Average power (kW)",
        "Time,Energy (kWh),Power (kW)",
        "Time,Energy (kWh),Price",
    ],
)
def test_a_figure_that_is_not_the_energy_of_the_meter_is_left_out(tmp_path: Path, header: str) -> None:
    path, proposal = propose(tmp_path, write(header, [[*draw("a")], [*draw("b")]]))
    assert f'# left out: "{header.split(",")[2]}"' in proposal
    assert total(path, proposal) == {"import": sum(draw("a"))}


def test_the_same_energy_in_two_units_counts_once(tmp_path: Path) -> None:
    values = draw("u")
    for header, factors in (("Time,Energy (Wh),Energy (kWh)", (1000, 1)), ("Time,kWh,Wh", (1, 1000))):
        columns: list[list[object]] = [[value * factor for value in values] for factor in factors]
        path, proposal = propose(tmp_path, write(header, columns))
        assert "contained in" in proposal
        assert total(path, proposal) == {"import": sum(values) * factors[0]}


@pytest.mark.parametrize("label", ["start", "end"])
@pytest.mark.parametrize("is_descending", [True, False])
def test_the_day_of_25_hours(tmp_path: Path, label: str, is_descending: bool) -> None:
    start = datetime.datetime(2024, 10, 26, 22, tzinfo=datetime.UTC)
    # Summer time ends at 01:00 UTC.
    instants = [start + datetime.timedelta(minutes=15 * (n + (label == "end"))) for n in range(100)]
    turn = datetime.datetime(2024, 10, 27, 1, tzinfo=datetime.UTC)
    walls = [at + datetime.timedelta(hours=2 if at < turn else 1) for at in instants]
    values = draw("dst", 100)
    lines = [f"{at:%d.%m.%Y %H:%M};{str(v).replace('.', ',')}" for at, v in zip(walls, values, strict=True)]
    text = "\n".join(["Zeitpunkt;Energiemenge kWh", *(lines[::-1] if is_descending else lines), ""])
    path, proposal = propose(tmp_path, text)
    assert f"label: {label}" in proposal and ("order: descending" in proposal) == is_descending
    assert total(path, proposal) == {"import": sum(values)}


def test_columns_without_a_direction_stay_open(tmp_path: Path) -> None:
    for header in ("Time,Kitchen (kWh),Garage (kWh)", "Time,A kWh,B kWh"):
        _, proposal = propose(tmp_path, write(header, [[*draw("a")], [*draw("b")]]))
        assert "\nchannel:  # that of all values, or one with each" in proposal


def test_runs_of_a_day_with_short_names(tmp_path: Path) -> None:
    values = {"Imp": draw("i", 24), "Exp": draw("e", 24)}
    header = ["NMI", "Date", *(f"{way} {n}" for way in values for n in range(1, 25))]
    cells = ",".join(str(value) for way in values for value in values[way])
    rows = (f"6000000001,2024-03-{day},{cells}" for day in (14, 15))
    path, proposal = propose(tmp_path, "\n".join([",".join(header), *rows, ""]))
    expected = {"import": 2 * sum(values["Imp"]), "export": 2 * sum(values["Exp"])}
    assert total(path, proposal) == expected and isinstance(sum(values["Imp"]), Decimal)


@pytest.mark.parametrize(
    ("zone", "decimal", "thousands"),
    [
        ("Europe/Amsterdam", ",", None),
        ("Europe/London", None, ","),
        ("America/Chicago", None, ","),
        (None, "open", None),
        ("America/Bogota", "open", None),
    ],
)
def test_a_comma_before_three_digits_in_every_number_follows_the_zone(
    tmp_path: Path, zone: str | None, decimal: str | None, thousands: str | None
) -> None:
    numbers = [day * 1000 + day * 37 % 900 + 100 for day in range(1, 27)]
    # The numbers of the rows are plain, and say nothing of the others.
    rows = [f"{day + 99}\t2024-03-{day:02}\t{number:,}" for day, number in enumerate(numbers, 1)]
    path = tmp_path / "export.txt"
    path.write_text("\n".join(["No.\tDay\tUsage (kWh)", *rows, ""]))
    proposal = propose_mapping(path, zone)
    content = fill_units(yaml.safe_load(proposal))
    assert ("decimal" in content and content["decimal"] is None) == (decimal == "open")
    assert content.get("decimal") == (None if decimal == "open" else decimal)
    assert content.get("thousands") == thousands
    read = sum(numbers) if thousands else Decimal(sum(numbers)) / 1000
    assert f" {read} kWh, 26 intervals" in proposal
    assert bool(re.search("word for the trial in .*decimal", proposal)) == (decimal == "open")
