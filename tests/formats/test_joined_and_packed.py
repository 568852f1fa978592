"""Dates in several columns, rows in quotes, archives with other files, power by the unit of each row."""

import datetime
import io
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from data.ingest.proposals import propose_mapping
from tests.formats.answers import fill_units
from tests.formats.test_outsiders import add_up, draw, load, propose
from tests.formats.workbook_text import write_xlsx

START, HOUR = datetime.datetime(2024, 3, 30), datetime.timedelta(hours=1)
COUNT = 72
VALUES = draw("energy", COUNT)
# The clocks of Berlin skip an hour in the second day.
LOCAL = [START + HOUR * (n + (n >= 26)) for n in range(COUNT)]


def fill(proposal: str) -> dict[str, Any]:
    content = fill_units(yaml.safe_load(proposal))
    return content | ({"identifier": "M1"} if "identifier" in content else {})


@pytest.mark.parametrize(
    ("header", "form", "columns"),
    [
        ("Year,Month,Day,Hour,kWh", "{t.year},{t.month},{t.day},{t.hour}", {"time": "Hour"}),
        ("Jahr;Monat;Tag;Stunde;Minute;Verbrauch kWh", "{t:%Y};{t:%m};{t:%d};{t:%H};{t:%M}", {}),
        ("Day,Month,Year,Time,kWh", "{t.day},{t.month},{t.year},{t:%H:%M}", {"time": "Time"}),
        ("YEAR\tMON\tDAY\tTIME\tUsage (kWh)", "{t.year}\t{t:%b}\t{t.day}\t{t:%H:%M:%S}", {"time": "TIME"}),
        ("Año;Mes;Día;Hora;Consumo kWh", "{t:%y};{t.month};{t.day};{t.hour}", {"time": "Hora"}),
    ],
)
def test_the_parts_of_a_date_are_joined(
    tmp_path: Path, header: str, form: str, columns: dict[str, str]
) -> None:
    sign = next(sign for sign in ",;\t" if sign in header)
    rows = [f"{form.format(t=time)}{sign}{value}" for time, value in zip(LOCAL, VALUES, strict=True)]
    proposal = propose(tmp_path, "\n".join([header, *rows, ""]))
    content = yaml.safe_load(proposal)
    field = "date" if columns else "timestamp"
    assert len(content["columns"][field]) == (3 if columns else 5)
    assert {name: content["columns"][name] for name in columns} == columns
    document = load(tmp_path, proposal)
    assert add_up(document) == {"import": sum(VALUES)}
    assert document["channels"][0]["first"] == "2024-03-29T23:00:00Z"
    assert document["rejected"] == []


DECLARED: dict[str, Any] = {
    "format": "mapped_csv",
    "identifier": "M1",
    "timezone": "Europe/Berlin",
    "interval_minutes": 60,
    "date_format": "%Y %m %d",
    "time_format": "%H",
    "label": "start",
    "columns": {"date": ["Year", "Month", "Day"], "time": "Hour"},
    "values": [{"column": "kWh", "channel": "import", "unit": "kWh"}],
}


def test_rows_without_a_date_are_rejected_and_headers_come_again(tmp_path: Path) -> None:
    header = "Year,Month,Day,Hour,kWh"
    rows = [f"2024,3,{day},{hour},1.5" for day in (28, 29) for hour in range(24)]
    bad = ["2024,2,30,1,7", "2024,,29,1,7", "2024,3,x,1,7"]
    path = tmp_path / "export.csv"
    path.write_text("\n".join([header, *rows, header, *bad, ""]))
    parsed = read_file(path, mapping=parse_mapping(DECLARED, "m"))
    assert (parsed.readings.num_rows, parsed.skipped.total()) == (48, 1)
    assert parsed.rejected["rule"].to_pylist() == ["ROW-TIMESTAMP"] * 3
    assert parsed.rejected["line"].to_pylist() == [51, 52, 53]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"columns": {"date": ["Year"], "time": "Hour"}}, "date"),
        ({"columns": {"date": ["$name", "Day"], "time": "Hour"}}, "columns of the table"),
        ({"columns": {"date": ["Year", "$above"], "time": "Hour"}, "across": 3}, "across"),
    ],
)
def test_parts_of_a_date_are_columns_of_the_table(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(MappingError, match=reason):
        parse_mapping(DECLARED | changes, "m")


def test_a_workbook_may_have_the_parts_of_a_date(tmp_path: Path) -> None:
    rows = [["Year", "Month", "Day", "Hour", "kWh"]]
    rows += [[t.year, t.month, t.day, t.hour, float(v)] for t, v in zip(LOCAL, VALUES, strict=True)]  # type: ignore[list-item]
    path = write_xlsx(tmp_path / "export.xlsx", {"Data": rows})
    assert add_up(inspect(path, mapping=parse_mapping(DECLARED, "m"))) == {"import": sum(VALUES)}


@pytest.mark.parametrize("end", ["", ";;", ",,,"])
def test_rows_in_quotes_are_read(tmp_path: Path, end: str) -> None:
    header = '"Zeit;Bezug (kWh);""Notiz; frei"""' + end
    rows = [
        f'"{t:%d.%m.%Y %H:%M};{str(v).replace(".", ",")};"{end}' for t, v in zip(LOCAL, VALUES, strict=True)
    ]
    proposal = propose(tmp_path, "\n".join([header, *rows, ""]))
    assert yaml.safe_load(proposal)["quoted_rows"] is True
    document = load(tmp_path, proposal)
    assert (add_up(document), document["rejected"]) == ({"import": sum(VALUES)}, [])


def write_table(values: list[Decimal], name: str = "Import (kWh)") -> str:
    rows = (f"{t:%Y-%m-%d %H:%M},{v}" for t, v in zip(LOCAL, values, strict=True))
    return "\n".join([f"Time,{name}", *rows, ""])


def pack(path: Path, members: dict[str, str]) -> Path:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    path.write_bytes(packed.getvalue())
    return path


README = "Thank you, and see https://example.com\nExported 2024-04-02, 08:00\nColumns: Time, Import (kWh)\n"


def test_a_file_beside_the_table_is_named_and_not_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "my_data.zip", {"README.txt": README, "usage/power.csv": write_table(VALUES)})
    proposal = propose_mapping(path, "Europe/Berlin")
    assert "# not read: 'README.txt', which has no rows with a date" in proposal
    assert add_up(inspect(path, mapping=parse_mapping(fill(proposal), "m"))) == {"import": sum(VALUES)}


