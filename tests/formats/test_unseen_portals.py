"""Exports in the shapes of portals that proposals refused or read wrong once: totals, open fields, reasons.

Each total is a plain sum of what the file was made of.
"""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.inspect import inspect
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.answers import fill_units
from tests.formats.test_outsiders import add_up, channels, draw, lay_out, load, name_times, propose

UTC = datetime.UTC
COUNT = 192
A, B, C = draw("a", COUNT), draw("b", COUNT), draw("c", COUNT)
Row = Callable[[int, datetime.datetime, datetime.datetime], str]


def comma(value: object) -> str:
    return str(value).replace(".", ",")


@dataclass
class Portal:
    """A table with a row for each interval, the sums of what is in it, and one answer of a person."""

    zone: str
    header: str
    row: Row
    totals: dict[str, Any]
    minutes: int = 15
    answers: dict[str, Any] = field(default_factory=dict)

    def write(self) -> str:
        times = name_times(self.zone, "2024-06-03", self.minutes, COUNT)
        return "\n".join([self.header, *(self.row(n, *pair) for n, pair in enumerate(times)), ""])


PORTALS = {
    "GoodWe, Spain": Portal(
        "Europe/Madrid",
        "Hora;Generación(kWh);Consumo(kWh);Venta(kWh);Compra(kWh)",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M:%S};{comma(C[n])};{comma(A[n] + 1)};{comma(B[n])};{comma(A[n])}",
        {"generation": sum(C), "consumption": sum(A) + COUNT, "export": sum(B), "import": sum(A)},
    ),
    "Niagara": Portal(
        "America/New_York",
        "history:/Station/Meter\nTimestamp,Status,Value (kW-hr)",
        lambda n, s, e: f"{s:%d-%b-%y %I:%M:%S %p},{{ok}},{A[n]}",
        {"import": sum(A)},
        answers={"qualities": {"{ok}": "actual"}},
    ),
    "EWZ": Portal(
        "Europe/Zurich",
        "Zeit;Wirkenergie Bezug Wh",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};" + f"{A[n] * 10_000:,.1f}".replace(",", "\u2019"),
        {"import": sum(A) * 10},
    ),
    "a value for a missing one": Portal(
        "Europe/Berlin",
        "Zeit;Bezug kWh",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{'-9999' if n % 30 == 0 else comma(A[n])}",
        {"import": sum(A) - sum(A[::30])},
    ),
    "a word for a missing one": Portal(
        "Europe/Berlin",
        "Zeit;Bezug kWh",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{'Messung gestört' if n % 30 == 0 else comma(A[n])}",
        {"import": sum(A) - sum(A[::30])},
    ),
    "data collectors, Britain": Portal(
        "Europe/London",
        "MPAN,Quantity,Time,kWh",
        lambda n, s, e: (
            f"1200000000001,AI,{s:%Y-%m-%d %H:%M},{A[n]}\n1200000000001,AE,{s:%Y-%m-%d %H:%M},{B[n]}"
        ),
        {"import": sum(A), "export": sum(B)},
        30,
    ),
    "energy in and out, Spain": Portal(
        "Europe/Madrid",
        "Fecha;Hora;Magnitud;Valor kWh",
        lambda n, s, e: "\n".join(
            f"{s:%d/%m/%Y;%H:%M};{word};{comma(values[n])}" for word, values in (("AE", A), ("AS", B))
        ),
        {"import": sum(A), "export": sum(B)},
        answers={"channels": {"AE": "import", "AS": "export"}},
    ),
    "reactive energy without a unit": Portal(
        "Europe/Warsaw",
        "Czas;A+;A-;R+;R-",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M};{comma(A[n])};{comma(B[n])};{comma(C[n])};0,{n:03}",
        {"import": sum(A), "export": sum(B)},
    ),
    "power and reactive power": Portal(
        "Europe/Vienna",
        "Zeit;P+ (kW);P- (kW);Q+ (kvar);Q- (kvar)",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{comma(A[n])};{comma(B[n])};{comma(C[n])};0,1",
        {"import": sum(A) / 4, "export": sum(B) / 4},
    ),
    "watts in words": Portal(
        "Europe/Berlin",
        "Zeit;Mittlere Leistung in Watt",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{A[n] * 1000:.0f}",
        {"import": sum(A)},
        60,
    ),
    "a total of the day": Portal(
        "Europe/Berlin",
        "Datum;Zeit;kWh;Tagessumme kWh",
        lambda n, s, e: f"{s:%d.%m.%Y;%H:%M};{comma(A[n])};{comma(sum(A[n // 96 * 96 : n // 96 * 96 + 96]))}",
        {"import": sum(A)},
    ),
    "energy of today so far": Portal(
        "Europe/Berlin",
        "Time,Interval kWh,Today kWh",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M},{A[n]},{sum(A[n // 96 * 96 : n + 1])}",
        {"import": sum(A)},
    ),
    "day and night": Portal(
        "Europe/London",
        "Time,Day (kWh),Night (kWh)",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M},{A[n] if s.hour > 7 else 0},{0 if s.hour > 7 else A[n]}",
        {"import": sum(A)},
    ),
    "tariffs, Portugal": Portal(
        "Europe/Lisbon",
        "Data;Hora;Vazio (kWh);Ponta (kWh);Cheias (kWh)",
        lambda n, s, e: f"{s:%Y-%m-%d;%H:%M};{comma(A[n])};{comma(B[n])};{comma(C[n])}",
        {"import": sum(A) + sum(B) + sum(C)},
    ),
    "the hour alone": Portal(
        "Europe/Stockholm",
        "Datum,Förbrukning kWh",
        lambda n, s, e: f"{s:%Y-%m-%d %H},{A[n]}",
        {"import": sum(A)},
        60,
    ),
    "two ways to write an offset": Portal(
        "Europe/Berlin",
        "time,import_kwh",
        lambda n, s, e: f"{s.isoformat() if n % 2 else f'{s.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'},{A[n]}",
        {"import": sum(A)},
    ),
    "seconds with a decimal": Portal(
        "Europe/Berlin", "timestamp,kwh_import", lambda n, s, e: f"{s.timestamp()},{A[n]}", {"import": sum(A)}
    ),
    "hours ending": Portal(
        "America/New_York",
        "Date,Hour,kWh",
        lambda n, s, e: f"{s:%m/%d/%Y},HE{s.hour + 1:02},{A[n]}",
        {"import": sum(A)},
        60,
    ),
    "intervals from 0": Portal(
        "Europe/Berlin",
        "Date,Interval,kWh",
        lambda n, s, e: f"{s:%Y-%m-%d},{n % 96},{A[n]}",
        {"import": sum(A)},
    ),
    "a log with blanks": Portal(
        "Europe/Berlin",
        "# date time kWh",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M} {A[n]}",
        {"import": sum(A)},
    ),
    "numbers kept as texts": Portal(
        "Europe/Berlin",
        "Zeit;Bezug kWh",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};'{comma(A[n])}",
        {"import": sum(A)},
    ),
    "status of measured data": Portal(
        "Europe/Prague",
        "Datum;+A [kW];Status",
        lambda n, s, e: f"{e:%d.%m.%Y %H:%M};{comma(A[n])};naměřená data OK",
        {"import": sum(A) / 4},
    ),
    "hundreds of cubic feet": Portal(
        "America/New_York",
        "Date,Start,Usage (CCF)",
        lambda n, s, e: f"{s:%Y-%m-%d},{s:%H:%M},{A[n]}",
        {"consumption": sum(A) * 100},
        60,
    ),
    "names in Greek": Portal(
        "Europe/Athens",
        "Ημερομηνία;Ώρα;Κατανάλωση (kWh)",
        lambda n, s, e: f"{s:%d/%m/%Y;%H:%M};{comma(A[n])}",
        {"import": sum(A)},
    ),
    "a meter's point in numbers": Portal(
        "Europe/Oslo",
        "Målepunkt;Fra;Til;Forbruk;Enhet",
        lambda n, s, e: f"7070;{s:%d.%m.%Y %H:%M};{e:%d.%m.%Y %H:%M};{comma(A[n])};kWh",
        {"import": sum(A)},
        60,
    ),
    "hours and minutes apart": Portal(
        "America/Moncton",
        "Début;kWh consommés;kWh produits",
        lambda n, s, e: f"{s:%Y-%m-%d %H h %M};{comma(A[n] * (n % 3 > 0))};{comma(B[n])}",
        {"import": sum(value for n, value in enumerate(A) if n % 3), "generation": sum(B)},
        60,
    ),
    "generation, Brazil": Portal(
        "America/Sao_Paulo",
        "Data;Hora;Consumo Ativo kWh;Geração kWh;Demanda kW",
        lambda n, s, e: f"{s:%d/%m/%Y;%H:%M};{comma(A[n] * (n % 3 > 0))};{comma(B[n])};{comma(A[n] * 4)}",
        {"import": sum(value for n, value in enumerate(A) if n % 3), "generation": sum(B)},
    ),
    "a storage, OpenEMS": Portal(
        "Europe/Berlin",
        "Datum/Uhrzeit;Netzbezug [kWh];Einspeisung [kWh];Speicher Beladung [kWh];Speicher Entladung [kWh]",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{comma(A[n])};{comma(B[n])};{comma(C[n])};0,1",
        {"import": sum(A), "export": sum(B)},
    ),
    "dials, one of them idle": Portal(
        "Europe/Amsterdam",
        "time,Import T1 kWh,Import T2 kWh,Export T1 kWh,Export T2 kWh",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M},{1000 + sum(A[:n])},{2000 + sum(B[:n])},{10 + sum(C[:n])},0",
        {"import": sum(A[:-1]) + sum(B[:-1]), "export": sum(C[:-1])},
    ),
    "modules and their sum": Portal(
        "Europe/Berlin",
        "Zeit;PV1 kWh;PV2 kWh;PV gesamt kWh;Netzbezug kWh",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{comma(A[n])};{comma(B[n])};{comma(A[n] + B[n])};{comma(C[n])}",
        {"generation": sum(A) + sum(B), "import": sum(C)},
    ),
}


