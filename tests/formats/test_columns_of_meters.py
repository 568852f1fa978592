"""Columns that are meters, intervals of several lengths, seconds behind a start, and days of the year."""

import datetime
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.formats.mapped_layout import find_places
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from data.ingest.proposals import NOT_USABLE
from tests.formats.answers import fill_units
from tests.formats.mapped_csv_text import READING, mapping, read, rows
from tests.formats.test_outsiders import DAY, Values, draw, lay_out, propose

Totals = Mapping[tuple[str, str], Decimal]


def total(folder: Path, content: dict[str, Any], name: str = "export.csv") -> Totals:
    """Return the total of each meter and channel."""
    document = inspect(folder / name, mapping=parse_mapping(content, "proposal"))
    assert document["status"] == "ok", document
    found: dict[tuple[str, str], Decimal] = {}
    for one in document["channels"]:
        key = one["meter"], one["channel"]
        found[key] = found.get(key, Decimal(0)) + Decimal(one["total"])
    return found


def total_of_proposal(folder: Path, proposal: str, name: str = "export.csv", **answers: Any) -> Totals:
    assert NOT_USABLE not in proposal
    return total(folder, fill_units(yaml.safe_load(proposal)) | answers, name)


@pytest.mark.parametrize(
    ("names", "meters"),
    [
        (["Apartment 1 kWh", "Apartment 2 kWh"], ["Apartment 1", "Apartment 2"]),
        (["Whg. 12 [kWh]", "Whg. 14 [kWh]", "Allgemein [kWh]"], ["Whg. 12", "Whg. 14", "Allgemein"]),
        (["Lgh 1001", "Lgh 1002"], ["Lgh 1001", "Lgh 1002"]),
        (["40012345", "40012346"], ["40012345", "40012346"]),
        (["Meter A (kWh)", "Meter B (kWh)"], ["Meter A", "Meter B"]),
        (["1EMH0004711 kWh", "1EMH0004712 kWh"], ["1EMH0004711", "1EMH0004712"]),
    ],
)
def test_columns_with_names_of_meters_are_meters(tmp_path: Path, names: list[str], meters: list[str]) -> None:
    columns = {name: draw(name) for name in names}
    proposal = propose(tmp_path, lay_out(columns))
    assert total_of_proposal(tmp_path, proposal) == {
        (meter, "import"): sum(values) for meter, values in zip(meters, columns.values(), strict=True)
    }


def test_each_meter_has_its_directions(tmp_path: Path) -> None:
    flats = {
        f"Piso {n} {way} kWh": draw(f"{n} {way}") for n in (3, 4) for way in ("consumo", "vertido a la red")
    }
    proposal = propose(tmp_path, lay_out(flats))
    assert total_of_proposal(tmp_path, proposal) == {
        (name[:6], "import" if "consumo" in name else "export"): sum(values) for name, values in flats.items()
    }


def test_the_sum_of_meters_is_none(tmp_path: Path) -> None:
    flats = {f"House {n} (kWh)": draw(f"{n}") for n in (1, 2, 3)}
    whole = [sum(values, Decimal(0)) for values in zip(*flats.values(), strict=True)]
    proposal = propose(tmp_path, lay_out({**flats, "Estate (kWh)": whole}))
    assert "the sum of other meters" in proposal
    assert len(total_of_proposal(tmp_path, proposal)) == 3


@pytest.mark.parametrize("names", [["HT kWh", "NT kWh"], ["L1 kWh", "L2 kWh"], ["1.8.1", "1.8.2"]])
def test_registers_of_one_meter_are_no_meters(tmp_path: Path, names: list[str]) -> None:
    proposal = propose(tmp_path, lay_out({name: draw(name) for name in names}))
    assert {meter for meter, _ in total_of_proposal(tmp_path, proposal, identifier="M1")} == {"M1"}


def test_columns_that_may_be_meters_are_asked_for(tmp_path: Path) -> None:
    """The answer is one word: the name of each column is that of a meter."""
    columns = {"Bakery kWh": draw("a"), "Chemist kWh": draw("b")}
    proposal = propose(tmp_path, lay_out(columns))
    assert '"$column" if each column is of a meter of its own' in proposal
    answers = {"identifier": "$column", "channel": "import"}
    expected = {(name, "import"): sum(values) for name, values in columns.items()}
    assert total_of_proposal(tmp_path, proposal, **answers) == expected


