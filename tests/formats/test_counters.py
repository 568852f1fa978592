"""Counters that begin again every few hours are no energy, and energy is no such counter."""

import datetime
import itertools
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import yaml

from data.ingest.formats.counters import Totals
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.inspect import inspect
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.mapped_csv_text import READING, mapping, rows

UTC = datetime.UTC
Values = list[Decimal]
START = datetime.datetime(2024, 6, 3)


def test_amounts_are_added_to_the_totals_of_their_places() -> None:
    chance = np.random.default_rng(3)
    at = np.sort(chance.integers(0, 50, 400))
    amounts, total, most = chance.random(400), np.zeros(60), np.full(60, 0.5)
    expected, largest = total.copy(), most.copy()
    np.add.at(expected, at, amounts)
    np.maximum.at(largest, at, amounts)
    Totals(at).add(total, amounts)
    Totals(at).raise_to(most, amounts)
    assert np.allclose(total, expected)
    assert (most == largest).all()
    Totals(at[:0]).add(total, amounts[:0])
    assert np.allclose(total, expected)


def draw(count: int, seed: str = "house", least: int = 20) -> Values:
    chance = random.Random(seed)
    return [Decimal(chance.randrange(least, 900)) / 1000 for _ in range(count)]


def count_up(energy: Values, every: int) -> Values:
    """Return what a counter shows at the end of each row that begins again after so many rows."""
    found: Values = []
    for number, value in enumerate(energy):
        found.append(value + (found[-1] if number % every else Decimal(0)))
    return found


def write(values: Values, minutes: int, *, skip: int | None = None) -> str:
    lines = [
        f"M,{START + datetime.timedelta(minutes=minutes * number):%Y-%m-%d %H:%M},{value}"
        for number, value in enumerate(values)
        if number != skip
    ]
    return rows(*lines)


@pytest.mark.parametrize(
    ("minutes", "every", "days"),
    [
        (60, 4, 2),
        (60, 6, 2),
        (60, 3, 2),
        (60, 8, 3),
        (60, 12, 3),
        (30, 8, 1),
        (15, 4, 1),
        (60, 2, 4),
        (180, 8, 4),
    ],
)
def test_a_counter_of_some_hours_is_no_energy(tmp_path: Path, minutes: int, every: int, days: int) -> None:
    energy = draw(days * 1440 // minutes)
    path = tmp_path / "export.csv"
    path.write_text(write(count_up(energy, every), minutes))
    declared = mapping(READING, interval_minutes=minutes, timezone="Etc/GMT")
    refusal = inspect(path, mapping=declared)["refusal"]
    assert refusal["rule"] == "MAP-DIAL" and "begin again" in refusal["reason"]


def test_a_counter_of_the_week_is_no_energy(tmp_path: Path) -> None:
    text = write(count_up(draw(35), 7), 1440)
    path = tmp_path / "export.csv"
    path.write_text(text)
    fields = {"interval_minutes": 1440, "timezone": "Etc/GMT"}
    assert inspect(path, mapping=mapping(READING, **fields))["refusal"]["rule"] == "MAP-DIAL"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("every", [3, 4, 6])
def test_a_proposal_takes_the_counter_for_what_it_is(tmp_path: Path, every: int, zone: str) -> None:
    energy = draw(24 * 4)
    path = tmp_path / "export.csv"
    path.write_text(write(count_up(energy, every), 60, skip=25))
    proposal = propose_mapping(path, zone)
    assert NOT_USABLE not in proposal
    content = yaml.safe_load(proposal)
    (value,) = content["values"]
    assert (value["cumulative"], value["resets"]) == (True, "to_zero")
    (channel,) = inspect(path, mapping=parse_mapping(content, "counter"))["channels"]
    # The energy of the missing row is in the row behind it.
    assert Decimal(channel["total"]) == sum(energy[1:])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"resets": None}, "it needs resets: to_zero"),
        ({"every_hours": 5}, "1, 2, 3, 4, 6, 8, 12 or 24"),
    ],
)
def test_the_hours_of_a_counter_belong_to_its_resets(fields: dict[str, object], words: str) -> None:
    counter = {"column": "kWh", "channel": "import", "unit": "kWh", "cumulative": True} | {
        "resets": "to_zero",
        "every_hours": 4,
    }
    value = {name: content for name, content in (counter | fields).items() if content is not None}
    with pytest.raises(MappingError, match=words):
        mapping(READING, values=[value])


@pytest.mark.parametrize("changes", [{"label": None}, {"timezone": None, "timestamp_format": "iso8601"}])
def test_the_hours_of_a_counter_are_local(changes: dict[str, object]) -> None:
    counter = {"column": "kWh", "channel": "import", "unit": "kWh", "cumulative": True}
    with pytest.raises(MappingError, match="every_hours counts on the local clock"):
        mapping(READING, values=[counter | {"resets": "to_zero", "every_hours": 4}], **changes)


