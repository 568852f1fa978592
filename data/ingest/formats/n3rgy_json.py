"""n3rgy consumption: values of a British smart meter with naive local times, by device.

Here: JSON to readings. Not here: whether a meter is known (`vee`). A time is the end of its half-hour: a day
is asked for from 00:30 to 00:00. Its zone is not said: a mapping declares it. `line` of a reading is the
place of its value in the file, counted from 1.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from data.ingest.formats.assemble import Rows, known_units, repeat, to_batch
from data.ingest.formats.columns import Batch, Rejections
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.json_events import BATCH_ROWS, END, Records, interval_starts, leaves, text_of
from data.ingest.formats.mapping import JsonMapping
from data.ingest.formats.wallclock import WallClock

SECONDS = {"halfhour": 1_800, "hour": 3_600}
_RESOURCE = re.compile(r"/mpxn/([^/?]+)/utility/(electricity|gas)/readingtype/([a-z]+)", re.I)
_CHANNELS = {"consumption": "import", "production": "export"}


def iter_batches(
    path: Path, member: Member, part: int, mapping: JsonMapping | None = None
) -> Iterator[Batch]:
    """The readings of one text in batches. Raises `RefusedFile`."""
    return _Reader(path, member, part, mapping).batches()


class _Reader:
    def __init__(self, path: Path, member: Member, part: int, mapping: JsonMapping | None) -> None:
        self._path = path
        self._member = member
        self._part = part
        self._mapping = mapping
        zone = mapping.timezone if mapping and mapping.timezone else "UTC"
        self._clock = WallClock(zone, is_descending=mapping is not None and mapping.order == "descending")
        self._said: dict[str, str | None] = {}
        self._records = Records()
        self._serials: list[str | None] = []
        self._rejections = Rejections()

    def batches(self) -> Iterator[Batch]:
        record: dict[str, Any] = {}
        device: str | None = None
        ordinal = 0
        for key, value in leaves(self._path, self._member):
            parent, _, name = key.rpartition(".")
            if value is END and record:
                ordinal += 1
                amount = record.get("primaryValue", record.get("value"))
                self._records.add(self._path, ordinal, record.get("timestamp"), amount)
                self._serials.append(device)
                record = {}
                if (
                    len(self._records) >= BATCH_ROWS
                    and {"unit", "granularity", "resource"} <= self._said.keys()
                ):
                    yield self._flush()
            elif parent.endswith("values.item") and name in ("primaryValue", "value", "timestamp"):
                record[name] = value
            elif name == "deviceId":
                device = text_of(value)
            elif name in ("unit", "granularity", "resource"):
                if self._said.get(name, text_of(value)) != text_of(value) and len(self._records):
                    # Another answer begins in the same file.
                    yield self._flush()
                self._said[name] = text_of(value)
        yield self._flush()
        if self._clock.runs_against_its_order:
            raise refuse(self._path, None, "MAP-ORDER", "most values run against the order of the mapping")

    def _flush(self) -> Batch:
        records, serials = self._records, pa.array(self._serials, type=pa.string())
        self._records, self._serials = Records(), []
        match = _RESOURCE.search(self._said.get("resource") or "")
        point, utility, kind = match.groups() if match else ("", "electricity", "consumption")
        granularity = self._said.get("granularity")
        # Answers of the consumer interface, which are of half-hours, do not say so.
        seconds = SECONDS.get((granularity or "halfhour").lower())
        if seconds is None and len(records):
            reason = f"values by {granularity!r} are no intervals: ask for half-hours"
            raise refuse(self._path, None, "JSON-CONTENT", reason)
        lines, times, values = records.arrays()
        count = len(records)
        identifier = (self._mapping.identifier if self._mapping else None) or point
        channel = self._mapping.channel if self._mapping else None
        if channel is None:
            channel = "consumption" if utility.lower() == "gas" else _CHANNELS.get(kind.lower())
        is_end = self._mapping is None or self._mapping.label != "start"
        start_us, lengths, bad, skipped = interval_starts(
            self._clock, times, repeat(identifier, count), seconds, is_end=is_end
        )
        rows = Rows(
            line=lines,
            identifier=repeat(identifier, count),
            register=repeat(kind.lower(), count),
            channel=repeat(channel, count),
            unit=known_units(repeat(self._said.get("unit"), count)),
            start_us=start_us,
            seconds=lengths,
            value=values,
            quality=repeat("actual", count),
            serial_number=serials,
            findings=[
                ("ROW-TIMESTAMP", "the timestamp is missing or does not exist", bad),
                ("ROW-TIMESTAMP", "the clocks skip this local time", skipped),
            ],
        )
        return to_batch(rows, records.raw(), self._rejections, self._part)
