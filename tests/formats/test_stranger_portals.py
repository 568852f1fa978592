"""Exports in the shapes of portals and devices that were read wrong, or refused with a wrong reason, once.

Each total is a plain sum of what the file was made of.
"""

import datetime
import json
import random
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.test_outsiders import add_up, channels, draw, lay_out, load, name_times, propose
from tests.formats.test_unseen_portals import Portal, comma

COUNT = 192
A, B, C = draw("a", COUNT), draw("b", COUNT), draw("c", COUNT)
TIMES = name_times("Europe/Berlin", "2024-06-03", 15, COUNT)

PORTALS = {
    "energy for each hour is power": Portal(
        "Europe/Stockholm",
        "Tid;Effekt (kWh/h)",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M};{comma(A[n])}",
        {"import": sum(A) / 4},
    ),
    "a status of inverters": Portal(
        "Europe/Warsaw",
        "Serial number,Time,Status,Ppv(W),Eac Total(kWh)",
        lambda n, s, e: f"X1,{s:%Y-%m-%d %H:%M:%S},Normal,{A[n]},{8123 + sum(A[:n], Decimal(0))}",
        {"generation": sum(A[:-1])},
    ),
    "phases of a meter beside reactive energy": Portal(
        "Europe/Rome",
        ",".join(
            ["timestamp"]
            + [f"{p}_{kind}_energy" for p in "ab" for kind in ("total_act", "fund_act", "lag_react")]
        ),
        lambda n, s, e: f"{int(s.timestamp())},{A[n] * 1000},{A[n] * 990},0.1,{B[n] * 1000},{B[n] * 990},0.2",
        {"import": sum(A) + sum(B)},
        answers={"unit": "Wh"},
    ),
    "codes of reactive energy": Portal(
        "Europe/Vienna",
        "Zeit;1-1:1.29.0*255;1-1:2.29.0*255;1-1:5.29.0*255;1-1:8.29.0*255",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M};{comma(A[n])};{comma(B[n])};0,1;0,2",
        {"import": sum(A), "export": sum(B)},
    ),
    "what is used beside what is sent out": Portal(
        "Australia/Sydney",
        "Time,Energy Generated (Wh),Energy Exported (Wh),Energy Used (Wh)",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M},{A[n] * 1000},{B[n] * 1000},{C[n] * 1000}",
        {"generation": sum(A), "export": sum(B), "consumption": sum(C)},
    ),
    "net after balancing": Portal(
        "Europe/Warsaw",
        "Data;Energia pobrana [kWh];Energia oddana [kWh];Energia po zbilansowaniu [kWh]",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M};{comma(A[n])};{comma(B[n])};{comma(A[n] - B[n])}",
        {"import": sum(A), "export": sum(B)},
    ),
    "what comes out, Spain": Portal(
        "Europe/Madrid",
        "Fecha;Energía activa entrante (Wh);Energía activa saliente (Wh)",
        lambda n, s, e: f"{s:%d/%m/%Y %H:%M};{A[n] * 1000:.0f};{B[n] * 1000:.0f}",
        {"import": sum(A), "export": sum(B)},
    ),
    "Greece": Portal(
        "Europe/Athens",
        "Ημερομηνία;Ενεργός Ενέργεια Εισαγωγή (kWh);Ενεργός Ενέργεια Έγχυση (kWh);Άεργος Ενέργεια",
        lambda n, s, e: f"{s:%d/%m/%Y %H:%M};{comma(A[n])};{comma(B[n])};0,1",
        {"import": sum(A), "export": sum(B)},
    ),
    "Bulgaria": Portal(
        "Europe/Sofia",
        "Дата;Консумирана активна енергия, kWh;Върната активна енергия, kWh",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{comma(A[n])};{comma(B[n])}",
        {"import": sum(A), "export": sum(B)},
    ),
    "a power factor is no ratio": Portal(
        "Asia/Kuala_Lumpur",
        "DATE,TIME,KW IMPORT,KVA,POWER FACTOR,KWH IMPORT",
        lambda n, s, e: f"{s:%d/%m/%Y,%H:%M},{A[n] * 4},{A[n] * 5},0.97,{A[n]}",
        {"import": sum(A)},
    ),
    "what was forecast": Portal(
        "Europe/Madrid",
        "Fecha;Consumo real (kWh);Consumo previsto (kWh)",
        lambda n, s, e: f"{s:%d/%m/%Y %H:%M};{comma(A[n])};{comma(B[n])}",
        {"import": sum(A)},
    ),
    "power in Cyrillic": Portal(
        "Europe/Chisinau",
        "Дата;A+ (кВт);A- (кВт);R+ (квар)",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{comma(A[n] * 4)};{comma(B[n] * 4)};0,1",
        {"import": sum(A), "export": sum(B)},
    ),
    "Ukraine": Portal(
        "Europe/Kyiv",
        "Дата;Активна енергія споживання, кВт·год;Активна енергія віддача, кВт·год",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{comma(A[n])};{comma(B[n])}",
        {"import": sum(A), "export": sum(B)},
    ),
    "Serbia": Portal(
        "Europe/Belgrade",
        "Datum i vreme;Preuzeta energija (kWh);Predata energija (kWh)",
        lambda n, s, e: f"{s:%d.%m.%Y. %H:%M};{comma(A[n])};{comma(B[n])}",
        {"import": sum(A), "export": sum(B)},
    ),
    "Indonesia": Portal(
        "Asia/Jakarta",
        "Tanggal,Pemakaian (kWh),Ekspor (kWh)",
        lambda n, s, e: f"{s:%d/%m/%Y %H:%M},{A[n]},{B[n]}",
        {"import": sum(A), "export": sum(B)},
    ),
    "delivered and received between reads": Portal(
        "America/Toronto",
        "timestamp,kWh del int,kWh rec int,kVARh del int,kW sd del-rec",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M:%S},{A[n]},{B[n]},0.1,{(A[n] - B[n]) * 4}",
        {"import": sum(A), "export": sum(B), "reactive_import": Decimal("0.1") * COUNT},
    ),
    "power by a unit in a column of any name": Portal(
        "Europe/Prague",
        "EAN;Od;Profil;Hodnota;Jednotka",
        lambda n, s, e: "\n".join(
            f"859182400000000001;{s:%d.%m.%Y %H:%M};{profile};{comma(values[n] * 4)};kW"
            for profile, values in (("spotřeba", [v * (k % 2) for k, v in enumerate(A)]), ("prodej", B))
        ),
        {"import": sum(value for k, value in enumerate(A) if k % 2), "export": sum(B)},
    ),
    "pulses of a kilowatt-hour": Portal(
        "Europe/Vienna",
        "Zeit;Impulse (1000 imp/kWh)",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{A[n] * 1000:.0f}",
        {"import": sum(A)},
    ),
    "nanoseconds": Portal(
        "Europe/Berlin",
        "time,import_wh",
        lambda n, s, e: f"{int(s.timestamp())}000000000,{A[n] * 1000:.0f}",
        {"import": sum(A)},
    ),
    "numbers with exponents": Portal(
        "Europe/Berlin",
        "time,import_Wh",
        lambda n, s, e: f"{s:%Y-%m-%d %H:%M},{float(A[n]) * 1000:.6e}",
        {"import": sum(A)},
    ),
    "times of a database": Portal(
        "Europe/Vienna",
        "READ_TS,KWH_DEL,KWH_REC",
        lambda n, s, e: f"{s:%d-%b-%y %I.%M.%S.000000 %p},{A[n]},{B[n]}",
        {"import": sum(A), "export": sum(B)},
    ),
    "times of a program": Portal(
        "Europe/Vienna",
        "Timestamp,Value kWh",
        lambda n, s, e: f"{s:%a %b %d %H:%M:%S} CEST {s:%Y},{A[n]}",
        {"import": sum(A)},
    ),
    "the time of the peak": Portal(
        "Europe/Berlin",
        "Date,Energy Exported (Wh),Peak Power (W),Peak Time",
        lambda n, s, e: (
            f"{datetime.date(2024, 1, 1) + datetime.timedelta(n)},{A[n] * 1000:.0f},{n},12:3{n % 10}"
        ),
        {"export": sum(A)},
        1440,
    ),
    "a title on each page": Portal(
        "Europe/Lisbon",
        "Relatório;;Página 0\nData;Hora;Consumo (kWh)",
        lambda n, s, e: (
            f"Relatório;;Página {n // 48}\nData;Hora;Consumo (kWh)\n" * (n % 48 == 47)
            + f"{s:%d-%m-%Y;%H:%M};{comma(A[n])}"
        ),
        {"import": sum(A)},
    ),
    "the date in the first row of a day": Portal(
        "Europe/Berlin",
        "Datum;Uhrzeit;Verbrauch kWh",
        lambda n, s, e: f"{s:%d.%m.%Y}" * (n % 96 == 0) + f";{s:%H:%M};{comma(A[n])}",
        {"import": sum(A)},
    ),
    "names with blanks above fields with blanks": Portal(
        "America/Chicago",
        "METER 7   REPORT\n\nDATE        TIME     KWH DEL   KWH REC\n----------  -----  --------  --------",
        lambda n, s, e: f"{s:%m/%d/%Y}  {s:%H:%M}  {A[n]:>8}  {B[n]:>8}",
        {"import": sum(A), "export": sum(B)},
    ),
}


