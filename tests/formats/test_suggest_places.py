"""Proposals for files whose times, series or sheets stand in an unusual place."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from data.ingest.formats.file_mappings import MappingError
from data.ingest.inspect import inspect
from data.ingest.proposals import propose_mapping
from tests.formats.mapped_csv_text import READING, mapping
from tests.formats.test_outsiders import add_up, draw, load, propose
from tests.formats.workbook_text import Cell, write_xlsx

DAY, JUNE = 24, 45809
A, B = draw("a", 3 * DAY), draw("b", 3 * DAY)


def comma(value: object) -> str:
    return str(value).replace(".", ",")


@pytest.mark.parametrize(
    ("title", "last"),
    [
        ("{day}. März 2025", "Summe;{total}"),
        ("Montag {day}. März 2025", "Summe;{total}"),
        ("Datum: {day:02}.03.2025;", ""),
        ("{day:02}.03.2025;;", "Tagessumme;{total}"),
    ],
)
def test_the_date_above_a_block_is_that_of_its_rows(tmp_path: Path, title: str, last: str) -> None:
    lines = []
    for number in range(3):
        values = A[number * DAY : (number + 1) * DAY]
        weekday = ("Montag", "Dienstag", "Mittwoch")[number]
        lines += [title.format(day=number + 3).replace("Montag", weekday), "Uhrzeit;Bezug kWh"]
        lines += [f"{hour:02}:00;{comma(value)}" for hour, value in enumerate(values)]
        lines += [last.format(total=comma(sum(values)))] if last else []
    proposal = propose(tmp_path, "\n".join([*lines, ""]))
    document = load(tmp_path, proposal)
    assert add_up(document) == {"import": sum(A)}
    assert document["channels"][0]["first"] == "2025-03-02T23:00:00Z"
    assert document["rejected"] == []


def test_rows_above_the_first_date_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("time,kWh\n00:00,1\n2025-03-03\n00:00,2\n01:00,3\n")
    declared = mapping(
        READING,
        interval_minutes=60,
        timestamp_format=None,
        date_format="%Y-%m-%d",
        time_format="%H:%M",
        columns={"date": "$title", "time": "time"},
        values=[{"column": "kWh", "channel": "import", "unit": "kWh"}],
        identifier="M1",
    )
    document = inspect(path, mapping=declared)
    assert add_up(document) == {"import": 5}
    assert document["rejected"][0]["first_line"] == 2


@pytest.mark.parametrize("digits", [6, 9])
def test_numbers_of_spreadsheets_are_times(tmp_path: Path, digits: int) -> None:
    rows = [f"{comma(f'{JUNE + n / DAY:.{digits}f}')};{comma(value)}" for n, value in enumerate(A)]
    proposal = propose(tmp_path, "\n".join(["Zeit;Bezug kWh", *rows, ""]))
    assert yaml.safe_load(proposal)["timestamp_format"] == "serial"
    document = load(tmp_path, proposal)
    assert (add_up(document), document["channels"][0]["first"]) == (
        {"import": sum(A)},
        "2025-05-31T22:00:00Z",
    )


def test_days_and_parts_of_the_day_are_times(tmp_path: Path) -> None:
    rows = [f"{JUNE + n // DAY},{n % DAY / DAY:.10f},{value}" for n, value in enumerate(A)]
    proposal = propose(tmp_path, "\n".join(["Date,Time,Import kWh", *rows, ""]))
    content = yaml.safe_load(proposal)
    assert (content["date_format"], content["time_format"]) == ("serial_date", "serial_time")
    assert add_up(load(tmp_path, proposal)) == {"import": sum(A)}


def test_a_dial_near_a_serial_number_is_no_time(tmp_path: Path) -> None:
    rows = [f"{n},{JUNE + sum(A[:n], Decimal(0))}" for n in range(len(A))]
    with pytest.raises(MappingError):
        propose(tmp_path, "\n".join(["Nr,kWh", *rows, ""]))


def test_a_clock_of_twelve_hours_without_am_and_pm_is_refused_with_its_reason(tmp_path: Path) -> None:
    rows = [f"2025-03-{3 + n // DAY:02} {n % 12 or 12}:00,{value}" for n, value in enumerate(A)]
    with pytest.raises(MappingError, match="twice a day, and nothing says AM or PM"):
        propose(tmp_path, "\n".join(["Time,kWh", *rows, ""]))


def test_arrays_beside_each_other_are_the_registers_of_a_meter(tmp_path: Path) -> None:
    def write(values: list[Decimal]) -> list[dict[str, object]]:
        return [
            {"from": f"2025-03-{3 + n // DAY:02}T{n % DAY:02}:00:00", "kWh": str(value)}
            for n, value in enumerate(values)
        ]

    text = json.dumps({"meter": "X1", "delivered": write(A), "returned": write(B)})
    document = load(tmp_path, propose(tmp_path, text, name="export.csv"))
    assert add_up(document) == {"import": sum(A), "export": sum(B)}
    assert document["skipped"] == document["rejected"] == []


def test_sheets_with_other_columns_are_named_and_proposed_one_by_one(tmp_path: Path) -> None:
    times = [f"2025-03-{3 + n // DAY:02} {n % DAY:02}:00" for n in range(len(A))]
    bought: list[list[Cell]] = [["Zeit", "Bezug kWh"]]
    bought += [[at, float(value)] for at, value in zip(times, A, strict=True)]
    made: list[list[Cell]] = [["Zeitpunkt", "Anlage", "Erzeugung kWh"]]
    made += [[at, "Dach", float(value)] for at, value in zip(times[:DAY], B, strict=False)]
    path = write_xlsx(tmp_path / "export.csv", {"Bezug": bought, "PV": made})
    proposal = propose_mapping(path, "Europe/Berlin")
    assert "not read: 'PV'" in proposal
    assert add_up(load(tmp_path, proposal)) == {"import": sum(A)}
    other = propose_mapping(path, "Europe/Berlin", "PV")
    assert add_up(load(tmp_path, other)) == {"generation": sum(B[:DAY])}


@pytest.mark.parametrize(
    ("name", "channel"),
    [("Zorglub", None), ("Ielikts tīklā", None), ("Valore", "import"), ("Mennyiség (kWh)", "import")],
)
def test_a_name_of_unknown_words_leaves_the_channel_open(
    tmp_path: Path, name: str, channel: str | None
) -> None:
    rows = [f"2025-03-{3 + n // DAY:02} {n % DAY:02}:00,{value}" for n, value in enumerate(A)]
    proposal = propose(tmp_path, "\n".join([f"Time,{name}", *rows, ""]))
    assert yaml.safe_load(proposal)["values"][0]["channel"] == channel


def test_a_date_with_commas_above_a_block_is_read(tmp_path: Path) -> None:
    lines = []
    for day, weekday in enumerate(("Sunday", "Monday", "Tuesday")):
        lines += [f"{weekday}, June {day + 1}, 2025", "Hour,Usage (kWh)"]
        lines += [f"{hour % 12 or 12}:00 {'AP'[hour > 11]}M,{A[DAY * day + hour]}" for hour in range(DAY)]
    document = load(tmp_path, propose(tmp_path, "\n".join([*lines, ""]), "America/New_York"))
    assert add_up(document) == {"import": sum(A)}
