"""Times in forms that were refused once: numbers, dates without a year, places in lists and keys of objects.

Each total is a plain sum of what the file was made of.
"""

import datetime
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.answers import fill_units
from tests.formats.mapped_csv_text import READING, mapping, read, rejections, rows, values
from tests.formats.test_outsiders import add_up, draw, load, name_times, propose


def table(header: str, rows: Sequence[str]) -> str:
    return "\n".join([header, *rows, ""])


def comma(value: object) -> str:
    return str(value).replace(".", ",")


CLOCKS: dict[str, tuple[str, int, str, Any]] = {
    "HHMM without zeros": (
        "America/New_York",
        15,
        "DATE,TIME,KWH",
        lambda s, e: f"{s.hour * 100 + s.minute}",
    ),
    "HHMM of the end": (
        "Australia/Brisbane",
        30,
        "Date,End Time,kWh",
        lambda s, e: f"{(e.hour * 100 + e.minute) or 2400}",
    ),
    "hours with decimals": (
        "Europe/Zurich",
        15,
        "Datum,Stunde,Wirkenergie kWh",
        lambda s, e: f"{Decimal(s.hour) + Decimal(s.minute) / 60}",
    ),
    "hours with two decimals": (
        "Europe/Oslo",
        5,
        "Dato,Klokkeslett,Forbruk kWh",
        lambda s, e: f"{s.hour + s.minute / 60:.2f}",
    ),
    "half hours": ("Asia/Tokyo", 30, "Date,Hour,kWh", lambda s, e: f"{s.hour + s.minute / 60:.1f}"),
}