@pytest.mark.parametrize("sender", PORTALS)
def test_the_file_of_a_portal_gives_its_totals(tmp_path: Path, sender: str) -> None:
    portal = PORTALS[sender]
    proposal = propose(tmp_path, portal.write(), portal.zone)
    assert NOT_USABLE not in proposal
    document = load(tmp_path, proposal, **portal.answers)
    found = add_up(document)
    assert {name: total for name, total in found.items() if name != "other"} == portal.totals
    counts = {"header": 0} | {entry["reason"]: entry["count"] for entry in document["rejected"]}
    # At most the line of units or of the program above the rows.
    assert sum(counts.values()) <= 2
    first = name_times(portal.zone, "2024-06-03", portal.minutes, 1)[0][0].astimezone(UTC)
    assert {channel["first"] for channel in document["channels"]} == {f"{first:%Y-%m-%dT%H:%M:%SZ}"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Received from LADWP (kWh)", "Delivered to LADWP (kWh)"), (None, None)),
        (("Received from the grid (kWh)", "Delivered to the grid (kWh)"), ("import", "export")),
        (("Delivered to customer (kWh)", "Received from customer (kWh)"), ("import", "export")),
        (("Energy Delivered (kWh)", "Energy Received (kWh)"), ("import", "export")),
        (("Volume consommé (m3)", "Energie consommée (kWh)"), ("consumption", None)),
        (("Gas (m3)", "Electricity (kWh)"), ("consumption", "import")),
    ],
)
def test_names_tell_the_channel_or_leave_it_open(
    tmp_path: Path, names: tuple[str, str], expected: tuple[str | None, str | None]
) -> None:
    proposal = propose(tmp_path, lay_out({name: draw(name) for name in names}))
    assert tuple(channels(proposal).values()) == expected


