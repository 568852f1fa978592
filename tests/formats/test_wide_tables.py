"""Wide tables of inverters, batteries and monitoring portals: which of their columns a proposal takes."""

import datetime
import json
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.inspect import inspect
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.answers import fill_units
from tests.formats.test_outsiders import DAY, Values, add_up, channels, draw, lay_out, load, propose
from tests.formats.test_unnamed_senders import table, times


def add_by_register(document: dict[str, Any]) -> dict[tuple[str, str], Decimal]:
    assert document["status"] == "ok", document
    return {(one["meter"], one["register"]): Decimal(one["total"]) for one in document["channels"]}


def count_up(values: Values, first: int = 700) -> Values:
    return list(accumulate(values[1:], initial=Decimal(first)))


def write_by_epoch(columns: dict[str, Values]) -> str:
    first = datetime.datetime(2024, 6, 3, tzinfo=datetime.UTC)
    lines = [
        ";".join([str(int(first.timestamp()) + 900 * n), *(str(values[n]) for values in columns.values())])
        for n in range(2 * DAY)
    ]
    return table(";".join(["epoch_time", *columns]), *lines)


@pytest.mark.parametrize(
    "other", ["invTemp(°C)", "heatsink [℃]", "Udc1 [V]", "CO2 saved", "SOC", "Autarky %"]
)
def test_a_dial_is_read_beside_what_is_no_energy(tmp_path: Path, other: str) -> None:
    """Another quantity is no energy of the intervals for which the dials would be left out."""
    columns = {
        other: draw("other", places=1),
        "pvYieldTotal(kWh)": count_up(draw("sun", places=2)),
        "gridSellTotal(kWh)": count_up(draw("sent", places=2)),
    }
    proposal = propose(tmp_path, lay_out(columns))
    assert add_up(load(tmp_path, proposal)) == {
        "generation": sum(draw("sun", places=2)[1:]),
        "export": sum(draw("sent", places=2)[1:]),
    }
    assert f'# left out: "{other}"' in proposal


def test_energy_that_begins_each_day_is_left_out_beside_its_dial(tmp_path: Path) -> None:
    sun = draw("sun", places=2)
    of_day = [sum(sun[n - n % DAY + 1 : n + 1], Decimal()) for n in range(2 * DAY)]
    proposal = propose(tmp_path, lay_out({"pvEtoday(kWh)": of_day, "pvTotal(kWh)": count_up(sun)}))
    assert channels(proposal) == {"pvTotal(kWh)": "generation"}
    assert "since the beginning of the day" in proposal


def test_the_energy_of_a_power_is_read_and_not_the_power(tmp_path: Path) -> None:
    """Its name has the word of power too; and a number of W is no instant of 1970."""
    columns: dict[str, Values] = {}
    for name in ("solar_power", "grid_purchase", "grid_feed_in", "load_power", "battery_charge"):
        energy = [value * 1000 for value in draw(name)]
        columns |= {name: [4 * value for value in energy], f"{name}_energy": energy}
    share = [Decimal(100) if n % 3 else value for n, value in enumerate(draw("share", places=1))]
    columns |= {"self_consumption": [min(value, Decimal(100)) for value in share]}
    columns |= {"self_sufficiency": columns["self_consumption"][::-1]}
    proposal = propose(tmp_path, write_by_epoch(columns))
    assert NOT_USABLE not in proposal
    assert channels(proposal) == {
        "solar_power_energy": "generation",
        "grid_purchase_energy": "import",
        "grid_feed_in_energy": "export",
        "load_power_energy": "consumption",
        "battery_charge_energy": "other",
    }
    assert add_up(load(tmp_path, proposal, unit="Wh"))["generation"] == sum(draw("solar_power"))
    for name in ("self_consumption", "self_sufficiency", "load_power", "grid_purchase"):
        assert f'# left out: "{name}"' in proposal


def test_what_is_used_where_it_is_generated_stays_energy_without_a_limit_of_a_hundred(tmp_path: Path) -> None:
    values = [value * 1000 for value in draw("own")]
    proposal = propose(tmp_path, lay_out({"grid_feed_in_energy": draw("sent"), "self_consumption": values}))
    assert "self_consumption" in channels(proposal)


def test_a_battery_is_charged_and_discharged_and_what_leaves_its_inverter_is_no_generation(
    tmp_path: Path,
) -> None:
    sun = [value if 24 < n % DAY < 72 else Decimal(0) for n, value in enumerate(draw("sun", places=0))]
    flow = [value - 1000 if n % 4 else Decimal(0) for n, value in enumerate(draw("flow", places=0))]
    columns = {
        "PV Output (W)": sun,
        "Storage (W)": flow,
        "System Production (W)": [one - two for one, two in zip(sun, flow, strict=True)],
        "Import (W)": draw("bought", places=0),
        "Export (W)": draw("sent", places=0),
    }
    # The inverter never takes from its output.
    columns["System Production (W)"] = [max(value, Decimal(0)) for value in columns["System Production (W)"]]
    columns["PV Output (W)"][30:60] = columns["System Production (W)"][30:60]
    document = load(tmp_path, propose(tmp_path, lay_out(columns)))
    totals = add_by_register(document)
    assert totals["M1", "Storage (W)"] == sum(value for value in flow if value > 0) / 4000
    assert totals["M1", "Storage (W) other"] == -sum(value for value in flow if value < 0) / 4000
    assert add_up(document)["generation"] == sum(columns["PV Output (W)"]) / 4000


