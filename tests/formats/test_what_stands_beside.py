"""What stands beside the energy: prices, voltages, substitutes, other units, kinds of meters, the grid."""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.inspect import inspect
from data.ingest.proposals import propose_mapping
from tests.formats.answers import fill_units
from tests.formats.mapped_csv_text import READING, mapping, read, rows
from tests.formats.test_outsiders import DAY, Values, add_up, draw, lay_out, load, propose
from tests.formats.test_unnamed_senders import table, times


def write_json(folder: Path, document: Any) -> Path:
    path = folder / "export.json"
    path.write_text(json.dumps(document))
    return path


def load_json(path: Path, **answers: Any) -> dict[str, Any]:
    content = fill_units(yaml.safe_load(propose_mapping(path, "Europe/Oslo")))
    content |= {"identifier": "M1"} if "identifier" in content else {}
    return inspect(path, mapping=parse_mapping(content | answers, "proposal"))


def instant(at: datetime.datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def test_a_price_for_each_unit_is_no_energy_beside_it(tmp_path: Path) -> None:
    """Rows with a register have one column of values: that of the energy, whatever stands before it."""
    lines = [
        {"pricePerKwh": float(p), "way": way, "at": instant(at), "kwh": float(v), "state": "none"}
        for way in ("general", "feedIn")
        for at, v, p in zip(times(), draw(way), draw("price"), strict=True)
    ]
    document = load_json(write_json(tmp_path, lines))
    assert add_up(document) == {"import": sum(draw("general")), "export": sum(draw("feedIn"))}
    assert not any(
        "quality" in column for column in yaml.safe_load(propose_mapping(tmp_path / "export.json"))["columns"]
    )


def test_voltage_and_current_of_an_inverter_are_no_energy(tmp_path: Path) -> None:
    daily = [Decimal(0)]
    for n, value in enumerate(draw("sum", 2 * DAY)[1:], 1):
        daily.append(Decimal(0) if n % DAY == 0 else daily[-1] + value)
    columns = {"Udc1": draw("u"), "Idc1": draw("i"), "Uac": draw("v"), "Error": draw("e"), "DaySum": daily}
    content = yaml.safe_load(propose(tmp_path, lay_out(columns)))
    (value,) = content["values"]
    assert (value["column"], value["channel"], value["resets"]) == ("DaySum", "generation", "to_zero")


def test_the_consumption_beside_an_inverter_is_no_generation(tmp_path: Path) -> None:
    content = yaml.safe_load(
        propose(tmp_path, lay_out({"Udc1": draw("u"), "House consumption (kWh)": draw("h")}))
    )
    assert content["values"][0]["channel"] != "generation"


def test_a_substitute_counts_as_an_estimate(tmp_path: Path) -> None:
    text = rows(
        "M,2024-06-03 00:00,1,",
        "M,2024-06-03 00:30,,2",
        "M,2024-06-03 01:00,,",
        header="meter,time,kWh,instead",
    )
    value = {"column": "kWh", "substitute": "instead", "channel": "import", "unit": "kWh"}
    parsed = read(tmp_path, text, values=[value])
    found = zip(parsed.readings["value"].to_pylist(), parsed.readings["quality"].to_pylist(), strict=True)
    assert [*found] == [(1, "actual"), (2, "estimated"), (None, "null")]


def test_a_word_is_no_substitute(tmp_path: Path) -> None:
    text = rows("M,2024-06-03 00:00,1,", "M,2024-06-03 00:30,,E", header="meter,time,kWh,instead")
    value = {"column": "kWh", "substitute": "instead", "channel": "import", "unit": "kWh"}
    assert read(tmp_path, text, values=[value]).rejected["rule"].to_pylist() == ["ROW-VALUE"]


def test_a_dial_has_no_substitute() -> None:
    value = {"column": "kWh", "substitute": "x", "channel": "import", "unit": "kWh", "cumulative": True}
    with pytest.raises(MappingError, match="substitute"):
        mapping(READING, values=[value], label=None)


@pytest.mark.parametrize(("above", "name"), [("kWh", "Load [kW]"), ("kW", "Load [kWh]")])
def test_a_unit_above_that_contradicts_the_column_is_asked_for(tmp_path: Path, above: str, name: str) -> None:
    content = yaml.safe_load(propose(tmp_path, f"Unit;{above}\n" + lay_out({name: draw("load")})))
    assert content["values"][0]["unit"] is None


def test_noise_of_one_column_is_found_beside_others(tmp_path: Path) -> None:
    noisy: Values = [Decimal(repr(float(value) + 3e-14)) for value in draw("noise")]
    plain = [Decimal(0)] * (2 * DAY - 9) + draw("plain", 9)
    document = load(tmp_path, propose(tmp_path, lay_out({"Import kWh": noisy, "Export kWh": plain})))
    assert add_up(document) == {"import": sum(draw("noise")), "export": sum(plain)}


def test_the_number_of_a_meter_around_the_rows_is_no_value(tmp_path: Path) -> None:
    series = [
        {
            "point": {"number": number},
            "kind": {"businessType": code},
            "rows": [
                {"at": instant(at), "quantity": float(v)} for at, v in zip(times(), draw(code), strict=True)
            ],
        }
        for number, code in (("570000000000001111", "A04"), ("570000000000002222", "A01"))
    ]
    document = load_json(write_json(tmp_path, {"unit": "kWh", "series": series}))
    assert add_up(document) == {"import": sum(draw("A04")), "export": sum(draw("A01"))}


def test_the_kind_of_each_meter_is_asked_for_if_no_word_tells_it(tmp_path: Path) -> None:
    lines = [
        f"{at:%Y-%m-%d %H:%M};{meter};{kind};{value}"
        for meter, kind in (("90001111", "Z17"), ("90002222", "Z24"))
        for at, value in zip(times(), draw(kind), strict=True)
    ]
    content = yaml.safe_load(propose(tmp_path, table("Time;Meter;Direction;kWh", *lines)))
    assert content["columns"]["register"] == "Direction" and set(content["channels"]) == {"Z17", "Z24"}


def test_times_may_stand_in_single_quotes(tmp_path: Path) -> None:
    lines = [f"'{at:%Y-%m-%d %H:%M:%S}',0x00,{value}" for at, value in zip(times(), draw("q"), strict=True)]
    document = load(tmp_path, propose(tmp_path, table("time,alarm,energy (kWh)", *lines)))
    assert add_up(document) == {"import": sum(draw("q"))}


def test_registers_of_money_are_not_read(tmp_path: Path) -> None:
    lines = [
        f"{name},{unit},{at:%Y-%m-%d %H:%M},{value}"
        for name, unit in (("main", "kWh"), ("main_bill", "NOK"))
        for at, value in zip(times(), draw(unit), strict=True)
    ]
    proposal = propose(tmp_path, table("name,unit,time,value", *lines))
    assert yaml.safe_load(proposal)["channels"]["main_bill"] is None
    document = load(tmp_path, proposal)
    assert add_up(document) == {"import": sum(draw("kWh"))}
    assert [entry["count"] for entry in document["skipped"]] == [2 * DAY]


def test_a_mapping_reads_at_least_one_register() -> None:
    columns = {"identifier": "meter", "timestamp": "time", "register": "r"}
    with pytest.raises(MappingError, match="at least one"):
        mapping(READING, columns=columns, channels={"A": None}, values=[{"column": "kWh", "unit": "kWh"}])


def test_another_column_tells_the_direction_of_a_register(tmp_path: Path) -> None:
    kinds = {"meter_1_production": "grid_return", "meter_1_usage": "grid_consumption", "roof": "solar"}
    lines = [
        f"{name},{kind},{at:%Y-%m-%d %H:%M},{value}"
        for name, kind in kinds.items()
        for at, value in zip(times(), draw(name), strict=True)
    ]
    document = load(tmp_path, propose(tmp_path, table("entity,type,time,kWh", *lines)))
    ways = ("export", "import", "generation")
    assert add_up(document) == {way: sum(draw(name)) for way, name in zip(ways, kinds, strict=True)}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("has_battery", [True, False])
def test_the_balance_of_a_site_tells_the_sign_at_its_grid(
    tmp_path: Path, sign: int, has_battery: bool
) -> None:
    solar, stored, grid = draw("solar"), draw("battery"), draw("grid")
    grid = [value - Decimal("0.9") for value in grid]
    stored = [value - Decimal("0.8") for value in stored] if has_battery else [Decimal(0)] * len(grid)
    home = [a + b + c + 3 for a, b, c in zip(solar, stored, grid, strict=True)]
    solar = [value + 3 for value in solar]
    columns = {"Home (kW)": home, "PV (kW)": solar, "Mains power grid (kW)": [sign * value for value in grid]}
    columns |= {"Battery (kW)": [-value for value in stored]} if has_battery else {}
    totals = add_up(load(tmp_path, propose(tmp_path, lay_out(columns))))
    assert totals["import"] == sum(value for value in grid if value > 0) / 4
    assert totals["export"] == -sum(value for value in grid if value < 0) / 4


def test_a_site_out_of_balance_is_asked_for(tmp_path: Path) -> None:
    grid = [value - Decimal("0.9") for value in draw("grid")]
    columns = {"Home (kW)": draw("home"), "PV (kW)": draw("pv"), "Grid (kW)": grid}
    content = yaml.safe_load(propose(tmp_path, lay_out(columns)))
    assert {value["column"]: value["channel"] for value in content["values"]}["Grid (kW)"] is None


def test_a_number_within_a_name_is_no_year(tmp_path: Path) -> None:
    content = yaml.safe_load(
        propose(tmp_path, lay_out({"Import kWh": draw("a"), "Akku X2000 kWh": draw("b")}))
    )
    assert [value["column"] for value in content["values"]] == ["Import kWh", "Akku X2000 kWh"]


def test_the_low_tariff_of_a_dutch_dial_is_one(tmp_path: Path) -> None:
    dials = {
        name: [Decimal(4000 + 900 * n) + sum(draw(name, 40)[: k + 1]) for k in range(40)]
        for n, name in enumerate(("StandNormaal", "StandDal", "TerugleveringNormaal", "TerugleveringDal"))
    }
    content = yaml.safe_load(propose(tmp_path, lay_out(dials, minutes=60), "Europe/Amsterdam"))
    ways = [value["channel"] for value in content["values"]]
    assert ways == ["import", "import", "export", "export"]


def test_the_state_of_a_counter_is_its_read(tmp_path: Path) -> None:
    total = [sum(draw("state")[: n + 1], Decimal(0)) for n in range(2 * DAY)]
    columns = {"state": [value + 4000 for value in total], "error": [value * 2 for value in total]}
    content = yaml.safe_load(propose(tmp_path, lay_out(columns)))
    assert [value["column"] for value in content["values"]] == ["state"]


def test_the_read_at_the_end_of_an_hour_does_not_move_the_hour(tmp_path: Path) -> None:
    """Each row has the energy of its hour and the read behind it: the days still begin at midnight."""
    energy = draw("hours", 48)
    reads = [Decimal(7000) + sum(energy[: n + 1]) for n in range(48)]
    content = yaml.safe_load(propose(tmp_path, lay_out({"kWh": energy, "Meter reading": reads}, minutes=60)))
    assert (content["label"], [value["column"] for value in content["values"]]) == ("start", ["kWh"])