def test_devices_beside_their_total_are_left_to_a_person(tmp_path: Path) -> None:
    lines = [
        f"2024-06-{3 + n // 24:02} {n % 24:02}:00:00,{device},{name},{value}"
        for n in range(48)
        for device, name, value in (("mains", "Total Usage", A[n] + B[n]), ("a1", "Fridge", B[n]))
    ]
    proposal = propose(tmp_path, "\n".join(["DateTime,Device ID,Name,kWh", *lines, ""]), "America/Chicago")
    assert yaml.safe_load(proposal)["channels"] == {"Fridge": "", "Total Usage": ""}


@pytest.mark.parametrize(
    ("header", "row"),
    [("Data,kWh", "{:%d/%m/%Y %H:%M},{}"), ("Data,Ora,Energia", "{:%d/%m/%Y,%H:%M},{}")],
)
def test_decimal_commas_without_quotes_are_refused(tmp_path: Path, header: str, row: str) -> None:
    times = name_times("Europe/Rome", "2024-06-03", 60, 72)
    lines = [row.format(at, comma(A[n])) for n, (at, _) in enumerate(times)]
    with pytest.raises(MappingError, match="decimal commas may be taken for ends of fields"):
        propose(tmp_path, "\n".join([header, *lines, ""]), "Europe/Rome")


