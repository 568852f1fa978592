"""Enedis, the French distributor: load curves and daily energy of its data API.

Here: what its answers mean. Not here: reading their rows (`mapped_json`). A load curve holds average powers,
each with the end of its interval in French legal time; daily energy has its date. An answer does not say
whether it is of consumption or of production: the mapping does. `line` is the place of a value, from 1.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.ingest.formats import mapped_json
from data.ingest.formats.columns import Batch, Fault
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.json_events import is_json
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.mapping_formats import JsonMapping

ZONE = "Europe/Paris"
# Average power of other lengths is no finite number of watt-hours.
LENGTHS = ("15", "30", "60")
# Raw and corrected measures.
QUALITIES = {"B": "actual", "C": "edited"}
CURVE_COLUMNS = {"timestamp": "date"}
DAILY_COLUMNS = {"date": "date"}


def iter_batches(
    path: Path, member: Member, part: int, mapping: JsonMapping | None = None
) -> Iterator[Batch]:
    """Yield the readings of one text in batches. Raises `RefusedFile`."""
    head, whole = mapped_json.peek(member)
    try:
        described, same = _describe(head, mapping)
    except Fault as fault:
        raise refuse(path, None, fault.rule, fault.reason) from fault
    yield from mapped_json.iter_batches(path, whole, part, described, same)


def _recognizes(text: str) -> bool:
    return is_json(text) and re.search(r'"interval_reading"\s*:|"usage_point_id"\s*:', text) is not None


FORMAT = FileFormat(
    name="enedis_json",
    summary="load curve and daily energy from Enedis (France)",
    read=iter_batches,
    recognizes=_recognizes,
    mapping=MappingUse(
        model=JsonMapping,
        needs=("channel",),
        excludes={
            "unit": "the file states the unit",
            "label": "the times are ends of intervals",
            "timezone": "the times are French legal time",
        },
    ),
)


def _describe(text: str, mapping: JsonMapping | None) -> tuple[CsvMapping, dict[str, str]]:
    """Return the mapping of an answer by its first letters, and the columns that are the same in each row.

    Raises `Fault` for an answer that holds no energy.
    """
    root = "$[*]" if text.lstrip().startswith("[") else "$"
    above = f"{root}.meter_reading" if re.search(r'"meter_reading"\s*:\s*\{', text) else root
    stated = re.search(r'"reading_type"\s*:\s*\{[^{}]*\}', text)
    unit = re.search(r'"unit"\s*:\s*"(\w+)"', stated.group()) if stated else None
    if stated is None or unit is None:
        raise Fault("JSON-CONTENT", "the answer does not state the unit of its values (reading_type)")
    own = mapping.identifier if mapping else None
    columns = {} if own else {"identifier": f"{above}.usage_point_id"}
    if re.search(r'"measure_type"\s*:', text):
        columns["quality"] = "measure_type"
    value: dict[str, Any] = {
        "column": "value",
        "channel": (mapping.channel if mapping else None) or "import",
        "unit": unit.group(1),
    }
    fields: dict[str, Any] = {
        "format": "mapped_json",
        "rows": f"{above}.interval_reading[*]",
        "timezone": ZONE,
        "order": mapping.order if mapping else "ascending",
        "identifier": own,
        "qualities": QUALITIES if "quality" in columns else {},
    }
    same = {f"{above}.reading_type.unit": unit.group(1)}
    if unit.group(1) == "Wh":
        fields |= {"interval_minutes": 1440, "date_format": "%Y-%m-%d", "columns": columns | DAILY_COLUMNS}
    elif unit.group(1) == "W":
        minutes = _find_length(text, stated.group(), above, same)
        value["average_power"] = True
        fields |= {
            "interval_minutes": int(minutes),
            "timestamp_format": "%Y-%m-%d %H:%M:%S",
            "label": "end",
            "columns": columns | CURVE_COLUMNS,
        }
    else:
        raise Fault("JSON-CONTENT", f"values in {unit.group(1)!r} are no energy: ask for the load curve")
    return CsvMapping.model_validate(fields | {"values": [value]}), same


def _find_length(text: str, stated: str, above: str, same: dict[str, str]) -> str:
    """Return the minutes of an interval, and add the column that states them to `same`. Raises `Fault`."""
    pattern = r'"interval_length"\s*:\s*"(PT([0-9]{1,3})M)"'
    found = re.search(pattern, stated)
    column = f"{above}.reading_type.interval_length" if found else "interval_length"
    found = found or re.search(pattern, text)
    if found is None and re.search(r'"interval_reading"\s*:\s*\[\s*\]', text):
        raise Fault("FILE-NO-DATA", "the answer holds no value")
    if found is None or found.group(2) not in LENGTHS:
        given = found.group(1) if found else "an unknown length"
        raise Fault(
            "JSON-CONTENT", f"average power over {given} has no exact energy: 15, 30 or 60 minutes have"
        )
    same[column] = found.group(1)
    return found.group(2)
