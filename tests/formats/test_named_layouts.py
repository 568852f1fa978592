"""Layouts of senders that docs/formats.md lists as read by a proposal: their totals and first instants."""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.formats.file_mappings import MappingError
from tests.formats.test_outsiders import add_up, channels, draw, load, name_times, propose
from tests.formats.test_unseen_portals import Portal, comma

COUNT = 192
A, B, C = draw("a", COUNT), draw("b", COUNT), draw("c", COUNT)
TIMES = name_times("UTC", "2024-06-03", 15, COUNT)

PORTALS = {
    "Kyushu": Portal(
        "Asia/Tokyo",
        "お客さま番号,01234567\n年月日,時刻,使用量,備考\n,,(kWh),",
        lambda n, s, e: f"{s:%Y/%m/%d},{s:%H:%M}～{e:%H:%M},{A[n]},",
        {"import": sum(A)},
        30,
    ),
    "KEPCO": Portal(
        "Asia/Seoul",
        "일자,시간,사용량(kWh),최대수요(kW),CO2(tCO2),역률(지상)(%)",
        lambda n, s, e: f"{s:%Y-%m-%d},{s:%H:%M},{A[n]},{A[n] * 4},0.01,99.1",
        {"import": sum(A)},
    ),
    "Sadales tīkls": Portal(
        "Europe/Riga",
        "Datums no;Datums līdz;Patērētā elektroenerģija, kWh;Nodotā elektroenerģija, kWh",
        lambda n, s, e: f"{s:%d.%m.%Y %H:%M};{e:%d.%m.%Y %H:%M};{comma(A[n])};{comma(B[n])}",
        {"import": sum(A), "export": sum(B)},
    ),
    "ESO": Portal(
        "Europe/Vilnius",
        "Objekto numeris;Data, valanda;Suvartota iš tinklo, kWh;Atiduota į tinklą, kWh",
        lambda n, s, e: f"1234567;{s:%Y-%m-%d %H:%M};{comma(A[n])};{comma(B[n])}",
        {"import": sum(A), "export": sum(B)},
        60,
    ),
    "i-DE": Portal(
        "Europe/Madrid",
        "CUPS;Fecha;Hora;Invierno/Verano;Energía activa entrante (Wh);Energía activa saliente (Wh)",
        lambda n, s, e: (
            f"ES0021000000000001XX;{s:%d/%m/%Y};{s.hour + 1};V;{A[n] * 1000:.0f};{B[n] * 1000:.0f}"
        ),
        {"import": sum(A), "export": sum(B)},
        60,
    ),
    "CCEE": Portal(
        "America/Sao_Paulo",
        "Agente;Ponto de Medição;Data;Hora;Ativa C (kWh);Ativa G (kWh);Reativa C (kVArh)",
        lambda n, s, e: f"ACME;SPXYZ0001-P;{s:%d/%m/%Y};{s.hour};{comma(A[n])};{comma(B[n])};0",
        {"import": sum(A), "generation": sum(B), "reactive_import": 0},
        60,
    ),
    "EPİAŞ": Portal(
        "Europe/Istanbul",
        "Tarih;Saat;Çekiş (MWh);Veriş (MWh)",
        lambda n, s, e: f"{s:%d.%m.%Y};{s:%H:%M};{comma(A[n])};{comma(B[n])}",
        {"import": sum(A) * 1000, "export": sum(B) * 1000},
        60,
    ),
    "Tigo": Portal(
        "America/Denver",
        "DATETIME,A1 Power (W),A2 Power (W)",
        lambda n, s, e: f"{s:%Y/%m/%d %H:%M:%S},{A[n] * 1000:.0f},{B[n] * 1000:.0f}",
        {"generation": (sum(A) + sum(B)) / 4},
    ),
    "InfluxDB": Portal(
        "Europe/Berlin",
        "#group,false,false,true,false,false,true\n#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,"
        "double,string\n#default,_result,,,,,\n,result,table,_start,_time,_value,_field",
        lambda n, s, e: "\n".join(
            f",,{table},2024-06-01T00:00:00Z,{s.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ},{v[n]},{field}"
            for table, (field, v) in enumerate((("import_kwh", A), ("export_kwh", B)))
        ),
        {"import": sum(A), "export": sum(B)},
    ),
}