def test_words_of_rows_that_are_flats_are_meters(tmp_path: Path) -> None:
    values = draw("flats", 3 * DAY)
    lines = [
        f"2024-06-03 {n // 12 // 4:02}:{n // 12 % 4 * 15:02};Unit {n % 12 // 4 + 1};{value}"
        for n, value in enumerate(values)
        if n % 4 == 0
    ]
    proposal = propose(tmp_path, "\n".join(["Time;Dwelling;kWh", *lines, ""]))
    content = yaml.safe_load(proposal)
    assert content["columns"]["identifier"] == "Dwelling" and "register" not in content["columns"]


def test_the_house_of_its_flats_is_not_their_meter(tmp_path: Path) -> None:
    text = lay_out({"Flat 1 kWh": draw("a"), "Flat 2 kWh": draw("b")})
    head, *lines = text.strip().split("\n")
    text = "\n".join([f"Site;{head}", *(f"Maple Court;{line}" for line in lines), ""])
    assert {meter for meter, _ in total_of_proposal(tmp_path, propose(tmp_path, text))} == {
        "Flat 1",
        "Flat 2",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"values": [{"column": "kWh", "unit": "kWh", "channel": "import", "identifier": "A"}]},
            "exactly one",
        ),
        (
            {"identifier": "$column", "values": [{"column": 3, "unit": "kWh", "channel": "import"}]},
            "exactly one",
        ),
        ({"lengths": {"M": 15}}, "longer than"),
        ({"columns": {"timestamp": "time"}, "identifier": "M", "lengths": {"M": 60}}, "words of"),
    ],
)
def test_a_mapping_names_a_meter_once_and_longer_intervals(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MappingError, match=words):
        mapping(READING, **changes)


# Lengths.


def lay_hours(place: int) -> list[str]:
    """Return the values of hours, each in one of its four rows."""
    return [str(value) if n % 4 == place else "" for n, value in enumerate(draw("hours"))]


def test_hours_of_gas_beside_quarter_hours_are_hours(tmp_path: Path) -> None:
    strom: Values = draw("strom")
    gas = lay_hours(0)
    head, *lines = lay_out({"Strom kWh": strom}).strip().split("\n")
    text = "\n".join(
        [f"{head};Gas kWh", *(f"{line};{cell}" for line, cell in zip(lines, gas, strict=True)), ""]
    )
    proposal = propose(tmp_path, text)
    content = yaml.safe_load(proposal)
    assert [value.get("interval_minutes") for value in content["values"]] == [None, 60]
    found = total_of_proposal(tmp_path, proposal, identifier="M1")
    assert found == {
        ("M1", "import"): sum(strom),
        ("M1", "consumption"): sum(map(Decimal, filter(None, gas))),
    }


def test_an_hour_in_its_last_quarter_is_no_hour_from_there(tmp_path: Path) -> None:
    head, *lines = lay_out({"Strom kWh": draw("strom")}).strip().split("\n")
    lines = [f"{line};{cell}" for line, cell in zip(lines, lay_hours(3), strict=True)]
    proposal = propose(tmp_path, "\n".join([f"{head};Gas kWh", *lines, ""]))
    assert '# left out: "Gas kWh"' in proposal


@pytest.mark.parametrize(("header", "lead"), [("Time;Fuel;kWh", ""), ("Time;Meter;kWh", "Meter ")])
def test_rows_of_several_lengths_are_told_apart_by_their_word(tmp_path: Path, header: str, lead: str) -> None:
    names = [f"{lead}Elec", f"{lead}Gas"]
    lines, totals = [], dict.fromkeys(names, Decimal(0))
    for n, value in enumerate(draw("both")):
        at = datetime.datetime(2024, 6, 3) + datetime.timedelta(minutes=15 * n)
        for name in names if n % 4 == 0 else names[:1]:
            lines.append(f"{at:%Y-%m-%d %H:%M};{name};{value}")
            totals[name] += value
    proposal = propose(tmp_path, "\n".join([header, *lines, ""]))
    content = fill_units(yaml.safe_load(proposal))
    assert content["lengths"] == {names[1]: 60}
    content |= {"identifier": "M1"} if "identifier" in content else {}
    document = inspect(tmp_path / "export.csv", mapping=parse_mapping(content, "proposal"))
    found = {one["meter" if lead else "register"]: one for one in document["channels"]}
    assert {name: Decimal(one["total"]) for name, one in found.items()} == totals
    assert [(one["interval_seconds"], one["intervals"]) for one in found.values()] == [(900, 192), (3600, 48)]


def test_hours_that_contain_the_quarter_hours_are_left_out(tmp_path: Path) -> None:
    values = draw("quarter")
    hours = [str(sum(values[n : n + 4])) if n % 4 == 0 else "" for n in range(len(values))]
    head, *lines = lay_out({"Import 15 min kWh": values}).strip().split("\n")
    lines = [f"{line};{cell}" for line, cell in zip(lines, hours, strict=True)]
    proposal = propose(tmp_path, "\n".join([f"{head};Import hour kWh", *lines, ""]))
    assert total_of_proposal(tmp_path, proposal, identifier="M1") == {("M1", "import"): sum(values)}


