"""Datadis, the data platform of the Spanish distributors: hourly consumption and surplus.

Here: what its answers mean. Not here: reading their rows (`mapped_json`). An hour is named by its end on the
wall clock, 01:00 to 24:00. `line` is the place of an hour, counted from 1.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc

from data.ingest.formats import mapped_json
from data.ingest.formats.columns import Batch
from data.ingest.formats.container import Member
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.json_events import is_json
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.mapping_formats import JsonMapping

# Meters of the Canary Islands are read by the mapping's zone, Atlantic/Canary.
ZONE = "Europe/Madrid"
CONSUMPTION = "consumptionKWh"
CHANNELS = {
    CONSUMPTION: "import",
    "surplusEnergyKWh": "export",
    "generationEnergyKWh": "generation",
    # Part of the generation, so never added to it.
    "selfConsumptionEnergyKWh": "other",
}
QUALITIES = {"Real": "actual", "Estimada": "estimated", "Estimado": "estimated", "Estimated": "estimated"}


def iter_batches(
    path: Path, member: Member, part: int, mapping: JsonMapping | None = None
) -> Iterator[Batch]:
    """Yield the readings of one text in batches. Raises `RefusedFile`."""
    head, whole = mapped_json.peek(member)
    described = _describe(head, mapping)
    for batch in mapped_json.iter_batches(path, whole, part, described):
        yield _skip_empty(batch)


def _recognizes(text: str) -> bool:
    return is_json(text) and re.search(r'"consumptionKWh"\s*:', text) is not None


FORMAT = FileFormat(
    name="datadis_json",
    summary="hourly consumption and surplus from Datadis (Spain)",
    read=iter_batches,
    recognizes=_recognizes,
    mapping=MappingUse(
        model=JsonMapping,
        is_seldom=True,
        excludes={
            "channel": "the file states the channels",
            "unit": "the file states the unit",
            "label": "the times are ends of hours",
        },
    ),
)


def _skip_empty(batch: Batch) -> Batch:
    """Skip the empty values that Datadis gives for what a home does not have, such as generation."""
    readings = batch.readings
    is_empty = pc.and_(pc.is_null(readings["value"]), pc.not_equal(readings["register"], CONSUMPTION))
    count = pc.sum(is_empty).as_py() or 0
    if not count:
        return batch
    skipped = batch.skipped + Counter({"without a value of generation or surplus": count})
    return replace(batch, readings=readings.filter(pc.invert(is_empty)), skipped=skipped)


def _describe(text: str, mapping: JsonMapping | None) -> CsvMapping:
    """Return the mapping of an answer by its first letters: older answers lack some of the values."""
    own = (mapping.identifier if mapping else None) or None
    wrapper = re.match(r'\s*\{\s*"(\w+)"\s*:\s*\[', text)
    columns = {"date": "date", "time": "time", "quality": "obtainMethod"}
    return CsvMapping.model_validate(
        {
            "format": "mapped_json",
            "rows": f"$.{wrapper.group(1)}[*]" if wrapper else "$[*]",
            "timezone": (mapping.timezone if mapping else None) or ZONE,
            "interval_minutes": 60,
            "order": mapping.order if mapping else "ascending",
            "identifier": own,
            "columns": columns if own else columns | {"identifier": "cups"},
            "date_format": "%Y/%m/%d",
            "time_format": "%H:%M",
            "label": "wall_end",
            "qualities": QUALITIES,
            "values": [
                {"column": name, "channel": channel, "unit": "kWh"}
                for name, channel in CHANNELS.items()
                if name == CONSUMPTION or re.search(rf'"{name}"\s*:', text)
            ],
        }
    )
