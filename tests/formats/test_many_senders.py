"""Exports in shapes of many countries that were refused, read in another direction or left to a person once.

Each total is a plain sum of what the file was made of.
"""

import datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.formats.suggest.directions import resolve_channels
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.test_outsiders import UTC, add_up, channels, draw, lay_out, load, name_times, propose
from tests.formats.test_unseen_portals import COUNT, A, B, C, Portal, comma


def letter_hours(n: int, start: datetime.datetime) -> str:
    """Name an hour by its end; the one that comes again has a letter."""
    again = start.fold == 1 and start.utcoffset() != start.replace(fold=0).utcoffset()
    return f"{start.hour + 1}{'A' * again}"


PORTALS = {
    "Enphase, offsets behind American dates": Portal(
        "America/Phoenix",
        "Date/Time,Energy Produced (Wh),Energy Consumed (Wh),Exported to Grid (Wh),Imported from Grid (Wh)",
        lambda n, s, e: (
            f"{s:%m/%d/%Y %H:%M:%S %z},{A[n] * 1000:.0f},{(B[n] + C[n]) * 1000:.0f},"
            f"{B[n] * 1000:.0f},{C[n] * 1000:.0f}"
        ),
        {"generation": sum(A), "consumption": sum(B) + sum(C), "export": sum(B), "import": sum(C)},
    ),
    "ORES, the day of the end differs": Portal(
        "Europe/Brussels",
        "Date de début;Heure de début;Date de fin;Heure de fin;Volume (kWh)",
        lambda n, s, e: f"{s:%d/%m/%Y;%H:%M:%S};{e:%d/%m/%Y;%H:%M:%S};{comma(A[n])}",
        {"import": sum(A)},
    ),
    "Denmark, hours behind a word": Portal(
        "Europe/Copenhagen",
        "Tidspunkt;Forbrug (kWh);Temperatur",
        lambda n, s, e: f"{s:%d-%m-%Y} kl. {s:%H}-{e:%H};{comma(A[n])};12,1",
        {"import": sum(A)},
        60,
    ),
    "Japan, hours in words": Portal(
        "Asia/Tokyo",
        "日付,時間帯,使用量(kWh),料金めやす(円)",
        lambda n, s, e: f"{s.year}年{s.month}月{s.day}日,{s.hour}時～{s.hour + 1}時,{A[n]},{n}",
        {"import": sum(A)},
        60,
    ),
    "PNPSCADA": Portal(
        "Africa/Johannesburg",
        "Date,Time,kWh (P1 del),kWh (P2 rec),kvarh (Q1),kVA",
        lambda n, s, e: f"{e:%Y/%m/%d,%H:%M},{A[n]},{B[n]},{C[n]},1.5",
        {"import": sum(A), "export": sum(B), "reactive_import": sum(C)},
        30,
    ),
    "Schneider, milliseconds before AM": Portal(
        "America/Halifax",
        "Timestamp;Real Energy Into the Load (kWh);Real Energy Out of the Load (kWh)",
        lambda n, s, e: f"{s:%Y-%m-%d %I:%M:%S}.000 {s:%p};{A[n]};{B[n]}",
        {"import": sum(A), "export": sum(B)},
    ),
    "FusionSolar, irradiation": Portal(
        "Europe/Madrid",
        "Statistical Period,Global Irradiation (kWh/㎡),Theoretical Yield (kWh),PV Yield (kWh),"
        "Feed-in Energy (kWh)",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M:%S},{C[n]},{A[n] + C[n]},{A[n]},{B[n]}",
        {"generation": sum(A), "export": sum(B)},
        60,
    ),
    "India, groups of two digits": Portal(
        "Asia/Kolkata",
        "Sr No,Date & Time,Import Energy (kWh) Cumulative",
        lambda n, s, e: f'{n + 1},{s:%d-%m-%Y %H:%M},"{group(100 * sum(A[:n], Decimal("1234.56")))}"',
        {"import": 100 * sum(A[:-1])},
        30,
    ),
    "a fixed width, numbers at the right": Portal(
        "Europe/Berlin",
        "Datum        Zeit    Netzbezug_kWh   Einspeisung_kWh",
        lambda n, s, e: f"{s:%d.%m.%Y}  {s:%H:%M}  {A[n] * 100:>14} {B[n]:>12}",
        {"import": 100 * sum(A), "export": sum(B)},
    ),
    "Italy, A+ and A-": Portal(
        "Europe/Rome",
        "POD;Data;Ora;Ea+ (kWh);Ea- (kWh)",
        lambda n, s, e: f"IT001E12345678;{s:%d/%m/%Y;%H:%M};{comma(A[n])};{comma(B[n])}",
        {"import": sum(A), "export": sum(B)},
    ),
    "Switzerland, two tariffs and what returns": Portal(
        "Europe/Zurich",
        "Zeitstempel;Verbrauch Hochtarif [kWh];Verbrauch Niedertarif [kWh];Rücklieferung [kWh]",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{A[n]};{B[n]};{C[n]}",
        {"import": sum(A) + sum(B), "export": sum(C)},
    ),
    "Denmark, heat and its water": Portal(
        "Europe/Copenhagen",
        "Måler;Dato;Energi E1 (GJ);Volumen V1 (m3);Fremløb (°C)",
        lambda n, s, e: f"61234567;{s:%d-%m-%Y %H:%M};{comma(A[n])};{comma(B[n])};71,2",
        {"consumption": sum(A)},
        60,
    ),
    "a curve of powers beside a counter of the day": Portal(
        "Australia/Brisbane",
        "Time,Plant/Total PV Power(W),Plant/Total Load Active Power(W),Plant/Purchased Power(W),"
        "Plant/Daily PV Yield(Wh)",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M},{A[n] * 4000},{B[n] * 4000},{C[n] * 4000},{n % 96}",
        {"generation": sum(A), "consumption": sum(B), "import": sum(C)},
    ),
    "Emporia without solar": Portal(
        "America/Chicago",
        "Time Bucket (America/Chicago),Barn-Mains_A (kWhs),Barn-Mains_B (kWhs),Barn-Kitchen-1 (kWhs)",
        lambda n, s, e: f"{s:%m/%d/%Y %H:%M:%S},{A[n]},{B[n]},{C[n]}",
        {"import": sum(A) + sum(B)},
        60,
    ),
}