# Seconds behind a start.


def write_archive(*devices: str) -> str:
    """Write an answer of a logger: seconds behind a start that follows them."""
    data = {
        device: {
            "Channels": {
                "EnergySum": {
                    "Unit": "Wh",
                    "Points": {str(n * 900): float(value) for n, value in enumerate(draw(device))},
                }
            },
            "Stop": "2024-06-05T00:00:00Z",
            "Begin": "2024-06-03T00:00:00Z",
        }
        for device in devices
    }
    return json.dumps({"Reply": data, "Made": "2024-07-01T00:00:00Z"})


@pytest.mark.parametrize("devices", [("logger-1",), ("logger-1", "logger-2", "logger-3")])
def test_keys_are_seconds_behind_a_start(tmp_path: Path, devices: tuple[str, ...]) -> None:
    proposal = propose(tmp_path, write_archive(*devices), name="answer.json")
    content = yaml.safe_load(proposal)
    assert content["columns"]["seconds"] == "$key"
    answers = {"identifier": "logger-1"} if len(devices) == 1 else {}
    values = [value | {"channel": "generation"} for value in content["values"]]
    found = total(tmp_path, content | answers | {"values": values}, "answer.json")
    assert found == {(device, "generation"): sum(draw(device)) / 1000 for device in devices}


def test_seconds_count_through_a_clock_change(tmp_path: Path) -> None:
    text = rows(*(f"M,2025-03-30 00:00,{n * 1800},1" for n in range(6)), header="meter,time,behind,kWh")
    parsed = read(tmp_path, text, columns={"identifier": "meter", "timestamp": "time", "seconds": "behind"})
    assert [f"{at:%H:%M}" for at in parsed.readings["reading_ts"].to_pylist()] == [
        *("00:00", "00:30", "01:00", "01:30", "02:00", "02:30")
    ]


def test_seconds_that_are_no_number_are_rejected(tmp_path: Path) -> None:
    text = rows("M,2025-03-01 00:00,0,1", "M,2025-03-01 00:00,x,1", header="meter,time,behind,kWh")
    parsed = read(tmp_path, text, columns={"identifier": "meter", "timestamp": "time", "seconds": "behind"})
    assert parsed.rejected["rule"].to_pylist() == ["ROW-TIMESTAMP"]


def test_members_of_an_object_are_paths_of_json_alone() -> None:
    content: dict[str, Any] = {
        "format": "mapped_xml",
        "rows": "$.a.*.b[*]",
        "identifier": "M",
        "columns": {"timestamp": "at"},
    }
    with pytest.raises(MappingError, match="XML has no members"):
        mapping(READING, **content)


# Dates.


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("Year,DOY,HHMM,kWh", "%Y,%j,%H%M"),
        ("YEAR,Day of Year,Hour,Minute,kWh", "%Y,%j,%H,%M"),
        ("Yr,Day,Time,kWh", "%Y,%j,%H:%M"),
    ],
)
def test_days_of_a_year_are_dates(tmp_path: Path, header: str, form: str) -> None:
    values = draw("doy", 3 * DAY)
    times = [datetime.datetime(2024, 12, 30) + datetime.timedelta(minutes=15 * n) for n in range(len(values))]
    lines = [f"{at.strftime(form)},{value}" for at, value in zip(times, values, strict=True)]
    proposal = propose(tmp_path, "\n".join([header, *lines, ""]))
    assert total_of_proposal(tmp_path, proposal, identifier="M1") == {("M1", "import"): sum(values)}


@pytest.mark.parametrize(
    ("text", "is_read"), [("2023 365", True), ("2023 366", False), ("2024 366", True), ("2024 0", False)]
)
def test_a_year_has_its_days(tmp_path: Path, text: str, is_read: bool) -> None:
    text = rows(f"M,{text} 12:00,1", "M,2024 1 12:00,1")
    parsed = read(tmp_path, text, timestamp_format="%Y %j %H:%M")
    assert parsed.readings.num_rows == 1 + is_read


