"""Names and sizes that contradict a plain reading: dials by code, reactive rows, loads, volts and amperes."""

import itertools
from decimal import Decimal
from pathlib import Path

import yaml

from data.ingest.proposals import NOT_USABLE
from tests.formats.test_outsiders import DAY, Values, add_up, draw, lay_out, load, propose
from tests.formats.test_unnamed_senders import table, times


def rise(start: int, name: str) -> Values:
    return [start + amount for amount in itertools.accumulate(draw(name, places=0))]


def test_codes_of_dials_are_read_beside_codes_of_power(tmp_path: Path) -> None:
    """Long whole numbers under a code count energy, and no device."""
    bought, sent = rise(70_000_000, "bought"), rise(30_000_000, "sent")
    columns = {
        "1-1:1.7.0": draw("now", places=0),
        "1-1:1.8.0": bought,
        "1-1:2.7.0": draw("out", places=0),
        "1-1:2.8.0": sent,
    }
    document = load(tmp_path, propose(tmp_path, lay_out(columns)))
    assert add_up(document) == {"import": bought[-1] - bought[0], "export": sent[-1] - sent[0]}


def test_power_under_a_code_is_not_asked_for_as_energy(tmp_path: Path) -> None:
    proposal = propose(tmp_path, lay_out({"1-1:1.5.0": draw("now"), "1-1:2.5.0": draw("out")}))
    assert proposal.count("the name says power: W or kW") == 2


def test_rows_of_reactive_energy_without_its_unit_are_not_read(tmp_path: Path) -> None:
    active, reactive = draw("active"), draw("reactive")
    for words in (("Wirkenergie Bezug", "Blindenergie Bezug"), ("Активная энергия", "Реактивная энергия")):
        lines = [
            f"{at:%Y-%m-%d %H:%M};{word};{value}"
            for word, values in zip(words, (active, reactive), strict=True)
            for at, value in zip(times(), values, strict=True)
        ]
        proposal = propose(tmp_path, table("Time;Kind;Amount", *lines))
        assert yaml.safe_load(proposal)["channels"] == {words[0]: "import", words[1]: None}
        assert "not read: reactive power, or reactive energy without its unit" in proposal


def test_a_load_beside_a_battery_is_no_import(tmp_path: Path) -> None:
    load_power, charge = draw("load", places=0), draw("charge", places=0)
    proposal = propose(tmp_path, lay_out({"AC load (W)": load_power, "Battery SOC (%)": charge}))
    (value,) = yaml.safe_load(proposal)["values"]
    assert (value["column"], value["channel"]) == ("AC load (W)", "consumption")
    alone = propose(tmp_path, lay_out({"AC load (W)": load_power}))
    assert yaml.safe_load(alone)["values"][0]["channel"] == "import"


def test_volts_times_amperes_contradict_a_unit(tmp_path: Path) -> None:
    energy = draw("energy", places=3)
    volts, amperes = [Decimal(230)] * len(energy), [value * 4000 / 230 for value in energy]
    columns = {"U1": volts, "I1": [round(one, 2) for one in amperes]}
    proposal = propose(tmp_path, lay_out(columns | {"Wh": energy}))
    assert NOT_USABLE in proposal
    assert "but volts times amperes are" in proposal
    assert add_up(load(tmp_path, propose(tmp_path, lay_out(columns | {"kWh": energy})))) == {
        "import": sum(energy)
    }


def test_the_end_of_a_logger_does_not_hide_the_ends_of_intervals(tmp_path: Path) -> None:
    values, ends = draw("logger"), times(2 * DAY + 1)[1:]
    lines = [f"{at:%Y-%m-%d %H:%M:%S};{value};" for at, value in zip(ends, values, strict=True)]
    stopped = f"{ends[-1]:%Y-%m-%d} 00:04:20;;stopped"
    proposal = propose(tmp_path, table("Time;Energy kWh;Event", *lines, stopped))
    assert yaml.safe_load(proposal)["label"] == "end"
