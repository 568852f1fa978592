"""Layouts of senders that no shipped mapping has: a proposal reads them right, or they are refused."""

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.inspect import inspect
from data.ingest.proposals import propose_mapping
from tests.formats.answers import fill_units
from tests.formats.outsider_layouts import OUTSIDERS
from tests.formats.proposed_layouts import PROPOSED, REFUSED
from tests.formats.sender_layout import sum_channels

# Before the change of the clocks in March, in Europe and in America.
START_DAY, ONE_DAY = datetime.datetime(2024, 3, 5), datetime.timedelta(days=1)


def complete(proposal: str, answers: dict[str, str]) -> dict[str, Any]:
    """Return a proposed mapping with the answers in its empty fields."""
    content = fill_units(yaml.safe_load(proposal), answers.get("unit", "kWh"))
    if "identifier" in content:
        content["identifier"] = content["identifier"] or "M1"
    is_open = "channel" in content and content.pop("channel") is None
    for value in content.get("values", []):
        if is_open or ("channel" in value and value["channel"] is None):
            value["channel"] = answers.get(str(value["column"])) or answers["channel"]
    for field in ("channels", "qualities"):
        words = content.get(field, {})
        content |= {field: {word: found or answers[word] for word, found in words.items()}} if words else {}
    return content


@pytest.mark.parametrize("sender", PROPOSED | OUTSIDERS)
def test_a_proposal_reads_the_file_of_a_sender(sender: str, tmp_path: Path) -> None:
    layout, answers = (PROPOSED | OUTSIDERS)[sender]
    path = layout.write(tmp_path)
    proposal = propose_mapping(path, layout.zone)
    assert "NOT USABLE" not in proposal
    document = inspect(path, mapping=parse_mapping(complete(proposal, answers), sender))
    # Units below the names are no row of values.
    assert {row["first_line"] for row in document["rejected"]} <= {2}, proposal
    assert sum_channels(document) == layout.totals, proposal
    assert min(channel["first"] for channel in document["channels"]) == layout.first, proposal


@pytest.mark.parametrize("sender", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_reason(sender: str, tmp_path: Path) -> None:
    layout, words = REFUSED[sender]
    path = layout.write(tmp_path)
    assert inspect(path)["status"] == "refused"
    try:
        proposal = propose_mapping(path, layout.zone)
    except MappingError as error:
        proposal = str(error)
    assert words in proposal


MIXED = {
    "nl": ('"Datum","EAN","Verbruik","Type"', "Elektriciteit", "Gas"),
    "de": ('"Zeit","Zählpunkt","Verbrauch","Sparte"', "Strom", "Wärme"),
    "en": ('"Start","Meter ID","Usage","Fuel"', "Electricity", "Natural Gas"),
}


@pytest.mark.parametrize("language", MIXED)
def test_rows_of_gas_beside_electricity_have_no_common_unit(language: str, tmp_path: Path) -> None:
    header, power, gas = MIXED[language]
    rows = [
        f'"2024-03-{15 + n // 24} {n % 24:02}:00","10000{place}00","{n % 7 + place}.25","{word}"'
        for n in range(48)
        for place, word in enumerate((power, gas))
    ]
    path = tmp_path / "export.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    content = yaml.safe_load(propose_mapping(path, "Europe/Amsterdam"))
    assert content["values"][0]["unit"] is None
    assert content["channels"] == {power: "import", gas: "consumption"}


@pytest.mark.parametrize("unit", ["m³", "m3", "therm"])
def test_energy_beside_a_volume_is_not_import(unit: str, tmp_path: Path) -> None:
    rows = [
        f"M100;2024-03-{15 + n // 24} {n % 24:02}:00;{n % 7}.25;{word}"
        for n in range(48)
        for word in ("kWh", unit)
    ]
    path = tmp_path / "export.csv"
    path.write_text("\n".join(["Meter;Time;Volume;Unit", *rows, ""]), encoding="utf-8")
    content = yaml.safe_load(propose_mapping(path, "Europe/Brussels"))
    assert content["channels"] == {"kWh": "", unit: "consumption"}


@pytest.mark.parametrize("name", ["Usage (kWh)", "Verbruik", "Energie (kWh)"])
def test_a_column_that_is_never_above_zero_is_not_taken_for_import(name: str, tmp_path: Path) -> None:
    rows = [f"2024-03-{15 + n // 24} {n % 24:02}:00,-{n % 7}.25" for n in range(48)]
    path = tmp_path / "export.csv"
    path.write_text("\n".join([f"Time,{name}", *rows, ""]))
    (value,) = yaml.safe_load(propose_mapping(path, "Europe/Amsterdam"))["values"]
    assert (value["channel"], value["sign"]) == (None, -1)


@pytest.mark.parametrize(
    "name", ["Battery charged (kWh)", "Energy Discharged (kWh)", "Speicher geladen (kWh)"]
)
def test_what_a_battery_takes_is_not_import(name: str, tmp_path: Path) -> None:
    rows = [f"2024-03-{15 + n // 24} {n % 24:02}:00,{n % 5}.5,{n % 7}.25" for n in range(48)]
    path = tmp_path / "export.csv"
    path.write_text("\n".join([f"Time,Import (kWh),{name}", *rows, ""]))
    values = yaml.safe_load(propose_mapping(path, "Europe/Vienna"))["values"]
    assert [value["channel"] for value in values] == ["import", "other"]


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M", "%m/%d/%Y %H:%M"])
def test_midnights_of_days_keep_the_days_of_a_clock_change(form: str, tmp_path: Path) -> None:
    zone = "America/Denver" if form.startswith("%m") else "Europe/Vienna"
    days = [f"{START_DAY + n * ONE_DAY:{form}};{n % 7}.25" for n in range(30)]
    path = tmp_path / "export.csv"
    path.write_text("\n".join(["Time;Usage (kWh)", *days, ""]))
    content = yaml.safe_load(propose_mapping(path, zone)) | {"identifier": "M1"}
    document = inspect(path, mapping=parse_mapping(content, "days"))
    assert document["rejected"] == []
    assert document["channels"][0]["total"] == str(sum(n % 7 + 0.25 for n in range(30)))
