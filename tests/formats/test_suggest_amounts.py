"""Proposals for columns that are not plain energy: dials, sums, other rhythms, signs, noise, other media.

Each export is read by its proposal, with at most the meter filled in, and its totals are plain sums.
"""

import itertools
import random
import re
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.formats.file_mappings import MappingError, load_mapping
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.reading import read_file
from data.ingest.formats.suggest.proposal import suggest_mapping
from tests.formats.answers import answer_unit

Numbers = list[Decimal]


def draw(seed: str, count: int = 96, scale: int = 1000) -> Numbers:
    chance = random.Random(seed)
    return [Decimal(chance.randrange(1, 900)) / scale for _ in range(count)]


def accumulate(steps: Numbers, first: str) -> Numbers:
    reads = [Decimal(first)]
    for step in steps:
        reads.append(reads[-1] + step)
    return reads


def write(
    header: str, columns: list[list[object]], sep: str = ",", mark: str = ".", minutes: int = 15
) -> str:
    lines = [header]
    for n, cells in enumerate(zip(*columns, strict=True)):
        at = n * minutes
        time = f"2024-03-{1 + at // 1440:02} {at // 60 % 24:02}:{at % 60:02}"
        lines.append(sep.join([time, *(str(cell).replace(".", mark) for cell in cells)]))
    return "\n".join([*lines, ""])


def propose(folder: Path, text: str, zone: str = "Europe/Vienna") -> tuple[Path, str]:
    path = folder / "export.csv"
    path.write_text(text)
    return path, suggest_mapping(path, zone)


def total(path: Path, proposal: str) -> dict[str, Decimal]:
    """Read by the proposal; return the sum of each channel."""
    target = path.with_suffix(".yaml")
    named = re.sub(r"^identifier: +#", "identifier: M1  #", proposal, flags=re.M)
    target.write_text(answer_unit(named))
    mapping = load_mapping(target)
    assert isinstance(mapping, CsvMapping)
    sums: dict[str, Decimal] = {}
    for row in read_file(path, mapping=mapping).readings.to_pylist():
        sums[row["channel"]] = sums.get(row["channel"], Decimal(0)) + (row["value"] or 0)
    return sums


PLATEAUS = [step if n % 4 == 0 else Decimal(0) for n, step in enumerate(draw("plateaus"))]
DAYS = [
    Decimal(0) if n % 24 < 6 else Decimal(min(n % 24, 18) - 6) * Decimal(min(n % 24, 18) - 5) / 8
    for n in range(96)
]


@pytest.mark.parametrize(
    ("header", "reads", "expected"),
    [
        ("Time,kWh.first", accumulate(draw("a"), "28480"), sum(draw("a"))),
        ("time;Zählerstand 1.8.0 (kWh)", accumulate(PLATEAUS, "0.5"), sum(PLATEAUS)),
        ("timestamp,total_increasing import", accumulate(draw("c"), "12"), sum(draw("c"))),
        ("Tijd,Meterstand kWh,Kosten", accumulate(draw("d"), "845.125"), sum(draw("d"))),
        ("Time,Energy (kWh)", accumulate(draw("e"), "9100")[::-1], sum(draw("e"))),
        ("Time,E_today (kWh)", DAYS, 4 * Decimal(12 * 13) / 8),
    ],
)
def test_a_dial_is_proposed_as_a_dial(tmp_path: Path, header: str, reads: Numbers, expected: Decimal) -> None:
    sep = ";" if ";" in header else ","
    empty: list[object] = [""] * len(reads)
    columns: list[list[object]] = [[*reads], *([empty] * (header.count(sep) - 1))]
    text = write(header, columns, sep)
    if reads[0] > reads[-1]:
        first, *lines = text.rstrip().split("\n")
        times = [line.split(sep)[0] for line in reversed(lines)]
        text = "\n".join([first, *(f"{at}{sep}{read}" for at, read in zip(times, reads, strict=True)), ""])
    path, proposal = propose(tmp_path, text)
    assert "cumulative: true" in proposal
    assert sum(total(path, proposal).values()) == expected


