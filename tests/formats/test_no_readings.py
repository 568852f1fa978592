"""Files whose values are no readings, such as totals of months and charging sessions, with the next step."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError
from data.ingest.proposals import NOT_USABLE
from tests.formats.mapped_csv_text import read, rows, values
from tests.formats.test_outsiders import draw, propose


def table(header: str, rows: Sequence[str]) -> str:
    return "\n".join([header, *rows, ""])


def comma(value: object) -> str:
    return str(value).replace(".", ",")


TOTALS = draw("totals", 12, places=0)
MONTH_NAMES = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
NO_READINGS = {
    "months": ("Month,Usage (kWh)", [f"2023-{n:02},{v}" for n, v in enumerate(TOTALS, 1)]),
    "months in words": (
        "Billing month,kWh",
        [f"{month} 2023,{v}" for month, v in zip(MONTH_NAMES, TOTALS, strict=True)],
    ),
    "first days of months": ("Datum,Verbrauch kWh", [f"2023-{n:02}-01,{v}" for n, v in enumerate(TOTALS, 1)]),
    "midnights of months": (
        "timestamp,consumption_kwh",
        [f"2023-{n:02}-01 00:00:00,{v}" for n, v in enumerate(TOTALS, 1)],
    ),
    "weeks": (
        "Week starting,kWh",
        [f"{datetime.date(2023, 1, 2) + datetime.timedelta(7 * n)},{v}" for n, v in enumerate(TOTALS)],
    ),
    "columns of months": (",".join(["Year", *MONTH_NAMES]), [",".join(["2023", *map(str, TOTALS)])]),
}


@pytest.mark.parametrize("sender", NO_READINGS)
def test_totals_of_months_and_weeks_are_refused_with_the_next_step(tmp_path: Path, sender: str) -> None:
    header, lines = NO_READINGS[sender]
    try:
        said = propose(tmp_path, table(header, lines)).partition(NOT_USABLE)[2]
    except MappingError as error:
        said = str(error)
    assert "totals of" in said
    assert "ask the sender for quarter-hours, hours or days" in said.lower()


@pytest.mark.parametrize("minutes", [60, 1440])
def test_totals_of_months_are_refused_however_they_are_declared(tmp_path: Path, minutes: int) -> None:
    header, lines = NO_READINGS["first days of months" if minutes == 1440 else "midnights of months"]
    times: dict[str, Any] = (
        {"columns": {"date": 1}, "date_format": "%Y-%m-%d", "timestamp_format": None, "label": None}
        if minutes == 1440
        else {"columns": {"timestamp": 1}, "timestamp_format": "%Y-%m-%d %H:%M:%S"}
    )
    value = {"column": 2, "channel": "import", "unit": "kWh"}
    with pytest.raises(RefusedFile, match="totals of weeks, months or bills") as refusal:
        read(
            tmp_path,
            table(header, lines),
            interval_minutes=minutes,
            identifier="M",
            values=[value],
            **times,
        )
    assert refusal.value.rule == "MAP-INTERVAL"


def test_whole_days_of_several_weeks_are_no_totals(tmp_path: Path) -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(7 * n) for n in range(4)]
    lines = [f"M,{day} {n // 2:02}:{n % 2 * 30:02},1.5" for day in days for n in range(48)]
    assert read(tmp_path, rows(*lines)).readings.num_rows == 4 * 48


def test_monthly_reads_of_a_dial_are_no_totals(tmp_path: Path) -> None:
    lines = [f"2023-{n:02}-01,{1000 * n + 7 * n * n}" for n in range(1, 13)]
    value = {"column": 2, "channel": "import", "unit": "kWh", "cumulative": True}
    parsed = read(
        tmp_path,
        table("Datum,Stand kWh", lines),
        interval_minutes=1440,
        identifier="M",
        values=[value],
        columns={"date": 1},
        date_format="%Y-%m-%d",
        timestamp_format=None,
        label=None,
    )
    assert sum(values(parsed)) == 11 * 1000 + 7 * (144 - 1)


SESSIONS = [
    (
        datetime.datetime(2024, 5, 1, 8, 13) + datetime.timedelta(minutes=n * 1117 + n % 7 * 31),
        20 + n * 37 % 300,
    )
    for n in range(40)
]
CHARGERS: dict[str, tuple[str, Any]] = {
    "csv": (
        "Session ID,Start,End,Energy (kWh)",
        lambda n, at, end: f"{1000 + n},{at:%Y-%m-%d %H:%M:%S},{end:%Y-%m-%d %H:%M:%S},{n % 50}.25",
    ),
    "semicolons": (
        "Ladegerät;Beginn;Ende;Geladene Energie [kWh];Nutzer",
        lambda n, at, end: f"EH1;{at:%d.%m.%Y %H:%M};{end:%d.%m.%Y %H:%M};{n % 50},25;Muster",
    ),
    "minutes": (
        "Connected at,Minutes,kWh",
        lambda n, at, end: f"{at:%d/%m/%Y %H:%M},{(end - at).seconds // 60},{n % 50}.5",
    ),
}


@pytest.mark.parametrize("sender", CHARGERS)
def test_charging_sessions_are_refused_with_the_next_step(tmp_path: Path, sender: str) -> None:
    header, write = CHARGERS[sender]
    lines = [write(n, at, at + datetime.timedelta(minutes=length)) for n, (at, length) in enumerate(SESSIONS)]
    proposal = propose(tmp_path, table(header, lines))
    assert "as charging sessions or other events do" in proposal.partition(NOT_USABLE)[2]