def group(number: Decimal) -> str:
    """Write a number as in India: the last three digits, and groups of two before them."""
    whole, _, rest = f"{number:.1f}".partition(".")
    lead, last = whole[:-3], whole[-3:]
    groups: list[str] = []
    while lead:
        lead, two = lead[:-2], lead[-2:]
        groups.insert(0, two)
    return ",".join([*groups, last]) + f".{rest}"


@pytest.mark.parametrize("sender", PORTALS)
def test_the_file_of_a_sender_gives_its_totals(tmp_path: Path, sender: str) -> None:
    portal = PORTALS[sender]
    proposal = propose(tmp_path, portal.write(), portal.zone)
    assert NOT_USABLE not in proposal
    found = add_up(load(tmp_path, proposal, **portal.answers))
    assert {name: total for name, total in found.items() if name != "other"} == portal.totals


def test_the_hour_that_comes_again_has_a_letter(tmp_path: Path) -> None:
    times = name_times("Europe/Warsaw", "2024-10-26", 60, 73)
    lines = [f"{s:%Y-%m-%d};{letter_hours(n, s)};{comma(A[n])}" for n, (s, _) in enumerate(times)]
    proposal = propose(
        tmp_path, "\n".join(["Data;Godzina;Energia pobrana [kWh]", *lines, ""]), "Europe/Warsaw"
    )
    document = load(tmp_path, proposal)
    assert (add_up(document), document["rejected"]) == ({"import": sum(A[:73])}, [])
    assert document["channels"][0]["last"] == f"{times[-1][0].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("zone", "codec", "header", "expected"),
    [
        ("Asia/Shanghai", "gb18030", "数据时间,正向有功(kWh),反向有功(kWh)", ["import", "export"]),
        ("Asia/Tokyo", "cp932", "日時,買電電力量(kWh),売電電力量(kWh)", ["import", "export"]),
        ("Europe/Prague", "cp1250", "Čas,Odběr (kWh),Výroba (kWh)", ["import", "generation"]),
        ("Europe/Istanbul", "cp1254", "Tarih,Çekiş (kWh),Veriş (kWh)", ["import", "export"]),
        ("Europe/Berlin", "cp1252", "Zeit,Bezug für Wärme (kWh),Rückspeisung (kWh)", ["import", "export"]),
    ],
)
def test_the_zone_tells_the_encoding(
    tmp_path: Path, zone: str, codec: str, header: str, expected: list[str]
) -> None:
    times = name_times(zone, "2024-06-03", 60, 72)
    lines = [f"{s:%Y-%m-%d %H:%M},{A[n]},{B[n]}" for n, (s, _) in enumerate(times)]
    (tmp_path / "export.csv").write_bytes("\n".join([header, *lines, ""]).encode(codec))
    proposal = propose_mapping(tmp_path / "export.csv", zone)
    assert yaml.safe_load(proposal)["encoding"] == codec
    # Heat that electricity makes has no medium of its own.
    assert list(channels(proposal).values())[1:] == expected[1:]
    totals = add_up(load(tmp_path, proposal))
    assert totals[expected[1]] == sum(B[:72])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("MWH_DEL", "MWH_REC"), ("import", "export")),
        (("a_act_energy", "a_act_ret_energy"), ("import", "export")),
        (("kWh+", "kWh-"), ("import", "export")),
        (("Ep+ (kWh) Charge", "Ep- (kWh) Source"), ("import", "export")),
        (("Grid -> Home", "PV -> Grid", "PV -> Home"), ("import", "export", "other")),
        (("Grid to battery", "Battery to grid", "Solar to battery"), ("import", "export", "other")),
        (("General", "Controlled Load"), ("import", "import")),
        (("未知",), ("",)),
        (("Gamyba (kWh)",), ("generation",)),
        (("Производство",), ("generation",)),
        (("Total del día kWh",), ("import",)),
        (("Meter North kWh", "Meter South kWh"), ("", "")),
        (("Tariff 1 shop", "Tariff 2 roof"), ("", "")),
        (("Peak kWh", "Off-peak kWh"), ("import", "import")),
        (("Mains_A", "Garage"), ("import", "other")),
        (("Mains_A", "Garage", "Solar"), ("", "", "generation")),
        (("Energy (GJ)", "Volume (m3)"), ("consumption", "other")),
        (("Varmeenergi [kWh]", "Vandmængde [m3]"), ("consumption", "")),
        (("Heat kWh", "Cold water m3"), ("consumption", "consumption")),
        (("Consumo Ponta (kWh)", "Consumo Fora Ponta (kWh)"), ("import", "import")),
        (("Netzbezug (kW)", "Akkubeladung (kW)", "Akkuentnahme (kW)"), ("import", "other", "other")),
        (("PV power (W)", "Load power (W)", "Meter power (W)"), ("generation", "consumption", "import")),
    ],
)
def test_names_beside_each_other(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert tuple(resolve_channels(names)) == expected


def test_a_total_beside_its_tariffs_is_no_register_to_count() -> None:
    codes = ("1-0:1.8.0*255", "1-0:1.8.1*255", "1-0:1.8.2*255", "1-0:2.8.0*255")
    assert resolve_channels(codes, are_registers=True) == ["other", "import", "import", "export"]


@pytest.mark.parametrize(
    ("name", "factor", "unit"),
    [
        ("Energy (0.01 kWh)", Decimal("0.01"), 1),
        ("Bezug [x10 Wh]", 10, Decimal("0.001")),
        ("Consumption (kWh x 1000)", 1000, 1),
        ("Demand [0.1 kW]", Decimal("0.1"), Decimal("0.25")),
    ],
)
def test_a_scale_in_the_name_leaves_the_factor_open(
    tmp_path: Path, name: str, factor: Decimal | int, unit: Decimal | int
) -> None:
    proposal = propose(tmp_path, lay_out({name: A}))
    with pytest.raises(MappingError, match="factor is empty"):
        load(tmp_path, proposal)
    values = [value | {"factor": factor} for value in yaml.safe_load(proposal)["values"]]
    assert add_up(load(tmp_path, proposal, values=values)) == {"import": sum(A) * factor * unit}


@pytest.mark.parametrize("name", ["Zone 10 kWh", "Verbrauch (kWh)", "Phase 1 kWh", "Power (kW)"])
def test_a_number_beside_a_unit_is_no_scale(tmp_path: Path, name: str) -> None:
    assert "factor" not in propose(tmp_path, lay_out({name: A}))


def test_columns_without_a_unit_wait_for_one_word(tmp_path: Path) -> None:
    """Small exports beside large imports would fit kWh; they are of the same device."""
    large, small = [v * 1000 for v in A], [v / 100 for v in B]
    proposal = propose(tmp_path, lay_out({"total_act_energy": large, "total_act_ret_energy": small}))
    content = yaml.safe_load(proposal)
    assert (content["unit"], [value.get("unit") for value in content["values"]]) == (None, [None, None])
    with pytest.raises(MappingError, match="unit is empty"):
        parse_mapping(content, "proposal")
    assert add_up(load(tmp_path, proposal, unit="Wh")) == {"import": sum(A), "export": sum(small) / 1000}


def test_the_sign_of_an_inverter_is_unknown(tmp_path: Path) -> None:
    net = [value if n % 3 else -value for n, value in enumerate(A)]
    proposal = propose(tmp_path, lay_out({"Grid power (W)": [v * 1000 for v in net]}))
    assert channels(proposal) == {"Grid power (W)": None}


@pytest.mark.parametrize(
    ("above", "factor"), [("Constante (kWh/pulso);0,0045\n", Decimal("0.0045")), ("Medidor;X1\n", None)]
)
def test_pulses_need_the_energy_of_one(tmp_path: Path, above: str, factor: Decimal | None) -> None:
    pulses = [Decimal(n * 7 % 31) for n in range(192)]
    proposal = propose(tmp_path, lay_out({"Pulsos ativa": pulses}, above=above))
    if factor is None:
        with pytest.raises(MappingError, match="factor is empty"):
            load(tmp_path, proposal)
        return
    assert add_up(load(tmp_path, proposal)) == {"import": sum(pulses) * factor}


def test_the_unit_of_another_column_is_not_forgotten(tmp_path: Path) -> None:
    lines = [f"{s:%m/%d/%Y %I:%M %p},{A[n]},Gallons" for n, (s, _) in enumerate(TIMES_OF_WATER)]
    text = "\n".join(["Flow_Time,Flow,Flow_Unit", *lines, ""])
    value = yaml.safe_load(propose(tmp_path, text, "America/Chicago"))["values"][0]
    assert (value["channel"], value["unit"]) == ("consumption", None)


TIMES_OF_WATER = name_times("America/Chicago", "2024-06-03", 60, 72)


@pytest.mark.parametrize("meaning", ["mark", "below_zero"])
def test_brackets_are_a_mark_or_a_minus(tmp_path: Path, meaning: str) -> None:
    times = name_times("Europe/Lisbon", "2024-06-03", 60, 72)
    lines = [
        f"{s:%d/%m/%Y;%H:%M};{f'({comma(A[n])})' if n % 7 == 3 else comma(A[n])}"
        for n, (s, _) in enumerate(times)
    ]
    proposal = propose(tmp_path, "\n".join(["Data;Hora;Consumo (kWh)", *lines, ""]), "Europe/Lisbon")
    assert yaml.safe_load(proposal)["brackets"] is None
    with pytest.raises(MappingError, match="brackets"):
        load(tmp_path, proposal)
    marked = sum(v for n, v in enumerate(A[:72]) if n % 7 == 3)
    totals = add_up(load(tmp_path, proposal, brackets=meaning))
    below = marked if meaning == "below_zero" else 0
    assert totals == {"import": sum(A[:72]) - below, "export": below}


def test_a_header_of_many_lines_is_read_whole(tmp_path: Path) -> None:
    times = name_times("Europe/Berlin", "2024-06-03", 5, COUNT)
    reads = [18_000 + sum(A[:n]) for n in range(COUNT)]
    lines = [f"{s:%d.%m.%Y %H:%M};{comma(reads[n])};0" for n, (s, _) in enumerate(times)]
    header = "sep=;\nVersion 1\n\n;SN: 21;SN: 21\n;STP;STP\n;Total yield;Power\n;Counter;Analog\n"
    text = header + "dd.MM.yyyy HH:mm;kWh;kW\n" + "\n".join([*lines, ""])
    document = load(tmp_path, propose(tmp_path, text))
    assert add_up(document) == {"generation": sum(A[:-1])}


def test_a_printed_net_of_generation_is_a_sum(tmp_path: Path) -> None:
    above = f"Total Usage,{sum(A) - sum(B)}\n"
    lines = [
        f"{s:%m/%d/%Y},{s:%I:%M %p},{A[n]},{B[n]}"
        for n, (s, _) in enumerate(name_times("America/New_York", "2024-06-03", 15, COUNT))
    ]
    text = above + "\n".join(["Date,Start Time,Consumption kWh,Generation kWh", *lines, ""])
    assert NOT_USABLE not in propose(tmp_path, text, "America/New_York")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/LGZ4ZMD\nF.F(00)\nP.01(25-06-01,00:15)(0.123)(00)\n!\n", "IEC 62056-21"),
    ],
)
def test_formats_that_are_not_read_are_named(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(RefusedFile, match=reason):
        propose(tmp_path, text, "UTC")


def test_a_column_for_the_repeated_hour_among_the_others_is_refused(tmp_path: Path) -> None:
    names = ["1", "2", "2A", *map(str, range(3, 25))]
    lines = [
        ";".join([f"2024-06-{3 + n:02}", *(comma(A[24 * n + k]) if k != 2 else "" for k in range(25))])
        for n in range(6)
    ]
    with pytest.raises(MappingError, match="stand among the others"):
        propose(tmp_path, "\n".join([";".join(["Data", *names]), *lines, ""]), "Europe/Warsaw")


def test_a_new_meter_begins_at_zero(tmp_path: Path) -> None:
    reads = [45_000 + sum(A[:n], Decimal(0)) for n in range(50)]
    reads += [sum(B[:n], Decimal(0)) for n in range(47)]
    proposal = propose(tmp_path, lay_out({"Contador (kWh)": reads}, minutes=60))
    assert yaml.safe_load(proposal)["values"][0]["resets"] == "to_zero"
    assert add_up(load(tmp_path, proposal)) == {"import": sum(A[:49]) + sum(B[:46])}


def test_two_counters_of_one_energy_count_once(tmp_path: Path) -> None:
    """In tenths of kWh their steps have few sizes."""
    energy = [Decimal(n * n % 11) / 10 for n in range(288)]
    text = lay_out(
        {
            "EacToday(kWh)": [sum(energy[:n], Decimal(0)) for n in range(288)],
            "EacTotal(kWh)": [sum(energy[:n], Decimal(5210)) for n in range(288)],
        },
        minutes=5,
    )
    proposal = propose(tmp_path, text)
    assert add_up(load(tmp_path, proposal)) == {"generation": sum(energy[:-1])}


def test_a_title_of_two_cells_begins_a_section(tmp_path: Path) -> None:
    text = "".join(
        f"Name:;{title}\nZeitstempel;Wert;Status\n"
        + "".join(
            f"{s:%d.%m.%Y %H:%M:%S};{values[n]};OK\n"
            for n, (s, _) in enumerate(name_times("Europe/Zurich", "2024-06-03", 15, 96))
        )
        for title, values in (("Bezug Hauptzähler [kWh]", A), ("Produktion PV [kWh]", B))
    )
    totals = add_up(load(tmp_path, propose(tmp_path, text, "Europe/Zurich")))
    assert totals == {"import": sum(A[:96]), "generation": sum(B[:96])}


def test_words_without_blanks_between_them(tmp_path: Path) -> None:
    names = ("generationPower(kW)", "feedinPower(kW)", "loadsPower(kW)", "gridConsumptionPower(kW)")
    proposal = propose(tmp_path, lay_out({name: draw(name) for name in names}))
    assert tuple(channels(proposal).values()) == ("generation", "export", "consumption", "import")


@pytest.mark.parametrize(
    ("name", "zone"),
    [("Startzeit (UTC+02:00)", "Etc/GMT-2"), ("Time (UTC-5)", "Etc/GMT+5"), ("Time (UTC)", "UTC")],
)
def test_the_name_of_a_column_tells_the_offset(tmp_path: Path, name: str, zone: str) -> None:
    proposal = propose(tmp_path, lay_out({"Usage (kWh)": A}, time=name))
    assert yaml.safe_load(proposal)["timezone"] == zone


def test_a_document_of_another_kind_has_no_proposal(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile):
        propose(tmp_path, "<?xml version='1.0'?><Invoice><Total>12</Total></Invoice>", "UTC", "export.xml")
