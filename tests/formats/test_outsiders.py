"""Exports in shapes that proposals read wrong once: the right total, an open field, or a reason."""

import datetime
import random
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.inspect import inspect
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.answers import fill_units
from tests.formats.mapped_csv_text import READING, mapping, read, rows

UTC = datetime.UTC
Values = list[Decimal]
DAY = 96


def draw(name: str, count: int = 2 * DAY, places: int = 3) -> Values:
    chance = random.Random(name)
    return [Decimal(chance.randrange(1, 2000)).scaleb(-places) for _ in range(count)]


def name_times(
    zone: str, first: str, minutes: int, count: int
) -> list[tuple[datetime.datetime, datetime.datetime]]:
    """Return start and end of intervals that follow each other, on the clock of the wall."""
    at = datetime.datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    step = datetime.timedelta(minutes=minutes)
    pairs = [(at + n * step, at + (n + 1) * step) for n in range(count)]
    return [(start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))) for start, end in pairs]


def lay_out(columns: dict[str, Values], *, above: str = "", minutes: int = 15, time: str = "Time") -> str:
    count = len(next(iter(columns.values())))
    lines = [
        ";".join([f"{start:%Y-%m-%d %H:%M}", *(str(values[n]) for values in columns.values())])
        for n, (start, _) in enumerate(name_times("Etc/GMT", "2024-06-03", minutes, count))
    ]
    return above + "\n".join([";".join([time, *columns]), *lines, ""])


def propose(folder: Path, text: str, zone: str = "Europe/Berlin", name: str = "export.csv") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return propose_mapping(path, zone)


def load(folder: Path, proposal: str, **answers: Any) -> dict[str, Any]:
    """Return the document of the file, read by its proposal."""
    content = yaml.safe_load(proposal)
    content |= {"identifier": "M1"} if "identifier" in content else {}
    content = fill_units(content) | answers
    return inspect(folder / "export.csv", mapping=parse_mapping(content, "proposal"))


def add_up(document: dict[str, Any]) -> dict[str, Decimal]:
    assert document["status"] == "ok", document
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for channel in document["channels"]:
        totals[channel["channel"]] += Decimal(channel["total"])
    return dict(totals)


def channels(proposal: str) -> dict[str, str | None]:
    return {str(value["column"]): value.get("channel") for value in yaml.safe_load(proposal)["values"]}


def test_the_consumption_of_a_site_does_not_hide_its_import(tmp_path: Path) -> None:
    own, bought, sent = draw("own"), draw("bought"), draw("sent")
    text = lay_out(
        {
            "Direktverbrauch [kWh]": own,
            "Netzeinspeisung [kWh]": sent,
            "Gesamtertrag [kWh]": [x + y for x, y in zip(own, sent, strict=True)],
            "Netzbezug [kWh]": bought,
            "Gesamtverbrauch [kWh]": [x + y for x, y in zip(own, bought, strict=True)],
        }
    )
    totals = add_up(load(tmp_path, propose(tmp_path, text)))
    del totals["other"]
    assert totals == {
        "import": sum(bought),
        "export": sum(sent),
        "generation": sum(own) + sum(sent),
        "consumption": sum(own) + sum(bought),
    }


@pytest.mark.parametrize(
    ("name", "factor"),
    [("P+ prejeta delovna moč", 4), ("Prejeta", 4), ("Wert", 4), ("Menge x", Decimal("0.25"))],
)
def test_a_multiple_of_the_energy_is_not_counted_beside_it(
    tmp_path: Path, name: str, factor: Decimal
) -> None:
    energy = draw("energy")
    text = lay_out({"Energija A+ (kWh)": energy, name: [value * factor for value in energy]})
    proposal = propose(tmp_path, text, "Europe/Ljubljana")
    assert add_up(load(tmp_path, proposal)) == {"import": sum(energy)}


def test_columns_that_are_not_a_multiple_stay(tmp_path: Path) -> None:
    """Two dwellings that use about the same are two dwellings."""
    one = draw("one")
    other = [value * 2 + Decimal(n % 3) / 1000 for n, value in enumerate(one)]
    proposal = propose(tmp_path, lay_out({"Tarif 1 (kWh)": one, "Tarif 2 (kWh)": other}))
    assert add_up(load(tmp_path, proposal)) == {"import": sum(one) + sum(other)}