def test_a_dial_that_may_be_energy_stays_open(tmp_path: Path) -> None:
    path, proposal = propose(tmp_path, write("Time,Energy (kWh)", [accumulate(PLATEAUS[:60], "0.5")]))  # type: ignore[list-item]
    assert "channel:  # the values only rise" in proposal
    with pytest.raises(MappingError, match="channel"):
        total(path, proposal)


def test_dials_beside_energy_are_left_out(tmp_path: Path) -> None:
    used = draw("used")
    dial = accumulate(used, "7902.5")[1:]
    for header, columns in (
        ("Ablesezeitpunkt;Zaehlerstand 1.8.0;Verbrauch 1.8.0;Status", [dial, used, ["VAL"] * 96]),
        ("read_at;meter reading;usage kWh;meter id", [dial, used, ["77001122"] * 96]),
        ("Tijd;Verbruik (kWh);Stand import (kWh);Teller", [used, dial, [""] * 96]),
    ):
        path, proposal = propose(tmp_path, write(header, columns, ";"))  # type: ignore[arg-type]
        assert re.search(r"# left out: .*reads of a dial", proposal)
        assert "Stand" not in proposal.split("columns:")[1].split("values:")[0]
        assert total(path, proposal) == {"import": sum(used)}


def test_a_sum_stands_for_its_parts(tmp_path: Path) -> None:
    a, b = draw("a"), draw("b")
    both = [x + y for x, y in zip(a, b, strict=True)]
    for header, columns, mark in (
        ("Zeit;Verbrauch (kWh);Restnetzbezug (kWh);Eigendeckung (kWh)", [both, a, b], ","),
        ("Time;Peak kWh;Off-peak kWh;Total consumption kWh", [a, b, both], "."),
        ("Fecha;Activa kWh;Activa copia kWh;Ideeller Anteil (kWh)", [both, both, b], ","),
        ("Time;L1 (kWh);L2 (kWh);All phases (kWh)", [a, b, [round(v, 2) for v in both]], "."),
    ):
        path, proposal = propose(tmp_path, write(header, columns, ";", mark))  # type: ignore[arg-type]
        expected = sum(columns[2]) if "phases" in header else sum(both)
        assert total(path, proposal) == {"import": expected}
        assert "# left out: " in proposal


def test_hours_beside_quarters_are_left_out(tmp_path: Path) -> None:
    quarters = draw("q")
    hours = [sum(quarters[n : n + 4]) if n % 4 == 0 else "" for n in range(96)]
    for header, columns in (
        (
            "Start,Usage,Units,Interval,Usage,Units,Interval",
            [hours, ["kwh" if h else "" for h in hours], ["60"] * 96, quarters, ["kwh"] * 96, ["15"] * 96],
        ),
        ("Time,15 min kWh,hourly kWh", [quarters, hours]),
        ("Zeit,Stunde kWh,Viertelstunde kWh", [hours, quarters]),
    ):
        path, proposal = propose(tmp_path, write(header, columns))  # type: ignore[arg-type]
        assert "60 minutes apart" in proposal
        assert total(path, proposal) == {"import": sum(quarters)}


def test_a_net_column_and_a_turned_column(tmp_path: Path) -> None:
    net = [value - Decimal("0.45") for value in draw("net")]
    imported, exported = (sum(v for v in net if v > 0), -sum(v for v in net if v < 0))
    path, proposal = propose(tmp_path, write("Time,Consumed (kWh)", [net]))  # type: ignore[list-item]
    assert total(path, proposal) == {"import": imported, "export": exported}
    turned = [[-value for value in draw("x")], draw("y")]
    path, proposal = propose(tmp_path, write("Time,Export (kWh),Import (kWh)", turned))  # type: ignore[arg-type]
    assert total(path, proposal) == {"import": sum(draw("y")), "export": sum(draw("x"))}
    path, proposal = propose(tmp_path, write("Time,Einspeisung (kWh)", [net]))  # type: ignore[list-item]
    assert total(path, proposal) == {"export": imported, "import": exported}