@pytest.mark.parametrize("name", PORTALS)
def test_the_file_of_a_portal_gives_its_totals(tmp_path: Path, name: str) -> None:
    portal = PORTALS[name]
    document = load(tmp_path, propose(tmp_path, portal.write(), portal.zone), **portal.answers)
    assert add_up(document) == portal.totals


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Preis (EUR/MWh)", "a price"),
        ("Carbon intensity (gCO2/kWh)", "a price or an amount"),
        ("GHI (W/m2)", "irradiation"),
    ],
)
def test_a_column_that_is_no_energy_is_not_read_because_it_stands_alone(
    tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(MappingError, match=reason):
        propose(tmp_path, lay_out({name: A}))


@pytest.mark.parametrize("date", ["01 06 2568", "1404/03/11", "R7.6.1"])
def test_dates_of_another_calendar_are_named(tmp_path: Path, date: str) -> None:
    rows = "".join(f"{date},{hour:02}:00,{hour}\n" for hour in range(24))
    with pytest.raises(MappingError, match="another calendar"):
        propose(tmp_path, f"Date,Time,kWh\n{rows}")


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        ("Year,Month,Date,kWh", "2025,June,{hour},1", "no rows with a date"),
        ("time,P", "{epoch},5", "10 seconds apart"),
    ],
)
def test_why_a_file_is_not_read_is_true(tmp_path: Path, header: str, row: str, reason: str) -> None:
    rows = (row.format(hour=hour, epoch=1748736000 + 10 * hour) for hour in range(24))
    with pytest.raises(MappingError, match=reason):
        propose(tmp_path, "\n".join([header, *rows, ""]))