def test_tables_of_an_archive_have_a_mapping_each(tmp_path: Path) -> None:
    gas = draw("gas", COUNT)
    members = {"power.csv": write_table(VALUES), "gas.csv": write_table(gas, "Gas used (m3)")}
    path = pack(tmp_path / "both.zip", members)
    first = propose_mapping(path, "Europe/Berlin")
    (other,) = [name for name in members if f"add --sheet '{name}'" in first]
    found: dict[str, Decimal] = {}
    for proposal in (first, propose_mapping(path, "Europe/Berlin", other)):
        found |= add_up(inspect(path, mapping=parse_mapping(fill(proposal), "m")))
    assert found == {"import": sum(VALUES), "consumption": sum(gas)}


def test_members_with_one_header_are_read_together(tmp_path: Path) -> None:
    half = COUNT // 2
    lines = write_table(VALUES).split("\n")
    members = {
        "1.csv": "\n".join([*lines[: half + 1], ""]),
        "2.csv": "\n".join([lines[0], *lines[half + 1 :]]),
    }
    path = pack(tmp_path / "halves.zip", members | {"LICENSE": "Free, for all\n"})
    proposal = propose_mapping(path, "Europe/Berlin")
    assert yaml.safe_load(proposal)["sheets"] == ["1.csv", "2.csv"]
    assert add_up(inspect(path, mapping=parse_mapping(fill(proposal), "m"))) == {"import": sum(VALUES)}


def test_an_archive_without_a_named_file_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "my_data.zip", {"power.csv": write_table(VALUES)})
    content = fill(propose_mapping(path, "Europe/Berlin"))
    with pytest.raises(RefusedFile, match=r"MAP-SHEETS.*'power.csv'"):
        read_file(path, mapping=parse_mapping(content | {"sheets": ["water*"]}, "m"))
    read = inspect(path, mapping=parse_mapping(content | {"sheets": ["pow*"]}, "m"))
    assert add_up(read) == {"import": sum(VALUES)}


@pytest.mark.parametrize("minutes", [5, 15, 60])
def test_power_is_energy_by_the_unit_of_each_row(tmp_path: Path, minutes: int) -> None:
    times = [START + datetime.timedelta(minutes=minutes * n) for n in range(24)]
    kinds = (("1-1:1.29.0", "kW"), ("1-1:2.29.0", "W"), ("1-1:3.29.0", "kVAR"))
    rows = [
        f"LU1,{code},{t:%Y-%m-%d %H:%M},{v},{unit}"
        for code, unit in kinds
        for t, v in zip(times, VALUES, strict=False)
    ]
    path = tmp_path / "export.csv"
    path.write_text("\n".join(["Point,OBIS,Start,Value,Unit", *rows, ""]))
    proposal = propose_mapping(path, "Europe/Luxembourg")
    document = inspect(path, mapping=parse_mapping(fill(proposal), "m"))
    totals = {
        channel["register"]: (channel["unit"], Decimal(channel["total"])) for channel in document["channels"]
    }
    energy = sum(VALUES[:24], Decimal(0)) * minutes / 60
    for (code, _), (unit, expected) in zip(
        kinds, (("kWh", energy), ("kWh", energy / 1000), ("kvarh", energy)), strict=True
    ):
        assert totals[code][0] == unit
        assert abs(totals[code][1] - expected) < Decimal("0.0000001")


@pytest.mark.parametrize("unit", ["kW-hr", "kW·h", "kWh", "kW-hrs"])
def test_a_unit_with_a_hyphen_stands_behind_a_number(tmp_path: Path, unit: str) -> None:
    reads = [Decimal(120334) + sum(VALUES[:n], Decimal(0)) for n in range(COUNT)]
    rows = [
        f"{t:%d-%b-%y %I:%M:%S %p} CET,{{ok}},{read} {unit}"
        for t, read in zip(LOCAL[:26], reads, strict=False)
    ]
    proposal = propose(tmp_path, "\n".join(["Timestamp,Status,Value", *rows, ""]))
    assert add_up(load(tmp_path, proposal)) == {"import": sum(VALUES[:25])}


@pytest.mark.parametrize("offset", ["", "+01:00"])
def test_an_end_may_be_the_last_second(tmp_path: Path, offset: str) -> None:
    last = datetime.timedelta(minutes=14, seconds=59)
    times = [START - 2 * datetime.timedelta(days=1) + datetime.timedelta(minutes=15 * n) for n in range(48)]
    rows = [f"{t + last:%Y-%m-%d %H:%M:%S}{offset},{v}" for t, v in zip(times, VALUES, strict=False)]
    proposal = propose(tmp_path, "\n".join(["End,Import kWh", *rows, ""]))
    document = load(tmp_path, proposal)
    assert add_up(document) == {"import": sum(VALUES[:48])}
    assert document["channels"][0]["first"] == "2024-03-27T23:00:00Z"
    assert document["rejected"] == []
