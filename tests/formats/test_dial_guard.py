"""Reads of a dial where a file should have energy are never loaded, in any format; energy is."""

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.formats import container
from data.ingest.formats.registry import FORMATS
from data.ingest.inspect import inspect
from tests.formats.example import DAY
from tests.formats.gallery import declare_example, write_example
from tests.formats.mapped_csv_text import READING, mapping, rows

# Their files hold reads, and the energy lies between them.
OF_READS = ("nem13", "dsmr")
FORMATS_OF_ENERGY = [name for name in FORMATS if name not in OF_READS]
Values = list[Decimal]


def draw_energy(count: int, seed: str = "house", most: int = 400) -> Values:
    chance = random.Random(seed)
    return [Decimal(chance.randrange(1, most)) / 1000 for _ in range(count)]


def run_up(start: str, steps: Values) -> Values:
    found, total = [], Decimal(start)
    for step in steps:
        total += step
        found.append(total)
    return found


def draw_sun(count: int) -> Values:
    """Energy of the sun: nothing at night, up in the morning, down in the afternoon."""
    chance = random.Random("sun")
    found = []
    for n in range(count):
        height = max(0, min(n % DAY - DAY // 4, 3 * DAY // 4 - n % DAY))
        found.append(Decimal(height * chance.randrange(60, 100)) / 1000)
    return found


def count_day(energy: Values, rows: int = DAY) -> Values:
    """Reads of a counter that begins each day at zero, or after so many rows."""
    found: Values = []
    for n, value in enumerate(energy):
        found.append(value + (found[-1] if n % rows else Decimal(0)))
    return found


DIALS: dict[str, Callable[[], Values]] = {
    "large dial": lambda: run_up("20733874", draw_energy(DAY)),
    "equal steps": lambda: [Decimal("8350.25") + Decimal(n) / 2 for n in range(DAY)],
    "whole kWh, seldom": lambda: [Decimal(4711 + n * 5 // DAY) for n in range(2 * DAY)],
    "small dial": lambda: run_up("60", draw_energy(2 * DAY)),
    "new dial": lambda: run_up("0", draw_energy(4 * DAY)),
    "exchanged": lambda: [*run_up("20733", draw_energy(2 * DAY)), *run_up("12", draw_energy(2 * DAY, "new"))],
    "a zero for a missing read": lambda: [
        value if n % 7 else Decimal(0) for n, value in enumerate(run_up("8350", draw_energy(2 * DAY)))
    ],
    "a dial from the third day on": lambda: [
        *draw_energy(2 * DAY, most=9000),
        *run_up("4000", draw_energy(2 * DAY)),
    ],
    "counter of the day": lambda: count_day(draw_sun(4 * DAY)),
    "counter of two days": lambda: count_day(draw_energy(4 * DAY), 2 * DAY),
    "two days of a new dial": lambda: run_up("0", draw_energy(2 * DAY)),
    "a dial that stands still": lambda: [Decimal("23341.2")] * 2 * DAY,
}
ENERGY: dict[str, Callable[[], Values]] = {
    "baseload": lambda: [Decimal("0.050")] * 2 * DAY,
    "large baseload": lambda: [Decimal(500)] * 4 * DAY,
    "baseload of two sizes": lambda: [Decimal("500.5") + (n // 7) % 2 for n in range(2 * DAY)],
    "baseload with noise": lambda: [Decimal(5) + Decimal(n * 7 % 11) / 10**6 for n in range(2 * DAY)],
    "baseload that goes up a little": lambda: [Decimal(100 + 5 * n // DAY) for n in range(DAY // 2)],
    "baseload of five digits": lambda: [Decimal("1000.5")] * 2 * DAY,
    "numbers and one that is wrong": lambda: [Decimal(n if n != 30 else 45) / 100 for n in range(2 * DAY)],
    "zeros": lambda: [Decimal(0)] * 2 * DAY,
    "a morning": lambda: run_up("0", draw_energy(DAY // 2)),
    "a day that rises": lambda: [Decimal(n) / 8 for n in range(DAY)],
    "days that rise": lambda: [Decimal(n % DAY) / 8 for n in range(4 * DAY)],
    "numbers": lambda: [Decimal(100 + n) for n in range(DAY)],
    "sun": lambda: draw_sun(4 * DAY),
    "sun until noon": lambda: draw_sun(2 * DAY)[: DAY + DAY // 2],
    "house": lambda: draw_energy(4 * DAY),
    "factory": lambda: [1000 + value for value in draw_energy(4 * DAY)],
}


def inspect_example(folder: Path, format: str, values: Values) -> dict[str, Any]:
    path = folder / "file"
    path.write_bytes(write_example(format, values))
    return inspect(path, mapping=declare_example(format))


@pytest.mark.parametrize("name", DIALS)
@pytest.mark.parametrize("format", FORMATS_OF_ENERGY)
def test_reads_of_a_dial_are_no_energy(tmp_path: Path, format: str, name: str) -> None:
    values = DIALS[name]()
    document = inspect_example(tmp_path, format, values)
    assert document["status"] == "refused" and not document["channels"]
    refusal = document["refusal"]
    assert refusal["line"] > 0 and refusal["remedy"]
    if format.startswith("mapped"):
        assert refusal["rule"] == "MAP-DIAL" and "cumulative: true" in refusal["remedy"]
    else:
        assert refusal["rule"] == "ROW-CUMULATIVE" and "reads of a dial" in refusal["reason"]
        assert document["rejected"][0]["count"] == len(values)


@pytest.mark.parametrize("name", ENERGY)
@pytest.mark.parametrize("format", FORMATS_OF_ENERGY)
def test_energy_is_no_dial(tmp_path: Path, format: str, name: str) -> None:
    values = ENERGY[name]()
    if format in ("asexml", "nem12") and len(values) % DAY:
        pytest.skip("these formats have whole days")
    document = inspect_example(tmp_path, format, values)
    assert document["rejected"] == []
    (channel,) = document["channels"]
    assert Decimal(channel["total"]) == sum(values)


def test_one_register_with_reads_is_quarantined_and_the_others_are_read(tmp_path: Path) -> None:
    """A file of many meters is not lost for one of them."""
    energy, reads = draw_energy(DAY), run_up("9000", draw_energy(DAY))
    header, *of_house = write_example("nem12", energy).decode().splitlines()[:-1]
    of_dial = write_example("nem12", reads).decode().replace(",E1,", ",E2,").splitlines()[1:]
    path = tmp_path / "file"
    path.write_text("\n".join([header, *of_house, *of_dial, ""]))
    document = inspect(path)
    (channel,) = document["channels"]
    assert (channel["register"], Decimal(channel["total"])) == ("E1", sum(energy))
    assert [(row["count"], row["first_line"]) for row in document["rejected"]] == [(DAY, 5)]


@pytest.mark.parametrize("order", ["oldest first", "newest first", "meters in turn"])
def test_a_dial_behind_many_blocks_is_seen(
    tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "READ_BYTES", 1 << 11)
    energy, reads = draw_energy(20 * DAY), run_up("5120", draw_energy(10 * DAY))
    lines = [
        f"M,2024-01-{1 + n // DAY:02} {n % DAY * 24 // DAY:02}:{n % DAY * 1440 // DAY % 60:02},{value}"
        for n, value in enumerate([*energy, *reads])
    ]
    if order == "newest first":
        lines = lines[::-1]
    elif order == "meters in turn":
        lines = [line for own in lines for line in (own, f"N{own[1:].rpartition(',')[0]},0.5")]
    path = tmp_path / "file"
    path.write_text(rows(*lines))
    declared = mapping(READING, interval_minutes=1440 // DAY, order="descending" if order[0] == "n" else None)
    refusal = inspect(path, mapping=declared)["refusal"]
    assert refusal["rule"] == "MAP-DIAL" and "register 'kWh' of 'M'" in refusal["reason"]