def test_wide_digits_are_dates_and_times(tmp_path: Path) -> None:
    values = draw("wide", 2 * DAY)
    wide = {ord("0") + n: 0xFF10 + n for n in range(10)} | {ord(":"): "：", ord("/"): "／"}
    times = [datetime.datetime(2024, 6, 3) + datetime.timedelta(minutes=15 * n) for n in range(len(values))]
    lines = [
        f"{at:%Y/%m/%d},{at:%H:%M},{value}".translate(wide) for at, value in zip(times, values, strict=True)
    ]
    proposal = propose(tmp_path, "\n".join(["日付,時刻,使用量（kWh）", *lines, ""]), "Asia/Tokyo")
    assert total_of_proposal(tmp_path, proposal, identifier="M1") == {("M1", "import"): sum(values)}


def test_a_broken_document_of_members_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text(write_archive("logger-1")[:-40])
    content = {
        "format": "mapped_json",
        "rows": "$.Reply.*.Channels.EnergySum.Points.*",
        "interval_minutes": 15,
    }
    columns = {"identifier": "$.Reply.*.$key", "timestamp": "$.Reply.*.Begin", "seconds": "$key"}
    values = [{"column": "$value", "unit": "Wh", "channel": "import"}]
    content |= {"label": "start", "timestamp_format": "iso8601", "columns": columns, "values": values}
    with pytest.raises(RefusedFile, match="FILE-CUT"):
        read_file(path, mapping=parse_mapping(content, "test"))


# Documents.


def series(name: str) -> list[dict[str, Any]]:
    start = datetime.datetime(2024, 6, 3)
    return [
        {"at": f"{start + datetime.timedelta(minutes=15 * n):%Y-%m-%dT%H:%M:%SZ}", "energy": float(value)}
        for n, value in enumerate(draw(name))
    ]


DOCUMENTS: dict[str, Any] = {
    "members of an object": {
        "unit": "kWh",
        "points": {one: {"site": "x", "rows": series(one)} for one in "PQ"},
    },
    "an object beside the rows": {
        "unit": "kWh",
        "points": [{"meter": {"serial": one}, "total": {"n": 7}, "rows": series(one)} for one in "PQ"],
    },
    "an object beside the rows of an array": [
        {"rows": series(one), "meter": {"serial": one, "unit": "kWh"}} for one in "PQ"
    ],
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_meters_of_a_document_are_told_apart(tmp_path: Path, name: str) -> None:
    proposal = propose(tmp_path, json.dumps(DOCUMENTS[name]), name="answer.json")
    assert total_of_proposal(tmp_path, proposal, "answer.json") == {
        (one, "import"): sum(draw(one)) for one in "PQ"
    }


def test_members_named_by_their_direction_are_registers(tmp_path: Path) -> None:
    document = {"unit": "kWh", "data": {one: {"rows": series(one)} for one in ("consumption", "feed_in")}}
    proposal = propose(tmp_path, json.dumps(document), name="answer.json")
    found = total_of_proposal(tmp_path, proposal, "answer.json", identifier="M1")
    assert found == {
        ("M1", "import"): sum(draw("consumption")),
        ("M1", "export"): sum(draw("feed_in")),
    }


def test_named_values_below_a_time_are_registers(tmp_path: Path) -> None:
    points = [
        {
            "when": one["at"],
            "items": [
                {"label": "consumption", "amount": one["energy"], "unit": "kWh"},
                {"label": "export", "amount": two["energy"], "unit": "kWh"},
            ],
        }
        for one, two in zip(series("a"), series("b"), strict=True)
    ]
    proposal = propose(tmp_path, json.dumps({"points": points}), name="answer.json")
    found = total_of_proposal(tmp_path, proposal, "answer.json", identifier="M1")
    assert found == {("M1", "import"): sum(draw("a")), ("M1", "export"): sum(draw("b"))}


@pytest.mark.parametrize("name", ["Mieter", "Tenant", "Location", "Nutzeinheit"])
def test_rows_of_tenants_are_those_of_their_meters(tmp_path: Path, name: str) -> None:
    start = datetime.datetime(2024, 6, 3)
    lines = [
        f"{who};{start + datetime.timedelta(minutes=15 * n):%Y-%m-%d %H:%M};{value}"
        for who in ("Huber", "Lang")
        for n, value in enumerate(draw(who))
    ]
    proposal = propose(tmp_path, "\n".join([f"{name};Time;Consumption kWh", *lines, ""]))
    assert total_of_proposal(tmp_path, proposal) == {
        (who, "import"): sum(draw(who)) for who in ("Huber", "Lang")
    }


def test_stars_of_a_column_are_any_text_and_nothing_else_is_a_pattern() -> None:
    names = ["active power [kw] north", "active power [kw] south", "a?b", "acb"]
    assert find_places(names, "Active power [kW] *") == [0, 1]
    assert find_places(names, "a?*") == [2]
    # A regular expression would try each way to share the letters between the stars.
    assert find_places(["a" * 3000], "*a" * 40 + "*b") == []