def test_a_data_flow_of_the_british_market_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match="D0036"):
        propose(tmp_path, "ZHV|1|D0036001|C\n026|1200000000001|U\n031|A|0.5\n")


def test_a_column_of_an_unknown_name_that_looks_like_energy_is_asked_for(tmp_path: Path) -> None:
    proposal = propose(
        tmp_path, lay_out({"odber kWh": A, "dodavka": B, "teplota": [Decimal("21.5")] * COUNT})
    )
    assert channels(proposal) == {"odber kWh": "import", "dodavka": None}


def test_the_output_of_an_inverter_beside_its_panels_is_no_import(tmp_path: Path) -> None:
    proposal = propose(tmp_path, lay_out({"PV Power(W)": A, "AC Output Power(W)": B}))
    assert channels(proposal)["AC Output Power(W)"] is None


def test_the_counter_of_a_day_is_no_import_of_an_inverter_and_asks_for_its_unit(tmp_path: Path) -> None:
    counted = [sum((v * 1000 for v in A[n // 96 * 96 : n + 1]), Decimal(0)) for n in range(COUNT)]
    columns = {"Pac": [v * 4000 for v in A], "DaySum": counted, "Status": [Decimal(4)] * COUNT}
    content = yaml.safe_load(propose(tmp_path, lay_out(columns)))
    assert content["values"] == [
        {"column": "DaySum", "channel": None, "cumulative": True, "resets": "to_zero", "unit": None}
    ]


def test_a_point_before_three_digits_is_asked_for_where_people_write_commas(tmp_path: Path) -> None:
    values = [int(value * 1000) + 1000 for value in A]
    rows = [f"{s:%d.%m.%Y %H:%M};{values[n] // 1000}.{values[n] % 1000:03}" for n, (s, _) in enumerate(TIMES)]
    proposal = propose(tmp_path, "\n".join(["Zeit;Bezug (Wh)", *rows, ""]))
    assert yaml.safe_load(proposal)["decimal"] is None
    whole = load(tmp_path, proposal, decimal=",", thousands=".")
    assert add_up(whole) == {"import": Decimal(sum(values)) / 1000}


def test_a_total_in_its_own_unit_contradicts_a_wrong_unit(tmp_path: Path) -> None:
    text = lay_out({"Verbrauch kWh": [value * 1000 for value in A]}) + f"Gesamtverbrauch kWh;{sum(A)}\n"
    proposal = propose(tmp_path, text)
    assert NOT_USABLE in proposal
    assert "their unit is another one" in proposal


def test_rows_in_no_order_are_read(tmp_path: Path) -> None:
    rows = [f"{s:%d.%m.%Y %H:%M};{comma(A[n])}" for n, (s, _) in enumerate(TIMES)]
    random.Random(1).shuffle(rows)
    document = load(tmp_path, propose(tmp_path, "\n".join(["Zeit;Bezug kWh", *rows, ""])))
    assert add_up(document) == {"import": sum(A)}


def test_types_in_rows_tell_more_than_names_of_devices(tmp_path: Path) -> None:
    header = ",".join(["entity_id,type,unit", *(f"{s:%Y-%m-%dT%H:%M:%S+02:00}" for s, _ in TIMES)])
    kinds = {"grid_consumption": A, "grid_return": B, "solar_production": C}
    rows = [f"sensor.{n},{kind},kWh,{','.join(map(str, v))}" for n, (kind, v) in enumerate(kinds.items())]
    document = load(tmp_path, propose(tmp_path, "\n".join([header, *rows, ""])))
    assert add_up(document) == {"import": sum(A), "export": sum(B), "generation": sum(C)}


def test_keys_of_days_and_hours_are_times(tmp_path: Path) -> None:
    days = {
        f"2025-06-0{day + 1}": {f"{hour:02}:00": float(A[24 * day + hour]) for hour in range(24)}
        for day in range(2)
    }
    proposal = propose(tmp_path, json.dumps({"meter": "Z1", "data": days}))
    document = load(tmp_path, proposal.replace("channel:  #", "channel: import  #"))
    assert add_up(document) == {"import": sum(A[:48])}


def test_the_state_of_an_answer_is_no_quality(tmp_path: Path) -> None:
    rows = [{"at": f"{s:%Y-%m-%dT%H:%M:%S}", "import_kwh": str(A[n])} for n, (s, _) in enumerate(TIMES)]
    proposal = propose(tmp_path, json.dumps({"status": "success", "data": rows}))
    assert "qualities" not in yaml.safe_load(proposal)
    assert add_up(load(tmp_path, proposal)) == {"import": sum(A)}


def test_a_footer_below_a_few_days_hides_no_dates(tmp_path: Path) -> None:
    names = ";".join(f"{hour:02}-{hour + 1:02}" for hour in range(24))
    rows = [f"2025-06-0{day + 1};{';'.join(map(comma, A[24 * day : 24 * day + 24]))}" for day in range(3)]
    text = "\n".join(["Förbrukning;kWh", f"Datum;{names}", *rows, "Summa;" + ";" * 23, ""])
    assert add_up(load(tmp_path, propose(tmp_path, text, "Europe/Stockholm"))) == {"import": sum(A[:72])}


def test_members_that_are_named_by_direction_are_registers(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.csv", "w") as archive:
        for name, values in (("bezug", A), ("einspeisung", B)):
            rows = [f"{s:%d.%m.%Y %H:%M};{comma(values[n])}" for n, (s, _) in enumerate(TIMES)]
            archive.writestr(f"{name}.csv", "\n".join(["Zeit;kWh", *rows, ""]))
    proposal = propose_mapping(tmp_path / "export.csv", "Europe/Berlin")
    assert add_up(load(tmp_path, proposal)) == {"import": sum(A), "export": sum(B)}


def test_a_line_above_the_table_may_tell_the_zone(tmp_path: Path) -> None:
    above = "Note: all times are in UTC\n"
    assert yaml.safe_load(propose(tmp_path, lay_out({"kWh": A}, above=above)))["timezone"] == "UTC"


def test_inverters_of_one_kind_are_not_multiples_of_each_other(tmp_path: Path) -> None:
    columns = {"WR1 Pac [W]": [v * 1000 for v in A], "WR2 Pac [W]": [v * 500 for v in A]}
    assert len(yaml.safe_load(propose(tmp_path, lay_out(columns)))["values"]) == 2


def test_a_date_above_rows_without_a_header_is_read(tmp_path: Path) -> None:
    rows = []
    for day in range(2):
        rows += [f"0{day + 1}/06/2025", *(f"{h:02}:00;{comma(A[24 * day + h])}" for h in range(24))]
    proposal = propose(tmp_path, "\n".join([*rows, ""]))
    document = load(tmp_path, proposal.replace("channel:  #", "channel: import  #"))
    assert add_up(document) == {"import": sum(A[:48])}


def test_the_ratio_of_transformers_above_the_table_is_asked_for(tmp_path: Path) -> None:
    content = yaml.safe_load(propose(tmp_path, lay_out({"Bezug kWh": A}, above="Wandlerfaktor;40\n")))
    assert content["values"][0]["factor"] is None


def test_objects_beside_the_one_that_is_read_are_named(tmp_path: Path) -> None:
    values = {str(int(s.timestamp() * 1000)): str(A[n]) for n, (s, _) in enumerate(TIMES)}
    proposal = propose(tmp_path, json.dumps({"import_kwh": values, "export_kwh": values}))
    assert "# not read: the rows at $.export_kwh" in proposal


def test_totals_of_weeks_are_no_months(tmp_path: Path) -> None:
    rows = "".join(f"{week}/2025;{week}\n" for week in range(1, 30))
    with pytest.raises(MappingError, match="totals of weeks"):
        propose(tmp_path, f"Viikko;Kulutus kWh\n{rows}")


def test_a_dial_that_turns_back_is_no_energy(tmp_path: Path) -> None:
    """By day the sun turns it back, at night it goes on."""
    signs = [1 if 24 < n % 96 < 72 else -1 for n in range(COUNT)]
    steps = [value * sign / 2 for value, sign in zip(A, signs, strict=True)]
    reads = [12345 - sum(steps[:n], Decimal(0)) for n in range(COUNT)]
    proposal = propose(tmp_path, lay_out({"Wert kWh": reads}))
    assert f"{NOT_USABLE}: MAP-DIAL: the values go up and down by little" in proposal


@pytest.mark.parametrize("noise", ["0.001", "0.1"])
def test_a_constant_load_with_noise_is_energy(tmp_path: Path, noise: str) -> None:
    load_kwh = [100 + (value - Decimal("0.5")) * Decimal(noise) for value in A]
    assert add_up(load(tmp_path, propose(tmp_path, lay_out({"Bezug kWh": load_kwh})))) == {
        "import": sum(load_kwh)
    }


def test_zeros_between_reads_of_a_dial_are_missing(tmp_path: Path) -> None:
    reads = [54321 + sum(A[:n], Decimal(0)) for n in range(COUNT)]
    given = [Decimal(0) if n in (30, 31, 60) else read for n, read in enumerate(reads)]
    document = load(tmp_path, propose(tmp_path, lay_out({"Bezug kWh": given})))
    assert add_up(document) == {"import": sum(A[:-1])}
    assert document["rejected"] == []


def test_a_full_counter_is_a_missing_value(tmp_path: Path) -> None:
    given = [Decimal("65.535") if n % 50 == 7 else value for n, value in enumerate(A)]
    expected = sum(value for n, value in enumerate(A) if n % 50 != 7)
    assert add_up(load(tmp_path, propose(tmp_path, lay_out({"Bezug kWh": given})))) == {"import": expected}


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        ("Zeit;Vorzeichen;Energie kWh", "2025-06-01 {h:02}:00;{sign};0,5", "has the sign of the values"),
        ("Time,kWh,Status", "2025-06-01 {h:02}:00,0,123,ok", "4 fields and the header 3"),
    ],
)
def test_columns_that_a_mapping_does_not_join_are_refused(
    tmp_path: Path, header: str, row: str, reason: str
) -> None:
    rows = (row.format(h=hour, sign="+-"[hour % 2]) for hour in range(24))
    with pytest.raises(MappingError, match=reason):
        propose(tmp_path, "\n".join([header, *rows, ""]))


def test_the_difference_of_two_columns_is_left_out(tmp_path: Path) -> None:
    net = [one - two for one, two in zip(A, B, strict=True)]
    proposal = propose(tmp_path, lay_out({"Import kWh": A, "Export kWh": B, "Total kWh": net}))
    assert channels(proposal) == {"Import kWh": "import", "Export kWh": "export"}
    assert "the difference of two others" in proposal


def test_a_meter_that_is_called_a_total_and_equals_the_only_other_one_is_not_usable(tmp_path: Path) -> None:
    rows = [
        f"{meter},{s:%Y-%m-%d %H:%M},{A[n]}"
        for n, (s, _) in enumerate(TIMES)
        for meter in ("M-1", "Site total")
    ]
    assert NOT_USABLE in propose(tmp_path, "\n".join(["Meter,Time,kWh", *rows, ""]))


def test_a_table_without_names_tells_no_channel(tmp_path: Path) -> None:
    rows = [f"{s:%Y-%m-%d %H:%M},{A[n]}" for n, (s, _) in enumerate(TIMES)]
    assert channels(propose(tmp_path, "\n".join([*rows, ""]))) == {"2": None}


def test_errors_of_a_spreadsheet_are_missing_values(tmp_path: Path) -> None:
    rows = [f"{s:%d.%m.%Y %H:%M};{'#NV' if n == 5 else comma(A[n])}" for n, (s, _) in enumerate(TIMES)]
    document = load(tmp_path, propose(tmp_path, "\n".join(["Zeit;Bezug kWh", *rows, ""])))
    assert add_up(document) == {"import": sum(A) - A[5]}