@pytest.mark.parametrize("name", PORTALS)
def test_the_file_of_a_sender_gives_its_totals_from_its_first_instant(tmp_path: Path, name: str) -> None:
    portal = PORTALS[name]
    proposal = propose(tmp_path, portal.write(), portal.zone)
    document = load(tmp_path, proposal.replace("channel:  #", "channel: generation  #"))
    assert add_up(document) == portal.totals
    start = name_times(portal.zone, "2024-06-03", portal.minutes, 1)[0][0].astimezone(datetime.UTC)
    assert {channel["first"] for channel in document["channels"]} == {f"{start:%Y-%m-%dT%H:%M:%SZ}"}


def write_eloverblik() -> object:
    points = [
        {"position": str(hour + 1), "out_Quantity.quantity": str(A[hour]), "out_Quantity.quality": "A04"}
        for hour in range(24)
    ]
    period = {"resolution": "PT1H", "timeInterval": {"start": "2024-06-02T22:00:00Z"}, "Point": points}
    series = {"mRID": "571313100000000001", "measurement_Unit.name": "KWH", "Period": [period]}
    return {"result": [{"MyEnergyData_MarketDocument": {"TimeSeries": [series]}, "success": True}]}


def write_pairs(values: list[Decimal]) -> list[list[object]]:
    return [[int(s.timestamp()), str(value)] for (s, _), value in zip(TIMES, values, strict=True)]


def write_points(values: list[Decimal]) -> list[dict[str, object]]:
    pairs = reversed(write_pairs(values))
    return [{"ts": int(str(second)) * 1000, "value": str(value)} for second, value in pairs]


READS = [5000 + sum(A[:n], Decimal(0)) for n in range(COUNT)]
DOCUMENTS: dict[str, tuple[object, dict[str, Any]]] = {
    "Eloverblik": (write_eloverblik(), {"import": sum(A[:24])}),
    "Glow": (
        {"units": "kWh", "classifier": "electricity.consumption", "data": write_pairs(A)},
        {"import": sum(A)},
    ),
    "ThingsBoard": (
        {"energyImport": write_points(A), "energyExport": write_points(B)},
        {"import": sum(A), "export": sum(B)},
    ),
    "Prometheus": (
        {
            "status": "success",
            "data": {"result": [{"metric": {"__name__": "import_kwh"}, "values": write_pairs(READS)}]},
        },
        {"import": sum(A[:-1])},
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_of_a_sender_gives_its_totals(tmp_path: Path, name: str) -> None:
    document, totals = DOCUMENTS[name]
    proposal = propose(tmp_path, json.dumps(document)).replace("channel:  #", "channel: import  #")
    unit = {"unit": "kWh"} if "unit" in yaml.safe_load(proposal) else {}
    assert add_up(load(tmp_path, proposal, **unit)) == totals


def test_the_seconds_of_a_device_are_no_dates(tmp_path: Path) -> None:
    rows = (f"{123_400_000 + 900 * n}\t{n}\t230\t{n * 3}" for n in range(96))
    with pytest.raises(MappingError, match="no rows with a date"):
        propose(tmp_path, "\n".join(["akt. Zeit:\t123456789", "Zeit\tDC1 P\tAC1 U\tAC1 P", *rows, ""]))


def test_the_mains_beside_solar_are_asked_for(tmp_path: Path) -> None:
    rows = (f"{s:%m/%d/%y %H:%M:%S},{A[n] * 1000},{B[n] * 1000}" for n, (s, _) in enumerate(TIMES))
    proposal = propose(tmp_path, "\n".join(["Date,Main_1.Wh,Main_2.Wh", *rows, ""]), "America/Chicago")
    assert add_up(load(tmp_path, proposal)) == {"import": sum(A) + sum(B)}
    rows = (f"{s:%m/%d/%y %H:%M:%S},{A[n] * 1000},{B[n] * 1000}" for n, (s, _) in enumerate(TIMES))
    proposal = propose(tmp_path, "\n".join(["Date,Main_1.Wh,Solar.Wh", *rows, ""]), "America/Chicago")
    assert channels(proposal) == {"Main_1.Wh": None, "Solar.Wh": "generation"}
