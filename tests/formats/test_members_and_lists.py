"""Names of texts that are dates or meters, and documents with lists and places: right totals or a reason."""

import datetime
import io
import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.inspect import inspect
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.answers import fill_units
from tests.formats.test_outsiders import UTC, add_up, channels, load, name_times, propose
from tests.formats.test_unseen_portals import A, B
from tests.formats.workbook_text import write_xlsx


def write_days(n: int) -> str:
    times = name_times("Europe/Paris", "2024-06-03", 30, 144)
    return "Heure;Production (Wh)\n" + "".join(
        f"{s:%H:%M};{A[48 * n + k]}\n" for k, (s, _) in enumerate(times[48 * n : 48 * n + 48])
    )


@pytest.mark.parametrize("form", ["prod/{:%Y%m%d}.csv", "jour {:%Y-%m-%d}.csv", "{:%d.%m.%Y}.csv"])
def test_the_names_of_members_are_their_dates(tmp_path: Path, form: str) -> None:
    with zipfile.ZipFile(tmp_path / "export.csv", "w") as archive:
        for n in range(3):
            archive.writestr(form.format(datetime.date(2024, 6, 3 + n)), write_days(n))
    proposal = propose_mapping(tmp_path / "export.csv", "Europe/Paris")
    assert NOT_USABLE not in proposal
    document = load(tmp_path, proposal)
    assert add_up(document) == {"generation": sum(A[:144]) / 1000}
    assert document["channels"][0]["first"] == "2024-06-02T22:00:00Z"


def test_sheets_with_the_same_times_are_meters(tmp_path: Path) -> None:
    times = name_times("Europe/Berlin", "2024-06-03", 15, 96)
    sheets = {
        name: [
            ["Zähler", name],
            ["Zeitpunkt", "Verbrauch kWh"],
            *([f"{s:%d.%m.%Y %H:%M}", str(v[n])] for n, (s, _) in enumerate(times)),
        ]
        for name, v in (("WE1", A), ("WE2", B))
    }
    path = write_xlsx(tmp_path / "export.xlsx", sheets)
    content = fill_units(yaml.safe_load(propose_mapping(path, "Europe/Berlin")))
    assert content["columns"]["identifier"] == "$name"
    document = inspect(path, mapping=parse_mapping(content, "proposal"))
    totals = {channel["meter"]: Decimal(channel["total"]) for channel in document["channels"]}
    assert totals == {"WE1": sum(A[:96]), "WE2": sum(B[:96])}


