"""Registers that count the same energy twice are refused under a mapping, however the file lays them out."""

import datetime
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import read_file
from tests.formats.mapped_csv_text import READING, mapping, rows

START = datetime.datetime(2024, 1, 1)
COUNT = 120
Parts = tuple[Decimal, Decimal]


def draw() -> list[Parts]:
    chance = random.Random("registers")
    return [
        (Decimal(chance.randrange(900)) / 1000, Decimal(chance.randrange(900)) / 1000) for _ in range(COUNT)
    ]


def name_times() -> list[str]:
    return [f"{START + datetime.timedelta(minutes=30 * n):%Y-%m-%d %H:%M}" for n in range(COUNT)]


def write_rows(total: Callable[[int, Decimal, Decimal], object]) -> str:
    """Write a row for each register."""
    lines = [
        f"{meter},{at},{register},{value}"
        for n, (at, (day, night)) in enumerate(zip(name_times(), draw(), strict=True))
        for meter in ("M", "N")
        for register, value in (("Day", day), ("Night", night), ("Total", total(n, day, night)))
    ]
    return rows(*lines, header="meter,time,register,kWh")


def write_dials(*, with_total: bool) -> str:
    """Write a column for each dial."""
    lines, reads = [], [Decimal(20), Decimal(7133)]
    for at, parts in zip(name_times(), draw(), strict=True):
        reads = [read + part for read, part in zip(reads, parts, strict=True)]
        lines.append(f"M,{at},{reads[0]},{reads[1]}" + f",{sum(reads)}" * with_total)
    return rows(*lines, header="meter,time,T1,T2" + ",T" * with_total)


def read(folder: Path, text: str, **fields: Any) -> Decimal:
    path = folder / "export.csv"
    path.write_text(text)
    parsed = read_file(path, mapping=mapping(READING, **fields))
    return sum((value or Decimal(0) for value in parsed.readings["value"].to_pylist()), Decimal(0))


LONG: dict[str, Any] = {
    "columns": {"identifier": "meter", "timestamp": "time", "register": "register"},
    "values": [{"column": "kWh", "unit": "kWh"}],
}


def test_a_total_in_rows_of_registers_is_refused(tmp_path: Path) -> None:
    text = write_rows(lambda n, day, night: day + night)
    words = {"Day": "import", "Night": "import", "Total": "import"}
    with pytest.raises(RefusedFile, match="'Total' is the sum of 'Day' and 'Night'") as refusal:
        read(tmp_path, text, **LONG, channels=words)
    assert (refusal.value.rule, refusal.value.line) == ("MAP-SUM", 4)
    energy = 2 * sum(map(sum, draw()))
    assert read(tmp_path, text, **LONG, channels=words | {"Total": "other"}) == 2 * energy


def test_a_total_that_begins_later_is_refused(tmp_path: Path) -> None:
    text = write_rows(lambda n, day, night: day + night if n >= 60 else "")
    with pytest.raises(RefusedFile, match="MAP-SUM"):
        read(tmp_path, text, **LONG, channels={"Day": "import", "Night": "import", "Total": "import"})


def test_registers_that_do_not_add_up_are_read(tmp_path: Path) -> None:
    text = write_rows(lambda n, day, night: Decimal(n % 7) / 8)
    words = {"Day": "import", "Night": "import", "Total": "import"}
    expected = 2 * (sum(map(sum, draw())) + sum(Decimal(n % 7) / 8 for n in range(COUNT)))
    assert read(tmp_path, text, **LONG, channels=words) == expected


def test_dials_of_tariffs_beside_the_dial_of_both_are_refused(tmp_path: Path) -> None:
    def declare(*names: str) -> dict[str, Any]:
        dial = {"channel": "import", "unit": "kWh", "cumulative": True}
        return {"values": [dial | {"column": name} for name in names], "label": None}

    with pytest.raises(RefusedFile, match="'T' is the sum of 'T1' and 'T2'"):
        read(tmp_path, write_dials(with_total=True), **declare("T1", "T2", "T"))
    parts = draw()[1:]
    for text in (write_dials(with_total=True), write_dials(with_total=False)):
        assert read(tmp_path, text, **declare("T1", "T2")) == sum(map(sum, parts))