@pytest.mark.parametrize(
    "name",
    [
        "Börsihind (senti/kWh)",
        "Price per kWh",
        "kWh $",
        "Cost (£)",
        "Block energy kVAh (Import)",
        "Scheinarbeit",
    ],
)
def test_prices_and_apparent_energy_are_left_out(tmp_path: Path, name: str) -> None:
    energy = draw("energy")
    proposal = propose(tmp_path, lay_out({"Usage (kWh)": energy, name: draw("price")}))
    assert add_up(load(tmp_path, proposal)) == {"import": sum(energy)}
    assert "# left out: " in proposal


@pytest.mark.parametrize(
    ("name", "above"),
    [
        ("watt_hours", ""),
        ("Usage (Watt-hours)", ""),
        ("Verbrauch", "Lastprofil (alle Werte in Wh)\n"),
        ("Verbrauch", "Einheit;Wh\n"),
    ],
)
def test_a_unit_in_words_is_read(tmp_path: Path, name: str, above: str) -> None:
    energy = draw("energy", places=0)
    assert add_up(load(tmp_path, propose(tmp_path, lay_out({name: energy}, above=above)))) == {
        "import": sum(energy) / 1000
    }


@pytest.mark.parametrize("places", [0, 3])
def test_a_unit_that_nothing_states_stays_open(tmp_path: Path, places: int) -> None:
    proposal = propose(tmp_path, lay_out({"Verbrauch": draw("energy", places=places)}))
    (value,) = yaml.safe_load(proposal)["values"]
    assert value["unit"] is None
    assert "kW on average" in proposal


def test_units_below_the_names_stand_beside_the_zone(tmp_path: Path) -> None:
    bought, sent = draw("bought"), draw("sent")
    text = lay_out(
        {"Grid to consumers": bought, "PV to grid": sent, "PV to consumers": draw("own")}, time="timestamp"
    )
    text = text.replace("\n", "\nEurope/Berlin (+02:00);kWh;kWh;kWh\n", 1)
    totals = add_up(load(tmp_path, propose(tmp_path, text)))
    assert (totals["import"], totals["export"]) == (sum(bought), sum(sent))


def test_energy_before_and_behind_an_inverter_is_not_added(tmp_path: Path) -> None:
    names = ("PV yield (kWh)", "Inverter output (kWh)")
    assert channels(propose(tmp_path, lay_out({name: draw(name) for name in names}))) == dict.fromkeys(names)
    both = ("Inverter 1 (kWh)", "Inverter 2 (kWh)")
    proposal = propose(tmp_path, lay_out({name: draw(name) for name in both}))
    assert channels(proposal) == dict.fromkeys(both, "generation")


def test_what_the_sun_sends_is_not_what_the_grid_takes(tmp_path: Path) -> None:
    names = ("solar_energy_exported (kWh)", "grid_energy_exported (kWh)")
    proposal = propose(tmp_path, lay_out({name: draw(name) for name in names}))
    assert channels(proposal) == {names[0]: None, names[1]: "export"}


@pytest.mark.parametrize(
    ("above", "name", "expected"),
    [
        ("Generación (kWh)\n", "Valor", "generation"),
        ("Export (kWh)\n", "Value", "export"),
        ("Lastgang Einspeisung PV\n", "Wert", None),
        ("OBIS;1-1:2.29.0\n", "Wert", None),
        ("OBIS;1-1:1.29.0\n", "Wert", "import"),
        ("Data export of 2.8.2024\n", "Value", "import"),
        ("Lieferung (kWh)\n", "Wert", None),
        ("", "Lieferung (kWh)", None),
        ("Lastgang Einspeisung\n", "Bezug (kWh)", "import"),
    ],
)
def test_a_title_tells_the_channel_or_leaves_it_open(
    tmp_path: Path, above: str, name: str, expected: str | None
) -> None:
    assert channels(propose(tmp_path, lay_out({name: draw("energy")}, above=above))) == {name: expected}