@pytest.mark.parametrize(("ratios", "said"), [((40,), "is 40"), ((40, 80), "differs from row to row")])
def test_the_ratio_of_transformers_leaves_the_factor_open(
    tmp_path: Path, ratios: tuple[int, ...], said: str
) -> None:
    times = name_times("America/New_York", "2024-06-03", 15, 96)
    lines = [f"M1,{at:%Y-%m-%d %H:%M},{A[n]},{ratios[n % len(ratios)]}" for n, (at, _) in enumerate(times)]
    proposal = propose(tmp_path, "\n".join(["Meter,Time,kWh,CT Ratio", *lines, ""]), "America/New_York")
    assert f"factor:  # 'CT Ratio' {said}" in proposal
    with pytest.raises(MappingError, match="factor is empty"):
        load(tmp_path, proposal)
    content = fill_units(yaml.safe_load(proposal))
    content["values"][0]["factor"] = 40
    document = inspect(tmp_path / "export.csv", mapping=parse_mapping(content, "proposal"))
    assert add_up(document) == {"import": 40 * sum(A[:96])}


def test_the_ratio_of_a_row_per_day_leaves_the_factor_open(tmp_path: Path) -> None:
    hours = ",".join(f"H{hour}" for hour in range(1, 25))
    lines = [
        f"M1,2024-06-{day:02},40," + ",".join(map(str, A[day * 24 - 24 : day * 24])) for day in (3, 4, 5)
    ]
    proposal = propose(tmp_path, "\n".join([f"Meter,Date,MF,{hours}", *lines, ""]), "Asia/Kolkata")
    assert yaml.safe_load(proposal)["day"]["factor"] is None


def test_a_ratio_of_one_says_nothing(tmp_path: Path) -> None:
    times = name_times("America/New_York", "2024-06-03", 15, 96)
    lines = [f"M1,{at:%Y-%m-%d %H:%M},{A[n]},1" for n, (at, _) in enumerate(times)]
    proposal = propose(tmp_path, "\n".join(["Meter,Time,kWh,Multiplier", *lines, ""]), "America/New_York")
    assert "factor" not in proposal


def test_what_is_rejected_most_is_the_reason(tmp_path: Path) -> None:
    lines = [
        f"{at:%Y-%m-%d %H:%M};{10**15 + n if n % 2 else 1}"
        for n, (at, _) in enumerate(name_times("Etc/GMT", "2024-06-03", 15, 96))
    ]
    proposal = propose(tmp_path, "\n".join(["Time;Usage kWh", *lines, ""]), "Etc/GMT")
    assert "rows are rejected, 48 are read: ROW-PRECISION" in proposal.partition(NOT_USABLE)[2]


def test_codes_of_registers_in_a_path_tell_the_direction(tmp_path: Path) -> None:
    data = [
        {
            "ts": f"2024-06-0{3 + n // 24}T{n % 24:02}:00:00Z",
            "registers": {"1.8.0": {"value": str(A[n])}, "2.8.0": {"value": str(B[n])}},
        }
        for n in range(48)
    ]
    proposal = propose(tmp_path, json.dumps({"data": data}), "UTC", "export.json")
    assert channels(proposal) == {"registers.1.8.0.value": "import", "registers.2.8.0.value": "export"}


def test_a_long_text_names_no_register(tmp_path: Path) -> None:
    times = name_times("Etc/GMT", "2024-06-03", 15, 48)
    lines = [f"{at:%Y-%m-%d %H:%M};{word};1.5" for at, _ in times for word in ("A", "x" * 2000)]
    proposal = propose(tmp_path, "\n".join(["Time;Note;Usage kWh", *lines, ""]), "Etc/GMT")
    assert "no column distinguishes them" in proposal


def test_a_document_on_each_line_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "export.ndjson"
    lines = [
        json.dumps(
            {"mpan": "12000", "start": f"2024-06-0{3 + n // 24}T{n % 24:02}:00:00Z", "kwh": float(A[n])}
        )
        for n in range(48)
    ]
    path.write_text("\n".join([*lines, ""]))
    content = fill_units(yaml.safe_load(propose_mapping(path, "UTC")))
    assert content["rows"] == "$"
    assert add_up(inspect(path, mapping=parse_mapping(content, "proposal"))) == {"import": sum(A[:48])}
