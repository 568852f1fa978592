"""SolarEdge energy of a site: `energyDetails` by kind of energy, and `energy` (the production of the site).

Here: JSON to readings. Not here: whether a meter is known (`data.ingest.rules`). Times are the
start of their interval, local to the site or with an offset (`CEST+0200`): a mapping declares the zone of
local times and the name of the site. A missing value is null,
not zero. `line` of a reading is the place of its value in the file, counted from 1.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.ingest.formats.assemble import UncheckedRows, assemble_batch, normalize_units, repeat_text
from data.ingest.formats.columns import Batch, Rejections
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.json_events import (
    BATCH_ROWS,
    END,
    MAX_WAITING_ROWS,
    WaitingRecords,
    carry_offsets,
    is_json,
    iter_leaves,
    resolve_intervals,
    to_text,
)
from data.ingest.formats.mapping_formats import JsonMapping
from data.ingest.formats.wallclock import WallClock

CHANNELS = {
    "Production": "generation",
    "Consumption": "consumption",
    "FeedIn": "export",
    "Purchased": "import",
    # Part of two other kinds, so never added to them.
    "SelfConsumption": "other",
}
# None: a local day, which has 23, 24 or 25 hours.
SECONDS: dict[str, int | None] = {"QUARTER_OF_AN_HOUR": 900, "HOUR": 3_600, "DAY": None}


def iter_batches(
    path: Path, member: Member, part: int, mapping: JsonMapping | None = None
) -> Iterator[Batch]:
    """Yield the readings of one text in batches. Raises `RefusedFile`."""
    return _Reader(path, member, part, mapping).batches()


def _recognizes(text: str) -> bool:
    signs = r'"energyDetails"\s*:|"energy"\s*:\s*\{\s*"timeUnit"'
    return is_json(text) and re.search(signs, text) is not None


FORMAT = FileFormat(
    name="solaredge_json",
    summary="energy of a site from SolarEdge: `energyDetails` or `energy`",
    read=iter_batches,
    recognizes=_recognizes,
    mapping=MappingUse(
        model=JsonMapping,
        needs=("timezone",),
        excludes={
            "channel": "the file states the channel",
            "unit": "the file states the unit",
            "label": "the times are starts of intervals",
        },
    ),
)


class _Reader:
    def __init__(self, path: Path, member: Member, part: int, mapping: JsonMapping | None) -> None:
        self._path = path
        self._member = member
        self._part = part
        self._identifier = (mapping.identifier if mapping else None) or ""
        zone = mapping.timezone if mapping and mapping.timezone else "UTC"
        self._clock = WallClock(zone, is_descending=mapping is not None and mapping.order == "descending")
        self._stated: dict[str, str | None] = {}
        self._kind: str | None = None
        # Values by kind that wait for unit and length, which may follow them.
        self._waiting: list[tuple[str | None, WaitingRecords]] = []
        self._records = WaitingRecords()
        self._rejections = Rejections()

    def batches(self) -> Iterator[Batch]:
        record: dict[str, Any] | None = None
        ordinal = 0
        for key, value in iter_leaves(self._path, self._member):
            parent, _, name = key.rpartition(".")
            if value is END:
                if key.endswith("values.item"):
                    ordinal += 1
                    found = record or {}
                    self._records.add(self._path, ordinal, found.get("date"), found.get("value"))
                    record = None
                elif key.endswith("meters.item") or name in ("energyDetails", "energy"):
                    self._close_kind(name)
                    yield from self._flush(is_last=name in ("energyDetails", "energy"))
                if len(self._records) >= BATCH_ROWS and self._kind is not None:
                    self._close_kind("")
                    yield from self._flush(is_last=False)
            elif parent.endswith("values.item"):
                record = {**(record or {}), name: value}
            elif parent.endswith("meters.item") and name == "type":
                self._kind = to_text(value)
            elif name in ("timeUnit", "unit"):
                self._stated[name] = to_text(value)
        if self._clock.runs_against_its_order:
            raise refuse(self._path, None, "MAP-ORDER", "most values run against the `order` of the mapping")

    def _close_kind(self, name: str) -> None:
        if len(self._records):
            # The response for a whole site names no kind: it is the production.
            kind = self._kind or ("Production" if name == "energy" else None)
            self._waiting.append((kind, self._records))
            if sum(len(records) for _, records in self._waiting) > MAX_WAITING_ROWS:
                reason = f"more than {MAX_WAITING_ROWS} values come before their unit"
                raise refuse(self._path, None, "FILE-TOO-LARGE", reason)
        self._records = WaitingRecords()
        if name:
            self._kind = None

    def _flush(self, *, is_last: bool) -> Iterator[Batch]:
        if not is_last and not {"timeUnit", "unit"} <= self._stated.keys():
            return
        waiting, self._waiting = self._waiting, []
        for kind, records in waiting:
            yield self._batch(kind, records)
        if is_last:
            self._stated = {}

    def _batch(self, kind: str | None, records: WaitingRecords) -> Batch:
        time_unit = self._stated.get("timeUnit") or ""
        if time_unit not in SECONDS:
            given = time_unit or "unknown timeUnit"
            reason = f"values per {given} are not intervals of a day: request quarter-hours"
            raise refuse(self._path, None, "JSON-CONTENT", reason)
        lines, times, values = records.to_arrays()
        count = len(records)
        register = repeat_text(kind or "", count)
        start_us, lengths, bad, skipped = resolve_intervals(
            self._clock, times, register, SECONDS[time_unit], is_end=False
        )
        rows = UncheckedRows(
            line=lines,
            identifier=repeat_text(self._identifier, count),
            register=register,
            channel=repeat_text(CHANNELS.get(kind or ""), count),
            unit=normalize_units(repeat_text(self._stated.get("unit"), count)),
            start_us=start_us,
            seconds=lengths,
            value=values,
            quality=repeat_text("actual", count),
            violations=[
                ("ROW-TIMESTAMP", "the date is missing or does not exist", bad),
                ("ROW-TIMESTAMP", "the local time does not exist: the clocks skip it", skipped),
            ],
        )
        batch = assemble_batch(rows, records.raw_text(), self._rejections, self._part)
        has_zone = SECONDS[time_unit] is not None and carry_offsets(times)
        return replace(batch, has_local_times=not has_zone)