def test_rows_of_devices_have_a_channel_for_each(tmp_path: Path) -> None:
    lines = [
        f"2024-06-{3 + n // 24:02} {n % 24:02}:00,{device},{name},{n % 7}.25"
        for n in range(48)
        for device, name in (("mains", "Total Usage"), ("sun", "Solar Production"), ("a1", "Fridge"))
    ]
    proposal = propose(tmp_path, "\n".join(["Time,Device ID,Name,kWh", *lines, ""]))
    words = yaml.safe_load(proposal)["channels"]
    assert words == {"Total Usage": "", "Solar Production": "generation", "Fridge": ""}


@pytest.mark.parametrize(("word", "is_usable"), [("Summe", True), ("Haus", False)])
def test_a_meter_that_has_the_total_of_the_others_does_not_count(
    tmp_path: Path, word: str, is_usable: bool
) -> None:
    parts = {name: draw(name, 48) for name in ("1ESY1", "1ESY2", "1ESY3")}
    parts[word] = [sum(values) for values in zip(*parts.values(), strict=True)]
    lines = [
        f"2024-06-{3 + n // 24:02} {n % 24:02}:00;{meter};{values[n]}"
        for n in range(48)
        for meter, values in parts.items()
    ]
    proposal = propose(tmp_path, "\n".join(["Zeit;Zähler;Verbrauch (kWh)", *lines, ""]))
    assert (NOT_USABLE not in proposal) == is_usable
    if is_usable:
        document = load(tmp_path, proposal)
        assert sum(add_up(document).values()) == sum(sum(parts[name]) for name in parts if name != word)
        assert document["skipped"] == [{"reason": "named by ignore_rows", "count": 48}]
    else:
        assert "the meter 'Haus' has the total of all others" in proposal


def test_the_repeated_hour_decides_between_two_ends(tmp_path: Path) -> None:
    """3:00 stands twice where the end is the start and an hour, 2:00 where it is what the clock shows."""
    times = name_times("Europe/Warsaw", "2024-10-26", 60, 49)
    energy = draw("energy", 49)
    wall = datetime.timedelta(hours=1)
    lines = [
        f"{start.replace(tzinfo=None) + wall:%Y-%m-%d %H:%M};{value}"
        for (start, _), value in zip(times, energy, strict=True)
    ]
    proposal = propose(tmp_path, "\n".join(["Koniec;Pobór (kWh)", *lines, ""]), "Europe/Warsaw")
    document = load(tmp_path, proposal)
    assert (add_up(document), document["rejected"]) == ({"import": sum(energy)}, [])
    assert document["channels"][0]["first"] == "2024-10-25T22:00:00Z"


def test_a_short_day_decides_what_its_columns_count(tmp_path: Path) -> None:
    by_day: dict[str, Values] = {}
    for (start, _), value in zip(
        name_times("Europe/London", "2024-03-25", 30, 48 * 9 - 2), draw("energy", 48 * 9 - 2), strict=True
    ):
        by_day.setdefault(f"{start:%d/%m/%Y}", []).append(value)
    lines = [",".join([day, *map(str, values), *[""] * (48 - len(values))]) for day, values in by_day.items()]
    header = ",".join(["Date", *(f"HH{n:02}" for n in range(1, 49))])
    proposal = propose(tmp_path, "\n".join([header, *lines, ""]), "Europe/London")
    assert yaml.safe_load(proposal)["day"]["clock_change"] == "elapsed"
    assert sum(add_up(load(tmp_path, proposal)).values()) == sum(map(sum, by_day.values()))


def test_a_clock_without_summer_time_is_not_that_of_the_zone(tmp_path: Path) -> None:
    lines = [f"2024-03-{30 + n // 24} {n % 24:02}:00;{n % 7 + 1}.25" for n in range(48)]
    proposal = propose(tmp_path, "\n".join(["Zeit;Verbrauch (kWh)", *lines, ""]))
    assert f"# {NOT_USABLE}: rows have values in the hour that the clocks of the zone skip" in proposal
    assert NOT_USABLE not in propose(tmp_path, "\n".join(["Zeit;Verbrauch (kWh)", *lines, ""]), "Etc/GMT-1")


