"""Octopus Energy consumption: pages of `results` with interval_start, interval_end and consumption.

Here: JSON to readings. Not here: whether a meter is known (`vee`). Times carry their offset; rows come newest
first. The document names no meter, unless the address of its next page does; `line` of a reading is the place
of its result in the file, counted from 1.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.assemble import Rows, repeat, to_batch
from data.ingest.formats.columns import Batch, Rejections, instants, to_mask
from data.ingest.formats.container import Member
from data.ingest.formats.json_events import BATCH_ROWS, END, Records, leaves, text_of
from data.ingest.formats.mapping import JsonMapping
from data.ingest.formats.wallclock import US

REGISTER = "consumption"
DAY_SECONDS = 86_400
MAX_INTERVAL_SECONDS = 90_000
_ADDRESS = re.compile(r"/(electricity|gas)-meter-points/([^/?]+)/meters/([^/?]+)/")


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
        self._identifier = mapping.identifier if mapping else None
        self._serial: str | None = None
        self._is_gas = False
        self._records = Records()
        self._ends: list[str | None] = []
        self._rejections = Rejections()

    def batches(self) -> Iterator[Batch]:
        record: dict[str, Any] = {}
        ordinal = 0
        for key, value in leaves(self._path, self._member):
            parent, _, name = key.rpartition(".")
            if value is END and record:
                ordinal += 1
                self._records.add(
                    self._path, ordinal, record.get("interval_start"), record.get("consumption")
                )
                self._ends.append(text_of(record.get("interval_end")))
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
            reason = "this is one page of several: the file of the next page holds older readings"
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
        self._records, self._ends = Records(), []
        lines, times, values = records.arrays()
        unit = self._mapping.unit if self._mapping else None
        starts, bad_start = instants(times)
        finished, bad_end = instants(ends)
        absent = to_mask(pc.or_(pc.is_null(times), pc.is_null(ends)))
        start_us = pc.fill_null(starts.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        end_us = pc.fill_null(finished.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        bad = bad_start | bad_end | absent
        seconds = (end_us - start_us) // US
        # The end of an interval over midnight is sometimes given with the day of its start.
        slipped = (seconds < 0) & (seconds > -DAY_SECONDS) & ~bad
        seconds = np.where(slipped, seconds + DAY_SECONDS, seconds)
        wrong_length = ~bad & ((seconds <= 0) | (seconds > MAX_INTERVAL_SECONDS))
        for row in np.flatnonzero(slipped & ~wrong_length):
            reason = (
                "interval_end is a day early: the length was taken from the clock times, the row was kept"
            )
            self._rejections.add(int(lines[row]), "JSON-END", reason, records.raw()(int(row)))
        channel = self._mapping.channel if self._mapping else None
        count = len(records)
        rows = Rows(
            line=lines,
            identifier=repeat(self._identifier or "", count),
            register=repeat(REGISTER, count),
            channel=repeat(channel or ("consumption" if self._is_gas else "import"), count),
            # Gas comes in m3 or kWh, by the kind of the meter: without a mapping it can only be looked at.
            unit=repeat(unit or ("" if self._is_gas else "kWh"), count),
            start_us=start_us,
            seconds=np.clip(seconds, 0, MAX_INTERVAL_SECONDS),
            value=values,
            quality=repeat("actual", count),
            serial_number=repeat(self._serial, count),
            findings=[
                ("ROW-TIMESTAMP", "interval_start or interval_end is missing or does not exist", bad),
                (
                    "ROW-INTERVAL",
                    "from interval_start to interval_end is no length of an interval",
                    wrong_length,
                ),
            ],
        )
        return to_batch(rows, records.raw(), self._rejections, self._part)