@pytest.mark.parametrize("sender", CLOCKS)
def test_a_time_of_day_may_be_a_number(tmp_path: Path, sender: str) -> None:
    zone, minutes, header, write = CLOCKS[sender]
    times = name_times(zone, "2024-06-03", minutes, 2 * 1440 // minutes)
    energy = draw(sender, len(times))
    lines = [f"{s:%Y-%m-%d},{write(s, e)},{v}" for (s, e), v in zip(times, energy, strict=True)]
    document = load(tmp_path, propose(tmp_path, table(header, lines), zone))
    (channel,) = document["channels"]
    assert (Decimal(channel["total"]), channel["intervals"]) == (sum(energy), len(times))
    first, last = (start.astimezone(datetime.UTC) for start, _ in (times[0], times[-1]))
    assert channel["first"] == f"{first:%Y-%m-%dT%H:%M:%SZ}"
    assert channel["last"] == f"{last:%Y-%m-%dT%H:%M:%SZ}"


YEARLESS: dict[str, tuple[str, str, str, str, str, int | None]] = {
    "a title": (
        "Europe/Berlin",
        "Lastgang 2024\nDatum;Zeit;kWh",
        "{:%d.%m.;%H:%M}",
        "2024-06-03",
        "x.csv",
        None,
    ),
    "the file": (
        "America/Denver",
        "Time;Usage (kWh)",
        "{:%b %d %I:%M %p}",
        "2024-02-27",
        "use-2024-02.csv",
        None,
    ),
    "a person": (
        "Europe/Paris",
        "Jour;Heure;Consommation (kWh)",
        "{:%d/%m;%H:%M}",
        "2023-03-01",
        "x.csv",
        2023,
    ),
    "a new year": (
        "Europe/Rome",
        "Dal 30/12/2023 al 02/01/2024\nGiorno;Ora;Prelievo (kWh)",
        "{:%d/%m;%H:%M}",
        "2023-12-30",
        "x.csv",
        None,
    ),
    "a new year, newest first": (
        "Europe/Oslo",
        "Tid;Forbruk (kWh)",
        "{:%d. %b %H:%M}",
        "2023-12-30",
        "x.csv",
        2024,
    ),
}


@pytest.mark.parametrize("sender", YEARLESS)
def test_dates_without_a_year(tmp_path: Path, sender: str) -> None:
    zone, header, shape, first, name, answer = YEARLESS[sender]
    times = name_times(zone, first, 60, 96)
    energy = draw(sender, 96)
    lines = [f"{shape.format(s)};{comma(v)}" for (s, _), v in zip(times, energy, strict=True)]
    lines = lines[::-1] if "newest" in sender else lines
    path = tmp_path / name
    path.write_text(table(header, lines))
    content = fill_units(yaml.safe_load(propose_mapping(path, zone))) | {"identifier": "M1"}
    assert (content["year"] is None) == (answer is not None)
    content |= {"year": answer} if answer else {}
    (channel,) = inspect(path, mapping=parse_mapping(content, "proposal"))["channels"]
    assert Decimal(channel["total"]) == sum(energy)
    ends = [f"{at.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}" for at, _ in (times[0], times[-1])]
    assert [channel["first"], channel["last"]] == ends


def test_each_meter_begins_in_the_declared_year(tmp_path: Path) -> None:
    days = [datetime.date(2023, 1, 1) + datetime.timedelta(n) for n in range(365 + 40)]
    lines = [f"{meter},{day:%d/%m},{1 + day.day}" for meter in ("A", "B") for day in days]
    daily: dict[str, Any] = {
        "interval_minutes": 1440,
        "label": None,
        "timestamp_format": None,
        "date_format": "%d/%m",
        "year": 2023,
        "timezone": "Etc/GMT",
        "columns": {"identifier": "meter", "date": "time"},
    }
    parsed = read(tmp_path, rows(*lines), **daily)
    found = parsed.readings.to_pylist()
    assert [row["reading_ts"].date() for row in found] == days * 2
    assert sum(values(parsed)) == 2 * sum(1 + day.day for day in days)


def test_the_leap_day_exists_in_its_years_alone(tmp_path: Path) -> None:
    lines = ("M,28/02 00:00,1", "M,29/02 00:00,2", "M,01/03 00:00,3")
    for year, count in ((2024, 3), (2023, 2)):
        parsed = read(tmp_path, rows(*lines), timestamp_format="%d/%m %H:%M", year=year)
        assert parsed.readings.num_rows == count
    assert rejections(parsed) == [(3, "ROW-TIMESTAMP")]


@pytest.mark.parametrize("changes", [{"year": 2024}, {"timestamp_format": "%d/%m %H:%M"}])
def test_a_year_comes_with_dates_that_have_none(changes: dict[str, Any]) -> None:
    with pytest.raises(MappingError, match="give year, that of the first row"):
        mapping(READING, **changes)


HOURS = [datetime.datetime(2024, 6, 3, tzinfo=datetime.UTC) + datetime.timedelta(hours=n) for n in range(72)]
OF_HOURS = draw("hours", 72)
NUMBERS = [float(value) for value in OF_HOURS]
STARTS = [f"{at:%Y-%m-%dT%H:%MZ}" for at in HOURS]


def list_points(day: int) -> list[dict[str, str]]:
    own = OF_HOURS[24 * day : 24 * day + 24]
    return [{"position": str(n), "out_Quantity.quantity": str(value)} for n, value in enumerate(own, 1)]


LISTS: dict[str, Any] = {
    "a start and a length": {"meter": "M", "start": STARTS[0], "intervalMinutes": 60, "values": NUMBERS},
    "a start and a duration": {"from": STARTS[0], "resolution": "PT1H", "series": {"data": NUMBERS}},
    "a start and an end": {"from": STARTS[0], "to": "2024-06-06T00:00Z", "kWh": NUMBERS},
    "seconds": {"start": STARTS[0], "step": 3600, "values": NUMBERS},
    "lists of days": {
        "days": [{"date": STARTS[24 * n][:10], "values": NUMBERS[24 * n : 24 * n + 24]} for n in range(3)]
    },
    "points of a market document": {
        "TimeSeries": [
            {
                "measurement_Unit.name": "KWH",
                "Period": [
                    {
                        "resolution": "PT1H",
                        "timeInterval": {"start": STARTS[24 * day]},
                        "Point": list_points(day),
                    }
                    for day in range(3)
                ],
            }
        ]
    },
    "points without a length": {
        "periods": [{"start": STARTS[24 * day], "Point": list_points(day)} for day in range(3)]
    },
    "an object of times": {"readings": dict(zip(STARTS, NUMBERS, strict=True))},
    "an object of milliseconds": {
        f"{at.timestamp() * 1000:.0f}": v for at, v in zip(HOURS, NUMBERS, strict=True)
    },
    "an object of objects": {
        "data": {start: {"kWh": v, "cost": 1} for start, v in zip(STARTS, NUMBERS, strict=True)}
    },
}


@pytest.mark.parametrize("sender", LISTS)
def test_the_place_or_the_key_of_a_value_is_its_time(tmp_path: Path, sender: str) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(LISTS[sender]))
    proposal = propose_mapping(path, "UTC")
    assert NOT_USABLE not in proposal
    content = fill_units(yaml.safe_load(proposal))
    content |= {"identifier": "M"} if "identifier" in content else {}
    (channel,) = inspect(path, mapping=parse_mapping(content, "proposal"))["channels"]
    assert (Decimal(channel["total"]), channel["intervals"]) == (sum(OF_HOURS), 72)
    assert (channel["first"], channel["last"]) == ("2024-06-03T00:00:00Z", "2024-06-05T23:00:00Z")