@pytest.mark.parametrize("is_descending", [False, True])
def test_midnight_below_the_other_rows_of_its_date_ends_the_day(tmp_path: Path, is_descending: bool) -> None:
    times = name_times("Europe/Vienna", "2024-06-03", 15, 3 * DAY)
    energy = draw("energy", 3 * DAY)
    lines = [
        f"{start:%d.%m.%Y};{end:%H:%M};{value}" for (start, end), value in zip(times, energy, strict=True)
    ]
    lines = lines[::-1] if is_descending else lines
    document = load(tmp_path, propose(tmp_path, "\n".join(["Datum;Uhrzeit;Bezug (kWh)", *lines, ""])))
    (channel,) = document["channels"]
    assert (Decimal(channel["total"]), channel["intervals"]) == (sum(energy), 3 * DAY)
    assert (channel["first"], channel["last"]) == ("2024-06-02T22:00:00Z", "2024-06-05T21:45:00Z")


def test_totals_of_months_above_quarter_hours_are_refused(tmp_path: Path) -> None:
    months = [f"M,2024-0{month}-01 00:00,{1400 + month}" for month in range(1, 6)]
    quarters = [
        f"M,{start:%Y-%m-%d %H:%M},{value}"
        for (start, _), value in zip(
            name_times("Etc/GMT", "2024-06-03", 30, DAY), draw("energy", DAY), strict=True
        )
    ]
    with pytest.raises(RefusedFile, match="a total of a longer span") as refusal:
        read(tmp_path, rows(*months, *quarters))
    assert (refusal.value.rule, refusal.value.line) == ("MAP-INTERVAL", 2)
    few = [line.rpartition(",")[0] + ",1.5" for line in months]
    assert read(tmp_path, rows(*few, *quarters)).rejected.num_rows == 0


def test_a_dial_that_passes_its_last_digit_is_no_reset(tmp_path: Path) -> None:
    energy = draw("energy", 96)
    shown = [(Decimal("99990") + sum(energy[: n + 1], Decimal(0))) % 100_000 for n in range(96)]
    proposal = propose(tmp_path, lay_out({"Zählerstand (kWh)": shown}))
    (value,) = yaml.safe_load(proposal)["values"]
    assert value["digits"] == 5 and "resets" not in value
    assert add_up(load(tmp_path, proposal)) == {"import": sum(energy[1:])}


@pytest.mark.parametrize("text", ["0.25 EUR", "about 0.25", "0.25 / 0.5"])
def test_texts_that_are_no_numbers_are_shown(tmp_path: Path, text: str) -> None:
    lines = [f"2024-06-{3 + n // 24:02} {n % 24:02}:00;{text}" for n in range(48)]
    with pytest.raises(MappingError, match="no column holds plain numbers alone, see '"):
        propose(tmp_path, "\n".join(["Time;Usage", *lines, ""]))


def test_values_of_both_signs_are_no_total(tmp_path: Path) -> None:
    """The sum of all rows above may be the next value by chance."""
    values = [Decimal(n % 7 - 3) for n in range(48)]
    values.append(sum(values, Decimal(0)))
    lines = [
        f"M,{start:%Y-%m-%d %H:%M},{value}"
        for (start, _), value in zip(name_times("Etc/GMT", "2024-06-03", 30, 49), values, strict=True)
    ]
    net = {"column": "kWh", "channel": "import", "unit": "kWh", "negative": "export"}
    parsed = read(tmp_path, rows(*lines), values=[net])
    assert parsed.rejected.num_rows == 0


def test_an_end_that_the_clock_puts_back_is_no_other_length(tmp_path: Path) -> None:
    times = name_times("America/New_York", "2024-11-02", 15, 2 * DAY + 4)
    lines = [
        f"M,{start:%Y-%m-%d %H:%M},{end - datetime.timedelta(minutes=1):%Y-%m-%d %H:%M},{n % 7}.5"
        for n, (start, end) in enumerate(times)
    ]
    path = tmp_path / "export.csv"
    path.write_text(rows(*lines, header="meter,time,end,kWh"))
    declared = mapping(READING, timezone="America/New_York", interval_minutes=15)
    assert inspect(path, mapping=declared)["rejected"] == []