@pytest.mark.parametrize("decimals", [2, 3])
def test_noise_is_proposed_to_be_removed(tmp_path: Path, decimals: int) -> None:
    chance = random.Random(decimals)
    reads = [28_000.0]
    for _ in range(96):
        reads.append(round(reads[-1] + chance.random(), decimals))
    noisy = [after - before for before, after in itertools.pairwise(reads)]
    path, proposal = propose(tmp_path, write("Start;Vorschub (kWh)", [[repr(n) for n in noisy]], ";", ","))
    assert f"decimals: {decimals}  # check" in proposal
    assert total(path, proposal) == {"import": sum(round(Decimal(n), decimals) for n in noisy)}


def test_gas_water_and_heat_are_not_electricity(tmp_path: Path) -> None:
    values: list[list[object]] = [[*draw("e")], [*draw("g")]]
    for name in ("Gas", "Wasser", "Agua", "Fernwärme", "Water usage"):
        path, proposal = propose(tmp_path, write(f"Hour Start,Electricity,{name}", values))
        assert "unit:  # gas, water or heat" in proposal
        with pytest.raises(MappingError, match="unit"):
            total(path, proposal)
        filled = proposal.replace("unit:  # gas", "unit: m3  # gas")
        assert total(path, filled) == {"import": sum(draw("e")), "consumption": sum(draw("g"))}


def test_a_column_that_is_empty_or_changes_with_each_row_is_no_meter(tmp_path: Path) -> None:
    for name, cells in (
        ("Meter", [f"{n}" for n in range(96)]),
        ("Meter ID", [""] * 96),
        ("Zählerstand", [f"{7000 + n / 7:.3f}" for n in range(96)]),
        ("Device point", [f"X{n}" for n in range(96)]),
    ):
        _, proposal = propose(tmp_path, write(f"Time,{name},kWh", [[*cells], [*draw("m")]]))
        assert "identifier:  # no column names the meter" in proposal


@pytest.mark.parametrize(
    "above",
    [
        "Meter Number,70000001",
        "MPAN: ,1200000000001",
        "Zählpunkt,AT0090000000000000000000000000123",
        "Serial,x\nMeter No,E-77 12",
    ],
)
def test_a_meter_above_the_table_is_proposed(tmp_path: Path, above: str) -> None:
    text = f"Start Date,03/01/2024\nEnd Date,03/01/2024\n{above}\n,\n" + write("Time,kWh", [[*draw("m")]])
    path, proposal = propose(tmp_path, text)
    assert f'identifier: "{above.rsplit(",", maxsplit=1)[-1]}"  # check' in proposal
    assert total(path, proposal) == {"import": sum(draw("m"))}


@pytest.mark.parametrize(
    ("times", "form"),
    [
        ("{0:02}.03.2024 {1:02}:{2:02} CET", "%d.%m.%Y %H:%M %Z"),
        ("2024-03-{0:02} {1:02}:{2:02}:00 CET+0100", "iso8601"),
        ("{0:02}/03/2024 {1:02}:{2:02}:00 +0100", "%d/%m/%Y %H:%M:%S %z"),
        ("2024-03-{0:02}T{1:02}:{2:02}:00+01:00[Europe/Vienna]", "iso8601"),
    ],
)
def test_times_with_a_zone_need_none(tmp_path: Path, times: str, form: str) -> None:
    text = "Time,kWh\n" + "".join(
        f"{times.format(13 + n // 96, n // 4 % 24, n % 4 * 15)},{value}\n"
        for n, value in enumerate(draw("z"))
    )
    path, proposal = propose(tmp_path, text)
    assert "timezone" not in proposal and form in proposal
    assert total(path, proposal) == {"import": sum(draw("z"))}
    found = read_file(path, mapping=load_mapping(path.with_suffix(".yaml")))
    assert f"{found.readings['reading_ts'][0].as_py():%m-%d %H:%M}" == "03-12 23:00"