def write_homes(homes: dict[str, str]) -> str:
    lines = [
        f"{home};{zone};{at:%Y-%m-%d %H:%M};{net - 1};{sun}"
        for home, zone in homes.items()
        for at, net, sun in zip(times(), draw(f"net{home}"), draw(f"sun{home}"), strict=True)
    ]
    return table("homeref;postcode;start;grid;solar", *lines)


def test_numbers_of_homes_in_blocks_are_meters(tmp_path: Path) -> None:
    text = write_homes({"4101": "8010", "4102": "8020"})
    document = load(tmp_path, propose(tmp_path, text))
    net = [value - 1 for value in draw("net4102")]
    assert add_by_register(document)["4102", "grid"] == sum(value for value in net if value > 0)
    assert add_by_register(document)["4102", "grid export"] == -sum(value for value in net if value < 0)
    assert add_by_register(document)["4101", "solar"] == sum(draw("sun4101"))


def test_a_tariff_in_blocks_is_no_meter(tmp_path: Path) -> None:
    proposal = propose(tmp_path, write_homes({"1": "5", "2": "5"}).replace("homeref", "tariff"))
    assert "identifier" not in yaml.safe_load(proposal)["columns"]


def test_a_row_for_each_home_category_and_day(tmp_path: Path) -> None:
    """The capacity is no energy, the category is the register, and the number of the home its meter."""
    lines = [
        ";".join([home, "4.2", "8010", kind, f"{day:02}/06/2024", *map(str, draw(f"{home}{kind}{day}", 24))])
        for home, kinds in (("55", ("GC", "GG", "CL")), ("56", ("GC", "GG")))
        for kind in kinds
        for day in range(3, 17)
    ]
    names = [f"{hour % 24}:00" for hour in range(1, 25)]
    text = table(";".join(["Household", "Capacity", "Postcode", "Category", "date", *names]), *lines)
    proposal = propose(tmp_path, text, "Australia/Sydney")
    assert yaml.safe_load(proposal)["channels"] == {
        "GC": "consumption",
        "GG": "generation",
        "CL": "consumption",
    }
    totals = add_by_register(load(tmp_path, proposal))
    assert totals["56", "GG"] == sum(sum(draw(f"56GG{day}", 24)) for day in range(3, 17))
    assert len(totals) == 5


def write_flows(folder: Path, flows: dict[str, Values]) -> Path:
    first = 1_717_372_800_000
    records = {
        code: [[first + 3_600_000 * n, float(value)] for n, value in enumerate(values) if value]
        for code, values in flows.items()
    }
    path = folder / "export.json"
    path.write_text(json.dumps({"ok": True, "data": {"flows": records}}))
    return path


def test_pairs_in_named_arrays_are_registers(tmp_path: Path) -> None:
    """Also the one that has few of them, since zeros are left out."""
    seldom = [value if n % 5 == 0 else Decimal(0) for n, value in enumerate(draw("Bg", 96))]
    flows = {code: draw(code, 96) for code in ("Pc", "Pb", "Pg", "Gc", "Bc")} | {"Bg": seldom}
    path = write_flows(tmp_path, flows)
    proposal = propose_mapping(path, "Europe/Madrid")
    content = fill_units(yaml.safe_load(proposal)) | {"identifier": "M1"}
    totals = add_up(inspect(path, mapping=parse_mapping(content, "proposal")))
    assert totals["import"] == sum(flows["Gc"])
    assert totals["export"] == sum(flows["Pg"]) + sum(seldom)
    assert totals["other"] == sum(sum(flows[code]) for code in ("Pc", "Pb", "Bc"))


def test_pairs_in_arrays_of_unknown_names_are_asked_for(tmp_path: Path) -> None:
    path = write_flows(tmp_path, {code: draw(code, 96) for code in ("Xa", "Xb")})
    proposal = propose_mapping(path, "Europe/Madrid")
    content = fill_units(yaml.safe_load(proposal))
    content["channels"] = dict.fromkeys(content["channels"], "other")
    document = inspect(path, mapping=parse_mapping(content | {"identifier": "M1"}, "proposal"))
    assert sorted(Decimal(one["total"]) for one in document["channels"]) == sorted(
        [sum(draw("Xa", 96)), sum(draw("Xb", 96))]
    )


def test_a_home_with_fewer_days_than_another_is_a_meter_too(tmp_path: Path) -> None:
    text = write_homes({"4101": "8010", "4102": "8020"})
    document = load(tmp_path, propose(tmp_path, "\n".join(text.split("\n")[: -DAY - 1]) + "\n"))
    assert add_by_register(document)["4102", "solar"] == sum(draw("sun4102")[:DAY])


def test_the_power_of_a_meter_of_energy_stays_power(tmp_path: Path) -> None:
    bought = draw("bought")
    columns = {"Energy import (kWh)": bought, "Energy meter power": [5 * value for value in draw("power")]}
    proposal = propose(tmp_path, lay_out(columns))
    assert channels(proposal) == {"Energy import (kWh)": "import"}
    assert "power beside energy" in proposal or "not one of energy" in proposal


def test_a_letter_in_brackets_is_no_unit(tmp_path: Path) -> None:
    columns = {"Consumption (A)": draw("a"), "Consumption (C)": draw("c")}
    assert {*channels(propose(tmp_path, lay_out(columns)))} == {*columns}