def test_the_same_energy_in_two_units_is_refused(tmp_path: Path) -> None:
    lines = [f"M,{at},{day},{day * 1000}" for at, (day, _) in zip(name_times(), draw(), strict=True)]
    text = rows(*lines, header="meter,time,kWh,Wh")
    values = [{"column": name, "channel": "import", "unit": name} for name in ("kWh", "Wh")]
    with pytest.raises(RefusedFile, match="is the same as"):
        read(tmp_path, text, values=values)


def write_nem12(
    registers: dict[str, list[Decimal]], meters: tuple[str, ...] = ("4100000001", "4100000002")
) -> str:
    """Write half-hours of 2.5 days, rounded up to whole days of zeros."""
    lines = ["100,NEM12,202401100000,SENDER,READER"]
    for meter in meters:
        for name, numbers in registers.items():
            lines.append(f"200,{meter},{''.join(registers)},{name},{name},N1,{name},KWH,30,")
            full = [*numbers, *[Decimal(0)] * (-len(numbers) % 48)]
            for day in range(len(full) // 48):
                cells = ",".join(map(str, full[48 * day : 48 * (day + 1)]))
                lines.append(f"300,202401{day + 1:02},{cells},A,,,20240110000000,")
    return "\n".join([*lines, "900", ""])


def write_canonical(registers: dict[str, list[Decimal]]) -> str:
    header = "identifier,register,channel,unit,reading_ts,interval_seconds,value,quality,source_version"
    lines = [
        f"{meter},{name},import,kWh,{at.replace(' ', 'T')}:00Z,1800,{number},actual,2024-01-10T00:00:00Z"
        for meter in ("M", "N")
        for name, numbers in registers.items()
        for at, number in zip(name_times(), numbers, strict=True)
    ]
    return "\n".join([header, *lines, ""])


@pytest.mark.parametrize("write", [write_nem12, write_canonical])
def test_a_total_in_a_format_without_a_mapping_is_rejected_and_its_parts_are_kept(
    tmp_path: Path, write: Callable[[dict[str, list[Decimal]]], str]
) -> None:
    day, night = (list(part) for part in zip(*draw(), strict=True))
    total = [sum(pair) for pair in zip(day, night, strict=True)]
    path = tmp_path / "meters.csv"
    path.write_text(write({"E1": day, "E2": night, "E3": total}))
    parsed = read_file(path)
    assert set(parsed.readings["register"].to_pylist()) == {"E1", "E2"}
    assert sum(value for value in parsed.readings["value"].to_pylist()) == 2 * sum(total)
    assert set(parsed.rejected["rule"].to_pylist()) == {"ROW-SUM"}
    reason = parsed.rejected["reason"][0].as_py()
    assert reason.startswith("the register counts what others count: 'E3' is the sum of 'E1' and 'E2'")

    path.write_text(write({"E1": day, "E2": night}))
    assert read_file(path).rejected.num_rows == 0


@pytest.mark.parametrize("write", [write_nem12, write_canonical])
def test_of_equal_registers_without_a_mapping_the_first_one_counts(
    tmp_path: Path, write: Callable[[dict[str, list[Decimal]]], str]
) -> None:
    """A meter and its check meter count one energy; no two loads agree for a dozen different values."""
    day, night = (list(part) for part in zip(*draw(), strict=True))
    path = tmp_path / "meters.csv"
    path.write_text(write({"E1": day, "E2": night, "E3": day, "E4": day}))
    parsed = read_file(path)
    assert set(parsed.readings["register"].to_pylist()) == {"E1", "E2"}
    assert sum(value for value in parsed.readings["value"].to_pylist()) == 2 * sum(day + night)
    assert {*zip(*(parsed.rejected[name].to_pylist() for name in ("register", "rule")), strict=True)} == {
        ("E3", "ROW-SUM"),
        ("E4", "ROW-SUM"),
    }
    assert "'E3' is the same as 'E1'" in parsed.rejected["reason"][0].as_py()


@pytest.mark.parametrize("values", ["0.5", "0"])
def test_constant_loads_are_not_the_same_register(tmp_path: Path, values: str) -> None:
    path = tmp_path / "meters.csv"
    path.write_text(write_canonical({"E1": [Decimal(values)] * COUNT, "E2": [Decimal(values)] * COUNT}))
    assert read_file(path).rejected.num_rows == 0