@pytest.mark.parametrize("names", [("Bezug", "Einspeisung"), ("Netzbezug 2024", "PV-Erzeugung 2024")])
def test_sheets_named_by_direction_are_registers(tmp_path: Path, names: tuple[str, str]) -> None:
    times = name_times("Europe/Berlin", "2024-06-03", 15, 96)
    sheets = {
        name: [
            ["Zeit", "Wert [kWh]"],
            *([f"{s:%d.%m.%Y %H:%M}", str(v[n])] for n, (s, _) in enumerate(times)),
        ]
        for name, v in zip(names, (A, B), strict=True)
    }
    path = write_xlsx(tmp_path / "export.xlsx", sheets)
    content = fill_units(yaml.safe_load(propose_mapping(path, "Europe/Berlin"))) | {"identifier": "M1"}
    totals = add_up(inspect(path, mapping=parse_mapping(content, "proposal")))
    other = "export" if names[0] == "Bezug" else "generation"
    assert totals == {"import": sum(A[:96]), other: sum(B[:96])}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("load_2023-12.csv", "load_2024-01.csv"), "2024-01-01T23:00:00Z"),
        (("load_202312.csv", "load_202401.csv"), "2024-01-01T23:00:00Z"),
        (("december.csv", "january.csv"), None),
    ],
)
def test_the_year_of_a_later_member_is_that_of_its_name(
    tmp_path: Path, names: tuple[str, str], expected: str | None
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, day in zip(names, ("31.12.", "01.01."), strict=True):
            lines = [f"{day} {hour:02}:00;{A[hour]}" for hour in range(24)]
            archive.writestr(name, "\n".join(["Zeit;kWh", *lines, ""]))
    path = tmp_path / "export.zip"
    path.write_bytes(buffer.getvalue())
    fields: dict[str, Any] = {
        **{"format": "mapped_csv", "timezone": "Etc/GMT", "interval_minutes": 60, "label": "start"},
        **{"timestamp_format": "%d.%m. %H:%M", "year": 2023, "delimiter": ";", "identifier": "M1"},
        "columns": {"timestamp": "Zeit"},
        "values": [{"column": "kWh", "channel": "import", "unit": "kWh"}],
    }
    document = inspect(path, mapping=parse_mapping(fields, "m"))
    if expected is None:
        assert document["refusal"]["rule"] == "MAP-YEAR"
        return
    assert document["channels"][0]["last"] == expected


def test_lists_beside_each_other_in_each_day(tmp_path: Path) -> None:
    days = [
        {
            "date": f"2024-06-0{3 + n}",
            "import": [str(v) for v in A[24 * n : 24 * n + 24]],
            "export": [str(v) for v in B[24 * n : 24 * n + 24]],
        }
        for n in range(4)
    ]
    proposal = propose(tmp_path, json.dumps({"meter": "M7", "days": days}), "Europe/Berlin")
    assert "not read" not in proposal
    assert add_up(load(tmp_path, proposal)) == {"import": sum(A[:96]), "export": sum(B[:96])}


def test_lists_of_a_day_that_differ_in_length_are_refused(tmp_path: Path) -> None:
    days = [{"date": "2024-06-03", "in": [1] * 24, "out": [2] * 23}, {"date": "2024-06-04", "in": [1] * 24}]
    (tmp_path / "export.csv").write_text(json.dumps(days))
    fields = {
        **{"format": "mapped_json", "rows": "$[*]", "timezone": "Etc/GMT", "interval_minutes": 60},
        **{"date_format": "%Y-%m-%d", "identifier": "M1", "columns": {"date": "date", "period": "$key"}},
        "values": [
            {"column": "in[*]", "channel": "import", "unit": "kWh"},
            {"column": "out[*]", "channel": "export", "unit": "kWh"},
        ],
    }
    document = inspect(tmp_path / "export.csv", mapping=parse_mapping(fields, "m"))
    assert "the lists differ in length" in document["refusal"]["reason"]


def test_a_list_names_the_places_of_rows(tmp_path: Path) -> None:
    series = {
        "columns": ["time", "import_kwh", "export_kwh"],
        "values": [
            [f"{s.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", float(A[n]), float(B[n])]
            for n, (s, _) in enumerate(name_times("Etc/GMT", "2024-06-03", 60, 48))
        ],
    }
    document = {"results": [{"statement_id": 0, "series": [series]}]}
    proposal = propose(tmp_path, json.dumps(document), "Europe/Berlin")
    assert channels(proposal) == {"2": "import", "3": "export"}
    assert add_up(load(tmp_path, proposal)) == {"import": sum(A[:48]), "export": sum(B[:48])}


def test_the_path_of_rows_speaks_of_their_direction(tmp_path: Path) -> None:
    rows = [{"time": f"2024-06-0{3 + n // 24}T{n % 24:02}:00:00Z", "value": float(A[n])} for n in range(48)]
    proposal = propose(tmp_path, json.dumps({"feedIn": rows}), "UTC")
    assert channels(proposal) == {"value": None}


HOURS = [(f"2024-06-0{3 + n // 24}T{n % 24:02}:00:00Z", float(A[n])) for n in range(48)]


@pytest.mark.parametrize(
    ("name", "text", "channel"),
    [
        (
            "a.csv",
            "Time,Fuel,Consumption (kWh)\n" + "".join(f"{t},Gas,{v}\n" for t, v in HOURS),
            "consumption",
        ),
        ("a.csv", "Gas report\nTime,Usage (kWh)\n" + "".join(f"{t},{v}\n" for t, v in HOURS), None),
        ("a.csv", "Gas and Electric Co.\nTime,Usage (kWh)\n" + "".join(f"{t},{v}\n" for t, v in HOURS), None),
        ("gas.csv", "Time,Usage (kWh)\n" + "".join(f"{t},{v}\n" for t, v in HOURS), "consumption"),
        ("einspeisung.csv", "Time,Wert (kWh)\n" + "".join(f"{t},{v}\n" for t, v in HOURS), None),
        ("a.csv", "Time,Type,Value (kWh)\n" + "".join(f"{t},Generation,{v}\n" for t, v in HOURS), None),
        ("a.csv", "Time,Rate,Usage (kWh)\n" + "".join(f"{t},Basic,{v}\n" for t, v in HOURS), "import"),
        ("a.json", json.dumps({"gas": [{"time": t, "value": v} for t, v in HOURS]}), None),
        (
            "a.json",
            json.dumps(
                {"commodity": "gas", "unit": "kWh", "data": [{"time": t, "value": v} for t, v in HOURS]}
            ),
            "consumption",
        ),
    ],
)
def test_words_around_the_values_speak_of_medium_and_direction(
    tmp_path: Path, name: str, text: str, channel: str | None
) -> None:
    (tmp_path / name).write_text(text)
    assert list(channels(propose_mapping(tmp_path / name, "UTC")).values()) == [channel]


def test_gas_in_the_unit_of_a_document_is_no_import(tmp_path: Path) -> None:
    rows = [{"from": f"2024-06-0{3 + n // 24}T{n % 24:02}:00:00Z", "volume": float(A[n])} for n in range(48)]
    document = {"meter": "G4", "commodity": "fuel", "unit": "m3", "consumption": rows}
    proposal = propose(tmp_path, json.dumps(document), "UTC")
    assert add_up(load(tmp_path, proposal)) == {"consumption": sum(A[:48])}


def test_places_of_objects_without_a_time_are_counted(tmp_path: Path) -> None:
    values = [{"value": float(v), "status": "valid"} for v in A[:72]]
    answer = {
        **{"start": "2024-06-03T00:00:00+00:00", "stop": "2024-06-06T00:00:00+00:00"},
        **{"resolution_s": 3600, "unit": "kWh", "measurements": values},
    }
    proposal = propose(tmp_path, json.dumps({"intervals": {"electricity": [answer]}}), "Europe/Helsinki")
    document = load(tmp_path, proposal)
    assert (add_up(document), document["channels"][0]["interval_seconds"]) == ({"import": sum(A[:72])}, 3600)


def test_a_key_may_begin_like_the_mark_of_an_array(tmp_path: Path) -> None:
    rows = [
        {"itemTime": f"2024-06-0{3 + n // 24}T{n % 24:02}:00:00Z", "value": float(A[n])} for n in range(48)
    ]
    proposal = propose(tmp_path, json.dumps({"lineitem": {"items": rows}}), "UTC")
    assert yaml.safe_load(proposal)["rows"] == "$.lineitem.items[*]"
    assert add_up(load(tmp_path, proposal)) == {"import": sum(A[:48])}
