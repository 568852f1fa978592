"""Octopus Energy consumption: pages of `results` with interval_start, interval_end and consumption.

Here: JSON to readings. Not here: whether a meter is known (`data.ingest.rules`). Times carry their offset;
the newest rows come first. Only the address of another page names the meter. `line` of a reading is the
place of its result in the file, counted from 1.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.assemble import UncheckedRows, assemble_batch, repeat_text
from data.ingest.formats.columns import Batch, Rejections, parse_instants, to_mask
from data.ingest.formats.container import Member
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.json_events import BATCH_ROWS, END, WaitingRecords, is_json, iter_leaves, to_text
from data.ingest.formats.mapping_formats import JsonMapping
from data.ingest.formats.wallclock import US

REGISTER = "consumption"
DAY_SECONDS = 86_400
MAX_INTERVAL_SECONDS = 90_000
_ADDRESS = re.compile(r"/(electricity|gas)-meter-points/([^/?]+)/meters/([^/?]+)/")


def iter_batches(
    path: Path, member: Member, part: int, mapping: JsonMapping | None = None
) -> Iterator[Batch]:
    """Yield the readings of one text in batches. Raises `RefusedFile`."""
    return _Reader(path, member, part, mapping).batches()


def _recognizes(text: str) -> bool:
    return is_json(text) and re.search(r'"interval_start"\s*:|"count"\s*:.*"results"\s*:', text) is not None


_CARRIES_OFFSET = "the times carry their offset and name the start of an interval"
FORMAT = FileFormat(
    name="octopus_json",
    summary="consumption from Octopus Energy: pages of `results`",
    read=iter_batches,
    recognizes=_recognizes,
    mapping=MappingUse(model=JsonMapping, excludes={"timezone": _CARRIES_OFFSET, "label": _CARRIES_OFFSET}),
)


class _Reader:
    def __init__(self, path: Path, member: Member, part: int, mapping: JsonMapping | None) -> None:
        self._path = path
        self._member = member
        self._part = part
        self._mapping = mapping
        self._identifier = mapping.identifier if mapping else None
        self._serial: str | None = None
        self._is_gas = False
        self._records = WaitingRecords()
        self._ends: list[str | None] = []
        self._rejections = Rejections()

    def batches(self) -> Iterator[Batch]:
        record: dict[str, Any] = {}
        ordinal = 0
        for key, value in iter_leaves(self._path, self._member):
            parent, _, name = key.rpartition(".")
            if value is END and record:
                ordinal += 1
                self._records.add(
                    self._path, ordinal, record.get("interval_start"), record.get("consumption")
                )
                self._ends.append(to_text(record.get("interval_end")))
                record = {}
                if len(self._records) >= BATCH_ROWS:
                    yield self._flush()
            elif parent.endswith("item") and name in ("interval_start", "interval_end", "consumption"):
                record[name] = value
            elif name in ("next", "previous") and isinstance(value, str):
                self._take_address(name, value)
        yield self._flush()

    def _take_address(self, name: str, address: str) -> None:
        if name == "next":
            reason = "the file is one of several pages: the next page holds older readings"
            self._rejections.add(1, "JSON-PAGE", reason, address)
        match = _ADDRESS.search(address)
        if match is None:
            return
        kind, point, serial = match.groups()
        self._is_gas = kind == "gas"
        self._serial = serial
        if self._mapping is None or self._mapping.identifier is None:
            self._identifier = point

    def _flush(self) -> Batch:
        records, ends = self._records, pa.array(self._ends, type=pa.string())
        self._records, self._ends = WaitingRecords(), []
        lines, times, values = records.to_arrays()
        unit = self._mapping.unit if self._mapping else None
        starts, bad_start = parse_instants(times)
        finished, bad_end = parse_instants(ends)
        absent = to_mask(pc.or_(pc.is_null(times), pc.is_null(ends)))
        start_us = pc.fill_null(starts.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        end_us = pc.fill_null(finished.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        bad = bad_start | bad_end | absent
        seconds = (end_us - start_us) // US
        # Some intervals over midnight end on the date of their start.
        slipped = (seconds < 0) & (seconds > -DAY_SECONDS) & ~bad
        seconds = np.where(slipped, seconds + DAY_SECONDS, seconds)
        wrong_length = ~bad & ((seconds <= 0) | (seconds > MAX_INTERVAL_SECONDS))
        for row in np.flatnonzero(slipped & ~wrong_length):
            reason = "interval_end is a day early: the row was kept, with the length by the clock times"
            self._rejections.add(int(lines[row]), "JSON-END", reason, records.raw_text()(int(row)))
        channel = self._mapping.channel if self._mapping else None
        count = len(records)
        rows = UncheckedRows(
            line=lines,
            identifier=repeat_text(self._identifier or "", count),
            register=repeat_text(REGISTER, count),
            channel=repeat_text(channel or ("consumption" if self._is_gas else "import"), count),
            # Gas is in m3 or kWh, depending on the meter: without a mapping it can only be inspected.
            unit=repeat_text(unit or ("" if self._is_gas else "kWh"), count),
            start_us=start_us,
            seconds=np.clip(seconds, 0, MAX_INTERVAL_SECONDS),
            value=values,
            quality=repeat_text("actual", count),
            serial_number=repeat_text(self._serial, count),
            violations=[
                ("ROW-TIMESTAMP", "interval_start or interval_end is missing or does not exist", bad),
                (
                    "ROW-INTERVAL",
                    "the time from interval_start to interval_end is not a valid length",
                    wrong_length,
                ),
            ],
        )
        return assemble_batch(rows, records.raw_text(), self._rejections, self._part)