def test_a_counter_begins_again_without_a_fall(tmp_path: Path) -> None:
    """Little use before four o'clock and much behind it look like a rise."""
    shown = ["0.1", "0.2", "0.3", "0.4", "0.9", "1.0", "1.1", "1.2", "0.5"]
    path = tmp_path / "export.csv"
    path.write_text(write([Decimal(value) for value in shown], 60))
    counter = {"column": "kWh", "channel": "import", "unit": "kWh", "cumulative": True, "resets": "to_zero"}
    fields = {"timezone": "Etc/GMT", "interval_minutes": 60, "label": "start"}
    for hours, total in ((None, "1.6"), (4, "2.0")):
        value = counter | ({"every_hours": hours} if hours else {})
        (channel,) = inspect(path, mapping=mapping(READING, values=[value], **fields))["channels"]
        assert Decimal(channel["total"]) == Decimal(total)


def test_a_change_of_the_clocks_hides_no_counter(tmp_path: Path) -> None:
    """Resets follow the clock of the wall, so one of them is an hour off."""
    start = datetime.datetime(2024, 10, 24, tzinfo=UTC)
    stamps = [f"{start + datetime.timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ}" for n in range(24 * 6)]
    hours = [n % 24 if n < 72 else (n - 1) % 24 for n in range(24 * 6)]
    shown: Values = []
    for hour, value in zip(hours, draw(24 * 6), strict=True):
        shown.append(value if hour % 4 == 0 or not shown else shown[-1] + value)
    path = tmp_path / "export.csv"
    path.write_text(rows(*(f"M,{at},{value}" for at, value in zip(stamps, shown, strict=True))))
    declared = mapping(READING, interval_minutes=60, timezone=None, timestamp_format="iso8601")
    assert inspect(path, mapping=declared)["refusal"]["rule"] == "MAP-DIAL"


def cycle(*shape: int, days: int = 4, minutes: int = 60) -> Callable[[], Values]:
    """Return use that repeats a shape, with some noise."""

    def make() -> Values:
        noise = draw(days * 1440 // minutes, "noise", 1)
        return [Decimal(part) / 10 + own / 50 for part, own in zip(itertools.cycle(shape), noise)]

    return make


ENERGY: dict[str, tuple[int, Callable[[], Values]]] = {
    "use at random": (60, lambda: draw(24 * 30)),
    "a heater every second hour": (60, cycle(1, 12, days=6)),
    "a heater every fourth quarter": (15, cycle(1, 1, 1, 14, minutes=15)),
    "a morning and an evening": (
        60,
        cycle(1, 1, 1, 1, 2, 4, 6, 5, 3, 2, 2, 2, 3, 2, 2, 2, 3, 5, 8, 7, 6, 4, 2, 1),
    ),
    "day and night": (720, cycle(3, 6, days=40, minutes=720)),
    "three tariffs of a day": (480, cycle(2, 4, 6, days=40, minutes=480)),
    "days of the week": (1440, cycle(5, 5, 5, 5, 6, 8, 9, days=70, minutes=1440)),
    "numbers": (60, lambda: [Decimal(n % 4 + 1) / 4 for n in range(24 * 5)]),
    "a large load that moves a little": (60, lambda: [5 + value / 10 for value in count_up(draw(24 * 4), 4)]),
}


@pytest.mark.parametrize("name", ENERGY)
def test_energy_is_no_counter(tmp_path: Path, name: str) -> None:
    minutes, make = ENERGY[name]
    values = make()
    path = tmp_path / "export.csv"
    path.write_text(write(values, minutes))
    document = inspect(path, mapping=mapping(READING, interval_minutes=minutes, timezone="Etc/GMT"))
    (channel,) = document["channels"]
    assert Decimal(channel["total"]) == sum(values)


def test_energy_over_gaps_of_a_dial_is_no_counter(tmp_path: Path) -> None:
    """Where a read is missing the difference is larger than those around it."""
    steps = [Decimal(n) / 8 for n in range(1, 33)]
    reads = [sum(steps[: n + 1], Decimal(5)) for n in range(32)]
    lines = [
        f"M,{START + datetime.timedelta(hours=n):%Y-%m-%d %H:%M},{read}"
        for n, read in enumerate(reads)
        if n % 8 != 5
    ]
    dial = {"column": "kWh", "channel": "import", "unit": "kWh", "cumulative": True}
    path = tmp_path / "export.csv"
    path.write_text(rows(*lines))
    declared = mapping(READING, values=[dial], label=None, interval_minutes=60, timezone="Etc/GMT")
    (channel,) = inspect(path, mapping=declared)["channels"]
    assert Decimal(channel["total"]) == sum(steps[1:])


# Drawn at random, one of twenty thousand days: their few falls are full periods apart.
CHANCE = {
    "hours": (
        60,
        "202 651 687 44 93 234 916 711 834 30 651 343 692 190 330 635 677 436 439 300 525 705 793 956",
    ),
    "three hours, slowly": (
        180,
        "389 294 334 346 580 724 1071 1105 2606 2673 2683 3141 3566 4466 6501 5140 8183 4688 8688 6344 12657"
        " 4333 4974 4455",
    ),
}


@pytest.mark.parametrize("kind", CHANCE)
def test_falls_at_full_periods_by_chance_are_no_counter(tmp_path: Path, kind: str) -> None:
    minutes, texts = CHANCE[kind]
    values = [Decimal(text) / 1000 for text in texts.split()]
    (tmp_path / "export.csv").write_text(write(values, minutes))
    fields = mapping(READING, interval_minutes=minutes, timezone="Etc/GMT")
    (channel,) = inspect(tmp_path / "export.csv", mapping=fields)["channels"]
    assert Decimal(channel["total"]) == sum(values)