def test_a_column_of_lengths_is_no_traceback(tmp_path: Path) -> None:
    lines = [f"2024-06-03T{n:02}:00:00,60,{n % 7}.25" for n in range(24)]
    proposal = propose(tmp_path, "\n".join(["Start,Duration (min),Consumption", *lines, ""]))
    assert add_up(load(tmp_path, proposal)) == {"import": Decimal(sum(n % 7 for n in range(24)) + 6)}


WORDS = {
    "Europe/Helsinki": ("Kulutus kWh", "Tuotanto kWh", (None, "generation")),
    "Europe/Budapest": ("Fogyasztás +A (kWh)", "Betáplálás -A (kWh)", ("import", "export")),
    "Europe/Istanbul": ("Çekiş (kWh)", "Veriş (kWh)", ("import", "export")),
    "Europe/Prague": ("Profil +A (kWh)", "Profil -A (kWh)", ("import", "export")),
    "Europe/Athens": ("Κατανάλωση (kWh)", "Παραγωγή (kWh)", (None, "generation")),
    "Asia/Tokyo": ("買電 (kWh)", "発電量 (kWh)", ("import", "generation")),
}


@pytest.mark.parametrize("zone", WORDS)
def test_the_words_of_more_languages_are_known(tmp_path: Path, zone: str) -> None:
    one, other, expected = WORDS[zone]
    proposal = propose(tmp_path, lay_out({one: draw("one"), other: draw("other")}), zone)
    assert tuple(channels(proposal).values()) == expected


@pytest.mark.parametrize("name", ["davon Wärmepumpe (kWh)", "of which heat pump (kWh)"])
def test_a_part_of_a_column_is_not_counted_beside_it(tmp_path: Path, name: str) -> None:
    energy = draw("energy")
    text = lay_out({"Haus gesamt (kWh)": energy, name: [value / 4 for value in draw("pump")]})
    proposal = propose(tmp_path, text)
    assert sum(add_up(load(tmp_path, proposal)).values()) == sum(energy)


def test_the_average_between_extremes_is_the_power(tmp_path: Path) -> None:
    power = draw("power", places=2)
    text = lay_out({"Min kW": [v / 2 for v in power], "Avg kW": power, "Max kW": [v + 1 for v in power]})
    assert add_up(load(tmp_path, propose(tmp_path, text))) == {"import": sum(power) / 4}


def test_a_total_among_registers_is_left_to_a_person(tmp_path: Path) -> None:
    lines = [
        f"2024-06-{3 + n // 24:02} {n % 24:02}:00;{word};{value}"
        for n in range(48)
        for word, value in (("HT", n % 7 + 1), ("NT", n % 5), ("Total", n % 7 + 1 + n % 5))
    ]
    proposal = propose(tmp_path, "\n".join(["Zeit;Tarif;kWh", *lines, ""]))
    assert NOT_USABLE not in proposal
    assert yaml.safe_load(proposal)["channels"] == {"HT": "import", "NT": "import", "Total": ""}


def test_one_day_of_each_month_is_not_taken_for_days_of_one_month(tmp_path: Path) -> None:
    lines = [f"{day};{n % 7}.5" for n, day in enumerate(f"01/{month:02}/2023" for month in range(1, 13))]
    text = "\n".join(["Date;Usage (kWh)", *lines, ""])
    assert "write " in propose(tmp_path, text, "Europe/London").split("date_format:")[1].split("\n")[0]
    days = yaml.safe_load(propose(tmp_path, text, "America/New_York"))
    assert days["date_format"] == "%m/%d/%Y"
    lines = [f"{day:02}/06/2024 {hour:02}:00;{hour % 7}.5" for day in (1, 2, 3) for hour in range(24)]
    hours = yaml.safe_load(
        propose(tmp_path, "\n".join(["Data;Consumo (kWh)", *lines, ""]), "America/Sao_Paulo")
    )
    assert hours["timestamp_format"] == "%d/%m/%Y %H:%M"
