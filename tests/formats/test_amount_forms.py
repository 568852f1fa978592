"""Amounts in writings that were refused once: signs and units in the cells, and power over any interval.

Each total is a plain sum of what the file was made of.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from data.ingest.proposals import NOT_USABLE
from tests.formats.mapped_csv_text import read, rejections, rows, values
from tests.formats.test_outsiders import add_up, draw, load, name_times, propose

Energy = Sequence[Decimal]


def table(header: str, rows: Sequence[str]) -> str:
    return "\n".join([header, *rows, ""])


def comma(value: object) -> str:
    return str(value).replace(".", ",")


def signed(name: str, count: int) -> list[Decimal]:
    return [value if n % 5 else -value for n, value in enumerate(draw(name, count))]


def split(energy: Energy) -> dict[str, Decimal]:
    above, below = (sum((abs(v) for v in energy if (v > 0) == way), Decimal(0)) for way in (True, False))
    return {"import": above, "export": below}


NET = signed("net", 72)
SIGNS: dict[str, tuple[str, str, Any]] = {
    "brackets, America": (
        "America/Chicago",
        "Date,Net kWh",
        lambda at, v: f"{at:%m/%d/%Y %H:%M},{v if v > 0 else f'({-v})'}",
    ),
    "a minus behind, SAP": (
        "Europe/Vienna",
        "Datum;Zeit;Saldo kWh",
        lambda at, v: f"{at:%d.%m.%Y};{at:%H:%M};{comma(v) if v > 0 else comma(-v) + '-'}",
    ),
    "a typesetter's minus": (
        "Europe/Stockholm",
        "Tid;Netto kWh",
        lambda at, v: f"{at:%Y-%m-%d %H:%M};{comma(v).replace('-', chr(0x2212))}",
    ),
    "brackets with the unit inside": (
        "Australia/Brisbane",
        "Interval;Net energy",
        lambda at, v: f"{at:%d/%m/%Y %H:%M};{f'{v} kWh' if v > 0 else f'({-v} kWh)'}",
    ),
}


@pytest.mark.parametrize("sender", SIGNS)
def test_amounts_below_zero_in_other_writings(tmp_path: Path, sender: str) -> None:
    zone, header, write = SIGNS[sender]
    lines = [write(at, v) for (at, _), v in zip(name_times(zone, "2024-06-03", 60, 72), NET, strict=True)]
    document = load(tmp_path, propose(tmp_path, table(header, lines), zone))
    assert (add_up(document), document["rejected"]) == (split(NET), [])


USED = draw("used", 72)
UNITS: dict[str, tuple[str, Any]] = {
    "kWh, Britain": ("Electricity used", lambda v: f"{v} kWh"),
    "no blank": ("Usage", lambda v: f"{v}kWh"),
    "kWh and Wh": ("Consumption", lambda v: f"{v} kWh" if v >= 1 else f"{v * 1000:.0f} Wh"),
    "the name says kWh, the cells Wh": ("Usage (kWh)", lambda v: f"{v * 1000:.0f} Wh"),
    "MWh": ("Load", lambda v: f"{v / 1000} MWh"),
}


@pytest.mark.parametrize("sender", UNITS)
def test_a_unit_in_each_cell_is_that_of_its_number(tmp_path: Path, sender: str) -> None:
    name, write = UNITS[sender]
    times = name_times("Europe/London", "2024-06-03", 60, 72)
    lines = [f"{at:%d/%m/%Y %H:%M},{write(v)}" for (at, _), v in zip(times, USED, strict=True)]
    document = load(tmp_path, propose(tmp_path, table(f"Start,{name}", lines), "Europe/London"))
    assert (add_up(document), document["rejected"]) == ({"import": sum(USED)}, [])


def test_a_power_in_each_cell_is_read_as_energy(tmp_path: Path) -> None:
    times = name_times("Europe/Madrid", "2024-06-03", 15, 96)
    powers = draw("power", 96)
    lines = [
        f"{at:%Y-%m-%d %H:%M};{v * 1000:.0f} W" if n % 3 else f"{at:%Y-%m-%d %H:%M};{comma(v)} kW"
        for n, ((at, _), v) in enumerate(zip(times, powers, strict=True))
    ]
    proposal = propose(tmp_path, table("Hora;Consumo", lines), "Europe/Madrid")
    assert NOT_USABLE not in proposal
    document = load(tmp_path, proposal)
    assert add_up(document) == {"import": sum(powers) / 4}


def test_a_cell_of_another_kind_is_rejected(tmp_path: Path) -> None:
    texts = ["1.5 kWh", "2 m3", "3 A", "4 kW", "5.-", "6 kvarh", "7 kWh"]
    lines = [f"M,2024-01-01 {n:02}:00,{text}" for n, text in enumerate(texts)]
    parsed = read(tmp_path, rows(*lines))
    assert values(parsed) == [Decimal("1.5"), 7]
    assert rejections(parsed) == [(line, "ROW-VALUE") for line in range(3, 8)]


def test_a_decimal_is_no_number_with_thousands(tmp_path: Path) -> None:
    lines = [f"M;2024-01-01 00:{n:02};{text}" for n, text in ((0, "1.904"), (30, "0.904"))]
    text = rows(*lines, header="meter;time;kWh")
    parsed = read(tmp_path, text, decimal=",", thousands=".", delimiter=";")
    assert (values(parsed), rejections(parsed)) == ([1904], [(3, "ROW-VALUE")])


POWERS = {
    "W by 5 minutes": (5, "PV Power (W)", Fraction(1, 12_000), "generation"),
    "kW by 5 minutes": (5, "Load kW", Fraction(1, 12), "import"),
    "kW by 10 minutes": (10, "Leistung Bezug [kW]", Fraction(1, 6), "import"),
    "W by 20 minutes": (20, "Consumption (W)", Fraction(1, 3_000), "import"),
    "MW by a minute": (1, "Generation MW", Fraction(1000, 60), "generation"),
}


@pytest.mark.parametrize("sender", POWERS)
def test_power_over_any_interval_is_energy(tmp_path: Path, sender: str) -> None:
    minutes, name, hours, channel = POWERS[sender]
    powers = draw(sender, 288, places=0 if "(W)" in name else 3)
    times = name_times("Etc/GMT", "2024-06-03", minutes, 288)
    lines = [f"{at:%Y-%m-%d %H:%M};{v}" for (at, _), v in zip(times, powers, strict=True)]
    document = load(tmp_path, propose(tmp_path, table(f"Time;{name}", lines), "Etc/GMT"))
    found = add_up(document)[channel]
    # Each energy is rounded to a millionth of its unit, or less.
    rounding = Fraction(288, 2) / (10**6 if "MW" in name else 10**9)
    assert abs(Fraction(found) - sum(map(Fraction, powers)) * hours) <= rounding
    assert document["rejected"] == []
