"""n3rgy consumption: values of a British smart meter with local times, by device.

Here: JSON to readings. Not here: whether a meter is known (`data.ingest.rules`). A time is the end of its
half-hour: a day runs from 00:30 to 00:00. The file does not state the zone: a mapping declares it. `line`
of a reading is the place of its value in the file, counted from 1.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from data.ingest.formats.assemble import UncheckedRows, assemble_batch, normalize_units, repeat_text
from data.ingest.formats.columns import Batch, Rejections
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.json_events import (
    BATCH_ROWS,
    END,
    WaitingRecords,
    is_json,
    iter_leaves,
    resolve_intervals,
    to_text,
)
from data.ingest.formats.mapping_formats import JsonMapping
from data.ingest.formats.wallclock import WallClock

SECONDS = {"halfhour": 1_800, "hour": 3_600}
_RESOURCE = re.compile(r"/mpxn/([^/?]+)/utility/(electricity|gas)/readingtype/([a-z]+)", re.I)
_CHANNELS = {"consumption": "import", "production": "export"}


def iter_batches(
    path: Path, member: Member, part: int, mapping: JsonMapping | None = None
) -> Iterator[Batch]:
    """Yield the readings of one text in batches. Raises `RefusedFile`."""
    return _Reader(path, member, part, mapping).batches()


def _recognizes(text: str) -> bool:
    signs = r'"primaryValue"\s*:|"/mpxn/|"availableCacheRange"\s*:'
    return is_json(text) and re.search(signs, text) is not None


FORMAT = FileFormat(
    name="n3rgy_json",
    summary="consumption and production from n3rgy",
    read=iter_batches,
    recognizes=_recognizes,
    mapping=MappingUse(model=JsonMapping, needs=("timezone",), excludes={"unit": "the file states the unit"}),
)


class _Reader:
    def __init__(self, path: Path, member: Member, part: int, mapping: JsonMapping | None) -> None:
        self._path = path
        self._member = member
        self._part = part
        self._mapping = mapping
        zone = mapping.timezone if mapping and mapping.timezone else "UTC"
        self._clock = WallClock(zone, is_descending=mapping is not None and mapping.order == "descending")
        self._stated: dict[str, str | None] = {}
        self._records = WaitingRecords()
        self._serials: list[str | None] = []
        self._rejections = Rejections()

    def batches(self) -> Iterator[Batch]:
        record: dict[str, Any] = {}
        device: str | None = None
        ordinal = 0
        for key, value in iter_leaves(self._path, self._member):
            parent, _, name = key.rpartition(".")
            if value is END and record:
                ordinal += 1
                amount = record.get("primaryValue", record.get("value"))
                self._records.add(self._path, ordinal, record.get("timestamp"), amount)
                self._serials.append(device)
                record = {}
                if (
                    len(self._records) >= BATCH_ROWS
                    and {"unit", "granularity", "resource"} <= self._stated.keys()
                ):
                    yield self._flush()
            elif parent.endswith("values.item") and name in ("primaryValue", "value", "timestamp"):
                record[name] = value
            elif name == "deviceId":
                device = to_text(value)
            elif name in ("unit", "granularity", "resource"):
                if self._stated.get(name, to_text(value)) != to_text(value) and len(self._records):
                    # The next response starts in the same file.
                    yield self._flush()
                self._stated[name] = to_text(value)
        yield self._flush()
        if self._clock.runs_against_its_order:
            raise refuse(self._path, None, "MAP-ORDER", "most values run against the `order` of the mapping")

    def _flush(self) -> Batch:
        records, serials = self._records, pa.array(self._serials, type=pa.string())
        self._records, self._serials = WaitingRecords(), []
        match = _RESOURCE.search(self._stated.get("resource") or "")
        point, utility, kind = match.groups() if match else ("", "electricity", "consumption")
        granularity = self._stated.get("granularity")
        # Responses of the consumer interface hold half-hours without saying so.
        seconds = SECONDS.get((granularity or "halfhour").lower())
        if seconds is None and len(records):
            reason = f"values per {granularity!r} are not intervals: request half-hours"
            raise refuse(self._path, None, "JSON-CONTENT", reason)
        lines, times, values = records.to_arrays()
        count = len(records)
        identifier = (self._mapping.identifier if self._mapping else None) or point
        channel = self._mapping.channel if self._mapping else None
        if channel is None:
            channel = "consumption" if utility.lower() == "gas" else _CHANNELS.get(kind.lower())
        is_end = self._mapping is None or self._mapping.label != "start"
        start_us, lengths, bad, skipped = resolve_intervals(
            self._clock, times, repeat_text(identifier, count), seconds, is_end=is_end
        )
        rows = UncheckedRows(
            line=lines,
            identifier=repeat_text(identifier, count),
            register=repeat_text(kind.lower(), count),
            channel=repeat_text(channel, count),
            unit=normalize_units(repeat_text(self._stated.get("unit"), count)),
            start_us=start_us,
            seconds=lengths,
            value=values,
            quality=repeat_text("actual", count),
            serial_number=serials,
            violations=[
                ("ROW-TIMESTAMP", "the timestamp is missing or does not exist", bad),
                ("ROW-TIMESTAMP", "the local time does not exist: the clocks skip it", skipped),
            ],
        )
        return assemble_batch(rows, records.raw_text(), self._rejections, self._part)
