"""Responses of Octopus, n3rgy and SolarEdge, for tests."""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.mapping_formats import JsonMapping
from data.ingest.formats.reading import read_file
from data.ingest.schema import ParsedFile

UTC = datetime.UTC


def declared(format: str, **content: Any) -> JsonMapping:
    found = parse_mapping({"format": format, **content}, "test")
    assert isinstance(found, JsonMapping)
    return found


def read(
    folder: Path, document: Any, mapping: JsonMapping | None = None, indent: int | None = None
) -> ParsedFile:
    path = folder / "answer.json"
    if isinstance(document, bytes):
        path.write_bytes(document)
    else:
        path.write_text(document if isinstance(document, str) else json.dumps(document, indent=indent))
    return read_file(path, mapping=mapping)


def rules(parsed: ParsedFile) -> list[tuple[int, str]]:
    return [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()]


def column(parsed: ParsedFile, name: str) -> list[Any]:
    values: list[Any] = parsed.readings[name].to_pylist()
    return values


def octopus(*results: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"count": len(results), "next": None, "previous": None, "results": list(results)} | rest


def result(start: str, end: str, value: Any = 0.5) -> dict[str, Any]:
    return {"consumption": value, "interval_start": start, "interval_end": end}


def n3rgy(values: list[tuple[str, Any]], **rest: Any) -> dict[str, Any]:
    return {
        "resource": "/mpxn/1200000000001/utility/electricity/readingtype/consumption?x=1",
        "granularity": "halfhour",
        "unit": "kWh",
        "devices": [
            {
                "deviceId": "01-02",
                "values": [{"primaryValue": value, "timestamp": time} for time, value in values],
            }
        ],
    } | rest


def solaredge(
    kinds: dict[str, list[tuple[Any, ...]]], unit: str = "Wh", time: str = "QUARTER_OF_AN_HOUR"
) -> Any:
    meters = [
        {"type": kind, "values": [dict(zip(("date", "value"), value, strict=False)) for value in values]}
        for kind, values in kinds.items()
    ]
    return {"energyDetails": {"timeUnit": time, "unit": unit, "meters": meters}}


def total(document: dict[str, Any], register: str | None = None) -> Decimal:
    found = [c for c in document["channels"] if register in (None, c["register"])]
    return sum((Decimal(channel["total"]) for channel in found), Decimal(0))
