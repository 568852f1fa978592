"""Proposals for the JSON of portals: the path to the rows, and the columns in them and around them."""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.inspect import inspect
from data.ingest.proposals import propose_mapping
from tests.formats.answers import fill_units

HOURS = [datetime.datetime(2024, 6, 10, tzinfo=datetime.UTC) + datetime.timedelta(hours=n) for n in range(48)]
ENERGY = [Decimal(n * 7 % 11 + 1) / 8 for n in range(48)]
TOTAL = sum(ENERGY)


def pair(start: str = "start", value: str = "value") -> list[dict[str, Any]]:
    return [
        {start: f"{at:%Y-%m-%dT%H:%M:%SZ}", value: float(energy)}
        for at, energy in zip(HOURS, ENERGY, strict=True)
    ]


def stamp(scale: int) -> list[list[Any]]:
    return [[int(at.timestamp()) * scale, float(energy)] for at, energy in zip(HOURS, ENERGY, strict=True)]


PORTALS: dict[str, tuple[Any, str]] = {
    "a list": (pair(), "$[*]"),
    "behind a key": ({"total": 48, "data": pair("from", "consumption")}, "$.data[*]"),
    "of meters": ({"meters": [{"serial": "S1", "readings": pair()}]}, "$.meters[*].readings[*]"),
    "a graph": (
        {"data": {"viewer": {"homes": [{"id": "h", "consumption": {"nodes": pair("from", "consumption")}}]}}},
        "$.data.viewer.homes[*].consumption.nodes[*]",
    ),
    "inside an object": (
        [{"time": row["start"], "measures": {"energy_kWh": row["value"]}} for row in pair()],
        "$[*]",
    ),
    "pairs of seconds": ({"series": stamp(1)}, "$.series[*]"),
    "pairs of milliseconds": ({"unit": "kWh", "series": stamp(1000)}, "$.series[*]"),
    "lists beside each other": (
        {
            "meter": "M1",
            "usage": {"at": [row["start"] for row in pair()], "kWh": [row["value"] for row in pair()]},
        },
        "$",
    ),
    "pairs below the name of their series": (
        {"unit": "kWh", "series": [{"name": "consumption", "data": stamp(1)}]},
        "$.series[*].data[*]",
    ),
    "seconds of an unknown name": (
        {"rows": [{"x": at, "kWh": value} for at, value in stamp(1)]},
        "$.rows[*]",
    ),
    "beside prices": ({"prices": pair("hour", "price")[:9], "usage": pair("hour", "kWh")}, "$.usage[*]"),
}


@pytest.mark.parametrize("name", PORTALS)
def test_a_document_is_read_by_its_proposal(tmp_path: Path, name: str) -> None:
    document, rows = PORTALS[name]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(document))
    proposal = propose_mapping(path, "UTC")
    assert "NOT USABLE" not in proposal
    content = fill_units(yaml.safe_load(proposal))
    assert (content["format"], content["rows"]) == ("mapped_json", rows)
    if "identifier" in content:
        content["identifier"] = "M"
    (channel,) = inspect(path, mapping=parse_mapping(content, "test"))["channels"]
    assert (Decimal(channel["total"]), channel["intervals"]) == (TOTAL, 48)
    assert (channel["channel"], channel["first"]) == ("import", "2024-06-10T00:00:00Z")


def test_local_times_and_two_ways(tmp_path: Path) -> None:
    rows = [
        {"zeit": f"{at:%d.%m.%Y %H:%M}", "bezug": str(energy), "einspeisung": str(energy / 2)}
        for at, energy in zip(HOURS, ENERGY, strict=True)
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"zaehler": "1EMH0001", "werte": rows}))
    content = fill_units(yaml.safe_load(propose_mapping(path, "Europe/Berlin")))
    assert content["columns"] == {"identifier": "$.zaehler", "timestamp": "zeit"}
    channels = inspect(path, mapping=parse_mapping(content, "test"))["channels"]
    assert {c["channel"]: Decimal(c["total"]) for c in channels} == {"import": TOTAL, "export": TOTAL / 2}


@pytest.mark.parametrize(
    "document", [{}, [], {"a": 1}, [1, 2, 3], {"rows": [{"a": 1}, {"a": 2}]}, {"2024-06-10": {"00:00": 1}}]
)
def test_a_document_without_rows_that_have_a_date_has_no_proposal(tmp_path: Path, document: Any) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(document))
    with pytest.raises((RefusedFile, MappingError)):
        propose_mapping(path, None)


def test_a_cut_document_has_no_proposal(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"data": pair()})[:-20])
    with pytest.raises(RefusedFile, match=r"FILE-CUT|JSON-SYNTAX"):
        propose_mapping(path, None)