def test_registers_with_dials_and_units_as_registers(tmp_path: Path) -> None:
    steps = {"Import": draw("i"), "Export": draw("o")}
    reads = {way: accumulate(of_way, "5000") for way, of_way in steps.items()}
    lines = ["Time,Register,State (kWh)"]
    for n in range(97):
        for way in steps:
            lines.append(f"2024-03-{1 + n // 96:02} {n // 4 % 24:02}:{n % 4 * 15:02},{way},{reads[way][n]}")
    path, proposal = propose(tmp_path, "\n".join([*lines, ""]))
    assert total(path, proposal) == {"import": sum(steps["Import"]), "export": sum(steps["Export"])}
    lines = ["Time,Value,Unit"]
    for n in range(96):
        time = f"2024-03-01 {n // 4:02}:{n % 4 * 15:02}"
        lines += [f"{time},{steps['Import'][n]},kWh", f"{time},{steps['Export'][n]},kvarh"]
    path, proposal = propose(tmp_path, "\n".join([*lines, ""]))
    assert total(path, proposal) == {"import": sum(steps["Import"]), "reactive_import": sum(steps["Export"])}


def test_cells_of_a_day_below_zero(tmp_path: Path) -> None:
    net = [value - Decimal("0.45") for value in draw("net", 24 * 6)]
    lines = ["MPAN,Date," + ",".join(f"{hour:02}:00" for hour in range(24))]
    for day in range(6):
        lines.append(f"1200000000001,{day + 14}/03/2024," + ",".join(map(str, net[day * 24 : day * 24 + 24])))
    path, proposal = propose(tmp_path, "\n".join([*lines, ""]))
    assert total(path, proposal) == {
        "import": sum(v for v in net if v > 0),
        "export": -sum(v for v in net if v < 0),
    }


def test_estimates_and_actual_values_are_one_register(tmp_path: Path) -> None:
    values = draw("a", 48)
    rows = [f"2024-03-01 {n // 2:02}:{n % 2 * 30:02},{value},A" for n, value in enumerate(values)]
    again = [f"2024-03-01 {n // 2:02}:{n % 2 * 30:02},9,E" for n in range(20)]
    path, proposal = propose(tmp_path, "\n".join(["start,kwh,flag", *rows, *again, ""]))
    assert total(path, proposal) == {"import": sum(values)}


@pytest.mark.parametrize(
    ("header", "channels"),
    [
        ("Time,Consumption (kWh),Import (kWh)", ["consumption", "import"]),
        ("Zeit,Verbrauch kWh,Netzbezug kWh", ["consumption", "import"]),
        ("Zeit,Bezug kWh,Lieferung kWh", ["import", ""]),
        ("Time,From Grid (kWh),To Grid (kWh)", ["import", "export"]),
        ("Time,Peak (kWh),Off-peak (kWh)", ["import", "import"]),
        ("Time,1.8.1 kWh,2.8.1 kWh", ["import", "export"]),
        ("Time,Meter A (kWh),Meter B (kWh)", ["import", "import"]),
    ],
)
def test_channels_of_columns_beside_each_other(tmp_path: Path, header: str, channels: list[str]) -> None:
    _, proposal = propose(tmp_path, write(header, [[*draw("a")], [*draw("b")]]))
    assert re.findall(r"^    channel: ?([a-z]*)", proposal, flags=re.M) == channels


@pytest.mark.parametrize(
    ("words", "channels"),
    [
        (("From Grid", "To Grid"), ["import", "export"]),
        (("A", "B"), ['""', '""']),
        (("T1", "T2"), ["import", "import"]),
        (("Consumption", "Surplus"), ["import", "export"]),
        (("Import", "Other"), ["import", '""']),
    ],
)
def test_channels_of_registers_beside_each_other(
    tmp_path: Path, words: tuple[str, str], channels: list[str]
) -> None:
    lines = [
        f"2024-03-01 {n:02}:00,{word},{value}" for n, value in enumerate(draw("r", 24)) for word in words
    ]
    _, proposal = propose(tmp_path, "\n".join(["Time,Way,kWh", *lines, ""]))
    found = dict(re.findall(r'^  "([^"]+)": (\S+)', proposal, flags=re.M))
    assert [found.get(word) for word in words] == channels


def test_a_total_of_the_day_beside_intervals_is_left_out(tmp_path: Path) -> None:
    values = draw("d")
    day: list[object] = [sum(values), *[""] * 95]
    path, proposal = propose(tmp_path, write("Start,15 min,Day", [[*values], day]))
    assert "a few rows only" in proposal
    assert total(path, proposal) == {"import": sum(values)}