def test_lists_of_two_directions_have_the_places_of_one_start(tmp_path: Path) -> None:
    sent = draw("sent", 72)
    path = tmp_path / "export.json"
    path.write_text(
        json.dumps(
            {"start": STARTS[0], "interval": "PT1H", "import": NUMBERS, "export": [float(v) for v in sent]}
        )
    )
    content = fill_units(yaml.safe_load(propose_mapping(path, "UTC"))) | {"identifier": "M"}
    document = inspect(path, mapping=parse_mapping(content, "proposal"))
    assert add_up(document) == {"import": sum(OF_HOURS), "export": sum(sent)}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"start": STARTS[0], "values": [*NUMBERS[:71]]}, "nothing says how long an interval is"),
        (
            {"rows": [{"at": at, "values": [1.5, 2.5, 3.5]} for at in STARTS]},
            "nothing says what the places in these lists mean",
        ),
    ],
)
def test_places_that_nothing_explains_are_not_guessed(tmp_path: Path, document: Any, reason: str) -> None:
    with pytest.raises(MappingError, match=reason):
        propose(tmp_path, json.dumps(document), "UTC", "export.json")


def test_registers_below_a_time_are_no_places(tmp_path: Path) -> None:
    energy = {"1.8.0": OF_HOURS, "2.8.0": draw("out", 72), "3.8.0": draw("reactive", 72)}
    data = [
        {
            "ts": start,
            "registers": [
                {"obis": code, "value": str(values[n]), "unit": "kvarh" if code[0] == "3" else "kWh"}
                for code, values in energy.items()
            ],
        }
        for n, start in enumerate(STARTS)
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"data": data}))
    content = fill_units(yaml.safe_load(propose_mapping(path, "UTC"))) | {"identifier": "M"}
    assert content["columns"]["register"] == "obis"
    content["channels"] |= {"3.8.0": "reactive_import"}
    document = inspect(path, mapping=parse_mapping(content, "proposal"))
    assert add_up(document) == {
        "import": sum(OF_HOURS),
        "export": sum(energy["2.8.0"]),
        "reactive_import": sum(energy["3.8.0"]),
    }


def test_a_missing_value_in_a_list_keeps_the_places_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"start": STARTS[0], "values": [1, None, 3, "x", 5]}))
    declared = {
        "format": "mapped_json",
        "rows": "$.values[*]",
        "interval_minutes": 60,
        "identifier": "M",
        "timestamp_format": "iso8601",
        "columns": {"timestamp": "$.start", "period": "$key"},
        "values": [{"column": "$value", "channel": "import", "unit": "kWh"}],
    }
    parsed = read_file(path, mapping=parse_mapping(declared, "declared"))
    found = {row["reading_ts"].hour: row["value"] for row in parsed.readings.to_pylist()}
    assert found == {0: 1, 1: None, 2: 3, 4: 5}
    assert [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()] == [(4, "ROW-VALUE")]
